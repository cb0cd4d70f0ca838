"""The tokens by which somebody who reads the mails of an account sets a new password.

A token names its user, and holds what Django's generator signs: the hash of the password, the last
log-in, the address and the time. So a token is good once, for PASSWORD_RESET_TIMEOUT seconds, and
no longer than the password and the address stay as they are. Nothing is stored.
"""

import uuid

from django.contrib.auth.tokens import default_token_generator

from stays.accounts.models import User


def token_for(user: User) -> str:
    """Return a token for a user."""
    return f"{user.id.hex}-{default_token_generator.make_token(user)}"


def user_id_of(token: str) -> uuid.UUID | None:
    """Return whom a token names, be it good or not; None if it names nobody."""
    try:
        return uuid.UUID(hex=token.partition("-")[0])
    except ValueError:
        return None


def is_good(token: str, user: User) -> bool:
    """Tell whether a token is good for a user, as the user is in the database now."""
    return default_token_generator.check_token(user, token.partition("-")[2])
