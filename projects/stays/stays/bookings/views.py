"""Bookings over REST."""

import uuid
from typing import Any

from django.urls import reverse
from drf_spectacular.utils import extend_schema
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
from stays.rest.openapi import LOCATION
from stays.rest.pagination import listed, page_of
from stays.rest.queries import read_query


class BookingList(APIView):
    """One's bookings."""

    @extend_schema(
        operation_id="bookings_list",
        parameters=[BookingsQuery],
        responses=page_of(BookingSerializer),
    )
    def get(self, request: Request) -> Response:
        """List bookings.

        Those that one has made, and those of one's places; the newest first.
        """
        query = read_query(request, BookingsQuery)
        bookings = selectors.listed(
            user=signed_in(request), role=query.get("role"), status=query.get("status")
        )
        data = listed(request, bookings, query, ordering=["-id"], serializer=BookingSerializer)
        return Response(data)

    @extend_schema(
        parameters=[LOCATION],
        request=NewBookingSerializer,
        responses={201: BookingSerializer},
    )
    @idempotent
    def post(self, request: Request) -> Response:
        """Book a place.

        The dates are held until `expires_at`; the booking is to be paid by then.
        """
        body = body_of(NewBookingSerializer, request.data)
        booking = services.book(
            actor=signed_in(request), property_slug=body.pop("property"), **body
        )
        address = reverse("booking", kwargs={"booking_id": booking.id})
        return shown(booking, status=201, headers={"Location": address})


class BookingDetail(APIView):
    """One booking."""

    @extend_schema(responses=BookingSerializer)
    def get(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Show a booking.

        For its guest, its host, and admins.
        """
        read_query(request, NothingSerializer)
        return shown(selectors.get(user=signed_in(request), booking_id=booking_id))


class BookingConfirmation(APIView):
    """The host's word."""

    @extend_schema(operation_id="bookings_confirm", request=None, responses=BookingSerializer)
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Confirm a booking.

        Its host confirms a booking that is paid.
        """
        body_of(NothingSerializer, request.data)
        return shown(services.confirm_booking(actor=signed_in(request), booking_id=booking_id))


class BookingCancellation(APIView):
    """The end of a booking."""

    @extend_schema(
        operation_id="bookings_cancel", request=CancellationSerializer, responses=BookingSerializer
    )
    @idempotent
    def post(self, request: Request, booking_id: uuid.UUID) -> Response:
        """Cancel a booking.

        Guest or host cancel before the stay begins. What was paid is given back.
        """
        body = body_of(CancellationSerializer, request.data)
        return shown(
            services.cancel_booking(actor=signed_in(request), booking_id=booking_id, **body)
        )


def shown(booking: Booking, **options: Any) -> Response:
    """Answer with a booking."""
    return Response(BookingSerializer(booking).data, **options)
