"""A client for /graphql."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from stays.accounts.models import User

GRAPHQL = "application/graphql-response+json"
Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def ask() -> Ask:
    """Send a document, and return the answer, which must be one of GraphQL's (0: any status)."""

    def send(
        query: str,
        *,
        user: User | None = None,
        status: int = 200,
        headers: dict[str, str] | None = None,
        **variables: Any,
    ) -> dict[str, Any]:
        client = APIClient(raise_request_exception=False)
        if user is not None:
            client.force_authenticate(user)
        response = client.post(
            "/graphql",
            {"query": query, "variables": variables},
            format="json",
            headers={"Accept": GRAPHQL} | (headers or {}),
        )
        assert status in (0, response.status_code), response.content
        assert response["Content-Type"] == f"{GRAPHQL}; charset=utf-8"
        answer: dict[str, Any] = response.json()
        return answer

    return send


@pytest.fixture
def introspection() -> Any:
    """Let the schema be asked for."""
    with override_settings(GRAPHQL_INTROSPECTION=True):
        yield
