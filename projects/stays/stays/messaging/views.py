"""Conversations and messages over REST."""

import uuid

from django.urls import reverse
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.messaging import selectors, services
from stays.messaging.serializers import (
    ConversationSerializer,
    MessageSerializer,
    NewConversationSerializer,
    NewMessageSerializer,
)
from stays.rest.bodies import NothingSerializer, body_of
from stays.rest.idempotency import idempotent
from stays.rest.openapi import header
from stays.rest.pagination import list_schema, respond

LOCATION = header("Location", "Where the messages are", response=[201])


class ConversationList(APIView):
    """One's conversations."""

    @list_schema(ConversationSerializer, "conversations_list")
    def get(self, request: Request) -> Response:
        """List conversations.

        The one with the newest message first.
        """
        rows = selectors.conversations_of(user=signed_in(request))
        ordering = ["-last_id", "-id"]
        return respond(request, rows, ordering=ordering, serializer=ConversationSerializer)

    @extend_schema(
        parameters=[LOCATION],
        request=NewConversationSerializer,
        responses={201: ConversationSerializer},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Write to a host.

        A guest writes to the host of a place, for the first time or again.
        """
        actor = signed_in(request)
        body = body_of(NewConversationSerializer, request.data)
        begun = services.start_conversation(
            actor=actor, property_slug=body["property"], text=body["text"]
        )
        conversation = selectors.conversations_of(user=actor).get(id=begun.id)
        address = reverse("messages", kwargs={"conversation_id": begun.id})
        data = ConversationSerializer(conversation, context={"request": request}).data
        return Response(data, status=201, headers={"Location": address})


class MessageList(APIView):
    """The messages of a conversation."""

    @list_schema(MessageSerializer, "messages_list")
    def get(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """List messages.

        For the two who take part; the newest first.
        """
        messages = selectors.messages_in(user=signed_in(request), conversation_id=conversation_id)
        return respond(request, messages, ordering=["-id"], serializer=MessageSerializer)

    @extend_schema(
        operation_id="messages_create",
        request=NewMessageSerializer,
        responses={201: MessageSerializer},
    )
    @idempotent
    def post(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Write a message.

        One of the two writes to the other.
        """
        body = body_of(NewMessageSerializer, request.data)
        message = services.send_message(
            actor=signed_in(request), conversation_id=conversation_id, **body
        )
        return Response(MessageSerializer(message, context={"request": request}).data, status=201)


class ConversationRead(APIView):
    """That messages are read."""

    @extend_schema(operation_id="conversations_read", request=None, responses={204: None})
    @idempotent
    def post(self, request: Request, conversation_id: uuid.UUID) -> Response:
        """Mark a conversation as read.

        All that the other one has written until now is read.
        """
        body_of(NothingSerializer, request.data)
        services.mark_read(actor=signed_in(request), conversation_id=conversation_id)
        return Response(status=204)
