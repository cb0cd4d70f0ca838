import smtplib
from collections import Counter
from typing import Any

import pytest
from django.core import mail
from django.core.mail import EmailMessage
from structlog.testing import capture_logs

from stays.bookings import emails, tasks
from stays.bookings.models import Booking, Status
from stays.bookings.services import cancel_booking
from tests.factories import make_booking, make_city, make_property, make_user
from tests.racing import race

pytestmark = pytest.mark.django_db


def confirmed(**fields: Any) -> Booking:
    booking = make_booking(status=Status.CONFIRMED, **fields)
    booking.refresh_from_db()
    return booking


def test_a_guest_is_told_once() -> None:
    booking = confirmed(
        property=make_property(title="Loft", address="Rua 1", city=make_city(name="Porto")),
        guest=make_user(name="Ana"),
    )
    for _ in range(3):
        tasks.send_confirmation(booking_id=str(booking.id))
    (message,) = mail.outbox
    assert message.to == [booking.guest.email]
    assert message.subject == "Your stay is confirmed: Loft"
    assert message.from_email == "Stays <stays@example.com>"
    html = message.alternatives[0].content  # type: ignore[attr-defined]
    for text in (message.body, html):
        for part in ("Ana", "Loft", "Rua 1, Porto", "EUR 300.00", str(booking.id)):
            assert part in text
        assert f"{booking.stay.lower:%A}, {booking.stay.lower.day} " in text
    booking.refresh_from_db()
    assert booking.confirmation_sent_at is not None


def test_sent_again_it_is_the_same_message() -> None:
    booking = confirmed()
    names = {emails.confirmation(booking).message()["Message-ID"] for _ in range(2)}
    assert names == {f"<confirmed.{booking.id}@example.com>"}


@pytest.mark.parametrize("status", [Status.PENDING, Status.CANCELLED, Status.EXPIRED])
def test_only_confirmed_bookings_are_told_of(status: Status) -> None:
    booking = make_booking(status=status)
    assert not emails.send_confirmation(booking_id=booking.id)
    assert mail.outbox == []


def test_nobody_writes_to_a_closed_account() -> None:
    booking = confirmed(guest=make_user(is_active=False))
    assert not emails.send_confirmation(booking_id=booking.id)
    assert mail.outbox == []


def test_what_hosts_and_guests_write_does_no_harm() -> None:
    place = make_property(title="Loft\r\nBcc: all@example.com <b>", address="<script>")
    booking = confirmed(property=place, guest=make_user(name="<i>Ana</i>"))
    assert emails.send_confirmation(booking_id=booking.id)
    (message,) = mail.outbox
    assert message.subject == "Your stay is confirmed: Loft Bcc: all@example.com <b>"
    assert message.recipients() == [booking.guest.email]
    html = message.alternatives[0].content  # type: ignore[attr-defined]
    assert "<script>" not in html
    assert "&lt;i&gt;Ana&lt;/i&gt;" in html
    assert "<i>Ana</i>" in message.body


def test_without_a_mail_server_it_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    booking = confirmed()
    failures = iter([smtplib.SMTPServerDisconnected("gone"), ConnectionRefusedError()])
    send = EmailMessage.send

    def flaky(message: EmailMessage, **options: Any) -> int:
        if error := next(failures, None):
            raise error
        return send(message, **options)

    monkeypatch.setattr(EmailMessage, "send", flaky)
    with pytest.raises(smtplib.SMTPServerDisconnected):
        emails.send_confirmation(booking_id=booking.id)
    booking.refresh_from_db()
    assert booking.confirmation_sent_at is None
    tasks.send_confirmation.apply(kwargs={"booking_id": str(booking.id)})
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_ten_at_once_send_one() -> None:
    booking = confirmed()
    results = race(lambda _: emails.send_confirmation(booking_id=booking.id), 10)
    assert Counter(results) == {True: 1, False: 9}
    assert len(mail.outbox) == 1


@pytest.mark.django_db(transaction=True)
def test_a_booking_is_not_confirmed_while_it_is_cancelled() -> None:
    booking = confirmed()

    def act(number: int) -> bool:
        if number % 2:
            cancel_booking(actor=booking.guest, booking_id=booking.id)
            return False
        return emails.send_confirmation(booking_id=booking.id)

    with capture_logs():
        results = race(act, 2)
    assert not [got for got in results if isinstance(got, Exception)]
    booking.refresh_from_db()
    assert booking.status == Status.CANCELLED
    assert len(mail.outbox) == (1 if booking.confirmation_sent_at else 0)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (30_000, "EUR", "EUR 300.00"),
        (5, "USD", "USD 0.05"),
        (123_456_789, "GBP", "GBP 1,234,567.89"),
        (30_000, "JPY", "JPY 30,000"),
        (1_234, "KWD", "KWD 1.234"),
    ],
)
def test_money_for_people(amount: int, currency: str, text: str) -> None:
    assert emails.money(amount, currency) == text
