"""The e-mails about an account."""

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from stays.accounts import resets
from stays.accounts.models import User


def send_reset(*, email: str) -> bool:
    """Send the token by which the user of an address sets a new password.

    Args:
        email: The address that was asked for, in any case. There may be no account with it.

    Returns:
        Whether there is an active account with this address, to which an e-mail was sent.

    Raises:
        OSError: if the mail server is not reached, or refuses (smtplib.SMTPException).
    """
    address = User.normalize_username(email)
    user = User.objects.filter(email=address, is_active=True).first()
    if user is None:
        return False
    minutes = settings.PASSWORD_RESET_TIMEOUT // 60
    context = {"user": user, "token": resets.token_for(user), "minutes": minutes}
    EmailMessage(
        subject="A new password for Stays",
        body=render_to_string("accounts/reset.txt", context),
        to=[user.email],
    ).send()
    return True
