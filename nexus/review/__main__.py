"""The command: `python -m nexus.review PATH`."""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from nexus.review import NotAProjectError, look, report

ENDS = """\
exit status:
  0  nothing serious: no error and no warning (there may be notes)
  1  at least one error or warning
  2  bad use: no such path, not a Django project, a report that cannot be written
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Reviews a project, and prints what was found.

    Args:
        arguments: of the command line; by default those that were given.

    Returns:
        The exit status: 0 for nothing serious, 1 for findings, 2 for bad use.
    """
    parser = argparse.ArgumentParser(
        prog="python -m nexus.review",
        description="Look at a Django project as a reviewer would. Nothing is changed, and no code "
        "of the project is run unless you give --run.",
        epilog=ENDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", metavar="PATH", help="the folder that holds manage.py")
    parser.add_argument(
        "--run",
        action="store_true",
        help="also run manage.py check --deploy and the migration linter, with your environment",
    )
    parser.add_argument("--html", metavar="FILE", type=Path, help="also write the report as a page")
    parser.add_argument("--notes", action="store_true", help="show notes, too")
    parser.add_argument(
        "--ignore",
        metavar="RULE",
        action="append",
        default=[],
        help="leave out what a rule finds",
    )
    given = parser.parse_args(arguments)
    try:
        review = look(given.path, run=given.run, ignore=given.ignore)
    except NotAProjectError as error:
        print(f"nexus.review: {error}", file=sys.stderr)  # noqa: T201
        return 2
    print(report.text(review, notes=given.notes))  # noqa: T201
    if given.html is not None:
        try:
            given.html.write_text(report.html(review), encoding="utf-8")
        except OSError as error:
            why = error.strerror
            print(f"nexus.review: {given.html} cannot be written: {why}", file=sys.stderr)  # noqa: T201
            return 2
        print(f"The page is {given.html}")  # noqa: T201
    return 1 if review.serious else 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # with `… | head`, it ends in silence
    sys.exit(main())
