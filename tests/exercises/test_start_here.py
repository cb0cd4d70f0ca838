"""The judge of the first notebook: the stub, right answers of several kinds, wrong ones."""

from collections.abc import Iterator

import pytest

import nexus
from nexus.judging import judge_answer


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


RIGHT = [
    "SELECT guest FROM stay GROUP BY guest HAVING count(*) > 1",
    "SELECT guest, count(*) FROM stay GROUP BY 1 HAVING count(*) >= 2 ORDER BY 1 DESC;",
    "SELECT DISTINCT a.guest FROM stay a JOIN stay b ON a.guest = b.guest AND a.place <> b.place",
]
NOT_YET = [
    (None, "write a SELECT"),
    ("", "two stays or more"),
    (2, "this is of type int"),
    ("SELECT guest FROM stay", "it returns Ada, Ada, Alan, Grace, Grace; two guests"),
    ("SELECT guest FROM stay WHERE nights > 100", "it returns nothing"),
    ("SELECT guest FROM stay WHERE guest IN ('Ada', 'Grace')", "each name should come once"),
    ("SELECT DISTINCT guest FROM stay WHERE guest <> 'Alan'", "let it count"),
    ("SELECT guest FROM stay GROUP BY guest HAVING sum(nights) IN (3, 5)", "let it count"),
    ("SELECT gest FROM stay", 'column "gest" does not exist'),
    ("DROP TABLE stay", "syntax error"),
]


@pytest.mark.parametrize("answer", RIGHT)
def test_right(answer: str) -> None:
    verdict = judge_answer("start-here.1", answer)
    assert verdict.right, verdict


@pytest.mark.parametrize(("answer", "hint"), NOT_YET)
def test_not_yet(answer: object, hint: str) -> None:
    verdict = judge_answer("start-here.1", answer)
    assert not verdict.right
    assert hint in verdict.message
