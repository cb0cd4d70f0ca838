"""What the conventional cell magics do not give: %%psql and %%explain; and short tracebacks."""

import re
import shlex
from functools import partial
from typing import TYPE_CHECKING, cast

import sqlparse

from nexus import needs
from nexus.services import Postgres, current

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class PsqlError(Exception):
    """SQL that PostgreSQL refused; the message is psql's own."""


def run_psql(server: Postgres, sql: str, *options: str) -> None:
    r"""Runs SQL through psql and prints what psql prints.

    Args:
        server: where to run it.
        sql: what to run; psql's own commands, such as \\d, too.
        *options: psql's own, such as "-x".

    Raises:
        PsqlError: at the first error; what came before it is printed.
    """
    done = server.psql(sql, *options)
    # psql names itself by its whole path; where it is installed is nobody's lesson.
    notices, error = split_error(done.stderr.replace(server.program("psql"), "psql"))
    output = notices + done.stdout
    if output.strip():
        print(output.rstrip("\n"))  # noqa: T201 (a cell's output)
    if done.returncode != 0:
        raise PsqlError(error.strip() or f"psql ended with status {done.returncode}")


def split_error(stderr: str) -> tuple[str, str]:
    """Parts what psql wrote on standard error into notices and the error that ended it."""
    start = re.search(r"^(ERROR|FATAL|psql|invalid command|unterminated)\b", stderr, re.M)
    if start is None:
        return stderr, ""
    return stderr[: start.start()], stderr[start.start() :]


def parse(shell: "InteractiveShell", line: str) -> tuple[Postgres, list[str]]:
    """Which PostgreSQL a magic's line names (the one started last if none), and its options.

    Raises:
        ServiceError: if no PostgreSQL is running.
    """
    words = shlex.split(line)
    server = shell.user_ns.get(words[0]) if words else None
    if isinstance(server, Postgres):
        return server, words[1:]
    return cast(Postgres, current("postgres")), words


def psql(shell: "InteractiveShell", line: str, cell: str) -> None:
    r"""The %%psql cell magic.

    `%%psql` runs the cell on the PostgreSQL that was started last; `%%psql replica` on the one
    that the variable `replica` holds. What follows are psql's own options: `%%psql -x`.

    Args:
        shell: the notebook's shell.
        line: what stands behind %%psql.
        cell: the SQL, and psql's own commands, such as \\d.

    Raises:
        PsqlError: at the first error, with psql's message.
        ServiceError: if no PostgreSQL is running.
    """
    server, options = parse(shell, line)
    run_psql(server, cell, *options)


def explain(shell: "InteractiveShell", line: str, cell: str) -> None:
    """The %%explain cell magic: a statement's plan with the rows and buffers of a real run.

    It prints what EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF, SUMMARY OFF) prints, less the
    frame, so that the figures are the same in every run: the statement is run once before, so that
    reading the system catalogues is not counted, and both runs are rolled back.

    Args:
        shell: the notebook's shell.
        line: a variable that holds a server, as for %%psql, and further options of EXPLAIN: WAL.
        cell: one SQL statement.

    Raises:
        PsqlError: if PostgreSQL refuses it.
        ServiceError: if no PostgreSQL is running.
    """
    server, further = parse(shell, line)
    options = ["ANALYZE", "BUFFERS", *further, "COSTS OFF", "TIMING OFF", "SUMMARY OFF"]
    statement, *more = sqlparse.split(cell, strip_semicolon=True) or [""]
    if more or not statement:
        raise PsqlError("%%explain takes one statement")
    script = (
        f"BEGIN;\n\\o /dev/null\n{statement};\n\\o\nROLLBACK;\n"
        f"BEGIN;\nEXPLAIN ({', '.join(options)})\n{statement};\nROLLBACK;\n"
    )
    run_psql(server, script, "--no-align", "--tuples-only")


def load(shell: "InteractiveShell") -> None:
    """Registers the magics, and makes tracebacks one line: a chapter's errors are its lesson.

    A cell that needs what this machine lacks is replaced by a line that says so (nexus.needs).

    `%xmode Verbose` brings the long ones back.
    """
    for magic in (psql, explain):
        shell.register_magic_function(partial(magic, shell), "cell", magic.__name__)
    shell.input_transformers_cleanup.append(needs.transform)
    shell.InteractiveTB.set_mode("Minimal")
