"""Judges of "Challenges with data": a page, a migration, a live count, a vote, a bill.

The answers get managers of models. Those of the judge are like the ones of the chapter's polls.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from functools import cache
from types import SimpleNamespace
from typing import Any

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.limits import within
from nexus.judging.migrating import migrated, two_lists
from nexus.judging.querying import Asked, ask, django, leading_to, meet
from nexus.judging.sandbox import Connection, Sandbox, database
from nexus.judging.verdict import first_line

Answer = Callable[..., Any]
Pair = tuple[Answer, Answer]
Items = list[dict[str, Any]]


@cache
def _polls() -> SimpleNamespace:
    """The models; to be called inside `django`."""
    from django.apps.registry import Apps
    from django.db import models
    from django.db.migrations.state import AppConfigStub

    registry = Apps([AppConfigStub("polls")])

    class Common:
        app_label = "polls"
        apps = registry

    class Author(models.Model):
        id = models.BigAutoField(primary_key=True)
        name = models.CharField(max_length=100)

        class Meta(Common):
            pass

    class Poll(models.Model):
        id = models.BigAutoField(primary_key=True)
        question = models.CharField(max_length=100)
        author = models.ForeignKey(Author, models.PROTECT, related_name="polls")

        class Meta(Common):
            pass

    class Choice(models.Model):
        id = models.BigAutoField(primary_key=True)
        poll = models.ForeignKey(Poll, models.CASCADE, related_name="choices")
        text = models.CharField(max_length=100)
        count = models.IntegerField(default=0)

        class Meta(Common):
            pass

    class Vote(models.Model):
        id = models.BigAutoField(primary_key=True)
        poll = models.ForeignKey(Poll, models.CASCADE, related_name="votes")
        choice = models.ForeignKey(Choice, models.CASCADE, related_name="votes")
        voter = models.CharField(max_length=100)

        class Meta(Common):
            pass

    class Comment(models.Model):
        id = models.BigAutoField(primary_key=True)
        poll = models.ForeignKey(Poll, models.CASCADE, related_name="comments")
        text = models.CharField(max_length=100)

        class Meta(Common):
            pass

    return SimpleNamespace(Author=Author, Poll=Poll, Choice=Choice, Vote=Vote, Comment=Comment)


POLLS = [("Tea or coffee?", 1), ("Where?", 2), ("Tea or coffee?", 3), ("When?", 1), ("Why?", 2)]
"""Two polls have one question, and two authors one name."""
CHOICES = [(1, "tea", 5), (1, "coffee", 5), (1, "water", 0), (2, "Accra", 200), (2, "Porto", 1),
           (3, "coffee", 2), (3, "tea", 0), (5, "because", 3)]  # fmt: skip
"""The poll, the text, and how many votes there are; the fourth poll has no choice."""
COMMENTS = {1: 3, 2: 1, 4: 2}


def _build(connection: Connection) -> None:
    """Makes the tables, and what is in them."""
    with leading_to(connection) as ours, ours.schema_editor() as editor:
        for model in vars(_polls()).values():
            editor.create_model(model)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO polls_author (name) VALUES (%s)", [("Amina",), ("Bode",), ("Amina",)]
        )
        cursor.executemany("INSERT INTO polls_poll (question, author_id) VALUES (%s, %s)", POLLS)
        cursor.executemany(
            "INSERT INTO polls_choice (poll_id, text, count) VALUES (%s, %s, %s)", CHOICES
        )
        cursor.execute("""
            INSERT INTO polls_vote (poll_id, choice_id, voter)
            SELECT poll_id, id, 'voter ' || id || '-' || n
            FROM polls_choice, generate_series(1, count) AS n
        """)
        cursor.executemany(
            "INSERT INTO polls_comment (poll_id, text) VALUES (%s, 'I see')",
            [(poll,) for poll, number in COMMENTS.items() for _ in range(number)],
        )


@contextmanager
def _sandbox() -> Iterator[tuple[Sandbox, SimpleNamespace]]:
    """A database with the polls in it, and their models."""
    with django(), database("challenges_polls", _build) as box:
        yield box, _polls()


def _pair(answer: tuple[Any, ...], names: str) -> Pair:
    """The two functions of an answer.

    Raises:
        NotYet: if there are not two.
    """
    if len(answer) != 2 or not all(map(callable, answer)):
        raise NotYet(f"give the two functions themselves, without calling them: ({names})")
    return answer[0], answer[1]


GIVEN_1 = """
def page(polls, choices):
    return [
        {
            "question": poll.question,
            "author": poll.author.name,
            "votes": {c.text: c.votes.count() for c in poll.choices.order_by("id")},
        }
        for poll in polls.order_by("id")
    ]
"""
QUERIES = 3


@judge(
    "challenges-data.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of two managers, polls and choices: it returns a list of dictionaries",
    stub=GIVEN_1,
)
def page(answer: Answer) -> str:
    """It shows what the slow one shows, in a number of queries that does not grow."""
    with _sandbox() as (box, polls):

        def look(when: str) -> Asked:
            asked = ask(box, lambda: _listed(answer(polls.Poll.objects, polls.Choice.objects)))
            _compare_pages(asked.value, _page(box), when)
            return asked

        few = look(f"with {len(POLLS)} polls")
        box.admin.execute("""
            INSERT INTO polls_vote (poll_id, choice_id, voter)
            VALUES (3, 7, 'late'), (5, 8, 'late');
            UPDATE polls_poll SET question = question WHERE id = 1;  -- moves the row in the table
            INSERT INTO polls_poll (question, author_id)
            SELECT 'More?', 3 FROM generate_series(1, 9);
            INSERT INTO polls_choice (poll_id, text, count)
            SELECT id, 'more ' || n, 0 FROM polls_poll, generate_series(1, 2) AS n WHERE id > 5;
        """)
        many = look("when polls and votes were added")
        sent, before = len(many.statements), len(few.statements)
        if sent > before:
            raise NotYet(
                f"what it shows is right. It sent {before} queries for {len(POLLS)} polls, and "
                f"{sent} for {len(POLLS) + 9}: the number grows with the page"
            )
        if sent > QUERIES:
            raise NotYet(f"it is right, and sends {sent} queries. {QUERIES} are enough")
        _compare_rows(many.rows, box)
        box.admin.execute("""
            INSERT INTO polls_vote (poll_id, choice_id, voter)
            SELECT 3, 7, 'voter ' || n FROM generate_series(1, 1000) AS n
        """)
        more = look("when 1,000 people voted").size - many.size
        if more > 1000:
            raise NotYet(
                f"it is right, and 1,000 more votes made the answers of PostgreSQL {more:,} bytes "
                "larger: you fetch each vote, only packed. Let PostgreSQL count them"
            )
    return f"the same page in {sent} quer{'y' if sent == 1 else 'ies'}, for 5 polls and for 14"


def _compare_rows(came: int, box: Sandbox) -> None:
    """Looks whether single votes came.

    Raises:
        NotYet: if there are more rows than polls, authors and choices have.
    """
    ((shown, votes),) = box.admin.execute("""
        SELECT (SELECT count(*) FROM polls_poll) * 2 + (SELECT count(*) FROM polls_choice),
               (SELECT count(*) FROM polls_vote)
    """).fetchall()
    if came > shown:
        raise NotYet(
            f"it is right, and the number of queries does not grow. But {came} rows came, because "
            f"you fetch all {votes} votes. Let PostgreSQL count them"
        )


def _page(box: Sandbox) -> list[dict[str, Any]]:
    """What the page should show, as PostgreSQL says it."""
    shown: dict[int, dict[str, Any]] = {}
    for key, question, author, text, votes in box.admin.execute("""
        SELECT poll.id, question, author.name, choice.text,
               (SELECT count(*) FROM polls_vote WHERE choice_id = choice.id)
        FROM polls_poll AS poll JOIN polls_author AS author ON author.id = author_id
        LEFT JOIN polls_choice AS choice ON choice.poll_id = poll.id ORDER BY poll.id, choice.id
    """):
        entry = {"question": question, "author": author, "votes": {}}
        of_poll = shown.setdefault(key, entry)["votes"]
        if text is not None:
            of_poll[text] = votes
    return list(shown.values())


def _listed(value: object) -> object:
    """What an answer returned, as a list if it may be one; not more than a page."""
    if isinstance(value, dict | str) or not hasattr(value, "__iter__"):
        return value
    return [item for item, _ in zip(value, range(100), strict=False)]


def _compare_pages(got: object, wanted: list[dict[str, Any]], when: str) -> None:
    """Compares what is shown, poll by poll.

    Raises:
        NotYet: if it is not the same.
    """
    if not isinstance(got, list) or not all(isinstance(poll, dict) for poll in got):
        raise NotYet("it should return a list of dictionaries, one for each poll")
    questions = [poll["question"] for poll in wanted]
    shown = [poll.get("question") for poll in got]
    if shown != questions and Counter(map(str, shown)) == Counter(questions):
        raise NotYet(f"{when}, the polls are in another order; expected is the order of their id")
    if shown != questions:
        raise NotYet(f"{when}, it shows {len(got)} polls; expected are {len(wanted)}, by their id")
    for number, (poll, right) in enumerate(zip(got, wanted, strict=True), 1):
        for key, value in right.items():
            found = poll.get(key)
            if found != value or (key == "votes" and list(found) != list(value)):
                raise NotYet(
                    f'{when}, "{key}" of poll {number} is {found!r:.90}; expected is {value!r}'
                )


GIVEN_2 = """
def add_slug():
    before = [AddField("poll", "slug", SlugField(unique=True, default=""))]
    after = []
    return before, after
"""


@judge(
    "challenges-data.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function that returns two lists of operations, before and after",
    stub=GIVEN_2,
)
def migration(answer: Answer) -> str:
    """Rows are kept, old and new code work between the lists, and the rules hold at the end."""
    with _sandbox() as (box, polls):
        from django.db.migrations.state import ModelState, ProjectState

        before, after = two_lists(within(answer))
        state = ProjectState()
        for model in vars(polls).values():
            state.add_model(ModelState.from_model(model))
        box.admin.execute("SELECT nextval('polls_poll_id_seq')")  # ids have gaps
        _write(box, OLD, "the old code", "before the migration")
        state = _migrate(box, state, before, "before")
        _write(box, NEW, "the new code", "after the list before")
        for _ in range(2):
            _write(box, OLD, "the old code, which still runs and knows no slug,", "now")
        expected = {
            key: (question, "new" if question == "New?" else f"poll-{key}")
            for key, question in box.admin.execute("SELECT id, question FROM polls_poll")
        }
        state = _migrate(box, state, after, "after")
        _compare_slugs(box, expected)
        poll = state.models["polls", "poll"]
        column = poll.fields.get("slug")
        rules = [getattr(rule, "fields", ()) for rule in poll.options.get("constraints", ())]
        if column is None or column.null or not (column.unique or ("slug",) in rules):
            raise NotYet(
                "the table is right. But Django does not know that: its state of the model has no "
                "unique slug that is not null, and the next makemigrations would add it again"
            )
    return "old and new code could write in between, and each slug is there once at the end"


OLD = "INSERT INTO polls_poll (question, author_id) VALUES ('Old?', 1)"
NEW = "INSERT INTO polls_poll (question, author_id, slug) VALUES ('New?', 1, 'new')"


def _write(box: Sandbox, insert: str, who: str, when: str) -> None:
    """Writes a poll, as a program does.

    Raises:
        NotYet: if PostgreSQL refuses that.
    """
    try:
        box.admin.execute(insert)  # type: ignore[arg-type]
    except psycopg.Error as error:
        raise NotYet(f"{when}, {who} cannot write a poll: {first_line(error)}") from None


def _migrate(box: Sandbox, state: Any, operations: list[Any], name: str) -> Any:  # noqa: ANN401
    """Runs operations, each as a migration of its own, and returns the new state.

    Raises:
        NotYet: if PostgreSQL refuses one.
    """
    from django.core.exceptions import FieldError
    from django.db import Error

    try:
        return migrated(box, "polls", state, operations)
    except FieldError as error:
        raise NotYet(
            f"the list {name}: {first_line(error)}. A migration has its own models, which have "
            'the new column: apps.get_model("polls", "Poll")'
        ) from None
    except Error as error:
        where = "when the new code runs, " if name == "after" else ""
        raise NotYet(f"{where}the list {name} is refused: {' '.join(str(error).split())}") from None


def _compare_slugs(box: Sandbox, expected: dict[int, tuple[str, str]]) -> None:
    """Compares the rows with what they should be, and tries to break the rules.

    Raises:
        NotYet: if one is wrong, or a rule does not hold.
    """
    try:
        rows = box.admin.execute("SELECT id, question, slug FROM polls_poll ORDER BY id").fetchall()
    except psycopg.errors.UndefinedColumn:
        raise NotYet("at the end, polls_poll has no column slug") from None
    found = {key: (question, slug) for key, question, slug in rows}
    if lost := sorted(expected.keys() - found.keys()):
        raise NotYet(f"{len(lost)} of {len(expected)} polls are gone; a migration keeps the rows")
    for key, right in expected.items():
        if found[key] != right:
            who = "a poll that the new code wrote" if right[1] == "new" else "an old poll"
            raise NotYet(f"{who} is {found[key]} at the end; expected is {right}")
    for slug, rule in ((None, "without a slug"), ("poll-1", "with a slug that is there")):
        try:
            box.admin.execute(
                "INSERT INTO polls_poll (question, author_id, slug) VALUES ('?', 1, %s)", [slug]
            )
        except psycopg.errors.IntegrityError:
            continue
        raise NotYet(f"at the end, a poll {rule} can still be stored")


GIVEN_3 = """
def vote(choices, pk):
    choice = choices.get(pk=pk)
    choice.count += 1
    choice.save()
    return choice.count


def live(polls, choices, comments):
    return polls.annotate(total=Sum("choices__count"), talk=Count("comments"))
"""
ADDS_ONE = "UPDATE polls_choice SET count = count + 1 WHERE id = %s"
RENAMES = "UPDATE polls_choice SET text = 'green tea' WHERE id = %s"


@judge(
    "challenges-data.3",
    takes=tuple,
    called="two functions in brackets",
    hint="give two functions, (vote, live)",
    stub=GIVEN_3,
)
def counts(answer: tuple[Any, ...]) -> str:
    """No vote is lost where two meet, and each figure is what it is alone."""
    vote, live = _pair(answer, "vote, live")
    with _sandbox() as (box, polls):
        choices = polls.Choice.objects

        def voting() -> object:
            return vote(choices, 1)

        _compare_count(box, ask(box, voting).value, 6, "it had 5, and got one vote")
        returned = meet(box, voting, ADDS_ONE, [1])
        _compare_count(box, returned, 8, "it had 6, and two voted at the same moment")
        returned = meet(box, voting, RENAMES, [1])
        _compare_count(box, returned, 9, "it had 8, and got one vote")
        rows = dict(box.admin.execute("SELECT id, text FROM polls_choice").fetchall())
        if rows[1] != "green tea":
            raise NotYet(
                "somebody corrected the text of the choice at the same moment, and vote wrote the "
                "old text back: save() writes every column"
            )
        ((others,),) = box.admin.execute("SELECT sum(count) FROM polls_choice WHERE id <> 1")
        if others != sum(number for _, _, number in CHOICES[1:]):
            raise NotYet("vote has changed the count of another choice")

        def figures() -> list[tuple[Any, ...]]:
            found = live(polls.Poll.objects, choices, polls.Comment.objects)
            shown = [(p.pk, p.total, p.talk) for p, _ in zip(found, range(99), strict=False)]
            return sorted(shown, key=lambda row: row[0])

        _compare_figures(ask(box, figures).value, box)
        box.admin.execute(
            "UPDATE polls_choice SET count = 4 WHERE poll_id = 3;"
            "INSERT INTO polls_comment (poll_id, text) VALUES (5, '!'), (5, '!')"
        )
        _compare_figures(ask(box, figures).value, box)
    return "two votes at once are two votes, and each figure is what it is alone"


def _compare_count(box: Sandbox, returned: object, expected: int, when: str) -> None:
    """Compares the count of the first choice, and what the answer has returned.

    Raises:
        NotYet: if one of them is wrong.
    """
    ((count,),) = box.admin.execute("SELECT count FROM polls_choice WHERE id = 1").fetchall()
    if count != expected:
        raise NotYet(f"{when}: its count is {count}, and should be {expected}")
    if type(returned) is not int:
        raise NotYet(f"{when}: vote returned {returned!s:.60}, and should return the new count")
    if returned != expected:
        raise NotYet(f"{when}: vote returned {returned}, and the row has {expected}")


def _compare_figures(got: list[tuple[Any, ...]], box: Sandbox) -> None:
    """Compares figures with what each is alone.

    Raises:
        NotYet: if one is wrong.
    """
    wanted = box.admin.execute("""
        SELECT id, (SELECT coalesce(sum(count), 0)::int FROM polls_choice WHERE poll_id = poll.id),
               (SELECT count(*) FROM polls_comment WHERE poll_id = poll.id)
        FROM polls_poll AS poll ORDER BY id
    """).fetchall()
    if [row[0] for row in got] != [row[0] for row in wanted]:
        raise NotYet(f"live shows the polls {[row[0] for row in got]}; each should be there once")
    for (key, *figures), (_, *right) in zip(got, wanted, strict=True):
        for name, value, expected in zip(("total", "talk"), figures, right, strict=True):
            if value != expected:
                raise NotYet(
                    f"{name} of poll {key} is {value} in live, and should be {expected}, as in a "
                    "query that counts nothing else"
                )


GIVEN_4 = """
def rules():
    return []


def cast(votes, choice, voter):
    if votes.filter(poll=choice.poll_id, voter=voter).exists():
        return False
    votes.create(poll_id=choice.poll_id, choice=choice, voter=voter)
    return True
"""
VOTES = "INSERT INTO polls_vote (poll_id, choice_id, voter) VALUES (%s, %s, %s)"


@judge(
    "challenges-data.4",
    takes=tuple,
    called="two functions in brackets",
    hint="give two functions, (rules, cast)",
    stub=GIVEN_4,
)
def double_vote(answer: tuple[Any, ...]) -> str:
    """No program can store a second vote, and who comes second is told so without an error."""
    rules, cast = _pair(answer, "rules, cast")
    with _sandbox() as (box, polls):
        choices = {c: polls.Choice(id=c, poll_id=p) for c, p in ((1, 1), (2, 1), (4, 2))}

        def casting(choice: int, voter: str) -> Callable[[], object]:
            return lambda: cast(polls.Vote.objects, choices[choice], voter)

        _add_constraints(box, polls.Vote, within(rules))
        _compare_vote(box, ask(box, casting(1, "Esi")).value, True, "Esi", [1], "her first vote")
        returned = ask(box, casting(2, "Esi")).value
        _compare_vote(box, returned, False, "Esi", [1], "a vote for another choice of that poll")
        returned = ask(box, casting(4, "Esi")).value
        _compare_vote(box, returned, True, "Esi", [1, 4], "her first vote in another poll")
        returned = ask(box, casting(1, "Kofi")).value
        _compare_vote(box, returned, True, "Kofi", [1], "his first vote, where Esi has voted")
        returned = _meeting(box, casting(2, "Lina"), [1, 1, "Lina"])
        _compare_vote(box, returned, False, "Lina", [1], "two votes of hers at the same moment")
        returned = meet(box, casting(2, "Mona"), VOTES, [1, 1, "Mona"], gives_up=True)
        _compare_vote(box, returned, True, "Mona", [2], "a vote, while another one rolls back")
        inside = _in_transaction(casting(2, "Nora"))
        returned = _meeting(box, inside, [1, 1, "Nora"], "inside of a transaction, ")
        _compare_vote(box, returned, False, "Nora", [1], "two votes at once, in a transaction")
        try:
            box.admin.execute(VOTES, [1, 2, "Esi"])  # type: ignore[arg-type]
        except psycopg.errors.IntegrityError:
            return "no program can store a second vote, and who comes second is told so"
    raise NotYet(
        "your function keeps its own votes apart, but a program that does not call it, such as the "
        "admin, has just stored a second vote of Esi's. Let rules forbid it"
    )


def _add_constraints(box: Sandbox, model: Any, returned: object) -> None:  # noqa: ANN401
    """Adds what rules returned to the table.

    Raises:
        NotYet: if it returned something else.
    """
    from django.db import connection
    from django.db.models import BaseConstraint

    if not isinstance(returned, list | tuple) or not all(
        isinstance(rule, BaseConstraint) for rule in returned
    ):
        raise NotYet("rules should return a list of constraints, as in Meta.constraints")

    def add() -> None:
        with connection.schema_editor() as editor:
            for rule in returned:
                editor.add_constraint(model, rule)

    ask(box, add)


def _in_transaction(action: Callable[[], object]) -> Callable[[], object]:
    """Calls an answer where a transaction is open, which goes on afterwards."""

    def inside() -> object:
        from django.db import connection, transaction

        with transaction.atomic():
            returned = action()
            connection.cursor().execute("SELECT 1")
        return returned

    return inside


def _meeting(
    box: Sandbox, action: Callable[[], object], values: list[object], where: str = ""
) -> object:
    """Lets a vote meet another one of the same voter.

    Raises:
        NotYet: if the answer raises an error of the database.
    """
    from django.db import Error

    try:
        return meet(box, action, VOTES, values)
    except Error as error:
        raise NotYet(
            f"{where}two votes of one voter came at the same moment, and the second got an error: "
            f"{type(error).__name__}: {first_line(error)}"
        ) from None


def _compare_vote(
    box: Sandbox, returned: object, right: bool, voter: str, choices: list[int], what: str
) -> None:
    """Compares what is stored, and what the answer has returned.

    Raises:
        NotYet: if one of them is wrong.
    """
    rows = box.admin.execute(
        "SELECT choice_id FROM polls_vote WHERE voter = %s ORDER BY id", [voter]
    ).fetchall()
    found = [choice for (choice,) in rows]
    if found != choices:
        raise NotYet(f"{what}: {voter} has votes for {found} now, and should have {choices}")
    if returned is not right:
        raise NotYet(f"{what}: cast returned {returned!r:.40}, and should return {right}")


GIVEN_5 = """
def pack(items):
    total = sum(item["price"] for item in items)
    return json.dumps({"items": items, "total": total}, default=float)


def unpack(text):
    return json.loads(text)
"""
SAFE = 2**53
"""Whole numbers up to here are exact in a float."""
BILLS = [
    [("tea", "0.10"), ("tea", "0.10"), ("tea", "0.10")],
    [("room", "12.50"), ("12.50", "7.00"), ("discount", "-2.05")],
    [("castle", "999999999999999.98"), ("key", "0.01")],
    [],
]


@judge(
    "challenges-data.5",
    takes=tuple,
    called="two functions in brackets",
    hint="give two functions, (pack, unpack)",
    stub=GIVEN_5,
)
def bill(answer: tuple[Any, ...]) -> str:
    """All amounts survive the way, also for clients whose numbers are floats."""
    pack, unpack = _pair(answer, "pack, unpack")
    for entries in BILLS:
        items: Items = [{"name": name, "price": Decimal(price)} for name, price in entries]
        total = sum((item["price"] for item in items), Decimal(0))
        text = within(lambda: pack([dict(item) for item in items]))  # noqa: B023
        _look_at_numbers(text)
        _compare_bill(within(lambda: unpack(text)), items, total)  # noqa: B023
    return "every amount comes back as it was, and no client has to read it as a float"


def _look_at_numbers(text: object) -> None:
    """Looks for numbers that a client may read as another one.

    Raises:
        NotYet: if it is no JSON, or there is such a number.
    """
    if not isinstance(text, str):
        raise NotYet("pack should return JSON as a text")

    def fraction(number: str) -> float:
        raise NotYet(
            f"the text has the number {number}, and many clients read it as a float: "
            f"Decimal({number}) is {Decimal(float(number))!s:.24}…. Send the amount as a string"
        )

    def whole(number: str) -> int:
        if abs(int(number)) > SAFE:
            raise NotYet(f"the text has the number {number}; as a float it is {float(number):.0f}")
        return int(number)

    try:
        sent = json.loads(text, parse_float=fraction, parse_int=whole)
    except ValueError as error:
        raise NotYet(f"pack returned no JSON: {error}") from None
    if not isinstance(sent, dict) or not {"items", "total"} <= set(sent):
        raise NotYet(
            f"the JSON should be an object with items and total, because other clients read them; "
            f"it is {text:.60}"
        )


def _compare_bill(got: object, items: Items, total: Decimal) -> None:
    """Compares what came back with what was sent.

    Raises:
        NotYet: if it is something else.
    """
    if not isinstance(got, dict) or set(got) != {"items", "total"}:
        raise NotYet(f'unpack should return {{"items": …, "total": …}}; it returned {got!r:.60}')
    names = [item["name"] for item in items]
    if not isinstance(got["items"], list) or len(got["items"]) != len(items):
        raise NotYet(f"{len(items)} items were sent, and {got['items']!r:.60} came back")
    for item, right in zip(got["items"], items, strict=True):
        if not isinstance(item, dict) or set(item) != set(right):
            raise NotYet(f"an item came back as {item!r:.60}; expected are a name and a price")
        if item["name"] != right["name"] or not isinstance(item["name"], str):
            raise NotYet(f"the name {right['name']!r} came back as {item['name']!r:.40}")
        _compare_amount(item["price"], right["price"], f"the price of {right['name']}")
    if items or got["total"] != 0:
        _compare_amount(got["total"], total, f"the total of {', '.join(names) or 'nothing'}")


def _compare_amount(got: object, right: Decimal, what: str) -> None:
    """Compares an amount, with its type and its places.

    Raises:
        NotYet: if it is another one.
    """
    if not isinstance(got, Decimal):
        raise NotYet(f"{what} came back as {got!r:.40}, of type {type(got).__name__}")
    if str(got) != str(right):
        raise NotYet(f"{what} came back as {got!s:.40}; it was {right}")
