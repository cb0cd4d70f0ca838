"""Judges of "Payments and webhooks": one of a query, one of a statement, one of a function."""

from collections.abc import Callable

import psycopg

from nexus.judging import NotYet, judge
from nexus.judging.limits import within
from nexus.judging.sandbox import Connection, Sandbox, database

NEVER_REVIEWED = ["Barn", "Lighthouse"]


def build(connection: Connection) -> None:
    """Makes the tables that the exercises are about: two properties were never reviewed."""
    connection.execute("""
        CREATE TABLE property (id int PRIMARY KEY, name text NOT NULL);
        CREATE TABLE review (property_id int REFERENCES property, stars int NOT NULL);
        INSERT INTO property VALUES (1, 'Attic'), (2, 'Barn'), (3, 'Cabin'), (4, 'Lighthouse');
        INSERT INTO review VALUES (1, 5), (3, 4), (3, 2), (NULL, 1);
    """)


@judge(
    "payments-and-webhooks.1",
    takes=str,
    called="one SELECT in quotes",
    hint="write a SELECT, in quotes, that returns the names of the properties without a review",
)
def query(answer: str) -> str:
    """The query finds the properties without a review, with the NULL there and without it."""
    with database("payments-and-webhooks", build) as box:
        with_null = names(box, answer)
        box.admin.execute("DELETE FROM review WHERE property_id IS NULL")
        without_null = names(box, answer)
    if with_null == [] and without_null == NEVER_REVIEWED:
        raise NotYet("it finds nothing as long as one review has NULL for its property")
    for found in (with_null, without_null):
        if found != NEVER_REVIEWED:
            raise NotYet(f"it returns {found or 'nothing'}; two properties have no review")
    return "Barn and Lighthouse, and a NULL among the reviews changes nothing"


def names(box: Sandbox, select: str) -> list[str]:
    """Runs a query and returns its first column, sorted: what it finds counts, not the order."""
    box.run("DROP TABLE IF EXISTS answer")
    box.run(f"CREATE TABLE answer AS {select}")
    return sorted(str(row[0]) for row in box.admin.execute("SELECT * FROM answer"))


@judge(
    "payments-and-webhooks.2",
    takes=str,
    called="SQL in quotes, one statement or more",
    hint="make it impossible to store a review without a property; one review is in the way",
)
def constraint(answer: str) -> str:
    """After the statements a review without a property is refused, and a good one is not."""
    with database("payments-and-webhooks", build) as box:
        box.run(answer)
        kept = box.admin.execute("SELECT count(*) FROM review WHERE property_id > 0").fetchone()
        if kept != (3,):
            raise NotYet("reviews that have a property must stay")
        box.admin.execute("INSERT INTO review VALUES (2, 5)")
        try:
            box.admin.execute("INSERT INTO review VALUES (NULL, 5)")
        except psycopg.errors.IntegrityError:
            return "a review without a property is refused, and the others are as they were"
    raise NotYet("a review without a property can still be stored")


GIVEN_3 = """
def never_reviewed(connection):
    return []
"""


@judge(
    "payments-and-webhooks.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give the function itself, without calling it: it gets a connection and returns a list",
    stub=GIVEN_3,
)
def function(answer: Callable[[Connection], list[str]]) -> str:
    """The function returns the names, whatever the server holds when it is called."""
    with database("payments-and-webhooks", build) as box:
        if (found := within(lambda: answer(box.learner))) != NEVER_REVIEWED:
            raise NotYet(f"it returned {found!r}; expected is a sorted list of two names")
        box.admin.execute("INSERT INTO review VALUES (2, 3)")
        if within(lambda: answer(box.learner)) != ["Lighthouse"]:
            raise NotYet("it did not see that Barn got a review: does it ask the server each time?")
    return "it asks the server each time, and returns the names in order"
