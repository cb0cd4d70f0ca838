"""The judges of "Challenges with data": the stub, right answers of several kinds, wrong ones."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.postgres.aggregates import ArrayAgg
from django.core.serializers.json import DjangoJSONEncoder
from django.db import IntegrityError, transaction
from django.db.migrations import (
    AddConstraint,
    AddField,
    AlterField,
    RunPython,
    RunSQL,
    SeparateDatabaseAndState,
)
from django.db.models import (
    CharField,
    Count,
    Deferrable,
    F,
    OuterRef,
    Prefetch,
    Q,
    SlugField,
    Subquery,
    Sum,
    UniqueConstraint,
    UUIDField,
)
from django.db.models.functions import Coalesce

import nexus
from nexus.exercises import challenges_data as judges
from nexus.judging import judge_answer
from tests.exercises import tables

ONE, TWO, THREE, FOUR, FIVE = (f"challenges-data.{number}" for number in range(1, 6))

Model = Any
"""A row."""
Manager = Any
"""A manager, as the judge gives it."""
Page = list[dict[str, Any]]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def given(source: str) -> Any:  # noqa: ANN401
    """The functions that a chapter's cell defines: one, or some in a tuple."""
    there = {"AddField": AddField, "SlugField": SlugField, "Count": Count, "Sum": Sum, "json": json}
    names: dict[str, Any] = dict(there)
    exec(source, names)
    made = [names[name] for name in names if name not in {*there, "__builtins__"}]
    return made[0] if len(made) == 1 else Both(made)


class Both(tuple[Any, ...]):
    """Two functions as an answer, called by their names: a test's name is the same in each run."""

    @property
    def __name__(self) -> str:
        return "-".join(getattr(part, "__name__", "something") for part in self)


# 1. The page.


def shown(polls: Any, votes: Callable[[Model], dict[str, int]]) -> Page:  # noqa: ANN401
    return [{"question": p.question, "author": p.author.name, "votes": votes(p)} for p in polls]


def counted(choices: Manager) -> Prefetch:
    return Prefetch("choices", choices.annotate(number=Count("votes")).order_by("id"))


def page_prefetch(polls: Manager, choices: Manager) -> Page:
    found = polls.select_related("author").prefetch_related(counted(choices)).order_by("id")
    return shown(found, lambda p: {c.text: c.number for c in p.choices.all()})


def page_by_hand(polls: Manager, choices: Manager) -> Iterator[dict[str, Any]]:
    entries = {
        key: {"question": question, "author": author, "votes": {}}
        for key, question, author in polls.order_by("id").values_list(
            "id", "question", "author__name"
        )
    }
    rows = choices.annotate(number=Count("votes")).order_by("id")
    for poll, text, number in rows.values_list("poll", "text", "number"):
        entries[poll]["votes"][text] = number
    yield from entries.values()


def page_one_join(polls: Manager, _choices: Manager) -> Page:
    rows = polls.annotate(number=Count("choices__votes")).order_by("id", "choices__id")
    rows = rows.values_list("id", "question", "author__name", "choices__text", "number")
    entries: dict[int, dict[str, Any]] = {}
    for key, question, author, text, number in rows:
        entry = entries.setdefault(key, {"question": question, "author": author, "votes": {}})
        if text is not None:
            entry["votes"][text] = number
    return list(entries.values())


def page_half(polls: Manager, _choices: Manager) -> Page:
    found = polls.select_related("author").order_by("id")
    return shown(found, lambda p: {c.text: c.votes.count() for c in p.choices.order_by("id")})


def page_prefetch_unused(polls: Manager, _choices: Manager) -> Page:
    found = polls.select_related("author").prefetch_related("choices__votes").order_by("id")
    return shown(found, lambda p: {c.text: c.votes.count() for c in p.choices.order_by("id")})


def page_all_votes(polls: Manager, choices: Manager) -> Page:
    ordered = Prefetch("choices", choices.order_by("id").prefetch_related("votes"))
    found = polls.select_related("author").prefetch_related(ordered).order_by("id")
    return shown(found, lambda p: {c.text: len(c.votes.all()) for c in p.choices.all()})


def page_author_forgotten(polls: Manager, choices: Manager) -> Page:
    found = polls.prefetch_related(counted(choices)).order_by("id")
    return shown(found, lambda p: {c.text: c.number for c in p.choices.all()})


def page_without_zero(polls: Manager, choices: Manager) -> Page:
    some = Prefetch("choices", choices.filter(votes__gt=0).annotate(number=Count("votes")))
    found = polls.select_related("author").prefetch_related(some).order_by("id")
    return shown(found, lambda p: {c.text: c.number for c in p.choices.all()})


def page_by_question(polls: Manager, choices: Manager) -> Page:
    entries: dict[str, dict[str, Any]] = {}
    for poll in polls.select_related("author").order_by("id"):
        entry = {"question": poll.question, "author": poll.author.name, "votes": {}}
        entries[poll.question] = entry
    for choice in choices.select_related("poll").annotate(number=Count("votes")).order_by("id"):
        entries[choice.poll.question]["votes"][choice.text] = choice.number
    return list(entries.values())


def page_packed_votes(polls: Manager, choices: Manager) -> Page:
    ids = ArrayAgg("votes__id", filter=Q(votes__isnull=False), default=[])
    packed = Prefetch("choices", choices.annotate(ids=ids).order_by("id"))
    found = polls.select_related("author").prefetch_related(packed).order_by("id")
    return shown(found, lambda poll: {c.text: len(c.ids) for c in poll.choices.all()})


def page_votes_of_the_poll(polls: Manager, choices: Manager) -> Page:
    doubled = Prefetch("choices", choices.annotate(number=Count("poll__votes")).order_by("id"))
    found = polls.select_related("author").prefetch_related(doubled).order_by("id")
    return shown(found, lambda p: {c.text: c.number for c in p.choices.all()})


def page_stored_count(polls: Manager, _choices: Manager) -> Page:
    found = polls.select_related("author").prefetch_related("choices").order_by("id")
    in_order = Prefetch("choices", _choices.order_by("id"))
    found = polls.select_related("author").prefetch_related(in_order).order_by("id")
    return shown(found, lambda p: {c.text: c.count for c in p.choices.all()})


def page_cached() -> Callable[[Manager, Manager], Page]:
    kept: Page = []

    def page_cached(polls: Manager, choices: Manager) -> Page:
        if not kept:
            kept.extend(page_prefetch(polls, choices))
        return kept

    return page_cached


def page_unordered(polls: Manager, choices: Manager) -> Page:
    found = polls.select_related("author").prefetch_related(counted(choices))
    return shown(found, lambda p: {c.text: c.number for c in p.choices.all()})


def page_five(polls: Manager, choices: Manager) -> Page:
    return page_prefetch(polls, choices)[:5]


# 2. The migration.

Lists = tuple[list[Any], list[Any]]

NULLABLE = AddField("poll", "slug", SlugField(null=True))
FINAL = AlterField("poll", "slug", SlugField(unique=True))


def fill(apps: Any, _editor: object) -> None:  # noqa: ANN401
    for poll in apps.get_model("polls", "Poll").objects.filter(slug=None):
        poll.slug = f"poll-{poll.pk}"
        poll.save(update_fields=["slug"])


def fill_empty(apps: Any, _editor: object) -> None:  # noqa: ANN401
    for poll in apps.get_model("polls", "Poll").objects.filter(slug=""):
        poll.slug = f"poll-{poll.pk}"
        poll.save()


def fill_all(apps: Any, _editor: object) -> None:  # noqa: ANN401
    for poll in apps.get_model("polls", "Poll").objects.all():
        poll.slug = f"poll-{poll.pk}"
        poll.save()


def fill_by_question(apps: Any, _editor: object) -> None:  # noqa: ANN401
    for poll in apps.get_model("polls", "Poll").objects.filter(slug=None):
        poll.slug = poll.question.lower().strip("?").replace(" ", "-")
        poll.save()


def drop(apps: Any, _editor: object) -> None:  # noqa: ANN401
    apps.get_model("polls", "Poll").objects.filter(slug=None).delete()


def loop(_apps: object, _editor: object) -> None:
    while True:
        pass


SQL = "UPDATE polls_poll SET slug = 'poll-' || id WHERE slug IS NULL"


def expand_contract() -> Lists:
    return [NULLABLE], [RunPython(fill), FINAL]


def unique_at_once() -> Lists:
    first = AddField("poll", "slug", SlugField(unique=True, null=True))
    return [first, RunSQL(SQL)], [RunSQL(SQL), FINAL]


def database_default() -> Lists:
    first = AddField("poll", "slug", SlugField(db_default="", default=""))
    return [first], [RunPython(fill_empty), FINAL]


def in_its_own_words() -> Lists:
    first = RunSQL("ALTER TABLE polls_poll ADD slug varchar(50)", state_operations=[NULLABLE])
    last = "ALTER TABLE polls_poll ALTER slug SET NOT NULL, ADD UNIQUE (slug)"
    changed = SeparateDatabaseAndState([RunSQL(last)], [FINAL])
    return [first], [RunSQL(SQL), changed]


def constraint() -> object:
    """Two lists in a list, and a rule of the table in the place of the column's."""
    once = AddConstraint("poll", UniqueConstraint(fields=["slug"], name="one_slug"))
    return [[NULLABLE], [RunPython(fill), AlterField("poll", "slug", SlugField()), once]]


def numbered() -> Lists:
    """Right as long as no id is missing."""

    def number(apps: Any, _editor: object) -> None:  # noqa: ANN401
        for place, poll in enumerate(apps.get_model("polls", "Poll").objects.order_by("id"), 1):
            if not poll.slug:
                poll.slug = f"poll-{place}"
                poll.save()

    return [NULLABLE], [RunPython(number), FINAL]


def imported_model() -> Lists:
    """The model of the code, which has no slug yet, and not the one of the migration."""

    def fill_imported(_apps: object, _editor: object) -> None:
        list(judges._polls().Poll.objects.filter(slug=None))

    return [NULLABLE], [RunPython(fill_imported), FINAL]


def all_before() -> Lists:
    return [NULLABLE, RunPython(fill), FINAL], []


def one_uuid() -> Lists:
    return [AddField("poll", "slug", UUIDField(unique=True, default=uuid.uuid4))], []


def not_null_at_once() -> Lists:
    return [AddField("poll", "slug", SlugField())], [RunPython(fill_empty), FINAL]


def filled_too_early() -> Lists:
    return [NULLABLE, RunPython(fill)], [FINAL]


def python_default() -> Lists:
    return [AddField("poll", "slug", SlugField(default=""))], [RunPython(fill_empty), FINAL]


def empty_and_unique() -> Lists:
    unique = AlterField("poll", "slug", SlugField(unique=True, db_default=""))
    return [NULLABLE, RunPython(fill), unique], []


def not_unique() -> Lists:
    return [NULLABLE], [RunPython(fill), AlterField("poll", "slug", SlugField())]


def still_nullable() -> Lists:
    last = AlterField("poll", "slug", SlugField(unique=True, null=True))
    return [NULLABLE], [RunPython(fill), last]


def rows_deleted() -> Lists:
    return [NULLABLE], [RunPython(drop), FINAL]


def new_overwritten() -> Lists:
    return [NULLABLE], [RunPython(fill_all), FINAL]


def from_the_question() -> Lists:
    return [NULLABLE], [RunPython(fill_by_question), FINAL]


def too_late() -> Lists:
    return [], [NULLABLE, RunPython(fill), FINAL]


def state_forgotten() -> Lists:
    last = "ALTER TABLE polls_poll ALTER slug SET NOT NULL, ADD UNIQUE (slug)"
    return [RunSQL("ALTER TABLE polls_poll ADD slug varchar(50)")], [RunSQL(SQL), RunSQL(last)]


def one_list() -> object:
    return [NULLABLE, FINAL]


def texts() -> object:
    return ["ALTER TABLE polls_poll ADD slug text"], []


def endless() -> Lists:
    return [NULLABLE, RunPython(loop)], []


def asleep() -> Lists:
    return [NULLABLE, RunSQL("SELECT pg_sleep(60)")], []


# 3. The live count.


def live(polls: Manager, choices: Manager, comments: Manager) -> object:
    votes = choices.filter(poll=OuterRef("pk")).order_by().values("poll")
    talk = comments.filter(poll=OuterRef("pk")).order_by().values("poll")
    return polls.annotate(
        total=Coalesce(Subquery(votes.annotate(n=Sum("count")).values("n")), 0),
        talk=Coalesce(Subquery(talk.annotate(n=Count("id")).values("n")), 0),
    )


def live_distinct_comments(polls: Manager, choices: Manager, _comments: Manager) -> object:
    votes = choices.filter(poll=OuterRef("pk")).values("poll").annotate(n=Sum("count")).values("n")
    return polls.annotate(total=Coalesce(votes, 0), talk=Count("comments", distinct=True))


def live_in_python(polls: Manager, choices: Manager, _comments: Manager) -> list[Model]:
    found = list(polls.annotate(talk=Count("comments")))
    sums = choices.order_by().values("poll").annotate(n=Sum("count")).values_list("poll", "n")
    by_poll = dict(sums)
    for poll in found:
        poll.total = by_poll.get(poll.pk, 0)
    return found


def live_both_distinct(polls: Manager, _choices: Manager, _comments: Manager) -> object:
    votes = Coalesce(Sum("choices__count", distinct=True), 0)
    return polls.annotate(total=votes, talk=Count("comments", distinct=True))


def live_half(polls: Manager, _choices: Manager, _comments: Manager) -> object:
    votes = Coalesce(Sum("choices__count"), 0)
    return polls.annotate(total=votes, talk=Count("comments", distinct=True))


def live_none(polls: Manager, choices: Manager, _comments: Manager) -> object:
    votes = choices.filter(poll=OuterRef("pk")).values("poll").annotate(n=Sum("count")).values("n")
    return polls.annotate(total=votes, talk=Count("comments", distinct=True))


def live_some(polls: Manager, choices: Manager, comments: Manager) -> object:
    found: Any = live(polls, choices, comments)
    return found.filter(choices__isnull=False).distinct()


def live_repeated(polls: Manager, choices: Manager, comments: Manager) -> object:
    found: Any = live(polls, choices, comments)
    return found.filter(choices__count__gte=0)


def vote_f(choices: Manager, pk: int) -> int:
    choices.filter(pk=pk).update(count=F("count") + 1)
    return int(choices.values_list("count", flat=True).get(pk=pk))


def vote_locked(choices: Manager, pk: int) -> int:
    with transaction.atomic():
        choice = choices.select_for_update().get(pk=pk)
        choice.count += 1
        choice.save()
    return int(choice.count)


def vote_refreshed(choices: Manager, pk: int) -> int:
    choice = choices.get(pk=pk)
    choice.count = F("count") + 1
    choice.save(update_fields=["count"])
    choice.refresh_from_db()
    return int(choice.count)


def vote_again(choices: Manager, pk: int) -> int:
    while True:
        before = choices.get(pk=pk).count
        if choices.filter(pk=pk, count=before).update(count=before + 1):
            return int(before + 1)


def vote_atomic(choices: Manager, pk: int) -> int:
    with transaction.atomic():
        choice = choices.get(pk=pk)
        choice.count += 1
        choice.save()
    return int(choice.count)


def vote_one_column(choices: Manager, pk: int) -> int:
    choice = choices.get(pk=pk)
    choice.count += 1
    choice.save(update_fields=["count"])
    return int(choice.count)


LOCK = threading.Lock()


def vote_thread_lock(choices: Manager, pk: int) -> int:
    with LOCK:
        return vote_one_column(choices, pk)


def vote_expression(choices: Manager, pk: int) -> object:
    choice = choices.get(pk=pk)
    choice.count = F("count") + 1
    choice.save(update_fields=["count"])
    return choice.count


def vote_all_columns(choices: Manager, pk: int) -> int:
    choice = choices.get(pk=pk)
    choice.count = F("count") + 1
    choice.save()
    choice.refresh_from_db()
    return int(choice.count)


def vote_saved_twice(choices: Manager, pk: int) -> int:
    choice = choices.get(pk=pk)
    choice.count = F("count") + 1
    choice.save(update_fields=["count"])
    choice.save(update_fields=["count"])
    choice.refresh_from_db()
    return int(choice.count)


def vote_guess(choices: Manager, pk: int) -> int:
    before = choices.get(pk=pk).count
    choices.filter(pk=pk).update(count=F("count") + 1)
    return int(before + 1)


def vote_silent(choices: Manager, pk: int) -> None:
    choices.filter(pk=pk).update(count=F("count") + 1)


def vote_everybody(choices: Manager, pk: int) -> int:
    choices.update(count=F("count") + 1)
    return int(choices.get(pk=pk).count)


def vote_lock_outside(choices: Manager, pk: int) -> int:
    choice = choices.select_for_update().get(pk=pk)
    choice.count += 1
    choice.save()
    return int(choice.count)


# 4. The double vote.

ONCE = UniqueConstraint(fields=["poll", "voter"], name="one_vote")


def rules() -> list[UniqueConstraint]:
    return [ONCE]


def no_rules() -> list[UniqueConstraint]:
    return []


def rule_of_choice() -> list[UniqueConstraint]:
    return [UniqueConstraint(fields=["choice", "voter"], name="one_vote")]


def rule_of_voter() -> list[UniqueConstraint]:
    return [UniqueConstraint(fields=["voter"], name="one_vote")]


def rule_for_some() -> list[UniqueConstraint]:
    condition = Q(voter__gt="F")
    return [UniqueConstraint(fields=["poll", "voter"], condition=condition, name="one_vote")]


def rule_deferred() -> list[UniqueConstraint]:
    late = Deferrable.DEFERRED
    return [UniqueConstraint(fields=["poll", "voter"], deferrable=late, name="one_vote")]


def rule_by_expression() -> tuple[UniqueConstraint, ...]:
    return (UniqueConstraint("poll", "voter", name="one_vote"),)


def names_of_fields() -> object:
    return [("poll", "voter")]


def cast_get_or_create(votes: Manager, choice: Model, voter: str) -> bool:
    _, made = votes.get_or_create(
        poll_id=choice.poll_id, voter=voter, defaults={"choice_id": choice.pk}
    )
    return bool(made)


def cast_caught(votes: Manager, choice: Model, voter: str) -> bool:
    try:
        with transaction.atomic():
            votes.create(poll_id=choice.poll_id, choice=choice, voter=voter)
    except IntegrityError:
        return False
    return True


def cast_conflict(votes: Manager, choice: Model, voter: str) -> bool:
    vote = votes.model(poll_id=choice.poll_id, choice=choice, voter=voter)
    if votes.filter(poll=choice.poll_id, voter=voter).exists():
        return False
    votes.bulk_create([vote], ignore_conflicts=True)
    return bool(votes.filter(poll=choice.poll_id, voter=voter, choice=choice).exists())


def cast_no_savepoint(votes: Manager, choice: Model, voter: str) -> bool:
    try:
        votes.create(poll_id=choice.poll_id, choice=choice, voter=voter)
    except IntegrityError:
        return False
    return True


def cast_checked(votes: Manager, choice: Model, voter: str) -> bool:
    if votes.filter(poll=choice.poll_id, voter=voter).exists():
        return False
    votes.create(poll_id=choice.poll_id, choice=choice, voter=voter)
    return True


def cast_atomic(votes: Manager, choice: Model, voter: str) -> bool:
    with transaction.atomic():
        return cast_checked(votes, choice, voter)


def cast_locked(votes: Manager, choice: Model, voter: str) -> bool:
    with transaction.atomic():
        list(votes.filter(poll=choice.poll_id).select_for_update())
        return cast_checked(votes, choice, voter)


def cast_thread_lock(votes: Manager, choice: Model, voter: str) -> bool:
    with LOCK:
        return cast_checked(votes, choice, voter)


def cast_choice_looked_up(votes: Manager, choice: Model, voter: str) -> bool:
    _, made = votes.get_or_create(poll_id=choice.poll_id, choice_id=choice.pk, voter=voter)
    return bool(made)


def cast_always(votes: Manager, choice: Model, voter: str) -> bool:
    vote = votes.model(poll_id=choice.poll_id, choice=choice, voter=voter)
    votes.bulk_create([vote], ignore_conflicts=True)
    return True


def cast_updated(votes: Manager, choice: Model, voter: str) -> bool:
    _, made = votes.update_or_create(
        poll_id=choice.poll_id, voter=voter, defaults={"choice_id": choice.pk}
    )
    return bool(made)


def cast_swallowed(votes: Manager, choice: Model, voter: str) -> bool:
    try:
        with transaction.atomic():
            return cast_checked(votes, choice, voter)
    except Exception:
        return True


def cast_pair(votes: Manager, choice: Model, voter: str) -> object:
    return votes.get_or_create(
        poll_id=choice.poll_id, voter=voter, defaults={"choice_id": choice.pk}
    )


# 5. The bill.

Items = list[dict[str, Any]]


def total_of(items: Items) -> Decimal:
    return sum((item["price"] for item in items), Decimal(0))


def pack(items: Items) -> str:
    return json.dumps({"items": items, "total": total_of(items)}, default=str)


def pack_django(items: Items) -> str:
    return json.dumps({"items": items, "total": total_of(items)}, cls=DjangoJSONEncoder)


def unpack(text: str) -> object:
    found = json.loads(text)
    items = [{**item, "price": Decimal(item["price"])} for item in found["items"]]
    return {"items": items, "total": Decimal(found["total"])}


def unpack_hook(text: str) -> object:
    def amounts(entry: dict[str, Any]) -> dict[str, Any]:
        money = {"price", "total"}
        return {key: Decimal(v) if key in money else v for key, v in entry.items()}

    return json.loads(text, object_hook=amounts)


def pack_cents(items: Items) -> str:
    lines = [{"name": i["name"], "price": str(int(i["price"] * 100))} for i in items]
    return json.dumps({"items": lines, "total": str(int(total_of(items) * 100))})


def unpack_cents(text: str) -> object:
    found = json.loads(text)
    items = [{**item, "price": Decimal(item["price"]).scaleb(-2)} for item in found["items"]]
    return {"items": items, "total": Decimal(found["total"]).scaleb(-2)}


def pack_cents_as_numbers(items: Items) -> str:
    lines = [{"name": i["name"], "price": int(i["price"] * 100)} for i in items]
    return json.dumps({"items": lines, "total": int(total_of(items) * 100)})


def pack_float(items: Items) -> str:
    return json.dumps({"items": items, "total": total_of(items)}, default=float)


def pack_float_as_text(items: Items) -> str:
    lines = [{**item, "price": str(float(item["price"]))} for item in items]
    return json.dumps({"items": lines, "total": str(total_of(items))})


def pack_sum_of_floats(items: Items) -> str:
    total = str(sum(float(item["price"]) for item in items))
    return json.dumps({"items": items, "total": total}, default=str)


def pack_rounded(items: Items) -> str:
    total = f"{sum(float(item['price']) for item in items):.2f}"
    return json.dumps({"items": items, "total": total}, default=str)


def pack_as_dictionary(items: Items) -> object:
    return {"items": items, "total": total_of(items)}


def pack_repr(items: Items) -> str:
    return repr({"items": items, "total": total_of(items)})


def pack_raw(items: Items) -> str:
    lines = [f'{{"name": {json.dumps(i["name"])}, "price": {i["price"]}}}' for i in items]
    return f'{{"items": [{", ".join(lines)}], "total": {total_of(items)}}}'


def pack_without_total(items: Items) -> str:
    return json.dumps({"items": items}, default=str)


def pack_as_text(items: Items) -> str:
    return json.dumps(repr({"items": items, "total": total_of(items)}))


def unpack_and_add(text: str) -> object:
    found: Any = unpack_hook(text)
    return {**found, "total": total_of(found["items"])}


def unpack_as_it_is(text: str) -> object:
    return json.loads(text)


def unpack_parse_float(text: str) -> object:
    return json.loads(text, parse_float=Decimal)


def unpack_by_float(text: str) -> object:
    found = json.loads(text)
    items = [{**item, "price": Decimal(float(item["price"]))} for item in found["items"]]
    return {"items": items, "total": Decimal(found["total"])}


def unpack_all_numbers(text: str) -> object:
    def amount(value: object) -> object:
        try:
            return Decimal(value) if isinstance(value, str) else value
        except ArithmeticError:
            return value

    return json.loads(text, object_hook=lambda e: {key: amount(v) for key, v in e.items()})


def unpack_without_total(text: str) -> object:
    found: Any = unpack(text)
    return found["items"]


def unpack_total_as_text(text: str) -> object:
    found: Any = unpack(text)
    return {**found, "total": str(found["total"])}


RIGHT = [
    (ONE, page_prefetch),
    (ONE, page_by_hand),
    (ONE, page_one_join),
    (TWO, expand_contract),
    (TWO, unique_at_once),
    (TWO, database_default),
    (TWO, in_its_own_words),
    (TWO, constraint),
    (THREE, Both((vote_f, live))),
    (THREE, Both((vote_locked, live_distinct_comments))),
    (THREE, Both((vote_refreshed, live_in_python))),
    (THREE, Both((vote_again, live))),
    (FOUR, Both((rules, cast_get_or_create))),
    (FOUR, Both((rules, cast_caught))),
    (FOUR, Both((rule_by_expression, cast_conflict))),
    (FIVE, Both((pack, unpack))),
    (FIVE, Both((pack_django, unpack_hook))),
    (FIVE, Both((pack_cents, unpack_cents))),
]

NOT_YET = [
    (ONE, None, "give a function of two managers"),
    (ONE, "select_related", "this is of type str"),
    (ONE, given(judges.GIVEN_1), "the number grows with the page"),
    (ONE, page_half, "the number grows with the page"),
    (ONE, page_prefetch_unused, "the number grows with the page"),
    (ONE, page_author_forgotten, "the number grows with the page"),
    (ONE, page_all_votes, "Let PostgreSQL count them"),
    (ONE, page_packed_votes, "you fetch each vote, only packed"),
    (ONE, page_without_zero, '"votes" of poll 1 is'),
    (ONE, page_by_question, "it shows 4 polls; expected are 5"),
    (ONE, page_votes_of_the_poll, '"votes" of poll 1 is'),
    (ONE, page_stored_count, "when polls and votes were added"),
    (ONE, page_cached(), "when polls and votes were added"),
    (ONE, page_unordered, "the polls are in another order"),
    (ONE, page_five, "it shows 5 polls; expected are 14"),
    (ONE, lambda polls, _: polls.order_by("id"), "a list of dictionaries"),
    (TWO, None, "returns two lists of operations"),
    (TWO, given(judges.GIVEN_2), "DETAIL: Key (slug)=() is duplicated."),
    (
        TWO,
        all_before,
        "the old code, which still runs and knows no slug, cannot",
    ),
    (TWO, one_uuid, "could not create unique index"),
    (TWO, not_null_at_once, "contains null values"),
    (TWO, filled_too_early, 'when the new code runs, the list after is refused: column "slug"'),
    (TWO, python_default, "knows no slug, cannot write a poll: null value in column"),
    (TWO, empty_and_unique, "knows no slug, cannot write a poll: duplicate key"),
    (TWO, not_unique, "with a slug that is there can still be stored"),
    (TWO, still_nullable, "without a slug can still be stored"),
    (TWO, rows_deleted, "polls are gone"),
    (TWO, new_overwritten, "a poll that the new code wrote is"),
    (TWO, from_the_question, "is duplicated"),
    (TWO, numbered, "an old poll is"),
    (TWO, imported_model, 'apps.get_model("polls", "Poll")'),
    (TWO, too_late, "the new code cannot write a poll"),
    (TWO, state_forgotten, "Django does not know that"),
    (TWO, one_list, "two lists"),
    (TWO, texts, "is no operation"),
    (TWO, endless, "had not come to an end"),
    (TWO, asleep, "had not come to an end"),
    (THREE, None, "give two functions"),
    (THREE, given(judges.GIVEN_3), "it had 6, and two voted at the same moment: its count is 7"),
    (THREE, Both((vote_f,)), "the two functions themselves"),
    (THREE, Both((vote_atomic, live)), "two voted at the same moment: its count is 7"),
    (THREE, Both((vote_one_column, live)), "two voted at the same moment: its count is 7"),
    (THREE, Both((vote_thread_lock, live)), "two voted at the same moment: its count is 7"),
    (THREE, Both((vote_expression, live)), "vote returned F(count)"),
    (THREE, Both((vote_all_columns, live)), "save() writes every column"),
    (THREE, Both((vote_saved_twice, live)), "its count is 7, and should be 6"),
    (THREE, Both((vote_guess, live)), "vote returned 7, and the row has 8"),
    (THREE, Both((vote_silent, live)), "vote returned None"),
    (THREE, Both((vote_everybody, live)), "the count of another choice"),
    (THREE, Both((vote_lock_outside, live)), "TransactionManagementError"),
    (THREE, Both((vote_f, given(judges.GIVEN_3)[1])), "total of poll 1 is 42 in live"),
    (THREE, Both((vote_f, live_both_distinct)), "total of poll 3 is"),
    (THREE, Both((vote_f, live_half)), "total of poll 1 is"),
    (THREE, Both((vote_f, live_none)), "total of poll 4 is None"),
    (THREE, Both((vote_f, live_some)), "each should be there once"),
    (THREE, Both((vote_f, live_repeated)), "each should be there once"),
    (FOUR, None, "give two functions"),
    (FOUR, given(judges.GIVEN_4), "Lina has votes for [1, 2]"),
    (FOUR, Both(([], cast_caught)), "without calling them"),
    (FOUR, Both((rules, cast_checked)), "the second got an error: IntegrityError"),
    (FOUR, Both((rules, cast_atomic)), "the second got an error: IntegrityError"),
    (FOUR, Both((no_rules, cast_get_or_create)), "Lina has votes for [1, 2]"),
    (FOUR, Both((no_rules, cast_locked)), "Lina has votes for [1, 2]"),
    (FOUR, Both((no_rules, cast_thread_lock)), "Lina has votes for [1, 2]"),
    (FOUR, Both((rule_of_choice, cast_caught)), "a vote for another choice of that poll"),
    (FOUR, Both((rule_of_voter, cast_caught)), "her first vote in another poll"),
    (FOUR, Both((rule_for_some, cast_get_or_create)), "has just stored a second vote"),
    (FOUR, Both((rule_deferred, cast_checked)), "IntegrityError"),
    (FOUR, Both((rules, cast_choice_looked_up)), "IntegrityError"),
    (FOUR, Both((rules, cast_always)), "cast returned True, and should return False"),
    (FOUR, Both((rules, cast_updated)), "Esi has votes for [2]"),
    (FOUR, Both((rules, cast_swallowed)), "cast returned True, and should return False"),
    (FOUR, Both((rules, cast_no_savepoint)), "inside of a transaction, two votes"),
    (FOUR, Both((rules, cast_pair)), "cast returned (<Vote"),
    (FOUR, Both((names_of_fields, cast_caught)), "a list of constraints"),
    (FIVE, None, "give two functions"),
    (FIVE, given(judges.GIVEN_5), "the text has the number 0.1"),
    (FIVE, Both((pack_float, unpack_parse_float)), "the text has the number 0.1"),
    (FIVE, Both((pack_raw, unpack_parse_float)), "the text has the number 0.10"),
    (
        FIVE,
        Both((pack_cents_as_numbers, unpack_cents)),
        "number 99999999999999998; as a float",
    ),
    (FIVE, Both((pack_float_as_text, unpack)), "came back as 0.1; it was 0.10"),
    (FIVE, Both((pack_sum_of_floats, unpack)), "the total of tea, tea, tea came back as 0.30000"),
    (FIVE, Both((pack_rounded, unpack)), "the total of castle, key"),
    (FIVE, Both((pack_as_dictionary, unpack)), "as a text"),
    (FIVE, Both((pack_repr, unpack)), "no JSON"),
    (FIVE, Both((pack_without_total, unpack_as_it_is)), "because other clients read them"),
    (FIVE, Both((pack_without_total, unpack_and_add)), "because other clients read them"),
    (FIVE, Both((pack_as_text, unpack_hook)), "because other clients read them"),
    (FIVE, Both((pack, unpack_as_it_is)), "came back as '0.10', of type str"),
    (FIVE, Both((pack, unpack_by_float)), "came back as 0.1000000000000000055"),
    (FIVE, Both((pack, unpack_all_numbers)), "the name '12.50' came back as"),
    (FIVE, Both((pack, unpack_without_total)), "unpack should return"),
    (FIVE, Both((pack, unpack_total_as_text)), "the total of tea, tea, tea came back as '0.30'"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize(
    ("exercise", "source"),
    [(f"challenges-data.{n}", getattr(judges, f"GIVEN_{n}")) for n in range(1, 6)],
)
def test_an_untouched_stub_is_no_try(exercise: str, source: str) -> None:
    assert not judge_answer(exercise, given(source)).tried


def test_the_largest_field_is_not_needed() -> None:
    """A slug is a text of any length: the judge looks at rows, not at the type."""

    def longer() -> Lists:
        first = AddField("poll", "slug", CharField(max_length=200, null=True))
        last = AlterField("poll", "slug", CharField(max_length=200, unique=True))
        return [first], [RunPython(fill), last]

    assert judge_answer(TWO, longer).right
