import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from django.db import connection
from django.test import Client

from bench import queries
from bench.__main__ import main, table
from bench.load import Load, WrongAnswer, drive
from stays.bookings.models import Booking, Status
from tests.factories import day, make_booking, make_city, make_property


class Handler(BaseHTTPRequestHandler):
    """Answers as an HTTP/1.1 server does, and counts connections."""

    protocol_version = "HTTP/1.1"
    connections = 0

    def setup(self) -> None:
        super().setup()
        type(self).connections += 1

    def do_GET(self) -> None:
        unchanged = self.headers["If-None-Match"] == '"same"'
        self.send_response(304 if unchanged else 200)
        if not unchanged:
            self.send_header("Content-Length", "5")
        self.end_headers()
        if not unchanged:
            self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Handler.connections = 0
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def load(port: int, none_match: str = "", status: int = 200) -> Load:
    return Load(port, [("/one", none_match), ("/two", none_match)], status, 3, 0.05, 0.3)


@pytest.mark.parametrize(("none_match", "status"), [("", 200), ('"same"', 304)])
def test_the_load_generator_keeps_its_connections(port: int, none_match: str, status: int) -> None:
    measured = asyncio.run(drive(load(port, none_match, status)))
    assert Handler.connections == 3 + 3  # the first three ask for everything once
    assert measured.per_second == len(measured.milliseconds) / 0.3 > 0
    assert all(0 < time < 350 for time in measured.milliseconds)


def test_the_speed_of_a_wrong_answer_is_not_measured(port: int) -> None:
    with pytest.raises(ExceptionGroup) as refused:
        asyncio.run(drive(load(port, status=304)))
    assert refused.group_contains(WrongAnswer)


@pytest.mark.django_db
@pytest.mark.urls("bench.urls")
def test_the_views_without_cache_answer_as_those_with_it(client: Client) -> None:
    place = make_property()
    for path in ("properties", f"properties/{place.slug}"):
        cached, plain = client.get(f"/api/v1/{path}"), client.get(f"/bench/{path}")
        assert cached.status_code == plain.status_code == 200
        assert cached.content == plain.content
        assert cached["ETag"] == plain["ETag"]
        assert queries.counted(f"/api/v1/{path}") == []
        assert queries.counted(f"/bench/{path}") != []
    assert client.get("/bench/bare").content == b"{}"


@pytest.mark.django_db
@pytest.mark.urls("bench.urls")
def test_searches_must_cost_the_same_number_of_queries() -> None:
    make_property()
    paths = ["/bench/properties", "/bench/properties?limit=1"]
    assert queries.check_constant(paths) == 2
    assert queries.check_constant([*paths, "/bench/properties?city=nowhere"]) == 2
    with pytest.raises(queries.BrokenPromise, match="depends"):
        queries.check_constant([*paths, "/api/v1/cities", "/api/v1/cities"])
    with pytest.raises(queries.BrokenPromise, match="answers 404"):
        queries.counted("/bench/nothing")


@pytest.mark.django_db
@pytest.mark.urls("bench.urls")
def test_a_search_that_reads_all_bookings_is_found_out() -> None:
    """With so few rows PostgreSQL would do it, were it not told otherwise."""
    place = make_property(city=make_city(slug="here"))
    for number in range(20):
        make_booking(property=place, check_in=10 + 3 * number, status=Status.CONFIRMED)
    path = f"/bench/properties?city=here&check_in={day(2)}&check_out={day(4)}"
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {Booking._meta.db_table}")
        cursor.execute("SET LOCAL enable_seqscan = off")
        assert "booking" in "".join(queries.explained(path).values())
        cursor.execute("SET LOCAL enable_seqscan = on")
        for name in ("indexscan", "indexonlyscan", "bitmapscan"):
            cursor.execute(f"SET LOCAL enable_{name} = off")
        with pytest.raises(queries.BrokenPromise, match="from an index"):
            queries.explained(path)
    with pytest.raises(queries.BrokenPromise, match="does not ask"):
        queries.explained("/bench/properties")


def test_the_table_has_a_line_for_each_figure() -> None:
    figure = {"target": "bare answer", "per_second": 1234.5, "ratio": 1.0, "p50": 1, "p95": 2}
    text = table(
        {
            "bookings": 1_000_000,
            "workers": 2,
            "connections": 8,
            "rounds": 5,
            "seconds_a_round": 2.0,
            "cores": 2,
            "python": "3.11.7",
            "figures": [figure | {"queries": 0}],
            "memory": {"gunicorn main": {"uss_kb": 25_600, "pss_kb": 28_672}},
        }
    )
    assert "| bare answer | 1,234 | 1.00 | 1.0 | 2.0 | 0 |" in text
    assert "| gunicorn main | 25 | 28 |" in text


def test_it_tells_how_it_is_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["bench", "--help"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert "--bookings" in capsys.readouterr().out
