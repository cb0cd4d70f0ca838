from collections.abc import Iterator

import pytest

import nexus
from nexus import draw
from nexus.services import Postgres, ServiceError
from nexus.sessions import Event, Story, in_words, sessions


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
    amina, bode = story
    amina(TAKE, "b")
    bode(TAKE, "a")
    refused, other = (amina, bode) if victim == 0 else (bode, amina)
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
        "Amina: (goes on) → UPDATE 1",
        "Bode: (goes on) → QueryCanceled: canceling statement due to user request",
    ]


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
        assert connection.execute(query, [[chidi.pid, dalila.pid]]).fetchone() == (0,)


def test_nothing_is_printed_when_nobody_wants_it(
    pg: Postgres, capsys: pytest.CaptureFixture[str]
) -> None:
    with sessions("Amina", server=pg, show=False) as story:
        (amina,) = story
        amina("SELECT 1 / 0")
    assert capsys.readouterr().out == ""
    assert [event.outcome for event in story.events] == ["DivisionByZero: division by zero"]


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


def test_no_picture_of_nothing() -> None:
    with pytest.raises(draw.DrawError, match="no events"):
        draw.lanes(["Amina"], [], title="Nothing", alt="Nothing.")
