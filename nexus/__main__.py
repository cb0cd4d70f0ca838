"""Your progress from a terminal: `python -m nexus --help`."""

import argparse
import signal
import sys

import nexus
from nexus.judging.records import ProgressError


def main(arguments: list[str] | None = None) -> int:
    """Runs a command.

    Args:
        arguments: the words after the program's name.

    Returns:
        The exit status: 0, or 1 if the command could not be done.
    """
    parser = argparse.ArgumentParser(prog="python -m nexus", description="Your progress.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("progress", help="show what you have solved")
    plan = commands.add_parser("plan", help="plan two weeks of what is not solved yet")
    plan.add_argument("--start", help="the first day, such as 2026-12-01; today by default")
    plan.add_argument("--minutes", type=int, default=45, help="at most, each day (45)")
    for name, said in (
        ("export", "write what you have solved into one file"),
        ("import", "merge such a file into your progress"),
        ("portfolio", "draw what you have solved, as an SVG file"),
    ):
        command = commands.add_parser(name, help=said)
        command.add_argument("file")
        if name == "portfolio":
            command.add_argument("--name", default="", help="whose skills")
    asked = parser.parse_args(arguments)
    try:
        print(run(asked))  # noqa: T201 (a command)
    except (ProgressError, ValueError) as error:
        print(f"nexus: {error}", file=sys.stderr)  # noqa: T201 (a command)
        return 1
    return 0


def run(asked: argparse.Namespace) -> object:
    """Does what is asked, and returns what to print."""
    match asked.command:
        case "progress":
            return nexus.progress()
        case "plan":
            return nexus.study_plan(asked.start, minutes=asked.minutes)
        case "export":
            return f"written: {nexus.export_progress(asked.file)}"
        case "import":
            return nexus.import_progress(asked.file)
    nexus.portfolio(asked.file, name=asked.name)
    return f"written: {asked.file}"


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # with `… | head`, it ends in silence
    sys.exit(main())
