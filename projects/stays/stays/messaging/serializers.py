"""Conversations and messages as JSON."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from stays.listings.models import Property
from stays.messaging.models import MAX_TEXT, Conversation, Message
from stays.rest.bodies import SLUG
from stays.rest.fields import OutputSerializer, Pattern, StrictSerializer, Text


class MessageSerializer(OutputSerializer[Message]):
    """A message."""

    sender = serializers.CharField(source="sender.name", help_text="The sender's name")
    is_mine = serializers.SerializerMethodField(help_text="Whether one has sent it oneself")

    class Meta:
        model = Message
        fields = ("id", "sender", "is_mine", "text", "created_at", "read_at")

    def get_is_mine(self, message: Message) -> bool:
        """Tell whether the one who asks has sent it."""
        return bool(message.sender_id == self.context["request"].user.pk)


class LastMessageSerializer(serializers.Serializer[Any]):
    """The newest message of a conversation."""

    is_mine = serializers.BooleanField()
    text = serializers.CharField()
    created_at = serializers.DateTimeField()


class DiscussedPropertySerializer(OutputSerializer[Property]):
    """What a conversation is about."""

    class Meta:
        model = Property
        fields = ("slug", "title")


class ConversationSerializer(OutputSerializer[Conversation]):
    """A conversation, as `conversations_of` returns it."""

    property = DiscussedPropertySerializer()
    guest = serializers.CharField(source="guest.name", help_text="The guest's name")
    host = serializers.CharField(source="property.host.name", help_text="The host's name")
    last_message = serializers.SerializerMethodField()
    unread = serializers.IntegerField(min_value=0, help_text="Messages that one has not read")

    class Meta:
        model = Conversation
        fields = ("id", "property", "guest", "host", "last_message", "unread", "created_at")

    @extend_schema_field(LastMessageSerializer(allow_null=True))
    def get_last_message(self, conversation: Any) -> dict[str, Any] | None:
        """Return the newest message, if there is one."""
        if conversation.last_at is None:
            return None
        return {
            "is_mine": conversation.last_sender_id == self.context["request"].user.pk,
            "text": conversation.last_text,
            "created_at": conversation.last_at,
        }


class NewMessageSerializer(StrictSerializer):
    """What is to be written."""

    text = Text(max_length=MAX_TEXT)


class NewConversationSerializer(NewMessageSerializer):
    """What is to be written, and about which place."""

    property = Pattern(SLUG, max_length=100, help_text="The place's slug")
