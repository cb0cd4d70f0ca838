"""JWTs whose key can be exchanged without anybody being logged out.

New tokens are signed with JWT_SIGNING_KEY. Those that were signed with one of JWT_OLD_KEYS are
taken too. A session's tokens are exchanged within REFRESH_TOKEN_LIFETIME, or it has expired: after
that time no token has the old key, and the key can go.
"""

import uuid
from typing import Any, TypeVar

import jwt
from django.conf import settings
from rest_framework_simplejwt import tokens
from rest_framework_simplejwt.backends import TokenBackend
from rest_framework_simplejwt.exceptions import TokenError
from rest_framework_simplejwt.settings import api_settings

from stays.common.errors import Unauthenticated

SESSION_CLAIM = "sid"


class Backend(TokenBackend):
    """Signs with the key of today, and knows those of before."""

    def get_verifying_key(self, token: Any) -> Any:
        """Return the key that a token is signed with; for a forged one, any."""
        for key in settings.JWT_OLD_KEYS:
            try:
                jwt.PyJWS().decode(token, key, algorithms=[self.algorithm])
            except jwt.InvalidTokenError:
                continue
            return key
        return super().get_verifying_key(token)


BACKEND = Backend(
    api_settings.ALGORITHM,
    api_settings.SIGNING_KEY,
    api_settings.VERIFYING_KEY,
    api_settings.AUDIENCE,
    api_settings.ISSUER,
    api_settings.JWK_URL,
    api_settings.LEEWAY,
    api_settings.JSON_ENCODER,
)


class AccessToken(tokens.AccessToken):
    """Good for minutes."""

    _token_backend = BACKEND


class RefreshToken(tokens.RefreshToken):
    """Good once."""

    _token_backend = BACKEND
    access_token_class = AccessToken


T = TypeVar("T", bound=tokens.Token)


def read(kind: type[T], text: str) -> tuple[T, uuid.UUID]:
    """Return a token that we signed, and the id of its session.

    Raises:
        Unauthenticated: if the token is forged, expired or of another kind.
    """
    try:
        token = kind(text)  # type: ignore[arg-type]
        return token, uuid.UUID(str(token[SESSION_CLAIM]))
    except (TokenError, KeyError, ValueError):
        raise invalid(kind) from None


def invalid(kind: type[tokens.Token]) -> Unauthenticated:
    """Return the refusal of a token."""
    return Unauthenticated(f"The {kind.token_type} token is not valid.", code="token_not_valid")
