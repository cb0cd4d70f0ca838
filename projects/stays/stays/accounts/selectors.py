"""Reading accounts."""

import uuid

from django.db.models import QuerySet
from django.utils import timezone
from rest_framework_simplejwt.exceptions import TokenError

from stays.accounts.models import Session, User
from stays.accounts.tokens import AccessToken
from stays.common.errors import Unauthenticated

SESSION_CLAIM = "sid"


def session_of(*, access: str) -> Session:
    """Return the live session that an access token names, with its user; one query.

    Raises:
        Unauthenticated: if the token is forged, expired or of another kind, or its session has
            ended, or the user may not come in any more.
    """
    refusal = Unauthenticated("The access token is not valid.", code="token_not_valid")
    try:
        session_id = uuid.UUID(str(AccessToken(access)[SESSION_CLAIM]))  # type: ignore[arg-type]
        return Session.objects.select_related("user").get(
            id=session_id,
            revoked_at=None,
            expires_at__gt=timezone.now(),
            user__is_active=True,
        )
    except (TokenError, KeyError, ValueError, Session.DoesNotExist):
        raise refusal from None


def sessions_of(*, user: User) -> QuerySet[Session]:
    """Return a user's sessions that have not ended."""
    return Session.objects.filter(user=user, revoked_at=None, expires_at__gt=timezone.now())
