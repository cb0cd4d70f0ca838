"""The gates: everything that must hold before a change is good. `make test` runs them all.

    python -m local.gates                 all of them
    python -m local.gates lint            those that need no server
    python -m local.gates ruff tests      some, by their names

Every gate runs, whatever came of the others. Each says one line when it ends: whether it holds, its
number, and how long it took. One that does not hold says why. The tests, which take longest, run
beside the others.
"""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from local.environment import variables
from local.kept import ROOT
from local.servers import StartError, servers

PYTHON = sys.executable
BIN = Path(PYTHON).parent
NOWHERE = variables(
    database="postgresql://postgres@127.0.0.1:9/postgres",
    valkey="redis://127.0.0.1:9",
    provider="http://127.0.0.1:9",
)
"""For what reads the settings and needs no server."""
COLOURS = ("FORCE_COLOR", "CLICOLOR_FORCE", "MYPY_FORCE_COLOR", "PY_COLORS")
"""Variables that ask for colours also where nobody looks."""
PLAIN = {"NO_COLOR": "1", "PYTHON_COLORS": "0"}


@dataclass(frozen=True)
class Gate:
    """A command, and where in what it says its number stands.

    Attributes:
        name: What to call it.
        command: The program and its arguments.
        number: A pattern for what it says when it holds, with groups for what to show; or a text,
            for a program that says nothing then.
        needs_database: Whether it needs PostgreSQL.
        environment: Variables that it needs besides.
        follow: Whether to show what it says while it runs.
    """

    name: str
    command: tuple[str, ...]
    number: "re.Pattern[str] | str"
    needs_database: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)
    follow: bool = False


def program(name: str, *arguments: str) -> tuple[str, ...]:
    """A program that was installed beside the interpreter."""
    return (str(BIN / name), *arguments)


def module(name: str, *arguments: str) -> tuple[str, ...]:
    """A module to run."""
    return (PYTHON, "-m", name, *arguments)


def schema(name: str, *files: str) -> tuple[str, ...]:
    """A check of files against a schema that comes with check-jsonschema."""
    return module("check_jsonschema", "--builtin-schema", f"vendor.{name}", *files)


GATES = (
    Gate("ruff", program("ruff", "check", "--quiet", "."), "0 findings"),
    Gate("format", program("ruff", "format", "--check", "."), re.compile(r"\d+ files? already .*")),
    Gate("mypy", module("mypy"), re.compile(r"no issues found in \d+ .*")),
    Gate("imports", program("lint-imports", "--no-cache"), re.compile(r"\d+ kept, \d+ broken")),
    Gate("hadolint", program("hadolint", "Dockerfile"), "0 findings"),
    Gate("compose", schema("compose-spec", "compose.yaml"), "valid"),
    Gate("workflow", schema("github-workflows", ".github/workflows/test.yml"), "valid"),
    Gate("dependabot", schema("dependabot", ".github/dependabot.yml"), "valid"),
    Gate(
        "zizmor", program("zizmor", "--offline", "--quiet", "--pedantic", ".github"), "0 findings"
    ),
    Gate(
        "deploy",
        module("manage", "check", "--deploy", "--fail-level", "WARNING"),
        re.compile(r"no issues \(\d+ silenced\)"),
        environment={"PLAIN_HTTP": "false"},
    ),
    Gate(
        "openapi",
        module("manage", "spectacular", "--validate", "--fail-on-warn", "--file", os.devnull),
        "0 warnings",
    ),
    Gate(
        "migrations",
        module("manage", "makemigrations", "--check", "--dry-run"),
        "0 missing",
        needs_database=True,
    ),
    Gate(
        "migration-linter",
        module("manage", "lintmigrations", "--sql-analyser=postgresql", "--no-cache"),
        re.compile(r"Erroneous migrations: \d+/\d+"),
        needs_database=True,
        environment={"DJANGO_SETTINGS_MODULE": "tests.settings"},
    ),
    Gate(
        "tests",
        module(
            "pytest", "--quiet", "-p", "tests.measured", "--numprocesses=auto", "--dist=loadgroup"
        ),
        re.compile(r"\d+ passed.*? in [\d.]+\w+"),
        follow=True,
    ),
    Gate("coverage", module("coverage", "report"), re.compile(r"TOTAL.* (\d+%)")),
    Gate(
        "services",
        module("coverage", "report", "--include=*/services.py", "--fail-under=100"),
        re.compile(r"TOTAL.* (\d+%)"),
    ),
)
TESTS = ("tests", "coverage", "services")
"""They run one after the other: the last two tell of the first."""


class Stopped(Exception):
    """The gates were interrupted."""


@dataclass
class Running:
    """The programs that run now, so that they can be ended together."""

    _programs: "set[subprocess.Popen[str]]" = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _ended: bool = False

    @contextmanager
    def program(
        self, command: tuple[str, ...], environment: Mapping[str, str]
    ) -> "Iterator[subprocess.Popen[str]]":
        """Start a program, whose output can be read.

        Raises:
            Stopped: if all was ended, before or meanwhile.
        """
        with self._lock:
            if self._ended:
                raise Stopped
            started = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._programs.add(started)
        with started:
            yield started
        with self._lock:
            self._programs.remove(started)
            if self._ended:
                raise Stopped

    def end(self) -> None:
        """Ask all of them to end, and let no other begin."""
        with self._lock:
            self._ended = True
            for program in self._programs:
                program.terminate()


def run_all(gates: list[Gate], environment: Mapping[str, str]) -> dict[str, bool]:
    """Run gates, those of the tests beside the others.

    Returns:
        Whether they hold, by name.
    """
    running = Running()

    def one_by_one(some: list[Gate]) -> dict[str, bool]:
        return {gate.name: run(gate, environment, running) for gate in some}

    tests = [gate for gate in gates if gate.name in TESTS]
    others = [gate for gate in gates if gate.name not in TESTS]
    with ThreadPoolExecutor(2) as pool:
        lanes = [pool.submit(one_by_one, some) for some in (tests, others)]
        try:
            held = lanes[0].result() | lanes[1].result()
        except BaseException:
            running.end()
            raise
    return {gate.name: held[gate.name] for gate in gates}


def run(gate: Gate, environment: Mapping[str, str], running: Running) -> bool:
    """Run a gate, say its line, and show what it said if it does not hold.

    Args:
        gate: What to run.
        environment: The whole environment, but for what the gate itself asks for.
        running: Knows the program while it runs.

    Returns:
        Whether it holds.
    """
    began = time.monotonic()
    said: list[str] = []
    with running.program(gate.command, {**environment, **gate.environment}) as process:
        assert process.stdout  # noqa: S101 (for mypy)
        for line in process.stdout:
            said.append(line)
            if gate.follow:
                say(line, end="")
    text = "".join(said)
    holds = process.returncode == 0
    took = time.monotonic() - began
    number = shown(gate, text) if holds else ""
    line = f"  {gate.name:<17} {'holds' if holds else 'FAILS':<6} {took:6.1f} s  {number}".rstrip()
    if not (holds or gate.follow):  # at once: another gate may speak meanwhile
        line += "\n" + (text.rstrip() or f"exit status {process.returncode}")
    say(line)
    return holds


def shown(gate: Gate, said: str) -> str:
    """The number in what a gate said when it held."""
    if isinstance(gate.number, str):
        return gate.number
    found = gate.number.findall(said)
    return str(found[-1]) if found else ""


def say(text: str, end: str = "\n") -> None:
    """Print at once."""
    print(text, end=end, flush=True)  # noqa: T201


@contextmanager
def environment_of(gates: list[Gate]) -> Iterator[dict[str, str]]:
    """The environment for gates, with a database if one of them needs it.

    The tests start servers of their own: each of their workers has some.
    """
    # What programs say is read here, and colours are in the way of that.
    ours = {name: value for name, value in os.environ.items() if name not in COLOURS} | PLAIN
    if not any(gate.needs_database for gate in gates):
        yield ours | NOWHERE
    elif url := ours.get("TEST_DATABASE_URL"):
        yield ours | NOWHERE | {"DATABASE_URL": url}
    else:
        with servers("postgres") as started:
            yield ours | NOWHERE | {"DATABASE_URL": started["postgres"]}


def chosen(names: list[str]) -> list[Gate]:
    """The gates of these names, in their order.

    Raises:
        SystemExit: if there is none of a name.
    """
    known = {gate.name for gate in GATES}
    if unknown := set(names) - known - {"lint"}:
        sys.exit(f"No such gate: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
    linting = {gate.name for gate in GATES if not gate.needs_database} - set(TESTS)
    wanted = set(names) | (linting if "lint" in names else set())
    return [gate for gate in GATES if gate.name in wanted or not names]


def main(names: list[str]) -> int:
    """Run gates; see the module's own text."""
    gates = chosen(names)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        with environment_of(gates) as environment:
            held = run_all(gates, environment)
    except StartError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted: the other gates were not run.")
        return 130
    if failed := [name for name, holds in held.items() if not holds]:
        say(f"These do not hold: {', '.join(failed)}")
    say(f"gates: {len(held) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
