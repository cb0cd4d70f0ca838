"""python -m acceptance SUITE --url http://… : test an API from outside, and score it."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from acceptance import __version__, report
from acceptance.api import Api
from acceptance.check import Failed
from acceptance.client import Client, Limits, Unreachable
from acceptance.mapping import Mapping, MappingError
from acceptance.run import FAILED, SKIPPED, Unknown, choose, load, names, run

EPILOG = """\
exit status: 0 if each check passes or is skipped for a good reason; 1 if one fails, or an official
one is skipped; 2 if the run cannot be made (no server, a bad mapping, an unknown name).

Use it on your own API, on a copy of its data: it makes accounts and rows, and deletes none."""


def parser() -> argparse.ArgumentParser:
    """Return the reader of the command's arguments."""
    made = argparse.ArgumentParser(
        prog="python -m acceptance",
        description="Test an API from outside against a case study's requirements.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("suite", nargs="?", help=f"one of: {', '.join(names())}")
    made.add_argument("--url", help="where the API is: http://127.0.0.1:8000")
    made.add_argument("--mapping", type=Path, metavar="FILE", help="TOML: how your API differs")
    made.add_argument(
        "--only", action="append", default=[], metavar="CHECK", help="may be repeated"
    )
    made.add_argument(
        "--list", action="store_true", help="list the checks (or the suites), and end"
    )
    made.add_argument("--show-mapping", action="store_true", help="print the default mapping")
    made.add_argument("--junit", type=Path, metavar="FILE", help="write a report as JUnit XML")
    made.add_argument("--html", type=Path, metavar="FILE", help="write a report as one HTML file")
    made.add_argument("--timeout", type=seconds, default=10.0, help="seconds for one answer (10)")
    made.add_argument("--version", action="version", version=__version__)
    return made


def seconds(text: str) -> float:
    """Return a number of seconds above 0."""
    if not 0 < (value := float(text)) <= 120:
        raise argparse.ArgumentTypeError("a number of seconds from 0 to 120, please")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    reader = parser()
    given = reader.parse_args(arguments)
    try:
        return act(given, reader)
    except (Unknown, MappingError, Unreachable) as error:
        report.say(str(error), error=True)
    except KeyboardInterrupt:
        report.say("Stopped", error=True)
        return 130
    except BrokenPipeError:  # `… --show-mapping | head`: whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at the end
        return 141
    return 2


def act(given: argparse.Namespace, reader: argparse.ArgumentParser) -> int:
    """Do what the arguments ask for."""
    if given.suite is None:
        if not given.list:
            reader.error(f"name a suite: {', '.join(names())}")
        for name in names():
            report.say(f"{name:<12} {load(name).title}")
        return 0
    suite = load(given.suite)
    checks = choose(suite, given.only)
    if given.list:
        report.listed(checks)
        return 0
    if given.show_mapping:
        report.say(Mapping.default(suite.name))
        return 0
    if not given.url:
        reader.error("name the API's address: --url http://127.0.0.1:8000")
    mapping = Mapping.of(suite.name, given.mapping)
    limits = Limits(timeout=given.timeout)
    try:
        client = Client(given.url, limits, headers=mapping.headers())
    except (ValueError, httpx.InvalidURL) as error:
        raise Unknown(str(error)) from None
    try:
        knock(client)
        report.begun(suite, given.url)
        results = run(checks, Api(client, mapping), report.line)
    finally:
        client.close()
    made = report.Report(suite, given.url, tuple(results), client.sent)
    report.terminal(made)
    for path, write in ((given.junit, report.junit), (given.html, report.html)):
        if path is not None:
            try:
                path.write_text(write(made))
            except OSError as error:
                raise Unknown(f"The report {path} cannot be written: {error.strerror}") from None
    bad = [r for r in results if r.state == FAILED or (r.state == SKIPPED and r.check.official)]
    return 1 if bad else 0


def knock(client: Client) -> None:
    """See that somebody is there. What is at / does not matter.

    Raises:
        Unreachable: If no answer comes.
    """
    try:
        client.send("GET", "/")
    except Failed as failure:
        if not client.record:  # a redirect to another host is an answer
            raise Unreachable(
                f"{client.url} gave no answer in HTTP: {failure.came}, wanted: {failure.wanted}"
            ) from None


if __name__ == "__main__":
    sys.exit(main())
