"""Who may do what: every route, every method, every kind of caller.

A route or a method that is not in the table fails a test. So nothing is added without a decision on
who may use it.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import transaction
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.test import APIClient

from jobs.web import PROBES
from tests.conftest import PASSWORD, World, client_of

CALLERS = ("nobody", "other_person", "person", "other_boss", "boss", "admin")
"""`person` has the application, and `boss` is of the employer that it went to."""
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
NEW_JOB = {
    "title": "Cook",
    "description": "You cook.",
    "category": "{category}",
    "place": "Tarnby",
    "type": "full_time",
    "salary_min": 1,
    "salary_max": 2,
}
NEW_USER = {"email": "new@example.com", "name": "New", "password": PASSWORD}

# route, method, body: the statuses for the callers, in their order
TABLE: dict[tuple[str, str], tuple[Any, tuple[int, ...]]] = {
    ("", "GET"): (None, (200,) * 6),
    ("api/schema", "GET"): (None, (200,) * 6),
    ("api/docs", "GET"): (None, (200,) * 6),
    ("api/v1/auth/register", "POST"): (NEW_USER, (201,) * 6),
    ("api/v1/auth/login", "POST"): ({"email": "a@b.example", "password": "wrong"}, (401,) * 6),
    ("api/v1/auth/refresh", "POST"): ({"refresh": "no token"}, (401,) * 6),
    ("api/v1/auth/logout", "POST"): ({"refresh": "no token"}, (401,) * 6),
    ("api/v1/me", "GET"): (None, (401, 200, 200, 200, 200, 200)),
    ("api/v1/users", "GET"): (None, (401, 403, 403, 403, 403, 200)),
    ("api/v1/users", "POST"): (
        {**NEW_USER, "role": "applicant"},
        (401, 403, 403, 403, 403, 201),
    ),
    ("api/v1/users/<int:pk>", "PATCH"): ({"is_active": False}, (401, 403, 403, 403, 403, 200)),
    ("api/v1/employers", "GET"): (None, (200,) * 6),
    ("api/v1/employers", "POST"): (
        {"name": "New", "email": "new@example.com"},
        (401, 403, 403, 403, 403, 201),
    ),
    ("api/v1/employers/<int:pk>/jobs", "GET"): (None, (401, 403, 403, 404, 200, 200)),
    ("api/v1/employers/<int:pk>/jobs", "POST"): (NEW_JOB, (401, 403, 403, 404, 201, 201)),
    ("api/v1/categories", "GET"): (None, (200,) * 6),
    ("api/v1/categories", "POST"): (
        {"slug": "new", "name": "New"},
        (401, 403, 403, 403, 403, 201),
    ),
    ("api/v1/categories/<slug:slug>", "PATCH"): (
        {"name": "New"},
        (401, 403, 403, 403, 403, 200),
    ),
    ("api/v1/categories/<slug:slug>", "DELETE"): (None, (401, 403, 403, 403, 403, 409)),
    ("api/v1/jobs", "GET"): (None, (200,) * 6),
    ("api/v1/jobs/<int:pk>", "GET"): (None, (200,) * 6),
    ("api/v1/jobs/<int:pk>", "PATCH"): ({"title": "Cook"}, (401, 403, 403, 404, 200, 200)),
    ("api/v1/jobs/<int:pk>/close", "POST"): (None, (401, 403, 403, 404, 200, 200)),
    ("api/v1/applications", "GET"): (None, (401, 200, 200, 200, 200, 403)),
    ("api/v1/applications", "POST"): (
        {"job": "{job}", "resume": "{resume}"},
        (401, 400, 409, 403, 403, 403),
    ),
    ("api/v1/applications/<int:pk>", "GET"): (None, (401, 404, 200, 404, 200, 403)),
    ("api/v1/applications/<int:pk>/transitions", "POST"): (
        {"to": "rejected"},
        (401, 404, 403, 404, 200, 403),
    ),
    ("api/v1/applications/<int:pk>/resume", "GET"): (None, (401, 404, 200, 404, 200, 403)),
    ("api/v1/resumes", "GET"): (None, (401, 200, 200, 403, 403, 403)),
    ("api/v1/resumes", "POST"): (None, (401, 400, 400, 403, 403, 403)),
    ("api/v1/resumes/<uuid:pk>", "DELETE"): (None, (401, 404, 204, 403, 403, 403)),
}


def address(route: str, world: World) -> str:
    own = {
        "users": world.person.pk,
        "employers": world.employer.pk,
        "jobs": world.job.pk,
        "applications": world.application.pk,
        "resumes": world.resume.pk,
    }
    for name, pk in own.items():
        route = route.replace(f"{name}/<int:pk>", f"{name}/{pk}")
        route = route.replace(f"{name}/<uuid:pk>", f"{name}/{pk}")
    return "/" + route.replace("<slug:slug>", world.job.category.slug)


def filled(body: Any, world: World) -> Any:
    """Put what exists into a body."""
    places = {
        "{category}": world.job.category.slug,
        "{job}": world.job.pk,
        "{resume}": str(world.resume.pk),
    }
    if not isinstance(body, dict):
        return body
    return {
        name: places.get(value, value) if isinstance(value, str) else value
        for name, value in body.items()
    }


def call(client: APIClient, method: str, where: str, body: Any) -> Any:
    return getattr(client, method.lower())(where, body)


@pytest.mark.parametrize(("route", "method"), TABLE, ids=lambda text: text or "start")
def test_who_may(world: World, route: str, method: str) -> None:
    body, statuses = TABLE[route, method]
    found = {}
    for caller in CALLERS:
        client = client_of(getattr(world, caller, None))
        with transaction.atomic():
            answer = call(client, method, address(route, world), filled(body, world))
            transaction.set_rollback(True)
        found[caller] = answer.status_code
        if answer.status_code >= 400:
            assert answer["Content-Type"] == "application/problem+json"
            assert set(answer.json()) == {"type", "title", "status", "code", "detail", "errors"}
        assert (answer.status_code == 401) == ("WWW-Authenticate" in answer)
    assert found == dict(zip(CALLERS, statuses, strict=True))


def routes(patterns: list[Any]) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            yield from routes(pattern.url_patterns)
        elif isinstance(pattern, URLPattern):
            yield str(pattern.pattern)


def test_the_table_knows_every_route() -> None:
    assert set(routes(get_resolver().url_patterns)) == {route for route, _ in TABLE}
    assert set(PROBES) == {"/healthz", "/readyz"}  # for everybody, see test_web


def test_a_method_that_is_not_in_the_table_is_for_nobody(world: World) -> None:
    for route in {route for route, _ in TABLE}:
        for method in set(METHODS) - {method for known, method in TABLE if known == route}:
            answer = call(client_of(world.admin), method, address(route, world), {})
            assert answer.status_code in (403, 405), (route, method)
