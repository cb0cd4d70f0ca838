"""What every resolver knows."""

from dataclasses import dataclass

import strawberry
from rest_framework.request import Request

from stays.accounts.models import User
from stays.common.errors import Unauthenticated


@dataclass(frozen=True)
class Context:
    """The request, and who sends it."""

    request: Request

    @property
    def user(self) -> User | None:
        """The user whose token came with the request, if one came."""
        user = self.request.user
        return user if isinstance(user, User) else None


Info = strawberry.Info[Context, None]


def viewer(info: Info) -> User:
    """Return who asks.

    Raises:
        Unauthenticated: if no token came with the request.
    """
    user = info.context.user
    if user is None:
        raise Unauthenticated("This needs an access token.", code="not_authenticated")
    return user
