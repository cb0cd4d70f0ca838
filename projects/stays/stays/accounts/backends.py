"""How Django's own log-in, that of the admin, checks a password: as the API does."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.http import HttpRequest

from stays.accounts import services
from stays.accounts.models import User
from stays.common.errors import Refusal
from stays.rest.throttling import client_address


class GuardedBackend(ModelBackend):
    """Counts attempts before it looks at the password; the limits are those of the API."""

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **kwargs: Any,
    ) -> User | None:
        """Return the user who has this address and password; None for every refusal."""
        email = username or kwargs.get(User.USERNAME_FIELD)
        if email is None or password is None:
            return None
        address = client_address(request) if request else "unknown"
        try:
            return services.check_credentials(email=email, password=password, address=address)
        except Refusal:
            return None
