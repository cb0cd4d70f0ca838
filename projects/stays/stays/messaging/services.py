"""Writing messages."""

import uuid

from django.db import transaction
from django.utils import timezone

from stays.accounts.models import User
from stays.common.errors import Forbidden
from stays.common.finding import get_or_refuse
from stays.listings.models import Property
from stays.messaging import selectors
from stays.messaging.models import Conversation, Message


@transaction.atomic
def start_conversation(*, actor: User, property_slug: str, text: str) -> Conversation:
    """Write to the host of a place. If the two have written about it before, that goes on.

    Args:
        actor: Who asks.
        property_slug: The place.
        text: The message.

    Raises:
        NotFound: if the place does not exist or is not offered any more.
        Forbidden: if it is one's own place.
    """
    place = get_or_refuse(Property.objects.all(), slug=property_slug, is_listed=True)
    if place.host_id == actor.id:
        raise Forbidden("This place is your own.", code="own_property")
    conversation, _ = Conversation.objects.get_or_create(property=place, guest=actor)
    Message.objects.create(conversation=conversation, sender=actor, text=text)
    return conversation


@transaction.atomic
def send_message(*, actor: User, conversation_id: uuid.UUID, text: str) -> Message:
    """Write a message.

    Args:
        actor: One of the two who take part.
        conversation_id: Where.
        text: The message.

    Raises:
        NotFound: if there is no such conversation that the actor takes part in.
    """
    conversation = selectors.get(user=actor, conversation_id=conversation_id)
    return Message.objects.create(conversation=conversation, sender=actor, text=text)


@transaction.atomic
def mark_read(*, actor: User, conversation_id: uuid.UUID) -> int:
    """Note that the actor has read what the other one wrote.

    Returns:
        How many messages were unread.

    Raises:
        NotFound: if there is no such conversation that the actor takes part in.
    """
    conversation = selectors.get(user=actor, conversation_id=conversation_id)
    unread = conversation.messages.filter(read_at=None).exclude(sender=actor)
    return unread.update(read_at=timezone.now())
