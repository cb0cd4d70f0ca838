"""`make bench`: what right counts cost, and what "read, add one, save" loses. About a minute.

All of it happens in a database of its own, which is dropped at the end. The disk is waited for at
each commit (fsync), as in production. Every variant votes with the same threads for the same time,
each time right after plain rows, and only the median of these ratios is compared.
"""

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import django
import psycopg
from django.conf import settings
from django.core.management import call_command
from django.db import connection

VOTES = 1_000_000
OPTIONS = 10
THREADS = 8
SECONDS = 0.6
TURNS = 4
Session = psycopg.Connection[Any]

TABLES = """
CREATE TABLE b_option (id int PRIMARY KEY, votes bigint NOT NULL DEFAULT 0);
CREATE TABLE b_slot (option_id int, slot int, votes bigint NOT NULL DEFAULT 0,
  PRIMARY KEY (option_id, slot));
CREATE TABLE b_vote (poll_id int, voter_id bigint, option_id int NOT NULL,
  PRIMARY KEY (poll_id, voter_id));
CREATE TABLE b_counted (LIKE b_vote INCLUDING ALL);
CREATE TABLE b_told (LIKE b_vote INCLUDING ALL);
INSERT INTO b_option (id) SELECT generate_series(1, 10);
INSERT INTO b_slot (option_id, slot) SELECT 1, generate_series(0, 15);
CREATE FUNCTION b_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE b_option SET votes = votes + 1 WHERE id = NEW.option_id;
  RETURN NULL;
END $$;
CREATE FUNCTION b_tell() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('b', NEW.poll_id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER t AFTER INSERT ON b_counted FOR EACH ROW EXECUTE FUNCTION b_count();
CREATE TRIGGER t AFTER INSERT ON b_told FOR EACH ROW EXECUTE FUNCTION b_tell();
"""
voters = count(1)


def rows_only(session: Session) -> None:
    """A vote is a row, and counting comes later."""
    session.execute("INSERT INTO b_vote VALUES (1, %s, 1)", [next(voters)])


def from_the_program(session: Session) -> None:
    """INSERT, then UPDATE … votes + 1, as F() does: the lock waits for the way to the program."""
    with session.transaction():
        session.execute("INSERT INTO b_vote VALUES (2, %s, 1)", [next(voters)])
        session.execute("UPDATE b_option SET votes = votes + 1 WHERE id = 1")


def by_a_trigger(session: Session) -> None:
    """One statement, whose trigger counts."""
    session.execute("INSERT INTO b_counted VALUES (3, %s, 1)", [next(voters)])


def by_a_trigger_in_two_statements(session: Session) -> None:
    """The same inside BEGIN and COMMIT."""
    with session.transaction():
        session.execute("INSERT INTO b_counted VALUES (4, %s, 1)", [next(voters)])


def in_16_slots(session: Session) -> None:
    """INSERT, then UPDATE of one of 16 rows, which are added up when somebody reads."""
    voter = next(voters)
    with session.transaction():
        session.execute("INSERT INTO b_vote VALUES (5, %s, 1)", [voter])
        session.execute(
            "UPDATE b_slot SET votes = votes + 1 WHERE option_id = 1 AND slot = %s", [voter % 16]
        )


def told_in_the_transaction(session: Session) -> None:
    """A row and its NOTIFY, which commits under a lock of the whole cluster."""
    session.execute("INSERT INTO b_told VALUES (6, %s, 1)", [next(voters)])


def told_afterwards(session: Session) -> None:
    """A row, then NOTIFY in a transaction that need not wait for the disk."""
    session.execute("INSERT INTO b_vote VALUES (7, %s, 1)", [next(voters)])
    session.execute("SELECT set_config('synchronous_commit', 'off', true), pg_notify('b', '7')")


VARIANTS: tuple[Callable[[Session], None], ...] = (
    from_the_program,
    by_a_trigger_in_two_statements,
    by_a_trigger,
    in_16_slots,
    told_in_the_transaction,
    told_afterwards,
)


@contextmanager
def database() -> Iterator[None]:
    """Make a database with the project's tables, and drop it at the end."""
    with connect("postgres") as admin:
        admin.execute("DROP DATABASE IF EXISTS polls_bench WITH (FORCE)")
        admin.execute("CREATE DATABASE polls_bench")
        # A throw-away server has them off. Another one has them on, and is left as it is.
        off = [
            name
            for name in ("fsync", "synchronous_commit")
            if (admin.execute(f"SHOW {name}").fetchone() or [""])[0] == "off"
        ]
        for name in off:
            admin.execute(f"ALTER SYSTEM SET {name} = on")
        admin.execute("SELECT pg_reload_conf()")
        connection.close()
        settings.DATABASES["default"]["NAME"] = "polls_bench"
        connection.settings_dict["NAME"] = "polls_bench"
        try:
            call_command("migrate", verbosity=0)
            yield
        finally:
            connection.close()
            admin.execute("DROP DATABASE polls_bench WITH (FORCE)")
            for name in off:
                admin.execute(f"ALTER SYSTEM RESET {name}")
            admin.execute("SELECT pg_reload_conf()")


def connect(name: str) -> Session:
    """Return a session of PostgreSQL."""
    given = connection.get_connection_params()
    wanted = ("host", "port", "user", "password")
    parameters = {key: given[key] for key in wanted if given.get(key)}
    return psycopg.connect(**parameters, dbname=name, autocommit=True)


def rate(vote: Callable[[Session], None]) -> float:
    """Vote with all threads for some time, and return votes per second."""
    done, begin, stop = [0] * THREADS, threading.Barrier(THREADS + 1), threading.Event()

    def one(number: int) -> None:
        with connect("polls_bench") as session:
            begin.wait()
            while not stop.is_set():
                vote(session)
                done[number] += 1

    threads = [threading.Thread(target=one, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    begin.wait()
    began = time.perf_counter()
    time.sleep(SECONDS)
    stop.set()
    for thread in threads:
        thread.join()
    return sum(done) / (time.perf_counter() - began)


def milliseconds(session: Session, query: str) -> float:
    """Return how long a query takes: the fastest of five, or of all in half a second."""
    times: list[float] = []
    ends = time.perf_counter() + 0.5
    while len(times) < 5 or time.perf_counter() < ends:
        began = time.perf_counter()
        session.execute(query).fetchall()
        times.append((time.perf_counter() - began) * 1_000)
    return min(times)


def measure_reading(session: Session) -> None:
    """Compare counting rows with reading counters, while a poll grows to a million votes."""
    print(f"\nReading the results of a poll with {OPTIONS} options (milliseconds)\n")
    print("| votes | COUNT over rows | counters | ratio |\n|---:|---:|---:|---:|")
    session.execute(
        "INSERT INTO polls_user (username, password, is_staff, is_active)"
        " SELECT 'voter-' || n, '!', false, true FROM generate_series(1, %s) n",
        [VOTES],
    )
    session.execute("BEGIN")
    session.execute(
        "INSERT INTO polls_poll (question, closes_at, owner_id, private_results)"
        " SELECT 'Which?', now() + '1 day', min(id), false FROM polls_user"
    )
    session.execute(
        "INSERT INTO polls_option (poll_id, position, text)"
        " SELECT id, n, n FROM polls_poll, generate_series(1, %s) n",
        [OPTIONS],
    )
    session.execute("COMMIT")
    found = session.execute("SELECT id FROM polls_poll").fetchone()
    assert found
    poll, before = found[0], 0
    for votes in (1_000, 10_000, 100_000, VOTES):
        session.execute(
            "INSERT INTO polls_vote (poll_id, voter_id, option_id, cast_at)"
            " SELECT o.poll_id, u.id, o.id, now()"
            " FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM polls_user) u"
            f" JOIN polls_option o ON o.position = u.n %% {OPTIONS} + 1"
            " WHERE u.n > %s AND u.n <= %s",
            [before, votes],
        )
        before = votes
        session.execute("VACUUM ANALYZE polls_vote, polls_option")
        of_poll = f"FROM polls_{{}} WHERE poll_id = '{poll}'"
        rows = f"SELECT option_id, count(*) {of_poll.format('vote')} GROUP BY 1 ORDER BY 1"
        counters = f"SELECT id, votes {of_poll.format('option')} ORDER BY 1"
        assert session.execute(rows).fetchall() == session.execute(counters).fetchall()
        slow, fast = milliseconds(session, rows), milliseconds(session, counters)
        print(f"| {votes:,} | {slow:.2f} | {fast:.2f} | {slow / fast:,.0f} |", flush=True)


def measure_writing(session: Session) -> None:
    """Compare ways to count, when all vote for one option at once."""
    session.execute(TABLES)
    pairs: dict[str, list[tuple[float, float]]] = {}
    for _ in range(TURNS):
        for vote in VARIANTS:
            pairs.setdefault(vote.__name__, []).append((rate(rows_only), rate(vote)))
    print(f"\n{THREADS} threads, all for one option: votes per second, and as a share\n")
    base = statistics.median(plain for found in pairs.values() for plain, _ in found)
    print("| way | votes/s | of rows only |\n|---|---:|---:|")
    print(f"| rows only | {base:,.0f} | 100% |")
    for name, found in pairs.items():
        share = statistics.median(rate / plain for plain, rate in found)
        median = statistics.median(rate for _, rate in found)
        print(f"| {name.replace('_', ' ')} | {median:,.0f} | {share:.0%} |")


def measure_losses(session: Session) -> None:
    """Count what `choice.votes += 1; choice.save()` loses."""
    session.execute("INSERT INTO b_option (id) VALUES (99)")

    def vote(session: Session) -> None:
        next(said)
        found = session.execute("SELECT votes FROM b_option WHERE id = 99").fetchone()
        assert found
        session.execute("UPDATE b_option SET votes = %s WHERE id = 99", [found[0] + 1])

    said = count()
    rate(vote)
    votes = next(said)
    found = session.execute("SELECT votes FROM b_option WHERE id = 99").fetchone()
    assert found
    print(f"\nRead, add one, save: {votes:,} votes cast by {THREADS} threads, {found[0]:,} counted")
    print(f"({1 - found[0] / votes:.0%} lost)")


def main() -> None:
    """Measure all, and print tables for the README."""
    django.setup()
    with database(), connect("polls_bench") as session:
        measure_reading(session)
        measure_writing(session)
        measure_losses(session)


if __name__ == "__main__":
    main()
