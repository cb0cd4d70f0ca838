import sys
from collections.abc import Iterator

import psycopg
import pytest

import nexus
from nexus import draw
from nexus.services import Postgres, ServiceError
from nexus.services.process import wait_for
from nexus.sessions import Event, Story, in_words, sessions
from tests.leftovers import PATIENCE


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with nexus.postgres() as server:
        yield server


@pytest.fixture
def story(pg: Postgres) -> Iterator[Story]:
    with pg.connect(autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS account")
        connection.execute("CREATE TABLE account (name text PRIMARY KEY, balance int)")
        connection.execute("INSERT INTO account VALUES ('a', 100), ('b', 100)")
    with sessions("Amina", "Bode", server=pg) as story:
        yield story


TAKE = "UPDATE account SET balance = balance - 10 WHERE name = %s"


def told(story: Story) -> list[str]:
    return [f"{event.client}: {event}" for event in story.events]


def test_who_waits_goes_on_when_the_other_commits(
    story: Story, capsys: pytest.CaptureFixture[str]
) -> None:
    amina, bode = story
    amina("BEGIN")
    amina(TAKE, "a")
    bode(TAKE, "a")
    assert bode.waiting
    amina("COMMIT")
    assert not bode.waiting
    bode("SELECT balance FROM account WHERE name = 'a'")
    assert bode.rows == [(80,)]
    assert capsys.readouterr().out.splitlines() == [
        "Amina: BEGIN",
        f"Amina: {TAKE} → UPDATE 1",
        f"Bode:  {TAKE} → waits for Amina",
        "Amina: COMMIT",
        "Bode:  (goes on) → UPDATE 1",
        "Bode:  SELECT balance FROM account WHERE name = 'a' → 80",
    ]


@pytest.mark.parametrize("victim", [0, 1])
def test_a_deadlock_has_the_victim_whose_patience_is_shorter(story: Story, victim: int) -> None:
    patience = ["10s", "10s"]
    patience[victim] = "50ms"
    for client, name, time in zip(story, "ab", patience, strict=True):
        client(f"SET deadlock_timeout = '{time}'")
        client("BEGIN")
        client(TAKE, name)
    # The patient one asks first: PostgreSQL looks for a circle once, when the patience is over.
    other, refused = tuple(story)[:: 1 if victim == 1 else -1]
    other(TAKE, "ab"[victim])
    refused(TAKE, "ba"[victim])
    assert str(refused.error).startswith("deadlock detected")
    assert (other.error, other.waiting) == (None, False)


def test_a_circle_can_be_looked_at_before_it_is_ended(pg: Postgres, story: Story) -> None:
    amina, bode = story
    for client, name in zip(story, "ab", strict=True):
        client("SET deadlock_timeout = '1h'")
        client("BEGIN")
        client(TAKE, name)
    amina(TAKE, "b")
    bode(TAKE, "a", circle=True)
    assert amina.waiting
    assert bode.waiting
    with pg.connect(autocommit=True) as connection:
        connection.execute("SELECT pg_cancel_backend(%s)", [bode.pid])
    story.rest()
    assert told(story)[-2:] == [
        "Bode: (goes on) → QueryCanceled: canceling statement due to user request",
        "Amina: (goes on) → UPDATE 1",
    ]
    assert [event.refused for event in story.events[-2:]] == [True, False]


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
@pytest.mark.usefixtures("story")
def test_who_is_freed_frees_the_next_one(pg: Postgres, order: tuple[int, ...]) -> None:
    with sessions("A", "B", "C", server=pg, show=False) as other:
        clients = list(other)
        first, second, third = (clients[number] for number in order)
        first("BEGIN")
        first("SELECT pg_advisory_xact_lock(1)")
        second("SELECT pg_advisory_xact_lock(2), pg_advisory_xact_lock(1)")
        third("SELECT pg_advisory_xact_lock(2)")
        assert second.waiting
        assert third.waiting
        first("COMMIT")
        assert not any(client.waiting for client in other)
        assert sorted(event.client for event in other.events[-2:]) == sorted(
            [second.name, third.name]
        )


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (2, 1, 0), (2, 0, 1)])
@pytest.mark.usefixtures("story")
def test_who_is_freed_may_keep_another_waiting(pg: Postgres, order: tuple[int, ...]) -> None:
    with sessions("A", "B", "C", server=pg, show=False) as other:
        clients = list(other)
        first, second, third = (clients[number] for number in order)
        for client, locks in ((first, [1]), (second, [2, 1]), (third, [2])):
            client("BEGIN")
            for number in locks:
                client("SELECT pg_advisory_xact_lock(%s)", number)
        first("COMMIT")
        assert (second.waiting, third.waiting) == (False, True)
        second("COMMIT")
        assert not third.waiting


def test_what_is_no_statement_is_told_to_the_caller(story: Story) -> None:
    amina, _ = story
    with pytest.raises(TypeError):
        amina(42)  # type: ignore[arg-type]
    amina("SELECT 1")
    assert amina.rows == [(1,)]


def test_who_waits_for_a_stranger_does_not_wait_for_ever(
    pg: Postgres, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["nexus.sessions"], "DEADLINE", 0.3)
    amina, _ = story
    with pg.connect() as stranger:
        stranger.execute(TAKE, ["a"])
        with pytest.raises(TimeoutError, match="somebody who is not in this story"):
            amina(TAKE, "a")
    monkeypatch.undo()
    story.rest()
    assert told(story) == ["Amina: (goes on) → UPDATE 1"]


def test_a_story_can_be_closed_twice_and_when_its_server_is_gone() -> None:
    with nexus.postgres() as server:
        story = sessions("Amina", "Bode", server=server, show=False)
        amina, bode = story
        for client in story:
            client("BEGIN")
            client("SELECT pg_advisory_xact_lock(1)")
        assert bode.waiting
        server.kill()
        story.close()
        story.close()
        amina("SELECT 1")
        assert amina.error is not None


def test_nobody_is_left_if_one_cannot_connect(pg: Postgres) -> None:
    with pg.connect(autocommit=True) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
        with pytest.raises(psycopg.OperationalError, match="nowhere"):
            sessions("Amina", server=pg, dbname="nowhere")
        wait_for(lambda: connection.execute(query).fetchone() == (1,), PATIENCE, "it to be alone")


def test_a_statement_that_will_be_refused_can_be_waited_for(story: Story) -> None:
    amina, bode = story
    amina("BEGIN")
    amina(TAKE, "a")
    bode("SET lock_timeout = '50ms'")
    bode(TAKE, "a", wait=True)
    assert told(story)[-1].endswith("LockNotAvailable: canceling statement due to lock timeout")


def test_who_waits_cannot_send_another_statement(story: Story) -> None:
    amina, bode = story
    amina("BEGIN")
    amina(TAKE, "a")
    bode(TAKE, "a")
    with pytest.raises(RuntimeError, match="Bode still waits"):
        bode("SELECT 1")


@pytest.mark.usefixtures("story")
def test_the_end_of_a_story_ends_those_who_wait(pg: Postgres) -> None:
    with sessions("Chidi", "Dalila", server=pg, show=False) as other:
        chidi, dalila = other
        chidi("BEGIN")
        chidi(TAKE, "a")
        dalila(TAKE, "a")
    with pg.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE pid = ANY (%s)"
        pids = [chidi.pid, dalila.pid]
        wait_for(lambda: connection.execute(query, [pids]).fetchone() == (0,), 30, "their end")


def test_nothing_is_printed_when_nobody_wants_it(
    pg: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    with sessions("Amina", server=pg, show=False) as story:
        (amina,) = story
        amina("SELECT 1 / 0")
    assert capsys.readouterr().out == ""
    assert [event.outcome for event in story.events] == ["DivisionByZero: division by zero"]


def test_two_cannot_have_one_name() -> None:
    with pytest.raises(ServiceError, match="the same name"):
        sessions("Amina", "Amina")


def test_a_story_needs_somebody() -> None:
    with pytest.raises(ServiceError, match="a name for each client"):
        sessions()


@pytest.mark.parametrize(
    ("row", "words"), [((1,), "1"), ((None,), "None"), (("a", 1), "(a, 1)"), ((), "()")]
)
def test_rows_are_put_into_words(row: tuple[object, ...], words: str) -> None:
    assert in_words(row) == words


def test_a_picture_has_every_step_and_is_the_same_each_time() -> None:
    events = [
        Event("Amina", "BEGIN", "BEGIN"),
        Event("Bode", "UPDATE t", "waits for Amina", waits=True),
        Event("Amina", "COMMIT", "COMMIT"),
        Event("Bode", None, "UPDATE 1"),
    ]
    pictures = [
        draw.lanes(["Amina", "Bode"], events, title="A wait", alt="Bode waits.") for _ in range(2)
    ]
    assert pictures[0] == pictures[1]
    for text in ("A wait", "BEGIN", "waits for Amina", "UPDATE 1"):
        assert f">{text}<" in pictures[0].svg


def test_a_value_with_a_colon_does_not_look_like_a_refusal() -> None:
    def colour(event: Event) -> bool:
        picture = draw.lanes(["Amina"], [event], title="A picture", alt="Amina asks.")
        return draw.ACCENT.lower() in picture.svg.lower()

    assert not colour(Event("Amina", "SELECT note", "to do: sleep"))
    assert colour(Event("Amina", "SELECT 1 / 0", "DivisionByZero: no", refused=True))


def test_no_picture_of_nothing() -> None:
    with pytest.raises(draw.DrawError, match="no events"):
        draw.lanes(["Amina"], [], title="Nothing", alt="Nothing.")
