import json
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from drf_spectacular.generators import SchemaGenerator

from stays.rest.openapi import TEXTS

pytestmark = pytest.mark.xdist_group("openapi")  # the description is made once


@pytest.fixture(scope="module")
def schema() -> Any:
    return SchemaGenerator().get_schema(public=True)


def test_it_is_valid_without_a_warning(tmp_path: Any) -> None:
    file = tmp_path / "schema.json"
    call_command(
        "spectacular", validate=True, fail_on_warn=True, format="openapi-json", file=str(file)
    )
    assert json.loads(file.read_text())["openapi"].startswith("3.1.")


@pytest.mark.django_db
def test_it_is_served_as_json_to_everybody(client: Client) -> None:
    answer = client.get("/api/schema", headers={"Authorization": "Bearer not a token"})
    assert answer.status_code == 200
    assert answer["Content-Type"].startswith("application/vnd.oai.openapi+json")
    assert answer.json()["info"]["title"] == "Stays"


def operations(schema: Any) -> Any:
    for path, item in schema["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield path, method, operation


def test_every_operation_documents_its_problems(schema: Any) -> None:
    found = 0
    for path, method, operation in operations(schema):
        found += 1
        responses = operation["responses"]
        assert {"400", "406", "429"} <= set(responses), (path, method)
        for status in set(responses) & set(TEXTS):
            content = responses[status]["content"]
            assert list(content) == ["application/problem+json"], (path, method, status)
        if "{" in path:
            assert "404" in responses, (path, method)
        if method != "get":
            assert {"409", "413", "415"} <= set(responses), (path, method)
    assert found > 0


def test_every_operation_has_a_name_of_its_own(schema: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(schema)]
    assert len(names) == len(set(names))


def test_the_problem_is_described(schema: Any) -> None:
    problem = schema["components"]["schemas"]["Problem"]
    assert set(problem["required"]) == set(problem["properties"])
    assert "request_id" in problem["properties"]


def test_what_is_always_in_an_answer_is_required(schema: Any) -> None:
    """A client's types would have each of these as missing, perhaps."""
    components = schema["components"]["schemas"]
    shown = {name for name in components if not name.endswith("Request")}
    assert {"Booking", "Property", "PropertySummary", "Review", "Message", "Payment"} <= shown
    optional = {
        f"{name}.{field}"
        for name in shown
        for field in components[name].get("properties", {})
        if field not in components[name].get("required", [])
    }
    assert optional == set()
    amounts = components["Booking"]["properties"]["total_minor"]
    assert amounts.get("minimum", 0) >= 0


def test_every_tag_is_described(schema: Any) -> None:
    used = {tag for _, _, operation in operations(schema) for tag in operation["tags"]}
    assert {tag["name"] for tag in schema["tags"] if tag["description"]} == used


def test_what_everybody_may_use_alike_asks_for_no_token(schema: Any) -> None:
    cities, booking = schema["paths"]["/api/v1/cities"], schema["paths"]["/api/v1/bookings"]
    assert not cities["get"].get("security")
    assert booking["get"]["security"] == [{"bearerAuth": []}]
    assert "401" in cities["get"]["responses"]  # a token that is no good is refused all the same
