"""The OpenAPI description: every operation also names the problems it may answer with."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse
from rest_framework.permissions import AllowAny

from stays.rest.fields import StrictSerializer
from stays.rest.problems import MEDIA_TYPE, ProblemSerializer

Direction = Literal["request", "response"]
TEXTS = {
    "400": "The request has faults",
    "401": "It is not known who asks",
    "403": "The one who asks may not do this",
    "404": "There is no such thing",
    "406": "No such media type is offered",
    "409": "Not in the state that things are in",
    "412": "The thing has changed since it was read",
    "413": "The body is too large",
    "415": "The body must be JSON",
    "422": "The input cannot be, or the Idempotency-Key belongs to another request",
    "428": "The request needs an If-Match",
    "429": "Too many requests; Retry-After tells when",
    "503": "Something that the request needs is down",
}


def header(name: str, description: str, **options: Any) -> OpenApiParameter:
    """Describe a header; of an answer, if the options have the `response` statuses."""
    return OpenApiParameter(
        name, location=OpenApiParameter.HEADER, description=description, **options
    )


LOCATION = header("Location", "Where it is", response=[201])


def problems(*statuses: int) -> dict[tuple[int, str], OpenApiResponse]:
    """Describe problems that an operation may answer with besides the usual."""
    return {
        (status, MEDIA_TYPE): OpenApiResponse(ProblemSerializer, TEXTS[str(status)])
        for status in statuses
    }


class ProblemAutoSchema(AutoSchema):
    """Adds the problems to what drf-spectacular finds."""

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        """Return the responses of an operation, by status."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self.problem_statuses():
            response = OpenApiResponse(ProblemSerializer, TEXTS[status])
            described = self._get_response_for_code(  # type: ignore[no-untyped-call]
                response, status, [MEDIA_TYPE], direction
            )
            bodies.setdefault(status, described)
        return dict(sorted(bodies.items()))

    def _get_request_body(self, direction: Direction = "request") -> Any:
        """Return the description of a body, which drf-spectacular passes over for a DELETE."""
        method = self.method
        self.method = "POST" if method == "DELETE" else method
        try:
            return super()._get_request_body(direction)  # type: ignore[no-untyped-call]
        finally:
            self.method = method

    def get_summary(self) -> str | None:
        """Return the first paragraph of a docstring that has several, without its full stop."""
        summary, _, rest = super().get_description().partition("\n\n")
        return summary.rstrip(".") if rest else None

    def get_description(self) -> str:  # type: ignore[override]
        """Return what follows the summary."""
        text: str = super().get_description()
        return text.partition("\n\n")[2] or text

    def get_auth(self) -> list[dict[str, Any]]:
        """Return how a client may prove who it is; nothing, where that makes no difference."""
        if {type(permission) for permission in self.view.get_permissions()} == {AllowAny}:
            return []
        auth: list[dict[str, Any]] = super().get_auth()
        return auth

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """Return the schema of a serializer; a strict one takes no other keys."""
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(force_instance(serializer), StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def problem_statuses(self) -> list[str]:
        """Return the statuses of the problems that this operation may answer with."""
        statuses = {"400", "406", "429"}
        if super().get_auth():
            statuses |= {"401", "403"}  # also where everybody may read: a token must be valid
        if "{" in self.path or self.method == "POST":  # whose body may name what is not there
            statuses.add("404")
        if self.method in ("POST", "PUT", "PATCH", "DELETE"):
            statuses |= {"409", "413", "415", "503"}
        if self.method in ("POST", "PUT", "PATCH"):
            statuses.add("422")
        return sorted(statuses)
