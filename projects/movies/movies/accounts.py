"""Accounts, sessions and tokens.

An access token is a JWT that is good for minutes, and names its session. The session is read with
its user in one query, which each request needs for the user anyway. So logging out takes effect at
once, and a JWT's usual weakness costs nothing to mend.

A refresh token is 32 random bytes. The database has its SHA-256 only: a thief of the database gets
no token. (A slow hash is for passwords, which can be guessed. 256 random bits cannot.)
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

import jwt
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from movies.models import RefreshToken, Session, User
from movies.problems import Refusal

ALGORITHM = "HS256"
NAME = "movies"
"""Who issues tokens, and for whom."""


@dataclass(frozen=True)
class Tokens:
    """What a log-in returns."""

    access: str
    refresh: str
    expires_in: int
    token_type: str = "Bearer"  # noqa: S105


def register(email: str, password: str) -> User:
    """Make an account.

    Raises:
        Refusal: If the password is weak, or the address has an account.
    """
    try:
        validate_password(password, User(email=email))
    except ValidationError as error:
        raise Refusal(422, " ".join(error.messages)) from error
    try:
        with transaction.atomic():
            return User.objects.create_user(email, password)
    except IntegrityError as error:
        raise Refusal(409, "This address has an account.") from error


def log_in(email: str, password: str) -> Tokens:
    """Begin a session.

    Raises:
        Refusal: If the password is wrong, or there is no such account: the same words, and the
            same time.
    """
    user = User.objects.filter(email=email.lower()).first()
    if user is None:
        make_password(password)  # for the time that it takes
        right = False
    else:
        right = user.check_password(password)
    if user is None or not right:
        raise Refusal(401, "No account has this address and password.", WWW_Authenticate="Bearer")
    with transaction.atomic():
        session = Session.objects.create(user=user)
        return _tokens(session)


def refresh(token: str) -> Tokens:
    """Exchange a refresh token, which works once, for new tokens.

    If a used one comes again, somebody else may have it: then the session ends. A client whose
    answer got lost asks again within seconds; it is refused, but keeps the session's other token.

    Raises:
        Refusal: If the token is not good.
    """
    refused = Refusal(401, "This refresh token is not valid.", WWW_Authenticate="Bearer")
    with transaction.atomic():
        # The lock makes the second of two wait, and then see that the token is used.
        kept = (
            RefreshToken.objects.select_for_update(of=("self", "session"))
            .select_related("session")
            .filter(digest=digest(token))
            .first()
        )
        now = timezone.now()
        if kept is None or kept.session.ended_at or kept.expires_at <= now:
            raise refused
        if kept.used_at is None:
            kept.used_at = now
            kept.save(update_fields=["used_at"])
            return _tokens(kept.session)
        if now - kept.used_at > settings.REUSE_GRACE:
            log_out(kept.session)
    raise refused


def log_out(session: Session) -> None:
    """End a session: its access token and its refresh token are good no longer."""
    Session.objects.filter(id=session.pk, ended_at=None).update(ended_at=timezone.now())


def session_of(access: str) -> Session | None:
    """Return the living session that an access token names, with its user in the same query."""
    try:
        claims = jwt.decode(
            access,
            settings.JWT_SIGNING_KEY,
            algorithms=[ALGORITHM],
            issuer=NAME,
            audience=NAME,
            options={"require": ["exp", "iat", "sid"]},
        )
        return (
            Session.objects.select_related("user").filter(id=claims["sid"], ended_at=None).first()
        )
    except (jwt.InvalidTokenError, ValidationError, ValueError):
        return None


def prune() -> int:
    """Delete what nobody can use any more, and return how many sessions that were."""
    now = timezone.now()
    RefreshToken.objects.filter(expires_at__lte=now).delete()
    # A new session has its token from the same transaction, so that none is met without.
    ended = Session.objects.filter(ended_at__lt=now - timedelta(days=1))
    without = Session.objects.filter(refresh_tokens=None)
    sessions = set(ended.values_list("pk", flat=True)) | set(without.values_list("pk", flat=True))
    Session.objects.filter(pk__in=sessions).delete()
    return len(sessions)


def _tokens(session: Session) -> Tokens:
    now = timezone.now()
    token = secrets.token_urlsafe(32)
    RefreshToken.objects.create(
        digest=digest(token), session=session, expires_at=now + settings.REFRESH_LIFETIME
    )
    claims = {
        "iss": NAME,
        "aud": NAME,
        "iat": now,
        "exp": now + settings.ACCESS_LIFETIME,
        "sid": str(session.pk),
    }
    access = jwt.encode(claims, settings.JWT_SIGNING_KEY, algorithm=ALGORITHM)
    return Tokens(access, token, int(settings.ACCESS_LIFETIME.total_seconds()))


def digest(token: str) -> str:
    """Return the SHA-256 of a token or of an e-mail address, to store without its text."""
    return hashlib.sha256(token.encode()).hexdigest()
