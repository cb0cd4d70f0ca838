"""The judges of "The ORM and N+1": the stub, right answers of several kinds, wrong ones."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import (
    Aggregate,
    Case,
    Count,
    Exists,
    F,
    OuterRef,
    Prefetch,
    Q,
    QuerySet,
    Subquery,
    Sum,
    Value,
    When,
    Window,
)
from django.db.models.functions import Coalesce, Floor, Now, RowNumber

import nexus
from nexus.exercises import orm_and_n_plus_one as judges
from tests.exercises import tables

ONE, TWO, THREE, FOUR = (f"orm-and-n-plus-one.{number}" for number in range(1, 5))

Model = Any
"""A row."""
Manager = Any
"""A manager, as the judge gives it."""


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def given(source: str) -> Callable[..., Any]:
    """The function that a chapter's cell defines."""
    names: dict[str, Any] = {"Count": Count, "Q": Q, "Sum": Sum}
    exec(source, names)
    return [value for value in names.values() if callable(value)][-1]


def shown(place: Model, number: int, best: list[Model]) -> dict[str, Any]:
    return {
        "title": place.title,
        "city": place.city.name,
        "host": place.host.name,
        "reviews": number,
        "best": [review.text for review in best],
    }


def places_of(places: Manager, limit: int) -> QuerySet[Any]:
    return places.select_related("city", "host").order_by("slug")[:limit]


def two_best(reviews: Manager) -> Prefetch:
    rows = reviews.order_by("-rating", "-id")[:2]
    return Prefetch("reviews", queryset=rows, to_attr="best")


def window_prefetch(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    places = places.select_related("city", "host").annotate(number=Count("reviews"))
    places = places.prefetch_related(two_best(reviews)).order_by("slug")[:limit]
    return [shown(place, place.number, place.best) for place in places]


def window_three(places: Manager, reviews: Manager, limit: int) -> Iterator[dict[str, Any]]:
    places = list(places_of(places, limit))
    ids = [place.id for place in places]
    counted = reviews.filter(property__in=ids).values("property")
    numbers = dict(counted.annotate(n=Count("id")).values_list("property", "n"))
    place_in = Window(
        RowNumber(), partition_by="property", order_by=[F("rating").desc(), F("id").desc()]
    )
    rows = reviews.filter(property__in=ids).annotate(row=place_in).filter(row__lte=2)
    best: dict[int, list[Model]] = {}
    for row in rows.order_by("row"):
        best.setdefault(row.property_id, []).append(row)
    for place in places:
        yield shown(place, numbers.get(place.id, 0), best.get(place.id, []))


def window_all_reviews(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    places = places_of(places, limit).prefetch_related("reviews")
    result = []
    for place in places:
        reviews = sorted(place.reviews.all(), key=lambda r: (-r.rating, -r.id))
        result.append(shown(place, len(reviews), reviews[:2]))
    return result


def window_half_cured(places: Manager, _reviews: Manager, limit: int) -> list[dict[str, Any]]:
    return [
        shown(place, place.reviews.count(), place.reviews.order_by("-rating", "-id")[:2])
        for place in places_of(places, limit).prefetch_related("reviews")
    ]


def window_two_in_all(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    places = list(places_of(places, limit).annotate(number=Count("reviews")))
    best = list(reviews.order_by("-rating", "-id")[: 2 * limit])
    return [
        shown(place, place.number, [r for r in best if r.property_id == place.id][:2])
        for place in places
    ]


def window_only_reviewed(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    places = places.select_related("city", "host").annotate(number=Count("reviews"))
    places = (
        places.filter(number__gt=0).prefetch_related(two_best(reviews)).order_by("slug")[:limit]
    )
    return [shown(place, place.number, place.best) for place in places]


def window_counts_the_shown(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    places = places_of(places, limit).prefetch_related(two_best(reviews))
    return [shown(place, len(place.best), place.best) for place in places]


def window_oldest_first(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    rows = reviews.order_by("-rating", "id")[:2]
    best = Prefetch("reviews", queryset=rows, to_attr="best")
    places = places.select_related("city", "host").annotate(number=Count("reviews"))
    places = places.prefetch_related(best).order_by("slug")[:limit]
    return [shown(place, place.number, place.best) for place in places]


def window_without_select_related(
    places: Manager, reviews: Manager, limit: int
) -> list[dict[str, Any]]:
    places = places.annotate(number=Count("reviews")).prefetch_related(two_best(reviews))
    return [shown(place, place.number, place.best) for place in places.order_by("slug")[:limit]]


KEPT: dict[int, list[dict[str, Any]]] = {}


def window_kept(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    if limit not in KEPT:
        KEPT[limit] = window_prefetch(places, reviews, limit)
    return KEPT[limit]


def window_ignores_the_limit(
    places: Manager, reviews: Manager, _limit: int
) -> list[dict[str, Any]]:
    return window_prefetch(places, reviews, 3)


def window_keyed_by_title(places: Manager, reviews: Manager, limit: int) -> list[dict[str, Any]]:
    rows = {row["title"]: row for row in window_prefetch(places, reviews, limit)}
    return list(rows.values())


def window_swallows(places: Manager, _reviews: Manager, limit: int) -> list[dict[str, Any]]:
    try:
        return [shown(place, place.number, []) for place in places_of(places, limit)]
    except Exception:
        return []


def window_models(places: Manager, _reviews: Manager, limit: int) -> object:
    return places_of(places, limit)


def window_with_no_end(places: Manager, _reviews: Manager, _limit: int) -> object:
    while True:
        places.count()


def per_place(rows: QuerySet[Any], figure: Aggregate) -> Coalesce:
    grouped = rows.filter(property=OuterRef("pk")).order_by().values("property")
    return Coalesce(Subquery(grouped.annotate(f=figure).values("f")), 0)


def figures_subqueries(places: Manager, reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    confirmed = bookings.filter(status="confirmed")
    return places.annotate(
        reviewed=per_place(reviews.all(), Count("id")),
        booked=per_place(confirmed, Count("id")),
        earned=per_place(confirmed, Sum("total_minor")),
    )


def figures_one_join(places: Manager, reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    confirmed = Q(bookings__status="confirmed")
    reviews = reviews.filter(property=OuterRef("pk")).order_by().values("property")
    return places.annotate(
        booked=Count("bookings", filter=confirmed),
        earned=Coalesce(Sum("bookings__total_minor", filter=confirmed), 0),
        reviewed=Coalesce(Subquery(reviews.annotate(n=Count("id")).values("n")), 0),
    )


def figures_distinct(places: Manager, _reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    confirmed = Q(bookings__status="confirmed")
    return places.annotate(
        reviewed=Count("reviews", distinct=True),
        booked=Count("bookings", filter=confirmed, distinct=True),
        earned=Coalesce(Sum("bookings__total_minor", filter=confirmed, distinct=True), 0),
    )


def figures_all_bookings(places: Manager, reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    return places.annotate(
        reviewed=per_place(reviews.all(), Count("id")),
        booked=per_place(bookings.all(), Count("id")),
        earned=per_place(bookings.all(), Sum("total_minor")),
    )


def figures_without_zero(places: Manager, reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    confirmed = Q(bookings__status="confirmed")
    return places.annotate(
        reviewed=per_place(reviews.all(), Count("id")),
        booked=Count("bookings", filter=confirmed),
        earned=Sum("bookings__total_minor", filter=confirmed),
    )


def figures_filtered(places: Manager, reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    return places.filter(bookings__status="confirmed").annotate(
        booked=Count("bookings"),
        earned=Sum("bookings__total_minor"),
        reviewed=per_place(reviews.all(), Count("id")),
    )


def figures_exists(places: Manager, reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    confirmed = bookings.filter(property=OuterRef("pk"), status="confirmed")
    return figures_subqueries(places, reviews, bookings).filter(Exists(confirmed))


def figures_divided(places: Manager, _reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    confirmed = Q(bookings__status="confirmed")
    return places.annotate(
        reviewed=Count("reviews", distinct=True),
        booked=Count("bookings", filter=confirmed, distinct=True),
        earned=Coalesce(Sum("bookings__total_minor", filter=confirmed) / Count("reviews"), 0),
    )


def figures_in_a_loop(places: Manager, _reviews: Manager, _bookings: Manager) -> list[Model]:
    places = list(places.all())
    for place in places:
        confirmed = place.bookings.filter(status="confirmed")
        place.reviewed = place.reviews.count()
        place.booked = confirmed.count()
        place.earned = sum(b.total_minor for b in confirmed)
    return places


def figures_in_a_constant(places: Manager, reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    found = list(figures_subqueries(places, reviews, bookings).values_list("pk", "earned"))
    whens = [When(pk=pk, then=Value(earned)) for pk, earned in found]
    places = figures_subqueries(places, reviews, bookings)
    return places.annotate(total=Case(*whens)).annotate(earned=F("total"))


def figures_without_a_name(places: Manager, reviews: Manager, _bookings: Manager) -> QuerySet[Any]:
    return places.annotate(reviewed=per_place(reviews.all(), Count("id")))


def figures_values(_places: Manager, _reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    return bookings.values("property").annotate(earned=Sum("total_minor"))


def figures_crossed(places: Manager, _reviews: Manager, bookings: Manager) -> QuerySet[Any]:
    return places.annotate(
        reviewed=Count("reviews"),
        booked=Count("bookings", filter=Q(bookings__status="confirmed"), distinct=True),
        earned=Coalesce(Subquery(
            bookings.filter(property=OuterRef("pk"), status="confirmed").order_by()
            .values("property").annotate(s=Sum("total_minor")).values("s")), 0),
    )  # fmt: skip


ZERO = {
    "bookings_made": 0,
    "bookings_confirmed": 0,
    "bookings_cancelled": 0,
    "nights_confirmed": 0,
    "revenue_minor": 0,
}
FIRST = ZERO | {"bookings_made": 1}
PLUS_ONE = {"bookings_made": F("bookings_made") + 1}


def count_get_or_create(figures: Manager, day: date) -> None:
    row, _ = figures.get_or_create(day=day, currency="EUR", defaults=ZERO)
    figures.filter(pk=row.pk).update(**PLUS_ONE)


def count_locked(figures: Manager, day: date) -> None:
    with transaction.atomic():
        figures.get_or_create(day=day, currency="EUR", defaults=ZERO)
        row = figures.select_for_update().get(day=day, currency="EUR")
        row.bookings_made += 1
        row.save(update_fields=["bookings_made"])


def count_update_or_create(figures: Manager, day: date) -> None:
    figures.update_or_create(day=day, currency="EUR", defaults=PLUS_ONE, create_defaults=FIRST)


def count_upsert(figures: Manager, day: date) -> None:
    names = ", ".join(FIRST)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {figures.model._meta.db_table} AS f (day, currency, reckoned_at, {names})"
            " VALUES (%s, 'EUR', now(), 1, 0, 0, 0, 0) ON CONFLICT (day, currency)"
            " DO UPDATE SET bookings_made = f.bookings_made + 1",
            [day],
        )


def count_savepoint(figures: Manager, day: date) -> None:
    rows = figures.filter(day=day, currency="EUR")
    if rows.update(**PLUS_ONE):
        return
    try:
        with transaction.atomic():
            figures.create(day=day, currency="EUR", **FIRST)
    except IntegrityError:
        rows.update(**PLUS_ONE)


def count_read_then_save(figures: Manager, day: date) -> None:
    row, _ = figures.get_or_create(day=day, currency="EUR", defaults=ZERO)
    row.bookings_made += 1
    row.save()


def count_update_or_create_first(figures: Manager, day: date) -> None:
    rows = figures.filter(day=day, currency="EUR")
    if not rows.update(**PLUS_ONE):
        figures.create(day=day, currency="EUR", **FIRST)


def count_no_savepoint(figures: Manager, day: date) -> None:
    rows = figures.filter(day=day, currency="EUR")
    if rows.update(**PLUS_ONE):
        return
    try:
        figures.create(day=day, currency="EUR", **FIRST)
    except IntegrityError:
        rows.update(**PLUS_ONE)


LOCK = threading.Lock()


def count_with_a_lock(figures: Manager, day: date) -> None:
    with LOCK:
        count_read_then_save(figures, day)


def count_swallows(figures: Manager, day: date) -> None:
    try:
        with transaction.atomic():
            count_update_or_create_first(figures, day)
    except Exception:
        return


def count_bulk(figures: Manager, day: date) -> None:
    figures.bulk_create(
        [figures.model(day=day, currency="EUR", **FIRST)],
        update_conflicts=True,
        unique_fields=["day", "currency"],
        update_fields=["bookings_made"],
    )


def count_ignores_conflicts(figures: Manager, day: date) -> None:
    made = figures.filter(day=day, currency="EUR").exists()
    if not made:
        figures.bulk_create(
            [figures.model(day=day, currency="EUR", **FIRST)], ignore_conflicts=True
        )
    else:
        figures.filter(day=day, currency="EUR").update(**PLUS_ONE)


def count_update_or_create_alike(figures: Manager, day: date) -> None:
    figures.update_or_create(day=day, currency="EUR", defaults=FIRST)


def count_any_currency(figures: Manager, day: date) -> None:
    if not figures.filter(day=day).update(**PLUS_ONE):
        figures.get_or_create(day=day, currency="EUR", defaults=FIRST)


def count_every_day(figures: Manager, day: date) -> None:
    figures.get_or_create(day=day, currency="EUR", defaults=ZERO)
    figures.filter(currency="EUR").update(**PLUS_ONE)


def count_twice_for_the_first(figures: Manager, day: date) -> None:
    figures.get_or_create(day=day, currency="EUR", defaults=FIRST)
    figures.filter(day=day, currency="EUR").update(**PLUS_ONE)


def count_overwrites(figures: Manager, day: date) -> None:
    with transaction.atomic():
        figures.get_or_create(day=day, currency="EUR", defaults=ZERO)
        row = figures.select_for_update().get(day=day, currency="EUR")
        for name, value in ZERO.items():
            setattr(row, name, row.bookings_made + 1 if name == "bookings_made" else value)
        row.save()


def count_leaves_it_open(figures: Manager, day: date) -> None:
    count_get_or_create(figures, day)
    transaction.set_autocommit(False)
    figures.count()


PERCENT = Case(When(kind="entire", then=Value(110)), default=Value(105))
PRICE = F("nightly_minor")


def accra(places: Manager, city: str) -> QuerySet[Any]:
    return places.filter(city__name=city, is_listed=True)


def prices_case(places: Manager, city: str) -> int:
    return accra(places, city).update(
        nightly_minor=PRICE * PERCENT / 100, version=F("version") + 1, updated_at=Now()
    )


def prices_floor(places: Manager, city: str) -> int:
    factor = Case(When(~Q(kind="entire"), then=Value(105)), default=Value(110))
    return accra(places, city).update(
        nightly_minor=Floor(PRICE * factor / 100.0),
        version=F("version") + 1,
        updated_at=datetime.now(UTC),
    )


def prices_sql(_places: Manager, city: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE market_property SET version = version + 1, updated_at = now(), nightly_minor ="
            " nightly_minor * CASE kind WHEN 'entire' THEN 110 ELSE 105 END / 100"
            " WHERE is_listed AND city_id IN (SELECT id FROM market_city WHERE name = %s)",
            [city],
        )
        return cursor.rowcount


def prices_no_time(places: Manager, city: str) -> int:
    return accra(places, city).update(nightly_minor=PRICE * PERCENT / 100, version=F("version") + 1)


def prices_no_version(places: Manager, city: str) -> int:
    return accra(places, city).update(nightly_minor=PRICE * PERCENT / 100, updated_at=Now())


def prices_everywhere(places: Manager, _city: str) -> int:
    return places.filter(is_listed=True).update(
        nightly_minor=PRICE * PERCENT / 100, version=F("version") + 1, updated_at=Now()
    )


def prices_unlisted(places: Manager, city: str) -> int:
    return places.filter(city__name=city).update(
        nightly_minor=PRICE * PERCENT / 100, version=F("version") + 1, updated_at=Now()
    )


def prices_all_alike(places: Manager, city: str) -> int:
    return accra(places, city).update(
        nightly_minor=PRICE * 110 / 100, version=F("version") + 1, updated_at=Now()
    )


def prices_two_updates(places: Manager, city: str) -> int:
    rest = {"version": F("version") + 1, "updated_at": Now()}
    entire = (
        accra(places, city).filter(kind="entire").update(nightly_minor=PRICE * 110 / 100, **rest)
    )
    others = accra(places, city).exclude(kind="entire")
    return entire + others.update(nightly_minor=PRICE * 105 / 100, **rest)


def prices_bulk_update(places: Manager, city: str) -> int:
    chosen = list(accra(places, city))
    for place in chosen:
        place.nightly_minor = place.nightly_minor * (110 if place.kind == "entire" else 105) // 100
        place.version += 1
        place.updated_at = datetime.now(UTC)
    places.bulk_update(chosen, ["nightly_minor", "version", "updated_at"])
    return len(chosen)


def prices_rounded(places: Manager, city: str) -> int:
    factor = Case(When(kind="entire", then=Value(1.1)), default=Value(1.05))
    return accra(places, city).update(
        nightly_minor=PRICE * factor, version=F("version") + 1, updated_at=Now()
    )


def prices_returns_nothing(places: Manager, city: str) -> None:
    prices_case(places, city)


def prices_counts_first(places: Manager, city: str) -> int:
    number = accra(places, city).count()
    prices_case(places, city)
    return number


def prices_for_this_city(places: Manager, _city: str) -> int:
    return prices_case(places, "Accra")


def prices_known(places: Manager, city: str) -> int:
    known = {"attic": 9900, "barn": 5281, "elm-house": 3160, "jetty": 6110}
    whens = [When(slug=slug, then=Value(price)) for slug, price in known.items()]
    return accra(places, city).update(
        nightly_minor=Case(*whens), version=F("version") + 1, updated_at=Now()
    )


RIGHT = [
    (ONE, window_prefetch),
    (ONE, window_three),
    (TWO, figures_subqueries),
    (TWO, figures_one_join),
    (THREE, count_get_or_create),
    (THREE, count_locked),
    (THREE, count_update_or_create),
    (THREE, count_upsert),
    (THREE, count_savepoint),
    (FOUR, prices_case),
    (FOUR, prices_floor),
    (FOUR, prices_sql),
]

NOT_YET = [
    (ONE, None, "give a function of two managers"),
    (ONE, given(judges.GIVEN_1), "33 queries for 8 places, and 13 for 3"),
    (ONE, window_all_reviews, "One place has 200 reviews"),
    (ONE, window_half_cured, "the number grows with the page"),
    (ONE, window_without_select_related, "18 queries for 8 places"),
    (ONE, window_two_in_all, '"best" of'),
    (ONE, window_only_reviewed, "expected are ['Attic', 'Barn', 'Cabin']"),
    (ONE, window_counts_the_shown, '"reviews" of Attic is 2; expected is 4'),
    (ONE, window_oldest_first, '"best" of Attic'),
    (ONE, window_kept, "when a place was changed and a review was added"),
    (ONE, window_ignores_the_limit, "with the limit 8 it shows"),
    (ONE, window_keyed_by_title, "with the limit 8 it shows"),
    (ONE, window_swallows, "with the limit 3 it shows []"),
    (ONE, window_models, "a list of dictionaries"),
    (ONE, window_with_no_end, "300 statements"),
    (TWO, given(judges.GIVEN_2), "reviewed of attic is 16, and should be 4"),
    (TWO, figures_crossed, "reviewed of attic is 16"),
    (TWO, figures_distinct, "earned of attic is 13000, and should be 22000"),
    (TWO, figures_all_bookings, "booked of attic is 4, and should be 3"),
    (TWO, figures_without_zero, "earned of barn is None; expected is 0"),
    (TWO, figures_filtered, "is missing; each place should be there"),
    (TWO, figures_exists, "barn, elm-house, hut, inn, jetty is missing"),
    (TWO, figures_divided, "division by zero"),
    (TWO, figures_in_a_loop, "it should return a queryset of places"),
    (TWO, figures_in_a_constant, "queries were sent"),
    (TWO, figures_without_a_name, "the places have no booked"),
    (TWO, figures_values, "it should return a queryset of places"),
    (THREE, given(judges.GIVEN_3), "IntegrityError"),
    (THREE, count_read_then_save, "two counted at the same moment: bookings_made is 3"),
    (THREE, count_with_a_lock, "two counted at the same moment: bookings_made is 3"),
    (THREE, count_update_or_create_first, "your function raised IntegrityError"),
    (THREE, count_no_savepoint, "inside of a transaction"),
    (THREE, count_swallows, "two counted the first booking of a day"),
    (THREE, count_bulk, "after 2 calls for one day: bookings_made is 1"),
    (THREE, count_ignores_conflicts, "two counted the first booking of a day"),
    (THREE, count_update_or_create_alike, "after 2 calls for one day: bookings_made is 1"),
    (THREE, count_any_currency, "there are 0 rows of that day for EUR"),
    (THREE, count_every_day, "after a call for another day"),
    (THREE, count_twice_for_the_first, "after 1 call for one day: bookings_made is 2"),
    (THREE, count_overwrites, "its other figures were overwritten"),
    (THREE, count_leaves_it_open, "its transaction is still open"),
    (FOUR, given(judges.GIVEN_4), "It sent 5 statements for 4 places"),
    (FOUR, prices_no_time, "auto_now is a matter of save()"),
    (FOUR, prices_no_version, "had the version 1, and has 1 now"),
    (FOUR, prices_everywhere, "is in another city, and was changed"),
    (FOUR, prices_unlisted, "garret is not listed, and was changed"),
    (FOUR, prices_all_alike, "of the kind"),
    (FOUR, prices_two_updates, "It sent 2 statements"),
    (FOUR, prices_bulk_update, "It sent 2 statements"),
    (FOUR, prices_rounded, "it should be 5281, and is 5282"),
    (FOUR, prices_returns_nothing, "it returned None; 4 places were changed"),
    (FOUR, prices_counts_first, "It sent 2 statements"),
    (FOUR, prices_for_this_city, "for a city without places it returned 4"),
    (FOUR, prices_known, "10 percent more than 1000 is 1100"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_judging_needs_no_settings_and_leaves_none() -> None:
    """Another chapter in this process may want to set Django up for a project."""
    code = (
        "import nexus\nfrom django.apps import apps\nfrom django.conf import settings\n"
        "from nexus.judging import judge_answer\n"
        "with nexus.postgres(fsync='off'):\n"
        "    verdict = judge_answer('orm-and-n-plus-one.4', lambda places, city: 0)\n"
        "assert 'should be 9900' in verdict.message, verdict\n"
        "assert not settings.configured and not apps.ready"
    )
    root = Path(__file__).resolve().parents[2]
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)
