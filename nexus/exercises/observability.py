"""Judges of "Observability": the p99 of several processes, a redactor, the slow hop of a trace."""

import copy
from collections.abc import Callable, Mapping, Sequence
from math import isclose, isnan
from numbers import Real
from typing import Any

from nexus.judging import NotYet, judge
from nexus.judging.limits import within

# -- 1. One p99

Answers = Sequence[Mapping[str, int]]

FAST = {"0.1": 990, "0.25": 1000, "0.5": 1000, "+Inf": 1000}
P99: tuple[tuple[str, Answers, float | None], ...] = (
    (
        "one process, and the 99th request is in the middle of its bucket",
        [{"0.1": 90, "0.25": 98, "0.5": 100, "+Inf": 100}],
        0.375,
    ),
    (
        "a busy process with fast requests, and one with ten requests that are all slow",
        [FAST, {"0.1": 0, "0.25": 0, "0.5": 10, "+Inf": 10}],
        0.1 + 0.15 * (999.9 - 990) / 10,
    ),
    (
        "two processes, each with half of the slow requests",
        [
            {"0.1": 50, "0.25": 50, "0.5": 52, "+Inf": 52},
            {"0.1": 45, "0.25": 46, "0.5": 48, "+Inf": 48},
        ],
        0.25 + 0.25 * (99 - 96) / 4,
    ),
    (
        "the 99th request is the last one of a bucket",
        [{"0.1": 99, "0.25": 100, "+Inf": 100}],
        0.1,
    ),
    (
        "the 99th request is the last one of a bucket, and the next bucket is empty",
        [{"0.1": 99, "0.25": 99, "0.5": 100, "+Inf": 100}],
        0.1,
    ),
    (
        "an empty bucket before the bucket of the 99th request",
        [{"0.1": 10, "0.25": 10, "0.5": 100, "+Inf": 100}],
        0.25 + 0.25 * (99 - 10) / 90,
    ),
    (
        "three processes, and the slow requests are in the second one",
        [
            {"0.1": 30, "0.25": 40, "0.5": 40, "+Inf": 40},
            {"0.1": 0, "0.25": 0, "0.5": 20, "+Inf": 20},
            {"0.1": 40, "0.25": 40, "0.5": 40, "+Inf": 40},
        ],
        0.25 + 0.25 * (99 - 80) / 20,
    ),
    ("all requests are in the first bucket", [{"0.1": 200, "0.25": 200, "+Inf": 200}], 0.099),
    (
        "the bounds 2.5 and 10, whose order as texts is another one",
        [{"10": 100, "2.5": 80, "5": 96, "+Inf": 100}],
        5 + 5 * (99 - 96) / 4,
    ),
    (
        "two processes whose buckets come in another order",
        [{"+Inf": 50, "0.5": 50, "0.1": 40}, {"0.1": 40, "0.5": 50, "+Inf": 50}],
        0.1 + 0.4 * (99 - 80) / 20,
    ),
    ("the 99th request took longer than the last bound", [{"0.1": 90, "1": 95, "+Inf": 100}], 1.0),
    (
        "one of two processes has not had a request yet",
        [{"0.1": 0, "0.25": 0, "+Inf": 0}, {"0.1": 50, "0.25": 100, "+Inf": 100}],
        0.1 + 0.15 * 49 / 50,
    ),
    ("no process has had a request yet", [{"0.1": 0, "0.25": 0, "+Inf": 0}], None),
    ("there is no process", [], None),
)

GIVEN_1 = """
def p99(answers):
    each = []
    for answer in answers:
        rank = 0.99 * answer["+Inf"]
        each.append(min(float(bound) for bound, count in answer.items() if count >= rank))
    return sum(each) / len(each)
"""


@judge(
    "observability.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a list of dictionaries, each with the buckets of one process",
    stub=GIVEN_1,
)
def p99(answer: Callable[[Answers], object]) -> str:
    """It adds the buckets, finds the bucket of the 99th request, and interpolates in it."""
    for what, answers, expected in P99:
        given = copy.deepcopy(answers)
        got = within(lambda given=given: answer(given))  # type: ignore[misc]
        if not _same(given, answers):
            raise NotYet(f"{what}: it changed the dictionaries that it got")
        _check_number(what, got, expected)
    what, answers, expected = P99[0]
    _check_number(f"{what}, asked a second time", within(lambda: answer(answers)), expected)
    return "it adds the buckets of all processes first, and reads the p99 from the sum"


def _check_number(what: str, got: object, expected: float | None) -> None:
    if expected is None:
        if got is not None:
            raise NotYet(f"{what}, so it should return None; it returned {_shown(got)}")
        return
    if not isinstance(got, Real) or isinstance(got, bool) or isnan(got):
        raise NotYet(f"{what}: it should return a number, and not {_shown(got)}")
    if not isclose(got, expected, abs_tol=1e-6):
        raise NotYet(f"{what}: the p99 is {expected:.5g}, and it returned {float(got):.5g}")


def _shown(value: object) -> str:
    try:
        return repr(value)[:120]
    except Exception:
        return f"a {type(value).__name__} that cannot be shown"


# -- 2. A redactor

CARD = "4242 4242 4242 4242"
HIDDEN = "…"

EVENTS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (
    (
        "a password among other values",
        {"event": "log in", "user": 7, "password": "hunter2"},
        {"event": "log in", "user": 7, "password": HIDDEN},
    ),
    (
        "names that contain such a word, in capitals too",
        {
            "Authorization": "Bearer abc",
            "access_token": "abc",
            "Set-Cookie": "s=1",
            "API_SECRET": "x",
        },
        dict.fromkeys(("Authorization", "access_token", "Set-Cookie", "API_SECRET"), HIDDEN),
    ),
    (
        "a header in a dictionary in a dictionary",
        {"request": {"method": "GET", "headers": {"Cookie": "s=1", "Host": "example.org"}}},
        {"request": {"method": "GET", "headers": {"Cookie": HIDDEN, "Host": "example.org"}}},
    ),
    (
        "dictionaries in a list",
        {"users": [{"name": "Amina", "password": "a"}, {"name": "Bode", "password": "b"}]},
        {"users": [{"name": "Amina", "password": HIDDEN}, {"name": "Bode", "password": HIDDEN}]},
    ),
    (
        "a secret that is a list, and one that is a dictionary",
        {"tokens": ["abc", "def"], "secrets": {"a": "b"}, "n": 2},
        {"tokens": HIDDEN, "secrets": HIDDEN, "n": 2},
    ),
    (
        "secrets that are a number, None, False and an empty text",
        {"token": 123456, "secret": None, "cookie": False, "password": ""},
        dict.fromkeys(("token", "secret", "cookie", "password"), HIDDEN),
    ),
    (
        "a card number in a text",
        {"event": f"card {CARD} was refused"},
        {"event": f"card {HIDDEN} was refused"},
    ),
    (
        "a card number with dashes, and one without anything between its digits",
        {"a": "4000-1234-5678-9010.", "b": "(4000123456789010)"},
        {"a": f"{HIDDEN}.", "b": f"({HIDDEN})"},
    ),
    (
        "two card numbers in one text",
        {"event": f"from {CARD} to 4000123456789010"},
        {"event": f"from {HIDDEN} to {HIDDEN}"},
    ),
    (
        "card numbers in a list, and deep in dictionaries",
        {"lines": ["paid", f"by {CARD}"], "form": {"fields": [{"note": CARD}]}},
        {"lines": ["paid", f"by {HIDDEN}"], "form": {"fields": [{"note": HIDDEN}]}},
    ),
    (
        "lists in a list",
        {"rows": [["paid", f"by {CARD}"], [[{"password": "a"}]]]},
        {"rows": [["paid", f"by {HIDDEN}"], [[{"password": HIDDEN}]]]},
    ),
    (
        "numbers that are no card numbers",
        {
            "request_id": "4242424242424242ab3f66d0c9e1a5b7",
            "order": "42424242424242424242",
            "phone": "+44 20 7946 0958",
            "bytes": 1234567890123456,
        },
        {
            "request_id": "4242424242424242ab3f66d0c9e1a5b7",
            "order": "42424242424242424242",
            "phone": "+44 20 7946 0958",
            "bytes": 1234567890123456,
        },
    ),
    (
        "letters before sixteen digits, and groups of which one has five digits",
        {"id": "ab4242424242424242", "a": "14242 4242 4242 4242", "b": "4242-4242-4242-42421"},
        {"id": "ab4242424242424242", "a": "14242 4242 4242 4242", "b": "4242-4242-4242-42421"},
    ),
    (
        "two groups of eight digits, and groups with nothing between two of them",
        {"a": "42424242 42424242", "b": "4242-42424242-4242"},
        {"a": "42424242 42424242", "b": "4242-42424242-4242"},
    ),
    (
        "values that are no texts",
        {"status": 200, "seconds": 0.25, "cached": False, "user": None, "tags": [], "more": {}},
        {"status": 200, "seconds": 0.25, "cached": False, "user": None, "tags": [], "more": {}},
    ),
    (
        "names that contain other words, such as card, auth and key",
        {"card_type": "visa", "discarded": 3, "author": "Amina", "key": "stay:7", "passed": True},
        {"card_type": "visa", "discarded": 3, "author": "Amina", "key": "stay:7", "passed": True},
    ),
    ("an empty event", {}, {}),
)

GIVEN_2 = """
def redact(event):
    hidden = {"card", "password", "token", "authorization", "cookie"}
    return {name: "…" if name in hidden else value for name, value in event.items()}
"""


@judge(
    "observability.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of an event, which is a dictionary; it returns another dictionary",
    stub=GIVEN_2,
)
def redact(answer: Callable[[dict[str, Any]], object]) -> str:
    """No secret is left, all else is, and the event that it got is as it was."""
    for what, event, expected in (*EVENTS, EVENTS[0]):
        given = copy.deepcopy(event)
        got = within(lambda given=given: answer(given))  # type: ignore[misc]
        if type(got) is not dict:
            raise NotYet(f"{what}: it should return a dictionary, and not {_shown(got)}")
        if not _same(given, event):
            raise NotYet(f"{what}: it changed the event that it got, which others still use")
        if not _same(got, expected):
            raise NotYet(f"{what}: from {_shown(event)} it made {_shown(got)}")
    return "no secret is left by name or in a text, at any depth, and all else stays"


def _same(one: object, other: object) -> bool:
    """Whether two values are equal and of the same types: 0 is not False, and no text."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other)


# -- 3. The slow hop

Spans = list[dict[str, Any]]


def span(
    name: str, start: float, end: float, id: str = "", parent: str | None = None
) -> dict[str, Any]:
    """A span as the exercise has it."""
    return {
        "id": id or f"{name}{start}",
        "parent": parent,
        "name": name,
        "start": start,
        "end": end,
    }


TRACES: tuple[tuple[str, Spans, str | None], ...] = (
    (
        "one slow query",
        [span("GET", 0, 100, "a"), span("SELECT", 10, 90, "b", "a")],
        "SELECT",
    ),
    (
        "the view itself is slow, and its query is not",
        [span("GET", 0, 100, "a"), span("SELECT", 80, 90, "b", "a")],
        "GET",
    ),
    (
        "eighty short queries, and one step that is longer than each of them",
        [
            span("GET", 0, 100, "a"),
            span("render", 84, 99, "r", "a"),
            *(span("SELECT", n, n + 1, f"q{n}", "a") for n in range(2, 82)),
        ],
        "SELECT",
    ),
    (
        "two calls at the same time, whose times must not be subtracted twice",
        [
            span("GET", 0, 100, "a"),
            span("rates", 10, 50, "b", "a"),
            span("photos", 10, 50, "c", "a"),
        ],
        "GET",
    ),
    (
        "a call within the time of another one, and listed before it",
        [
            span("photos", 20, 30, "c", "a"),
            span("rates", 10, 55, "b", "a"),
            span("resize", 12, 22, "d", "b"),
            span("GET", 0, 100, "a"),
        ],
        "GET",
    ),
    (
        "a task that ends after the request that started it",
        [
            span("POST", 0, 100, "a"),
            span("run", 90, 150, "b", "a"),
            span("mail", 95, 150, "c", "b"),
        ],
        "POST",
    ),
    (
        "a task that begins when the request has ended",
        [span("POST", 0, 40, "a"), span("run", 60, 90, "b", "a"), span("mail", 60, 65, "c", "b")],
        "POST",
    ),
    (
        "two steps at the same time, neither of which is a part of the other",
        [
            span("GET", 0, 60, "a"),
            span("photos", 0, 60, "b", "a"),
            span("rates", 0, 55, "c", "a"),
        ],
        "photos",
    ),
    (
        "children are listed before their parents",
        [
            span("SELECT", 40, 50, "c", "b"),
            span("view", 5, 95, "b", "a"),
            span("GET", 0, 100, "a"),
        ],
        "view",
    ),
    (
        "a parent that is not in the list, because another service did not send it",
        [span("GET", 0, 50, "b", "elsewhere"), span("SELECT", 10, 45, "c", "b")],
        "SELECT",
    ),
    (
        "a parent that is not in the list, and the span itself took most of the time",
        [span("GET", 0, 50, "b", "elsewhere"), span("SELECT", 10, 20, "c", "b")],
        "GET",
    ),
    (
        "a short call that begins and ends within the time of a long one",
        [
            span("GET", 0, 100, "a"),
            span("rates", 10, 80, "b", "a"),
            span("photos", 20, 30, "c", "a"),
        ],
        "rates",
    ),
    (
        "a task that seems to begin before its parent",
        [
            span("GET", 40, 100, "a"),
            span("run", 0, 60, "b", "a"),
            span("mail", 0, 35, "c", "b"),
        ],
        "GET",
    ),
    (
        "a task whose parent is the short step that sent it",
        [
            span("POST", 0, 100, "a"),
            span("apply_async", 10, 15, "b", "a"),
            span("run", 20, 90, "c", "b"),
        ],
        "POST",
    ),
    (
        "times that are fractions of a second",
        [span("GET", 0.0, 0.9, "a"), span("SELECT", 0.1, 0.8, "b", "a")],
        "SELECT",
    ),
    ("no span", [], None),
)

GIVEN_3 = """
def slow_hop(spans):
    return max(spans, key=lambda span: span["end"] - span["start"])["name"]
"""


@judge(
    "observability.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a list of spans, which are dictionaries; it returns a name",
    stub=GIVEN_3,
)
def slow_hop(answer: Callable[[Spans], object]) -> str:
    """It sums the own times by name: without those of children, overlaps counted once."""
    for what, spans, expected in (*TRACES, TRACES[0]):
        # The order of arrival says nothing, so each trace is given in two orders.
        for given in (copy.deepcopy(spans), copy.deepcopy(spans)[::-1]):
            was = copy.deepcopy(given)
            got = within(lambda given=given: answer(given))  # type: ignore[misc]
            if not _same(given, was):
                raise NotYet(f"{what}: it changed the list or the spans that it got")
            if type(got) is not type(expected) or got != expected:
                raise NotYet(f"{what}: it returned {_shown(got)}, and not {expected!r}")
    return "it finds the name with the most own time, whatever overlaps and whoever comes first"
