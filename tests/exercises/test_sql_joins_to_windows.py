"""The judges of the chapter on SQL: each question with right queries and with wrong ones."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import cache

import pytest

import nexus
from nexus.exercises import sql_joins_to_windows as judges
from nexus.judging import judge_answer, limits
from nexus.judging.questions import hint_for
from nexus.judging.sandbox import Sandbox, database
from tests.exercises import tables

ONE, TWO, THREE = (f"sql-joins-to-windows.{number}" for number in (1, 2, 3))
SETS = {ONE: judges.JOINS, TWO: judges.GROUPS, THREE: judges.WINDOWS}
QUESTIONS = {ONE: judges.QUESTIONS_1, TWO: judges.QUESTIONS_2, THREE: judges.QUESTIONS_3}
GIVEN = {ONE: judges.GIVEN_1, TWO: judges.GIVEN_2, THREE: judges.GIVEN_3}
SOLVED = {
    exercise: {name: question.select for name, question in questions.items()}
    for exercise, questions in QUESTIONS.items()
}


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def with_answer(exercise: str, name: str, query: object) -> dict[str, object]:
    """All questions of an exercise with a right answer, but for one."""
    return {**SOLVED[exercise], name: query}


BOOKED = "FROM property p LEFT JOIN booking b ON b.property_id = p.id"
EARNED = "FROM property p JOIN booking b ON b.property_id = p.id"
IN_APRIL = "b.check_in >= '2026-04-01' AND b.check_in < '2026-05-01'"
NIGHTS = "generate_series(check_in, check_in + nights - 1, interval '1 day')"
DAYS = """generate_series(timestamp '2026-03-01', '2026-03-07', '1 day') d LEFT JOIN booking b
    ON (b.created_at AT TIME ZONE 'Africa/Lagos')::date = d::date"""

OTHERWISE = [
    # Right, and of another kind than the chapter's solution.
    {
        "revenue": f"""
            SELECT p.name, coalesce(sum(b.euros), 0)::numeric,
                   (SELECT count(*) FROM review WHERE property_id = p.id) {BOOKED}
            GROUP BY p.id ORDER BY p.name DESC;""",
        "april": f"SELECT p.name, count(*) FILTER (WHERE {IN_APRIL}) {BOOKED} GROUP BY p.id",
        "silent": "SELECT g.name FROM guest g LEFT JOIN booking b ON b.guest_id = g.id "
        "WHERE b.id IS NULL",
        "stars": "SELECT city, round(sum(stars)::numeric / count(*), 1) FROM review r "
        "JOIN property p ON p.id = r.property_id GROUP BY city",
    },
    {
        "revenue": """
            WITH r AS (SELECT p.id, count(r.id) AS n FROM property p
                       LEFT JOIN review r ON r.property_id = p.id GROUP BY p.id),
                 b AS (SELECT p.id, p.name, sum(euros) AS s FROM property p
                       LEFT JOIN booking b ON b.property_id = p.id GROUP BY p.id)
            SELECT name AS n, coalesce(s, 0)::float AS euros, n FROM r JOIN b USING (id)""",
        "april": f"SELECT p.name, sum(CASE WHEN {IN_APRIL} THEN 1 ELSE 0 END) {BOOKED} "
        "GROUP BY p.id",
        "silent": "SELECT name FROM guest WHERE id NOT IN "
        "(SELECT guest_id FROM booking WHERE guest_id IS NOT NULL)",
        "stars": "SELECT DISTINCT city, avg(stars) OVER (PARTITION BY city) FROM review r "
        "JOIN property p ON p.id = r.property_id",
    },
    {
        "share": f"SELECT city, round(100 - 100.0 * count(guest_id) / count(*), 1) {EARNED} "
        "GROUP BY city",
        "months": f"""
            SELECT city,
                sum(CASE WHEN to_char(check_in, 'YYYY-MM') = '2026-03' THEN euros ELSE 0 END),
                sum(CASE WHEN to_char(check_in, 'YYYY-MM') = '2026-04' THEN euros ELSE 0 END)
            {BOOKED} GROUP BY city""",
        "days": """
            SELECT day::date, (SELECT count(*) FROM booking
                WHERE (created_at AT TIME ZONE 'Africa/Lagos')::date = day::date)
            FROM generate_series(timestamp '2026-03-01', '2026-03-07', '1 day') day""",
        "totals": f"SELECT city, name, sum(euros) {EARNED} "
        "GROUP BY GROUPING SETS ((city, p.id, name), (city), ())",
        "median": f"""
            SELECT city, avg(nights) FROM (SELECT city, nights,
                row_number() OVER (PARTITION BY city ORDER BY nights) AS i,
                count(*) OVER (PARTITION BY city) AS n {EARNED})
            WHERE i IN ((n + 1) / 2, (n + 2) / 2) GROUP BY city""",
    },
    {
        "share": f"SELECT city, avg((guest_id IS NULL)::int) * 100 {EARNED} GROUP BY city",
        "months": f"""
            SELECT city, coalesce(m.euros, 0), coalesce(a.euros, 0)
            FROM (SELECT DISTINCT city FROM property)
            LEFT JOIN (SELECT city, sum(euros) AS euros {EARNED}
                WHERE check_in BETWEEN '2026-03-01' AND '2026-03-31' GROUP BY city) m USING (city)
            LEFT JOIN (SELECT city, sum(euros) AS euros {EARNED}
                WHERE check_in BETWEEN '2026-04-01' AND '2026-04-30' GROUP BY city) a USING (city)
            """,
        "days": """
            SELECT day, count(b.id) FROM generate_series(timestamptz '2026-03-01 00:00+01',
                '2026-03-07 00:00+01', '24 hours') AS begins
            CROSS JOIN LATERAL (SELECT (begins AT TIME ZONE 'Africa/Lagos')::date AS day)
            LEFT JOIN booking b
                ON created_at >= begins AND created_at < begins + interval '24 hours'
            GROUP BY day""",
        "totals": f"""
            SELECT city, name, sum(euros) {EARNED} GROUP BY city, p.id UNION ALL
            SELECT city, NULL, sum(euros) {EARNED} GROUP BY city UNION ALL
            SELECT NULL, NULL, sum(euros) FROM booking""",
        "median": f"SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY nights DESC) {EARNED} "
        "GROUP BY city",
    },
    {
        "running": "SELECT id, sum(euros) OVER (ORDER BY check_in, id ROWS UNBOUNDED PRECEDING) "
        "FROM booking",
        "latest": f"""
            SELECT name, id FROM (SELECT p.name, b.id, row_number() OVER (
                PARTITION BY p.id ORDER BY check_in DESC, b.id DESC) AS n {EARNED}) WHERE n < 3""",
        "places": f"""
            WITH sums AS (SELECT p.id, name, city, coalesce(sum(euros), 0) AS s {BOOKED}
                GROUP BY p.id)
            SELECT name, s, (SELECT count(DISTINCT o.s) + 1 FROM sums o
                WHERE o.city = sums.city AND o.s > sums.s) FROM sums""",
        "periods": f"""
            SELECT property_id, min(night), max(night) FROM (
                SELECT property_id, night, night - (dense_rank() OVER (
                    PARTITION BY property_id ORDER BY night))::int AS island
                FROM (SELECT property_id, {NIGHTS}::date AS night FROM booking))
            GROUP BY property_id, island""",
        "invited": """
            WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 UNION ALL
                SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id)
                CYCLE id SET is_cycle USING path
            SELECT DISTINCT id FROM i WHERE id <> 1 ORDER BY id DESC""",
    },
    {
        "running": "SELECT id, (SELECT sum(euros) FROM booking o "
        "WHERE (o.check_in, o.id) <= (b.check_in, b.id)) FROM booking b",
        "latest": f"""
            SELECT p.name, b.id {EARNED} WHERE (SELECT count(*) FROM booking o
                WHERE o.property_id = p.id AND (o.check_in, o.id) > (b.check_in, b.id)) < 2""",
        "places": f"""
            SELECT name, s, dense_rank() OVER (PARTITION BY city ORDER BY s DESC) FROM (
                SELECT name, city, coalesce(sum(euros), 0) AS s {BOOKED} GROUP BY p.id)""",
        "periods": """
            SELECT property_id, min(check_in), max(check_in + nights - 1) FROM (
                SELECT *, count(*) FILTER (WHERE check_in > before OR before IS NULL) OVER (
                    PARTITION BY property_id ORDER BY check_in, id) AS island
                FROM (SELECT *, max(check_in + nights) OVER (
                    PARTITION BY property_id ORDER BY check_in, id
                    ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS before FROM booking))
            GROUP BY property_id, island""",
        "invited": """
            WITH RECURSIVE i AS (SELECT id, ARRAY[1, id] AS way FROM guest
                WHERE invited_by = 1 AND id <> 1 UNION ALL
                SELECT g.id, way || g.id FROM guest g JOIN i ON g.invited_by = i.id
                WHERE g.id <> ALL (way))
            SELECT id FROM i GROUP BY id""",
    },
    {
        "revenue": f"""
            SELECT p.name, coalesce(avg(b.euros) * count(DISTINCT b.id), 0), count(DISTINCT r.id)
            {BOOKED} LEFT JOIN review r ON r.property_id = p.id GROUP BY p.id""",
        "april": f"SELECT p.name, count(b.id) {BOOKED} AND b.check_in::text LIKE '2026-04%' "
        "GROUP BY p.id",
        "silent": "SELECT name FROM guest "
        "WHERE (id = ANY (SELECT guest_id FROM booking)) IS NOT TRUE",
        "stars": "SELECT city, avg(stars)::float FROM property p LEFT JOIN review r "
        "ON r.property_id = p.id GROUP BY city HAVING count(r.id) > 0",
    },
    {
        "share": f"SELECT city, round(100 * (1 - count(guest_id)::numeric / count(*)), 2) {EARNED} "
        "GROUP BY city",
        "months": """
            SELECT city, coalesce(sum(euros) FILTER (WHERE p.m = '03'), 0),
                coalesce(sum(euros) FILTER (WHERE p.m = '04'), 0)
            FROM (SELECT * FROM property, (VALUES ('03'), ('04')) v(m)) p LEFT JOIN booking b
                ON b.property_id = p.id AND to_char(check_in, 'YYYY-MM') = '2026-' || p.m
            GROUP BY city""",
        "days": """
            SELECT date '2026-03-01' + n, count(b.id)
            FROM (VALUES (0), (1), (2), (3), (4), (5), (6)) v(n) LEFT JOIN booking b
                ON timezone('Africa/Lagos', created_at)::date = date '2026-03-01' + n
            GROUP BY n""",
        "totals": "SELECT city, CASE grouping(p.id) WHEN 0 THEN min(name) END, sum(euros) "
        f"{EARNED} GROUP BY ROLLUP (city, p.id)",
        "median": f"""
            SELECT city, (percentile_disc(0.5) WITHIN GROUP (ORDER BY nights)
                + percentile_disc(0.5) WITHIN GROUP (ORDER BY nights DESC)) / 2.0
            {EARNED} GROUP BY city""",
    },
    {
        "running": "SELECT id, sum(euros) OVER (ORDER BY check_in DESC, id DESC "
        "ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM booking",
        "latest": f"SELECT p.name, unnest((array_agg(b.id ORDER BY check_in DESC, b.id DESC))[1:2])"
        f" {EARNED} GROUP BY p.id",
        "places": f"""
            SELECT p.name, sum(coalesce(euros, 0)), dense_rank() OVER (
                PARTITION BY city ORDER BY sum(coalesce(euros, 0)) DESC) {BOOKED} GROUP BY p.id""",
        "periods": f"""
            SELECT property_id, min(night), max(night) FROM (
                SELECT *, sum(new) OVER (PARTITION BY property_id ORDER BY night) AS island
                FROM (SELECT *, (night - 1 IS DISTINCT FROM lag(night) OVER (
                    PARTITION BY property_id ORDER BY night))::int AS new
                    FROM (SELECT DISTINCT property_id, {NIGHTS}::date AS night FROM booking)))
            GROUP BY property_id, island""",
        "invited": """
            WITH RECURSIVE i AS (SELECT 1 AS id
                UNION SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id)
            SELECT id FROM i WHERE id <> 1""",
    },
]

RIGHT = list[tuple[str, object]](SOLVED.items()) + [
    (exercise, answer)
    for answer in OTHERWISE
    for exercise, questions in QUESTIONS.items()
    if answer.keys() == questions.keys()
]

JOIN_BOTH = f"{BOOKED} LEFT JOIN review r ON r.property_id = p.id"

WRONG = [
    (ONE, "revenue", GIVEN[ONE]["revenue"], "it gives (Cabin, 2700, 9)"),
    (
        ONE,
        "revenue",
        "SELECT p.name, coalesce(sum(DISTINCT b.euros), 0), count(DISTINCT r.id) "
        f"{JOIN_BOTH} GROUP BY p.id",
        "it gives (Cabin, 700, 3)",
    ),
    (
        ONE,
        "revenue",
        f"SELECT name, sum(euros), (SELECT count(*) FROM review WHERE property_id = p.id) {BOOKED} "
        "GROUP BY p.id",
        "it gives (Tent, NULL, 0), and should give (Tent, 0, 0)",
    ),
    (
        ONE,
        "revenue",
        f"SELECT name, sum(euros), (SELECT count(*) FROM review WHERE property_id = p.id) {EARNED} "
        "GROUP BY p.id",
        "it does not give (Tent, 0, 0)",
    ),
    (
        ONE,
        "revenue",
        f"""SELECT name, coalesce(sum(euros), 0), (SELECT count(*) FROM review r JOIN property q
            ON q.id = r.property_id WHERE q.name = p.name) {BOOKED} GROUP BY name""",
        "when two properties and two guests have the same name, it gives (Cabin, 500, 2)",
    ),
    (
        ONE,
        "revenue",
        # Divided by the number of reviews: right for whoever has one.
        "SELECT p.name, coalesce(sum(euros) / nullif(count(DISTINCT r.id), 0), 0), "
        f"count(DISTINCT r.id) {JOIN_BOTH} GROUP BY p.id",
        "when guests arrive on the first and the last day of April, and in other months, it gives "
        "(Cabin, 0, 0)",
    ),
    (ONE, "revenue", "SELECT name, 0 FROM property", "it gives 2 columns, and 3 are asked for"),
    (ONE, "april", GIVEN[ONE]["april"], "it does not give (Cabin, 0)"),
    (
        ONE,
        "april",
        f"SELECT p.name, count(*) {BOOKED} AND {IN_APRIL} GROUP BY p.id",
        "it gives (Cabin, 1) and 2 more, and should give (Cabin, 0)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.id) {BOOKED} AND b.check_in BETWEEN '2026-04-01' AND '2026-05-01' "
        "GROUP BY p.id",
        "on the first and the last day of April, and in other months, it gives (Villa, 1)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.id) {BOOKED} AND extract(month FROM b.check_in) = 4 GROUP BY p.id",
        "in other months, it gives (Villa, 1), and should give (Villa, 0)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.id) {BOOKED} WHERE {IN_APRIL} OR b.id IS NULL GROUP BY p.id",
        "it does not give (Cabin, 0)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.id) {BOOKED} AND {IN_APRIL} GROUP BY p.name",
        "it gives (Cabin, 2), and should give (Cabin, 1)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(DISTINCT b.euros) {BOOKED} AND {IN_APRIL} GROUP BY p.id",
        "on the rows of the chapter, it gives (Villa, 1), and should give (Villa, 2)",
    ),
    (ONE, "silent", GIVEN[ONE]["silent"], "it does not give (Dalila)"),
    (
        ONE,
        "silent",
        "SELECT name FROM guest EXCEPT SELECT g.name FROM guest g JOIN booking ON guest_id = g.id",
        "when two properties and two guests have the same name, it does not give (Bode)",
    ),
    (
        ONE,
        "silent",
        "SELECT DISTINCT name FROM guest g "
        "WHERE NOT EXISTS (SELECT FROM booking WHERE guest_id = g.id)",
        "have the same name, it does not give (Bode)",
    ),
    (
        ONE,
        "silent",
        "SELECT name FROM guest WHERE NOT EXISTS (SELECT FROM booking WHERE guest_id = id)",
        "on the rows of the chapter, it does not give (Dalila)",
    ),
    (ONE, "silent", "SELECT 'Dalila'", "when nothing was booked and nothing was reviewed, it does"),
    (ONE, "silent", "UPDATE guest SET name = 'x'", "permission denied for table guest"),
    (ONE, "stars", GIVEN[ONE]["stars"], "it gives (Accra, 3), and should give (Accra, 4)"),
    (
        ONE,
        "stars",
        "SELECT city, sum(stars) / count(*) FROM review r JOIN property p ON p.id = property_id "
        "GROUP BY city",
        "it gives (Accra, 4) and 1 more, and should give (Accra, 4.5)",
    ),
    (
        ONE,
        "stars",
        "SELECT city, avg(DISTINCT stars) FROM review r JOIN property p ON p.id = property_id "
        "GROUP BY city",
        "it gives (Accra, 3), and should give (Accra, 4)",
    ),
    (
        ONE,
        "stars",
        "SELECT city, avg(stars) FROM property p LEFT JOIN review r ON p.id = property_id "
        "GROUP BY city",
        "it gives (Accra, NULL) and 1 more, which should not be there",
    ),
    (
        ONE,
        "stars",
        f"SELECT city, avg(stars) {EARNED} JOIN review r ON r.property_id = p.id GROUP BY city",
        "it gives (Accra, 4.6), and should give (Accra, 4)",
    ),
    (
        ONE,
        "revenue",
        "SELECT DISTINCT name, coalesce(sum(euros), 0), "
        f"(SELECT count(*) FROM review WHERE property_id = p.id) {BOOKED} GROUP BY p.id",
        "have the same name, it does not give (Tent, 0, 0)",
    ),
    (
        ONE,
        "revenue",
        # UNION removes a booking with the price of another one.
        """SELECT name, coalesce(sum(euros), 0), coalesce(sum(n), 0) FROM property p
        LEFT JOIN (SELECT property_id, euros, 0 AS n FROM booking
            UNION SELECT property_id, 0, 1 FROM review) u ON u.property_id = p.id GROUP BY p.id""",
        "it gives (Cabin, 700, 1)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(DISTINCT b.check_in) {BOOKED} AND {IN_APRIL} GROUP BY p.id",
        "when bookings have equal prices and days, and reviews equal stars, it gives (Loft, 2)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.guest_id) {BOOKED} AND {IN_APRIL} GROUP BY p.id",
        "when bookings have equal prices and days, and reviews equal stars, it gives (Cabin, 2)",
    ),
    (
        ONE,
        "april",
        f"SELECT p.name, count(b.id) {BOOKED} AND check_in < '2026-05-01' "
        "AND check_in + nights > '2026-04-01' GROUP BY p.id",
        "in other months, it gives (Cabin, 2), and should give (Cabin, 1)",
    ),
    (
        ONE,
        "stars",
        "SELECT city, trunc(avg(stars), 1) FROM review r JOIN property p ON p.id = property_id "
        "GROUP BY city",
        "it gives (Lagos, 4.6), and should give (Lagos, 4.7)",
    ),
    (
        ONE,
        "silent",
        "SELECT name FROM guest WHERE id > (SELECT coalesce(max(guest_id), 0) FROM booking)",
        "when two properties and two guests have the same name, it does not give (Amina)",
    ),
    (
        ONE,
        "revenue",
        # A property with reviews and no booking loses its reviews.
        """SELECT p.name, coalesce(b.euros, 0), coalesce(r.n, 0) FROM property p
        LEFT JOIN (SELECT property_id, sum(euros) AS euros FROM booking GROUP BY 1) b
            ON b.property_id = p.id
        LEFT JOIN (SELECT property_id, count(*) AS n FROM review GROUP BY 1) r
            ON r.property_id = b.property_id""",
        "it gives (Villa, 0, 0), and should give (Villa, 0, 3)",
    ),
    (TWO, "share", GIVEN[TWO]["share"], "it gives (Lagos, 0), and should give (Lagos, 33.3)"),
    (
        TWO,
        "share",
        f"SELECT city, 100.0 * count(guest_id IS NULL) / count(*) {EARNED} GROUP BY city",
        "it gives (Accra, 100)",
    ),
    (
        TWO,
        "share",
        f"SELECT city, 100.0 * count(*) / (SELECT count(*) FROM booking) {EARNED} "
        "WHERE guest_id IS NULL GROUP BY city",
        "it gives (Lagos, 14.3), and should give (Accra, 0)",
    ),
    (
        TWO,
        "share",
        f"SELECT city, 100 * count(*) FILTER (WHERE guest_id IS NULL) / count(*) {EARNED} "
        "GROUP BY city",
        "it gives (Lagos, 33), and should give (Lagos, 33.3)",
    ),
    (
        TWO,
        "share",
        f"SELECT city, 100.0 * count(*) FILTER (WHERE guest_id IS NULL) / count(*) {BOOKED} "
        "GROUP BY city",
        "should",
    ),
    (TWO, "months", GIVEN[TWO]["months"], "it gives (Accra, 3, 990)"),
    (
        TWO,
        "months",
        f"""SELECT city, coalesce(sum(euros) FILTER (WHERE extract(month FROM check_in) = 3), 0),
            coalesce(sum(euros) FILTER (WHERE extract(month FROM check_in) = 4), 0)
            {BOOKED} GROUP BY city""",
        "when there are bookings of other years, and a city without bookings in 2026, it gives",
    ),
    (
        TWO,
        "months",
        f"""SELECT city, sum(euros) FILTER (WHERE check_in < '2026-04-01'),
            sum(euros) FILTER (WHERE check_in >= '2026-04-01') {BOOKED} GROUP BY city""",
        "it gives (Accra, 990, NULL), and should give (Accra, 990, 0)",
    ),
    (
        TWO,
        "months",
        f"""SELECT city,
            sum(CASE WHEN check_in BETWEEN '2026-03-01' AND '2026-03-31' THEN euros ELSE 0 END),
            sum(CASE WHEN check_in BETWEEN '2026-04-01' AND '2026-05-01' THEN euros ELSE 0 END)
            {EARNED} GROUP BY city""",
        "when there are bookings of other years",
    ),
    (
        TWO,
        "months",
        f"""SELECT city, coalesce(sum(euros) FILTER (WHERE check_in < '2026-04-01'), 0),
            coalesce(sum(euros) FILTER (WHERE check_in >= '2026-04-01'), 0) {BOOKED}
            WHERE check_in BETWEEN '2026-03-01' AND '2026-04-30' GROUP BY city""",
        "it does not give (Cairo, 0, 0)",
    ),
    (
        TWO,
        "months",
        f"""SELECT city, coalesce(sum(euros) FILTER (WHERE check_in < '2026-04-01'), 0),
            coalesce(sum(euros) FILTER (WHERE check_in >= '2026-04-01'), 0) {BOOKED}
            AND check_in BETWEEN '2026-03-01' AND '2026-04-30' GROUP BY p.id""",
        "it gives (Accra, 90, 0) and 2 more, and should give (Accra, 990, 0)",
    ),
    (TWO, "days", GIVEN[TWO]["days"], "it does not give (2026-03-02, 0)"),
    (
        TWO,
        "days",
        """SELECT d::date, count(b.id) FROM generate_series(date '2026-03-01', '2026-03-07',
            '1 day') d
        LEFT JOIN booking b ON b.created_at::date = d::date GROUP BY d""",
        "in a session in New York, with bookings around midnight in Lagos, it gives",
    ),
    (
        TWO,
        "days",
        """SELECT d::date, count(*) FROM generate_series(timestamp '2026-03-01', '2026-03-07',
            '1 day') d
        LEFT JOIN booking b ON (b.created_at AT TIME ZONE 'Africa/Lagos')::date = d::date
        GROUP BY d""",
        "it gives (2026-03-02, 1)",
    ),
    (
        TWO,
        "days",
        """SELECT d::date, count(b.id) FROM generate_series(timestamp '2026-03-01', '2026-03-07',
            '1 day') d
        LEFT JOIN booking b ON (b.created_at AT TIME ZONE 'UTC')::date = d::date GROUP BY d""",
        "in a session in New York, with bookings around midnight in Lagos, it gives",
    ),
    (
        TWO,
        "days",
        """SELECT d::date, count(b.id) FROM generate_series(timestamp '2026-03-01', '2026-03-07',
            '1 day') d
        LEFT JOIN booking b ON (b.created_at + interval '1 hour')::date = d::date GROUP BY d""",
        "in a session in New York, with bookings around midnight in Lagos, it gives",
    ),
    (
        TWO,
        "days",
        """SELECT (created_at AT TIME ZONE 'Africa/Lagos')::date, count(*) FROM booking
        WHERE (created_at AT TIME ZONE 'Africa/Lagos')::date BETWEEN '2026-03-01' AND '2026-03-07'
        GROUP BY 1""",
        "it does not give (2026-03-02, 0) and 4 more",
    ),
    (TWO, "totals", GIVEN[TWO]["totals"], "it does not give (Accra, NULL, 990) and 2 more"),
    (
        TWO,
        "totals",
        f"SELECT city, name, sum(euros) {EARNED} GROUP BY CUBE (city, name)",
        "which should not be there",
    ),
    (
        TWO,
        "totals",
        f"SELECT city, name, sum(euros) {EARNED} GROUP BY GROUPING SETS ((city, name), ())",
        "it does not give (Accra, NULL, 990) and 1 more",
    ),
    (
        TWO,
        "totals",
        f"SELECT coalesce(city, 'all'), name, sum(euros) {EARNED} GROUP BY ROLLUP (city, name)",
        "it gives (all, NULL, 3090), and should give (NULL, NULL, 3090)",
    ),
    (
        TWO,
        "totals",
        f"SELECT city, name, sum(euros) {BOOKED} GROUP BY ROLLUP (city, name)",
        "it gives (Lagos, Tent, NULL), which should not be there",
    ),
    (TWO, "median", GIVEN[TWO]["median"], "it gives (Accra, 2.5)"),
    (
        TWO,
        "median",
        f"SELECT city, percentile_disc(0.5) WITHIN GROUP (ORDER BY nights) {EARNED} GROUP BY city",
        "and should give",
    ),
    (
        TWO,
        "median",
        f"SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY nights) {BOOKED} GROUP BY city",
        "and a city without bookings in 2026, it gives (Lagos, NULL), which should not be there",
    ),
    (
        TWO,
        "median",
        f"SELECT city, (min(nights) + max(nights)) / 2.0 {EARNED} GROUP BY city",
        "on the rows of the chapter, it gives (Accra, 3)",
    ),
    (
        TWO,
        "median",
        f"SELECT city, mode() WITHIN GROUP (ORDER BY nights) {EARNED} GROUP BY city",
        "and should give",
    ),
    *(
        (
            TWO,
            "days",
            f"SELECT d::date, count(DISTINCT {column}) FROM {DAYS} GROUP BY d",
            "it gives (2026-03-04, 1), and should give (2026-03-04, 2)",
        )
        for column in ("b.property_id", "b.created_at", "b.euros")
    ),
    (
        TWO,
        "days",
        # This midnight is the one of Lagos, and the cast takes the day of the session.
        """SELECT d::date, count(b.id)
        FROM generate_series(timestamp '2026-03-01', '2026-03-07', '1 day') d
        LEFT JOIN booking b ON date_trunc('day', created_at, 'Africa/Lagos')::date = d::date
        GROUP BY d""",
        "it gives (2026-03-01, 0) and 2 more, and should give (2026-03-01, 2)",
    ),
    (
        TWO,
        "days",
        f"SELECT d::date, count(b.id) FROM {DAYS} AND b.property_id IN "
        "(SELECT id FROM property WHERE city = 'Lagos') GROUP BY d",
        "it gives (2026-03-01, 0), and should give (2026-03-01, 2)",
    ),
    (
        TWO,
        "totals",
        f"SELECT city, name, sum(euros) {EARNED} GROUP BY ROLLUP (city, name)",
        "when two properties of a city have the same name, it gives (Accra, Loft, 400)",
    ),
    (
        TWO,
        "totals",
        f"""SELECT city, name, sum(euros) {EARNED} GROUP BY city, p.id
        UNION SELECT city, NULL, sum(euros) {EARNED} GROUP BY city
        UNION SELECT NULL, NULL, sum(euros) FROM booking""",
        "when two properties of a city have the same name, it does not give (Accra, Loft, 200)",
    ),
    (
        TWO,
        "totals",
        f"SELECT city, min(name), sum(euros) {EARNED} GROUP BY ROLLUP (city, p.id)",
        "it gives (Accra, Cabin, 990)",
    ),
    (
        TWO,
        "totals",
        f"SELECT city, name, sum(euros) {EARNED} GROUP BY ROLLUP (city, p.id, name)",
        "it gives (Accra, NULL, 90) and 2 more, which should not be there",
    ),
    (
        TWO,
        "median",
        f"SELECT city, (percentile_cont(0.5) WITHIN GROUP (ORDER BY nights))::int {EARNED} "
        "GROUP BY city",
        "it gives (Lagos, 4), and should give (Lagos, 3.5)",
    ),
    (
        TWO,
        "median",
        f"""SELECT city, sum(nights) / count(*) FROM (SELECT city, nights,
            row_number() OVER (PARTITION BY city ORDER BY nights) AS i,
            count(*) OVER (PARTITION BY city) AS n {EARNED})
        WHERE i IN ((n + 1) / 2, (n + 2) / 2) GROUP BY city""",
        "it gives (Lagos, 3), and should give (Lagos, 3.5)",
    ),
    (
        TWO,
        "median",
        f"""SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY nights)
        FROM (SELECT DISTINCT city, nights {EARNED}) GROUP BY city""",
        "it gives (Lagos, 2.5), and should give (Lagos, 2)",
    ),
    (
        TWO,
        "share",
        f"SELECT city, 100.0 * count(DISTINCT euros) FILTER (WHERE guest_id IS NULL) / count(*) "
        f"{EARNED} GROUP BY city",
        "it gives (Cairo, 33.3), and should give (Cairo, 66.7)",
    ),
    (
        TWO,
        "median",
        # Equal values need not be numbered in the opposite order from the other end.
        f"""SELECT city, avg(nights) FROM (SELECT city, nights,
            row_number() OVER (PARTITION BY city ORDER BY nights) AS up,
            row_number() OVER (PARTITION BY city ORDER BY nights DESC) AS down {EARNED})
        WHERE abs(up - down) <= 1 GROUP BY city""",
        "when two properties of a city have the same name, it does not give (Lagos, 1.5)",
    ),
    (THREE, "running", GIVEN[THREE]["running"], "it gives (3, 990), and should give (3, 900)"),
    (
        THREE,
        "running",
        "SELECT id, sum(euros) OVER (ORDER BY check_in ROWS UNBOUNDED PRECEDING) FROM booking",
        "when guests arrive on the same day, and properties have the same name, it gives",
    ),
    (
        THREE,
        "running",
        "SELECT id, sum(euros) OVER (ORDER BY id) FROM booking",
        "when guests arrive on the same day, and properties have the same name, it gives",
    ),
    (
        THREE,
        "running",
        "SELECT id, sum(euros) OVER (PARTITION BY property_id ORDER BY check_in, id) FROM booking",
        "it gives (4, 90)",
    ),
    (THREE, "running", "SELECT id, sum(euros) OVER () FROM booking", "it gives (1, 3090)"),
    (THREE, "latest", GIVEN[THREE]["latest"], "it does not give (Cabin, 2)"),
    (
        THREE,
        "latest",
        f"""SELECT name, id FROM (SELECT p.name, b.id, rank() OVER (
            PARTITION BY p.id ORDER BY check_in DESC) AS n {EARNED}) WHERE n < 3""",
        "when guests arrive on the same day, and properties have the same name, it gives",
    ),
    (
        THREE,
        "latest",
        f"""SELECT name, id FROM (SELECT p.name, b.id, row_number() OVER (
            PARTITION BY p.name ORDER BY check_in DESC, b.id DESC) AS n {EARNED}) WHERE n < 3""",
        "have the same name, it does not give (Cabin",
    ),
    (
        THREE,
        "latest",
        f"""SELECT name, id FROM (SELECT p.name, b.id, row_number() OVER (
            PARTITION BY p.id ORDER BY check_in DESC, b.id) AS n {EARNED}) WHERE n < 3""",
        "when guests arrive on the same day, and properties have the same name, it",
    ),
    (
        THREE,
        "latest",
        f"""SELECT name, id FROM (SELECT p.name, b.id, row_number() OVER (
            PARTITION BY p.id ORDER BY b.id DESC) AS n {EARNED}) WHERE n < 3""",
        "it gives",
    ),
    (
        THREE,
        "latest",
        """SELECT p.name, b.id FROM property p LEFT JOIN LATERAL (SELECT id FROM booking
            WHERE property_id = p.id ORDER BY check_in DESC, id DESC LIMIT 2) b ON true""",
        "it gives (Tent, NULL), which should not be there",
    ),
    (
        THREE,
        "latest",
        f"SELECT p.name, b.id {EARNED} WHERE row_number() OVER (PARTITION BY p.id) < 3",
        "PostgreSQL says: window functions are not allowed in WHERE",
    ),
    (THREE, "places", GIVEN[THREE]["places"], "it gives (Cabin, 900, 3)"),
    (
        THREE,
        "places",
        f"""SELECT p.name, coalesce(sum(euros), 0), dense_rank() OVER (
            PARTITION BY city ORDER BY sum(euros) DESC) {BOOKED} GROUP BY p.id""",
        "it gives (Tent, 0, 1) and 1 more, and should give (Tent, 0, 2)",
    ),
    (
        THREE,
        "places",
        f"""SELECT p.name, coalesce(sum(euros), 0), rank() OVER (
            PARTITION BY city ORDER BY coalesce(sum(euros), 0) DESC) {BOOKED} GROUP BY p.id""",
        "when properties of one city have earned the same, and some of them nothing, it gives",
    ),
    (
        THREE,
        "places",
        f"""SELECT p.name, coalesce(sum(euros), 0), row_number() OVER (
            PARTITION BY city ORDER BY coalesce(sum(euros), 0) DESC, p.id) {BOOKED}
            GROUP BY p.id""",
        "of one city have earned the same, and some of them nothing, it gives",
    ),
    (
        THREE,
        "places",
        f"""SELECT p.name, sum(euros), dense_rank() OVER (
            PARTITION BY city ORDER BY sum(euros) DESC) {EARNED} GROUP BY p.id""",
        "it does not give (Tent, 0, 2)",
    ),
    (
        THREE,
        "places",
        f"""SELECT p.name, coalesce(sum(euros), 0), dense_rank() OVER (
            PARTITION BY city ORDER BY coalesce(sum(euros), 0)) {BOOKED} GROUP BY p.id""",
        "it gives (Cabin, 900, 2)",
    ),
    (THREE, "periods", GIVEN[THREE]["periods"], "it gives (1, 2026-03-02, 2026-03-04)"),
    (
        THREE,
        "periods",
        # The nights of stays that overlap come twice.
        f"""SELECT property_id, min(night), max(night) FROM (
            SELECT property_id, night, night - row_number() OVER (
                PARTITION BY property_id ORDER BY night)::int AS island
            FROM (SELECT property_id, {NIGHTS}::date AS night FROM booking))
        GROUP BY property_id, island""",
        "it gives (1, 2026-04-06, 2026-04-06) and 36 more, and should give",
    ),
    (
        THREE,
        "periods",
        # Only the stay before is looked at: it may be a short one, within a long one.
        """SELECT property_id, min(check_in), max(check_in + nights - 1) FROM (
            SELECT *, count(*) FILTER (WHERE check_in > before OR before IS NULL) OVER (
                PARTITION BY property_id ORDER BY check_in, id) AS island
            FROM (SELECT *, lag(check_in + nights) OVER (
                PARTITION BY property_id ORDER BY check_in, id) AS before FROM booking))
        GROUP BY property_id, island""",
        "when stays of a property overlap, follow each other or lie within another one, it gives",
    ),
    (
        THREE,
        "periods",
        # The day of departure is no night.
        """SELECT property_id, lower(r), upper(r) FROM (SELECT property_id, unnest(range_agg(
            daterange(check_in, check_in + nights))) AS r FROM booking GROUP BY 1)""",
        "(1, 2026-03-02, 2026-03-06) and 5 more, and should give (1, 2026-03-02, 2026-03-05)",
    ),
    (
        THREE,
        "periods",
        "SELECT property_id, min(check_in), max(check_in + nights - 1) FROM booking GROUP BY 1",
        "it gives (1, 2026-03-02, 2026-03-16)",
    ),
    (
        THREE,
        "periods",
        "SELECT property_id, check_in, check_in + nights - 1 FROM booking",
        "it gives (1, 2026-03-02, 2026-03-03) and 1 more, and should give",
    ),
    (
        THREE,
        "invited",
        "WITH RECURSIVE i AS (SELECT 1 AS id UNION "
        "SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id) SELECT id FROM i OFFSET 1",
        "OFFSET without ORDER BY skips whichever rows come first",
    ),
    (
        THREE,
        "invited",
        "WITH RECURSIVE i AS (SELECT 1 AS id UNION "
        "SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id) "
        "SELECT id FROM i ORDER BY id OFFSET 1",
        "in a circle, it gives (1), and should give (0)",
    ),
    (THREE, "invited", GIVEN[THREE]["invited"], "it does not give (3)"),
    (
        THREE,
        "invited",
        "SELECT id FROM guest WHERE invited_by = 1 UNION SELECT g.id FROM guest g "
        "JOIN guest i ON g.invited_by = i.id WHERE i.invited_by = 1",
        "when guests have invited each other in a circle, it",
    ),
    (
        THREE,
        "invited",
        """WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 UNION
            SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id) SELECT id FROM i""",
        "in a circle, it gives (1), which should not be there",
    ),
    (
        THREE,
        "invited",
        """WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 UNION ALL
            SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id)
            CYCLE id SET is_cycle USING path SELECT id FROM i WHERE id <> 1""",
        "in a circle, it gives (2) and 1 more, once too often",
    ),
    (
        THREE,
        "invited",
        "SELECT id FROM guest WHERE invited_by IS NOT NULL AND id <> 1",
        "in a circle, it gives (5) and 1 more, which should not be there",
    ),
    (
        THREE,
        "running",
        "SELECT id, sum(euros) OVER (ORDER BY check_in, created_at, id) FROM booking",
        "when guests arrive on the same day, and properties have the same name, it gives",
    ),
    *(
        (
            THREE,
            "latest",
            f"""SELECT p.name, b.id FROM property p, LATERAL (SELECT id FROM booking
                WHERE property_id = p.id ORDER BY {order} LIMIT 2) b""",
            "and properties have the same name, it gives (Cabin, 3)",
        )
        for order in (
            "check_in DESC",
            "check_in DESC, euros DESC",
            "check_in DESC, created_at DESC, id DESC",
            "check_in DESC, nights DESC, id DESC",
            "check_in + nights DESC, id DESC",
        )
    ),
    (
        THREE,
        "places",
        # Who was booked for nothing has earned as much as who was not booked.
        f"""SELECT p.name, coalesce(sum(euros), 0), dense_rank() OVER (
            PARTITION BY city ORDER BY sum(euros) DESC NULLS LAST) {BOOKED} GROUP BY p.id""",
        "it gives (Tent, 0, 2) and 1 more, and should give (Tent, 0, 1)",
    ),
    (
        THREE,
        "places",
        f"""SELECT DISTINCT p.name, coalesce(sum(euros), 0), dense_rank() OVER (
            PARTITION BY city ORDER BY coalesce(sum(euros), 0) DESC) {BOOKED} GROUP BY p.id""",
        "and some of them nothing, it does not give (Tent, 0, 1)",
    ),
    (
        THREE,
        "periods",
        f"""SELECT property_id, min(night), max(night) FROM (
            SELECT property_id, night, night - row_number() OVER (
                PARTITION BY property_id ORDER BY night)::int AS island
            FROM (SELECT DISTINCT property_id, {NIGHTS}::date AS night FROM booking))
        GROUP BY property_id, island, date_trunc('month', night)""",
        "it gives (2, 2026-03-30, 2026-03-31) and 3 more, and should give",
    ),
    (
        THREE,
        "periods",
        # Numbered over all properties: a night of another one closes a gap.
        f"""SELECT property_id, min(night), max(night) FROM (
            SELECT property_id, night, night - dense_rank() OVER (ORDER BY night)::int AS island
            FROM (SELECT DISTINCT property_id, {NIGHTS}::date AS night FROM booking))
        GROUP BY property_id, island""",
        "it gives (1, 2026-03-01, 2026-03-15)",
    ),
    *(
        (
            THREE,
            "invited",
            f"""WITH RECURSIVE i AS (SELECT id, 1 AS steps FROM guest WHERE invited_by = 1
                UNION ALL SELECT g.id, steps + 1 FROM guest g JOIN i ON g.invited_by = i.id
                WHERE steps < {most}) SELECT DISTINCT id FROM i WHERE id <> 1""",
            "a chain of 120 invitations begins with guest 4, it does not give (181)",
        )
        for most in (10, 100)
    ),
    (
        THREE,
        "invited",
        # An id is no date: who was invited may have the lower one.
        """WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 AND id > 1 UNION ALL
            SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id AND g.id > i.id)
        SELECT id FROM i""",
        "when guests have invited each other in a circle, it does not give (0)",
    ),
    (
        THREE,
        "invited",
        """WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 UNION
            SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id WHERE g.id <> 1)
        SELECT id FROM i""",
        "when guest 1 was invited by guest 1, and a chain of 120 invitations begins with guest 4, "
        "it gives (1), which should not be there",
    ),
    (
        THREE,
        "invited",
        """WITH RECURSIVE i AS (SELECT id, name FROM guest WHERE invited_by = 1 UNION
            SELECT g.id, g.name FROM guest g JOIN i ON g.invited_by = i.id)
        SELECT min(id) FROM i WHERE id <> 1 GROUP BY name""",
        "a chain of 120 invitations begins with guest 4, it does not give (182)",
    ),
    *(
        (
            THREE,
            "running",
            f"SELECT id, sum(euros) OVER ({order}) FROM booking",
            when,
        )
        for order, when in (
            ("ORDER BY check_in, nights DESC, id", "when guests arrive on the same day"),
            ("ORDER BY check_in, euros DESC, id", "on the same day, and properties"),
            ("ORDER BY check_in, guest_id, id", "when guests arrive on the same day"),
            ("ORDER BY check_in, id::text", "when guests arrive on the same day"),
            ("PARTITION BY extract(year FROM check_in) ORDER BY check_in, id", "it gives (10, 40)"),
        )
    ),
    (
        THREE,
        "latest",
        # 9 comes after 15 in a text.
        f"""SELECT name, id FROM (SELECT p.name, b.id, row_number() OVER (
            PARTITION BY p.id ORDER BY check_in DESC, b.id::text DESC) AS n {EARNED})
        WHERE n < 3""",
        "when guests arrive on the same day, and properties have the same name, it gives",
    ),
    (
        THREE,
        "periods",
        # The day of the year begins again in January.
        f"""SELECT property_id, min(night), max(night) FROM (
            SELECT property_id, night, extract(doy FROM night) - row_number() OVER (
                PARTITION BY property_id ORDER BY night) AS island
            FROM (SELECT DISTINCT property_id, {NIGHTS}::date AS night FROM booking))
        GROUP BY property_id, island""",
        "it gives (2, 2026-12-30, 2026-12-31) and 1 more, and should give",
    ),
    (
        THREE,
        "invited",
        """WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 OR invited_by IS NULL
            UNION SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id)
        SELECT id FROM i WHERE id <> 1""",
        "it gives (400) and 1 more, which should not be there",
    ),
]


@pytest.fixture(scope="module")
def box_of(server: None) -> Iterator[Callable[[str], Sandbox]]:  # noqa: ARG001
    """A sandbox for each exercise, for all of its wrong queries: none of them can change it."""
    with ExitStack() as until_done:

        @cache
        def box_of(exercise: str) -> Sandbox:
            build = judges.built(SETS[exercise])
            return until_done.enter_context(database(f"{exercise}_tests", build))

        yield box_of


@pytest.mark.parametrize(
    ("exercise", "name", "query", "hint"),
    WRONG,
    ids=[f"{name}-{number}" for number, (_, name, *_) in enumerate(WRONG)],
)
def test_a_wrong_query(
    box_of: Callable[[str], Sandbox], exercise: str, name: str, query: str, hint: str
) -> None:
    said = hint_for(box_of(exercise), query, QUESTIONS[exercise][name], SETS[exercise])
    assert said is not None
    assert hint in said


@pytest.mark.parametrize(("exercise", "name"), [(e, n) for e in SETS for n in QUESTIONS[e]])
def test_each_question_has_wrong_queries(exercise: str, name: str) -> None:
    assert sum(row[:2] == (exercise, name) for row in WRONG) >= 5


test_right, test_not_yet = tables.tests(
    RIGHT,
    [
        (ONE, {}, "revenue: it is still to be written"),
        (ONE, {"revenue": None}, "revenue: it is still to be written"),
        (ONE, with_answer(ONE, "revenue", 7), "give one SELECT in quotes; this is of type int"),
        (ONE, with_answer(ONE, "revenue", "x" * 6000), "6,000 characters are too many"),
        (ONE, with_answer(ONE, "revenue", "SELEC"), "PostgreSQL says: syntax error"),
        (ONE, with_answer(ONE, "april", "SELECT 1; SELECT 2"), "cannot insert multiple commands"),
        (ONE, with_answer(ONE, "april", "COMMIT"), "gives no rows: write a SELECT"),
        (ONE, with_answer(ONE, "april", "COPY guest TO STDOUT"), "april: COPY gives no rows"),
        (THREE, with_answer(THREE, "running", "SELECT 1, 'infinity'::date"), "running: PostgreSQL"),
        (ONE, SOLVED[ONE] | {"apirl": "SELECT 1"}, "there is no question 'apirl'"),
        (ONE, [SOLVED[ONE]], "should be a dictionary"),
    ],
)  # fmt: skip


@pytest.mark.parametrize("exercise", [ONE, TWO, THREE])
def test_what_the_chapter_gives_is_right_nowhere_and_no_try(exercise: str) -> None:
    verdict = judge_answer(exercise, GIVEN[exercise])
    assert not verdict.right
    assert not verdict.tried
    assert " to go" not in verdict.message


@pytest.mark.parametrize(
    "query",
    [
        "WITH RECURSIVE i AS (SELECT id FROM guest WHERE invited_by = 1 UNION ALL "
        "SELECT g.id FROM guest g JOIN i ON g.invited_by = i.id) SELECT id FROM i",
        "SELECT 1 FROM pg_sleep(60)",
    ],
)
def test_an_endless_query_is_stopped_and_named(query: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SECONDS", 1.5)
    verdict = judge_answer(THREE, with_answer(THREE, "invited", query))
    assert verdict.message == "invited: it was stopped after 1.5 seconds"
