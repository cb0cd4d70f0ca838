"""The judges of "Observability": right answers of several kinds, and the wrong ones people give."""

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from typing import Any

from nexus.exercises.observability import GIVEN_1, GIVEN_2, GIVEN_3
from nexus.judging import judge_answer
from nexus.judging.stubs import is_same
from tests.exercises import tables

Answers = list[dict[str, int]]
Event = dict[str, Any]
Spans = list[dict[str, Any]]


def given(source: str, name: str) -> Callable[..., Any]:
    """The function of a stub."""
    space: dict[str, Any] = {}
    exec(source, space)
    function: Callable[..., Any] = space[name]
    return function


# -- 1. One p99


def of_buckets(
    total: dict[float, float], q: float = 0.99, *, even: bool = True, last: float | None = None
) -> float | None:
    """A quantile of cumulative buckets, as it should be, or a little wrong."""
    count = total.get(math.inf, 0)
    if not count:
        return None
    low, below = 0.0, 0.0
    for high, reached in sorted(total.items()):
        if reached >= q * count:
            if high == math.inf:
                return low if last is None else last
            return low + (high - low) * (q * count - below) / (reached - below) if even else high
        low, below = high, reached
    return None


def added(answers: Answers) -> dict[float, float]:
    total: Counter[float] = Counter()
    for answer in answers:
        total.update({float(bound): count for bound, count in answer.items()})
    return dict(total)


def adds_and_reads(answers: Answers) -> float | None:
    return of_buckets(added(answers))


def by_single_buckets(answers: Answers) -> float | None:
    """The same from counts that are not cumulative, walked from below."""
    bounds = sorted(added(answers).items())
    each = [count - before for (_, count), before in zip(bounds, [0, *(c for _, c in bounds)])]  # noqa: B905
    wanted = 0.99 * sum(each)
    if wanted == 0:
        return None
    low = 0.0
    for (high, _), inside in zip(bounds, each, strict=True):
        if wanted <= inside:
            return low if high == math.inf else low + (high - low) * wanted / inside
        wanted -= inside
        low = high
    return low


def in_fractions(answers: Answers) -> Fraction | None:
    """Exact, so what it returns is no float."""
    total: Counter[str] = Counter()
    for answer in answers:
        total.update(answer)
    rank = Fraction(99, 100) * total.pop("+Inf", 0)
    if not rank:
        return None
    low, below = Fraction(0), 0
    for high, count in sorted((Fraction(bound), count) for bound, count in total.items()):
        if count >= rank:
            return low + (high - low) * (rank - below) / (count - below)
        low, below = high, count
    return low


def by_bisection(answers: Answers) -> float | None:
    bounds = [0.0, *sorted({float(bound) for answer in answers for bound in answer})]
    counts = [
        sum(count for answer in answers for name, count in answer.items() if float(name) == bound)
        for bound in bounds
    ]
    if not counts[-1]:
        return None
    rank = 0.99 * counts[-1]
    place = bisect_left(counts, rank, lo=1)
    low, high = bounds[place - 1 : place + 1]
    below, reached = counts[place - 1 : place + 1]
    return low if high == math.inf else low + (high - low) * (rank - below) / (reached - below)


def past_the_rank(answers: Answers) -> float | None:
    """Takes the first bucket with more than 99 % of the requests."""
    bounds = [(0.0, 0.0), *sorted(added(answers).items())]
    for (low, below), (high, count) in pairwise(bounds):
        if count > 0.99 * bounds[-1][1]:
            rank = 0.99 * bounds[-1][1]
            return (
                low if high == math.inf else low + (high - low) * (rank - below) / (count - below)
            )
    return None


def without_empty_buckets(answers: Answers) -> float | None:
    """Interpolates from the last bucket that is not empty."""
    total = added(answers)
    reached, filled = 0.0, dict[float, float]()
    for bound, count in sorted(total.items()):
        if count > reached or bound == math.inf:
            filled[bound] = count
        reached = count
    last = max((bound for bound in total if bound < math.inf), default=None)
    return of_buckets(filled, last=last)


def first_and_last_process(answers: Answers) -> float | None:
    return of_buckets(added([answers[0], answers[-1]])) if answers else None


def mean_of_each(answers: Answers) -> float | None:
    each = [of_buckets(added([answer])) or 0 for answer in answers]
    return sum(each) / len(each) if any(each) else None


def weighted_mean(answers: Answers) -> float | None:
    counts = [answer["+Inf"] for answer in answers]
    if not sum(counts):
        return None
    each = [of_buckets(added([answer])) or 0 for answer in answers]
    return sum(one * count for one, count in zip(each, counts, strict=True)) / sum(counts)


def worst_of_each(answers: Answers) -> float | None:
    return max((of_buckets(added([answer])) or 0 for answer in answers), default=None) or None


def upper_bound(answers: Answers) -> float | None:
    return of_buckets(added(answers), even=False)


def first_process(answers: Answers) -> float | None:
    return of_buckets(added(answers[:1]))


def as_texts(answers: Answers) -> float | None:
    total: Counter[str] = Counter()
    for answer in answers:
        total.update(answer)
    if not total["+Inf"]:
        return None
    low, below = 0.0, 0
    for bound, count in sorted(total.items(), key=lambda item: (item[0] == "+Inf", item[0])):
        if count >= 0.99 * total["+Inf"]:
            high = float(bound)
            return (
                low
                if high == math.inf
                else low + (high - low) * (0.99 * total["+Inf"] - below) / (count - below)
            )
        low, below = float(bound), count
    return None


def as_they_come(answers: Answers) -> float | None:
    """Adds the counts of the same place, and not of the same bound."""
    if not answers:
        return None
    places = [sum(counts) for counts in zip(*(answer.values() for answer in answers), strict=True)]
    return of_buckets(dict(zip(map(float, answers[0]), places, strict=True)))


def infinite(answers: Answers) -> float | None:
    return of_buckets(added(answers), last=math.inf)


def zero_for_nobody(answers: Answers) -> float:
    return of_buckets(added(answers)) or 0.0


def p95(answers: Answers) -> float | None:
    return of_buckets(added(answers), 0.95)


def not_cumulative(answers: Answers) -> float | None:
    """Takes the counts for those of single buckets."""
    reached, total = 0.0, dict[float, float]()
    for bound, count in sorted(added(answers).items()):
        reached += count
        total[bound] = reached
    return of_buckets(total)


def divides(answers: Answers) -> float:
    total = added(answers)
    return (of_buckets(total) or 1) * total[math.inf] / total[math.inf]


def swallows(answers: Answers) -> float | None:
    try:
        return of_buckets(dict.fromkeys(map(float, answers[0]), answers[0]["inf"]))
    except Exception:
        return None


def changes(answers: Answers) -> float | None:
    total = answers[0] if answers else {}
    for answer in answers[1:]:
        for bound, count in answer.items():
            total[bound] += count
    return of_buckets(added([total]))


SEEN: Counter[float] = Counter()


def remembers(answers: Answers) -> float | None:
    if answers == [{"0.1": 90, "0.25": 98, "0.5": 100, "+Inf": 100}]:
        SEEN.update(added(answers))
        SEEN[0.25] += 3 * (SEEN[math.inf] > 100)
        return of_buckets(dict(SEEN))
    return adds_and_reads(answers)


# -- 2. A redactor

NAME = re.compile("password|token|secret|authorization|cookie", re.IGNORECASE)
CARD = re.compile(r"\b\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}\b")


def redacts(
    value: Any,  # noqa: ANN401
    name: re.Pattern[str] = NAME,
    card: Callable[[str], str] = lambda text: CARD.sub("…", text),
    *,
    lists: bool = True,
    dictionaries: bool = True,
) -> Any:  # noqa: ANN401
    """A redactor, as it should be, or a little wrong."""
    if isinstance(value, dict):
        done = {}
        for key, each in value.items():
            deeper = dictionaries or not isinstance(each, dict)
            done[key] = (
                "…"
                if name.search(key)
                else redacts(each, name, card, lists=lists, dictionaries=dictionaries)
                if deeper
                else each
            )
        return done
    if isinstance(value, list):
        return (
            [redacts(each, name, card, dictionaries=dictionaries) for each in value]
            if lists
            else value
        )
    return card(value) if isinstance(value, str) else value


def recursive(event: Event) -> Any:  # noqa: ANN401
    return redacts(event)


def by_hand(event: Event) -> Event:
    """Without regular expressions for names, and with a stack in place of recursion."""
    words = ("password", "token", "secret", "authorization", "cookie")
    top: Event = {}
    todo: list[tuple[Any, Any]] = [(event, top)]

    def clean(name: str, value: Any) -> Any:  # noqa: ANN401
        if any(word in name.lower() for word in words):
            return "…"
        if isinstance(value, dict | list):
            copy: Any = type(value)()
            todo.append((value, copy))
            return copy
        if isinstance(value, str):
            digits = r"(?<![A-Za-z0-9])(?:\d{16}|\d{4}(?:[- ]\d{4}){3})(?![A-Za-z0-9])"
            return re.sub(digits, "…", value)
        return value

    while todo:
        source, target = todo.pop()
        if isinstance(source, dict):
            target.update({name: clean(name, value) for name, value in source.items()})
        else:
            target.extend(clean("", value) for value in source)
    return top


def exact_names(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, re.compile("^(password|token|secret|authorization|cookie)$", re.I))


def more_words(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, re.compile(f"card|{NAME.pattern}", re.IGNORECASE))


def beginnings(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, re.compile("pass|token|secret|auth|cookie", re.IGNORECASE))


def small_letters(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, re.compile(NAME.pattern))


def top_only(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, dictionaries=False)


def no_lists(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, lists=False)


def names_only(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=str)


def only_spaces(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=lambda text: re.sub(r"\b\d{4} \d{4} \d{4} \d{4}\b", "…", text))


def first_card(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=lambda text: CARD.sub("…", text, count=1))


def whole_text(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=lambda text: "…" if CARD.search(text) else text)


def no_borders(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=lambda text: re.sub(r"\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}", "…", text))


def letters_before(event: Event) -> Any:  # noqa: ANN401
    number = r"(?<!\d)\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}(?![A-Za-z\d])"
    return redacts(event, card=lambda text: re.sub(number, "…", text))


def with_separators_or_not(event: Event) -> Any:  # noqa: ANN401
    number = r"\b(?:\d{4}[ -]?){3}\d{4}\b"
    return redacts(event, card=lambda text: re.sub(number, "…", text))


def groups_without_borders(event: Event) -> Any:  # noqa: ANN401
    number = r"\b\d{16}\b|\d{4}[ -]\d{4}[ -]\d{4}[ -]\d{4}"
    return redacts(event, card=lambda text: re.sub(number, "…", text))


def only_secrets_that(hides: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A redactor that leaves some values of a secret name."""

    def redact(value: Any) -> Any:  # noqa: ANN401
        if isinstance(value, dict):
            return {
                name: "…" if NAME.search(name) and hides(each) else redact(each)
                for name, each in value.items()
            }
        if isinstance(value, list):
            return [redact(each) for each in value]
        return CARD.sub("…", value) if isinstance(value, str) else value

    return redact


full_secrets = only_secrets_that(bool)
secret_texts = only_secrets_that(lambda value: isinstance(value, str | list | dict))


def swallows_inner_lists(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, dict):
        return {
            name: "…" if NAME.search(name) else swallows_inner_lists(each)
            for name, each in value.items()
        }
    if isinstance(value, list):
        try:
            return [
                swallows_inner_lists(each) if isinstance(each, dict) else CARD.sub("…", each)
                for each in value
            ]
        except TypeError:
            return value
    return CARD.sub("…", value) if isinstance(value, str) else value


def all_digits(event: Event) -> Any:  # noqa: ANN401
    return redacts(event, card=lambda text: re.sub(r"\d[\d -]{6,}\d", "…", text))


def in_its_text(event: Event) -> Any:  # noqa: ANN401
    """Makes one text of the event and replaces there."""
    return {name: redacts(str(value)) if value else value for name, value in redacts(event).items()}


def removes(event: Event) -> Any:  # noqa: ANN401
    return {name: redacts(value) for name, value in event.items() if not NAME.search(name)}


def in_place(event: Event) -> Event:
    for name, value in event.items():
        event[name] = "…" if NAME.search(name) else redacts(value)
    return event


def swallowing(event: Event) -> Any:  # noqa: ANN401
    try:
        return {name: re.sub(CARD, "…", value) for name, value in event.items()}
    except Exception:
        return event


def returns_nothing(event: Event) -> None:
    redacts(event)


# -- 3. The slow hop


def own_times(
    spans: Spans,
    part: Callable[[dict[str, Any], Spans], float],
) -> str | None:
    own: Counter[str] = Counter()
    for span in spans:
        own[span["name"]] += part(span, [c for c in spans if c["parent"] == span["id"]])  # type: ignore[assignment]
    return max(own, key=lambda name: own[name], default=None)


def length(span: dict[str, Any]) -> float:
    return float(span["end"] - span["start"])


def merged(span: dict[str, Any], children: Spans) -> float:
    time, reached = 0, span["start"]
    for start, end in [
        *sorted((c["start"], c["end"]) for c in children),
        (span["end"], span["end"]),
    ]:
        time += max(0, min(start, span["end"]) - reached)
        reached = max(reached, end)
    return float(time)


def by_merging(spans: Spans) -> str | None:
    return own_times(spans, merged)


def by_moments(spans: Spans) -> str | None:
    """Cuts time at all moments, and asks for each piece who was at work."""
    moments = sorted({moment for span in spans for moment in (span["start"], span["end"])})
    own: Counter[str] = Counter(span["name"] for span in spans)
    for name in own:
        own[name] = 0
    for begin, end in pairwise(moments):
        at_work = [s for s in spans if s["start"] <= begin and end <= s["end"]]
        busy = {span["parent"] for span in at_work}
        for span in at_work:
            own[span["name"]] += (end - begin) * (span["id"] not in busy)
    return max(own, key=lambda name: own[name], default=None)


def without_descendants(spans: Spans) -> str | None:
    """Takes the children of children, too."""

    def below(id: str) -> Spans:
        children = [span for span in spans if span["parent"] == id]
        return [*children, *(deeper for child in children for deeper in below(child["id"]))]

    return own_times_of_all(spans, lambda span: below(span["id"]))


def longest_leaf(spans: Spans) -> str | None:
    parents = {span["parent"] for span in spans}
    leaves = [span for span in spans if span["id"] not in parents]
    return max(leaves, key=length)["name"] if leaves else None


def total_by_name(spans: Spans) -> str | None:
    return own_times(spans, lambda span, _: length(span))


def single_span(spans: Spans) -> str | None:
    def own(span: dict[str, Any]) -> float:
        return merged(span, [c for c in spans if c["parent"] == span["id"]])

    return max(spans, key=own)["name"] if spans else None


def subtracts_sums(spans: Spans) -> str | None:
    return own_times(
        spans,
        lambda span, children: (
            length(span)
            - sum(
                max(0, min(c["end"], span["end"]) - max(c["start"], span["start"]))
                for c in children
            )
        ),
    )


def subtracts_whole_children(spans: Spans) -> str | None:
    return own_times(spans, lambda span, children: length(span) - merged_length(children))


def merged_length(children: Spans) -> int:
    return sum(
        any(c["start"] <= moment < c["end"] for c in children)
        for moment in range(max((c["end"] for c in children), default=0))
    )


def by_time_alone(spans: Spans) -> str | None:
    """Takes every shorter span within its time for a child."""
    return own_times_of_all(
        spans,
        lambda span: [
            c
            for c in spans
            if c is not span and span["start"] <= c["start"] and c["end"] <= span["end"]
        ],
    )


def own_times_of_all(spans: Spans, children: Callable[[dict[str, Any]], Spans]) -> str | None:
    own: Counter[str] = Counter()
    for span in spans:
        own[span["name"]] += merged(span, children(span))  # type: ignore[assignment]
    return max(own, key=lambda name: own[name], default=None)


def ends_of_the_last_child(spans: Spans) -> str | None:
    """Merges sorted children, and forgets that an earlier one may end later."""

    def part(span: dict[str, Any], children: Spans) -> float:
        time, reached = 0.0, span["start"]
        for child in sorted(children, key=lambda child: child["start"]):
            time += max(0, min(child["start"], span["end"]) - reached)
            reached = child["end"]
        return time + max(0, span["end"] - reached)

    return own_times(spans, part)


def begins_are_not_cut(spans: Spans) -> str | None:
    def part(span: dict[str, Any], children: Spans) -> float:
        time, reached = length(span), -math.inf
        for child in sorted(children, key=lambda child: child["start"]):
            begin, end = max(child["start"], reached), min(child["end"], span["end"])
            time -= max(0, end - begin)
            reached = max(reached, end)
        return time

    return own_times(spans, part)


def whole_units(spans: Spans) -> str | None:
    def units(span: dict[str, Any]) -> set[int]:
        return set(range(int(span["start"]), int(span["end"])))

    return own_times(spans, lambda span, all_: len(units(span).difference(*map(units, all_))))


def swallows_orphans(spans: Spans) -> str | None:
    by_id = {span["id"]: span for span in spans}
    own: Counter[str] = Counter()
    for span in spans:
        try:
            if span["parent"] is not None:
                by_id[span["parent"]]
            children = [c for c in spans if c["parent"] == span["id"]]
            own[span["name"]] += merged(span, children)  # type: ignore[assignment]
        except KeyError:
            continue
    return max(own, key=lambda name: own[name], default=None)


def in_the_order_given(spans: Spans) -> str | None:
    """Merges without sorting."""

    def part(span: dict[str, Any], children: Spans) -> int:
        time, reached = 0, span["start"]
        for start, end in [*((c["start"], c["end"]) for c in children), (span["end"], span["end"])]:
            time += max(0, min(start, span["end"]) - reached)
            reached = end
        return time

    return own_times(spans, part)


def needs_a_root(spans: Spans) -> str | None:
    by_id = {span["id"]: span for span in spans}
    own: Counter[str] = Counter()
    for span in spans:
        own[span["name"]] += merged(span, [c for c in spans if c["parent"] == span["id"]])  # type: ignore[assignment]
        if span["parent"] is not None:
            by_id[span["parent"]]["name"]
    return max(own, key=lambda name: own[name], default=None)


def fails_for_none(spans: Spans) -> str:
    own: Counter[str] = Counter()
    for span in spans:
        own[span["name"]] += merged(span, [c for c in spans if c["parent"] == span["id"]])  # type: ignore[assignment]
    return max(own, key=lambda name: own[name])


def returns_a_span(spans: Spans) -> dict[str, Any] | None:
    return max(spans, key=length, default=None)


def sorts_the_list(spans: Spans) -> str | None:
    spans.sort(key=lambda span: span["start"])
    return by_merging(spans)


def always_sql(spans: Spans) -> str | None:
    return "SELECT" if any(span["name"] == "SELECT" for span in spans) else by_merging(spans)


RIGHT = [
    ("observability.1", adds_and_reads),
    ("observability.1", by_single_buckets),
    ("observability.1", in_fractions),
    ("observability.1", by_bisection),
    ("observability.2", recursive),
    ("observability.2", by_hand),
    ("observability.3", by_merging),
    ("observability.3", by_moments),
]

NOT_YET = [
    ("observability.1", None, "give a function of a list of dictionaries"),
    ("observability.1", 0.375, "the answer should be a function"),
    ("observability.1", given(GIVEN_1, "p99"), "the p99 is 0.375, and it returned 0.5"),
    ("observability.1", upper_bound, "the p99 is 0.375, and it returned 0.5"),
    ("observability.1", mean_of_each, "one with ten requests that are all slow"),
    ("observability.1", weighted_mean, "one with ten requests that are all slow"),
    ("observability.1", worst_of_each, "one with ten requests that are all slow"),
    ("observability.1", first_process, "one with ten requests that are all slow"),
    ("observability.1", as_texts, "the bounds 2.5 and 10"),
    ("observability.1", as_they_come, "come in another order"),
    ("observability.1", infinite, "the p99 is 1, and it returned inf"),
    ("observability.1", zero_for_nobody, "so it should return None; it returned 0.0"),
    ("observability.1", p95, "the p99 is 0.375"),
    ("observability.1", not_cumulative, "the p99 is 0.375"),
    ("observability.1", divides, "the answer raised ZeroDivisionError"),
    ("observability.1", swallows, "it should return a number, and not None"),
    ("observability.1", changes, "it changed the dictionaries that it got"),
    ("observability.1", past_the_rank, "and the next bucket is empty"),
    ("observability.1", without_empty_buckets, "an empty bucket before"),
    ("observability.1", first_and_last_process, "three processes"),
    ("observability.1", remembers, "asked a second time"),
    ("observability.2", None, "give a function of an event"),
    ("observability.2", "event", "the answer should be a function"),
    ("observability.2", given(GIVEN_2, "redact"), "names that contain such a word"),
    ("observability.2", exact_names, "names that contain such a word"),
    ("observability.2", more_words, "names that contain other words"),
    ("observability.2", beginnings, "names that contain other words"),
    ("observability.2", small_letters, "names that contain such a word, in capitals too"),
    ("observability.2", top_only, "a header in a dictionary in a dictionary"),
    ("observability.2", no_lists, "dictionaries in a list"),
    ("observability.2", names_only, "a card number in a text"),
    ("observability.2", only_spaces, "a card number with dashes"),
    ("observability.2", first_card, "two card numbers in one text"),
    ("observability.2", whole_text, "a card number in a text"),
    ("observability.2", no_borders, "numbers that are no card numbers"),
    ("observability.2", letters_before, "letters before sixteen digits"),
    ("observability.2", with_separators_or_not, "two groups of eight digits"),
    ("observability.2", groups_without_borders, "letters before sixteen digits"),
    ("observability.2", full_secrets, "secrets that are a number, None"),
    ("observability.2", secret_texts, "secrets that are a number, None"),
    ("observability.2", swallows_inner_lists, "lists in a list"),
    ("observability.2", all_digits, "numbers that are no card numbers"),
    ("observability.2", in_its_text, "a password among other values"),
    ("observability.2", removes, "a password among other values"),
    ("observability.2", in_place, "it changed the event that it got"),
    ("observability.2", swallowing, "a password among other values"),
    ("observability.2", returns_nothing, "it should return a dictionary, and not None"),
    ("observability.3", None, "give a function of a list of spans"),
    ("observability.3", "SELECT", "the answer should be a function"),
    ("observability.3", given(GIVEN_3, "slow_hop"), "one slow query: it returned 'GET'"),
    ("observability.3", longest_leaf, "the view itself is slow"),
    ("observability.3", total_by_name, "one slow query"),
    ("observability.3", single_span, "eighty short queries"),
    ("observability.3", subtracts_sums, "must not be subtracted twice"),
    ("observability.3", subtracts_whole_children, "a task that ends after the request"),
    ("observability.3", without_descendants, "the short step that sent it"),
    ("observability.3", by_time_alone, "neither of which is a part of the other"),
    ("observability.3", in_the_order_given, "eighty short queries"),
    ("observability.3", ends_of_the_last_child, "within the time of a long one"),
    ("observability.3", begins_are_not_cut, "seems to begin before its parent"),
    ("observability.3", whole_units, "times that are fractions of a second"),
    ("observability.3", swallows_orphans, "the span itself took most of the time"),
    ("observability.3", needs_a_root, "the answer raised KeyError"),
    ("observability.3", fails_for_none, "the answer raised ValueError"),
    ("observability.3", returns_a_span, "one slow query: it returned {"),
    ("observability.3", sorts_the_list, "it changed the list or the spans"),
    ("observability.3", always_sql, "the view itself is slow"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_an_untouched_stub_is_no_try() -> None:
    for number, (source, name) in enumerate(
        [(GIVEN_1, "p99"), (GIVEN_2, "redact"), (GIVEN_3, "slow_hop")], 1
    ):
        stub = given(source, name)
        assert is_same(stub, source)
        assert not judge_answer(f"observability.{number}", stub).tried
