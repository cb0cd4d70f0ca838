"""Each judge of background-jobs: the stub, right answers of several kinds, wrong ones."""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest

import nexus
from nexus.judging import judge_answer, limits
from nexus.judging.sandbox import Connection

EXERCISES = [f"background-jobs.{number}" for number in range(1, 4)]
ONE, TWO, THREE = EXERCISES
Publish = Callable[[str], object]

TAKE = "UPDATE booking SET status = 'paid' WHERE id = %s AND status <> 'paid' RETURNING id"
PAY = "INSERT INTO payment VALUES (%s, %s)"
PAID = "UPDATE booking SET status = 'paid' WHERE id = %s"
THERE = "SELECT 1 FROM payment WHERE booking = %s"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# -- 1. A task that may be run again


def by_status(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        if db.execute(TAKE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])


def by_row_lock(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute("SELECT 1 FROM booking WHERE id = %s FOR UPDATE", [booking])
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def by_advisory_lock(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(%s)", [booking])
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
        db.execute(PAID, [booking])


def serializable(db: Connection, booking: int, cents: int) -> None:
    """Refused when it meets another; then the worker runs it again."""
    db.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
    with db.transaction():
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def one_statement(db: Connection, booking: int, cents: int) -> None:
    db.execute(
        f"WITH taken AS ({TAKE}) INSERT INTO payment SELECT id, %s FROM taken",
        [booking, cents],
    )


def with_unique_index(db: Connection, booking: int, cents: int) -> None:
    db.execute("CREATE UNIQUE INDEX IF NOT EXISTS once ON payment (booking)")
    with db.transaction():
        db.execute(PAY + " ON CONFLICT DO NOTHING", [booking, cents])
        db.execute(PAID, [booking])


def by_table_lock(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute("LOCK TABLE payment IN SHARE ROW EXCLUSIVE MODE")
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def stub_1(db: Connection, booking: int, cents: int) -> None:
    db.execute(PAY, [booking, cents])
    db.execute(PAID, [booking])


def check_then_insert(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def two_transactions(db: Connection, booking: int, cents: int) -> None:
    if db.execute(TAKE, [booking]).fetchone():
        db.execute(PAY, [booking, cents])


def not_where_exists(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute(
            "INSERT INTO payment SELECT %s, %s WHERE NOT EXISTS "
            "(SELECT 1 FROM payment WHERE booking = %s)",
            [booking, cents, booking],
        )
        db.execute(PAID, [booking])


def swallows(db: Connection, booking: int, cents: int) -> None:
    try:
        by_status(db, booking, cents)
    except psycopg.Error:
        return


def forgets_the_status(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute("SELECT 1 FROM booking WHERE id = %s FOR UPDATE", [booking])
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])


def wrong_amount(db: Connection, booking: int, cents: int) -> None:
    by_status(db, booking, cents // 100)


def any_payment(db: Connection, booking: int, cents: int) -> None:
    """Right for the first booking."""
    with db.transaction():
        db.execute("SELECT 1 FROM booking FOR UPDATE")
        if not db.execute("SELECT 1 FROM payment").fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def charges_everybody(db: Connection, booking: int, cents: int) -> None:  # noqa: ARG001
    """Each booking has one payment, whoever was asked to pay."""
    db.execute(
        "WITH taken AS (UPDATE booking SET status = 'paid' WHERE status = 'waiting' RETURNING id) "
        "INSERT INTO payment SELECT id, %s FROM taken",
        [cents],
    )


def marks_everybody(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        if db.execute(TAKE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute("UPDATE booking SET status = 'paid'")


def unlocks_before_the_commit(db: Connection, booking: int, cents: int) -> None:
    try:
        with db.transaction():
            db.execute("SELECT pg_advisory_lock(%s)", [booking])
            if not db.execute(THERE, [booking]).fetchone():
                db.execute(PAY, [booking, cents])
                db.execute(PAID, [booking])
            db.execute("SELECT pg_advisory_unlock(%s)", [booking])
    except psycopg.Error:
        db.execute("SELECT pg_advisory_unlock(%s)", [booking])
        raise


def tidies_up(db: Connection, booking: int, cents: int) -> None:
    with db.transaction():
        db.execute(PAY, [booking, cents])
        db.execute(
            "DELETE FROM payment a USING payment b "
            "WHERE a.booking = b.booking AND a.booking = %s AND a.ctid > b.ctid",
            [booking],
        )
        db.execute(PAID, [booking])


def leaves_it_to_the_other(db: Connection, booking: int, cents: int) -> None:
    """Who holds the row may be about to fail."""
    look = "SELECT 1 FROM booking WHERE id = %s AND status = 'waiting' FOR UPDATE SKIP LOCKED"
    with db.transaction():
        if db.execute(look, [booking]).fetchone():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])


def keeps_its_lock(db: Connection, booking: int, cents: int) -> None:
    """Right as long as each run has a connection of its own."""
    db.execute("SELECT pg_advisory_lock(%s)", [booking])
    check_then_insert(db, booking, cents)


def unlocks_if_all_is_well(db: Connection, booking: int, cents: int) -> None:
    keeps_its_lock(db, booking, cents)
    db.execute("SELECT pg_advisory_unlock(%s)", [booking])


def unlocks_whatever_happens(db: Connection, booking: int, cents: int) -> None:
    try:
        keeps_its_lock(db, booking, cents)
    finally:
        db.execute("SELECT pg_advisory_unlock(%s)", [booking])


def once_for_each_amount(db: Connection, booking: int, cents: int) -> None:
    """The key names the attempt, and not what must happen once."""
    with db.transaction():
        db.execute("SELECT 1 FROM booking WHERE id = %s FOR UPDATE", [booking])
        if not db.execute(f"{THERE} AND cents = %s", [booking, cents]).fetchone():
            db.execute(PAY, [booking, cents])
        db.execute(PAID, [booking])


def is_done_by_another(db: Connection, booking: int, cents: int) -> None:
    """Who has the lock may die, and then nobody has paid."""
    with db.transaction():
        if db.execute("SELECT pg_try_advisory_xact_lock(%s)", [booking]).fetchone() == (True,):
            check_then_insert(db, booking, cents)


def fails_if_another_is_at_work(db: Connection, booking: int, cents: int) -> None:
    """The worker runs it again a moment later."""
    with db.transaction():
        if db.execute("SELECT pg_try_advisory_xact_lock(%s)", [booking]).fetchone() != (True,):
            raise psycopg.errors.LockNotAvailable("another run is at work")
        check_then_insert(db, booking, cents)


def paid_and_then_counted(db: Connection, booking: int, cents: int) -> None:
    """Another form: the update is the lock."""
    with db.transaction():
        db.execute(PAID, [booking])
        if not db.execute(THERE, [booking]).fetchone():
            db.execute(PAY, [booking, cents])


def left_open(db: Connection, booking: int, cents: int) -> None:
    db.autocommit = False
    if db.execute(TAKE, [booking]).fetchone():
        db.execute(PAY, [booking, cents])


# -- 2. Options

PASSING = (ConnectionError, TimeoutError)


def options(**more: Any) -> dict[str, Any]:  # noqa: ANN401
    given = {"autoretry_for": PASSING, "max_retries": 8, "retry_backoff": 5}
    return {**given, "retry_backoff_max": 300, **more}


# -- 3. A relay

WAITING = "SELECT id, task FROM outbox WHERE NOT sent ORDER BY id"
MARK = "UPDATE outbox SET sent = true WHERE id = %s"


def one_by_one(db: Connection, publish: Publish) -> None:
    while True:
        with db.transaction():
            row = db.execute(f"{WAITING} LIMIT 1 FOR UPDATE SKIP LOCKED").fetchone()
            if row is None:
                return
            publish(row[1])
            db.execute(MARK, [row[0]])


def all_together(db: Connection, publish: Publish) -> None:
    with db.transaction():
        for number, task in db.execute(f"{WAITING} FOR UPDATE").fetchall():
            publish(task)
            db.execute(MARK, [number])


def one_relay_only(db: Connection, publish: Publish) -> None:
    with db.transaction():
        if db.execute("SELECT pg_try_advisory_xact_lock(7)").fetchone() == (True,):
            for number, task in db.execute(WAITING).fetchall():
                publish(task)
                db.execute(MARK, [number])


def by_delete(db: Connection, publish: Publish) -> None:
    """The mark and the message stand in one transaction; what is sent need not stay."""
    while True:
        with db.transaction():
            row = db.execute(
                "DELETE FROM outbox WHERE id = (SELECT id FROM outbox WHERE NOT sent ORDER BY id "
                "LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING task"
            ).fetchone()
            if row is None:
                return
            publish(row[0])


def keeps_what_was_sent(db: Connection, publish: Publish) -> None:
    failure = None
    with db.transaction():
        for number, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            try:
                publish(task)
            except ConnectionError as error:
                failure = error
                break
            db.execute(MARK, [number])
    if failure:
        raise failure


def by_hand(db: Connection, publish: Publish) -> None:
    db.execute("BEGIN")
    try:
        for number, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            publish(task)
            db.execute(MARK, [number])
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def stub_3(db: Connection, publish: Publish) -> None:
    for number, task in db.execute(WAITING).fetchall():
        db.execute(MARK, [number])
        publish(task)


def without_a_lock(db: Connection, publish: Publish) -> None:
    for number, task in db.execute(WAITING).fetchall():
        publish(task)
        db.execute(MARK, [number])


def marks_first(db: Connection, publish: Publish) -> None:
    rows = db.execute("UPDATE outbox SET sent = true WHERE NOT sent RETURNING id, task").fetchall()
    for _, task in sorted(rows):
        publish(task)


def never_marks(db: Connection, publish: Publish) -> None:
    for _, task in db.execute(WAITING).fetchall():
        publish(task)


def marks_what_failed(db: Connection, publish: Publish) -> None:
    with db.transaction():
        for number, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            with suppress(ConnectionError):
                publish(task)
            db.execute(MARK, [number])


def any_order(db: Connection, publish: Publish) -> None:
    with db.transaction():
        query = "SELECT id, task FROM outbox WHERE NOT sent ORDER BY id DESC FOR UPDATE"
        for number, task in db.execute(query).fetchall():
            publish(task)
            db.execute(MARK, [number])


def everything(db: Connection, publish: Publish) -> None:
    for (task,) in db.execute("SELECT task FROM outbox ORDER BY id").fetchall():
        publish(task)


def by_table_lock_too(db: Connection, publish: Publish) -> None:
    with db.transaction():
        db.execute("LOCK TABLE outbox IN EXCLUSIVE MODE")
        for number, task in db.execute(WAITING).fetchall():
            publish(task)
            db.execute(MARK, [number])


def marks_by_its_text(db: Connection, publish: Publish) -> None:
    """Another row may hold the same text."""
    waiting = "SELECT task FROM outbox WHERE NOT sent ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
    while True:
        with db.transaction():
            row = db.execute(waiting).fetchone()
            if row is None:
                return
            publish(row[0])
            db.execute("UPDATE outbox SET sent = true WHERE task = %s", [row[0]])


def marks_all_at_the_end(db: Connection, publish: Publish) -> None:
    """What was written meanwhile is marked, too."""
    with db.transaction():
        for _, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            publish(task)
        db.execute("UPDATE outbox SET sent = true WHERE NOT sent")


def deletes_all_at_the_end(db: Connection, publish: Publish) -> None:
    with db.transaction():
        for _, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            publish(task)
        db.execute("DELETE FROM outbox")


def only_the_oldest(db: Connection, publish: Publish) -> None:
    with db.transaction():
        for number, task in db.execute(f"{WAITING} LIMIT 1 FOR UPDATE").fetchall():
            publish(task)
            db.execute(MARK, [number])


def unlocks_the_relay_before_the_commit(db: Connection, publish: Publish) -> None:
    try:
        with db.transaction():
            db.execute("SELECT pg_advisory_lock(7)")
            for number, task in db.execute(WAITING).fetchall():
                publish(task)
                db.execute(MARK, [number])
            db.execute("SELECT pg_advisory_unlock(7)")
    except ConnectionError:
        if not db.closed:
            db.execute("SELECT pg_advisory_unlock(7)")
        raise


def keeps_the_relays_lock(db: Connection, publish: Publish) -> None:
    if db.execute("SELECT pg_try_advisory_lock(7)").fetchone() == (True,):
        with db.transaction():
            for number, task in db.execute(WAITING).fetchall():
                publish(task)
                db.execute(MARK, [number])


def unlocks_the_relay_if_all_is_well(db: Connection, publish: Publish) -> None:
    keeps_the_relays_lock(db, publish)
    db.execute("SELECT pg_advisory_unlock(7)")


def a_hundred_at_most(db: Connection, publish: Publish) -> None:
    with db.transaction():
        for number, task in db.execute(f"{WAITING} LIMIT 100 FOR UPDATE SKIP LOCKED").fetchall():
            publish(task)
            db.execute(MARK, [number])


def after_the_last_that_was_sent(db: Connection, publish: Publish) -> None:
    """Ids are given out before the commit: a low one may come late."""
    with db.transaction():
        db.execute("LOCK TABLE outbox IN SHARE ROW EXCLUSIVE MODE")
        query = "SELECT id, task FROM outbox WHERE id > (SELECT max(id) FROM outbox WHERE sent)"
        for number, task in db.execute(f"{query} ORDER BY id").fetchall():
            publish(task)
            db.execute(MARK, [number])


def marks_up_to_the_last(db: Connection, publish: Publish) -> None:
    with db.transaction():
        rows = db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall()
        for _, task in rows:
            publish(task)
        if rows:
            db.execute("UPDATE outbox SET sent = true WHERE id <= %s", [rows[-1][0]])


def tries_without_end(db: Connection, publish: Publish) -> None:
    while True:
        with db.transaction():
            row = db.execute(f"{WAITING} LIMIT 1 FOR UPDATE SKIP LOCKED").fetchone()
            if row is None:
                return
            with suppress(ConnectionError):
                publish(row[1])
                db.execute(MARK, [row[0]])


def takes_its_mark_back(db: Connection, publish: Publish) -> None:
    """Who dies cannot take anything back."""
    take = "UPDATE outbox SET sent = true WHERE id = (SELECT id FROM outbox WHERE NOT sent " + (
        "ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id, task"
    )
    while row := db.execute(take).fetchone():
        try:
            publish(row[1])
        except ConnectionError:
            db.execute("UPDATE outbox SET sent = false WHERE id = %s", [row[0]])
            raise


def each_text_once(db: Connection, publish: Publish) -> None:
    with db.transaction():
        rows = db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall()
        for task in dict.fromkeys(task for _, task in rows):
            publish(task)
        for number, _ in rows:
            db.execute(MARK, [number])


def marks_what_was_published(db: Connection, publish: Publish) -> None:
    """Another form: it goes on after a failure, and marks the others."""
    with db.transaction():
        sent = []
        for number, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
            with suppress(ConnectionError):
                publish(task)
                sent.append(number)
        db.execute("UPDATE outbox SET sent = true WHERE id = ANY(%s)", [sent])


def never_commits(db: Connection, publish: Publish) -> None:
    db.execute("BEGIN")
    for number, task in db.execute(f"{WAITING} FOR UPDATE SKIP LOCKED").fetchall():
        publish(task)
        db.execute(MARK, [number])


# -- Whatever else an answer may do


def never_ends(*_: object) -> None:
    while True:
        pass


def leaves(*_: object) -> None:
    raise SystemExit(3)


def interrupts(*_: object) -> None:
    raise KeyboardInterrupt


def breaks(*_: object) -> None:
    raise ValueError("no")


def takes_nothing() -> None: ...


IN_THIS_PROCESS = threading.Lock()


def looks_under_a_lock(db: Connection, booking: int, cents: int) -> None:
    with IN_THIS_PROCESS:
        check_then_insert(db, booking, cents)


def publishes_under_a_lock(db: Connection, publish: Publish) -> None:
    with IN_THIS_PROCESS:
        for number, task in db.execute(WAITING).fetchall():
            with db.transaction():
                db.execute(MARK, [number])
                publish(task)


PAID_HERE: set[int] = set()
SENT_HERE: set[int] = set()


def remembers_the_paid(db: Connection, booking: int, cents: int) -> None:
    if booking not in PAID_HERE:
        with db.transaction():
            db.execute(PAY, [booking, cents])
            db.execute(PAID, [booking])
        PAID_HERE.add(booking)


def remembers_the_sent(db: Connection, publish: Publish) -> None:
    for number, task in db.execute(WAITING).fetchall():
        if number not in SENT_HERE:
            with db.transaction():
                db.execute(MARK, [number])
                publish(task)
            SENT_HERE.add(number)


@pytest.fixture(autouse=True)
def forgotten() -> None:
    PAID_HERE.clear()
    SENT_HERE.clear()


def asks_slowly(db: Connection, *_: object) -> None:
    db.execute("SELECT pg_sleep(1000)")


RIGHT = [
    *[
        (ONE, answer)
        for answer in (
            by_status,
            by_row_lock,
            by_advisory_lock,
            serializable,
            one_statement,
            with_unique_index,
            by_table_lock,
            unlocks_whatever_happens,
            fails_if_another_is_at_work,
            paid_and_then_counted,
        )
    ],
    (TWO, options()),
    (TWO, options(max_retries=20)),
    (TWO, options(expires=3600)),
    (TWO, options(autoretry_for=(OSError,), retry_backoff=True)),
    (TWO, options(autoretry_for=(Exception,), dont_autoretry_for=(ValueError,))),
    (
        TWO,
        {
            "autoretry_for": list(PASSING),
            "retry_kwargs": {"max_retries": 10},
            "retry_backoff": 10,
            "retry_backoff_max": 120,
            "acks_late": True,
        },
    ),
    *[
        (THREE, answer)
        for answer in (
            one_by_one,
            all_together,
            one_relay_only,
            by_delete,
            keeps_what_was_sent,
            marks_what_was_published,
            by_hand,
            by_table_lock_too,
        )
    ],
]
WRONG = [
    (ONE, keeps_its_lock, "it still holds an advisory lock"),
    (ONE, unlocks_if_all_is_well, "a run failed and left an advisory lock behind"),
    (ONE, once_for_each_amount, "came again with another amount, and then there are 2 payments"),
    (ONE, is_done_by_another, "the first one died for good, and then there are no payments"),
    (TWO, options(retry_backoff=2, max_retries=6), "of them have given up within 60 seconds"),
    (TWO, options(expires=30), "the options say expires=30"),
    (TWO, options(expires=60), "the options say expires=60"),
    (TWO, options(max_retries=21), "not given up"),
    (TWO, options(autoretry_for=(Exception,), throws=(ValueError,)), "wrong card number"),
    (TWO, options(max_retries=12, retry_backoff_max=301), "300 are the most"),
    (TWO, options(max_retries=True), "on average"),
    (
        TWO,
        {"autoretry_for": PASSING, "retry_kwargs": {"max_retries": 8, "countdown": 30}},
        "at the same second",
    ),
    (THREE, keeps_the_relays_lock, "it still holds an advisory lock"),
    (THREE, unlocks_the_relay_if_all_is_well, "it still holds an advisory lock"),
    (THREE, a_hundred_at_most, "153 tasks wait in the outbox, and one call published 100"),
    (THREE, after_the_last_that_was_sent, "Ids are given out before the commit"),
    (THREE, marks_up_to_the_last, "Ids are given out before the commit"),
    (THREE, tries_without_end, "publish was called more than 100 times"),
    (THREE, takes_its_mark_back, "when it was about to publish"),
    (THREE, each_text_once, "remind Amina, and it was published 1 times"),
    (ONE, looks_under_a_lock, "same moment"),
    (ONE, asks_slowly, "had not come to an end after 1 seconds"),
    (TWO, {"run": lambda self=None: None}, "returned as if it had not"),  # noqa: ARG005
    (THREE, publishes_under_a_lock, "both published"),
    (THREE, asks_slowly, "had not come to an end after 1 seconds"),
    (ONE, stub_1, "a second time"),
    (ONE, check_then_insert, "same moment"),
    (ONE, not_where_exists, "same moment"),
    (ONE, two_transactions, "no payments"),
    (ONE, swallows, "was told that all is well"),
    (ONE, forgets_the_status, "not paid"),
    (ONE, wrong_amount, "90 cents"),
    (ONE, left_open, "still open"),
    (ONE, remembers_the_paid, "same moment"),
    (ONE, any_payment, "no payments"),
    (ONE, charges_everybody, "were asked to pay for booking 1 only"),
    (ONE, marks_everybody, "were asked to pay for booking 1 only"),
    (ONE, unlocks_before_the_commit, "same moment"),
    (ONE, tidies_up, "same moment"),
    (ONE, leaves_it_to_the_other, "same moment"),
    (TWO, {}, "gave up at once"),
    (
        TWO,
        options(max_retries=3, max_retry=8),
        "Celery has no option 'max_retry', and ignores it",
    ),
    (
        TWO,
        {**options(), "retry_backoff_max": 600, "retry_max_backoff": 300, "max_retries": 12},
        "Celery has no option 'retry_max_backoff'",
    ),
    (TWO, {"autoretry_for": (Exception,), "max_retries": 3}, "wrong card number"),
    (TWO, options(autoretry_for=(ConnectionError,)), "took too long"),
    (TWO, options(retry_jitter=False), "at the same second"),
    (TWO, options(max_retries=3), "after 18 seconds, on average"),
    (TWO, options(max_retries=None), "not given up"),
    (TWO, options(max_retries=12, retry_backoff_max=3600), "300 are the most"),
    (
        TWO,
        options(retry_backoff=False, default_retry_delay=30),
        "at the same second",
    ),
    (
        TWO,
        options(retry_backoff=60, retry_backoff_max=60),
        "no longer than the first",
    ),
    (TWO, options(autoretry_for="ConnectionError"), "raised TypeError"),
    (TWO, options(retry_backoff="soon"), "Celery does not take"),
    (TWO, options(max_retries="8"), "max_retries is '8', and should be a number"),
    (TWO, {1: 2}, "a word in quotes"),
    (THREE, stub_3, "was never sent"),
    (THREE, marks_first, "was never sent"),
    (THREE, marks_what_failed, "was never sent"),
    (THREE, without_a_lock, "both published"),
    (THREE, never_marks, "run again"),
    (THREE, any_order, "it published ['fourth', 'third', 'second']"),
    (THREE, everything, "it published"),
    (THREE, never_commits, "still open"),
    (THREE, remembers_the_sent, "both published"),
    (THREE, marks_by_its_text, "was published 1 times: mark the row"),
    (THREE, marks_all_at_the_end, "fifth was written while the relay was publishing"),
    (THREE, deletes_all_at_the_end, "fifth was written while the relay was publishing"),
    (THREE, only_the_oldest, "it published ['second']"),
    (THREE, unlocks_the_relay_before_the_commit, "both published"),
]


@pytest.mark.parametrize(
    ("name", "answer"), RIGHT, ids=lambda value: getattr(value, "__name__", "")
)
def test_right(name: str, answer: object) -> None:
    verdict = judge_answer(name, answer)
    assert verdict.right, verdict


@pytest.mark.parametrize(
    ("name", "answer", "says"), WRONG, ids=lambda value: getattr(value, "__name__", "")
)
def test_wrong(name: str, answer: object, says: str) -> None:
    verdict = judge_answer(name, answer)
    assert not verdict.right, verdict
    assert says in verdict.message


@pytest.mark.parametrize("name", EXERCISES)
@pytest.mark.parametrize("answer", [None, 7, "SELECT 1", ...])
def test_no_answer(name: str, answer: object) -> None:
    assert not judge_answer(name, answer).right


@pytest.mark.parametrize("name", [ONE, THREE])
@pytest.mark.parametrize("answer", [leaves, interrupts, breaks, takes_nothing])
def test_an_answer_that_breaks(name: str, answer: object) -> None:
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert verdict.message


@pytest.mark.parametrize("name", [ONE, THREE])
def test_an_answer_that_does_not_end(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 0.5)
    assert "had not come to an end" in judge_answer(name, never_ends).message


def test_chance_is_as_it_was() -> None:
    random.seed(5)
    expected = random.Random(5).random()
    judge_answer(TWO, options())
    assert random.random() == expected


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """What will never end need not be waited for as long as a learner's answer may take."""
    if "asks_slowly" in request.node.name:
        monkeypatch.setattr("nexus.judging.limits.SECONDS", 1.0)
