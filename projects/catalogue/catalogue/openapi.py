"""The OpenAPI description: every operation also names the problems it may answer with."""

from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import OpenApiResponse
from rest_framework.permissions import AllowAny

from catalogue.fields import StrictSerializer
from catalogue.problems import MEDIA_TYPE, ProblemSerializer

TEXTS = {
    "400": "The request has faults",
    "401": "It is not known who asks",
    "403": "The one who asks may not do this",
    "404": "There is no such thing",
    "406": "No such media type is offered",
    "409": "Not in the state that things are in",
    "413": "The body is too large",
    "415": "The body has another media type",
    "422": "The input cannot be, or the Idempotency-Key belongs to another request",
    "429": "Too many attempts; Retry-After tells when",
    "503": "The database does not answer",
}


class ProblemAutoSchema(AutoSchema):
    """Adds the problems to what drf-spectacular finds."""

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        """Return the responses of an operation, by status."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._problem_statuses():
            response = OpenApiResponse(ProblemSerializer, TEXTS[status])
            described = self._get_response_for_code(  # type: ignore[no-untyped-call]
                response, status, [MEDIA_TYPE], direction
            )
            bodies.setdefault(status, described)
        return dict(sorted(bodies.items()))

    def get_auth(self) -> list[dict[str, Any]]:
        """Return how a client may prove who it is. Where that makes no difference, nothing."""
        if {type(permission) for permission in self.view.get_permissions()} <= {AllowAny}:
            return []
        reads = any(getattr(each, "everybody_reads", False) for each in self.view.get_permissions())
        if reads and self.method == "GET":
            return []
        auth: list[dict[str, Any]] = super().get_auth()
        return auth

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """Return the schema of a serializer. A strict one takes no other keys."""
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(force_instance(serializer), StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _resolve_path_parameters(self, variables: Any) -> list[dict[str, Any]]:
        """Return the parameters of the path, with what their converters take."""
        found: list[dict[str, Any]] = super()._resolve_path_parameters(  # type: ignore[no-untyped-call]
            variables
        )
        for each in found:
            if each["name"] == "digest":
                each["schema"] = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
            elif each["name"] == "number" and "/products/" in self.path:
                each["schema"] = {"type": "integer", "minimum": 0, "maximum": 2**63 - 1}
        return found

    def _problem_statuses(self) -> list[str]:
        """Return the statuses of the problems that this operation may answer with."""
        statuses = {"400", "401", "403", "406", "503"}  # 401 also where all may read: a bad token
        if "{" in self.path or self.method == "POST":  # whose body may name what is not there
            statuses.add("404")
        if self.method in ("POST", "PATCH", "DELETE"):
            statuses |= {"409", "413", "415"}
        if self.method in ("POST", "PATCH"):
            statuses |= {"422", "429"}
        return sorted(statuses)
