"""Reading conversations and messages. Only the two who write them read them."""

import uuid

from django.db.models import Count, F, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from stays.accounts.models import User
from stays.common.finding import get_or_refuse
from stays.messaging.models import Conversation, Message


def joined_by(*, user: User) -> QuerySet[Conversation]:
    """Return the conversations that a user takes part in, as they are."""
    asked = Conversation.objects.filter(guest=user).values("id")
    answered = Conversation.objects.filter(property__host=user).values("id")
    return Conversation.objects.filter(id__in=asked.union(answered, all=True))


def get(*, user: User, conversation_id: uuid.UUID) -> Conversation:
    """Return a conversation.

    Raises:
        NotFound: if there is none that the user takes part in.
    """
    return get_or_refuse(joined_by(user=user), id=conversation_id)


def conversations_of(*, user: User) -> QuerySet[Conversation]:
    """Return the conversations that a user takes part in, the one with the newest message first.

    With each come its property and both people, and as `last_id`, `last_text`, `last_sender_id`
    and `last_at` the last message, and as `unread` how many messages the user has not read.
    """
    messages = Message.objects.filter(conversation=OuterRef("pk"))
    last = messages.order_by("-id")
    unread = (
        messages.filter(read_at=None)
        .exclude(sender=user)
        .values("conversation")
        .annotate(number=Count("id"))
        .values("number")
    )
    return (
        joined_by(user=user)
        .select_related("property__host", "guest")
        .annotate(
            last_id=Coalesce(Subquery(last.values("id")[:1]), F("id")),
            last_text=Subquery(last.values("text")[:1]),
            last_sender_id=Subquery(last.values("sender_id")[:1]),
            last_at=Subquery(last.values("created_at")[:1]),
            unread=Coalesce(Subquery(unread, output_field=IntegerField()), 0),
        )
        .order_by("-last_id", "-id")
    )


def messages_in(*, user: User, conversation_id: uuid.UUID) -> QuerySet[Message]:
    """Return the messages of a conversation with their senders, newest first.

    Raises:
        NotFound: if there is no such conversation that the user takes part in.
    """
    conversation = get(user=user, conversation_id=conversation_id)
    return (
        Message.objects.filter(conversation=conversation).select_related("sender").order_by("-id")
    )
