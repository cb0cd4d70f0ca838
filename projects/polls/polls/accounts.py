"""Who is who: passwords, their throttle, and tokens.

People log in with a session, which a browser keeps in a cookie that scripts cannot read, and forms
carry Django's CSRF token. Programs log in with a token in a header, which no browser sends by
itself, so the API needs no CSRF token. A token is a random number in a table and not a JWT: a
database is asked anyway, and logging out takes effect at once.
"""

import hashlib
import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import connection
from django.db.models.functions import Now
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from polls.errors import Refusal, refusing
from polls.models import Token, User

COUNT = """
WITH swept AS (
  DELETE FROM polls_attempt WHERE key IN (
    SELECT key FROM polls_attempt WHERE until < now() AND key <> %(key)s
    LIMIT 10 FOR UPDATE SKIP LOCKED)
)
INSERT INTO polls_attempt AS a (key, count, until)
VALUES (%(key)s, 1, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (key) DO UPDATE SET
  count = CASE WHEN a.until < now() THEN 1 ELSE least(a.count, 1000000) + 1 END,
  until = CASE WHEN a.until < now() THEN excluded.until ELSE a.until END
RETURNING count, ceil(extract(epoch FROM until - now()))::integer
"""


def take_attempt(kind: str, who: str, limit: int) -> None:
    """Count an attempt before it is made, in one statement: of many at once none is missed.

    Args:
        kind: What is tried.
        who: Whose attempts are counted together.
        limit: How many one may make in a window.

    Raises:
        Refusal: 429, if there were too many.
    """
    key = hashlib.sha256(f"{kind}:{who}".encode()).hexdigest()
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"key": key, "seconds": settings.ATTEMPTS_SECONDS})
        count, seconds = cursor.fetchone()
    if count > limit:
        raise Refusal(
            429, "too_many", "Too many attempts; try again later.", retry_after=max(1, seconds)
        )


def address_of(request: HttpRequest) -> str:
    """Return the client's address. Behind a proxy, uvicorn's --forwarded-allow-ips sets it."""
    return str(request.META.get("REMOTE_ADDR", ""))


def check_password(request: HttpRequest, username: str, password: str) -> User:
    """Return the user whom a name and a password belong to.

    Attempts with the right password count too. Somebody who knows a name can therefore lock that
    account out until the window ends. Without a limit by account, many machines could guess at one
    password in turns.

    Raises:
        Refusal: 401, if they belong to nobody; 429, after too many attempts.
    """
    take_attempt("address", address_of(request), settings.ATTEMPTS_ADDRESS)
    take_attempt("account", username.lower(), settings.ATTEMPTS_ACCOUNT)
    user = authenticate(request, username=username.lower(), password=password)
    if not isinstance(user, User):
        raise Refusal(401, "wrong_credentials", "The name or the password is wrong.")
    return user


def register(request: HttpRequest, username: str, password: str) -> User:
    """Create an account.

    Raises:
        Refusal: 400, if the name is taken or the password is weak; 429, after too many attempts.
    """
    take_attempt("register", address_of(request), settings.ATTEMPTS_REGISTER)
    user = User(username=username)
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise Refusal(400, "weak", " ".join(error.messages), field="password") from None
    user.set_password(password)
    taken = Refusal(400, "taken", "This name is taken.", field="username")
    with refusing({"polls_user_username_key": taken}):
        user.save(force_insert=True)
    return user


# -- Tokens


def digest_of(token: str) -> str:
    """Return what is kept of a token. It is long and random, so one plain round is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def issue_token(user: User) -> tuple[str, Token]:
    """Give a program a token, which is shown this one time, and forget those that have expired."""
    token = secrets.token_urlsafe(32)
    Token.objects.filter(user=user, expires_at__lt=Now()).delete()
    kept = Token(
        digest=digest_of(token),
        user=user,
        expires_at=Now() + timedelta(days=settings.TOKEN_DAYS),
    )
    kept.save(force_insert=True)
    kept.refresh_from_db(fields=["expires_at"])
    return token, kept


def user_of_header(header: str) -> tuple[User, Token] | None:
    """Return the user whom an Authorization header names; None, if it is of another scheme.

    Raises:
        AuthenticationFailed: if the token is not good, or no more.
    """
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return None
    found = (
        Token.objects.select_related("user")
        .filter(digest=digest_of(token.strip()), expires_at__gt=Now(), user__is_active=True)
        .first()
    )
    if found is None:
        raise AuthenticationFailed("The token is not valid.")
    return found.user, found


class TokenAuthentication(BaseAuthentication):
    """DRF's way to ask."""

    def authenticate(self, request: Request) -> tuple[User, Token] | None:
        """Return who asks, if a token says it."""
        return user_of_header(request.headers.get("Authorization", ""))

    def authenticate_header(self, request: Request) -> str:  # noqa: ARG002 (DRF's signature)
        """Return what a 401 asks for."""
        return "Bearer"


class TokenScheme(OpenApiAuthenticationExtension):
    """How the OpenAPI description names it."""

    target_class = "polls.accounts.TokenAuthentication"
    name = "bearerAuth"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return the scheme."""
        return {"type": "http", "scheme": "bearer"}
