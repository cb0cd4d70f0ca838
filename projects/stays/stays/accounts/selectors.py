"""Reading accounts."""

from django.db.models import QuerySet
from django.utils import timezone

from stays.accounts import tokens
from stays.accounts.models import Session, User
from stays.accounts.tokens import AccessToken


def session_of(*, access: str) -> Session:
    """Return the live session that an access token names, with its user; one query.

    Raises:
        Unauthenticated: if the token is forged, expired or of another kind, or its session has
            ended, or the user may not come in any more.
    """
    _, session_id = tokens.read(AccessToken, access)
    usable = sessions_alive().filter(user__is_active=True).select_related("user")
    session = usable.filter(id=session_id).first()
    if session is None:
        raise tokens.invalid(AccessToken)
    return session


def sessions_alive() -> QuerySet[Session]:
    """Return the sessions that have not ended."""
    return Session.objects.filter(revoked_at=None, expires_at__gt=timezone.now())


def sessions_of(*, user: User) -> QuerySet[Session]:
    """Return a user's sessions that have not ended."""
    return sessions_alive().filter(user=user)
