"""Judges of "The ORM and N+1": a page, figures, a counter, and a change of many prices.

The answers get managers of models. Those of the judge are like the ones of stays, as far as the
exercises go. They belong to no application, so that they work whatever Django is set up for in
this process, if it is set up at all.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from functools import cache
from types import SimpleNamespace
from typing import Any

from nexus.judging import NotYet, judge, querying
from nexus.judging.limits import Run, all_of
from nexus.judging.meeting import come_to_rest
from nexus.judging.querying import Asked, asking, django, leading_to
from nexus.judging.sandbox import Connection, Sandbox, database

Answer = Callable[..., Any]

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def _market() -> SimpleNamespace:
    """The models; to be called inside `django`."""
    from django.apps.registry import Apps
    from django.db import models
    from django.db.migrations.state import AppConfigStub

    registry = Apps([AppConfigStub("market")])

    class Common:
        app_label = "market"
        apps = registry

    class User(models.Model):
        id = models.BigAutoField(primary_key=True)
        name = models.CharField(max_length=100)

        class Meta(Common):
            pass

    class City(models.Model):
        id = models.BigAutoField(primary_key=True)
        name = models.CharField(max_length=80)

        class Meta(Common):
            pass

    class Property(models.Model):
        id = models.BigAutoField(primary_key=True)
        slug = models.SlugField(max_length=100, unique=True)
        title = models.CharField(max_length=100)
        host = models.ForeignKey(User, models.PROTECT, related_name="properties")
        city = models.ForeignKey(City, models.PROTECT, related_name="properties")
        kind = models.CharField(max_length=7)
        nightly_minor = models.BigIntegerField()
        is_listed = models.BooleanField(default=True)
        version = models.PositiveIntegerField(default=1)
        updated_at = models.DateTimeField(auto_now=True)

        class Meta(Common):
            pass

    class Booking(models.Model):
        id = models.BigAutoField(primary_key=True)
        property = models.ForeignKey(Property, models.PROTECT, related_name="bookings")
        status = models.CharField(max_length=9)
        total_minor = models.BigIntegerField()

        class Meta(Common):
            pass

    class Review(models.Model):
        id = models.BigAutoField(primary_key=True)
        property = models.ForeignKey(Property, models.PROTECT, related_name="reviews")
        rating = models.PositiveSmallIntegerField()
        text = models.TextField()

        class Meta(Common):
            pass

    class DailyFigures(models.Model):
        id = models.BigAutoField(primary_key=True)
        day = models.DateField()
        currency = models.CharField(max_length=3)
        bookings_made = models.PositiveIntegerField()
        bookings_confirmed = models.PositiveIntegerField()
        bookings_cancelled = models.PositiveIntegerField()
        nights_confirmed = models.PositiveIntegerField()
        revenue_minor = models.BigIntegerField()
        reckoned_at = models.DateTimeField(auto_now=True)

        class Meta(Common):
            constraints = (
                models.UniqueConstraint(fields=["day", "currency"], name="figures_one_a_day"),
            )

    return SimpleNamespace(
        User=User, City=City, Property=Property, Booking=Booking, Review=Review,
        DailyFigures=DailyFigures,
    )  # fmt: skip


PLACES = [
    # slug, title, host, city, kind, price, listed
    ("attic", "Attic", 1, 1, "entire", 9_000, True),
    ("barn", "Barn", 2, 1, "private", 5_030, True),
    ("cabin", "Cabin", 1, 2, "entire", 7_005, True),
    ("den", "Barn", 3, 2, "entire", 4_000, True),
    ("elm-house", "Elm house", 3, 1, "shared", 3_010, True),
    ("farm", "Farm", 2, 2, "entire", 12_000, True),
    ("garret", "Garret", 1, 1, "entire", 6_001, False),
    ("hut", "Hut", 3, 3, "private", 2_000, True),
    ("inn", "Inn", 2, 3, "entire", 8_000, True),
    ("jetty", "Jetty", 1, 1, "entire", 5_555, True),
]
REVIEWS = {1: [4, 5, 5, 2], 2: [], 3: [3], 4: [5, 4], 5: [1, 1, 1], 6: [2, 5] * 100, 8: [4, 4]}
"""Ratings by place; two have none, and one is famous."""
BOOKINGS = {
    1: [("confirmed", 9_000), ("confirmed", 9_000), ("cancelled", 9_000), ("confirmed", 4_000)],
    2: [("cancelled", 5_000)],
    3: [("confirmed", 7_000)],
    4: [("pending", 4_000), ("confirmed", 4_000)],
    6: [("confirmed", 100 * n) for n in range(30)],
    7: [("confirmed", 1), ("confirmed", 1)],
}


def _build(connection: Connection) -> None:
    """Makes the tables, and what is in them."""
    market = _market()
    with leading_to(connection) as ours, ours.schema_editor() as editor:
        for model in vars(market).values():
            editor.create_model(model)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO market_user (name) VALUES (%s)", [("Amina",), ("Bode",), ("Chidi",)]
        )
        cursor.executemany(
            "INSERT INTO market_city (name) VALUES (%s)", [("Accra",), ("Dakar",), ("Kigali",)]
        )
        cursor.executemany(
            "INSERT INTO market_property (slug, title, host_id, city_id, kind, nightly_minor,"
            " is_listed, version, updated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 1, %s)",
            [(*place, LONG_AGO) for place in PLACES],
        )
        cursor.executemany(
            "INSERT INTO market_review (property_id, rating, text) VALUES (%s, %s, %s)",
            [
                (place, rating, f"{rating} of 5, said guest {number}")
                for place, ratings in REVIEWS.items()
                for number, rating in enumerate(ratings)
            ],
        )
        cursor.executemany(
            "INSERT INTO market_booking (property_id, status, total_minor) VALUES (%s, %s, %s)",
            [(place, *booking) for place, all_ in BOOKINGS.items() for booking in all_],
        )


@contextmanager
def _sandbox() -> Iterator[tuple[Sandbox, SimpleNamespace]]:
    """A database with the market in it, and its models."""
    with django(), database("orm_market", _build) as box:
        yield box, _market()


GIVEN_1 = """
def shop_window(places, reviews, limit):
    shown = []
    for place in places.order_by("slug")[:limit]:
        best = place.reviews.order_by("-rating", "-id")[:2]
        shown.append(
            {
                "title": place.title,
                "city": place.city.name,
                "host": place.host.name,
                "reviews": place.reviews.count(),
                "best": [review.text for review in best],
            }
        )
    return shown
"""
QUERIES = 3


def _window(box: Sandbox, limit: int) -> list[dict[str, Any]]:
    """What the shop window should show, as PostgreSQL says it."""
    rows = box.admin.execute(
        """
        SELECT property.title, city.name, host.name, count(review.id),
               coalesce((array_agg(review.text ORDER BY review.rating DESC, review.id DESC)
                         FILTER (WHERE review.id IS NOT NULL))[:2], '{}')
        FROM market_property AS property JOIN market_city AS city ON city.id = property.city_id
        JOIN market_user AS host ON host.id = property.host_id
        LEFT JOIN market_review AS review ON review.property_id = property.id
        GROUP BY property.id, city.id, host.id ORDER BY property.slug LIMIT %s
        """,
        [limit],
    ).fetchall()
    return [
        dict(zip(("title", "city", "host", "reviews", "best"), row, strict=True)) for row in rows
    ]


@judge(
    "orm-and-n-plus-one.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of two managers, places and reviews, and a limit: it returns a list of "
    "dictionaries, one for each place",
    stub=GIVEN_1,
)
def shop_window(answer: Answer) -> str:
    """It shows what the slow one shows, in three queries, and no other review comes."""
    with _sandbox() as (box, market):

        def ask(limit: int) -> Asked:
            return querying.ask(
                box, lambda: _listed(answer(market.Property.objects, market.Review.objects, limit))
            )

        for limit in (3, 8):
            asked = ask(limit)
            _compare_windows(asked.value, _window(box, limit), f"with the limit {limit}")
        few = ask(3)
        if len(asked.statements) > QUERIES:
            grows = (
                f", and {len(few.statements)} for 3 places: the number grows with the page"
                if len(few.statements) < len(asked.statements)
                else ""
            )
            raise NotYet(
                f"what it shows is right. It sent {len(asked.statements)} queries for 8 places"
                f"{grows}. {QUERIES} are enough"
            )
        shown = sum(len(place["best"]) for place in asked.value)
        if asked.rows > 3 * 8 + shown:
            raise NotYet(
                f"it is right, and sent {len(asked.statements)} queries. But PostgreSQL sent "
                f"{asked.rows} rows for 8 places, and only {shown} reviews are shown. One place "
                "has 200 reviews: let PostgreSQL count them, and let it send only the two best"
            )
        box.admin.execute(
            "UPDATE market_property SET title = 'New', city_id = 3 WHERE slug = 'attic';"
            "INSERT INTO market_review (property_id, rating, text) VALUES (2, 5, 'The first!')"
        )
        _compare_windows(
            ask(3).value, _window(box, 3), "when a place was changed and a review was added"
        )
    return f"what the slow one shows, in {len(asked.statements)} queries, whatever the limit"


def _listed(value: object) -> object:
    """What an answer returned, as a list if it may be one; not more than a page."""
    if isinstance(value, dict | str) or not hasattr(value, "__iter__"):
        return value
    return [item for item, _ in zip(value, range(100), strict=False)]


def _compare_windows(got: object, wanted: list[dict[str, Any]], when: str) -> None:
    """Compares what is shown, place by place.

    Raises:
        NotYet: if it is not the same.
    """
    if not isinstance(got, list) or not all(isinstance(place, dict) for place in got):
        raise NotYet("it should return a list of dictionaries, one for each place")
    titles = [place.get("title") for place in got]
    if titles != [place["title"] for place in wanted]:
        raise NotYet(
            f"{when} it shows {titles}; expected are {[place['title'] for place in wanted]}"
        )
    for place, right in zip(got, wanted, strict=True):
        for key, value in right.items():
            shown = list(place.get(key) or []) if key == "best" else place.get(key)
            if shown != value:
                raise NotYet(
                    f'{when}, "{key}" of {right["title"]} is {shown!r:.80}; expected is {value!r}'
                )
        if set(place) - set(right):
            raise NotYet(f"there are keys that nobody asked for: {sorted(set(place) - set(right))}")


GIVEN_2 = """
def with_figures(places, reviews, bookings):
    return places.annotate(
        reviewed=Count("reviews"),
        booked=Count("bookings", filter=Q(bookings__status="confirmed")),
        earned=Sum("bookings__total_minor", filter=Q(bookings__status="confirmed")),
    )
"""
FIGURES = ("reviewed", "booked", "earned")


@judge(
    "orm-and-n-plus-one.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of three managers, places, reviews and bookings: it returns a queryset "
    "of places with reviewed, booked and earned",
    stub=GIVEN_2,
)
def figures(answer: Answer) -> str:
    """Each figure is what it is alone, zero where there is nothing, and all of it is one query."""
    with _sandbox() as (box, market):
        from django.db.models import QuerySet

        models = (market.Property, market.Review, market.Booking)
        arguments = [model.objects for model in models]

        def rows() -> list[tuple[Any, ...]]:
            places = answer(*arguments)
            if not isinstance(places, QuerySet) or places.model is not market.Property:
                raise NotYet("it should return a queryset of places")
            return [
                (place.slug, *(getattr(place, figure, "missing") for figure in FIGURES))
                for place, _ in zip(places.order_by("slug"), range(200), strict=False)
            ]

        asked = querying.ask(box, rows)
        _compare_figures(asked.value, box)
        if len(asked.statements) > 1:
            raise NotYet(
                f"the figures are right, and {len(asked.statements)} queries were sent. Put "
                "everything into one"
            )
        filtered = querying.ask(
            box,
            lambda: [
                place.slug
                for place in answer(*arguments).filter(earned__gt=10_000).order_by("-earned")
            ],
        )
        wanted = sorted((earned, slug) for slug, _, _, earned in _figures(box) if earned > 10_000)[
            ::-1
        ]
        if filtered.value != [slug for _, slug in wanted]:
            raise NotYet(
                "the caller filters your queryset by earned and sorts by it, and gets "
                f"{filtered.value}; expected are {[slug for _, slug in wanted]}"
            )
        box.admin.execute(
            "DELETE FROM market_review WHERE property_id = 1;"
            "INSERT INTO market_booking (property_id, status, total_minor)"
            " VALUES (9, 'confirmed', 8000), (9, 'confirmed', 8000)"
        )
        _compare_figures(querying.ask(box, rows).value, box)
    return "each figure is what it is alone, 0 where there is nothing, in one query"


def _figures(box: Sandbox) -> list[tuple[Any, ...]]:
    """The figures, each counted alone."""
    return box.admin.execute("""
        SELECT slug, (SELECT count(*) FROM market_review WHERE property_id = p.id),
               (SELECT count(*) FROM market_booking
                WHERE property_id = p.id AND status = 'confirmed'),
               (SELECT coalesce(sum(total_minor), 0)::int FROM market_booking
                WHERE property_id = p.id AND status = 'confirmed')
        FROM market_property AS p ORDER BY slug
    """).fetchall()


def _compare_figures(got: list[tuple[Any, ...]], box: Sandbox) -> None:
    """Compares figures with what each is alone.

    Raises:
        NotYet: if one is wrong.
    """
    wanted = _figures(box)
    slugs = [row[0] for row in got]
    if len(slugs) != len(set(slugs)):
        raise NotYet(f"{next(s for s in slugs if slugs.count(s) > 1)} is there more than once")
    if missing := sorted({row[0] for row in wanted} - set(slugs)):
        raise NotYet(f"{', '.join(missing)} is missing; each place should be there")
    for row, right in zip(got, wanted, strict=True):
        for name, value, expected in zip(FIGURES, row[1:], right[1:], strict=True):
            if value == "missing":
                raise NotYet(f"the places have no {name}")
            if value is None:
                raise NotYet(f"{name} of {right[0]} is None; expected is {expected}")
            if value != expected:
                raise NotYet(
                    f"{name} of {right[0]} is {value}, and should be {expected}. That place has "
                    f"{right[1]} reviews and {right[2]} confirmed bookings"
                )


GIVEN_3 = """
def count_booking(figures, day):
    row, _ = figures.get_or_create(
        day=day,
        currency="EUR",
        bookings_made=0,
        bookings_confirmed=0,
        bookings_cancelled=0,
        nights_confirmed=0,
        revenue_minor=0,
    )
    row.bookings_made += 1
    row.save()
"""
ONE = date(2026, 1, 1)
TWO, THREE, FOUR = (date(2026, 1, day) for day in (2, 3, 4))
ADDS_ONE = "UPDATE market_dailyfigures SET bookings_made = bookings_made + 1 WHERE day = %s"
INSERTS = (
    "INSERT INTO market_dailyfigures (day, currency, bookings_made, bookings_confirmed,"
    " bookings_cancelled, nights_confirmed, revenue_minor, reckoned_at)"
    " VALUES (%s, %s, %s, 7, 0, 0, 70, now())"
)


@judge(
    "orm-and-n-plus-one.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a manager, figures, and a day: it adds 1 to bookings_made in the row "
    "of that day and EUR, and makes the row if there is none",
    stub=GIVEN_3,
)
def counter(answer: Answer) -> str:
    """Nothing is lost, whether two meet at the row's update or at its insert."""
    with _sandbox() as (box, market):

        def count(day: date) -> None:
            answer(market.DailyFigures.objects, day)

        for times in (1, 2):
            querying.ask(box, lambda: count(ONE))
            _made(box, ONE, times, f"after {times} call{'s' * (times > 1)} for one day")
        box.admin.execute(INSERTS, [TWO, "USD", 40])
        querying.ask(box, lambda: count(TWO))
        _made(box, TWO, 1, "when the same day has a row for USD already")
        _made(box, ONE, 2, "after a call for another day")
        rest = box.admin.execute(
            "SELECT bookings_made, bookings_confirmed FROM market_dailyfigures"
            " WHERE currency = 'USD'"
        ).fetchall()
        if rest != [(40, 7)]:
            raise NotYet("it has changed the row for USD")
        _meet(box, count, ONE, [(ADDS_ONE, [ONE])])
        _made(box, ONE, 4, "it had 2, and two counted at the same moment")
        _meet(box, count, THREE, [(INSERTS, [THREE, "EUR", 1])])
        _made(box, THREE, 2, "two counted the first booking of a day at the same moment")
        kept = box.admin.execute(
            "SELECT bookings_confirmed, revenue_minor FROM market_dailyfigures WHERE day = %s",
            [THREE],
        ).fetchone()
        if kept != (7, 70):
            raise NotYet("the row was there already, and its other figures were overwritten")
        _meet(box, count, FOUR, [(INSERTS, [FOUR, "EUR", 1])], in_transaction=True)
        _made(box, FOUR, 2, "two counted a day's first booking, and yours in a transaction")
    return (
        "no booking was lost: two met at the update and at the insert of one row, also inside of a "
        "transaction"
    )


def _made(box: Sandbox, day: date, expected: int, when: str) -> None:
    """Compares a day's count.

    Raises:
        NotYet: if it is another one.
    """
    rows = box.admin.execute(
        "SELECT bookings_made FROM market_dailyfigures WHERE day = %s AND currency = 'EUR'", [day]
    ).fetchall()
    if len(rows) != 1:
        raise NotYet(f"{when}, there are {len(rows)} rows of that day for EUR, and should be 1")
    if rows[0][0] != expected:
        raise NotYet(f"{when}: bookings_made is {rows[0][0]}, and should be {expected}")


def _meet(
    box: Sandbox,
    count: Callable[[date], None],
    day: date,
    statements: list[tuple[str, list[object]]],
    *,
    in_transaction: bool = False,
) -> None:
    """Lets an answer meet another one, which has written and not yet committed.

    Raises:
        NotYet: if the answer is refused.
    """
    from django.db import Error, transaction

    def action() -> None:
        if in_transaction:
            with transaction.atomic():
                count(day)
                transaction.get_connection().cursor().execute("SELECT 1")
        else:
            count(day)

    other = box.server.connect(dbname=box.admin.info.dbname)
    try:
        for statement, values in statements:
            other.execute(statement, values)  # type: ignore[arg-type]
        run = Run(lambda: asking(box, action, Asked()))
        come_to_rest(box, [lambda: run.is_running])
        other.commit()
        all_of([run], "your function")
        try:
            run.value()
        except Error as error:
            what = "inside of a transaction, " if in_transaction else ""
            raise NotYet(
                f"{what}another one wrote the row at the same moment, and your function raised "
                f"{type(error).__name__}: {str(error).splitlines()[0]}"
            ) from None
    finally:
        other.close()


GIVEN_4 = """
def raise_prices(places, city):
    changed = 0
    for place in places.filter(city__name=city, is_listed=True):
        percent = 110 if place.kind == "entire" else 105
        place.nightly_minor = place.nightly_minor * percent // 100
        place.version += 1
        place.save()
        changed += 1
    return changed
"""


@judge(
    "orm-and-n-plus-one.4",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a manager, places, and the name of a city: it raises prices, and "
    "returns how many places it changed",
    stub=GIVEN_4,
)
def prices(answer: Answer) -> str:
    """One statement changes all prices, versions and times, and nothing else."""
    with _sandbox() as (box, market):
        began = datetime.now(UTC)
        before = _places(box)
        asked = querying.ask(box, lambda: answer(market.Property.objects, "Accra"))
        _compare_prices(before, _places(box), began)
        changed = 4
        if asked.value != changed or isinstance(asked.value, bool):
            raise NotYet(f"it returned {asked.value!r}; {changed} places were changed")
        sent = [sql for sql in asked.statements if sql.split()[0].upper() in SENDS]
        if len(sent) > 1:
            raise NotYet(
                f"the places are as they should be. It sent {len(sent)} statements for {changed} "
                "places, and between two of them another program can change a price. Put "
                "everything into one UPDATE"
            )
        _at_the_same_time(box, lambda: answer(market.Property.objects, "Accra"))
        nobody = querying.ask(box, lambda: answer(market.Property.objects, "Nowhere"))
        if nobody.value != 0:
            raise NotYet(f"for a city without places it returned {nobody.value!r}, and not 0")
    return "one UPDATE raises the prices by kind, with version and updated_at, and nothing else"


SENDS = {"SELECT", "UPDATE", "INSERT", "DELETE", "WITH", "MERGE"}

Places = dict[str, tuple[Any, ...]]


def _places(box: Sandbox) -> Places:
    """Price, version, time, city, kind and whether it is offered, by slug."""
    rows = box.admin.execute("""
        SELECT slug, nightly_minor, version, updated_at, city.name, kind, is_listed
        FROM market_property JOIN market_city AS city ON city.id = city_id ORDER BY slug
    """).fetchall()
    return {row[0]: row[1:] for row in rows}


def _compare_prices(before: Places, after: Places, began: datetime) -> None:
    """Compares places with what they should be.

    Raises:
        NotYet: if a place is something else.
    """
    for slug, (price, version, _, city, kind, listed) in before.items():
        new_price, new_version, new_time, *rest = after[slug]
        if city != "Accra" or not listed:
            if after[slug] != before[slug]:
                why = "is in another city" if city != "Accra" else "is not listed"
                raise NotYet(f"{slug} {why}, and was changed")
            continue
        expected = price * (110 if kind == "entire" else 105) // 100
        if new_price != expected:
            raise NotYet(
                f"{slug} is of the kind {kind} and had the price {price}: it should be {expected}, "
                f"and is {new_price}"
            )
        if new_version != version + 1:
            raise NotYet(f"{slug} had the version {version}, and has {new_version} now")
        if new_time < began:
            raise NotYet(
                f"updated_at of {slug} is as old as before. auto_now is a matter of save(), which "
                "update() does not call: set the time yourself"
            )
        if rest != [city, kind, listed]:
            raise NotYet(f"{slug} was changed in more than its price")


def _at_the_same_time(box: Sandbox, action: Callable[[], Any]) -> None:
    """Lets an answer meet another change of a price.

    Raises:
        NotYet: if that change is lost.
    """
    before = _places(box)
    other = box.server.connect(dbname=box.admin.info.dbname)
    try:
        other.execute("UPDATE market_property SET nightly_minor = 1000 WHERE slug = 'attic'")
        run = Run(lambda: asking(box, action, Asked()))
        come_to_rest(box, [lambda: run.is_running])
        other.commit()
        all_of([run], "your function")[0].value()
    finally:
        other.close()
    if _places(box)["attic"][0] != 1100:
        raise NotYet(
            f"somebody else set the price of attic from {before['attic'][0]} to 1000 at the same "
            f"moment, and then it was {_places(box)['attic'][0]}: 10 percent more than 1000 is "
            "1100. Let PostgreSQL compute the price from the column"
        )
