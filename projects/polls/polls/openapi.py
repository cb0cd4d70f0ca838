"""The OpenAPI description: every operation also names the problems it may answer with."""

from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import OpenApiResponse

from polls.fields import StrictSerializer
from polls.problems import MEDIA_TYPE, ProblemSerializer


class ProblemAutoSchema(AutoSchema):
    """Adds the problems to what drf-spectacular finds."""

    def _get_response_bodies(
        self, direction: Literal["request", "response"] = "response"
    ) -> dict[str, Any]:
        """Return the responses of an operation, by status."""
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self.problem_statuses():
            response = OpenApiResponse(ProblemSerializer, HTTPStatus(int(status)).phrase)
            described = self._get_response_for_code(  # type: ignore[no-untyped-call]
                response, status, [MEDIA_TYPE], direction
            )
            bodies.setdefault(status, described)
        return dict(sorted(bodies.items()))

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
        statuses = {"400", "406", "503", "401"}
        if {} not in self.get_auth():  # not for everybody
            statuses.add("403")
        if "{" in self.path:
            statuses.add("404")
        if self.method in ("POST", "PATCH", "DELETE"):
            statuses |= {"409", "413", "415", "429"}
        return sorted(statuses)


STREAM = {
    "operationId": "polls_stream",
    "description": (
        "Live results as server-sent events. Each event `results` holds the whole results as JSON, "
        "with an id. A client that connects again sends it as Last-Event-ID, and gets an event as "
        "soon as there is something new. The last event is `final`; asked again after that, the "
        "answer is 204. Without news a comment comes every 15 seconds. For browsers the session's "
        "cookie is good too."
    ),
    "tags": ["polls"],
    "parameters": [
        {
            "in": "path",
            "name": "poll_id",
            "required": True,
            "schema": {"type": "string", "format": "uuid"},
        },
        {"in": "header", "name": "Last-Event-ID", "schema": {"type": "string"}},
    ],
    "security": [{"bearerAuth": []}, {}],
    "responses": {
        "200": {
            "description": "Events",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        "204": {"description": "The client has the final results"},
        **{
            status: {
                "description": text,
                "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
            }
            for status, text in (
                ("401", "The token is not valid"),
                ("403", "The results are private until the poll is closed"),
                ("404", "There is no such poll"),
                ("429", "Too many streams of this address"),
                ("503", "Too many streams of this process, or the database is away"),
            )
        },
    },
}


def add_stream(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Describe the one address that is not DRF's."""
    result["paths"]["/api/v1/polls/{poll_id}/stream"] = {"get": STREAM}
    return result
