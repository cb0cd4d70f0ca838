"""The pages for people, as a browser without JavaScript uses them."""

from html.parser import HTMLParser
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from polls.models import Poll
from polls.services import cast_vote
from tests.factories import make_poll, make_user, options_of
from tests.racing import let_the_deadline_pass

pytestmark = pytest.mark.django_db
FORM = {"question": "When?", "options": "Now\n\n Later ", "closes_at": "2999-01-01T00:00"}


class Outline(HTMLParser):
    """What a screen reader needs: labels, headings, a language, and no unnamed field."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def logged_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    return client


def test_from_a_question_to_its_results() -> None:
    owner, voter = logged_in(make_user()), logged_in(make_user())
    address = owner.post("/polls/new", FORM).headers["Location"]
    poll = Poll.objects.get()
    assert [option.text for option in poll.options.all()] == ["Now", "Later"]
    assert "Edit</a>" in owner.get(address).content.decode()
    page = voter.get(address).content.decode()
    assert "Edit</a>" not in page
    assert page.count('type="radio"') == 2
    said = voter.post(f"{address}/vote", {"option": options_of(poll)[1]}, follow=True)
    assert "Your vote is counted." in said.content.decode()
    assert "You voted for" in said.content.decode()
    assert "<strong>Later</strong>" in said.content.decode()
    again = voter.post(f"{address}/vote", {"option": options_of(poll)[1]})
    assert again.status_code == 409
    assert "You have voted in this poll already." in again.content.decode()
    assert "has votes already" in owner.post(f"{address}/edit", FORM).content.decode()
    closed = owner.post(f"{address}/close", follow=True).content.decode()
    assert "1</span> votes, final" in closed
    assert "live.js" not in closed


@pytest.mark.parametrize("action", ["vote", "close", "delete"])
def test_after_a_log_in_that_a_form_asked_for_the_polls_page_is_shown(action: str) -> None:
    address = f"/polls/{make_poll().pk}"
    answer = Client().post(f"{address}/{action}")
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/login?next={address}")


@pytest.mark.parametrize("option", ["", "x", "-1", "²", "9" * 30])
def test_a_vote_for_nothing_is_asked_for_again(option: str) -> None:
    poll = make_poll()
    answer = logged_in(make_user()).post(f"/polls/{poll.pk}/vote", {"option": option}, follow=True)
    assert "Choose an option." in answer.content.decode()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"options": "One"}, "2 to 20 options"),
        ({"options": "\n".join(map(str, range(21)))}, "2 to 20 options"),
        ({"options": "A\nA"}, "Two options are the same."),
        ({"options": "A\n" + "x" * 101}, "100 characters"),
        ({"options": "A\nB\u202e"}, "hidden characters"),
        ({"closes_at": "2001-01-01T00:00"}, "must close in the future"),
        ({"question": ""}, "required"),
    ],
)
def test_a_form_with_faults_is_shown_again_with_what_was_written(
    change: dict[str, str], words: str
) -> None:
    answer = logged_in(make_user()).post("/polls/new", FORM | change)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert not Poll.objects.exists()


def test_editing_shows_what_is_and_keeps_what_is_written() -> None:
    poll = make_poll()
    client = logged_in(poll.owner)
    assert "Tea\nCoffee" in client.get(f"/polls/{poll.pk}/edit").content.decode()
    client.post(f"/polls/{poll.pk}/edit", FORM | {"private_results": "on"})
    poll.refresh_from_db()
    assert (poll.question, poll.private_results) == ("When?", True)
    answer = client.post(f"/polls/{poll.pk}/delete", follow=True)
    assert "The poll is deleted." in answer.content.decode()


def test_private_results_are_not_in_the_page() -> None:
    poll = make_poll(private_results=True)
    cast_vote(poll_id=poll.pk, voter=make_user(), option_id=options_of(poll)[0])
    assert "<meter" not in Client().get(f"/polls/{poll.pk}").content.decode()
    assert "<meter" in logged_in(poll.owner).get(f"/polls/{poll.pk}").content.decode()
    let_the_deadline_pass(poll.pk)
    assert ", final" in Client().get(f"/polls/{poll.pk}").content.decode()


def test_the_list_goes_on_in_pages_with_the_same_number_of_queries() -> None:
    owner, numbers = make_user(), []
    for many in (2, 23):
        for _ in range(many):
            make_poll(owner)
        with CaptureQueriesContext(connection) as queries:
            page = Client().get("/").content.decode()
        numbers.append(len(queries))
    assert numbers == [1, 1]
    link = page.split('rel="next" href="')[1].split('"')[0]
    assert Client().get(f"/{link}").content.decode().count("Tea or coffee?") == 5
    assert Client().get("/?before=x").status_code == 404


def test_what_is_not_there_is_a_page_too() -> None:
    for address in (f"/polls/{uuid4()}", "/nothing"):
        answer = Client().get(address)
        assert answer.status_code == 404
        assert "To the polls" in answer.content.decode()


def test_text_of_users_is_text() -> None:
    poll = make_poll(question="<script>alert(1)</script>", options=["<b>", "&"])
    page = Client().get(f"/polls/{poll.pk}").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page


def test_each_page_can_be_used_without_seeing_it() -> None:
    poll = make_poll()
    client = logged_in(poll.owner)
    addresses = ("/", "/login", "/register", "/polls/new", f"/polls/{poll.pk}")
    for address in addresses:
        page = Outline(client.get(address).content.decode())
        assert page.of("html")[0]["lang"] == "en"
        assert len(page.of("h1")) == len(page.of("main")) == len(page.of("title")) == 1
        named = {each.get("for") for each in page.of("label")}
        for each in page.of("input", "textarea", "select"):
            if each.get("type") not in ("hidden", "radio"):
                assert each["id"] in named
            if "aria-describedby" in each:
                ids = {attributes.get("id") for _, attributes in page.tags}
                assert each["aria-describedby"] in ids
        assert all(each.get("aria-label") for each in page.of("meter"))
        assert all(each.get("scope") for each in page.of("th"))
