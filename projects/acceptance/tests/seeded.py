"""Seed faults in a project, and see that its suite names each: python tests/seeded.py [SUITE].

For each fault the project is copied to a temporary directory, broken there, started by its own
local.py on a database of its own, and looked at by the check that must fail. The unbroken project
must pass everything. One PostgreSQL and one Valkey, from wheels, serve all of them.

Migrations and seeds run once a project; each start has a copy of that database and of that folder.
"""

import argparse
import importlib.util
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
PROJECTS = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))

import httpx  # noqa: E402

from acceptance.api import Api  # noqa: E402
from acceptance.client import Client  # noqa: E402
from acceptance.mapping import Mapping  # noqa: E402
from acceptance.run import FAILED, PASSED, Result, choose, load, run  # noqa: E402

LEFT_OUT = (".venv", ".git", "tests", ".*_cache", ".coverage*", ".hypothesis", ".media")
AFRESH = {"migrations", "management", "pyproject.toml", "seed.py", "seeding.py"}
"""An edit in one of these needs an empty database, and its own migrations and seeds."""
START = 180.0
"""Seconds in which a project must answer."""


class NotNamed(Exception):
    """A fault is not named, or the unbroken project does not pass. The text says all of it."""


@dataclass(frozen=True)
class Edit:
    """A replacement of text in a file of a project."""

    file: str
    text: str
    replacement: str

    def apply(self, folder: Path) -> None:
        """Replace the text, which must be there once."""
        path = folder / self.file
        before = path.read_text()
        if (count := before.count(self.text)) != 1:
            raise NotNamed(f"{self.file} has the text {count} times, and not once: {self.text!r}")
        path.write_text(before.replace(self.text, self.replacement))


@dataclass(frozen=True)
class Fault:
    """A seeded fault: its edits, why it is one, and the check that must name it."""

    name: str
    edits: tuple[Edit, ...]
    why: str
    check: str
    quick: bool = False

    @property
    def afresh(self) -> bool:
        """Whether it needs an empty database."""
        return any(AFRESH & set(Path(edit.file).parts) for edit in self.edits)


@dataclass(frozen=True)
class Plan:
    """A suite's faults, and its project."""

    suite: str
    project: Path
    environment: dict[str, str]
    faults: tuple[Fault, ...]

    @property
    def python(self) -> str:
        """The interpreter that runs the project."""
        own = self.project / ".venv" / "bin" / "python"
        return str(own) if own.exists() else sys.executable

    @property
    def missing(self) -> str:
        """Why it cannot be run here, or nothing."""
        if not (self.project / "local.py").exists():
            return f"{self.project.name} does not stand beside this project"
        if self.python == sys.executable and importlib.util.find_spec("django") is None:
            return f"make -C {self.project} setup makes the interpreter that this needs"
        return ""


def plan(file: Path) -> Plan:
    """Read a file of faults."""
    data = tomllib.loads(file.read_text())
    edit = ("file", "text", "replacement")
    known = {*edit, "name", "why", "check", "quick", "also"}
    faults = []
    for each in data["fault"]:
        if unknown := set(each) - known:
            raise NotNamed(f"{file.name}: a fault has {unknown.pop()!r}; known are {known}")
        edits = tuple(Edit(*(one[key] for key in edit)) for one in (each, *each.get("also", ())))
        quick = each.get("quick", False)
        faults.append(Fault(each["name"], edits, each["why"], each["check"], quick))
    environment = {key: str(value) for key, value in data.get("environment", {}).items()}
    return Plan(file.stem, PROJECTS / data["project"], environment, tuple(faults))


def plans() -> list[Plan]:
    """Return all plans."""
    return [plan(file) for file in sorted((HERE / "faults").glob("*.toml"))]


class Base(NamedTuple):
    """A project after its migrations and seeds: the name of its database, and its folder."""

    database: str
    folder: Path


@dataclass
class Servers:
    """PostgreSQL and Valkey for all faults, with a database for each."""

    postgres: str
    valkey: str
    directory: Path
    bases: dict[str, Base] = field(default_factory=dict)
    count: int = 0

    def database(self, template: str = "template1") -> tuple[str, str]:
        """Make a database, and return its name and its URL."""
        import psycopg
        from psycopg import sql

        self.count += 1
        name = f"seeded_{self.count}"
        with psycopg.connect(self.postgres, autocommit=True) as db:
            made = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
            db.execute(made.format(sql.Identifier(name), sql.Identifier(template)))
        return name, urlsplit(self.postgres)._replace(path=f"/{name}").geturl()

    def forget(self) -> None:
        """Empty Valkey."""
        parts = urlsplit(self.valkey)
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 6379)) as link:
            link.sendall(b"FLUSHALL\r\n")
            link.recv(100)


@contextmanager
def servers() -> Iterator[Servers]:
    """Have servers until the end of the block, or of this program."""
    command = [sys.executable, str(HERE.parent / "local.py"), "keep", "postgres", "valkey"]
    with (
        tempfile.TemporaryDirectory(prefix="acceptance-") as directory,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as keeper,
    ):
        assert keeper.stdin
        assert keeper.stdout
        try:
            said = json.loads(keeper.stdout.readline() or '{"error": "the keeper of servers died"}')
            if "error" in said:
                raise NotNamed(said["error"])
            yield Servers(said["postgres"], said["valkey"], Path(directory))
        finally:
            keeper.stdin.close()


def base(plan: Plan, given: Servers) -> Base:
    """Return the project after its migrations and seeds, which run once."""
    if (key := str(plan.project)) not in given.bases:
        name, database = given.database()
        folder = given.directory / name / plan.project.name
        shutil.copytree(plan.project, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        for command in tomllib.loads((folder / "pyproject.toml").read_text())["tool"]["local"][
            "run"
        ]["first"]:
            done = subprocess.run(
                [plan.python, "local.py", "with", *shlex.split(command)],
                cwd=folder,
                env=environment(plan, given, database),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode:
                raise NotNamed(f"`{command}` fails:\n{done.stdout[-3000:]}")
        given.bases[key] = Base(name, folder)
    return given.bases[key]


def environment(plan: Plan, given: Servers, database: str, port: int = 0) -> dict[str, str]:
    """Return the environment that a project runs in."""
    own = {"PORT": str(port), "DATABASE_URL": database, "VALKEY_URL": given.valkey}
    return os.environ | plan.environment | own


def without_first(folder: Path) -> None:
    """Take the commands that come before the start out of a copy's settings: they have run."""
    file = folder / "pyproject.toml"
    text = file.read_text()
    wanted = tomllib.loads(text)
    wanted["tool"]["local"]["run"]["first"] = []
    begins = re.search(r"(?m)^first\s*=\s*\[", text)
    for end in re.finditer("]", text[begins.end() :]) if begins else ():
        assert begins
        shorter = text[: begins.end()] + text[begins.end() + end.start() :]
        with suppress(tomllib.TOMLDecodeError):
            if tomllib.loads(shorter) == wanted:
                file.write_text(shorter)
                return


@contextmanager
def started(
    plan: Plan, edits: Sequence[Edit], given: Servers, *, afresh: bool = False
) -> Iterator[str]:
    """Copy, break and start a project, and yield its address."""
    given.forget()
    with tempfile.TemporaryDirectory(prefix="acceptance-") as directory:
        folder = Path(directory) / plan.project.name
        if afresh:
            _, database = given.database()
            shutil.copytree(plan.project, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
        else:
            made = base(plan, given)
            _, database = given.database(made.database)
            shutil.copytree(made.folder, folder)
            without_first(folder)
        for edit in edits:
            edit.apply(folder)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        log = Path(directory) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [plan.python, "local.py", "run"],
                cwd=folder,
                env=environment(plan, given, database, port),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait(process, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    """Wait until the project answers."""
    deadline = time.monotonic() + START
    while process.poll() is None and time.monotonic() < deadline:
        with suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/", timeout=30, trust_env=False)
            return
        time.sleep(0.05)
    end = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise NotNamed(f"The project does not start:\n{end}")


def look(plan: Plan, url: str, only: Sequence[str] = ()) -> list[Result]:
    """Run checks on what is at an address."""
    suite = load(plan.suite)
    client = Client(url)
    try:
        return run(choose(suite, only), Api(client, Mapping.of(plan.suite)))
    finally:
        client.close()


def words(results: Sequence[Result]) -> str:
    """Say which did not pass."""
    return "\n".join(
        f"{r.check.name} {r.state} ({r.seconds:.1f} s)\n{r.failure or r.reason}"
        for r in results
        if r.state != PASSED
    )


def unbroken(plan: Plan, given: Servers) -> float:
    """See that the unbroken project passes all, and return how many seconds that took."""
    with started(plan, (), given) as url:
        began = time.monotonic()
        results = look(plan, url)
        took = time.monotonic() - began
    if any(result.state != PASSED for result in results):
        raise NotNamed(f"The unbroken project {plan.project.name} fails:\n{words(results)}")
    return took


def named(plan: Plan, fault: Fault, given: Servers) -> Result:
    """See that the right check names a fault, and return its result."""
    with started(plan, fault.edits, given, afresh=fault.afresh) as url:
        [result] = look(plan, url, [fault.check])
    if result.state != FAILED:
        raise NotNamed(
            f"{plan.suite}: nobody names the fault {fault.name} ({fault.why}): {fault.check} "
            f"{result.state} {result.reason}"
        )
    return result


def main() -> int:
    """Run the command."""
    reader = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    reader.add_argument("suite", nargs="?", help="one suite; without it, all")
    reader.add_argument("--fault", help="one fault of it")
    reader.add_argument("--quick", action="store_true", help="only those marked quick")
    reader.add_argument("--show", action="store_true", help="show what each check said")
    given = reader.parse_args()
    chosen = [p for p in plans() if given.suite in (None, p.suite)]
    if not chosen:
        reader.error(f"no such suite; there are: {', '.join(p.suite for p in plans())}")
    wrong = 0

    def say(mark: str, text: str) -> None:
        print(f"{mark} {text}", flush=True)

    with servers() as shared:
        for each in chosen:
            if each.missing:
                say("–", f"{each.suite}: {each.missing}")
                continue
            faults = [f for f in each.faults if given.fault in (None, f.name)]
            faults = [f for f in faults if f.quick or not given.quick]
            if not faults:
                reader.error(f"no such fault; there are: {', '.join(f.name for f in each.faults)}")
            if not given.fault:
                try:
                    say("✓", f"{each.suite}: unbroken, passes in {unbroken(each, shared):.1f} s")
                except NotNamed as error:
                    wrong += 1
                    say("✗", str(error))
            for fault in faults:
                try:
                    result = named(each, fault, shared)
                except NotNamed as error:
                    wrong += 1
                    say("✗", f"{each.suite}/{fault.name}: {error}")
                else:
                    say("✓", f"{each.suite}/{fault.name}: named by {fault.check}")
                    if given.show:
                        print(result.failure)
    print(f"{wrong} wrong" if wrong else "each fault is named by its check")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
