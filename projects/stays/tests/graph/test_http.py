"""GraphQL over HTTP: what the specification and the audits of graphql-http ask for."""

import json
from typing import Any

import pytest
from django.conf import settings
from django.http import HttpResponse
from django.test import Client
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts import services
from tests.factories import PASSWORD, make_admin, make_user
from tests.graph.conftest import GRAPHQL

JSON = "application/json"
TYPENAME = {"query": "{ __typename }"}


def post(
    body: Any, *, accept: str | None = GRAPHQL, content_type: str = JSON, **headers: str
) -> HttpResponse:
    data = body if isinstance(body, str | bytes) else json.dumps(body)
    if accept is not None:
        headers["Accept"] = accept
    client = Client(raise_request_exception=False)
    return client.post("/graphql", data, content_type=content_type, headers=headers)


def get(parameters: dict[str, str], accept: str = GRAPHQL) -> HttpResponse:
    return Client().get("/graphql", parameters, headers={"Accept": accept})


def problem(response: HttpResponse) -> dict[str, Any]:
    assert response["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    return body


@pytest.mark.parametrize(
    ("accept", "sent"),
    [
        (GRAPHQL, GRAPHQL),
        (JSON, JSON),
        ("*/*", JSON),
        (None, JSON),
        ("application/*", JSON),
        (f"{GRAPHQL}, {JSON};q=0.9", GRAPHQL),
        (f"{GRAPHQL};q=0.1, {JSON}", JSON),
        (f"{GRAPHQL}; charset=utf-8, {JSON}; charset=utf-8", GRAPHQL),
        (f"text/html, {GRAPHQL};q=0.5", GRAPHQL),
    ],
)
def test_the_media_type_that_the_client_likes_best_is_sent(accept: str | None, sent: str) -> None:
    response = post(TYPENAME, accept=accept)
    assert response.status_code == 200
    assert response["Content-Type"] == f"{sent}; charset=utf-8"
    assert response.json() == {"data": {"__typename": "Query"}}
    assert "Accept" in response["Vary"]
    assert response["Cache-Control"] == "no-store"


@pytest.mark.parametrize("accept", ["text/html", "image/*", f"{GRAPHQL};q=0", ""])
def test_another_media_type_is_not_acceptable(accept: str) -> None:
    assert problem(post(TYPENAME, accept=accept))["status"] == 406


def test_there_is_no_page_to_explore_the_schema_with() -> None:
    assert problem(get({}, accept="text/html"))["status"] == 406


@pytest.mark.parametrize("accept", [GRAPHQL, JSON])
@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": "#"},
        {"query": "{ nonsense }"},
        {"query": "query ($id: ID!) { __typename }", "variables": {"id": None}},
        {"query": "query ($id: ID!) { __typename }"},
        {"query": "query ($n: Int) { __typename }", "variables": {"n": "x"}},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "query A { __typename } query B { __typename }", "operationName": "C"},
        {"query": "fragment F on Query { __typename }"},
        {"query": "subscription { __typename }"},
        {"query": "{ __typename @defer }"},
    ],
)
def test_a_request_error_is_a_400_without_data(accept: str, body: dict[str, Any]) -> None:
    response = post(body, accept=accept)
    assert response.status_code == 400
    assert response["Content-Type"] == f"{GRAPHQL}; charset=utf-8"
    answer = response.json()
    assert set(answer) == {"errors"}
    assert {error["extensions"]["code"] for error in answer["errors"]} == {"invalid"}


@pytest.mark.parametrize(
    "body",
    [
        "",
        "NONSENSE",
        '{"query":',
        b'{"query": "\xff"}',
        '{"query": "{ __typename }", "variables": {"x": NaN}}',
        "[" * 50_000,
        [TYPENAME],
        [],
        "null",
        "7",
        {},
        {"qeury": "{ __typename }"},
        {"query": None},
        {"query": ""},
        {"query": 7},
        {"query": True},
        {"query": {}},
        {"query": ["{ __typename }"]},
        TYPENAME | {"variables": []},
        TYPENAME | {"variables": "{}"},
        TYPENAME | {"variables": 0},
        TYPENAME | {"variables": False},
        TYPENAME | {"extensions": []},
        TYPENAME | {"extensions": "x"},
        TYPENAME | {"operationName": 7},
        TYPENAME | {"operationName": {}},
        TYPENAME | {"operationName": []},
    ],
)
def test_what_is_no_graphql_request_is_a_problem(body: Any) -> None:
    assert problem(post(body))["status"] == 400


def test_null_is_the_same_as_not_given_and_unknown_parameters_are_passed_over() -> None:
    nothing = {"variables": None, "operationName": None, "extensions": None}
    assert post(TYPENAME | nothing | {"id": 7}).json() == {"data": {"__typename": "Query"}}
    assert post(TYPENAME | {"extensions": {"x": 1}}).status_code == 200


def test_the_operation_that_is_named_is_executed() -> None:
    query = "query A { a: __typename } query B { b: __typename }"
    assert post({"query": query, "operationName": "B"}).json() == {"data": {"b": "Query"}}


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/graphql",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
    ],
)
def test_only_json_is_read(content_type: str) -> None:
    body = json.dumps(TYPENAME)
    response = Client().generic(
        "POST", "/graphql", body, content_type=content_type, headers={"Accept": GRAPHQL}
    )
    assert problem(response)["status"] == 415


def test_the_encoding_may_be_named() -> None:
    query = {"query": '{ ok: __typename, __type(name: "Run🏃Swim🏊") { name } }'}
    for content_type in (JSON, f"{JSON}; charset=utf-8"):
        body = json.dumps(query, ensure_ascii=False).encode()
        response = post(body, content_type=content_type)
        assert response.status_code == 400  # introspection is off
        assert "🏃" not in response.content.decode()


@pytest.mark.parametrize("method", ["put", "patch", "delete", "options", "trace"])
def test_other_methods_are_not_allowed(method: str) -> None:
    response = getattr(Client(), method)("/graphql", headers={"Accept": GRAPHQL})
    assert problem(response)["status"] == 405
    assert response["Allow"] == "GET, HEAD, POST"


def test_a_query_may_come_by_get() -> None:
    query = "query A($s: Boolean!) { a: __typename @skip(if: $s) b: __typename }"
    parameters = {"query": query, "variables": '{"s": true}', "operationName": "A"}
    response = get(parameters)
    assert response.status_code == 200
    assert response.json() == {"data": {"b": "Query"}}
    head = Client().head("/graphql", parameters)
    assert (head.status_code, head.content) == (200, b"")


def test_empty_parameters_are_none() -> None:
    parameters = {"query": "{ __typename }", "variables": "", "operationName": "", "extensions": ""}
    assert get(parameters).json() == {"data": {"__typename": "Query"}}


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"query": ""},
        {"query": "{ __typename }", "variables": "{"},
        {"query": "{ __typename }", "variables": "[]"},
        {"query": "{ __typename }", "variables": "7"},
        {"query": "{ __typename }", "extensions": "[]"},
    ],
)
def test_a_get_that_is_no_graphql_request_is_a_problem(parameters: dict[str, str]) -> None:
    assert problem(get(parameters))["status"] == 400


def test_a_mutation_by_get_is_not_allowed() -> None:
    for parameters in (
        {"query": "mutation { __typename }"},
        {"query": "query A { __typename } mutation B { __typename }", "operationName": "B"},
    ):
        response = get(parameters)
        assert problem(response)["status"] == 405
        assert response["Allow"] == "POST"


def test_a_body_that_is_too_long_is_refused() -> None:
    query = "{ __typename }"
    room = settings.DATA_UPLOAD_MAX_MEMORY_SIZE - len(json.dumps({"query": query}))
    assert post({"query": query + " " * room}).status_code == 200
    assert problem(post({"query": query + " " * (room + 1)}))["status"] == 413


@pytest.mark.django_db
def test_the_cookie_of_the_admin_does_not_sign_in() -> None:
    admin = make_admin()
    client = Client(enforce_csrf_checks=True)
    with zeal_ignore():  # logging in asks twice whether the new session is there
        assert client.login(username=admin.email, password=PASSWORD)
    response = client.post(
        "/graphql",
        {"query": "{ me { email } }"},
        content_type=JSON,
        headers={"Accept": GRAPHQL, "Origin": "https://evil.example"},
    )
    assert response.json()["data"] is None
    assert response.json()["errors"][0]["extensions"] == {"code": "not_authenticated"}


@pytest.mark.django_db
@pytest.mark.parametrize("token", ["nonsense", "a.b.c", ""])
def test_a_wrong_token_is_refused_as_in_rest(token: str) -> None:
    response = post(TYPENAME, Authorization=f"Bearer {token}")
    assert problem(response)["status"] == 401
    assert response["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.django_db
def test_the_tokens_of_rest_are_those_of_graphql() -> None:
    user = make_user(name="Ana")
    tokens = services.log_in(email=user.email, password=PASSWORD, address="192.0.2.1")
    query, header = {"query": "{ me { name } }"}, f"Bearer {tokens.access}"
    with zeal_ignore():  # each request asks who sends it
        assert post(query, Authorization=header).json() == {"data": {"me": {"name": "Ana"}}}
        services.log_out(refresh=tokens.refresh)
        assert problem(post(query, Authorization=header))["status"] == 401


def test_too_many_requests_are_refused_as_in_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(api_settings.DEFAULT_THROTTLE_RATES, "anon", "2/m")
    assert [post(TYPENAME).status_code for _ in range(3)] == [200, 200, 429]


def test_data_and_errors_together_are_a_294_under_graphqls_own_media_type() -> None:
    query = {"query": "{ me { name } }"}
    response = post(query)
    assert (response.status_code, response.reason_phrase) == (294, "Partial Success")
    assert response["Content-Type"] == f"{GRAPHQL}; charset=utf-8"
    assert post(query, accept=JSON).status_code == 200
    assert post(query, accept=JSON)["Content-Type"] == f"{JSON}; charset=utf-8"


def test_a_client_that_is_signed_in_by_drf_is_the_viewer(api: APIClient) -> None:
    response = api.post("/graphql", TYPENAME, format="json")
    assert response.json() == {"data": {"__typename": "Query"}}
