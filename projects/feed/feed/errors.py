"""What the services refuse. Each API says it in its own form."""

from dataclasses import dataclass


@dataclass
class Refusal(Exception):
    """Nothing was done, and why. `code` is for programs, `detail` for people."""

    detail: str
    code: str = "invalid"
    status: int = 422


def not_found(what: str) -> Refusal:
    """Say that there is no such thing, or none that this viewer may see."""
    return Refusal(f"There is no such {what}.", "not_found", 404)


def forbidden(detail: str) -> Refusal:
    """Say that this viewer may not do it."""
    return Refusal(detail, "forbidden", 403)


def unauthenticated(detail: str = "This needs a token.") -> Refusal:
    """Say that this needs somebody who is logged in."""
    return Refusal(detail, "unauthenticated", 401)
