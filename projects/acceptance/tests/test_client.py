"""The client keeps to its limits and to its host, and keeps what it sent and what came."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from small import reply, serving

from acceptance import probes
from acceptance.api import Api
from acceptance.check import Failed
from acceptance.client import Client, Limits, Spent, Unreachable


@contextmanager
def client(url: str, **limits: Any) -> Iterator[Client]:
    made = Client(url, Limits(**limits))
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://a", "http://", "http://a:port", "http://me:pw@a", "http://a/?b=c"],
)
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(ValueError, match="no address"):
        Client(url)


def test_no_more_requests_are_sent_than_allowed() -> None:
    seen = []
    with (
        serving(lambda h: (seen.append(h.path), reply(h))[1]) as url,  # type: ignore[func-returns-value]
        client(url, requests=3) as sender,
    ):
        for _ in range(3):
            sender.send("GET", "/")
        with pytest.raises(Spent, match="3 requests"):
            sender.send("GET", "/")
    assert len(seen) == 3


def test_no_request_is_sent_after_the_time_of_a_run() -> None:
    with (
        serving(reply) as url,
        client(url, seconds=0.0) as sender,
        pytest.raises(Spent, match="0 s are over"),
    ):
        sender.send("GET", "/")


def test_no_more_are_sent_at_once_than_allowed() -> None:
    lock, most, now = threading.Lock(), 0, 0

    def answer(handler: BaseHTTPRequestHandler) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
        reply(handler)

    with serving(answer) as url, client(url, parallel=3) as sender:
        threads = [threading.Thread(target=sender.send, args=("GET", "/")) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert most == 3


def test_a_race_is_no_larger_than_allowed(api: Callable[..., Api]) -> None:
    small = api(parallel=3)
    with pytest.raises(ValueError, match="No more than 3"):
        probes.race(small, [lambda: small.stranger.send("list")] * 4)


def test_a_race_sends_all_at_one_moment() -> None:
    together = threading.Barrier(20)

    def answer(handler: BaseHTTPRequestHandler) -> None:
        together.wait(timeout=20)  # each one waits for all others
        reply(handler)

    from acceptance.mapping import Mapping

    with serving(answer) as url, client(url) as sender:
        api = Api(sender, Mapping.of("notes"))
        answers = probes.race(api, [lambda: api.stranger.send("list")] * 20)
    assert [answer.status for answer in answers] == [200] * 20


def test_a_large_answer_is_cut() -> None:
    with (
        serving(lambda h: reply(h, body=b"x" * 300_000)) as url,
        client(url, size=10_000) as sender,
    ):
        answer = sender.send("GET", "/")
    assert len(answer.text) == 10_000
    assert not answer.whole


def test_a_slow_answer_fails_and_says_so() -> None:
    over = threading.Event()
    with serving(lambda _: over.wait(20) and None) as url, client(url, timeout=0.2) as sender:
        with pytest.raises(Failed) as failed:
            sender.send("GET", "/slow")
        over.set()
    assert failed.value.sent == "GET /slow"
    assert failed.value.came.startswith("nothing in 0.")
    assert "--timeout" in failed.value.wanted


def test_an_answer_that_drips_fails_too() -> None:
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-length", "1000")
        handler.end_headers()
        while not over.wait(0.05):
            handler.wfile.write(b"x")

    with serving(drip) as url, client(url, timeout=0.4) as sender:
        with pytest.raises(Failed, match="nothing in"):
            sender.send("GET", "/")
        over.set()


def test_nobody_there() -> None:
    with serving(reply) as url:
        pass
    with client(url) as sender, pytest.raises(Unreachable, match=url):
        sender.send("GET", "/")


def test_a_broken_connection_fails_and_nothing_is_sent_twice() -> None:
    tries = []

    def hang_up(handler: BaseHTTPRequestHandler) -> None:
        tries.append(handler.command)
        handler.close_connection = True
        handler.connection.close()
        handler.wfile = handler.rfile = open("/dev/null", "r+b")  # type: ignore[assignment] # noqa: PTH123, SIM115

    with serving(hang_up) as url, client(url) as sender:
        for method in ("GET", "POST"):
            with pytest.raises(Failed, match="broken connection"):
                sender.send(method, "/")
    assert tries == ["GET", "POST"]


def test_each_request_has_a_connection_of_its_own() -> None:
    connections = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        connections.append((handler.client_address, handler.headers["connection"]))
        reply(handler)

    with serving(answer) as url, client(url) as sender:
        for method in ("GET", "POST", "POST"):
            sender.send(method, "/")
    assert len({address for address, _ in connections}) == 3
    assert {asked for _, asked in connections} == {"close"}


def test_a_redirect_on_the_host_is_followed_by_get() -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        if handler.path == "/a":
            reply(handler, 301, location="/a/")
        else:
            reply(handler)

    with serving(answer) as url, client(url) as sender:
        assert sender.send("GET", "/a").path == "/a/"
        moved = sender.send("POST", "/a", json={})
    assert moved.status == 301
    with pytest.raises(Failed, match="lacks its slash"):
        moved.expect(201)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_redirect_to_another_host_is_refused(method: str) -> None:
    asked = []
    with (
        serving(lambda h: (asked.append(h.path), reply(h))[1]) as other,  # type: ignore[func-returns-value]
        serving(lambda h: reply(h, 302, location=f"{other}/stolen")) as url,
        client(url) as sender,
        pytest.raises(Failed, match="another host is not asked"),
    ):
        sender.send(method, "/")
    assert asked == []


def test_redirects_in_a_circle_end() -> None:
    with (
        serving(lambda h: reply(h, 302, location=h.path)) as url,
        client(url) as sender,
        pytest.raises(Failed, match="No more than 5 redirects"),
    ):
        sender.send("GET", "/")


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with serving(reply) as url, client(url) as sender:
        assert sender.send("GET", "/").ok


def test_a_path_after_the_host_is_kept() -> None:
    seen = []
    with (
        serving(lambda h: (seen.append(h.path), reply(h))[1]) as url,  # type: ignore[func-returns-value]
        client(url + "/shop/") as sender,
    ):
        sender.send("GET", "/a", params={"b": "c d", "none": None, "many": [1, 2]})
        assert sender.local("http://elsewhere/shop/next?page=2") == "/next?page=2"
    assert seen == ["/shop/a?b=c+d&many=1&many=2"]


def test_secrets_stay_out_of_what_is_shown() -> None:
    body = b'{"access": "a-b-c", "refresh_token" : "d", "list": [1], "name": "n"}'
    with serving(lambda h: reply(h, body=body)) as url, client(url) as sender:
        answer = sender.send("POST", "/", json={"password": "p", "in": [{"refresh": "r"}]})
        form = sender.send("POST", "/", form={"username": "u", "password": "p"})
    assert answer.sent == 'POST /\n{"password": "…", "in": [{"refresh": "…"}]}'
    assert '"access": "…", "refresh_token" : "…", "list": [1], "name": "n"' in answer.came
    assert "u" in form.sent
    assert "p%" not in form.sent
    assert "=p" not in form.sent
    assert answer.json["access"] == "a-b-c"
    assert sender.record == [answer, form]


def test_an_answer_fails_with_its_own_evidence() -> None:
    with (
        serving(lambda h: reply(h, 500, b"<h1>Oh</h1>", content_type="text/html")) as url,
        client(url) as sender,
    ):
        answer = sender.send("POST", "/x", content=b"raw")
    for call in (
        lambda: answer.expect(201, 409, wanted="It is created"),
        lambda: answer.expect(),
        lambda: answer.want_refused("No"),
        lambda: answer.json,
    ):
        with pytest.raises(Failed) as failed:
            call()
        assert failed.value.sent == "POST /x\n(bytes)"
        assert failed.value.came == "500 (text/html)\n<h1>Oh</h1>"
    assert not answer.ok
    assert not answer.refused
