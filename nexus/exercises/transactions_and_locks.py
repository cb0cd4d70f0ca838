"""Judges of "Transactions and locks": a retry loop, a queue, a transfer, a rule for ranges."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.clock import Clock
from nexus.judging.limits import Guard, Run, all_of, as_exception, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.sandbox import (
    Connection,
    Sandbox,
    another,
    database,
    keeps_a_lock,
    watched,
)
from nexus.judging.workers import OtherProcessError, Worker, worker

ATTEMPTS = 2_000
"""More than any loop with an end needs for work that is hopeless."""


def still_usable(box: Sandbox, client: Connection, when: str) -> None:
    """Raises NotYet if an answer has closed its connection, or left something open on it."""
    if client.closed:
        raise NotYet(
            f"{when}, the connection is closed, and it is the caller's. (`with connection:` "
            "closes it; `with connection.transaction():` does not.)"
        )
    if client.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(f"{when}, its transaction is still open")
    if keeps_a_lock(box, client):
        raise NotYet(
            f"{when}, it still holds an advisory lock: unlock, or take pg_advisory_xact_lock"
        )


def accounts(connection: Connection) -> None:
    """Makes two accounts with 100 each; no balance may be negative."""
    connection.execute("""
        CREATE TABLE account (owner text PRIMARY KEY, cents int NOT NULL CHECK (cents >= 0));
        INSERT INTO account VALUES ('Amina', 100), ('Bode', 100);
    """)


def balances(box: Sandbox) -> dict[str, int]:
    """Both balances, by owner."""
    return dict(box.admin.execute("SELECT owner, cents FROM account").fetchall())


Work = Callable[[Connection], object]


GIVEN_1 = """
def again(connection, work):
    with connection.transaction():
        return work(connection)
"""


@judge(
    "transactions-and-locks.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection and a function work: it calls work(connection) in a "
    "SERIALIZABLE transaction, and again if PostgreSQL refused that transaction",
    stub=GIVEN_1,
)
def retry_loop(answer: Callable[[Connection, Work], object]) -> str:
    """It tries again what may succeed, at once gives up what cannot, and ends."""
    with database("transactions_accounts", accounts) as box, another(box) as client:
        attempts: list[str] = []

        def unlucky(connection: Connection) -> str:
            """Meets another transaction, twice, and then nobody."""
            level = connection.execute("SHOW transaction_isolation").fetchone()
            if connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE:
                raise NotYet(
                    "an attempt ran in no transaction: the connection is in autocommit. Begin one, "
                    "for example with `connection.transaction()`"
                )
            attempts.append(str(level[0] if level else ""))
            query = "SELECT cents FROM account WHERE owner = 'Amina'"
            before = connection.execute(query).fetchone()
            if len(attempts) <= 2:
                box.admin.execute("UPDATE account SET cents = cents + 1 WHERE owner = 'Amina'")
            cents = before[0] + 10 if before else 0
            connection.execute("UPDATE account SET cents = %s WHERE owner = 'Amina'", [cents])
            return "the result of work"

        try:
            result = within(lambda: answer(client, unlucky), Clock())
        except psycopg.errors.SerializationFailure:
            raise NotYet(
                "work was refused twice and would have succeeded at the third attempt; your "
                f"function gave up after {len(attempts)}"
            ) from None
        except psycopg.errors.InFailedSqlTransaction:
            raise NotYet(
                "after a refusal your function went on in the same transaction. Roll it back, and "
                "begin a new one"
            ) from None
        if set(attempts) - {"serializable"}:
            raise NotYet(
                f"an attempt ran at {(set(attempts) - {'serializable'}).pop()}; set the isolation "
                "level of every attempt to SERIALIZABLE"
            )
        still_usable(box, client, "when your function has returned")
        if balances(box)["Amina"] != 112:
            raise NotYet(
                "two others added 1 each, work added 10 to 100, and the balance is "
                f"{balances(box)['Amina']}: was the work done, once, and committed?"
            )
        if result != "the result of work":
            raise NotYet(f"work returned a value, and your function returned {result!r}")
        _commit_refused(answer, box)
        _gives_up_at_once(answer, box)
        _lets_through(answer, box)
        _returns_anything(answer, box)
        _ends(answer, box)
    return (
        "your function tries again after each conflict, also after one at the commit; it does not "
        "try again after another error; and it gives up when every attempt is refused"
    )


def _commit_refused(answer: Callable[[Connection, Work], object], box: Sandbox) -> None:
    """A refusal can come as late as the commit."""
    attempts = []
    query = "SELECT sum(cents) FROM account"
    update = "UPDATE account SET cents = cents + 1 WHERE owner = %s"

    def skewed(connection: Connection) -> str:
        """Reads what another one changes, and changes what it reads, the first time."""
        attempts.append(1)
        connection.execute(query)
        if len(attempts) > 1:
            connection.execute(update, ["Bode"])
            return "the result of the second attempt"
        box.admin.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
        box.admin.execute(query)
        connection.execute(update, ["Bode"])
        box.admin.execute(update, ["Amina"])
        box.admin.execute("COMMIT")
        return "the result of the first attempt, which was refused"

    before = balances(box)["Bode"]
    with another(box) as client:
        try:
            result = within(lambda: answer(client, skewed), Clock())
        except psycopg.errors.SerializationFailure:
            raise NotYet(
                "the refusal came with the COMMIT, after work had returned, and your function did "
                "not try again. Put the commit inside the part that is tried again"
            ) from None
    if balances(box)["Bode"] != before + 1:
        raise NotYet(
            "the commit was refused, and your function returned as if it had worked. Let the error "
            "of the commit reach your loop, and call work again"
        )
    if result != "the result of the second attempt":
        raise NotYet(f"the commit was refused once, and your function returned {result!r}")


def _gives_up_at_once(answer: Callable[[Connection, Work], object], box: Sandbox) -> None:
    """What another error has ended is not tried again: it would end in the same way."""
    for what, statements in {
        "work that breaks a CHECK": ["UPDATE account SET cents = -1 WHERE owner = 'Bode'"],
        "work that runs into statement_timeout": [
            "SET LOCAL statement_timeout = '10ms'",
            "SELECT pg_sleep(60)",
        ],
    }.items():
        _once(answer, box, what, statements)


def _lets_through(answer: Callable[[Connection, Work], object], box: Sandbox) -> None:
    """An error that PostgreSQL knows nothing of reaches the caller, and its work is undone."""

    class WorkError(LookupError):
        """What work raises."""

    def fails(connection: Connection) -> None:
        connection.execute("UPDATE account SET cents = cents + 1 WHERE owner = 'Bode'")
        raise WorkError("there is no such guest")

    before = balances(box)
    with another(box) as client:
        try:
            within(lambda: answer(client, fails), Clock())
        except WorkError:
            pass
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"work raised an error of its own, and the caller got {type(error).__name__} "
                "instead: let other errors through as they are"
            ) from None
        else:
            raise NotYet("work raised an error of its own, and the caller got no error")
        still_usable(box, client, "after an error that does not come from PostgreSQL")
        if balances(box) != before:
            raise NotYet(
                "work changed a row and then raised an error of its own, and the change was "
                "committed: roll back after every error"
            )


def _returns_anything(answer: Callable[[Connection, Work], object], box: Sandbox) -> None:
    """Work may return nothing, or a value that looks like nothing; that is a result."""
    for value in (None, 0, ""):
        calls: list[object] = []

        def returns(connection: Connection) -> object:
            connection.execute("SELECT 1")
            calls.append(value)  # noqa: B023
            return value  # noqa: B023

        with another(box) as client:
            got = within(lambda: answer(client, returns), Clock())
        if got != value or len(calls) != 1:
            raise NotYet(
                f"work was called {len(calls)} times and returned {value!r}, and your function "
                f"returned {got!r}: whatever work returns is a result"
            )


def _once(
    answer: Callable[[Connection, Work], object], box: Sandbox, what: str, statements: list[str]
) -> None:
    guard = Guard(20, f"your function tries {what} again and again")

    def wrong(connection: Connection) -> None:
        guard.tick()
        for statement in statements:
            connection.execute(statement)  # type: ignore[arg-type]

    with another(box) as client:
        try:
            within(lambda: answer(client, wrong), Clock())
        except (psycopg.errors.CheckViolation, psycopg.errors.QueryCanceled):
            pass
        else:
            guard.check()
            raise NotYet(
                f"your function was given {what}, and the caller got no error. Let other errors "
                "through"
            )
        if guard.count != 1:
            raise NotYet(
                f"your function tried {what} {guard.count} times; only a serialization failure is "
                "worth another attempt"
            )
        still_usable(box, client, "after an error")


def _ends(answer: Callable[[Connection, Work], object], box: Sandbox) -> None:
    """Work that is refused every time comes back with that error, however patiently it waits."""
    guard = Guard(ATTEMPTS, "work is refused in every attempt, and your function never gives up")

    def hopeless(_: Connection) -> None:
        guard.tick()
        raise psycopg.errors.SerializationFailure("another one is always faster")

    with another(box) as client:
        try:
            within(lambda: answer(client, hopeless), Clock())
        except psycopg.errors.SerializationFailure:
            guard.check()
            return
    guard.check()
    raise NotYet(
        "work was refused in every attempt, and the caller got no error. Raise the last failure"
    )


def jobs(connection: Connection) -> None:
    """Makes a queue: some jobs are done, five wait, and the rows lie about in no order."""
    connection.execute("""
        CREATE TABLE job (id int PRIMARY KEY, status text NOT NULL);
        INSERT INTO job SELECT id, CASE WHEN id < 4 THEN 'done' ELSE 'waiting' END
        FROM unnest(ARRAY[6, 1, 8, 3, 5, 2, 7, 4]) AS id;
    """)


@judge(
    "transactions-and-locks.2",
    takes=str,
    called="one statement in quotes",
    hint="one statement that sets the first waiting job to 'running' and returns its id",
)
def queue(answer: str) -> str:
    """Two clients get two jobs, nobody waits, and a job that is given back is there again."""
    with database("transactions_jobs", jobs) as box, another(box) as second:
        box.learner.execute("BEGIN")
        got = _take(box, box.learner, answer)
        if got != [4]:
            raise NotYet(
                f"the first client got {got or 'nothing'}; the waiting job with the lowest id is 4"
            )
        second.execute("SET lock_timeout = '1s'")
        try:
            other = _take(box, second, answer)
        except psycopg.errors.LockNotAvailable as error:
            what = "waits" if "lock timeout" in str(error) else "is refused, and gets no other job"
            raise NotYet(
                f"one client has taken a job and not yet committed, and the next one {what}. Let "
                "the next one pass over a row that is locked"
            ) from None
        if other != [5]:
            raise NotYet(f"job 4 is taken; the second client got {other or 'nothing'} and not 5")
        state = box.admin.execute("SELECT status FROM job WHERE id = 5").fetchone()
        if state != ("running",):
            raise NotYet("the statement returns job 5, and has not set it to 'running'")
        box.learner.execute("ROLLBACK")
        again = _take(box, second, answer)
        if again != [4]:
            raise NotYet(
                "the first client's transaction was rolled back, so job 4 should be taken next, "
                f"and {again or 'nothing'} was"
            )
        rest = [_take(box, second, answer) for _ in range(4)]
        if rest != [[6], [7], [8], []]:
            raise NotYet(
                f"the other jobs came as {rest}, and should come as [6], [7], [8] and then none"
            )
        _inside(box, second, answer)
        done = box.admin.execute("SELECT count(*) FROM job WHERE status = 'done'").fetchone()
        if done != (3,):
            raise NotYet("the statement has changed jobs that were done")
    return (
        "two clients got two jobs without waiting, also while both were inside the statement; and "
        "a job that was given back came next"
    )


def _inside(box: Sandbox, client: Connection, statement: str) -> None:
    """Another one is inside the same statement: it has chosen a job, and not yet changed it.

    So it has whatever lock the answer's SELECT takes; the weakest that shuts out FOR UPDATE is
    held here. Who only asks for a lock to read does not see it, and takes the same job.
    """
    box.admin.execute("UPDATE job SET status = 'waiting' WHERE id IN (4, 5)")
    with holding(box, "SELECT 1 FROM job WHERE id = 4 FOR SHARE"):
        try:
            got = _take(box, client, statement)
        except psycopg.errors.LockNotAvailable:
            got = [4]
    if got != [5]:
        raise NotYet(
            "two clients were inside the statement at once: one had chosen job 4, and the other "
            f"one took {'job 4 too' if got == [4] else got or 'nothing'}. Many clients can have a "
            "lock FOR SHARE on one row; take a lock that only one can have"
        )
    box.admin.execute("UPDATE job SET status = 'running' WHERE id IN (4, 5)")


def _take(box: Sandbox, connection: Connection, statement: str) -> list[int]:
    """The ids that a statement returns; it is cancelled when it takes too long."""
    with watched(box, connection):
        cursor = connection.execute(statement)  # type: ignore[arg-type]
    if cursor.description is None:
        raise NotYet("the statement returns no rows: how does the worker learn which job it has?")
    columns = [column.name for column in cursor.description]
    rows = cursor.fetchall()
    if len(columns) == 1 and all(isinstance(row[0], int) for row in rows):
        return [row[0] for row in rows]  # it may have any name
    if "id" not in columns:
        raise NotYet(f"the statement returns {', '.join(columns)}, and no column that is called id")
    return [row[columns.index("id")] for row in rows]


BY_INDEX = "SET enable_seqscan = off; SET enable_bitmapscan = off"
BY_TABLE = "SET enable_indexscan = off; SET enable_bitmapscan = off"
"""Two plans that find the same rows in different orders."""

Transfer = Callable[[Connection, str, str, int], object]


GIVEN_3 = """
def move(connection, giver, taker, cents):
    update = "UPDATE account SET cents = cents + %s WHERE owner = %s"
    with connection.transaction():
        connection.execute(update, [-cents, giver])
        connection.execute(update, [cents, taker])
"""


@judge(
    "transactions-and-locks.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection, two owners and an amount: it moves the money in one "
    "transaction",
    stub=GIVEN_3,
)
def transfer(answer: Transfer) -> str:
    """It moves money, all or nothing, and two in opposite directions never end as a deadlock."""
    with (
        database("transactions_accounts", accounts) as box,
        worker(partial(_transfer_there, answer, box)) as other,
        another(box) as first,
    ):
        within(lambda: answer(first, "Amina", "Bode", 30))
        still_usable(box, first, "after a transfer")
        if balances(box) != {"Amina": 70, "Bode": 130}:
            raise NotYet(
                "Amina and Bode had 100 each, Amina gave 30 to Bode, and then they had "
                f"{balances(box)}"
            )
        for giver, taker, had in (("Amina", "Bode", 70), ("Bode", "Amina", 130)):
            told = False
            try:
                within(partial(answer, first, giver, taker, 500))
            except NotYet:
                raise
            except Exception:
                told = True
            if balances(box) != {"Amina": 70, "Bode": 130}:
                raise NotYet(
                    f"{giver} had {had} and gave 500, which the table refuses. Nothing should have "
                    f"changed, and now they have {balances(box)}"
                )
            still_usable(box, first, "after it failed")
            if not told:
                raise NotYet(
                    f"{giver} had {had} and gave 500, which the table refuses, and the caller got "
                    "no error: a caller who is told nothing takes it for done"
                )
        _meet(answer, box, first, other)
        if balances(box) != {"Amina": 80, "Bode": 120}:
            raise NotYet(
                "two transfers met: Amina (70) gave 10 and Bode (130) gave 20. They should have 80 "
                f"and 120, and have {balances(box)}"
            )
    return (
        "two opposite transfers, in two processes, met and both succeeded, also when the two "
        "clients had different plans; and a transfer that cannot be paid changes nothing, and its "
        "caller gets an error"
    )


def _transfer_there(
    answer: Transfer, box: Sandbox, plan: str, giver: str, taker: str, cents: int
) -> None:
    """Makes a transfer in another process, which has a session of its own."""
    with another(box) as client:
        client.execute(plan)  # type: ignore[call-overload]
        within(partial(answer, client, giver, taker, cents))


def _meet(answer: Transfer, box: Sandbox, first: Connection, other: Worker) -> None:
    """Lets two opposite transfers meet in the one way that is a deadlock if they can have one.

    Both rows are held until both wait. Then one row is let go of, and the other when everybody has
    come to rest again. The rows lie in the table in another order than in its index, and each
    client has a plan of its own: an order that the statements do not ask for is not the same. The
    second client is another process, which knows nothing of a lock in this one.
    """
    had = balances(box)
    box.admin.execute("TRUNCATE account")
    for owner in sorted(had, reverse=True):
        box.admin.execute("INSERT INTO account VALUES (%s, %s)", [owner, had[owner]])
    first.execute(BY_INDEX)
    going: list[Callable[[], bool]] = []

    def settle() -> None:
        come_to_rest(box, going)

    lock = "SELECT 1 FROM account WHERE owner = '{}' FOR UPDATE"
    with (
        holding(box, lock.format("Amina")) as holds_amina,
        holding(box, lock.format("Bode")) as holds_bode,
    ):
        run = Run(partial(answer, first, "Amina", "Bode", 10))
        going.append(lambda: run.is_running)
        settle()
        other.ask(BY_TABLE, "Bode", "Amina", 20)
        going.append(lambda: not other.is_done())
        settle()
        holds_amina.commit()
        settle()
        between = _seen_in_all(box)
        holds_bode.commit()
    all_of([run], "two opposite transfers")
    errors = [run.error] if run.error else []
    try:
        other.answer("two opposite transfers")
    except OtherProcessError as error:
        errors.append(error)
    kinds = [
        error.kind if isinstance(error, OtherProcessError) else _kind(error) for error in errors
    ]
    if any(psycopg.errors.DeadlockDetected.__name__ in kind for kind in kinds):
        raise NotYet(
            "two opposite transfers met, and one ended with: deadlock detected. Lock both rows in "
            "an order that your statements ask for, the same for both (one of the two clients read "
            "the table by its index, the other one row after row)"
        )
    if errors and isinstance(errors[0], OtherProcessError):
        raise NotYet(f"two opposite transfers met, and one ended with {kinds[0][0]}: {errors[0]}")
    if errors:
        raise as_exception(errors[0])
    if between not in (None, 200):
        raise NotYet(
            f"in the middle of a transfer, others saw {between} cents in all, and not 200. Put "
            "both updates into one transaction"
        )


def _kind(error: BaseException) -> tuple[str, ...]:
    """The names of an error's class and of those that it is derived from."""
    return tuple(kind.__name__ for kind in type(error).__mro__)


def _seen_in_all(box: Sandbox) -> int | None:
    """What both have together, as others see it; None while the whole table is locked."""
    box.admin.execute("SET lock_timeout = '1s'")
    with suppress(psycopg.errors.LockNotAvailable):
        return sum(balances(box).values())
    return None


def shifts(connection: Connection) -> None:
    """Makes the table of who looks after which house, and when."""
    connection.execute("""
        CREATE TABLE shift (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            cleaner text NOT NULL,
            during tsrange NOT NULL,
            cancelled boolean NOT NULL DEFAULT false
        );
        CREATE EXTENSION btree_gist;
        INSERT INTO shift (cleaner, during) VALUES ('Chidi', '[2026-12-01 08:00,2026-12-01 12:00)');
    """)


ADD = "INSERT INTO shift (cleaner, during, cancelled) VALUES (%s, %s, %s)"
MORNING = "[2026-12-01 11:00,2026-12-01 13:00)"
AFTERNOON = "[2026-12-01 12:00,2026-12-01 16:00)"
NOON = "[2026-12-01 11:30,2026-12-01 12:30)"
BRING_BACK = (
    "UPDATE shift SET cancelled = false WHERE id = (SELECT min(id) FROM shift WHERE cancelled)",
    (),
)
HAND_OVER = ("UPDATE shift SET cleaner = 'Chidi' WHERE cleaner = 'Dalila'", ())
MOVE = ("UPDATE shift SET during = %s WHERE during = %s", (NOON, AFTERNOON))


@judge(
    "transactions-and-locks.4",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="make it impossible that a cleaner has two shifts at the same time",
)
def overlap(answer: str) -> str:
    """Overlaps of one cleaner are refused, also in a race; all else is not."""
    with database("transactions_shifts", shifts) as box:
        box.run(answer)
        for what, row in {
            "a shift that begins when the one before ends": ("Chidi", AFTERNOON, False),
            "another cleaner at the same time": ("Dalila", MORNING, False),
            "a cancelled shift": ("Chidi", MORNING, True),
        }.items():
            try:
                box.admin.execute(ADD, row)
            except psycopg.Error as error:
                raise NotYet(f"{what} should be possible: {error.diag.message_primary}") from None
        if _stored(box, ("Chidi", NOON, False)):
            raise NotYet("Chidi has a shift until 12:00, and another one at 11:30 was accepted")
        for what, change in {
            "a cancelled shift can come back": BRING_BACK,
            "a shift can be moved": MOVE,
            "another cleaner's shift can be given to Chidi,": HAND_OVER,
        }.items():
            if _possible(box.admin, *change):
                to = "at" if change is HAND_OVER else "to"
                raise NotYet(f"{what} {to} a time at which Chidi has another shift")
        if not _stored(box, ("Chidi", MORNING, True)):
            raise NotYet("a second cancelled shift at the same time should be possible")
        with another(box) as first:
            first.execute("BEGIN")
            first.execute(ADD, ("Esi", AFTERNOON, False))
            with another(box) as second:
                run = Run(partial(_possible, second, ADD, ("Esi", NOON, False)))
                come_to_rest(box, [lambda: run.is_running])
                first.execute("COMMIT")
                added = [all_of([run], "a second shift")[0].value()]
        if added != [False]:
            raise NotYet(
                "two overlapping shifts were added at the same moment, by two clients that did not "
                "see each other, and both stayed"
            )
    return (
        "overlapping shifts of one cleaner are refused, also after a change and in a race; "
        "cancelled shifts, other cleaners and shifts that only touch are accepted"
    )


def _stored(box: Sandbox, row: tuple[str, str, bool]) -> bool:
    """Whether a row can be added."""
    return _possible(box.admin, ADD, row)


def _possible(connection: Connection, statement: str, values: tuple[object, ...]) -> bool:
    """Whether PostgreSQL accepts a statement."""
    try:
        connection.execute(statement, values)  # type: ignore[arg-type]
    except psycopg.Error:
        return False
    return True
