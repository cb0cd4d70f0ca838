"""Questions that a SELECT answers: judged by what it gives, on several sets of rows.

An answer is a dictionary, with a SELECT for each question. Each set of rows is a schema of the
sandbox, so that all of them are made once; an answer may read them and cannot change them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from itertools import islice
from typing import Any

import psycopg
import sqlparse
from psycopg import sql
from psycopg.pq import TransactionStatus
from sqlparse import tokens

from nexus.judging.sandbox import Connection, Sandbox
from nexus.judging.verdict import NotYet, first_line

Row = tuple[Any, ...]

LONGEST = 5_000
"""Characters of a SELECT."""

SHOWN = 70
"""Characters of a row that a hint shows."""


@dataclass(frozen=True)
class Rows:
    """A set of rows on which the answers are tried.

    Attributes:
        name: of its schema.
        when: what is particular about it, as the beginning of a hint: "when no guest has booked".
        insert: fills the tables.
        settings: of the session in which the answers run.
    """

    name: str
    when: str
    insert: Sequence[str]
    settings: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Question:
    """A question, and what its answer must give.

    Attributes:
        select: gives the rows that are wanted.
        ask: what to say to an answer that gives others; it gives no solution away.
        sets: the names of the sets of rows that it is tried on; all by default.
        digits: after the point, to which numbers must agree.
        is_ordered: whether the order of the rows counts.
    """

    select: str
    ask: str
    sets: Sequence[str] = ()
    digits: int = 6
    is_ordered: bool = False


def build(connection: Connection, tables: str, sets: Sequence[Rows]) -> None:
    """Makes a schema for each set of rows, which everybody may read.

    Args:
        connection: to the empty template of a sandbox.
        tables: creates the tables.
        sets: what they hold.
    """
    for rows in sets:
        name = sql.Identifier(rows.name)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("SET search_path TO {}").format(name))
        connection.execute(tables)  # type: ignore[arg-type]
        for statements in rows.insert:
            connection.execute(statements)  # type: ignore[arg-type]
        connection.execute(sql.SQL("GRANT USAGE ON SCHEMA {} TO PUBLIC").format(name))
        grant = sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {} TO PUBLIC")
        connection.execute(grant.format(name))
    connection.execute("ANALYZE")


def judge_questions(
    box: Sandbox,
    answers: Mapping[Any, Any],
    questions: Mapping[str, Question],
    sets: Sequence[Rows],
) -> str:
    """Judges all answers, and tells about the first that is not right.

    Args:
        box: a database made by `build`.
        answers: a SELECT for each question, by its name.
        questions: in the order of the chapter.
        sets: the same as for `build`.

    Returns:
        What was checked.

    Raises:
        NotYet: if one is not right.
    """
    if unknown := [name for name in islice(answers, 100) if name not in questions]:
        raise NotYet(f"there is no question {str(unknown[0])[:40]!r}; {', '.join(questions)} are")
    right, hints, name = list[str](), list[str](), ""
    try:
        with box.watched():  # one time limit for all of them
            for name, question in questions.items():
                hint = hint_for(box, answers.get(name), question, sets)
                if hint is None:
                    right.append(name)
                else:
                    hints.append(f"{name}: {hint}")
    except NotYet as stopped:
        raise NotYet(f"{name}: {stopped}") from None
    if hints:
        done = f"{', '.join(right)} right, {len(hints)} to go. " if right else ""
        raise NotYet(done + hints[0])
    return (
        f"all {len(questions)} queries give the rows that are wanted, on {len(sets)} sets of rows: "
        + "; ".join(rows.when for rows in sets)
    )


def hint_for(box: Sandbox, answer: object, question: Question, sets: Sequence[Rows]) -> str | None:
    """What is to be said of an answer; None if it is right.

    Raises:
        NotYet: if it takes too long, or leaves a session in which nothing else can run.
    """
    if answer is None or answer is ... or answer == "":
        return f"it is still to be written. {question.ask}"
    if not isinstance(answer, str):
        return f"give one SELECT in quotes; this is of type {type(answer).__name__}"
    if len(answer) > LONGEST:
        return f"{len(answer):,} characters are too many: a few lines will do"
    for rows in sets:
        if question.sets and rows.name not in question.sets:
            continue
        path = sql.SQL("SET search_path TO {}").format(sql.Identifier(rows.name))
        box.admin.execute(path)
        wanted = box.admin.execute(question.select, binary=True)  # type: ignore[arg-type]
        try:
            box.learner.execute("RESET ALL")
            box.learner.execute(path)
            for setting, value in (rows.settings or {}).items():
                box.learner.execute("SELECT set_config(%s, %s, false)", [setting, value])
            # In the protocol's extended form: a second statement is refused by PostgreSQL.
            given = box.learner.execute(answer, binary=True)  # type: ignore[arg-type]
            found = given.fetchall() if given.description else []
        except (psycopg.OperationalError, psycopg.errors.QueryCanceled):
            raise  # it took too long
        except psycopg.Error as error:
            if box.learner.info.transaction_status == TransactionStatus.ACTIVE:
                raise NotYet("COPY gives no rows: write a SELECT") from None
            return f"PostgreSQL says: {first_line(error)}"
        if given.description is None:
            return "that statement gives no rows: write a SELECT"
        columns, number = len(wanted.description or ()), len(given.description)
        if number != columns:
            return f"it gives {number} columns, and {columns} are asked for"
        differs = difference(
            [plain(row, question.digits) for row in wanted.fetchall()],
            [plain(row, question.digits) for row in found],
            is_ordered=question.is_ordered,
        )
        if differs:
            return f"{rows.when}, {differs}. {question.ask}"
    if skips_any(answer):
        return "OFFSET without ORDER BY skips whichever rows come first. Say which rows you mean"
    return None


def skips_any(query: str) -> bool:
    """Whether a query skips rows in no order: PostgreSQL promises none, so it is right by luck.

    Args:
        query: a SELECT. `OFFSET 0` skips nothing, and is a way to keep a subquery apart.
    """
    levels = [[False, False]]  # has an order, skips rows; one for each open parenthesis
    words = [token for token in sqlparse.parse(query)[0].flatten() if not token.is_whitespace]
    for word, after in zip(words, [*words[1:], None], strict=True):
        if word.value == "(":
            levels.append([False, False])
        elif word.value == ")" and len(levels) > 1:
            has_order, skips = levels.pop()
            if skips and not has_order:
                return True
        elif word.ttype in tokens.Keyword:
            levels[-1][0] |= word.normalized == "ORDER BY"
            levels[-1][1] |= word.normalized == "OFFSET" and (after is None or after.value != "0")
    return any(skips and not has_order for has_order, skips in levels)


def plain(row: Row, digits: int) -> Row:
    """A row whose values can be compared, whatever the type of their columns."""
    return tuple(_plain(value, digits) for value in row)


def _plain(value: object, digits: int) -> object:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = round(float(value), digits)
        return int(number) if number.is_integer() else number
    if isinstance(value, datetime):
        return value.date() if value.time() == time.min else value
    if isinstance(value, date | str | bool) or value is None:
        return value
    return str(value)


def difference(wanted: list[Row], given: list[Row], *, is_ordered: bool) -> str:
    """What is wrong with the rows; nothing if they are those that are wanted."""
    missing, extra = Counter(wanted) - Counter(given), Counter(given) - Counter(wanted)
    if missing and extra:
        return f"it gives {shown(extra)}, and should give {shown(missing)}"
    if missing:
        return f"it does not give {shown(missing)}"
    if extra:
        again = (
            "once too often" if min(extra, key=in_order) in wanted else "which should not be there"
        )
        return f"it gives {shown(extra)}, {again}"
    if is_ordered and wanted != given:
        return "the rows are right, and their order is not"
    return ""


def in_order(row: Row) -> list[str]:
    """By which rows of any types are sorted, so that hints name the same ones each time."""
    return [str(value) for value in row]


def shown(rows: Counter[Row]) -> str:
    """One of some rows, and how many more there are."""
    row = min(rows, key=in_order)
    values = ", ".join("NULL" if value is None else str(value) for value in row)
    text = values if len(values) <= SHOWN else f"{values[:SHOWN]}…"
    more = rows.total() - 1
    return f"({text})" + (f" and {more} more" if more else "")
