"""Who sends a request: the user of the session that its access token names.

A token is good for as long as its session is. That is looked up with every request, in one query:
a log-out, a theft that was noticed or a deleted account count at once, not when the token expires.
"""

from typing import cast

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework import exceptions
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from stays.accounts import selectors
from stays.accounts.models import Session, User
from stays.common.errors import Unauthenticated

SCHEME = "Bearer"


class SessionTokenAuthentication(BaseAuthentication):
    """Finds the session by the header Authorization; it is the request's `auth`."""

    def authenticate(self, request: Request) -> tuple[User, Session] | None:
        """Return the user and the session, or None without a token.

        Raises:
            rest_framework.exceptions.AuthenticationFailed: if there is a token that is not good.
        """
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
        # RFC 9110, 11.1: the name of a scheme is not case-sensitive.
        if scheme.lower() != SCHEME.lower():
            return None
        try:
            session = selectors.session_of(access=token.strip())
        except Unauthenticated as refusal:
            raise exceptions.AuthenticationFailed(refusal.detail, refusal.code) from refusal
        return session.user, session

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002
        """Return what a 401 has in its header WWW-Authenticate."""
        return SCHEME


def signed_in(request: Request) -> User:
    """Return who sends a request, where the permissions let nobody else in."""
    return cast(User, request.user)


class SessionTokenScheme(OpenApiAuthenticationExtension):
    """What the OpenAPI description says of it."""

    target_class = "stays.accounts.authentication.SessionTokenAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:  # noqa: ARG002
        """Return the security scheme."""
        return {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
