"""The e-mails about a booking."""

import uuid
from email.utils import parseaddr

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone

from stays.bookings.models import Booking, Status

# ISO 4217: the currencies whose smallest unit is not a hundredth.
DIGITS = {"BHD": 3, "IQD": 3, "JOD": 3, "KWD": 3, "LYD": 3, "OMR": 3, "TND": 3}
DIGITS |= dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0)
DIGITS |= dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0)


@transaction.atomic
def send_confirmation(*, booking_id: uuid.UUID) -> bool:
    """Tell a guest that the booking is confirmed, once.

    The booking's row is locked until it is noted that the e-mail is sent. So of several at once
    one sends it, and a booking that is being cancelled is not confirmed at the same time.

    What that cannot do: if the process ends after the mail server has taken the e-mail and before
    the commit, nobody knows that it is sent, and it is sent again. Both then have the same
    Message-ID, by which many mail programs show them as one. The other order, first to note and
    then to send, would lose e-mails instead.

    Returns:
        Whether an e-mail was sent now: not if one was before, if the booking is not confirmed
        any more, or if the guest's account is closed.

    Raises:
        OSError: if the mail server is not reached, or refuses (smtplib.SMTPException).
    """
    booking = (
        Booking.objects.select_for_update(of=("self",))
        .select_related("guest", "property__city")
        .filter(id=booking_id, status=Status.CONFIRMED, confirmation_sent_at=None)
        .first()
    )
    if booking is None or not booking.guest.is_active:
        return False
    confirmation(booking).send()
    booking.confirmation_sent_at = timezone.now()
    booking.save(update_fields=["confirmation_sent_at", "updated_at"])
    return True


def confirmation(booking: Booking) -> EmailMultiAlternatives:
    """Return the e-mail that tells a guest of a confirmed booking, as text and as HTML.

    Its Message-ID is made of the booking's id: sent twice, it is the same e-mail.
    """
    context = {
        "booking": booking,
        "guest": booking.guest,
        "place": booking.property,
        "paid": money(booking.total_minor, booking.currency),
    }
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    title = " ".join(booking.property.title.split())  # a header has one line
    message = EmailMultiAlternatives(
        subject=f"Your stay is confirmed: {title}",
        body=render_to_string("bookings/confirmation.txt", context),
        to=[booking.guest.email],
        headers={"Message-ID": f"<confirmed.{booking.id}@{domain}>"},
    )
    message.attach_alternative(render_to_string("bookings/confirmation.html", context), "text/html")
    return message


def money(amount_minor: int, currency: str) -> str:
    """Return an amount of money for people, such as `EUR 300.00`.

    Args:
        amount_minor: How much, not negative, in the currency's smallest unit.
        currency: The currency's ISO 4217 code.
    """
    digits = DIGITS.get(currency, 2)
    whole, part = divmod(amount_minor, 10**digits)
    return f"{currency} {whole:,}" + (f".{part:0{digits}}" if digits else "")
