"""Judges of "Connections and pools": the size of a pool, a leak, a report behind PgBouncer."""

import itertools
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Self

import psycopg
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from nexus.judging import NotYet, judge
from nexus.judging.limits import Run, all_of, as_exception, when_late, within
from nexus.judging.meeting import come_to_rest, holding
from nexus.judging.sandbox import Connection, Sandbox, database
from nexus.judging.verdict import first_line
from nexus.services import PgBouncer, pgbouncer
from nexus.services.process import wait_for

Fleet = dict[str, int]

GIVEN_1 = """
def largest_pool(fleet):
    return fleet["max_connections"] // (fleet["copies"] * fleet["processes"])
"""
NAMES = ("max_connections", "reserved", "others", "copies", "surge", "processes", "threads")
FLEETS = [
    dict(zip(NAMES, figures, strict=True))
    for figures in (
        (100, 3, 17, 3, 1, 2, 20),  # 10 exactly
        (100, 3, 18, 3, 1, 2, 20),  # not quite 10
        (100, 0, 0, 1, 0, 1, 8),  # bounded by the threads
        (30, 3, 1, 4, 4, 4, 20),  # not even one
        (30, 3, 40, 1, 0, 1, 20),  # others have everything
        (35, 3, 0, 4, 4, 4, 20),  # one, exactly
        (500, 13, 60, 10, 3, 4, 8),
    )
]


def _some_fleets() -> Iterator[Fleet]:
    """The fleets above, and others that are the same each time."""
    yield from FLEETS
    chance = random.Random(19)  # noqa: S311 (no secret)
    tops = (500, 13, 60, 9, 4, 8, 40)
    for _ in range(300):
        figures = [chance.randint(1, top) for top in tops]
        yield dict(zip(NAMES, figures, strict=True)) | {"surge": chance.randint(0, 4)}


@judge(
    "connections-and-pools.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a fleet, which returns a whole number",
    stub=GIVEN_1,
)
def size(answer: Callable[[Fleet], object]) -> str:
    """The largest pool that fits when all copies are there, for many fleets."""
    fleets = list(_some_fleets())
    for fleet in fleets:
        given = dict(fleet)
        try:
            found = within(lambda given=given: answer(given))  # type: ignore[misc]
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(
                f"for {fleet} it raised {type(error).__name__}: {first_line(error)}"
            ) from None
        if type(found) is not int:
            raise NotYet(f"for {fleet} it returned {found!r}. max_size is a whole number")
        _look_at_size(fleet, found)
    return (
        f"for each of {len(fleets)} fleets, everything fits during a deployment, and no more does"
    )


def _look_at_size(fleet: Fleet, found: int) -> None:
    """Compares a size with the right one.

    Raises:
        NotYet: if it is another one.
    """
    processes = (fleet["copies"] + fleet["surge"]) * fleet["processes"]
    free = fleet["max_connections"] - fleet["reserved"] - fleet["others"]
    right = max(0, min(fleet["threads"], free // processes))
    if found == right:
        return
    said = f"for {fleet} it returned {found}. "
    if found < 0:
        raise NotYet(said + "A pool cannot be smaller than 0, which says that nothing fits")
    if found > fleet["threads"]:
        raise NotYet(
            said + f"A process has {fleet['threads']} threads, and cannot use more connections"
        )
    if found * processes > free:
        raise NotYet(
            said
            + f"During a deployment, there are {fleet['copies']} + {fleet['surge']} copies with "
            f"{fleet['processes']} processes each, which may open {processes * found} connections. "
            f"Only {max(0, free)} are free for them: {fleet['max_connections']} less "
            f"{fleet['reserved']} reserved and {fleet['others']} of others"
        )
    raise NotYet(said + f"{right} would fit, too")


def _bookings(connection: Connection) -> None:
    """Makes the table of the second exercise."""
    connection.execute("""
        CREATE TABLE booking (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            guest text NOT NULL CHECK (guest <> ''),
            status text NOT NULL CHECK (status IN ('pending', 'paid', 'failed'))
        );
        CREATE SCHEMA judge;
        CREATE TABLE judge.wrote (pid int NOT NULL);
        CREATE FUNCTION judge.notes() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
        SET search_path = pg_catalog AS $$
        BEGIN
            INSERT INTO judge.wrote VALUES (pg_backend_pid());
            RETURN NULL;
        END $$;
        CREATE TRIGGER notes AFTER INSERT OR UPDATE ON booking
        FOR EACH STATEMENT EXECUTE FUNCTION judge.notes()
    """)


GIVEN_2 = """
def book(pool, charge, guest):
    connection = pool.getconn()
    row = connection.execute(
        "INSERT INTO booking (guest, status) VALUES (%s, 'pending') RETURNING id", [guest]
    ).fetchone()
    charge(guest)
    connection.execute("UPDATE booking SET status = 'paid' WHERE id = %s", row)
    connection.commit()
    pool.putconn(connection)
    return row[0]
"""
Book = Callable[[Any, Callable[[str], object], str | None], object]
SIZE = 2
"""Connections of the pool."""


class _ProviderError(Exception):
    """What a provider raises that is no error of Python's own."""


class _Shop:
    """A pool, a provider, and what has happened to both.

    Attributes:
        charged: the guests for whom the provider was asked.
        problem: what was wrong when it was asked.
        wanted: the guest and the status of each booking that should be there.
    """

    def __init__(self, box: Sandbox, pool: "ConnectionPool[Any]", answer: Book) -> None:
        self.box, self.pool, self._answer = box, pool, answer
        self._modes = _modes(pool)
        self._kept = 0
        self.charged: list[object] = []
        self.problem: str | None = None
        self.wanted: list[tuple[str, str]] = []

    def lent(self) -> int:
        """How many connections the pool has lent to the answer."""
        stats = self.pool.get_stats()
        return stats["pool_size"] - stats["pool_available"] - self._kept

    def rests(self) -> bool:
        """Whether all connections come back, which the pool may do in the background."""
        with suppress(TimeoutError):
            wait_for(lambda: not self.lent(), 1.0, "connections to come back")
            return True
        return False

    def rows(self) -> list[tuple[str, str]]:
        """The guest and the status of each booking, in the order in which they were added."""
        found = self.box.admin.execute("SELECT guest, status FROM booking ORDER BY id")
        return list(found.fetchall())

    def book(self, guest: str | None, error: Exception | None = None) -> None:
        """Lets the answer book, and looks at what comes of it.

        Args:
            guest: who books; None is refused by the table.
            error: what the provider raises.

        Raises:
            NotYet: if something is wrong.
        """
        when = "charge returned" if error is None else f"charge raised {type(error).__name__}"
        when = when if guest else f"the guest was {guest!r}, which PostgreSQL refuses"
        when += ", while the other connection was lent to somebody else" if self._kept else ""
        asked = len(self.charged)

        def charge(*arguments: object) -> str:
            self.charged.append(arguments[0] if len(arguments) == 1 else arguments)
            self.problem = self.problem or self._look(guest)
            if error is not None:
                raise error
            return "receipt"

        raised: Exception | None = None
        found: object = None
        try:
            found = within(lambda: self._answer(self.pool, charge, guest))
        except NotYet:
            raise
        except Exception as caught:
            raised = caught
        if self.problem is not None:
            raise NotYet(self.problem)
        self._look_at_pool()
        if not self.rests():
            raise NotYet(
                f"{when}, and afterwards {self.lent()} of {SIZE} connections had not come back to "
                "the pool"
            )
        self._look_at_end(guest, error, raised, found, when, self.charged[asked:])
        self._look_at_writers()

    def book_beside(self, guest: str) -> None:
        """Lets the answer book while somebody else has one of the connections."""
        with self.pool.connection(timeout=10):
            self._kept = 1
            self.book(guest)
        self._kept = 0

    def book_twice(self, guest: str, first: Exception | None, second: Exception | None) -> None:
        """Lets a guest book, and book again while the provider is asked for the first booking.

        Args:
            guest: who books.
            first: what the provider raises for the first booking.
            second: what it raises for the second, before that.

        Raises:
            NotYet: if one booking disturbs the other.
        """
        runs: list[Run] = []
        beside = "while charge was running for one booking, the same guest booked again. "

        def for_the_second(*_: object) -> None:
            if second is not None:
                raise second

        def for_the_first(*_: object) -> None:
            runs.append(Run(lambda: self._answer(self.pool, for_the_second, guest)))
            with suppress(TimeoutError):
                wait_for(lambda: not runs[0].is_running, 5.0, "the second booking")
            if runs[0].is_running:
                self.problem = beside + "This second call had to wait for the end of the first one"
            if first is not None:
                raise first

        outer = Run(lambda: self._answer(self.pool, for_the_first, guest))
        all_of([outer], "it")
        all_of(runs, "a second booking")
        if self.problem is not None:
            raise NotYet(self.problem)
        self._look_at_pool()
        if not self.rests():
            raise NotYet(beside + "Afterwards a connection had not come back to the pool")
        self.wanted += [(guest, "failed" if error else "paid") for error in (first, second)]
        if self.rows() != self.wanted:
            raise NotYet(
                f"{beside}Afterwards the bookings are {self.rows()}; expected is {self.wanted}"
            )
        ids = [row[0] for row in self.box.admin.execute("SELECT id FROM booking ORDER BY id")][-2:]
        for run, error, number in zip([outer, *runs], (first, second), ids, strict=True):
            if run.error is not error:
                raise NotYet(f"{beside}One call raised {run.error!r}; expected is {error!r}")
            if error is None and run.value() != number:
                raise NotYet(
                    f"{beside}The id of one booking is {number}, and its call returned "
                    f"{run.value()!r}"
                )

    def _look_at_pool(self) -> None:
        """Raises NotYet if the pool is not as it was."""
        if self.pool.closed:
            raise NotYet("your function closed the pool, which all others need")
        if (self.pool.min_size, self.pool.max_size) != (SIZE, SIZE):
            raise NotYet("your function changed the size of the pool")

    def _look_at_writers(self) -> None:
        """Raises NotYet if a booking was written through a connection that is not of the pool."""
        found = self.box.admin.execute("SELECT DISTINCT pid FROM judge.wrote").fetchall()
        if {pid for (pid,) in found} - set(self._modes):
            raise NotYet(
                "a booking was written through a connection that the pool did not have at the "
                "beginning. Either your function connects itself, or it closes connections of the "
                "pool, which then has to open others"
            )

    def still_works(self) -> None:
        """Looks whether the pool's connections are as they were lent.

        Raises:
            NotYet: if one is in another mode, or is another one.
        """
        now = _modes(self.pool)
        for pid, before in self._modes.items():
            if pid not in now:
                raise NotYet("your function closed a connection of the pool")
            for name, value in before.items():
                if now[pid][name] != value:
                    raise NotYet(
                        f"your function left a connection in another state: {name} was {value}, "
                        f"and is {now[pid][name]}. The next one who gets it does not expect that"
                    )

    def _look(self, guest: str | None) -> str | None:
        """What is wrong while the provider is asked; None if nothing is."""
        if not guest:
            return f"charge was called, though the guest was {guest!r}, which PostgreSQL refuses"
        if not self.rests():
            return (
                "while charge was running, your function held a connection. The provider may take "
                "minutes, and nobody else gets this connection"
            )
        sessions = self.box.admin.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> "
            "ALL(%s)",
            [[self.box.admin.info.backend_pid, self.box.learner.info.backend_pid]],
        ).fetchone() or (0,)
        if sessions[0] > SIZE:
            return "while charge was running, there was a connection that is not of the pool"
        if self.rows() != (now := [*self.wanted, (guest, "pending")]):
            return (
                f"when charge was called, other clients saw the bookings {self.rows()}; expected "
                f"is {now}"
            )
        return None

    def _look_at_end(
        self,
        guest: str | None,
        error: Exception | None,
        raised: Exception | None,
        found: object,
        when: str,
        charged: list[object],
    ) -> None:
        """Compares what was raised, returned and written with what should be."""
        if self._kept and isinstance(raised, PoolTimeout):
            raise NotYet(
                "one of the two connections was lent to somebody else, and your function got "
                "PoolTimeout: it takes a second connection while it has one"
            )
        if not guest:
            if not isinstance(raised, psycopg.Error) or not raised.diag.sqlstate:
                raise NotYet(
                    f"{when}, and your function {_outcome(raised, found)}; the caller has to get "
                    "PostgreSQL's error"
                )
        elif charged != [guest]:
            raise NotYet(
                f"{guest} booked, and charge was called {len(charged)} times"
                if len(charged) != 1
                else f"{guest} booked, and charge was called with {charged[0]!r}"
            )
        elif error is not None and raised is not error:
            raise NotYet(
                f"{when}, and your function {_outcome(raised, found)}; the caller has to get the "
                "error of charge"
            )
        elif error is None and raised is not None:
            raise NotYet(f"{when}, and your function {_outcome(raised, found)}")
        if guest:
            self.wanted.append((guest, "failed" if error else "paid"))
        if self.rows() != self.wanted:
            raise NotYet(
                f"{when}. Afterwards the bookings are {self.rows()}; expected is {self.wanted}"
            )
        if guest and error is None:
            last = self.box.admin.execute("SELECT max(id) FROM booking").fetchone()
            if last is None or type(found) is not int or found != last[0]:
                raise NotYet(
                    f"the id of the booking is {last and last[0]}, and it returned {found!r}"
                )


def _outcome(raised: Exception | None, found: object) -> str:
    """What a function did, in words."""
    if raised is None:
        return f"returned {found!r}"
    return f"raised {type(raised).__name__}: {first_line(raised)}"


@judge(
    "connections-and-pools.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a pool, a function charge, and a guest",
    stub=GIVEN_2,
)
def leak(answer: Book) -> str:
    """No connection is lost or held, whatever fails."""
    with database("pools_bookings", _bookings) as box:
        info = box.learner.info
        place = psycopg.conninfo.make_conninfo(box.server.url, dbname=info.dbname, user=info.user)
        with (
            ConnectionPool(place, min_size=SIZE, max_size=SIZE, timeout=1, open=True) as pool,
            when_late(lambda: pool.close(timeout=0.1)),
        ):
            pool.wait()
            shop = _Shop(box, pool, answer)
            shop.book("Amina")
            shop.book("Amina", ConnectionError("the provider does not answer"))
            shop.book(None)
            shop.book("Bode", _ProviderError("card refused"))
            shop.book(None)
            shop.book("O'Hara; Amina", TimeoutError("60 seconds"))
            shop.book("Amina")
            shop.book("Bode")
            shop.book("")
            shop.still_works()
            shop.book_beside("Cleo")
            shop.book_twice("Amina", ConnectionError("no answer"), None)
            shop.book_twice("Amina", None, _ProviderError("card refused"))
            shop.still_works()
    return (
        "no connection was held while charge was running, and each came back after each of the "
        "errors. Every booking says how it ended, also where one guest booked twice at a time"
    )


def _modes(pool: "ConnectionPool[Any]") -> dict[int, dict[str, object]]:
    """How each connection of a pool is set, by the number of its process."""
    found: dict[int, dict[str, object]] = {}
    with ExitStack() as stack:
        for _ in range(SIZE):
            connection = stack.enter_context(pool.connection(timeout=10))
            with connection.cursor(row_factory=tuple_row) as cursor:
                settings = cursor.execute(LEFT).fetchone()
                locks = cursor.execute(
                    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = "
                    "pg_backend_pid()"
                ).fetchone()
            found[connection.info.backend_pid] = {
                "autocommit": connection.autocommit,
                "isolation_level": getattr(connection.isolation_level, "name", None),
                "read_only": connection.read_only,
                "row_factory": getattr(connection.row_factory, "__name__", "another one"),
                "its settings": (settings or (0, "none"))[1],
                "its advisory locks": (locks or (0,))[0],
            }
    return found


def _report(connection: Connection) -> None:
    """Makes the table of the third exercise."""
    connection.execute("CREATE TABLE booking (id int PRIMARY KEY, guest text NOT NULL)")


GIVEN_3 = """
def report(connection):
    connection.execute("SET statement_timeout = '1s'")
    lock = connection.execute("SELECT pg_try_advisory_lock(7)").fetchone()
    if lock != (True,):
        return None
    connection.execute(
        "CREATE TEMP TABLE busy AS SELECT guest, count(*) AS n FROM booking GROUP BY guest"
    )
    rows = connection.execute("SELECT guest, n FROM busy ORDER BY n DESC, guest LIMIT 3").fetchall()
    connection.execute("SELECT pg_advisory_unlock(7)")
    return rows
"""
Report = Callable[[Connection], object]
MEANWHILE = "while one report was made, a second program asked"
TIMES = 12
"""How often the report is made: psycopg prepares a query after five uses."""
LOCKED = (
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM "
)
LOCKED += "pg_database WHERE datname = current_database())"

LEFT = """
SELECT pg_backend_pid(),
    (SELECT coalesce(string_agg(name || ' = ' || setting, ', ' ORDER BY name), 'none')
     FROM pg_settings WHERE source = 'session' AND name NOT IN (
        'application_name', 'client_encoding', 'DateStyle', 'TimeZone', 'IntervalStyle',
        'standard_conforming_strings'
     )),
    (SELECT count(*) FROM pg_cursors WHERE is_holdable)
    + (SELECT count(*) FROM pg_prepared_statements)
    + (SELECT count(*) FROM pg_listening_channels())
"""
"""What is set and kept in a session. PgBouncer itself sets what is left out."""
WAITING_FOR_LOCK = LOCKED + " AND NOT granted"
IN_TIME = 1.8
"""Seconds after which a statement with a limit of one second is not running any more."""


@contextmanager
def _pooler(box: Sandbox) -> Iterator[PgBouncer]:
    """A PgBouncer with two server connections, which it hands out in turn."""
    role = box.learner.info.user
    with (
        pgbouncer(
            box.server,
            role=role,
            pool_mode="transaction",
            default_pool_size=2,
            min_pool_size=2,
            server_round_robin=1,
        ) as pooler,
        when_late(pooler.kill),
    ):
        with _client(box, pooler) as client:
            client.execute("SELECT 1")
            wait_for(lambda: _servers(box, pooler) == 2, 30, "two server connections")
        yield pooler


def _servers(box: Sandbox, pooler: PgBouncer) -> int:
    """How many server connections are idle."""
    rows = pooler.admin("SHOW POOLS")
    return sum(row["sv_idle"] for row in rows if row["database"] == box.admin.info.dbname)


@contextmanager
def _client(box: Sandbox, pooler: PgBouncer) -> Iterator[Connection]:
    """A client of PgBouncer in the database of a sandbox."""
    client = pooler.connect(dbname=box.admin.info.dbname, autocommit=True)
    try:
        yield client
    finally:
        client.close()


@judge(
    "connections-and-pools.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a connection: it returns the three guests with most bookings",
    stub=GIVEN_3,
)
def pooled(answer: Report) -> str:
    """It works through PgBouncer, keeps others out, has its limit, and leaves nothing behind."""
    with database("pools_report", _report) as box, _pooler(box) as pooler:
        with _client(box, pooler) as client:
            for number in range(TIMES):
                _once(box, pooler, client, answer, number)
        _locked_by_another(box, pooler, answer)
        _taken_meanwhile(box, pooler, answer)
        if _while_it_runs(box, pooler, answer) > IN_TIME:
            _limit_is_a_second(box, pooler, answer)
        _may_take_half_a_second(box, pooler, answer)
    return (
        f"{TIMES} reports through PgBouncer were right. A second program was kept out while one "
        "was running, a slow statement was stopped, and nothing was left on the server connections"
    )


def _called(answer: Report, client: Connection, when: str) -> object:
    """Calls the answer, and says what PostgreSQL or PgBouncer did not like."""
    try:
        found = within(lambda: answer(client))
    except psycopg.Error as error:
        raise NotYet(f"{when}, it failed: {first_line(error)}") from None
    return found


def _usable(client: Connection, when: str) -> None:
    """Raises NotYet if the answer has closed its connection, or left a transaction open."""
    if client.closed:
        raise NotYet(f"{when}, the connection is closed, and the caller needs it")
    if client.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(
            f"{when}, a transaction is still open. It keeps a server connection from others"
        )
    if not client.autocommit:
        raise NotYet(f"{when}, the connection is no longer in autocommit")
    if client.row_factory is not tuple_row:
        raise NotYet(f"{when}, the connection has another row_factory than before")


def _once(box: Sandbox, pooler: PgBouncer, client: Connection, answer: Report, number: int) -> None:
    """Makes a report, of other bookings each time."""
    box.admin.execute("TRUNCATE booking")
    box.admin.execute(
        "INSERT INTO booking SELECT n, 'guest ' || n * %s %% 7 FROM generate_series(1, %s) AS n",
        [number, number * 5],
    )
    wanted = box.admin.execute(
        "SELECT guest, count(*) FROM booking GROUP BY guest ORDER BY count(*) DESC, guest LIMIT 3"
    ).fetchall()
    when = f"at call {number + 1} on the same connection"
    found = _called(answer, client, when)
    if (
        not isinstance(found, list)
        or [tuple(row) if isinstance(row, list | tuple) else row for row in found] != wanted
    ):
        raise NotYet(f"{when}, it returned {found!r}; expected is {wanted}")
    _usable(client, when)
    _nothing_left(box, pooler, when)


def _nothing_left(box: Sandbox, pooler: PgBouncer, when: str) -> None:
    """Looks at both server connections.

    Raises:
        NotYet: if something of the answer is on one of them.
    """
    if box.admin.execute(LOCKED).fetchone() != (0,):
        raise NotYet(
            f"{when}, an advisory lock is left on a server connection. Its client is gone, and "
            "nobody can take the lock"
        )
    temporary = (
        "SELECT CASE relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' ELSE 'object' END, relname "
        "FROM pg_class WHERE relpersistence = 't' AND relkind IN ('r', 'v', 'S') ORDER BY relname"
    )
    if (left := box.admin.execute(temporary).fetchone()) is not None:
        raise NotYet(f"{when}, a temporary {left[0]} {left[1]} is left on a server connection")
    left_over: dict[int, tuple[str, int]] = {}
    with _client(box, pooler) as other:
        other.prepare_threshold = None
        for _ in range(20):
            pid, settings, others = other.execute(LEFT).fetchone() or (0, "", 0)
            left_over[pid] = (settings, others)
            if len(left_over) == 2:
                break
    for settings, others in left_over.values():
        if settings != "none":
            raise NotYet(
                f"{when}, another client of PgBouncer has {settings}, which it has not set"
            )
        if others:
            raise NotYet(
                f"{when}, a cursor, a prepared statement or a LISTEN is left on a server connection"
            )


def _locked_by_another(box: Sandbox, pooler: PgBouncer, answer: Report) -> None:
    """Another program holds the lock, for longer than the answer may take."""
    when = "another client held the advisory lock 7"
    with _client(box, pooler) as client:
        with holding(box, "SELECT pg_advisory_lock(7)") as other:
            for _ in range(3):
                found = _without_waiting(box, client, answer, when)
                if found is not None:
                    raise NotYet(f"{when}, and your function returned {found!r} instead of None")
                _usable(client, when)
            other.execute("SELECT pg_advisory_unlock_all()")  # its end would come a moment later
        _nothing_left(box, pooler, when)


def _without_waiting(box: Sandbox, client: Connection, answer: Report, when: str) -> object:
    """Calls the answer, which may not wait for an advisory lock."""
    run = Run(lambda: answer(client))
    waited = False
    while run.is_running and not waited:
        waited = box.admin.execute(WAITING_FOR_LOCK).fetchone() != (0,)
    all_of([run], "your function")
    if waited:
        raise NotYet(f"{when}, and your function waited for it, instead of returning None at once")
    try:
        return run.value()
    except psycopg.Error as error:
        raise NotYet(f"{when}, it failed: {first_line(error)}") from None


def _taken_meanwhile(box: Sandbox, pooler: PgBouncer, answer: Report) -> None:
    """Another program takes the lock between two statements of the answer, if it is free."""
    when = "another client took the advisory lock 7 before your function did"
    for number in (2, 3, 4):
        with _client(box, pooler) as client, holding(box) as other:
            client.cursor_factory = _interrupted(number, other)
            _without_waiting(box, client, answer, when)
            _usable(client, when)
            other.execute("SELECT pg_advisory_unlock_all()")


def _interrupted(number: int, other: Connection) -> type[psycopg.Cursor[Any]]:
    """A cursor's class: before the given statement, another session tries to take the lock."""
    count = itertools.count(1)

    class Interrupted(psycopg.Cursor[Any]):
        def execute(self, *arguments: Any, **options: Any) -> Self:  # noqa: ANN401
            if next(count) == number:
                other.execute("SELECT pg_try_advisory_lock(7)")
            return super().execute(*arguments, **options)

    return Interrupted


def _while_it_runs(box: Sandbox, pooler: PgBouncer, answer: Report) -> float:
    """The report has to wait for the table, for longer than its limit; returns for how long."""
    table = holding(box, "LOCK TABLE booking IN ACCESS EXCLUSIVE MODE")
    with _client(box, pooler) as client, _client(box, pooler) as other:
        with table:
            began = time.monotonic()
            run = Run(lambda: answer(client))
            come_to_rest(box, [lambda: run.is_running])
            if run.is_running and box.admin.execute(LOCKED).fetchone() != (1,):
                held = "while it was reading the table, it did not hold the advisory lock 7"
            else:
                held = ""
            second: object = None
            if run.is_running and not held:
                second = _called(answer, other, MEANWHILE)
            with suppress(TimeoutError):
                wait_for(lambda: not run.is_running, 4.0, "its time-out")
            in_time, took = not run.is_running, time.monotonic() - began
        all_of([run], "your function")
        if held:
            raise NotYet(held)
        if second is not None:
            raise NotYet(f"{MEANWHILE}, and got {second!r} instead of None")
        if not in_time:
            raise NotYet(
                "the table was locked for four seconds, and no statement was stopped: its limit "
                "of one second did not hold"
            )
        try:
            found = run.value()
        except psycopg.errors.QueryCanceled:
            pass
        except psycopg.Error as error:
            raise NotYet(f"the table was locked, and it failed: {first_line(error)}") from None
        else:
            raise NotYet(
                f"a statement was stopped, and your function returned {found!r}. Let the caller "
                "know: do not catch the error"
            )
        when = "after a statement was stopped"
        _usable(client, when)
        _nothing_left(box, pooler, when)
        return took


def _limit_is_a_second(box: Sandbox, pooler: PgBouncer, answer: Report) -> None:
    """Measures how long the report waits for the table; the best of a few on a busy machine."""
    best = 60.0
    for _ in range(4):
        with _client(box, pooler) as client:
            with holding(box, "LOCK TABLE booking IN ACCESS EXCLUSIVE MODE"):
                began = time.monotonic()
                run = Run(lambda client=client: answer(client))  # type: ignore[misc]
                with suppress(TimeoutError):
                    wait_for(lambda run=run: not run.is_running, 6.0, "its time-out")  # type: ignore[misc]
                best = min(best, time.monotonic() - began)
            all_of([run], "your function")
        if best < IN_TIME:
            return
    raise NotYet(
        "the table was locked, and your function came back only after more than "
        f"{IN_TIME} seconds. No statement may run for longer than one second, and the caller gets "
        "the error of the first one that is stopped"
    )


def _may_take_half_a_second(box: Sandbox, pooler: PgBouncer, answer: Report) -> None:
    """A statement that takes half a second is not stopped; on a busy machine, it is tried again."""
    for _ in range(5):
        with _client(box, pooler) as client:
            with holding(box, "LOCK TABLE booking IN ACCESS EXCLUSIVE MODE") as table:
                began = time.monotonic()
                run = Run(lambda client=client: answer(client))  # type: ignore[misc]
                wait = 0.5
                with suppress(TimeoutError):
                    wait_for(lambda run=run: not run.is_running, wait, "half a second")  # type: ignore[misc]
                too_early = not run.is_running
                took = time.monotonic() - began
                table.rollback()
            all_of([run], "your function")
        if run.error is None:
            return
        if too_early and took < wait + 0.3:
            raise NotYet(
                "a statement that had run for less than half a second was stopped: "
                f"{first_line(as_exception(run.error))}. The limit is one second"
            )
