"""The command: `python -m index_report --help`."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from index_report.demo import StartError, demo, end_on_signals
from index_report.render import FORMATS
from index_report.report import LookError, look

NOTHING_FOUND, FOUND, COULD_NOT_LOOK, INTERRUPTED = 0, 1, 2, 130


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0.001 <= seconds <= 86400:
        raise ValueError
    return seconds


_seconds.__name__ = "number of seconds"  # argparse says "invalid … value"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m index_report",
        description="Report what to look at in a PostgreSQL database's indexes. Only reads.",
        epilog="Exit status: 0 nothing found, 1 findings, 2 could not look. "
        "The costliest statements are information, not findings.",
    )
    parser.add_argument(
        "url",
        metavar="DATABASE_URL",
        nargs="?",
        help="postgresql://user@host:5432/database. Without it the environment's DATABASE_URL, "
        "then libpq's PGHOST, PGDATABASE and so on. Keep the password in PGPASSWORD or ~/.pgpass: "
        "all users of the machine can see a command's arguments.",
    )
    parser.add_argument("--format", choices=FORMATS, default="text")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=30,
        metavar="SECONDS",
        help="for connecting, and for each query (default: 30)",
    )
    parser.add_argument(
        "--demo",
        action="store_true",
        help="report on a throw-away server with a small bad schema",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        arguments: those of the command line, unless given.

    Returns:
        The exit status.
    """
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.demo and asked.url:
        parser.error("--demo brings its own database: give no DATABASE_URL")
    url = os.environ.get("DATABASE_URL", "") if asked.url is None else asked.url
    place: AbstractContextManager[str] = demo() if asked.demo else nullcontext(url)
    try:
        with place as database:
            report = look(database, timeout=asked.timeout)
    except (LookError, StartError) as error:
        sys.stderr.write(f"index_report: {error}\n")
        return COULD_NOT_LOOK
    except KeyboardInterrupt:
        sys.stderr.write("index_report: interrupted\n")
        return INTERRUPTED
    try:
        sys.stdout.write(FORMATS[asked.format](report) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:  # `… | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
    return FOUND if report.findings else NOTHING_FOUND


if __name__ == "__main__":
    end_on_signals()
    sys.exit(main())
