"""nexus.load: programs that ask a PostgreSQL while something is changed."""

from collections.abc import Iterator

import pytest

import nexus
from nexus.load import Programs
from nexus.services import Postgres


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with nexus.postgres(fsync="off") as server:
        with server.connect(autocommit=True) as connection:
            connection.execute("CREATE TABLE room (n int)")
        yield server


def test_programs_are_served_until_the_block_ends(pg: Postgres) -> None:
    with pg.connect(autocommit=True) as connection:
        connection.execute("TRUNCATE room")
    with Programs(pg, add="INSERT INTO room VALUES (%(n)s)", ask="SELECT FROM room") as programs:
        programs.goes_on()
    assert programs.refused == "nobody"
    assert min(programs.served[who] for who in ("add", "ask")) >= 10
    with pg.connect() as connection:
        rows = connection.execute("SELECT count(*), max(n) <= 1000 FROM room").fetchone()
    assert rows == (programs.served["add"], True)


def test_a_refusal_is_noted_once_with_its_program(pg: Postgres) -> None:
    with Programs(pg, ask="SELECT 1", wrong="SELECT gone FROM room WHERE n = %(n)s") as programs:
        programs.goes_on()
    assert programs.refused == 'wrong: column "gone" does not exist'


def test_all_who_wait_for_a_lock_are_refused(pg: Postgres) -> None:
    with Programs(pg, ask="SELECT FROM room", add="INSERT INTO room VALUES (1)") as programs:
        with pg.connect() as holder:
            holder.execute("LOCK TABLE room")
            programs.is_refused()
        assert {said for _, said in programs.log} == {"canceling statement due to lock timeout"}
