"""The gates: everything that must hold before a change is good. `make test` runs them all.

    python -m local.gates                 all of them
    python -m local.gates lint            those that need no server
    python -m local.gates ruff tests      some, by their names

Every gate runs, whatever came of the others. Each says one line: whether it holds, its number, and
how long it took. One that does not hold says why.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True)
class Gate:
    """A command, and where in what it says its number stands.

    Attributes:
        name: What to call it.
        command: The program and its arguments.
        number: A pattern for what it says when it holds, with groups for what to show; or a text,
            for a program that says nothing then.
        needs_servers: Whether it needs PostgreSQL and Valkey.
        environment: Variables that it needs besides.
        follow: Whether to show what it says while it runs.
    """

    name: str
    command: tuple[str, ...]
    number: "re.Pattern[str] | str"
    needs_servers: bool = False
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
        needs_servers=True,
    ),
    Gate(
        "migration-linter",
        module("manage", "lintmigrations", "--sql-analyser=postgresql", "--no-cache"),
        re.compile(r"Erroneous migrations: \d+/\d+"),
        needs_servers=True,
        environment={"DJANGO_SETTINGS_MODULE": "tests.settings"},
    ),
    Gate(
        "tests",
        module("coverage", "run", "-m", "pytest", "--quiet"),
        re.compile(r"\d+ passed.*? in [\d.]+\w+"),
        needs_servers=True,
        follow=True,
    ),
    Gate("coverage", module("coverage", "report"), re.compile(r"TOTAL.* (\d+%)")),
    Gate(
        "services",
        module("coverage", "report", "--include=*/services.py", "--fail-under=100"),
        re.compile(r"TOTAL.* (\d+%)"),
    ),
)
OF_TESTS = ("coverage", "services")
"""They tell of the tests that ran before them."""


def run(gate: Gate, environment: Mapping[str, str]) -> bool:
    """Run a gate, say its line, and show what it said if it does not hold.

    Args:
        gate: What to run.
        environment: The whole environment, but for what the gate itself asks for.

    Returns:
        Whether it holds.
    """
    began = time.monotonic()
    said: list[str] = []
    with subprocess.Popen(
        gate.command,
        cwd=ROOT,
        env={**environment, **gate.environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    ) as process:
        assert process.stdout  # noqa: S101 (for mypy)
        try:
            for line in process.stdout:
                said.append(line)
                if gate.follow:
                    say(line, end="")
        except BaseException:
            process.terminate()
            raise
    text = "".join(said)
    holds = process.returncode == 0
    took = time.monotonic() - began
    number = shown(gate, text) if holds else ""
    say(f"  {gate.name:<17} {'holds' if holds else 'FAILS':<6} {took:6.1f} s  {number}".rstrip())
    if not (holds or gate.follow):
        say(text.rstrip() or f"exit status {process.returncode}")
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
    """The environment for gates, with servers if one of them needs those."""
    ours = dict(os.environ)
    if not any(gate.needs_servers for gate in gates):
        yield ours | NOWHERE
        return
    wanted = {"postgres": "TEST_DATABASE_URL", "valkey": "TEST_VALKEY_URL"}
    urls = {name: url for name, variable in wanted.items() if (url := ours.get(variable))}
    with servers(*(wanted.keys() - urls)) as started:
        urls |= started
        named = {variable: urls[name] for name, variable in wanted.items()}
        yield (
            ours
            | named
            | variables(
                database=urls["postgres"], valkey=urls["valkey"], provider="http://127.0.0.1:9"
            )
        )


def chosen(names: list[str]) -> list[Gate]:
    """The gates of these names, in their order.

    Raises:
        SystemExit: if there is none of a name.
    """
    known = {gate.name for gate in GATES}
    if unknown := set(names) - known - {"lint"}:
        sys.exit(f"No such gate: {', '.join(sorted(unknown))}. There are: {', '.join(known)}.")
    linting = {gate.name for gate in GATES if not gate.needs_servers} - set(OF_TESTS)
    wanted = set(names) | (linting if "lint" in names else set())
    return [gate for gate in GATES if gate.name in wanted or not names]


def main(names: list[str]) -> int:
    """Run gates; see the module's own text."""
    gates = chosen(names)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    try:
        with environment_of(gates) as environment:
            held = {gate.name: run(gate, environment) for gate in gates}
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
