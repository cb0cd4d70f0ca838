import http.client
import json
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from stays.common import errors
from stays.common.metrics import REFUSALS
from stays.operations.wsgi import KnownLength
from stays.rest import problems
from tests.programs import DEADLINE, Program, Start

KEYS = {"type", "title", "status", "code", "detail", "errors", "request_id"}
SECRET = "a secret of the database"


class Input(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=5)


class Echo(APIView):
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    error: Exception | None = None

    def get(self, _request: Request) -> Response:
        if self.error:
            raise self.error
        return Response({})

    def post(self, request: Request) -> Response:
        serializer = Input(data=request.data)
        serializer.is_valid(raise_exception=True)
        return Response(serializer.data)


def plain(error: Exception) -> Any:
    def view(_request: HttpRequest) -> HttpResponse:
        raise error

    return view


def body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


REFUSED = {
    "invalid": errors.Invalid("This day has passed.", code="past", field="check_in"),
    "unauthenticated": errors.Unauthenticated("The token is too old."),
    "forbidden": errors.Forbidden("Not yours."),
    "missing": errors.NotFound("There is no such booking."),
    "conflict": errors.Conflict("Taken.", code="dates_taken"),
    "precondition": errors.PreconditionFailed("It has changed."),
    "unprocessable": errors.Unprocessable("Another body."),
    "too_many": errors.TooMany("Too many.", retry_after=17),
    "unavailable": errors.Unavailable("Valkey is down."),
    "broken": RuntimeError(SECRET),
}
urlpatterns = [
    path("echo", Echo.as_view()),
    *(path(name, Echo.as_view(error=error)) for name, error in REFUSED.items()),
    path("plain/broken", plain(RuntimeError(SECRET))),
    path("plain/denied", plain(PermissionDenied(SECRET))),
    path("plain/suspicious", plain(SuspiciousOperation(SECRET))),
    path("plain/too_big", plain(RequestDataTooBig(SECRET))),
    path("body", body),
]
handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.page_not_found
handler500 = problems.server_error

here = pytest.mark.urls(__name__)


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


def check(answer: Any, status: int, code: str) -> dict[str, Any]:
    """Assert that an answer is this problem, and return it."""
    assert (answer.status_code, answer["Content-Type"]) == (status, problems.MEDIA_TYPE)
    found: dict[str, Any] = answer.json()
    assert set(found) == KEYS
    assert (found["status"], found["code"]) == (status, code)
    assert found["request_id"] == answer["X-Request-ID"]
    assert SECRET not in answer.content.decode()
    return found


@here
@pytest.mark.parametrize(
    ("address", "status", "code"),
    [
        ("unauthenticated", 401, "authentication_failed"),
        ("forbidden", 403, "permission_denied"),
        ("missing", 404, "not_found"),
        ("conflict", 409, "dates_taken"),
        ("precondition", 412, "precondition_failed"),
        ("unprocessable", 422, "unprocessable"),
        ("too_many", 429, "throttled"),
        ("unavailable", 503, "unavailable"),
        ("broken", 500, "error"),
        ("plain/broken", 500, "error"),
        ("plain/denied", 403, "permission_denied"),
        ("plain/suspicious", 400, "bad_request"),
        ("plain/too_big", 413, "too_large"),
        ("nothing", 404, "not_found"),
        ("nothing%00", 404, "not_found"),
        ("%ff%fe/%00", 404, "not_found"),
        ("%E2%82", 404, "not_found"),
    ],
)
def test_every_error_is_a_problem(client: Client, address: str, status: int, code: str) -> None:
    counter = REFUSALS.labels(str(status), code)
    before = counter._value.get()
    found = check(client.get(f"/{address}"), status, code)
    assert found["type"] == "about:blank"
    assert found["errors"] == []
    assert counter._value.get() == before + 1


@here
def test_a_refusal_of_a_field_names_it(client: Client) -> None:
    found = check(client.get("/invalid"), errors.Invalid.status, "invalid")
    field = {"field": "check_in", "code": "past", "detail": "This day has passed."}
    assert found["errors"] == [field]


@here
def test_headers_that_belong_to_a_status(client: Client) -> None:
    assert client.get("/unauthenticated")["WWW-Authenticate"].startswith("Bearer")
    assert client.get("/too_many")["Retry-After"] == "17"
    assert client.get("/unavailable")["Retry-After"] == "5"


@here
@pytest.mark.parametrize(
    ("sent", "content_type", "status", "code"),
    [
        ("{", "application/json", 400, "parse_error"),
        (b"\xff", "application/json", 400, "parse_error"),
        ("name=a", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        ("{}", "application/json", 400, "invalid"),
        ("[]", "application/json", 400, "invalid"),
        ('{"name": "too long"}', "application/json", 400, "invalid"),
        ('{"name": "a\\u0000"}', "application/json", 400, "invalid"),
        ('{"name": "\\ud800"}', "application/json", 400, "parse_error"),
    ],
)
def test_input_that_cannot_be(
    client: Client, sent: str | bytes, content_type: str, status: int, code: str
) -> None:
    check(client.post("/echo", sent, content_type), status, code)


@here
def test_the_method_and_the_media_type(client: Client) -> None:
    answer = client.put("/echo", "{}", "application/json")
    check(answer, 405, "method_not_allowed")
    assert answer["Allow"] == "GET, POST, HEAD, OPTIONS"
    check(client.get("/echo", headers={"Accept": "text/csv"}), 406, "not_acceptable")
    assert client.head("/echo").content == b""
    assert client.options("/echo").status_code == 200


@here
def test_what_is_unforeseen_is_logged_once_and_not_told(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    for address in ("/broken", "/plain/broken"):
        caplog.clear()
        check(client.get(address), 500, "error")
        assert sum(bool(record.exc_info) for record in caplog.records) == 1
        assert SECRET in caplog.text


@pytest.mark.django_db
def test_an_unknown_host(client: Client) -> None:
    check(client.get("/admin/login/", headers={"host": "evil.example"}), 400, "bad_request")


@pytest.mark.django_db
@pytest.mark.parametrize("sent", [{}, {"username": "a\0", "password": "b"}])
def test_a_form_without_a_token(sent: dict[str, str]) -> None:
    client = Client(enforce_csrf_checks=True)
    check(client.post("/admin/login/", sent), 403, "csrf_failed")


@pytest.mark.django_db
def test_a_form_with_too_many_fields(client: Client) -> None:
    fields = "&".join(f"f{number}=1" for number in range(1_001))
    answer = client.post("/admin/login/", fields, "application/x-www-form-urlencoded")
    check(answer, 400, "bad_request")


# -- A body that is too large

LIMIT = 100_000


@here
@pytest.mark.parametrize("address", ["/echo", "/body", "/nothing"])
def test_a_body_over_the_limit_is_refused_on_every_route(client: Client, address: str) -> None:
    too_much = b'"' + b"a" * LIMIT + b'"'
    check(client.post(address, too_much, "application/json"), 413, "too_large")


@here
def test_a_body_of_the_limit_is_taken(client: Client) -> None:
    answer = client.post("/body", b"a" * LIMIT, "application/json")
    assert (answer.status_code, len(answer.content)) == (200, LIMIT)


@here
@pytest.mark.parametrize("length", ["-1", "1.5", "x", "²"])
def test_a_length_that_is_none(client: Client, length: str) -> None:
    answer = client.generic("POST", "/echo", "{}", CONTENT_LENGTH=length)
    check(answer, 400, "bad_request")


@pytest.mark.parametrize(("size", "seen"), [(5, 5), (10, 10), (11, 11), (5_000, 11)])
def test_a_chunked_body_gets_a_length(size: int, seen: int) -> None:
    environ: dict[str, Any] = {"wsgi.input": BytesIO(b"a" * size), "wsgi.input_terminated": True}

    def application(environ: dict[str, Any], _start_response: Any) -> list[bytes]:
        assert environ["CONTENT_LENGTH"] == str(seen)
        return [environ["wsgi.input"].read()]

    assert KnownLength(application, limit=10)(environ, lambda *_: None) == [b"a" * seen]


def test_a_body_of_known_length_is_left_alone() -> None:
    source = BytesIO(b"abc")
    environ: dict[str, Any] = {"wsgi.input": source, "CONTENT_LENGTH": "3"}
    assert KnownLength(lambda e, _: [e["wsgi.input"]], limit=1)(environ, print) == [source]


@pytest.mark.django_db
def test_what_gunicorn_loads_answers() -> None:
    from stays.wsgi import application

    environ = RequestFactory().get("/healthz").environ
    assert list(application(environ, lambda *_: None)) == [b'{"status": "ok"}']


def chunks(size: int) -> Any:
    yield from (b"a" * 100_000 for _ in range(size // 100_000))


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.django_db
def test_ten_megabytes_as_served(server: Program, chunked: bool) -> None:
    content = chunks(10_000_000) if chunked else b"a" * 10_000_000
    answer = httpx.post(f"{server.url()}/admin/login/", content=content, timeout=DEADLINE)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert answer.headers["content-type"] == problems.MEDIA_TYPE


@pytest.mark.django_db
def test_a_small_chunked_body_is_read(server: Program) -> None:
    cookies = httpx.get(f"{server.url()}/admin/login/", timeout=DEADLINE).cookies
    form = f"csrfmiddlewaretoken={cookies['csrftoken']}&username=nobody&password=wrong"
    answer = httpx.post(
        f"{server.url()}/admin/login/",
        content=iter([form[:30].encode(), form[30:].encode()]),
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        cookies=cookies,
    )
    # The form was read: its token was found, and the log-in refused.
    assert (answer.status_code, "errornote" in answer.text) == (200, True)


@pytest.mark.parametrize(
    "target", ["/%", "/%zz", "/%00", "/%ff", "//nothing", "/nothing?a=%ff&%00=%zz", "/.."]
)
@pytest.mark.django_db
def test_odd_addresses_as_served(server: Program, target: str) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url()).netloc, timeout=DEADLINE)
    connection.request("GET", target)
    answer = connection.getresponse()
    found = json.loads(answer.read())
    assert (answer.status, found["code"]) == (404, "not_found")
    connection.close()


@pytest.mark.django_db(transaction=True)
def test_a_database_that_does_not_answer(start: Start) -> None:
    server = start("gunicorn", DATABASE_URL="postgresql://postgres@127.0.0.1:9/stays")
    for address in ("/api/v1/properties", "/api/v1/cities", "/api/v1/properties/somewhere"):
        answer = httpx.get(f"{server.url()}{address}", timeout=DEADLINE)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert answer.headers["Retry-After"] == "5"
        assert "127.0.0.1" not in answer.text


@pytest.mark.django_db
@pytest.mark.parametrize("size", [1_000, 100_000, 150_000, 900_000])
def test_a_connection_lives_on_after_a_refusal(server: Program, size: int) -> None:
    """What was refused before its body was read is read to its end."""
    connection = http.client.HTTPConnection(urlsplit(server.url()).netloc, timeout=DEADLINE)
    connection.auto_open = False
    connection.connect()
    for _ in range(3):
        body, headers = b"a" * size, {"Content-Type": "application/json"}
        connection.request("POST", "/api/v1/properties", body, headers)
        answer = connection.getresponse()
        expected = (401, "not_authenticated") if size <= LIMIT else (413, "too_large")
        assert (answer.status, json.loads(answer.read())["code"]) == expected
    connection.close()
