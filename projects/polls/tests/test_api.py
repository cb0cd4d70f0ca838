"""What programs get, and what they are refused."""

import json
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from polls.models import Token
from polls.services import cast_vote, close_poll
from tests.factories import PASSWORD, client_of, make_poll, make_user, options_of

pytestmark = pytest.mark.django_db
POLLS = "/api/v1/polls"
NEW = {"question": "When?", "options": ["Now", "Later"], "closes_at": "2999-01-01T00:00:00Z"}


def test_from_an_account_to_results() -> None:
    api = client_of(None)
    account = {"username": "ada", "password": PASSWORD}
    assert api.post("/api/v1/auth/register", account).json() == {"username": "ada"}
    login = api.post("/api/v1/auth/login", account | {"username": "ADA"}).json()
    api.credentials(HTTP_AUTHORIZATION=f"Bearer {login['token']}")
    assert not Token.objects.filter(digest=login["token"]).exists()  # only its digest is kept
    answer = api.post(POLLS, NEW)
    poll = answer.json()
    assert answer.headers["Location"] == f"{POLLS}/{poll['id']}"
    assert [option["text"] for option in poll["options"]] == NEW["options"]
    assert (poll["is_open"], poll["my_vote"], poll["owner"]) == (True, None, "ada")
    option = poll["options"][1]["id"]
    vote = api.post(f"{POLLS}/{poll['id']}/votes", {"option": option})
    assert (vote.status_code, vote.json()["option"]) == (201, option)
    assert api.get(f"{POLLS}/{poll['id']}").json()["my_vote"] == option
    again = api.post(f"{POLLS}/{poll['id']}/votes", {"option": option})
    assert (again.status_code, again.json()["code"]) == (409, "already_voted")
    closed = api.post(f"{POLLS}/{poll['id']}/close").json()
    assert closed["closed_at"]
    assert api.post(f"{POLLS}/{poll['id']}/close").json()["code"] == "poll_closed"
    assert api.get(f"{POLLS}/{poll['id']}/results").json() == {
        "poll": poll["id"],
        "final": True,
        "total": 1,
        "options": [
            {"id": poll["options"][0]["id"], "text": "Now", "votes": 0},
            {"id": option, "text": "Later", "votes": 1},
        ],
    }
    assert api.post("/api/v1/auth/logout").status_code == 204
    assert api.get("/api/v1/me").json()["code"] == "authentication_failed"


def test_editing_before_the_first_vote() -> None:
    poll, voter = make_poll(), make_user()
    api, address = client_of(poll.owner), f"{POLLS}/{poll.pk}"
    changes = {"question": "Which?", "options": ["A", "B", "C"], "private_results": True}
    edited = api.patch(address, changes).json()
    assert edited["question"] == "Which?"
    assert edited["private_results"]
    assert [option["text"] for option in edited["options"]] == ["A", "B", "C"]
    assert api.patch(address, {}).json()["question"] == "Which?"
    cast_vote(poll_id=poll.pk, voter=voter, option_id=options_of(poll)[0])
    for change in ({"question": "Else?"}, {"options": ["A", "B"]}, {"closes_at": NEW["closes_at"]}):
        answer = api.patch(address, change)
        assert (answer.status_code, answer.json()["code"]) == (409, "poll_has_votes")
    close_poll(poll_id=poll.pk, actor=poll.owner)
    assert api.patch(address, {"question": "Else?"}).json()["code"] == "poll_closed"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"question": " "}, "question"),
        ({"question": "x" * 201}, "question"),
        ({"question": 7}, "question"),
        ({"question": "a\nb"}, "question"),
        ({"question": "a\u202eb"}, "question"),
        ({"options": ["A"]}, "options"),
        ({"options": [str(n) for n in range(21)]}, "options"),
        ({"options": ["A", "A "]}, "options"),
        ({"options": ["A", "x" * 101]}, "options.1"),
        ({"options": "AB"}, "options"),
        ({"closes_at": "2001-01-01T00:00:00Z"}, "closes_at"),
        ({"closes_at": "2999-01-01"}, "closes_at"),
        ({"closes_at": "2999-13-01T00:00:00Z"}, "closes_at"),
        ({"closes_at": "9999-12-31T23:59:59-23:00"}, "closes_at"),
        ({"closes_at": 1}, "closes_at"),
        ({"private_results": "yes"}, "private_results"),
        ({"owner": "somebody"}, "owner"),
        ({"closed_at": "2999-01-01T00:00:00Z"}, "closed_at"),
        ({"votes": 100}, "votes"),
        ({"id": str(uuid4())}, "id"),
    ],
)
def test_a_poll_with_faults_is_refused_field_by_field(change: dict[str, Any], field: str) -> None:
    answer = client_of(make_user()).post(POLLS, NEW | change)
    assert answer.status_code == 400
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]


@pytest.mark.parametrize("option", ["1", True, 1.5, None, 0, -1, 2**63, [1], {"id": 1}])
def test_a_vote_with_faults_is_refused(option: Any) -> None:
    answer = client_of(make_user()).post(f"{POLLS}/{make_poll().pk}/votes", {"option": option})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "option"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff",
        b"[" * 100_000,
        b'{"option": NaN}',
        b'{"option": 1, "option": 2}',
        b'{"option": "\\ud800"}',
    ],
)
def test_what_is_not_json_is_the_clients_fault(body: bytes) -> None:
    api = client_of(make_user())
    answer = api.generic("POST", f"{POLLS}/{make_poll().pk}/votes", body, "application/json")
    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")


def test_other_refusals_have_the_same_form() -> None:
    poll = make_poll()
    api = client_of(poll.owner)
    for answer, status, code in (
        (api.get(f"{POLLS}/{uuid4()}"), 404, "not_found"),
        (api.get(f"{POLLS}/{uuid4()}/results"), 404, "not_found"),
        (api.post(f"{POLLS}/{uuid4()}/votes", {"option": 1}), 404, "not_found"),
        (api.get("/api/v1/nothing"), 404, "not_found"),
        (api.put(POLLS, NEW), 405, "method_not_allowed"),
        (api.post(POLLS, "<a/>", content_type="text/xml"), 415, "unsupported_media_type"),
        (api.get(POLLS, headers={"accept": "text/xml"}), 406, "not_acceptable"),
        (api.post(POLLS, [1]), 400, "invalid"),
        (client_of(None).post(POLLS, NEW), 401, "not_authenticated"),
    ):
        assert answer.status_code == status
        assert answer.headers["Content-Type"] == "application/problem+json"
        data = json.loads(answer.content)
        assert (data["status"], data["code"]) == (status, code)


def test_errors_of_the_program_say_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    api, errors = client_of(None), [ValueError("secret"), OperationalError("secret")]

    def fail(**_: Any) -> None:
        raise errors.pop()

    monkeypatch.setattr("polls.services.page", fail)
    busy, broken = api.get(POLLS), api.get(POLLS)
    assert (busy.status_code, busy.headers["Retry-After"]) == (503, "1")
    assert broken.status_code == 500
    assert b"secret" not in busy.content + broken.content
    assert api.get("/api/docs", headers={"host": "elsewhere"}).json()["code"] == "bad_request"


# -- Lists


def test_pages_hold_each_poll_once_while_others_are_added() -> None:
    owner = make_user()
    polls = [str(make_poll(owner).pk) for _ in range(7)]
    api, seen, address = client_of(None), [], f"{POLLS}?limit=3&owner={owner.username}"
    while address:
        page = api.get(address).json()
        seen += [poll["id"] for poll in page["results"]]
        address = page["next"]
        make_poll(owner)
    assert seen == polls[::-1]


def test_lists_by_state() -> None:
    opened, closed = make_poll(), make_poll()
    close_poll(poll_id=closed.pk, actor=closed.owner)
    for state, poll in (("open", opened), ("closed", closed)):
        found = client_of(None).get(f"{POLLS}?state={state}").json()
        assert [each["id"] for each in found["results"]] == [str(poll.pk)]
        assert found["next"] is None


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "before=1",
        "state=ajar",
        "owner=",
        "order=votes",
        "limit=1&limit=2",
        "owner=%00",
    ],
)
def test_wrong_parameters_are_refused(query: str) -> None:
    answer = client_of(None).get(f"{POLLS}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid")


@pytest.mark.parametrize(
    ("path", "most"),
    [(f"{POLLS}?limit=100", 1), (f"{POLLS}/{{}}", 2), (f"{POLLS}/{{}}/results", 2)],
)
def test_queries_do_not_grow_with_the_data(path: str, most: int) -> None:
    numbers = []
    for many in (2, 20):
        poll = make_poll(options=[str(number) for number in range(many)])
        for _ in range(many):
            make_poll()
        with CaptureQueriesContext(connection) as queries:
            assert client_of(None).get(path.format(poll.pk)).status_code == 200
        numbers.append(len(queries))
    assert numbers == [most, most]
