"""What a check is given: users, names, and walks through lists of every kind."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from small import data, query, reply, serving

from acceptance.api import Api
from acceptance.check import Failed, Skipped, check
from acceptance.client import Client, Limits, Spent
from acceptance.mapping import Mapping, MappingError
from acceptance.run import FAILED, SKIPPED, choose, load, look

ROWS = [{"id": number} for number in range(25)]


@contextmanager
def api_of(
    answer: Callable[[BaseHTTPRequestHandler], None], mapping: str = "", **limits: Any
) -> Iterator[Api]:
    """Give an API that answers so, with a mapping of its own."""
    import tempfile

    with serving(answer) as url, tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(mapping)
        file.flush()
        client = Client(url, Limits(**limits))
        yield Api(client, Mapping.of("notes", Path(file.name)))
        client.close()


def linked(handler: BaseHTTPRequestHandler) -> None:
    page = int(query(handler).get("page", 1))
    host = handler.headers["host"]
    further = f"http://{host}/notes?page={page + 1}" if page < 3 else None
    data(handler, {"data": {"rows": ROWS[page * 10 - 10 : page * 10]}, "links": {"next": further}})


def cursored(handler: BaseHTTPRequestHandler) -> None:
    after = int(query(handler).get("after", 0))
    more = {"next": after + 10} if after < 20 else {}
    data(handler, {"data": {"rows": ROWS[after : after + 10]}, "links": more})


def counted(handler: BaseHTTPRequestHandler) -> None:
    page = int(query(handler).get("p", 1))
    rows = ROWS[page * 10 - 10 : page * 10]
    data(handler, rows) if rows else data(handler, {"detail": "No such page"}, 404)


def counted_to_an_empty_page(handler: BaseHTTPRequestHandler) -> None:
    page = int(query(handler).get("p", 1))
    data(handler, ROWS[page * 10 - 10 : page * 10])


@pytest.mark.parametrize(
    ("answer", "lists"),
    [
        (linked, 'items="data.rows"\nnext="links.next"\ncursor=""'),
        (cursored, 'items="data.rows"\nnext="links.next"\ncursor="after"'),
        (counted, 'items=""\nnext=""\npage="p"'),
        (counted_to_an_empty_page, 'items=""\nnext=""\npage="p"'),
    ],
)
def test_lists_of_every_kind(answer: Callable[..., None], lists: str) -> None:
    with api_of(answer, f"[lists]\n{lists}") as api:
        assert api.all(api.stranger, "list", size=10) == ROWS


def test_a_list_without_pages() -> None:
    with api_of(lambda h: data(h, ROWS), '[lists]\nitems=""\nnext=""') as api:
        assert api.all(api.stranger, "list") == ROWS


def test_a_list_that_leads_in_a_circle() -> None:
    with (
        api_of(lambda h: data(h, {"results": ROWS, "next": "a"})) as api,
        pytest.raises(Failed, match="page that is new"),
    ):
        api.all(api.stranger, "list")


def test_a_list_without_an_end() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        data(handler, {"results": [1], "next": int(query(handler).get("cursor", 0)) + 1})

    with api_of(answer) as api, pytest.raises(Failed, match="fewer than 200 pages"):
        api.all(api.stranger, "list")


@pytest.mark.parametrize("body", [{"rows": []}, {"results": {}}, []])
def test_an_answer_that_is_no_list(body: Any) -> None:
    with (
        api_of(lambda h: data(h, body)) as api,
        pytest.raises(Failed, match=r"A list at 'results' \(lists.items"),
    ):
        api.items(api.stranger.send("list"))


def test_users_are_made_once(api: Callable[..., Api]) -> None:
    one = api()
    assert one.user() is one.user()
    assert one.user() is not one.user("author")
    assert one.users(2) == one.users(3)[:2]
    assert len({user.username for user in [*one.users(3), one.new_user()]}) == 4
    assert one.user().email.endswith("@example.com")
    assert one.user("admin").username == "admin"
    with pytest.raises(MappingError, match="a role owner"):
        one.new_user("owner")


def test_what_fails_once_fails_again_without_a_request(api: Callable[..., Api]) -> None:
    one = api()
    calls = []

    def make(_: Api) -> int:
        calls.append(1)
        raise Skipped("not today")

    for _ in range(2):
        with pytest.raises(Skipped, match="not today"):
            one.once(make)
    assert calls == [1]


def test_a_log_in_that_is_limited_is_waited_for() -> None:
    tries = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        tries.append(handler.path)
        if len(tries) == 1:
            reply(handler, 429, retry_after="1")
        else:
            data(handler, {"access": "a", "refresh": "r"})

    with api_of(answer) as api:
        assert api.new_user().access == "a"
    assert tries == ["/auth/register", "/auth/register", "/auth/login"]


@pytest.mark.parametrize("headers", [{"retry_after": "3600"}, {}])
def test_a_log_in_that_is_limited_for_long_skips(headers: dict[str, str]) -> None:
    with (
        api_of(lambda h: reply(h, 429, **headers)) as api,
        pytest.raises(Skipped, match="Raise that limit"),
    ):
        api.new_user()


def test_a_log_in_without_a_token_says_where_it_was_looked_for() -> None:
    with (
        api_of(lambda h: data(h, {"token": "t"}), '[auth.login]\naccess = "data.token"') as api,
        pytest.raises(Failed, match=r"A token at 'data.token' \(auth.login.access"),
    ):
        api.new_user()


def test_a_log_in_by_form_with_a_scheme_and_a_header_of_its_own() -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append((handler.path, handler.headers["content-type"], handler.headers["x-token"]))
        data(handler, {"access": "t"})

    mapping = """
        [auth]
        scheme = ""
        header = "X-Token"
        [auth.register]
        path = "POST /join"
        form = true
        body = { username = "{email}", kind = "x" }
        [auth.login]
        refresh = ""
        [roles.author]
        extra = { role = "author" }
        """
    with api_of(answer, mapping) as api:
        api.user("author").send("list")
        sent = api.client.record[0].body
    assert seen == [
        ("/join", "application/x-www-form-urlencoded", None),
        ("/auth/login", "application/json", None),
        ("/notes", None, "t"),
    ]
    assert sent.startswith("username=acceptance-")
    assert sent.endswith("%40example.com&kind=x&role=author")


def test_graphql() -> None:
    seen = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        seen.append(handler.path)
        data(handler, {"data": {}})

    with api_of(answer) as api:
        api.names.data["paths"]["graphql"] = "POST /graphql"
        api.names.data["operations"] = {"posts": "{ posts { id } }", "none": ""}
        sent = api.stranger.graphql("posts", first=3)
        assert sent.body == '{"query": "{ posts { id } }", "variables": {"first": 3}}'
        assert api.stranger.graphql("{ me { id } }").ok
        with pytest.raises(Skipped, match=r"operations\.none"):
            api.stranger.graphql("none")
    assert seen == ["/graphql", "/graphql"]


def test_values(api: Callable[..., Api]) -> None:
    one = api()
    one.names.data["values"]["open"] = 1
    assert one.value("open") == 1


# -- Checks and their running


def registered(name: str, **how: Any) -> None:
    check(name, "It holds", **{"criterion": "security", "chapter": "auth", **how})(lambda _: None)


@pytest.mark.parametrize(
    ("name", "how", "says"),
    [
        ("Two words", {}, "no name of a check"),
        ("a", {"criterion": "beauty"}, "no criterion 'beauty'; there are functionality"),
        ("a", {"chapter": "cooking"}, "no chapter 'cooking'"),
        ("docs", {}, "Two checks are called docs"),
    ],
)
def test_a_check_is_declared_well(name: str, how: dict[str, Any], says: str) -> None:
    function = load("notes").checks[0].function
    with pytest.raises(ValueError, match=says):
        check(name, "It holds", **{"criterion": "security", "chapter": "auth", **how})(function)


def test_an_answer_of_an_unforeseen_shape_is_a_failure() -> None:
    with api_of(lambda h: data(h, {"openapi": "3.1.0", "paths": []})) as api:
        [schema] = choose(load("notes"), ["schema"])
        result = look(schema, api)
    assert result.state == FAILED
    assert "Is a name in the mapping wrong?" in str(result.failure)
    assert "GET /openapi.json" in str(result.failure)


def test_a_check_beyond_the_limits_is_skipped_with_the_reason(api: Callable[..., Api]) -> None:
    small = api(requests=4)
    [roles] = choose(load("notes"), ["roles"])
    result = look(roles, small)
    assert result.state == SKIPPED
    assert "4 requests are sent, and that is the limit" in result.reason
    with pytest.raises(Spent):
        small.stranger.send("list")
