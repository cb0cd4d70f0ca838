"""The tokens by which somebody proves to read the mails of an account's address.

A token names its user and the address, and is signed. It is good for VERIFICATION_TIMEOUT, while
the account has this address, and until the address is verified: so it is good once. Nothing is
stored.
"""

import uuid

from django.conf import settings
from django.core import signing

from stays.accounts.models import User

SALT = "accounts.verification"


def token_for(user: User) -> str:
    """Return a token for a user's address."""
    return signing.dumps([user.id.hex, user.email], salt=SALT)


def read(token: str) -> tuple[uuid.UUID, str] | None:
    """Return whom a token names, and the address; None if it is forged or too old."""
    try:
        user_id, email = signing.loads(token, salt=SALT, max_age=settings.VERIFICATION_TIMEOUT)
    except signing.BadSignature:
        return None
    return uuid.UUID(hex=user_id), email
