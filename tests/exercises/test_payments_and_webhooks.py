"""The judges of "Payments and webhooks": stubs, right answers, wrong ones."""

from collections.abc import Iterator

import pytest

import nexus
from nexus.judging.sandbox import Connection
from tests.exercises import tables


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def ask(connection: Connection) -> list[str]:
    found = connection.execute(
        "SELECT name FROM property EXCEPT SELECT name FROM property JOIN review"
        " ON review.property_id = property.id ORDER BY name"
    )
    return [name for (name,) in found]


WITHOUT_REVIEW = "SELECT name FROM property WHERE id NOT IN (SELECT property_id FROM review"

RIGHT = [
    ("payments-and-webhooks.1", f"{WITHOUT_REVIEW} WHERE property_id IS NOT NULL)"),
    (
        "payments-and-webhooks.1",
        "SELECT p.name FROM property p LEFT JOIN review r ON r.property_id = p.id"
        " WHERE r.property_id IS NULL ORDER BY 1 DESC;",
    ),
    (
        "payments-and-webhooks.2",
        "DELETE FROM review WHERE property_id IS NULL;"
        "ALTER TABLE review ALTER property_id SET NOT NULL",
    ),
    ("payments-and-webhooks.2", "ALTER TABLE review ADD CHECK (property_id IS NOT NULL) NOT VALID"),
    ("payments-and-webhooks.3", ask),
]

NOT_YET = [
    ("payments-and-webhooks.1", None, "write a SELECT"),
    ("payments-and-webhooks.1", 7, "this is of type int"),
    ("payments-and-webhooks.1", f"{WITHOUT_REVIEW})", "one review has NULL"),
    ("payments-and-webhooks.1", "SELECT name FROM property", "two properties have no review"),
    ("payments-and-webhooks.1", "DROP TABLE property", "syntax error"),
    ("payments-and-webhooks.1", "SELECT 1; DROP TABLE property CASCADE", "does not exist"),
    ("payments-and-webhooks.2", "", "one review is in the way"),
    (
        "payments-and-webhooks.2",
        "ALTER TABLE review ALTER property_id SET NOT NULL",
        "contains null values",
    ),
    ("payments-and-webhooks.2", "DELETE FROM review", "must stay"),
    ("payments-and-webhooks.2", "SELECT 1", "can still be stored"),
    ("payments-and-webhooks.3", ["Barn", "Lighthouse"], "this is of type list"),
    ("payments-and-webhooks.3", lambda _: ["Barn", "Lighthouse"], "ask the server each time"),
    ("payments-and-webhooks.3", lambda _: ["Lighthouse", "Barn"], "a sorted list"),
    ("payments-and-webhooks.3", lambda: [], "TypeError"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
