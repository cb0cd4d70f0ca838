"""JSON Web Tokens: an access token for ten minutes, and a refresh token that is good once."""

from typing import Any

from django.db import transaction
from rest_framework.exceptions import AuthenticationFailed
from rest_framework_simplejwt.exceptions import InvalidToken, TokenError
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken
from rest_framework_simplejwt.tokens import RefreshToken

from jobs.models import User


def issue(user: User) -> dict[str, str]:
    """Return a new pair of tokens. The role is for the client: each request reads it anew."""
    refresh = RefreshToken.for_user(user)
    refresh["role"] = user.role
    return {"access": str(refresh.access_token), "refresh": str(refresh)}


@transaction.atomic
def spend(text: str) -> Any:
    """Use a refresh token up, and return whose it was.

    Simple JWT's own view lets several parallel requests pass with the same token, because it looks
    first and blacklists afterwards. Here the row of the token is locked in between.

    Raises:
        InvalidToken: if it is none of ours, has expired, or was used before.
    """
    try:
        token = RefreshToken(text)  # type: ignore[arg-type]
    except TokenError as error:
        raise InvalidToken(error.args[0]) from None
    outstanding = OutstandingToken.objects.select_for_update().filter(jti=token["jti"]).first()
    if outstanding is None:
        raise InvalidToken
    _, first = BlacklistedToken.objects.get_or_create(token=outstanding)
    if not first:
        raise InvalidToken
    return outstanding.user_id


def rotate(text: str) -> dict[str, str]:
    """Return a new pair for a refresh token, which is used up.

    Raises:
        InvalidToken: as `spend` does.
        AuthenticationFailed: if the account is no longer active.
    """
    with transaction.atomic():  # a pair that cannot be stored leaves the old token as it was
        user = User.objects.filter(pk=spend(text), is_active=True).first()
        if user is not None:
            return issue(user)
    raise AuthenticationFailed("The account is not active.", "not_active")


def revoke_all(user: User) -> None:
    """Use up every refresh token of a user."""
    tokens = OutstandingToken.objects.filter(user_id=user.pk, blacklistedtoken__isnull=True)
    BlacklistedToken.objects.bulk_create(
        [BlacklistedToken(token=token) for token in tokens], ignore_conflicts=True
    )
