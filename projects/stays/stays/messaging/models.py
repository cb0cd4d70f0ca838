"""Conversations between a guest and a host, about a property."""

from django.db import models

from stays.accounts.models import User
from stays.common.fields import identifier
from stays.listings.models import Property

MAX_TEXT = 2000


class Conversation(models.Model):
    """What a guest and the property's host write to each other."""

    id = identifier()
    property = models.ForeignKey(Property, on_delete=models.PROTECT, related_name="conversations")
    guest = models.ForeignKey(User, on_delete=models.PROTECT, related_name="conversations")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["property", "guest"], name="conversation_one"),
        )
        indexes = (models.Index(fields=["guest", "id"], name="conversation_guest"),)

    def __str__(self) -> str:
        return f"{self.guest_id} about {self.property_id}"


class Message(models.Model):
    """One text."""

    id = identifier()
    conversation = models.ForeignKey(
        Conversation, on_delete=models.CASCADE, related_name="messages"
    )
    sender = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")
    text = models.TextField(max_length=MAX_TEXT)
    created_at = models.DateTimeField(auto_now_add=True)
    read_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = (models.Index(fields=["conversation", "id"], name="message_conversation"),)

    def __str__(self) -> str:
        return self.text[:50]
