"""Bookings as JSON."""

from rest_framework import serializers

from stays.bookings.models import MAX_NIGHTS, MAX_REASON, Booking, Status
from stays.listings.models import Property
from stays.rest.bodies import SLUG
from stays.rest.fields import Day, Integer, OutputSerializer, Pattern, StrictSerializer, Text
from stays.rest.pagination import PageQuery


class BookedPropertySerializer(OutputSerializer[Property]):
    """The place of a booking."""

    city = serializers.CharField(source="city.name")

    class Meta:
        model = Property
        fields = ("slug", "title", "city")


class BookingSerializer(OutputSerializer[Booking]):
    """A booking. Amounts are in the currency's smallest unit."""

    property = BookedPropertySerializer()
    guest = serializers.CharField(source="guest.name", help_text="The guest's name")
    check_in = serializers.DateField(source="stay.lower")
    check_out = serializers.DateField(source="stay.upper")
    address = serializers.SerializerMethodField(help_text="Null until the booking is confirmed")

    class Meta:
        model = Booking
        fields = (
            "id",
            "property",
            "address",
            "guest",
            "check_in",
            "check_out",
            "nights",
            "guests",
            "status",
            "nightly_minor",
            "cleaning_minor",
            "total_minor",
            "currency",
            "expires_at",
            "paid_at",
            "confirmed_at",
            "cancelled_at",
            "cancellation_reason",
            "created_at",
        )

    def get_address(self, booking: Booking) -> str | None:
        """Return where the place is, to those who may come."""
        return booking.property.address if booking.status == Status.CONFIRMED else None


class NewBookingSerializer(StrictSerializer):
    """What is to be booked."""

    property = Pattern(SLUG, max_length=100, help_text="The place's slug")
    check_in = Day(help_text="The day of arrival, in the place's time zone")
    check_out = Day(help_text=f"The day of departure; at most {MAX_NIGHTS} nights later")
    guests = Integer(min_value=1, max_value=50)


class CancellationSerializer(StrictSerializer):
    """Why a booking is cancelled."""

    reason = Text(required=False, allow_blank=True, max_length=MAX_REASON)


class BookingsQuery(PageQuery):
    """Which bookings."""

    status = serializers.ChoiceField(choices=Status.choices, required=False)
    role = serializers.ChoiceField(
        choices=["guest", "host"], required=False, help_text="Only those where one is this"
    )
