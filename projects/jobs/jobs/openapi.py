"""The OpenAPI document: each operation also names the problems that it may answer with."""

from http import HTTPStatus
from typing import Any, Literal

from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import force_instance
from drf_spectacular.utils import OpenApiResponse

from jobs.fields import StrictSerializer
from jobs.permissions import ANYBODY, roles_of
from jobs.problems import MEDIA_TYPE, ProblemSerializer

Direction = Literal["request", "response"]


class ProblemAutoSchema(AutoSchema):
    """Adds the problems, the roles and the strictness to what drf-spectacular finds."""

    def _get_response_bodies(self, direction: Direction = "response") -> dict[str, Any]:
        bodies: dict[str, Any] = super()._get_response_bodies(direction)
        for status in self._problem_statuses():
            response = OpenApiResponse(ProblemSerializer, HTTPStatus(int(status)).phrase)
            described = self._get_response_for_code(  # type: ignore[no-untyped-call]
                response, status, [MEDIA_TYPE], direction
            )
            bodies.setdefault(status, described)
        return dict(sorted(bodies.items()))

    def _roles(self) -> frozenset[str]:
        return roles_of(self.view, self.method.upper())

    def get_auth(self) -> list[dict[str, Any]]:
        """Return how a client proves who it is; nothing, where everybody may call."""
        if self._roles() == ANYBODY:
            return []
        auth: list[dict[str, Any]] = super().get_auth()
        return auth

    def get_description(self) -> str:  # type: ignore[override]
        """Return the view's text, and who may call it."""
        who = ", ".join(sorted(self._roles()))
        return f"{super().get_description()}\n\nFor: {who}."

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        if isinstance(force_instance(serializer), StrictSerializer):
            schema["additionalProperties"] = False
        return schema

    def _problem_statuses(self) -> list[str]:
        statuses = {"400", "406"}
        if self.view.authentication_classes:
            statuses.add("401")  # also where everybody may read: a token that is sent must be valid
        else:
            statuses |= {"401", "429"}  # logging in and what goes with it
        if self._roles() != ANYBODY:
            statuses.add("403")
        if "{" in self.path:
            statuses.add("404")
        if self.method.upper() in ("POST", "PATCH", "DELETE"):
            statuses |= {"409", "413", "415"}
        return sorted(statuses)
