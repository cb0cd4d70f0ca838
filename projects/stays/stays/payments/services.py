"""Paying, being told of it by the provider, giving money back.

The provider is never called within a transaction: what is to be done is committed first, then the
provider is asked, then what it answered is committed. Blocks that must not be part of a larger
transaction are `durable`, and Django refuses them there. Whatever is lost in between (a process, an
answer, a webhook) is found by `ask_provider`, for every request carries a key by which the provider
knows it again.

Locks are taken in one order everywhere: first the place's row, then the booking's, then the
payment's, then a new row that refers to it (to insert one locks the row that it refers to). So no
two ever wait for each other. Who changes no booking may leave out the place.
"""

import uuid
from contextlib import suppress
from datetime import datetime

import structlog
from django.conf import settings
from django.db import DataError, transaction
from django.utils import timezone

from stays.accounts.models import User
from stays.bookings import selectors as booking_selectors
from stays.bookings import services as bookings
from stays.bookings.models import HOLDING, LET_GO, Booking
from stays.bookings.models import Status as BookingStatus
from stays.common import states
from stays.common.constraints import refusing
from stays.common.errors import Conflict, Forbidden, NotFound
from stays.common.finding import get_or_refuse
from stays.outbox.services import send
from stays.payments import provider
from stays.payments.models import TRANSITIONS, UNSETTLED, Payment, ProviderEvent, Status

logger = structlog.get_logger(__name__)

AT_MOST = 500
"""Bookings that one run lets go of, and refunds that it sends; the next run takes the others."""
ASK_AT_MOST = 50
"""Payments that one run asks for."""


@transaction.atomic
def start_payment(*, actor: User, booking_id: uuid.UUID, method: str) -> Payment:
    """Have a booking paid. The provider is asked by a task, after the commit.

    Args:
        actor: The guest.
        booking_id: What is to be paid.
        method: The provider's token for a card.

    Raises:
        NotFound: if there is no such booking for the actor.
        Forbidden: if the actor is not its guest.
        Conflict: if it is not pending, paid already, being paid, or its time has run out.
    """
    visible = booking_selectors.visible_to(user=actor).select_for_update(of=("self",))
    booking = get_or_refuse(visible, id=booking_id)
    if booking.guest_id != actor.id:
        raise Forbidden("Only the guest pays.")
    if booking.status != BookingStatus.PENDING:
        raise Conflict(f"A {booking.status} booking cannot be paid.", code="not_pending")
    if booking.paid_at is not None:
        raise Conflict("The booking is paid already.", code="already_paid")
    if booking.expires_at <= timezone.now():
        raise Conflict("The time for payment has run out.", code="expired")
    running = Conflict("The booking is being paid already.", code="payment_running")
    with refusing({"payment_one_live": running}):
        payment = Payment.objects.create(
            booking=booking,
            amount_minor=booking.total_minor,
            currency=booking.currency,
            method=method,
        )
    send(task="payments.charge", arguments={"payment_id": str(payment.id)})
    return payment


def charge(*, payment_id: uuid.UUID) -> None:
    """Ask the provider for the money of a payment, as often as this is called.

    That the money is there is told by the webhook; the answer here is seldom final.

    Raises:
        stays.payments.provider.Temporary: if the provider has done nothing. Call again.
        stays.payments.provider.UnknownOutcome: if it is not known what it has done. Call again.
        stays.payments.provider.ProviderError: if it refuses the request itself: our fault.
    """
    with transaction.atomic(durable=True):
        booking, payment = _locked(payment_id)
        if payment.status not in (Status.CREATED, Status.PROCESSING):
            return
        if not _wants_money(booking):
            if payment.status == Status.CREATED:
                _become(payment, Status.FAILED, failure="booking_closed")
            return  # else it may have been taken: the webhook or `ask_provider` tells
        if payment.status == Status.CREATED:
            _become(payment, Status.PROCESSING)
        else:
            payment.save()  # says when the provider was last called: see SWEEP_AFTER
    try:
        charged = provider.configured().charge(
            reference=payment.id,
            amount_minor=payment.amount_minor,
            currency=payment.currency,
            method=payment.method,
        )
    except provider.CardRefused as refusal:
        with transaction.atomic(durable=True):
            _note_failure(_locked(payment_id)[1], refusal.code)
        return
    with transaction.atomic(durable=True):
        _settle(*_locked(payment_id), charged)


def record_event(*, body: bytes, signature: str) -> bool:
    """Take note of a message of the provider's webhook, and do what follows from it.

    An event that is known already changes nothing. One about a payment that is not ours is kept
    and has no effect: an error would only make the provider send it again, for days.

    Args:
        body: The message, to the byte.
        signature: What proves that it is the provider's, and when it was sent.

    Returns:
        Whether the event was new.

    Raises:
        Forbidden: if it is not the provider's.
        stays.payments.provider.NotAnEvent: if it is too old, or cannot be read.
    """
    event = provider.configured().read_event(body=body, signature=signature, now=timezone.now())
    with transaction.atomic():
        owned = None
        if event.charge:
            with suppress(NotFound):
                owned = _locked(event.charge.reference)
        try:
            with transaction.atomic():
                _, is_new = ProviderEvent.objects.get_or_create(
                    id=event.id,
                    defaults={
                        "payment": owned and owned[1],
                        "kind": event.kind,
                        "payload": event.payload,
                    },
                )
        except DataError as error:  # JSON that jsonb does not have, such as U+0000
            raise provider.NotAnEvent("This is not an event.", code="event") from error
        if is_new and event.charge:
            if owned:
                _settle(*owned, event.charge)
            else:
                logger.warning("payment_unknown", event_id=event.id)
    return is_new


def refund(*, booking_id: uuid.UUID) -> None:
    """Give back what was paid for a booking that is let go of, once, as often as this is called.

    Raises:
        stays.payments.provider.Temporary: if the provider has done nothing. Call again.
        stays.payments.provider.UnknownOutcome: if it is not known what it has done. Call again.
        stays.payments.provider.ProviderError: if it refuses the request itself: our fault.
    """
    with transaction.atomic(durable=True):
        booking = Booking.objects.select_for_update().get(id=booking_id)
        payment = (
            Payment.objects.select_for_update()
            .filter(booking=booking, status__in=(Status.SUCCEEDED, Status.REFUNDING))
            .first()  # there is at most one: payment_one_live
        )
        if payment is None or booking.status in HOLDING:
            return
        if payment.status == Status.SUCCEEDED:
            _become(payment, Status.REFUNDING)
    provider.configured().refund(
        reference=payment.id,
        charge_id=payment.provider_reference or "",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
    )
    with transaction.atomic(durable=True):
        _, payment = _locked(payment.id)
        if payment.status == Status.REFUNDING:
            _become(payment, Status.REFUNDED)


def time_out(*, now: datetime) -> int:
    """Let go of the bookings whose time has run out, and give up their payments.

    Several at once share the work: a booking that another one holds is passed over.

    Returns:
        How many bookings were let go of.
    """
    due = Booking.objects.filter(status=BookingStatus.PENDING, expires_at__lte=now)
    ids = list(due.order_by("expires_at").values_list("id", flat=True)[:AT_MOST])
    return sum(_time_out(booking_id, now) for booking_id in ids)


@transaction.atomic
def _time_out(booking_id: uuid.UUID, now: datetime) -> bool:
    """Let go of one booking, unless another holds it or its time has not run out any more."""
    bookings.lock_place_of(booking_id)
    free = Booking.objects.select_for_update(skip_locked=True).filter(id=booking_id).first()
    if free is None or not bookings.expire_booking(booking_id=booking_id, now=now):
        return False
    waiting = Payment.objects.select_for_update().filter(
        booking_id=booking_id, status__in=(Status.CREATED, Status.PROCESSING)
    )
    for payment in waiting:
        # What was never sent is settled; of the other the provider is asked later.
        failure = "not_charged" if payment.status == Status.CREATED else payment.failure
        _become(payment, Status.TIMED_OUT, failure=failure)
    return True


def ask_provider(*, now: datetime) -> int:
    """Ask the provider for the payments that have waited too long: a message was lost somewhere.

    Returns:
        How many payments were looked after.

    Raises:
        stays.payments.provider.ProviderError: if the provider does not answer. The payment that
            was asked for goes to the end of the queue.
    """
    waiting = Payment.objects.filter(
        status__in=UNSETTLED, failure="", updated_at__lt=now - settings.SWEEP_AFTER
    )
    found = list(waiting.order_by("updated_at")[:ASK_AT_MOST])
    for seen in found:
        charged = None
        if seen.status in (Status.PROCESSING, Status.TIMED_OUT):
            try:
                charged = provider.configured().find(reference=seen.id)
            except provider.ProviderError:
                Payment.objects.filter(id=seen.id).update(updated_at=timezone.now())
                raise
        with transaction.atomic(durable=True):
            booking, payment = _locked(seen.id)
            if payment.updated_at == seen.updated_at:  # else somebody has looked after it
                _go_on(booking, payment, charged)
    return len(found)


@transaction.atomic
def refund_what_is_owed(*, now: datetime) -> int:
    """Have given back what is still there of bookings that are let go of: a task was lost.

    Cancelling sends the task `payments.refund`. When that is not done after SWEEP_AFTER, for
    whatever reason, it is sent again, as often as it takes. (Once it has begun, the payment is
    REFUNDING, and `ask_provider` looks after it.)

    Returns:
        For how many payments it was sent.
    """
    owed = Payment.objects.select_for_update(skip_locked=True, of=("self",)).filter(
        status=Status.SUCCEEDED,
        updated_at__lt=now - settings.SWEEP_AFTER,
        booking__status__in=LET_GO,
        booking__updated_at__lt=now - settings.SWEEP_AFTER,
    )
    found = list(owed.order_by("updated_at")[:AT_MOST])
    Payment.objects.filter(id__in=[each.id for each in found]).update(updated_at=now)
    for payment in found:
        logger.error("refund_was_lost", payment_id=str(payment.id))
        send(task="payments.refund", arguments={"booking_id": str(payment.booking_id)})
    return len(found)


def _go_on(booking: Booking, payment: Payment, charged: provider.Charge | None) -> None:
    """Do what is due for a payment that has waited too long, given what the provider knows."""
    if charged:
        _settle(booking, payment, charged)
        return
    if payment.status in (Status.CREATED, Status.PROCESSING) and _wants_money(booking):
        send(task="payments.charge", arguments={"payment_id": str(payment.id)})
    elif payment.status == Status.REFUNDING:
        send(task="payments.refund", arguments={"booking_id": str(booking.id)})
    else:
        _note_failure(payment, "not_charged")
    payment.save()  # it is looked after again only when it has waited again


def _settle(booking: Booking, payment: Payment, charged: provider.Charge) -> None:
    """Bring a payment into the state that the provider tells. Both rows are locked.

    A payment that is settled stays as it is. The provider's contradictions change nothing, and are
    logged as errors, for somebody must look into them.
    """
    log = logger.bind(payment_id=str(payment.id), charge_id=charged.id, told=charged.status)
    others = Payment.objects.filter(provider_reference=charged.id).exclude(id=payment.id)
    if (
        payment.provider_reference not in (None, charged.id)
        or (charged.amount_minor, charged.currency) != (payment.amount_minor, payment.currency)
        or others.exists()
    ):
        log.error("payment_mismatch")
        payment.failure = payment.failure or "mismatch"
        payment.save()
        return
    payment.provider_reference = charged.id
    match charged.status, payment.status:
        case "succeeded", Status.PROCESSING:
            _become(payment, Status.SUCCEEDED)
            if booking.status == BookingStatus.PENDING:
                bookings.mark_paid(booking_id=booking.id)
            else:
                send(task="payments.refund", arguments={"booking_id": str(booking.id)})
        case "succeeded", Status.TIMED_OUT:
            _become(payment, Status.REFUNDING)
            send(task="payments.refund", arguments={"booking_id": str(booking.id)})
        case "succeeded", Status.CREATED | Status.FAILED:
            log.error("payment_contradiction", ours=payment.status)
        case "failed", Status.SUCCEEDED | Status.REFUNDING | Status.REFUNDED:
            log.error("payment_contradiction", ours=payment.status)
        case "failed", _:
            _note_failure(payment, charged.failure or "failed")
        case _:
            payment.save()


def _note_failure(payment: Payment, failure: str) -> None:
    """Note that a payment's money was not taken. One that was given up stays so."""
    if payment.status in (Status.CREATED, Status.PROCESSING):
        _become(payment, Status.FAILED, failure=failure)
    elif payment.status == Status.TIMED_OUT:
        payment.failure = failure
        payment.save()


def _become(payment: Payment, status: Status, *, failure: str = "") -> None:
    """Change the status of a payment whose row is locked."""
    states.check(TRANSITIONS, now=payment.status, then=status, thing="payment")
    payment.status = status
    payment.failure = failure
    payment.save()


def _wants_money(booking: Booking) -> bool:
    """Whether a booking still waits to be paid."""
    return (
        booking.status == BookingStatus.PENDING
        and booking.paid_at is None
        and booking.expires_at > timezone.now()
    )


def _locked(payment_id: uuid.UUID) -> tuple[Booking, Payment]:
    """Return a payment and its booking with their rows locked, and before them the place's.

    Raises:
        NotFound: if there is none.
    """
    booking_id = Payment.objects.filter(id=payment_id).values_list("booking_id", flat=True).first()
    if booking_id is None:
        raise NotFound("There is no such payment.")
    bookings.lock_place_of(booking_id)
    booking = Booking.objects.select_for_update().get(id=booking_id)
    return booking, Payment.objects.select_for_update().get(id=payment_id)
