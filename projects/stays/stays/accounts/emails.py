"""The e-mails about an account."""

import uuid
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string

from stays.accounts import resets, verifications
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
    context = {"token": resets.token_for(user), "minutes": minutes}
    _send(user, "A new password for Stays", "accounts/reset.txt", **context)
    return True


def send_verification(*, user_id: uuid.UUID) -> bool:
    """Send the token by which a user shows that the account's address is the user's own.

    Args:
        user_id: The user.

    Returns:
        Whether there is something to show: the account is there, and its address is not verified.

    Raises:
        OSError: if the mail server is not reached, or refuses (smtplib.SMTPException).
    """
    user = User.objects.filter(id=user_id, is_active=True).first()
    if user is None or user.email_verified:
        return False
    days = settings.VERIFICATION_TIMEOUT.days
    context = {"token": verifications.token_for(user), "days": days}
    _send(user, "Your address at Stays", "accounts/verification.txt", **context)
    return True


def _send(user: User, subject: str, template: str, **context: Any) -> None:
    body = render_to_string(template, {"user": user, **context})
    EmailMessage(subject, body, to=[user.email]).send()
