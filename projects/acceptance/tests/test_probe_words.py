"""What probes say of answers that the reference API never gives."""

import itertools
import json
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from small import data, reply, serving

from acceptance import probes
from acceptance.api import Api, User
from acceptance.check import Failed, Skipped
from acceptance.client import Answer, Client
from acceptance.mapping import Mapping


def answer(status: int = 200, body: Any = None, seconds: float = 0.0, kind: str = "json") -> Answer:
    text = body if isinstance(body, str) else json.dumps(body or {})
    headers = {"content-type": f"application/{kind}"}
    return Answer("GET", "/x", "", "", status, headers, text, seconds)


@pytest.fixture
def server() -> Iterator[Callable[..., Api]]:
    """Return a function that gives an API which answers as a function says."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(function: Callable[[BaseHTTPRequestHandler], None]) -> Api:
            client = Client(stack.enter_context(serving(function)))
            stack.callback(client.close)
            return Api(client, Mapping.of("notes"))

        yield make


def test_a_race_that_breaks_the_server() -> None:
    with pytest.raises(Failed, match=r"came: 1 × 201, 2 × 500"):
        probes.at_most([answer(201), answer(500), answer(500)], 1, "Once")


def test_a_race_that_nobody_wins() -> None:
    with pytest.raises(Failed, match=r"(?s)2 × 409.*wanted: Once: 1 succeed"):
        probes.exactly([answer(409), answer(409)], 1, "Once")


def test_an_order_of_equals_shows_nothing() -> None:
    with pytest.raises(Skipped, match="Fewer than two"):
        probes.sorted_by(answer(), [3, 3])
    probes.sorted_by(answer(), [3, 2, 2], falling=True)


def test_a_filter_that_loses_rows() -> None:
    with pytest.raises(Failed, match=r"missing: \[3\]"):
        probes.filtered(answer(), [1], lambda _: True, "All", key=lambda r: r, expected=[1, 3])


def test_one_page_shows_no_stability(server: Callable[..., Api]) -> None:
    api = server(lambda h: data(h, {"results": [{"id": 1}], "next": None}))
    with pytest.raises(Skipped, match="one page only"):
        probes.stable_walk(api, api.stranger, "list", key=lambda r: r["id"], write=lambda: None)


def timed(*times: float) -> Callable[[], Answer]:
    endless = itertools.cycle(times)
    return lambda: answer(seconds=next(endless))


def test_growth_counts_the_median_of_pairs() -> None:
    base = timed(0.010)
    assert probes.growth(base, timed(0.012), rows=(1, 21)) == pytest.approx(0.01)
    # A machine that is slow for a while makes no difference.
    assert probes.growth(base, timed(0.012, 0.012, 0.5), rows=(1, 21)) < 0.05
    with pytest.raises(Failed, match=r"10\.0 ms for 1, 40\.0 for 21 rows: .* costs 15\.0%"):
        probes.growth(base, timed(0.040), rows=(1, 21))


def test_growth_of_too_few_rows() -> None:
    with pytest.raises(Skipped, match="too near"):
        probes.growth(timed(1), timed(1), rows=(1, 9))


def test_a_failure_by_growth_must_come_out_twice() -> None:
    slow = [1.0] * 10  # the first one only opens
    base, large = timed(0.010), lambda: answer(seconds=slow.pop() if slow else 0.011)
    assert probes.growth(base, large, rows=(1, 21)) < 0.05


def user(api: Api, access: str = "", refresh: str = "") -> User:
    return User(api, "user", "ada", "pw", access, refresh)


def test_tokens_that_are_no_jwt(server: Callable[..., Api]) -> None:
    def only_good(handler: BaseHTTPRequestHandler) -> None:
        reply(handler, 200 if handler.headers["authorization"] == "Bearer opaqueA" else 401)

    api = server(only_good)
    probes.forged_token(user(api, "opaqueA"), "list")
    with pytest.raises(Skipped, match="no JWT"):
        probes.token_expires(user(api, "opaqueA"))
    careless = server(lambda h: data(h, {}))
    with pytest.raises(Failed, match="last character is changed"):
        probes.forged_token(user(careless, "opaqueB"), "list")
    assert probes.claims("a.b.c") is None
    assert probes.claims(f"{probes.coded(b'{}')}.{probes.coded(b'[]')}.c") is None


def test_a_token_without_an_end(server: Callable[..., Api]) -> None:
    token = f"{probes.coded(b'{}')}.{probes.coded(b'{}')}.c"
    with pytest.raises(Failed, match="no exp among its claims"):
        probes.token_expires(user(server(reply), token))


def test_without_a_refresh_token(server: Callable[..., Api]) -> None:
    api = server(reply)
    for probe in (lambda: probes.refresh(user(api), "list"), lambda: probes.logout(user(api))):
        with pytest.raises(Skipped, match=r"auth\.login\.refresh is empty"):
            probe()
    api.names.data["auth"]["refresh"]["refresh"] = ""
    with pytest.raises(Skipped, match="no new refresh token"):
        probes.refresh_once(user(api, "a", "r"), "list")


def test_a_refresh_without_rotation_keeps_the_token(server: Callable[..., Api]) -> None:
    def both(handler: BaseHTTPRequestHandler) -> None:
        old = handler.headers["authorization"] == "Bearer old-refresh"
        data(handler, {"access": "new"}, 401 if old else 200)

    api = server(both)
    api.names.data["auth"]["refresh"]["refresh"] = ""
    after = probes.refresh(user(api, "old", "old-refresh"), "list")
    assert (after.access, after.refresh) == ("new", "old-refresh")


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([answer(500)], "No error of the server"),
        ([answer(400, {"detail": 'File "/app/x.py", line 3'})], "No internals"),
        ([answer(200, {"a": 1})], "The request is refused"),
        ([answer(400, "<p>", kind="xhtml")], "An error is JSON"),
        ([answer(400, [1])], "a JSON object"),
        ([answer(404, {"detail": 1}), answer(400, {"title": [1]})], "Errors have one form"),
    ],
)
def test_errors_without_a_form(answers: list[Answer], says: str) -> None:
    with pytest.raises(Failed, match=says):
        probes.error_form(answers)


def test_errors_of_one_form() -> None:
    answers = [answer(404, {"detail": 1, "code": 1}), answer(400, {"detail": 1, "title": 1})]
    assert probes.error_form(answers) == {"detail"}


def test_an_injection_that_shows_more_rows() -> None:
    def send(text: str) -> Answer:
        return answer(body=list(range(9 if text.startswith("' OR '1'='1") else 0)))

    with pytest.raises(Failed, match="is only a text: 0 rows"):
        probes.injection(send, lambda a: len(a.json))


def test_an_injection_that_pauses() -> None:
    def send(text: str) -> Answer:
        return answer(seconds=2.0 if "pg_sleep" in text else 0.1)

    with pytest.raises(Failed, match="does not make the database pause"):
        probes.injection(send)


def test_a_slow_server_is_no_injection() -> None:
    probes.injection(lambda _: answer(seconds=3.0))
    probes.injection(lambda _: answer(400), lambda a: len(a.json))


def test_mass_assignment_that_is_refused_is_right() -> None:
    probes.mass_assignment(lambda _: answer(400), lambda a: a.json, {"is_staff": True})
    with pytest.raises(Failed, match="No error of the server"):
        probes.mass_assignment(lambda _: answer(500), lambda a: a.json, {"is_staff": True})
    with pytest.raises(Failed, match="refused, or the field is left out"):
        probes.mass_assignment(lambda _: answer(302), lambda a: a.json, {"is_staff": True})


def test_a_matrix_names_what_is_wrong() -> None:
    nobody: Any = None
    with pytest.raises(Failed) as failed:
        probes.matrix(
            {"read": lambda _: answer(500), "write": lambda _: answer(405)},
            {"a": nobody, "b": nobody},
            {"read": {"a": probes.ALLOWED}, "write": {"b": probes.ALLOWED, "a": probes.REFUSED}},
        )
    assert failed.value.came == "read, as a: 500\nwrite, as b: 405\nwrite, as a: 405"


def test_documentation_that_is_no_page(server: Callable[..., Api]) -> None:
    with pytest.raises(Failed, match="is HTML"):
        probes.docs_page(server(reply))
    with pytest.raises(Failed, match="is OpenAPI"):
        probes.schema(server(reply), ["list"])


@pytest.mark.parametrize("servers", [[{"url": "/v1"}], [{"url": "https://a.example/"}], []])
def test_a_schema_with_a_server(server: Callable[..., Api], servers: list[Any]) -> None:
    base = "" if servers and servers[0]["url"] == "/v1" else "/v1"
    body = {"servers": servers, "paths": {f"{base}/notes/{{id}}": {"get": {}, "parameters": []}}}
    api = server(lambda h: data(h, body))
    api.names.data["paths"] |= {"read": "GET /v1/notes/{note}/?x=1", "like": ""}
    assert probes.schema(api, ["read", "like"]) == body
