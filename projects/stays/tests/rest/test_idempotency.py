import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path
from drf_spectacular.generators import SchemaGenerator
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView
from zeal import zeal_ignore

from stays.accounts.models import User
from stays.common.errors import Conflict, TooMany, Unavailable
from stays.listings.models import Amenity
from stays.rest import idempotency, tasks
from stays.rest.idempotency import idempotent
from stays.rest.models import StoredAnswer
from tests.factories import make_user
from tests.racing import race

pytestmark = pytest.mark.django_db
AsUser = Callable[[User], APIClient]


class Things(APIView):
    """Makes an amenity, then does what the body says."""

    permission_classes = (AllowAny,)

    @idempotent
    def post(self, request: Request) -> HttpResponse:
        made = Amenity.objects.create(slug=f"a{Amenity.objects.count()}", name="Thing")
        match request.data.get("then"):
            case "conflict":
                raise Conflict("It is not so.", code="not_so")
            case "refuse":
                return Response({"no": "no"}, status=400)
            case "wait":
                raise TooMany("Later.", retry_after=7)
            case "unavailable":
                raise Unavailable("It is down.")
            case "crash":
                raise RuntimeError("a fault with a secret")
            case "break":
                with connection.cursor() as cursor:
                    cursor.execute("SELECT no_such_column")
            case "plain":
                return HttpResponse(b"plain", status=202, content_type="text/plain")
            case "much":
                return Response({"text": "x" * idempotency.MAX_BYTES})
            case "empty":
                return Response(status=204)
            case "set":  # cannot be rendered
                return Response({"set": object()})
        headers = {"Location": f"/things/{made.slug}", "ETag": '"1"', "X-Moment": "now"}
        return Response({"id": made.pk, "slug": made.slug}, status=201, headers=headers)


urlpatterns = [path("things", Things.as_view()), path("others", Things.as_view())]


@pytest.fixture(autouse=True)
def _urls() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield


def send(client: APIClient, body: Any = None, key: str | None = "k", to: str = "/things") -> Any:
    headers = {} if key is None else {"Idempotency-Key": key}
    return client.post(to, {} if body is None else body, headers=headers, format="json")


def test_a_request_sent_again_is_done_once_and_answered_the_same(as_user: AsUser) -> None:
    client = as_user(make_user())
    first, second = send(client), send(client)
    assert first.status_code == second.status_code == 201
    assert first.content == second.content
    assert json.loads(first.content)["slug"] == "a0"
    for name in ("Content-Type", "Location", "ETag", "Allow"):
        assert first[name] == second[name]
    assert "Idempotency-Replayed" not in first
    assert second["Idempotency-Replayed"] == "true"
    assert "X-Moment" in first
    assert "X-Moment" not in second
    assert Amenity.objects.count() == 1
    assert StoredAnswer.objects.count() == 1


def test_without_the_header_every_request_is_done(as_user: AsUser) -> None:
    client = as_user(make_user())
    assert [send(client, key=None).status_code for _ in range(2)] == [201, 201]
    assert Amenity.objects.count() == 2
    assert not StoredAnswer.objects.exists()


def test_the_order_of_a_bodys_keys_does_not_matter(as_user: AsUser) -> None:
    client = as_user(make_user())
    send(client, {"a": 1, "b": {"c": 2, "d": 3}})
    assert send(client, {"b": {"d": 3, "c": 2}, "a": 1}).status_code == 201
    assert Amenity.objects.count() == 1


@pytest.mark.parametrize(
    ("body", "to"),
    [({"a": 2}, "/things"), ({"a": 1}, "/others"), ({"a": 1}, "/things?b=1"), ([], "/things")],
)
def test_the_same_key_for_another_request_is_refused(as_user: AsUser, body: Any, to: str) -> None:
    client = as_user(make_user())
    send(client, {"a": 1})
    again = send(client, body, to=to)
    assert again.status_code == 422
    assert again.json()["code"] == "idempotency_key_reused"
    assert "a0" not in str(again.json() | {"request_id": ""})
    assert Amenity.objects.count() == 1


def test_a_key_is_one_clients(as_user: AsUser, api: APIClient) -> None:
    slugs = [send(client).json()["slug"] for client in (as_user(make_user()), as_user(make_user()))]
    assert slugs == ["a0", "a1"]
    assert [send(api).json()["slug"] for _ in range(2)] == ["a2", "a2"]
    assert StoredAnswer.objects.filter(client="anonymous").count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a b", " ", "\x7f", "\u00e9", "a\tb"])
def test_a_key_that_cannot_be_is_refused(as_user: AsUser, key: str) -> None:
    client = as_user(make_user())
    refused = client.post("/things", {}, format="json", HTTP_IDEMPOTENCY_KEY=key)
    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == ["Idempotency-Key"]
    assert not Amenity.objects.exists()
    assert not StoredAnswer.objects.exists()


@pytest.mark.parametrize("key", ["!", "~" * 255, "0f5c-4a"])
def test_a_key_may_be_any_visible_text(as_user: AsUser, key: str) -> None:
    client = as_user(make_user())
    assert [send(client, key=key).status_code for _ in range(2)] == [201, 201]
    assert Amenity.objects.count() == 1


@pytest.mark.parametrize(
    ("then", "status", "code"), [("conflict", 409, "not_so"), ("refuse", 400, None)]
)
def test_a_refusal_is_kept_and_what_it_wrote_is_not(
    as_user: AsUser, then: str, status: int, code: str | None
) -> None:
    client = as_user(make_user())
    first, second = send(client, {"then": then}), send(client, {"then": then})
    assert first.status_code == second.status_code == status
    assert first.content == second.content
    assert first["Content-Type"] == second["Content-Type"]
    assert second.json().get("code") == code
    assert second["Idempotency-Replayed"] == "true"
    assert not Amenity.objects.exists()


@pytest.mark.parametrize(
    ("then", "status"),
    [("crash", 500), ("break", 500), ("set", 500), ("unavailable", 503), ("wait", 429)],
)
def test_what_asks_for_another_try_is_not_kept(as_user: AsUser, then: str, status: int) -> None:
    client = as_user(make_user())
    failed = send(client, {"then": then})
    assert failed.status_code == status
    assert "secret" not in failed.content.decode()
    assert "Idempotency-Replayed" not in failed
    assert not Amenity.objects.exists()
    assert not StoredAnswer.objects.exists()
    assert send(client).status_code == 201


def test_an_answer_that_is_not_json_is_kept_too(as_user: AsUser) -> None:
    client = as_user(make_user())
    for _ in range(2):
        answer = send(client, {"then": "plain"})
        assert (answer.status_code, answer.content) == (202, b"plain")
        assert answer["Content-Type"] == "text/plain"
    for _ in range(2):
        answer = send(client, {"then": "empty"}, key="k2")
        assert (answer.status_code, answer.content) == (204, b"")
    assert answer["Idempotency-Replayed"] == "true"


def test_a_body_that_cannot_be_read_is_refused_and_not_kept(as_user: AsUser) -> None:
    client = as_user(make_user())
    headers = {"Idempotency-Key": "k"}
    bad = client.post("/things", b"{", content_type="application/json", headers=headers)
    form = client.post("/things", b"a=1", content_type="text/plain", headers=headers)
    assert (bad.status_code, form.status_code) == (400, 415)
    assert not StoredAnswer.objects.exists()


def test_a_wrong_method_is_no_business_of_a_key(as_user: AsUser) -> None:
    client = as_user(make_user())
    assert client.get("/things", headers={"Idempotency-Key": "k"}).status_code == 405


@pytest.mark.django_db(transaction=True)
def test_of_twenty_at_once_one_is_done(as_user: AsUser) -> None:
    user = make_user()
    answers = race(lambda _: send(as_user(user)), 20)
    by_status = sorted({answer.status_code for answer in answers})
    assert by_status in ([201], [201, 409])
    made = [answer for answer in answers if answer.status_code == 201]
    assert len({answer.content for answer in made}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in made) == 1
    for answer in answers:
        if answer.status_code == 409:
            assert answer.json()["code"] == "request_running"
    assert Amenity.objects.count() == 1
    assert StoredAnswer.objects.count() == 1
    assert send(as_user(user))["Idempotency-Replayed"] == "true"


@pytest.mark.django_db(transaction=True)
def test_while_a_request_runs_the_same_one_is_refused(as_user: AsUser) -> None:
    user = make_user()
    with transaction.atomic():
        idempotency._lock(str(user.id), "k")
        (running,) = race(lambda _: send(as_user(user)), 1)
        (other_key,) = race(lambda _: send(as_user(user), key="k2"), 1)
        (other_user,) = race(lambda _: send(as_user(make_user())), 1)
    assert (running.status_code, running.json()["code"]) == (409, "request_running")
    assert other_key.status_code == other_user.status_code == 201
    assert send(as_user(user)).status_code == 201


@pytest.mark.django_db(transaction=True)
def test_a_crash_leaves_nothing_locked(as_user: AsUser) -> None:
    user = make_user()
    assert send(as_user(user), {"then": "crash"}).status_code == 500
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert cursor.fetchone() == (0,)
    (again,) = race(lambda _: send(as_user(user)), 1)
    assert again.status_code == 201
    assert Amenity.objects.count() == 1


def test_answers_older_than_a_day_are_deleted() -> None:
    now = datetime.now(UTC)
    for hours in (23, 25, 48):
        answer = StoredAnswer.objects.create(
            client="c", key=str(hours), fingerprint="f", status=201, body=b""
        )
        StoredAnswer.objects.filter(id=answer.id).update(created_at=now - timedelta(hours=hours))
    assert tasks.forget_answers() == 2
    assert [answer.key for answer in StoredAnswer.objects.all()] == ["23"]


def test_the_header_is_documented() -> None:
    document = SchemaGenerator(patterns=urlpatterns).get_schema(public=True)
    operation = document["paths"]["/things"]["post"]
    (header,) = operation["parameters"]
    assert (header["name"], header["in"]) == ("Idempotency-Key", "header")
    assert not header.get("required")
    assert header["schema"]["maxLength"] == 255
    assert {"409", "422"} <= set(operation["responses"])


def test_the_admin_only_shows_answers(client: Any) -> None:
    answer = StoredAnswer.objects.create(
        client="c", key="k", fingerprint="f", status=201, body=b"secret"
    )
    with zeal_ignore():
        client.force_login(make_user(role="admin", is_staff=True, is_superuser=True))
    with zeal_ignore(), override_settings(ROOT_URLCONF="stays.urls"):
        shown = client.get(f"/admin/rest/storedanswer/{answer.id}/change/")
        assert client.get("/admin/rest/storedanswer/").status_code == 200
        assert client.get("/admin/rest/storedanswer/add/").status_code == 403
        assert client.post(f"/admin/rest/storedanswer/{answer.id}/change/", {}).status_code == 403
    assert shown.status_code == 200
    assert b"secret" not in shown.content


def test_what_would_be_too_large_to_store_is_not_done(as_user: AsUser) -> None:
    client = as_user(make_user())
    answer = send(client, {"then": "much"})
    assert (answer.status_code, answer.json()["code"]) == (422, "answer_too_large")
    assert (Amenity.objects.count(), StoredAnswer.objects.count()) == (0, 0)
    assert send(client, {"then": "much"}, key=None).status_code == 200
