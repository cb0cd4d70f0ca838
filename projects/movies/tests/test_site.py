"""What each request passes, pages, health, and the ASGI application."""

import re
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import RequestFactory

from movies import pages
from movies.asgi import application
from movies.services import services
from movies.throttle import client_address
from tests.conftest import PASSWORD, Api, run

PROBLEM = "application/problem+json"


@pytest.mark.parametrize("path", ["/", "/api/docs"])
def test_pages_ask_no_third_party(api: Api, db: None, path: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "text/html; charset=utf-8")
    text = answer.content.decode()
    asked = re.findall(r"""(?:src|href)="([^"]*)\"""", text)
    assert asked
    assert [url for url in asked if not re.match(r"/(?!/)", url)] == []
    for url in asked:
        assert api.get(url).status_code == 200, url
    assert "'unsafe" not in answer["Content-Security-Policy"]


def test_only_these_files_are_assets(api: Api) -> None:
    assert api.get("/api/assets/redoc.standalone.js").status_code == 404
    assert api.get("/api/assets/..%2f..%2f__init__.py").status_code == 404


def test_the_description_loads(api: Api) -> None:
    said = api.get("openapi.json").json()
    assert said["openapi"].startswith("3.1")
    assert said["components"]["schemas"]["Problem"]


def test_health(api: Api, db: None, settings: Any) -> None:
    assert api.get("/healthz", Host="10.0.0.7").json() == {"status": "ok"}
    told = {"ready": True, "database": True, "valkey": True, "outside": True}
    assert api.get("/readyz", Host="10.0.0.7").json() == told
    settings.VALKEY_URL = "redis://127.0.0.1:1/0"
    answer = api.get("/readyz")
    assert (answer.status_code, answer.json()["valkey"]) == (200, False)


def test_without_the_database_it_is_not_ready(
    api: Api, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OperationalError("no database")

    with monkeypatch.context() as patch:
        patch.setattr(connection, "cursor", refuse)
        answer = api.get("/readyz")
        assert (answer.status_code, answer.json()["ready"]) == (503, False)
        answer = api.post("auth/login", {"email": "a@example.com", "password": PASSWORD})
    assert (answer.status_code, answer["Content-Type"]) == (503, PROBLEM)


def test_an_error_of_ours_is_a_problem_without_details(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down() -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(pages, "services", break_down)
    monkeypatch.setattr(pages, "_database", lambda: True)
    answer = api.get("/readyz")
    assert (answer.status_code, answer["Content-Type"]) == (500, PROBLEM)
    assert b"secret" not in answer.content


def test_errors_have_one_form(api: Api) -> None:
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "movies/", 404),
        ("DELETE", "movies/trending", 405),
        ("GET", "me", 401),
    ):
        answer = api(method, path)
        assert (answer.status_code, answer["Content-Type"]) == (status, PROBLEM)
        assert answer.json()["status"] == status
    assert api("DELETE", "movies/trending")["Allow"] == "GET"


def test_another_host_is_refused(api: Api) -> None:
    for path in ("/", "/nothing", "movies/trending"):
        assert api.get(path, Host="evil.example").status_code == 400


def test_with_https_another_host_is_refused_too(api: Api, settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert api.get("/")["Location"] == "https://testserver/"
    answer = api.get("/", Host="evil.example")
    assert (answer.status_code, answer["Content-Type"]) == (400, PROBLEM)


def test_headers(api: Api, settings: Any) -> None:
    answer = api.get("/")
    assert answer["X-Content-Type-Options"] == "nosniff"
    assert answer["X-Frame-Options"] == "DENY"
    assert answer["Cache-Control"] == "no-store"
    assert int(answer["Content-Length"]) == len(answer.content)


@pytest.mark.parametrize("body", ["{", "[]", "null", "7", '{"email": 7}', "\xff"])
def test_bodies_that_are_none(api: Api, db: None, body: str) -> None:
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    from movies.services import running

    async def call() -> Any:
        async with running():
            return await AsyncClient(raise_request_exception=False).generic(
                "POST", "/api/v1/auth/login", body.encode("latin-1"), "application/json"
            )

    answer = async_to_sync(call)()
    assert (answer.status_code, answer["Content-Type"]) in [(400, PROBLEM), (422, PROBLEM)]


def test_a_body_that_is_not_json(api: Api) -> None:
    from asgiref.sync import async_to_sync
    from django.test import AsyncClient

    from movies.services import running

    async def call() -> Any:
        async with running():
            return await AsyncClient().post("/api/v1/auth/login", {"email": "a"})

    assert async_to_sync(call)().status_code == 415


def test_one_address_may_ask_only_so_often(api: Api, settings: Any, valkey: Any) -> None:
    settings.REQUEST_LIMIT = 2
    assert [api.get("openapi.json").status_code for _ in range(3)] == [200, 200, 429]
    answer = api.get("openapi.json")
    assert 0 < int(answer["Retry-After"]) <= 60
    assert api.get("/healthz").status_code == 200
    settings.VALKEY_URL = "redis://127.0.0.1:1/0"
    assert api.get("openapi.json").status_code == 200, "a page is better than a limit"


@pytest.mark.parametrize(
    ("proxies", "header", "address"),
    [
        (0, "1.1.1.1", "127.0.0.1"),
        (1, "1.1.1.1", "1.1.1.1"),
        (1, "9.9.9.9, 1.1.1.1", "1.1.1.1"),
        (2, "9.9.9.9, 1.1.1.1, 2.2.2.2", "1.1.1.1"),
        (2, "1.1.1.1", "127.0.0.1"),
        (1, "", "127.0.0.1"),
    ],
)
def test_the_client_is_who_our_proxies_say(
    settings: Any, proxies: int, header: str, address: str
) -> None:
    settings.TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", headers={"X-Forwarded-For": header})
    assert client_address(request) == address


# -- The ASGI application


class Talk:
    """Speaks ASGI with the application."""

    def __init__(self, *messages: dict[str, Any]) -> None:
        self._messages = list(messages)
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        return self._messages.pop(0)

    async def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)


def test_services_live_from_start_up_to_shut_down() -> None:
    seen = []

    class Watching(Talk):
        async def receive(self) -> dict[str, Any]:
            message = await super().receive()
            if message["type"] == "lifespan.shutdown":
                seen.append(services())
            return message

    talk = Watching({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    run(lambda: application({"type": "lifespan"}, talk.receive, talk.send))
    assert [one["type"] for one in talk.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert len(seen) == 1
    with pytest.raises(IndexError):
        services()


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        (b"content-length", b"16385", 413),
        (b"content-length", b"9" * 5000, 413),
        (b"content-length", b"-1", 413),
        (b"transfer-encoding", b"chunked", 411),
    ],
    ids=["more", "much more", "no number", "unknown"],
)
def test_a_body_is_bounded_before_it_is_read(name: bytes, value: bytes, status: int) -> None:
    talk = Talk()  # whoever receives has an IndexError
    scope = {"type": "http", "headers": [(name, value)]}
    run(lambda: application(scope, talk.receive, talk.send))
    assert talk.sent[0]["status"] == status
    assert dict(talk.sent[0]["headers"])[b"content-type"] == PROBLEM.encode()


def test_a_request_reaches_django() -> None:
    async def action() -> None:
        from asgiref.testing import ApplicationCommunicator

        scope = {
            "type": "http", "method": "GET", "path": "/healthz", "headers": [(b"host", b"x")],
            "query_string": b"", "http_version": "1.1",
        }  # fmt: skip
        talk = ApplicationCommunicator(application, scope)
        await talk.send_input({"type": "http.request", "body": b"", "more_body": False})
        assert (await talk.receive_output(timeout=10))["status"] == 200
        assert (await talk.receive_output(timeout=10))["body"] == b'{"status": "ok"}'
        await talk.wait(timeout=10)

    run(action)
