"""Payments over REST."""

import uuid

from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.payments import selectors, services
from stays.payments.provider import SIGNATURE
from stays.payments.serializers import (
    EventSerializer,
    PaymentSerializer,
    ReceivedSerializer,
    StartPaymentSerializer,
)
from stays.rest.bodies import body_of
from stays.rest.idempotency import idempotent
from stays.rest.pagination import list_schema, respond
from stays.rest.problems import MEDIA_TYPE, ProblemSerializer


class PaymentsView(APIView):
    """The payments of a booking."""

    @list_schema(PaymentSerializer, "payments_list")
    def get(self, request: Request, booking_id: uuid.UUID) -> Response:
        """List the payments of a booking.

        For its guest and for admins, the newest first.
        """
        payments = selectors.of_booking(user=signed_in(request), booking_id=booking_id)
        return respond(request, payments, ordering=["-id"], serializer=PaymentSerializer)

    @extend_schema(
        operation_id="payments_create",
        request=StartPaymentSerializer,
        responses={201: PaymentSerializer},
    )
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Pay a booking.

        The payment is begun; its status tells later how it ended.
        """
        body = body_of(StartPaymentSerializer, request.data)
        payment = services.start_payment(
            actor=signed_in(request),
            booking_id=booking_id,
            **body,
        )
        return Response(PaymentSerializer(payment).data, status=201)


class PaymentEventsView(APIView):
    """What the payment provider calls. The signature is what lets it in."""

    authentication_classes = ()
    permission_classes = (AllowAny,)
    throttle_classes = ()

    @extend_schema(
        operation_id="webhooks_payments",
        parameters=[
            OpenApiParameter(
                "Provider-Signature",
                {"type": "string", "pattern": f"^{SIGNATURE.pattern.replace('?P<', '?<')}$"},
                OpenApiParameter.HEADER,
                required=True,
                description="`t=<seconds since 1970>,v1=<HMAC-SHA256 of t, a dot and the body>`",
            )
        ],
        request=EventSerializer,
        responses={
            200: ReceivedSerializer,
            (403, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, "The signature is wrong"),
        },
        auth=[],
    )
    def post(self, request: Request) -> Response:
        """Tell how a payment went.

        For the payment provider. An event that comes again is answered in the same way.
        """
        services.record_event(
            body=request._request.body, signature=request.headers.get("Provider-Signature", "")
        )
        return Response({"received": True})
