"""Input that costs more than it should, and what is not kept or counted."""

import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rest_framework.test import APIClient
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.rest import idempotency
from stays.rest.models import StoredAnswer
from tests.factories import make_host, make_property, make_user

pytestmark = pytest.mark.django_db
AsUser = Callable[[User], APIClient]
PROPERTIES = "/api/v1/properties"


def test_a_long_list_is_refused_by_its_length(as_user: AsUser) -> None:
    client = as_user(make_host())
    begin = time.process_time()
    answer = client.post(PROPERTIES, {"amenities": [""] * 30_000})
    assert time.process_time() - begin < 1  # it took 10 and more
    assert answer.status_code == 400
    (fault,) = [each for each in answer.json()["errors"] if "amenities" in each["field"]]
    assert (fault["field"], fault["code"]) == ("amenities", "max_length")
    assert len(answer.content) < 5_000


def test_an_answer_lists_twenty_faults_at_most(as_user: AsUser) -> None:
    answer = as_user(make_host()).post(PROPERTIES, {"amenities": [""] * 50})
    assert len(answer.json()["errors"]) == 20


@pytest.mark.parametrize("number", [50, 9_000])
def test_graphql_lists_as_few(as_user: AsUser, number: int) -> None:
    document = """mutation($input: NewProperty!) {
        createProperty(input: $input) { ... on Refusal { errors { field code } } } }"""
    fields: dict[str, Any] = {
        "city": "x", "title": "", "kind": "ENTIRE", "address": "", "latitude": 1, "longitude": 1,
        "maxGuests": 0, "bedrooms": 0, "nightlyMinor": 0, "currency": "",
        "amenities": [""] * number,
    }  # fmt: skip
    body = {"query": document, "variables": {"input": fields}}
    begin = time.process_time()
    errors = as_user(make_host()).post("/graphql", body).json()["data"]["createProperty"]["errors"]
    assert time.process_time() - begin < 2
    assert 1 < len(errors) <= 20


def test_a_body_that_no_operation_needs_is_refused(as_user: AsUser) -> None:
    answer = as_user(make_host()).post(PROPERTIES, {"description": "a" * 130_000})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = as_user(make_host()).post(PROPERTIES, {"description": "\U0001f600" * 5_000})
    assert answer.status_code == 400  # other fields are missing: it was read
    assert "description" not in {each["field"] for each in answer.json()["errors"]}


QUERY = "query Ask { properties(first: 1) { edges { node { slug } } } }"
MUTATION = 'mutation Do { markRead(conversation: "x") { __typename } }'


@pytest.mark.parametrize(
    "body",
    [
        {"query": QUERY},
        {"query": f"{QUERY} {MUTATION}", "operationName": "Ask"},
        {"query": f"{QUERY} {MUTATION}"},  # which one is not said
        {"query": "{ no"},
        {"query": "{" * 1_001},
        {"query": 1},
        [],
    ],
)
def test_only_answers_to_mutations_are_kept(api: APIClient, body: Any) -> None:
    make_property()
    for _ in range(2):
        answer = api.post("/graphql", body, headers={"Idempotency-Key": "key-1"})
        assert "Idempotency-Replayed" not in answer
    assert not StoredAnswer.objects.exists()


def test_the_answer_to_a_mutation_is_kept(as_user: AsUser) -> None:
    client, headers = as_user(make_user()), {"Idempotency-Key": "key-1"}
    with zeal_ignore():
        for body in ({"query": MUTATION}, {"query": MUTATION}):
            answer = client.post("/graphql", body, headers=headers)
    assert answer["Idempotency-Replayed"] == "true"
    assert StoredAnswer.objects.count() == 1


def test_the_answers_that_are_kept_for_a_user_are_bounded(
    as_user: AsUser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "MAX_ANSWERS", 2)
    client = as_user(make_user())

    def ask(key: str) -> Any:
        return client.post("/api/v1/bookings", {}, headers={"Idempotency-Key": key})

    with zeal_ignore():
        assert [ask(key).status_code for key in ("a", "b", "c")] == [400, 400, 429]
        assert ask("a")["Idempotency-Replayed"] == "true"
        assert int(ask("c")["Retry-After"]) > 60
        assert (
            as_user(make_user())
            .post("/api/v1/bookings", {}, headers={"Idempotency-Key": "c"})
            .status_code
            == 400
        )
    assert StoredAnswer.objects.count() == 3


def test_no_answer_is_kept_for_nobody(api: APIClient) -> None:
    answer = api.post("/graphql", {"query": MUTATION}, headers={"Idempotency-Key": "key-1"})
    assert answer.status_code == 200
    assert not StoredAnswer.objects.exists()


def limited(settings: Any) -> None:
    rates = {"anon": "3/m", "user": None, "register": None}
    settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"DEFAULT_THROTTLE_RATES": rates}


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x.y.z"}, {}])
@pytest.mark.parametrize("address", ["/api/v1/me", "/api/v1/bookings"])
def test_requests_of_nobody_known_are_counted(
    api: APIClient, settings: Any, headers: dict[str, str], address: str
) -> None:
    limited(settings)
    answers = [api.get(address, headers=headers) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429, 429]
    assert 0 < int(answers[-1]["Retry-After"]) <= 60


def test_without_valkey_they_are_not(api: APIClient, settings: Any, valkey: redis.Redis) -> None:
    limited(settings)
    default = settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    settings.CACHES = settings.CACHES | {"default": default}
    assert [api.get("/api/v1/me").status_code for _ in range(5)] == [401] * 5
    assert valkey.keys("throttle:*") == []


HIDDEN = ["a\r\nBcc: x@x", "a\tb", "a\u2028b", "a\u202eb", "a\u200bb", "a\u2066b", "\ufeffa"]
HIDDEN += ["\u3164", "\u2800 \u2800", "a\u180eb", "a\ufffab"]


@pytest.mark.parametrize("text", HIDDEN)
def test_what_is_one_line_is_one(as_user: AsUser, text: str) -> None:
    answer = as_user(make_user()).patch("/api/v1/me", {"name": text})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "control_characters")
    host = make_host()
    place = make_property(host=host)
    client = as_user(host)
    tag = client.get(f"{PROPERTIES}/{place.slug}")["ETag"]
    for field in ("title", "address"):
        answer = client.patch(
            f"{PROPERTIES}/{place.slug}", {field: text}, headers={"If-Match": tag}
        )
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, field)


@pytest.mark.parametrize(
    "text", ["\u061c", "\u200d\u200d", "\u00ad", "\ufe0f", "\u034f", "\U000e0041"]
)
def test_a_name_can_be_seen(as_user: AsUser, text: str) -> None:
    answer = as_user(make_user()).patch("/api/v1/me", {"name": text})
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, "blank")


@pytest.mark.parametrize("text", ["Zoë", "نام‌ها", "👩‍👩‍👧", "O'Neill-López"])  # noqa: RUF001
def test_names_of_all_scripts_are_taken(as_user: AsUser, text: str) -> None:
    answer = as_user(make_user()).patch("/api/v1/me", {"name": text})
    assert (answer.status_code, answer.json()["name"]) == (200, text)
