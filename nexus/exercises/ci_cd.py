"""Judges of "CI and CD": a step, a cache key, a deployment, a column renamed."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import psycopg
import yaml

from nexus.judging import NotYet, first_line, judge
from nexus.judging.elsewhere import CannotBeCarriedError, call
from nexus.judging.limits import Enough, within
from nexus.judging.programs import SHELLS, last_line, program
from nexus.judging.sandbox import Connection, Sandbox, database

LIMITED = 'ulimit -f 2048; exec "$@"'
"""A step that prints for ever may fill a megabyte or two, not the disk."""

TITLES = {
    "an ordinary title": "Mend the prices",
    'a title with "; in it': 'Mend prices"; touch owned; echo "',
    "a title with $( ) in it": "Mend $(touch owned) prices",
    "a title with ` ` in it": "Mend `touch owned` prices",
    "a title with '; in it": "Mend prices'; touch owned; echo '",
    "a title with two blanks and a *": "Mend  all * prices",
    "a title with % and \\n in it": "Mend 100%s of prices\\n",
    "a title that begins with -n": "-n",
    'a title with """ in it': 'Mend """; open("owned", "w"); """ prices',
    "a title with ''' in it": "Mend '''; open('owned', 'w'); ''' prices",
    "a title with blanks at both ends": "  Mend prices  ",
    "a title with $HOME and ~ in it": "Mend $HOME ${TITLE} ~ prices",
    "a title with & and / in it": r"Mend & and / and \1 prices",
    "a title that ends with a backslash": "Mend prices\\",
    "a title with letters beyond ASCII": "Prix modérés en été, dès 80 €",
    "a long title": "Mend the prices of " + "very " * 40 + "old places",
}
"""What people write; a title on GitHub has no line breaks and at most 256 characters."""


GIVEN_1 = """
name: Say the title
run: |
  echo "Title: ${{ github.event.pull_request.title }}"
"""


@judge(
    "ci-cd.1",
    takes=str,
    called="a step of a workflow, as YAML in quotes",
    hint="give a step as YAML: a mapping with run, and whatever else it needs",
    stub=GIVEN_1,
)
def title(answer: str) -> str:
    """The step prints any title to the letter, and runs nothing that stands in one."""
    step = _step(answer)
    ends = re.findall(r"<<-?\s*[\"'\\\\]?(\w+)", step["run"])
    titles = TITLES | {f"the title {end}, which ends your text after <<": end for end in ends[:3]}
    outcomes = {what: _run(step, text) for what, text in titles.items()}
    for what, (_, files) in outcomes.items():
        if "owned" in files:
            raise NotYet(
                f"{what}: the shell ran a part of the title, which made a file. "
                "The title must not be a part of the script"
            )
    for what, (done, _) in outcomes.items():
        if done.returncode:
            status, why = done.returncode, last_line(done.stderr)
            raise NotYet(f"{what}: the step failed with status {status}: {why}")
        said, expected = done.stdout, f"Title: {titles[what]}"
        if said.removesuffix("\n") != expected:
            raise NotYet(f"{what}: the step should print {expected!r}; it printed {said[:200]!r}")
    return "whatever a title says, it is printed to the letter, and nothing of it is run"


def _step(answer: str) -> Mapping[str, Any]:
    """The step, if it is one."""
    try:
        step = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        raise NotYet(f"the step is not YAML: {first_line(error)}") from None
    if isinstance(step, list) and len(step) == 1:
        step = step[0]
    if not isinstance(step, dict) or not isinstance(step.get("run"), str):
        raise NotYet("the answer should be one step: a mapping with a text under run")
    if step.get("shell") not in SHELLS:
        raise NotYet(f"shell is one of {', '.join(filter(None, SHELLS))}, or is left out")
    if not isinstance(step.get("env", {}), dict):
        raise NotYet("env should be a mapping of names and values")
    return step


def _run(step: Mapping[str, Any], text: str) -> tuple[subprocess.CompletedProcess[str], set[str]]:
    """Runs a step for a pull request of this title: how it ended, and what it made."""
    with tempfile.TemporaryDirectory() as name:
        folder, aside = Path(name) / "work", Path(name) / "aside"
        folder.mkdir()
        aside.mkdir()
        event = aside / "event.json"
        event.write_text(json.dumps({"pull_request": {"number": 7, "title": text}}))
        contexts: dict[str, Any] = {
            "github.event": {"pull_request": {"number": 7, "title": text}},
            "github.event.pull_request": {"number": 7, "title": text},
            "github.event.pull_request.title": text,
            "github.event.pull_request.number": 7,
            "github.event_path": str(event),
        }
        own = {
            str(key): _render(str(value), contexts) for key, value in step.get("env", {}).items()
        }
        script = aside / "script"
        # As text too: `${{ env.X }}` is no safer than what X was filled from.
        contexts |= {f"env.{key}": value for key, value in own.items()}
        script.write_text(_render(step["run"], contexts))
        words = [part.format(script) for part in SHELLS[step.get("shell")].split()]
        words = ["bash", "-c", LIMITED, "-", *words]
        beside = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        runner = {"PATH": beside, "GITHUB_EVENT_PATH": str(event)}
        done = program(words, folder, runner | own)
        done.stderr = done.stderr.replace(f"{aside}/", "")
        return done, {path.name for path in folder.iterdir()}


def _render(text: str, contexts: Mapping[str, Any]) -> str:
    """Replaces expressions as the runner does: textually."""

    def value(found: re.Match[str]) -> str:
        expression = found[1].strip()
        quoted = re.fullmatch(r"toJSON\((.+)\)", expression, re.IGNORECASE)
        name = quoted[1].strip() if quoted else expression
        if name not in contexts:
            raise NotYet(
                f"the judge does not know ${{{{ {expression} }}}}; it knows {', '.join(contexts)}"
            )
        value = contexts[name]
        if quoted:
            return json.dumps(value, indent=2, ensure_ascii=False)
        return "Object" if isinstance(value, dict) else str(value)

    return re.sub(r"\$\{\{(.*?)\}\}", value, text, flags=re.DOTALL)


Key = Callable[[str, str, Mapping[str, str]], str]

FILES = {
    "README.md": "read me\n",
    "requirements.txt": "django==5.2.1\nhttpx==0.28.1\n",
    "requirements-test.txt": "mypy==1.15.0\n",
    "shop/views.py": "print(1)\n",
}

MANY = FILES | {f"requirements-{name}.txt": f"{name}==1.0\n" for name in "abcdef"}
"""So many that the order of a set of their names is hardly ever the same by luck."""

LOCKS = ("requirements_docs.txt", "requirements-docs-3.13.txt", "requirements3.txt")
"""Files that count, though there is another sign than a hyphen in the name, or more of them."""

ALONE = ({"requirements-test.txt": "mypy==1.15.0\n"}, {"requirements.txt": ""})
"""Repositories with one file that counts: not the usual one, and an empty one."""

NOT_LOCKS = (
    "docs/requirements.txt",
    "requirements/dev.txt",
    "requirements.in",
    "requirements.txt.bak",
    "old-requirements.txt",
)
"""Files with a name much like that of one which counts."""

ANOTHER_PROCESS = (
    "another process returned another key for the same files, so no run would find what another "
    "run has stored. Python's hash() and the order of a set differ in every process"
)
ANOTHER_DAY = (
    "forty days later, in another process, the same files gave another key. A key depends on "
    "nothing but the system, Python and the files"
)


GIVEN_2 = """
def key(system, python, files):
    return f"{system}-{hash(files['requirements.txt'])}"
"""


VERSIONS = 150
"""How many versions of a file must all have their own keys."""


@judge(
    "ci-cd.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a system, a version and a dictionary of files: it returns the key",
    stub=GIVEN_2,
)
def key(answer: Key) -> str:
    """The key changes with all that the content depends on, and with nothing else."""

    def of(
        system: str = "Linux",
        python: str = "3.13",
        files: Mapping[str, str] = FILES,
    ) -> str:
        found = within(lambda: answer(system, python, dict(files)))
        if not isinstance(found, str) or not found:
            raise NotYet(f"a key is a text; the function returned {found!r}")
        if len(found) > 512 or "," in found:
            raise NotYet("actions/cache takes keys of at most 512 characters, without commas")
        return found

    first = of()
    if of() != first:
        raise NotYet("the same files gave two keys: no run would find what another run has stored")
    for seed, days in ((1, 0), (2, 40)):
        with suppress(CannotBeCarriedError):
            if call(answer, "Linux", "3.13", MANY, seed=seed, days=days) != of(files=MANY):
                raise NotYet(ANOTHER_DAY if days else ANOTHER_PROCESS)

    def other(what: str, changed: str) -> None:
        if changed == first:
            raise NotYet(
                f"{what}, and the key is still the same: the job would get the old environment"
            )

    def same(what: str, changed: str) -> None:
        if changed != first:
            raise NotYet(
                f"{what}, and the key changed: the job would install everything again for nothing"
            )

    django = FILES | {"requirements.txt": "django==5.2.8\nhttpx==0.28.1\n"}
    mypy = FILES | {"requirements-test.txt": "mypy==1.16.0\n"}
    new = FILES | {"requirements-docs.txt": "sphinx==8.2.3\n"}
    # A text that is put together from both, in one order or the other, is the same for these.
    last = FILES | {
        "requirements.txt": "django==5.2.1\n",
        "requirements-test.txt": "httpx==0.28.1\nmypy==1.15.0\n",
    }
    first_of_all = FILES | {
        "requirements.txt": "httpx==0.28.1\n",
        "requirements-test.txt": "mypy==1.15.0\ndjango==5.2.1\n",
    }
    swapped = FILES | {
        "requirements.txt": FILES["requirements-test.txt"],
        "requirements-test.txt": FILES["requirements.txt"],
    }
    reordered = FILES | {"requirements.txt": "httpx==0.28.1\ndjango==5.2.1\n"}
    commented = FILES | {"requirements.txt": "# the site\n" + FILES["requirements.txt"]}
    other("requirements.txt names another Django", of(files=django))
    other("requirements-test.txt names another mypy", of(files=mypy))
    other("a file requirements-docs.txt has come", of(files=new))
    for name in LOCKS:
        other(f"a file {name} has come", of(files=FILES | {name: "sphinx==8.2.3\n"}))
    other("two requirements files have exchanged their texts", of(files=swapped))
    other("two lines of requirements.txt have changed places", of(files=reordered))
    other("a comment was added to requirements.txt", of(files=commented))
    other("a blank line was added to requirements.txt", of(files=FILES | {
        "requirements.txt": FILES["requirements.txt"] + "\n"
    }))  # fmt: skip
    for moved in (last, first_of_all):
        other("a line has moved from requirements.txt to requirements-test.txt", of(files=moved))
    other("the system is another one", of(system="macOS"))
    other("the version of Python is another one", of(python="3.11"))
    if of(python="3.1", files=FILES) == of(python="3.11", files=FILES):
        raise NotYet("Python 3.1 and 3.11 have one key")
    many = [FILES | {"requirements.txt": f"django==5.2.{patch}\n"} for patch in range(VERSIONS)]
    # Two that have one sum of bytes, and one Adler-32.
    many += [FILES | {"requirements.txt": f"django=={alike}\n"} for alike in ("1.3.1", "2.1.2")]
    if len({of(files=files) for files in many}) < len(many):
        raise NotYet(
            f"of {len(many)} versions of requirements.txt, two have one key: keep more of the hash"
        )
    same("a view was changed", of(files=FILES | {"shop/views.py": "print(2)\n"}))
    same("the README was changed", of(files=FILES | {"README.md": "read it\n"}))
    same("the files come in another order", of(files=dict(reversed(FILES.items()))))
    for name in NOT_LOCKS:
        same(f"{name} was added", of(files=FILES | {name: "x\n"}))
    for files in ALONE:
        (name,) = files
        try:
            of(files=files)
        except ValueError as error:
            what = f"the only file that counts is {name}" + (
                "" if files[name] else ", and is empty"
            )
            raise NotYet(
                f"{what}; it raised ValueError: {error}. It is there all the same"
            ) from None
    try:
        found = within(lambda: answer("Linux", "3.13", {"README.md": "read me\n"}))
    except ValueError:
        return "it changes with the system, with Python and with every lock file, and never else"
    raise NotYet(
        f"there was no requirements file, and the function returned {found!r}: "
        "such a key never changes"
    )


class Release:
    """A release that answers its health check as it is told to."""

    def __init__(
        self, world: "World", name: str, health: Callable[[int, bool], bool | None]
    ) -> None:
        self.world, self.name, self._health = world, name, health
        self.running, self.asked = False, 0

    def start(self) -> None:
        """Starts; it listens only later."""
        self.running = True
        self.world.pass_time()

    def ready(self) -> bool:
        """Whether it is ready.

        Raises:
            ConnectionError: if nobody listens.
        """
        self.asked += 1
        if self.asked > MOST_QUESTIONS:
            raise Enough(
                f"you asked the release {self.name} {MOST_QUESTIONS:,} times whether it is ready"
            )
        self.world.pass_time()
        answer = self._health(self.asked, self.world.met_guests(self)) if self.running else None
        if answer is None:
            raise ConnectionError("connection refused")
        return answer

    def stop(self) -> None:
        """Ends, and with it what it was doing."""
        self.running = False
        self.world.stopped(self)

    def serves(self) -> bool:
        """Whether a guest would get an answer now."""
        if not self.running:
            return False
        return bool(self._health(max(self.asked, 1), self.world.met_guests(self)))

    def __repr__(self) -> str:
        return f"<release {self.name}>"


MOST_QUESTIONS = 10_000
"""More than any deployment with an end asks."""

LASTS = 20
"""How long a guest's request takes, in ticks of the world: longer than turning back does."""


class World:
    """A router and its guests: at each tick one comes, and goes some ticks later."""

    def __init__(self) -> None:
        self.time = 0
        self.target: Any = None
        self.under_way: list[tuple[int, Release]] = []
        self.guests: dict[str, int] = {}
        self.lost: list[str] = []
        self.polls = 0

    def send(self, release: object) -> None:
        """Sends requests to a release from now on."""
        if not isinstance(release, Release):
            raise NotYet("router.send takes a release: the old one or the new one")
        self.target = release
        for _ in range(3):
            self.pass_time()

    def drained(self, release: object) -> bool:
        """Whether a release has no request left."""
        self.polls += 1
        if self.polls > MOST_QUESTIONS:
            raise Enough("you wait until a release is drained, and requests still go to it")
        self.pass_time()
        return self.target is not release and not any(who is release for _, who in self.under_way)

    def pass_time(self) -> None:
        """A guest comes, and others have got their answer."""
        self.time += 1
        self.under_way = [(end, who) for end, who in self.under_way if end > self.time]
        target = self.target
        if target.serves():
            self.under_way.append((self.time + LASTS, target))
        else:
            self.lost.append(f"a request went to {target!r}, which cannot answer")
        self.guests[target.name] = self.guests.get(target.name, 0) + 1

    def met_guests(self, release: Release) -> bool:
        """Whether a release has had requests."""
        return self.guests.get(release.name, 0) > 0

    def stopped(self, release: Release) -> None:
        """Loses the requests that a release had in its hands."""
        if any(who is release for _, who in self.under_way):
            self.lost.append(f"{release!r} was stopped before it had answered its requests")
        self.under_way = [(end, who) for end, who in self.under_way if who is not release]
        self.pass_time()


class Router(Protocol):
    """What an answer may do with the router."""

    def send(self, release: Release) -> None:
        """Sends requests to a release."""

    def drained(self, release: Release) -> bool:
        """Whether a release has no request left."""


Deploy = Callable[[Router, Release, Release], Release]


GIVEN_3 = """
def deploy(router, old, new):
    new.start()
    router.send(new)
    old.stop()
    return new
"""


@judge(
    "ci-cd.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a router and two releases: it returns the one that serves",
    stub=GIVEN_3,
)
def deployment(answer: Deploy) -> str:
    """A good release replaces the old one, a bad one does not, and no guest is lost."""
    _deployed(answer, "a release that is ready at once", lambda _, __: True, good=True)
    _deployed(
        answer,
        "a release that listens at the 3rd question and is ready at the 8th",
        lambda asked, _: None if asked < 3 else asked >= 8,
        good=True,
    )
    _deployed(
        answer,
        "a release that is ready at the 100th question",
        lambda asked, _: asked >= 100,
        good=True,
    )
    _deployed(
        answer,
        "a release that is ready at the 150th question, which is too late",
        lambda asked, _: asked >= 150,
        good=False,
    )
    _deployed(answer, "a release that never is ready", lambda _, __: False, good=False)
    _deployed(answer, "a release that never listens", lambda _, __: None, good=False)
    _deployed(
        answer,
        "a release that is ready until requests go to it",
        lambda _, met: not met,
        good=False,
        sick=True,
    )
    _deployed(
        answer,
        "a release that listens until requests go to it",
        lambda _, met: None if met else True,
        good=False,
        sick=True,
    )
    return (
        "the good releases serve, the bad ones are gone, and no guest noticed more than had to be"
    )


def _deployed(
    answer: Deploy,
    what: str,
    health: Callable[[int, bool], bool | None],
    *,
    good: bool,
    sick: bool = False,
) -> None:
    """Deploys a release into a world with guests, and looks at what became of them."""
    world = World()
    old, new = Release(world, "old", lambda _, __: True), Release(world, "new", health)
    old.running, world.target = True, old
    for _ in range(LASTS):
        world.pass_time()
    try:
        returned = within(lambda: answer(world, old, new))
    except ConnectionError:
        raise NotYet(
            f"{what}: the ConnectionError of ready() ended the deployment. It only means that the "
            "release does not listen yet, or not any more"
        ) from None
    except NotYet as hint:
        raise NotYet(f"{what}: {hint}") from None
    serves, other = (new, old) if good else (old, new)
    lost = [text for text in world.lost if not (sick and "<release new>, which" in text)]
    if lost:
        raise NotYet(f"{what}: {lost[0]}")
    if len(world.lost) > MOST_LOST:
        raise NotYet(
            f"{what}: {len(world.lost)} requests went to it when it could not answer any more. Ask "
            "it right after the switch, and turn back at once"
        )
    if sick and not world.met_guests(new):
        raise NotYet(f"{what}: it got no request, although it said that it was ready")
    if world.target is not serves:
        raise NotYet(f"{what}: requests go to {world.target!r} in the end")
    if not serves.running:
        raise NotYet(f"{what}: {serves!r} is stopped")
    if other.running:
        raise NotYet(f"{what}: {other!r} still runs in the end; stop it")
    if returned is not serves:
        raise NotYet(f"{what}: deploy returned {returned!r}, and {serves!r} serves")
    if not good and not sick and new.asked < MIN_QUESTIONS:
        raise NotYet(f"{what}: you gave it up after {new.asked} questions; it may take a hundred")


MOST_LOST = 10
"""Requests that a release may lose which was fine until it was sent some: a look, and the way back,
take half of them."""

MIN_QUESTIONS = 100
"""How many questions a release that starts may let go unanswered."""


def places(connection: Connection) -> None:
    """Makes a table of places whose column is to get another name."""
    connection.execute("""
        CREATE TABLE place (
            id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, title text NOT NULL
        );
        INSERT INTO place (title) VALUES ('Attic'), ('Barn'), (' Cabin ');
    """)


GIVEN_4 = {
    "expand": "ALTER TABLE place ADD COLUMN name text; UPDATE place SET name = title;",
    "contract": "ALTER TABLE place DROP COLUMN title;",
}


@judge(
    "ci-cd.4",
    takes=dict,
    called="a dictionary with two texts of SQL",
    hint='give {"expand": "ALTER TABLE …", "contract": "ALTER TABLE …"}',
    stub=GIVEN_4,
)
def rename(answer: dict[str, str]) -> str:
    """Both releases work between the two steps, each sees what the other wrote, nothing is lost."""
    if set(answer) != {"expand", "contract"} or not all(
        isinstance(v, str) for v in answer.values()
    ):
        raise NotYet("the dictionary should have two texts, under expand and contract")
    with database("ci_places", places) as box:
        _apply(box, "expand", answer["expand"])
        for column in ("name", "title"):
            rows = {1: "Attic", 2: "Barn", 3: " Cabin "}
            _sees(box, column, rows, "the rows that were there")
        for writes, reads in (("title", "name"), ("name", "title")):
            number = _insert(box, writes, f"Hut, as {writes}")
            for column in (writes, reads):
                _sees(box, column, {number: f"Hut, as {writes}"}, f"a row inserted with {writes}")
            empty = _insert(box, writes, "")
            for column in (writes, reads):
                _sees(box, column, {empty: ""}, f"a row inserted with an empty {writes}")
            for row in (1, number):
                update = f"UPDATE place SET {writes} = %s WHERE id = %s"  # noqa: S608 (two names)
                _statement(box, writes, update, [f"Inn, {writes}", row])
                for column in (writes, reads):
                    _sees(box, column, {row: f"Inn, {writes}"}, f"a row updated by its {writes}")
        for writes, reads in (("title", "name"), ("name", "title")):
            _all_rows(box, writes, reads)
        _statement(box, "title", "UPDATE place SET title = 'Lodge' WHERE id = 2", [])
        before = dict(_statement(box, "name", "SELECT id, name FROM place", []).fetchall())
        _apply(box, "contract", answer["contract"])
        _after(box, before)
    return "both releases lived with it, each saw what the other wrote, and title is gone"


def _all_rows(box: Sandbox, writes: str, reads: str) -> None:
    """One statement writes several rows, and the other release sees each of them."""
    several = f"INSERT INTO place ({writes}) VALUES ('Loft'), ('Mill')"  # noqa: S608 (two names)
    _statement(box, writes, several, [])
    every = f"UPDATE place SET {writes} = {writes} || ', open'"  # noqa: S608 (two names)
    _statement(box, writes, every, [])
    read = f"SELECT id, {writes} FROM place ORDER BY id"  # noqa: S608 (two names)
    rows = _statement(box, writes, read, [])
    _sees(box, reads, dict(rows.fetchall()), f"rows that one statement wrote by their {writes}")


def _after(box: Sandbox, before: Mapping[int, str]) -> None:
    """Raises NotYet unless the table is at the end what it was, but for the column's name."""
    columns = box.admin.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND table_name = 'place'"
    ).fetchall()
    if ("title",) in columns:
        raise NotYet("after contract, the table still has a column title: take it away")
    _sees(box, "name", before, "the rows that were there before contract")
    number = _insert(box, "name", "Tower")
    _sees(box, "name", {number: "Tower"}, "a row inserted after contract")
    long = "A house with a name that is much longer than most. " * 20
    _sees(box, "name", {_insert(box, "name", long): long}, "a row with a long name")
    for statement, error, hint in REFUSED:
        try:
            with box.watched():
                box.learner.execute(statement)
        except error:
            continue
        except psycopg.Error as other:
            raise NotYet(f"after contract, {statement} got: {first_line(other)}") from None
        raise NotYet(f"after contract, {hint}")
    ((kind,),) = box.admin.execute(
        "SELECT format_type(atttypid, atttypmod) FROM pg_attribute"
        " WHERE attrelid = 'place'::regclass AND attname = 'name'"
    ).fetchall()
    if kind != "text":
        raise NotYet(f"after contract, name is of type {kind}, and title was text")
    left = box.admin.execute(LEFT_BEHIND).fetchall()
    if left:
        what, name = left[0]
        raise NotYet(
            f"after contract, {what} {name} is still there: take away what expand has added"
        )


LEFT_BEHIND = """
SELECT 'the function', proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL SELECT 'the trigger', tgname FROM pg_trigger WHERE NOT tgisinternal
UNION ALL SELECT 'the rule', rulename FROM pg_rules WHERE schemaname = 'public'
UNION ALL SELECT 'the relation', relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v', 'm', 'p')
    AND relname <> 'place'
UNION ALL SELECT 'the constraint', conname FROM pg_constraint
    WHERE conrelid = 'place'::regclass AND contype NOT IN ('p', 'n')
UNION ALL SELECT 'the index', indexrelid::regclass::text FROM pg_index
    WHERE indrelid = 'place'::regclass AND NOT indisprimary
"""
"""What is in the database besides the table; in a fresh one there is nothing."""

REFUSED = (
    (
        "INSERT INTO place (name) VALUES (NULL)",
        psycopg.errors.NotNullViolation,
        "a place without a name can be stored: name should be NOT NULL",
    ),
    (
        "INSERT INTO place DEFAULT VALUES",
        psycopg.errors.NotNullViolation,
        "a place that is given no name gets one: name should have no default, as title had none",
    ),
    (
        "INSERT INTO place (id, name) OVERRIDING SYSTEM VALUE VALUES (1, 'Twin')",
        psycopg.errors.UniqueViolation,
        "two places can have the same id: the table has lost its primary key",
    ),
    (
        "INSERT INTO place (id, name) VALUES (9999, 'Twin')",
        psycopg.errors.GeneratedAlways,
        "a place can choose its id: the column is no identity column any more",
    ),
)
"""What the table refuses at the end, as it did before."""


def _apply(box: Sandbox, step: str, statements: str) -> None:
    """Runs one of the two steps, as one script."""
    try:
        with box.watched():
            box.learner.execute(statements)
    except psycopg.Error as error:
        raise NotYet(f"{step}: {first_line(error)}") from None
    if box.learner.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
        raise NotYet(f"{step}: you have left a transaction open; commit it")


def _statement(box: Sandbox, column: str, statement: str, values: list[object]) -> Any:  # noqa: ANN401
    """Runs a statement of the release that knows one of the columns."""
    try:
        with box.watched():
            return box.learner.execute(statement, values)
    except psycopg.Error as error:
        raise NotYet(
            f"the release that uses {column} sent {statement!r} and got: {first_line(error)}"
        ) from None


def _insert(box: Sandbox, column: str, value: str) -> int:
    """Inserts a place as one of the releases does; its id."""
    statement = f"INSERT INTO place ({column}) VALUES (%s) RETURNING id"  # noqa: S608 (two names)
    row = _statement(box, column, statement, [value]).fetchone()
    return int(row[0])


def _sees(box: Sandbox, column: str, expected: Mapping[int, str], what: str) -> None:
    """Raises NotYet if a release does not see what it should."""
    statement = f"SELECT {column} FROM place WHERE id = %s"  # noqa: S608 (two names)
    for number, value in expected.items():
        row = _statement(box, column, statement, [number]).fetchone()
        got = row[0] if row else None
        if got != value:
            raise NotYet(
                f"{what}: the release that reads {column} got {got!r} instead of {value!r}"
            )
