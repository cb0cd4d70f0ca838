"""The OpenAPI description: every operation also names the problems it may answer with."""

from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import OpenApiResponse

from catalogue.fields import StrictSerializer
from catalogue.problems import MEDIA_TYPE, ProblemSerializer


class ProblemAutoSchema(AutoSchema):
    """Adds the problems to what drf-spectacular finds."""

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        """Return the responses of an operation, by status."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._problem_statuses():
            response = OpenApiResponse(ProblemSerializer, HTTPStatus(status).phrase)
            bodies[str(status)] = self._get_response_for_code(  # type: ignore[no-untyped-call]
                response, str(status), [MEDIA_TYPE], direction
            )
        return dict(sorted(bodies.items()))

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        """Return the schema of a serializer. A strict one takes no other keys."""
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(force_instance(serializer), StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _problem_statuses(self) -> set[int]:
        """Return the statuses of the problems that this operation may answer with."""
        statuses = {400, 401, 403, 406, 503}  # 401 also where all may read: a bad token
        if "{" in self.path or self.method == "POST":  # whose body may name what is not there
            statuses.add(404)
        if self.method in ("POST", "PATCH", "DELETE"):
            statuses |= {409, 413, 415}
        if self.method in ("POST", "PATCH"):
            statuses |= {422, 429}
        return statuses
