"""Judges of "SQL": queries are judged by the rows that they give, on several sets of rows."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from nexus.judging import judge
from nexus.judging.questions import Question, Rows, build, judge_questions
from nexus.judging.sandbox import Connection, database

TABLES = """
    CREATE TABLE property (id int PRIMARY KEY, name text NOT NULL, city text NOT NULL);
    CREATE TABLE guest (id int PRIMARY KEY, name text NOT NULL, invited_by int REFERENCES guest);
    CREATE TABLE booking (
        id          int PRIMARY KEY,
        property_id int NOT NULL REFERENCES property,
        guest_id    int REFERENCES guest,
        check_in    date NOT NULL,
        nights      int NOT NULL,
        euros       int NOT NULL,
        created_at  timestamptz NOT NULL
    );
    CREATE TABLE review (
        id int PRIMARY KEY, property_id int NOT NULL REFERENCES property, stars int NOT NULL
    );
"""
PLACES = """
    INSERT INTO property VALUES
        (1, 'Cabin', 'Accra'), (2, 'Loft', 'Accra'), (3, 'Villa', 'Lagos'), (4, 'Tent', 'Lagos');
    INSERT INTO guest VALUES
        (1, 'Amina', NULL), (2, 'Bode', 1), (3, 'Chidi', 2), (4, 'Dalila', 1);
"""
CHAPTER = Rows(
    "chapter",
    "on the rows of the chapter",
    (
        PLACES,
        """
    INSERT INTO booking VALUES
        (1, 1, 1, '2026-03-02', 2, 200, '2026-02-20 09:00Z'),
        (2, 1, 2, '2026-03-04', 2, 200, '2026-02-20 18:00Z'),
        (3, 1, 1, '2026-03-12', 5, 500, '2026-03-01 12:00Z'),
        (4, 2, 3, '2026-03-12', 1, 90, '2026-03-01 15:00Z'),
        (5, 3, NULL, '2026-03-28', 3, 900, '2026-03-05 08:00Z'),
        (6, 3, 2, '2026-04-10', 2, 600, '2026-03-31 14:00Z'),
        (7, 3, 1, '2026-04-20', 2, 600, '2026-03-31 23:30Z');
    INSERT INTO review VALUES (1, 1, 5), (2, 1, 5), (3, 1, 5), (4, 2, 1), (5, 3, 4);
    """,
    ),
)
EMPTY = Rows("empty", "when the tables are empty", ())
NOTHING = Rows("nothing", "when nothing was booked and nothing was reviewed", (PLACES,))

JOINS = (
    CHAPTER,
    NOTHING,
    Rows(
        "equal",
        "when bookings have equal prices and days, and reviews equal stars",
        (
            PLACES,
            """
        INSERT INTO booking
        SELECT i, 1 + i % 2, CASE WHEN i < 5 THEN 1 END, date '2026-04-01' + i / 3, 1, 70,
               '2026-03-01 12:00Z'
        FROM generate_series(1, 6) AS i;
        INSERT INTO review VALUES (1, 1, 4), (2, 1, 4), (3, 2, 5), (4, 2, 5), (5, 3, 5), (6, 3, 4),
            (7, 3, 5);
        """,
        ),
    ),
    Rows(
        "names",
        "when two properties and two guests have the same name",
        (
            PLACES,
            """
        UPDATE property SET name = 'Cabin' WHERE id = 3;
        INSERT INTO property VALUES (5, 'Tent', 'Lagos');
        UPDATE guest SET name = 'Bode' WHERE id IN (3, 4);
        INSERT INTO booking VALUES
            (1, 1, 2, '2026-04-02', 2, 200, '2026-02-20 09:00Z'),
            (2, 3, 2, '2026-04-04', 2, 300, '2026-02-20 18:00Z');
        INSERT INTO review VALUES (1, 1, 5), (2, 3, 2);
        """,
        ),
    ),
    Rows(
        "edges",
        "when guests arrive on the first and the last day of April, and in other months",
        (
            PLACES,
            """
        INSERT INTO booking VALUES
            (1, 1, 1, '2026-03-31', 2, 200, '2026-02-20 09:00Z'),
            (2, 1, 3, '2026-04-01', 2, 210, '2026-02-20 18:00Z'),
            (3, 2, 3, '2026-04-30', 2, 220, '2026-02-20 18:00Z'),
            (4, 3, 4, '2026-05-01', 2, 230, '2026-02-20 18:00Z'),
            (5, 3, 1, '2025-04-10', 2, 240, '2025-02-20 18:00Z');
        """,
        ),
    ),
    EMPTY,
)
QUESTIONS_1 = {
    "revenue": Question(
        """
        SELECT name, coalesce((SELECT sum(euros) FROM booking WHERE property_id = p.id), 0),
               (SELECT count(*) FROM review WHERE property_id = p.id)
        FROM property AS p
        """,
        ask="How many rows does a booking have after the two joins?",
    ),
    "april": Question(
        """
        SELECT name, (
            SELECT count(*) FROM booking
            WHERE property_id = p.id AND check_in >= '2026-04-01' AND check_in < '2026-05-01'
        )
        FROM property AS p
        """,
        ask="Which rows does each condition remove, and what is counted where there is no booking?",
    ),
    "silent": Question(
        """
        SELECT name FROM guest AS g
        WHERE NOT EXISTS (SELECT FROM booking AS b WHERE b.guest_id = g.id)
        """,
        ask="Look for a NULL among the values that you compare, and at guests of the same name. "
        "What is known of each guest?",
    ),
    "stars": Question(
        """
        SELECT city, avg(stars) FROM property AS p JOIN review AS r ON r.property_id = p.id
        GROUP BY city
        """,
        ask="Does each review count as much as every other one?",
        digits=1,
    ),
}
GIVEN_1 = {
    "revenue": """
        SELECT p.name, sum(b.euros), count(r.id) FROM property p
        LEFT JOIN booking b ON b.property_id = p.id
        LEFT JOIN review r ON r.property_id = p.id GROUP BY p.name""",
    "april": """
        SELECT p.name, count(*) FROM property p LEFT JOIN booking b ON b.property_id = p.id
        WHERE b.check_in BETWEEN '2026-04-01' AND '2026-05-01' GROUP BY p.name""",
    "silent": "SELECT name FROM guest WHERE id NOT IN (SELECT guest_id FROM booking)",
    "stars": """
        SELECT city, avg(stars) FROM (SELECT city, avg(stars) AS stars FROM property p
        JOIN review r ON r.property_id = p.id GROUP BY p.id) GROUP BY city""",
}

GROUPS = (
    CHAPTER,
    Rows(
        "midnight",
        "in a session in New York, with bookings around midnight in Lagos",
        (
            PLACES,
            """
        INSERT INTO booking VALUES
            (1, 1, 1, '2026-03-02', 1, 200, '2026-02-28 22:59:59Z'),
            (2, 1, NULL, '2026-03-04', 2, 210, '2026-02-28 23:00Z'),
            (3, 1, 2, '2026-03-12', 4, 520, '2026-03-03 22:59:59.999999Z'),
            (4, 2, 3, '2026-03-14', 9, 90, '2026-03-03 23:30Z'),
            (5, 3, 4, '2026-04-14', 3, 95, '2026-03-07 22:30Z'),
            (6, 3, 4, '2026-04-15', 4, 95, '2026-03-07 23:00Z'),
            (7, 2, 3, '2026-03-23', 9, 90, '2026-03-03 23:30Z');
        """,
        ),
        {"timezone": "America/New_York"},
    ),
    Rows(
        "years",
        "when there are bookings of other years, and a city without bookings in 2026",
        (
            PLACES,
            """
        INSERT INTO property VALUES (5, 'Attic', 'Cairo'), (6, 'Loft', 'Cairo');
        INSERT INTO booking VALUES
            (1, 1, NULL, '2026-03-01', 1, 200, '2026-02-20 09:00Z'),
            (2, 1, 2, '2026-03-31', 2, 210, '2026-02-20 18:00Z'),
            (3, 2, NULL, '2026-04-01', 5, 520, '2025-03-04 12:00Z'),
            (4, 2, 3, '2026-04-30', 2, 90, '2026-02-20 18:00Z'),
            (5, 2, 3, '2026-05-01', 2, 90, '2026-02-20 18:00Z'),
            (6, 5, 4, '2025-03-14', 3, 95, '2025-02-20 18:00Z'),
            (7, 5, NULL, '2025-04-14', 8, 95, '2025-02-20 18:00Z'),
            (8, 6, NULL, '2025-04-14', 8, 95, '2025-02-20 18:00Z');
        """,
        ),
    ),
    Rows(
        "names",
        "when two properties of a city have the same name",
        (
            PLACES,
            """
        UPDATE property SET name = 'Loft' WHERE id = 1;
        INSERT INTO booking VALUES
            (1, 1, NULL, '2026-03-01', 1, 200, '2026-02-20 09:00Z'),
            (2, 2, 2, '2026-03-31', 2, 200, '2026-02-20 18:00Z'),
            (3, 3, 3, '2026-04-01', 1, 520, '2026-03-04 12:00Z'),
            (4, 3, 1, '2026-04-05', 1, 110, '2026-02-20 18:00Z'),
            (5, 4, 1, '2026-04-06', 2, 120, '2026-02-20 18:00Z'),
            (6, 3, 2, '2026-04-07', 2, 130, '2026-02-20 18:00Z');
        """,
        ),
    ),
    NOTHING,
    EMPTY,
)
QUESTIONS_2 = {
    "share": Question(
        """
        SELECT city, avg(CASE WHEN guest_id IS NULL THEN 100 ELSE 0 END)
        FROM booking AS b JOIN property AS p ON p.id = b.property_id GROUP BY city
        """,
        ask="Which type has each number that you divide, and which rows does it count?",
        digits=1,
    ),
    "months": Question(
        """
        SELECT city,
               coalesce(sum(euros) FILTER (
                   WHERE check_in >= '2026-03-01' AND check_in < '2026-04-01'), 0),
               coalesce(sum(euros) FILTER (
                   WHERE check_in >= '2026-04-01' AND check_in < '2026-05-01'), 0)
        FROM property AS p LEFT JOIN booking AS b ON b.property_id = p.id GROUP BY city
        """,
        ask="Does each city have one row, also one without a booking, and only these two months?",
    ),
    "days": Question(
        """
        SELECT date '2026-03-01' + i, count(b.id)
        FROM generate_series(0, 6) AS i
        LEFT JOIN booking AS b
            ON (b.created_at AT TIME ZONE 'Africa/Lagos')::date = date '2026-03-01' + i
        GROUP BY i
        """,
        ask="Where do the days come from, and in which time zone does each begin?",
    ),
    "totals": Question(
        """
        SELECT city, name, sum(euros) FROM property AS p JOIN booking AS b ON b.property_id = p.id
        GROUP BY ROLLUP (city, (p.id, name))
        """,
        ask="Which sets of columns should the rows be grouped by, and what tells two properties "
        "apart?",
        sets=("chapter", "midnight", "years", "names"),
    ),
    "median": Question(
        """
        SELECT city, percentile_cont(0.5) WITHIN GROUP (ORDER BY nights)
        FROM property AS p JOIN booking AS b ON b.property_id = p.id GROUP BY city
        """,
        ask="Which value has as many below it as above it?",
        digits=1,
    ),
}
GIVEN_2 = {
    "share": """
        SELECT p.city, count(*) FILTER (WHERE b.guest_id IS NULL) / count(*) * 100
        FROM booking b JOIN property p ON p.id = b.property_id GROUP BY p.city""",
    "months": """
        SELECT p.city, extract(month FROM b.check_in), sum(b.euros)
        FROM property p JOIN booking b ON b.property_id = p.id GROUP BY p.city, 2""",
    "days": """
        SELECT created_at::date, count(*) FROM booking
        WHERE created_at BETWEEN '2026-03-01' AND '2026-03-07' GROUP BY 1""",
    "totals": """
        SELECT p.city, p.name, sum(b.euros) FROM property p
        JOIN booking b ON b.property_id = p.id GROUP BY p.city, p.name""",
    "median": """
        SELECT p.city, avg(b.nights) FROM property p
        JOIN booking b ON b.property_id = p.id GROUP BY p.city""",
}

WINDOWS = (
    CHAPTER,
    Rows(
        "ties",
        "when guests arrive on the same day, and properties have the same name",
        (
            PLACES,
            """
        UPDATE property SET name = 'Cabin' WHERE id IN (3, 4);
        INSERT INTO booking
        SELECT i, 1 + i % 3, 1 + other % 4, date '2026-04-07' - i % 2, other, 10 * other,
               timestamptz '2026-03-01 12:00Z' + other * interval '1 hour'
        FROM unnest(ARRAY[3, 6, 9, 15, 8, 7, 13, 5, 4, 2, 1]) AS i,
             LATERAL (SELECT 10 - i * 7 % 10) AS o(other);
        """,
        ),
    ),
    Rows(
        "places",
        "when properties of one city have earned the same, and some of them nothing",
        (
            PLACES,
            """
        INSERT INTO property VALUES (5, 'Attic', 'Accra'), (6, 'Barn', 'Accra'),
            (7, 'Hut', 'Accra'), (8, 'Tent', 'Lagos');
        INSERT INTO booking VALUES
            (1, 1, 1, '2026-03-02', 2, 200, '2026-02-20 09:00Z'),
            (2, 2, 2, '2026-03-04', 2, 150, '2026-02-20 18:00Z'),
            (3, 2, 2, '2026-03-12', 1, 50, '2026-02-20 18:00Z'),
            (4, 5, 3, '2026-03-14', 9, 90, '2026-02-20 18:00Z'),
            (5, 6, 3, '2026-03-15', 9, 400, '2026-02-20 18:00Z'),
            (6, 3, 3, '2026-03-16', 1, 0, '2026-02-20 18:00Z');
        """,
        ),
    ),
    Rows(
        "overlap",
        "when stays of a property overlap, follow each other or lie within another one",
        (
            PLACES,
            """
        INSERT INTO booking VALUES
            (7, 1, 1, '2026-03-01', 10, 200, '2026-02-20 09:00Z'),
            (6, 1, 2, '2026-03-03', 2, 150, '2026-02-20 18:00Z'),
            (5, 1, 2, '2026-03-08', 5, 50, '2026-02-20 18:00Z'),
            (4, 1, 3, '2026-03-13', 1, 90, '2026-02-20 18:00Z'),
            (3, 1, 3, '2026-03-15', 1, 40, '2026-02-20 18:00Z'),
            (2, 2, 3, '2026-03-14', 1, 40, '2026-02-20 18:00Z'),
            (1, 2, 3, '2026-03-14', 1, 40, '2026-02-20 18:00Z'),
            (8, 2, 3, '2026-03-30', 4, 40, '2026-02-20 18:00Z'),
            (9, 2, 3, '2026-12-30', 4, 40, '2026-02-20 18:00Z'),
            (10, 1, 3, '2027-02-01', 1, 40, '2026-02-20 18:00Z');
        """,
        ),
    ),
    Rows(
        "circle",
        "when guests have invited each other in a circle",
        (
            PLACES,
            """
        UPDATE guest SET invited_by = 3 WHERE id = 1;
        INSERT INTO guest VALUES (5, 'Esi', 5), (6, 'Farouk', 3), (7, 'Grace', 6),
            (8, 'Hawa', 5), (0, 'Imani', 7);
        """,
        ),
    ),
    Rows(
        "chain",
        "when guest 1 was invited by guest 1, and a chain of 120 invitations begins with guest 4",
        (
            PLACES,
            """
        UPDATE guest SET invited_by = 1 WHERE id = 1;
        INSERT INTO guest
        SELECT i, 'Kofi', CASE WHEN i = 300 THEN 4 ELSE i + 1 END
        FROM generate_series(181, 300) AS i;
        INSERT INTO guest VALUES (400, 'Kwame', NULL), (401, 'Kofi', 400);
        """,
        ),
    ),
    EMPTY,
)
QUESTIONS_3 = {
    "running": Question(
        "SELECT id, sum(euros) OVER (ORDER BY check_in, id) FROM booking",
        ask="Which rows does the frame hold if two bookings begin on one day?",
    ),
    "latest": Question(
        """
        SELECT p.name, b.id FROM property AS p, LATERAL (
            SELECT id FROM booking WHERE property_id = p.id ORDER BY check_in DESC, id DESC LIMIT 2
        ) AS b
        """,
        ask="Of which property are the rows that you number, and what decides between equals?",
    ),
    "places": Question(
        """
        SELECT name, euros, dense_rank() OVER (PARTITION BY city ORDER BY euros DESC) FROM (
            SELECT p.city, p.name, coalesce(sum(b.euros), 0) AS euros
            FROM property AS p LEFT JOIN booking AS b ON b.property_id = p.id GROUP BY p.id
        )
        """,
        ask="Which rows are compared, where does a NULL sort, and which number follows two equals?",
    ),
    "periods": Question(
        """
        SELECT property_id, lower(period), upper(period) - 1 FROM (
            SELECT property_id, unnest(range_agg(daterange(check_in, check_in + nights))) AS period
            FROM booking GROUP BY property_id
        )
        """,
        ask="Which nights are occupied, and what do the nights of one period have in common?",
    ),
    "invited": Question(
        """
        WITH RECURSIVE invited AS (
            SELECT id FROM guest WHERE invited_by = 1
            UNION SELECT g.id FROM guest AS g JOIN invited AS i ON g.invited_by = i.id
        )
        SELECT id FROM invited WHERE id <> 1
        """,
        ask="How does the query go on from the guests that it has found, and when does it end?",
    ),
}
GIVEN_3 = {
    "running": "SELECT id, sum(euros) OVER (ORDER BY check_in) FROM booking",
    "latest": """
        SELECT p.name, b.id FROM property p JOIN booking b ON b.property_id = p.id
        ORDER BY b.check_in DESC LIMIT 2""",
    "places": """
        SELECT p.name, sum(b.euros), row_number() OVER (ORDER BY sum(b.euros) DESC)
        FROM property p LEFT JOIN booking b ON b.property_id = p.id GROUP BY p.id""",
    "periods": "SELECT property_id, check_in, check_in + nights FROM booking",
    "invited": "SELECT id FROM guest WHERE invited_by = 1",
}


def built(sets: Sequence[Rows]) -> Callable[[Connection], None]:
    """Gives what makes the tables of an exercise, with each set of rows."""
    return partial(build, tables=TABLES, sets=sets)


@judge(
    "sql-joins-to-windows.1",
    takes=dict,
    called="a dictionary with SQL in quotes",
    hint="give a dictionary with a SELECT for each name. Which rows does each join make?",
    stub=GIVEN_1,
)
def joins(answer: dict[Any, Any]) -> str:
    """Right if all four queries give the right rows."""
    with database("nexus_sql_joins", built(JOINS)) as box:
        return judge_questions(box, answer, QUESTIONS_1, JOINS)


@judge(
    "sql-joins-to-windows.2",
    takes=dict,
    called="a dictionary with SQL in quotes",
    hint="give a dictionary with a SELECT for each name. Which rows make a group?",
    stub=GIVEN_2,
)
def groups(answer: dict[Any, Any]) -> str:
    """Right if all five queries give the right rows."""
    with database("nexus_sql_groups", built(GROUPS)) as box:
        return judge_questions(box, answer, QUESTIONS_2, GROUPS)


@judge(
    "sql-joins-to-windows.3",
    takes=dict,
    called="a dictionary with SQL in quotes",
    hint="give a dictionary with a SELECT for each name. Which rows are in each window?",
    stub=GIVEN_3,
)
def windows(answer: dict[Any, Any]) -> str:
    """Right if all five queries give the right rows."""
    with database("nexus_sql_windows", built(WINDOWS)) as box:
        return judge_questions(box, answer, QUESTIONS_3, WINDOWS)
