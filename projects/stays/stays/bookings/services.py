"""Making, confirming, cancelling bookings.

Every change of a booking locks its row, so that two that meet take turns: the second sees what the
first has done, and the state machine refuses it or not.

Before that it locks the place's row, as a new booking does. A change of status writes a new entry
into the index of the exclusion constraint; one who books the same dates at this moment has written
one too, and each would wait for the other: a deadlock. So locks are taken in one order everywhere:
the place, the booking, then what refers to it.
"""

import uuid
from contextlib import suppress
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from django.conf import settings
from django.db import transaction
from django.db.backends.postgresql.psycopg_any import DateRange
from django.utils import timezone

from stays.accounts.models import DELETED, User
from stays.bookings import selectors
from stays.bookings.models import (
    HOLDING,
    MAX_DAYS_AHEAD,
    MAX_NIGHTS,
    TRANSITIONS,
    Booking,
    Status,
)
from stays.common import states
from stays.common.cache import invalidate
from stays.common.constraints import refusing
from stays.common.errors import Conflict, Forbidden, Invalid
from stays.common.finding import get_or_refuse
from stays.listings.models import Property
from stays.outbox.services import send

logger = structlog.get_logger(__name__)

SOUGHT = timedelta(days=90)
"""For how long after a confirmation its e-mail is still looked for."""
AT_MOST = 200
"""E-mails that one run sends again, or bookings that it cancels; the next takes the others."""
NO_GUEST = "The guest's account was deleted."


@transaction.atomic
def book(*, actor: User, **wanted: Any) -> Booking:
    """Book a place as a guest, who may keep only so many dates from others without paying.

    Args:
        actor: The guest.
        wanted: The other arguments of `create_booking`.

    Raises:
        Conflict: if the guest has MAX_UNPAID bookings to pay already; else as `create_booking`.
    """
    # The lock makes a guest's own requests take turns: all count the same otherwise.
    guest = User.objects.select_for_update(no_key=True).get(id=actor.id)
    unpaid = Booking.objects.filter(guest=guest, status=Status.PENDING, paid_at=None)
    if unpaid.count() >= settings.MAX_UNPAID:
        detail = f"Pay or cancel first: {settings.MAX_UNPAID} bookings are not paid."
        raise Conflict(detail, code="too_many_unpaid")
    return create_booking(actor=actor, **wanted)


@transaction.atomic
def create_booking(
    *, actor: User, property_slug: str, check_in: date, check_out: date, guests: int
) -> Booking:
    """Book a place. The dates are held until the time for payment has passed.

    Args:
        actor: The guest.
        property_slug: The place.
        check_in: The day of arrival, in the place's time zone.
        check_out: The day of departure.
        guests: How many people.

    Raises:
        NotFound: if the place does not exist or is not offered any more.
        Invalid: if the dates or the number of guests cannot be.
        Forbidden: if it is one's own place.
        Conflict: if the dates are taken.
    """
    # The lock makes guests who want the same place take turns. Without it the constraint below
    # still holds, but two that wait for each other's row can end as a deadlock.
    places = Property.objects.select_for_update(of=("self",), no_key=True).select_related("city")
    place = get_or_refuse(places, slug=property_slug, is_listed=True)
    if place.host_id == actor.id:
        raise Forbidden("Your own place cannot be booked by you.", code="own_property")
    _check_dates(place, check_in, check_out)
    if not 1 <= guests <= place.max_guests:
        raise Invalid(
            f"Between 1 and {place.max_guests} guests can stay here.",
            code="guests",
            field="guests",
        )
    nights = (check_out - check_in).days
    taken = Conflict("These dates are taken.", code="dates_taken")
    with refusing({"booking_no_overlap": taken}):
        booking = Booking.objects.create(
            property=place,
            guest=actor,
            stay=DateRange(check_in, check_out, "[)"),
            guests=guests,
            nightly_minor=place.nightly_minor,
            cleaning_minor=place.cleaning_minor,
            total_minor=place.nightly_minor * nights + place.cleaning_minor,
            currency=place.currency,
            expires_at=timezone.now() + settings.PAYMENT_WINDOW,
        )
    invalidate("bookings")
    return booking


def _check_dates(place: Property, check_in: date, check_out: date) -> None:
    """Refuse dates that no place could take."""
    if check_in < local_today(place):
        raise Invalid("This day has passed.", code="past", field="check_in")
    if check_out <= check_in:
        raise Invalid("This is not after the arrival.", code="order", field="check_out")
    if (check_out - check_in).days > MAX_NIGHTS:
        raise Invalid(f"At most {MAX_NIGHTS} nights.", code="too_long", field="check_out")
    if (check_in - local_today(place)).days > MAX_DAYS_AHEAD:
        raise Invalid(f"At most {MAX_DAYS_AHEAD} days ahead.", code="too_far", field="check_in")


def local_today(place: Property) -> date:
    """Return the date that it is at a place."""
    return timezone.now().astimezone(ZoneInfo(place.city.timezone)).date()


@transaction.atomic
def confirm_booking(*, actor: User, booking_id: uuid.UUID) -> Booking:
    """Confirm a paid booking, as the host.

    Raises:
        NotFound: if there is no such booking for the actor.
        Forbidden: if the actor is not the host.
        Conflict: if it is not pending, or not paid, or the stay would be over: the guest, who was
            not told to come, would have paid for nothing.
    """
    booking = _locked(booking_id, actor)
    if booking.property.host_id != actor.id and not actor.is_admin:
        raise Forbidden("Only the host confirms a booking.")
    if booking.status == Status.PENDING and booking.paid_at is None:
        raise Conflict("The booking is not paid yet.", code="not_paid")
    if booking.stay.upper <= local_today(booking.property):
        raise Conflict("The stay would be over.", code="stay_over")
    _confirm(booking)
    return booking


@transaction.atomic
def cancel_booking(*, actor: User, booking_id: uuid.UUID, reason: str = "") -> Booking:
    """Cancel a booking, as guest or host, before the stay begins. What was paid is given back.

    One that is not confirmed yet has no stay that could begin: it can be cancelled at any time.

    Args:
        actor: The guest, the host, or an admin.
        booking_id: What is to be cancelled.
        reason: Why; both sides see it.

    Raises:
        NotFound: if there is no such booking for the actor.
        Conflict: if it is cancelled or expired already, or is confirmed and the stay has begun.
    """
    booking = _locked(booking_id, actor)
    states.check(TRANSITIONS, now=booking.status, then=Status.CANCELLED, thing="booking")
    if booking.status == Status.CONFIRMED and booking.stay.lower <= local_today(booking.property):
        raise Conflict("The stay has begun.", code="stay_begun")
    booking.status = Status.CANCELLED
    booking.cancelled_at = timezone.now()
    booking.cancelled_by = actor
    booking.cancellation_reason = reason
    _let_go(booking)
    return booking


@transaction.atomic
def mark_paid(*, booking_id: uuid.UUID) -> Booking:
    """Note that a booking is paid, and confirm it if the place needs no word from its host.

    Raises:
        NotFound: if there is no such booking.
        Conflict: if the booking is not pending any more, or paid already; the money must be given
            back then.
    """
    booking = _locked(booking_id)
    if booking.status != Status.PENDING:
        raise Conflict(f"A {booking.status} booking cannot be paid.", code="not_pending")
    if booking.paid_at is not None:
        raise Conflict("The booking is paid already.", code="already_paid")
    booking.paid_at = timezone.now()
    booking.expires_at = booking.paid_at + settings.HOST_WINDOW
    if booking.property.instant_book:
        _confirm(booking)
    else:
        booking.save()
    return booking


@transaction.atomic
def expire_booking(*, booking_id: uuid.UUID, now: datetime) -> bool:
    """Let go of the dates of a booking that was not paid, or not confirmed by the host, in time.

    What was paid is given back.

    Args:
        booking_id: What may have to be let go of.
        now: The moment that its time is compared with.

    Returns:
        Whether it was still to be let go of.

    Raises:
        NotFound: if there is no such booking.
    """
    booking = _locked(booking_id)
    if booking.status != Status.PENDING or booking.expires_at > now:
        return False
    booking.status = Status.EXPIRED
    _let_go(booking)
    return True


@transaction.atomic
def send_missing_confirmations(*, now: datetime) -> int:
    """Have guests told who were not: the task was lost, or the mail server was away for too long.

    An e-mail that is not sent after SWEEP_AFTER is tried again by a new task, and so on, for as
    long as the stay is to come or has just begun, and for SOUGHT at most.

    Returns:
        For how many bookings a task was sent.
    """
    late = now - settings.SWEEP_AFTER  # by default longer than the task's own retries take
    missing = (
        Booking.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(
            status=Status.CONFIRMED,
            confirmed_at__range=(now - SOUGHT, late),
            confirmation_sent_at=None,
            updated_at__lt=late,
            guest__is_active=True,
            stay__endswith__gt=now.date(),
        )
        .order_by("confirmed_at")
    )
    ids = list(missing.values_list("id", flat=True)[:AT_MOST])
    Booking.objects.filter(id__in=ids).update(updated_at=now)
    for booking_id in ids:
        logger.warning("confirmation_was_not_sent", booking_id=str(booking_id))
        send(task="bookings.send_confirmation", arguments={"booking_id": str(booking_id)})
    return len(ids)


def cancel_bookings_of_deleted_guests() -> int:
    """Let go of the bookings ahead whose guest's account is deleted: nobody is left who could.

    What was paid is given back. A stay that has begun goes on.

    Returns:
        How many were cancelled.
    """
    ahead = Booking.objects.filter(
        status__in=HOLDING,
        guest__is_active=False,
        guest__email__endswith=DELETED,
        stay__startswith__gt=timezone.now().date() + timedelta(days=1),  # it is tomorrow somewhere
    )
    found = list(ahead.select_related("guest")[:AT_MOST])
    for booking in found:
        with suppress(Conflict):  # somebody was faster
            cancel_booking(actor=booking.guest, booking_id=booking.id, reason=NO_GUEST)
    return len(found)


def _let_go(booking: Booking) -> None:
    """Save a booking that holds its dates no longer, and have what was paid given back."""
    booking.save()
    if booking.paid_at:
        send(task="payments.refund", arguments={"booking_id": str(booking.id)})
    invalidate("bookings")


def _confirm(booking: Booking) -> None:
    """Confirm a booking whose row is locked, and have its guest told."""
    states.check(TRANSITIONS, now=booking.status, then=Status.CONFIRMED, thing="booking")
    booking.status = Status.CONFIRMED
    booking.confirmed_at = timezone.now()
    booking.save()
    send(task="bookings.send_confirmation", arguments={"booking_id": str(booking.id)})


def lock_place_of(booking_id: uuid.UUID) -> None:
    """Lock the row of a booking's place: whoever changes a booking does this first."""
    Property.objects.select_for_update(of=("self",), no_key=True).filter(
        bookings=booking_id
    ).values_list("id").first()


def _locked(booking_id: uuid.UUID, actor: User | None = None) -> Booking:
    """Return a booking with its place's row and its own locked; if the actor may know of it."""
    bookings = selectors.visible_to(user=actor) if actor else Booking.objects.all()
    lock_place_of(booking_id)
    bookings = bookings.select_for_update(of=("self",)).select_related("property__city")
    return get_or_refuse(bookings, id=booking_id)
