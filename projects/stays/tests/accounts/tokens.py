"""Tokens, good ones and forged ones."""

import base64
import json
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt

from stays.accounts import services
from stays.accounts.models import User
from stays.accounts.services import Tokens
from tests.factories import PASSWORD

ADDRESS = "192.0.2.1"


def log_in(user: User) -> Tokens:
    return services.log_in(email=user.email, password=PASSWORD, address=ADDRESS)


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def signed(
    claims: dict[str, Any], *, key: str | None = None, algorithm: str = "HS256", **changes: Any
) -> str:
    """A token with the claims of another; a change to None takes the claim away."""
    changed = {name: value for name, value in (claims | changes).items() if value is not None}
    return jwt.encode(changed, key or os.environ["JWT_SIGNING_KEY"], algorithm=algorithm)


def forgeries(good: str) -> dict[str, str]:
    """What looks like a good token, and is none."""
    claims = claims_of(good)
    header, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": "JWT"}).encode())
    wrong_kind = {"access": "refresh", "refresh": "access"}[claims["token_type"]]
    past = int((datetime.now(UTC) - timedelta(seconds=60)).timestamp())
    return {
        "signed with another key": signed(claims, key="another key " * 8),
        "another algorithm": signed(claims, algorithm="HS384"),
        "no algorithm": f"{none.decode().rstrip('=')}.{payload}.",
        "no algorithm, signature kept": f"{none.decode().rstrip('=')}.{payload}.{signature}",
        "no signature": f"{header}.{payload}.",
        "changed payload": f"{header}.{signed(claims, sid='x').split('.')[1]}.{signature}",
        "expired": signed(claims, exp=past),
        "without an end": signed(claims, exp=None),
        "not from us": signed(claims, iss="others"),
        "from nobody": signed(claims, iss=None),
        "not for us": signed(claims, aud="others"),
        "for nobody": signed(claims, aud=None),
        "of another kind": signed(claims, token_type=wrong_kind),
        "of no kind": signed(claims, token_type=None),
        "without an id": signed(claims, jti=None),
        "without a session": signed(claims, sid=None),
        "a session that is no id": signed(claims, sid="1"),
        "a session that is no text": signed(claims, sid=1),
        "no such session": signed(claims, sid="00000000-0000-7000-8000-000000000000"),
        "nonsense": "nonsense",
        "nonsense with dots": "a.b.c",
        "not ASCII": "é.é.é",
    }
