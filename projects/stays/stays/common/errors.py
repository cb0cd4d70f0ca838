"""What a service raises when it refuses. REST and GraphQL each say it in their own form.

A refusal's text is for the client: it never quotes the database, a token or another's data.
"""

from typing import ClassVar


class Refusal(Exception):
    """The request was understood and is refused.

    Attributes:
        status: The HTTP status that says it.
        code: A short name that programs can rely on.
        detail: One sentence for people.
        field: The name of the input that is at fault, if it is one.
    """

    status: ClassVar[int] = 400
    default_code: ClassVar[str] = "invalid"

    def __init__(self, detail: str, *, code: str | None = None, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.field = field


class Invalid(Refusal):
    """The input has the right form, and cannot be: a day that has passed, too many guests.

    Input of the wrong form is a 400, and is refused before a service sees it.
    """

    status = 422


class Unauthenticated(Refusal):
    """It is not known who asks."""

    status = 401
    default_code = "authentication_failed"


class Forbidden(Refusal):
    """The one who asks may not do this."""

    status = 403
    default_code = "permission_denied"


class NotFound(Refusal):
    """There is no such thing, or none that the one who asks may know of."""

    status = 404
    default_code = "not_found"


class Conflict(Refusal):
    """The input is right, but not in the state that things are in."""

    status = 409
    default_code = "conflict"


class PreconditionFailed(Refusal):
    """The thing has changed since the client read it."""

    status = 412
    default_code = "precondition_failed"


class Unprocessable(Refusal):
    """The request contradicts an earlier one."""

    status = 422
    default_code = "unprocessable"


class TooMany(Refusal):
    """Too many attempts; `retry_after` seconds from now another one is allowed."""

    status = 429
    default_code = "throttled"

    def __init__(self, detail: str, *, retry_after: int) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(Refusal):
    """Something that the request needs is down; `retry_after` is a guess in seconds."""

    status = 503
    default_code = "unavailable"
    retry_after = 5
