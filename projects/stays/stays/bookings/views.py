"""Bookings over REST."""

import uuid
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.accounts.authentication import signed_in
from stays.bookings import selectors, services
from stays.bookings.models import Booking
from stays.bookings.serializers import (
    BookingSerializer,
    BookingsQuery,
    CancellationSerializer,
    NewBookingSerializer,
)
from stays.rest.bodies import NothingSerializer, body_of
from stays.rest.idempotency import idempotent
from stays.rest.pagination import listed, page_of
from stays.rest.queries import read_query

LOCATION = OpenApiParameter(
    "Location", str, OpenApiParameter.HEADER, description="Where it is", response=[201]
)


class BookingList(APIView):
    """One's bookings."""

    @extend_schema(
        operation_id="bookings_list",
        summary="List bookings",
        parameters=[BookingsQuery],
        responses=page_of(BookingSerializer),
    )
    def get(self, request: Request) -> Response:
        """Those that one has made, and those of one's places; the newest first."""
        query = read_query(request, BookingsQuery)
        chosen = {name: query.pop(name) for name in ("role", "status") if name in query}
        bookings = selectors.listed(user=signed_in(request), **chosen)
        return Response(
            listed(request, bookings, ordering=["-id"], serializer=BookingSerializer, **query)
        )

    @extend_schema(
        operation_id="bookings_create",
        summary="Book a place",
        parameters=[LOCATION],
        request=NewBookingSerializer,
        responses={201: BookingSerializer},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """The dates are held until `expires_at`; the booking is to be paid by then."""
        body = body_of(NewBookingSerializer, request.data)
        booking = services.book(
            actor=signed_in(request), property_slug=body.pop("property"), **body
        )
        address = reverse("booking", kwargs={"booking_id": booking.id})
        return shown(booking, status=201, headers={"Location": address})


class BookingDetail(APIView):
    """One booking."""

    @extend_schema(
        operation_id="bookings_retrieve", summary="Show a booking", responses=BookingSerializer
    )
    def get(self, request: Request, booking_id: uuid.UUID) -> Response:
        """For its guest, its host, and admins."""
        read_query(request, NothingSerializer)
        return shown(selectors.get(user=signed_in(request), booking_id=booking_id))


class BookingConfirmation(APIView):
    """The host's word."""

    @extend_schema(
        operation_id="bookings_confirm",
        summary="Confirm a booking",
        request=None,
        responses=BookingSerializer,
    )
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Its host confirms a booking that is paid."""
        body_of(NothingSerializer, request.data)
        return shown(services.confirm_booking(actor=signed_in(request), booking_id=booking_id))


class BookingCancellation(APIView):
    """The end of a booking."""

    @extend_schema(
        operation_id="bookings_cancel",
        summary="Cancel a booking",
        request=CancellationSerializer,
        responses=BookingSerializer,
    )
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Guest or host cancel before the stay begins. What was paid is given back."""
        body = body_of(CancellationSerializer, request.data)
        return shown(
            services.cancel_booking(actor=signed_in(request), booking_id=booking_id, **body)
        )


def shown(booking: Booking, **options: Any) -> Response:
    """Answer with a booking."""
    return Response(BookingSerializer(booking).data, **options)
