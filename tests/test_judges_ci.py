"""The judges of ci: the stub, right answers of several kinds, wrong ones."""

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil
import pytest

import nexus
from nexus.exercises import ci, judge_answer

Files = Mapping[str, str]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres():
        yield


BY_VARIABLE = """
env: {TITLE: "${{ github.event.pull_request.title }}"}
run: |
  printf 'Title: %s\\n' "$TITLE"
"""
BY_FILE = """
- name: from the event
  shell: bash
  run: |
    python3 - <<'END'
    import json, os
    event = json.load(open(os.environ["GITHUB_EVENT_PATH"]))
    print("Title:", event["pull_request"]["title"])
    END
"""
BY_PYTHON = """
shell: python
env:
  EVENT: ${{ github.event_path }}
run: |
  import json, os
  print("Title: " + json.load(open(os.environ["EVENT"]))["pull_request"]["title"])
"""


def named(files: Files) -> list[tuple[str, str]]:
    return sorted(
        item
        for item in files.items()
        if item[0].startswith("requirements") and item[0].endswith(".txt")
    )


def key(system: str, python: str, files: Files) -> str:
    if not named(files):
        raise ValueError("none")
    digest = hashlib.sha256(json.dumps(named(files)).encode()).hexdigest()
    return f"{system}-{python}-{digest}"


def key_by_file(system: str, python: str, files: Files) -> str:
    """One hash for each file, as hashFiles does it, and the names with them."""
    digests = [f"{n}={hashlib.md5(t.encode()).hexdigest()}" for n, t in named(files)]
    if not digests:
        raise ValueError("none")
    return "/".join(["env", system, python, *digests])


def by_hash(system: str, python: str, files: Files) -> str:
    return f"{system}-{python}-{hash(files['requirements.txt'])}"


def by_hash_of_all(system: str, python: str, files: Files) -> str:
    return f"{system}-{python}-{hash(tuple(named(files)))}"


def only_one_file(system: str, python: str, files: Files) -> str:
    return f"{system}-{python}-{hashlib.sha256(files['requirements.txt'].encode()).hexdigest()}"


def joined(system: str, python: str, files: Files) -> str:
    text = "".join(text for _, text in named(files))
    return f"{system}-{python}-{hashlib.sha256(text.encode()).hexdigest()}"


def all_files(system: str, python: str, files: Files) -> str:
    text = json.dumps(sorted(files.items()))
    return f"{system}-{python}-{hashlib.sha256(text.encode()).hexdigest()}"


def unsorted(system: str, python: str, files: Files) -> str:
    mine = [item for item in files.items() if item in named(files)]
    return f"{system}-{python}-{hashlib.sha256(json.dumps(mine).encode()).hexdigest()}"


def never_missing(system: str, python: str, files: Files) -> str:
    return f"{system}-{python}-{hashlib.sha256(json.dumps(named(files)).encode()).hexdigest()}"


def minor_only(system: str, python: str, files: Files) -> str:
    return key(system, python[:3], files)


def asks(new: ci.Release, times: int = 100) -> bool:
    for _ in range(times):
        try:
            if new.ready():
                return True
        except ConnectionError:
            continue
    return False


def leave(router: ci.World, release: ci.Release) -> None:
    while not router.drained(release):
        pass
    release.stop()


def deploy(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    loser, winner = (old, new) if asks(new, 1) else (new, old)
    if winner is old:
        router.send(old)
    leave(router, loser)
    return winner


def deploy_patiently(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    """Another way: questions are counted in a loop, and it looks twenty times after the switch."""
    new.start()
    questions = 0
    while not asks(new, 1):
        questions += 1
        if questions == 150:
            new.stop()
            return old
        time.sleep(0.001)
    router.send(new)
    if all(asks(new, 1) for _ in range(20)):
        leave(router, old)
        return new
    router.send(old)
    leave(router, new)
    return old


def switches_first(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    router.send(new)
    asks(new)
    leave(router, old)
    return new


def does_not_drain(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    old.stop()
    return new


def asks_once(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not new.ready():
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    return new


def asks_for_ever(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    while not asks(new, 1):
        pass
    router.send(new)
    leave(router, old)
    return new


def never_looks_again(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    return new


def turns_back_too_fast(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    if not asks(new, 1):
        router.send(old)
        new.stop()
        return old
    leave(router, old)
    return new


def forgets_the_bad_one(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new):
        return old
    router.send(new)
    leave(router, old)
    return new


def returns_nothing(router: ci.World, old: ci.Release, new: ci.Release) -> None:
    deploy(router, old, new)


def impatient(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    new.start()
    if not asks(new, 10):
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    return new


def waits_for_the_busy(router: ci.World, old: ci.Release, new: ci.Release) -> ci.Release:
    leave(router, old)
    return deploy(router, old, new)


TRIGGER = """
    ALTER TABLE place ADD COLUMN name text;
    CREATE FUNCTION one_value() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'INSERT' THEN
            NEW.name := coalesce(NEW.name, NEW.title);
            NEW.title := NEW.name;
        ELSIF NEW.name IS DISTINCT FROM OLD.name THEN
            NEW.title := NEW.name;
        ELSE
            NEW.name := NEW.title;
        END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER one_value BEFORE INSERT OR UPDATE ON place
        FOR EACH ROW EXECUTE FUNCTION one_value();
"""
FILL = "UPDATE place SET title = title;"
UNTRIGGER = "DROP TRIGGER one_value ON place; DROP FUNCTION one_value();"
DROP = "ALTER TABLE place DROP COLUMN title, ALTER COLUMN name SET NOT NULL"

BY_TRIGGER = {"expand": TRIGGER + FILL, "contract": UNTRIGGER + DROP}
BY_VIEW = {
    "expand": """
        BEGIN;
        ALTER TABLE place RENAME TO place_table;
        ALTER TABLE place_table RENAME COLUMN title TO name;
        CREATE VIEW place AS SELECT id, name, name AS title FROM place_table;
        COMMIT;
    """,
    "contract": "BEGIN; DROP VIEW place; ALTER TABLE place_table RENAME TO place; COMMIT;",
}
ONE_WAY = TRIGGER.replace("NEW.title := NEW.name;\n        ELSE", "NULL;\n        ELSE")

RIGHT = [
    ("ci.1", BY_VARIABLE),
    ("ci.1", BY_FILE),
    ("ci.1", BY_PYTHON),
    ("ci.2", key),
    ("ci.2", key_by_file),
    ("ci.3", deploy),
    ("ci.3", deploy_patiently),
    ("ci.4", BY_TRIGGER),
    ("ci.4", BY_VIEW),
]

TITLE = "${{ github.event.pull_request.title }}"

NOT_YET = [
    ("ci.1", None, "give a step as YAML"),
    ("ci.1", {"run": "echo"}, "this is of type dict"),
    ("ci.1", f'run: |\n  echo "Title: {TITLE}"', "was run"),
    ("ci.1", f"run: |\n  echo 'Title: {TITLE}'", "was run"),
    ("ci.1", f"run: |\n  echo Title\\: {TITLE}", "was run"),
    ("ci.1", "run: |\n  echo Title: ${{ toJSON(github.event.pull_request.title) }}", "was run"),
    ("ci.1", f"env:\n  T: {TITLE}\nrun: |\n  echo Title\\: $T", "two blanks"),
    ("ci.1", f"env:\n  T: {TITLE}\nrun: |\n  printf \"Title: $T\\n\"", "%"),
    ("ci.1", f"env:\n  T: {TITLE}\nrun: |\n  eval \"echo Title: $T\"", "was run"),
    ("ci.1", f'run: echo "Title: {TITLE}"', "this is not YAML"),
    ("ci.1", "run: echo ${{ secrets.TOKEN }}", "is not known here"),
    ("ci.1", f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: ${{{{ env.T }}}}"', "was run"),
    ("ci.1", f'shell: python\nrun: |\n  t = r"""\n  {TITLE}\n  """\n  print(t)', "was run"),
    ("ci.1", f"shell: python\nrun: |\n  t = r'''\n  {TITLE}\n  '''\n  print(t)", "was run"),
    ("ci.1", f'env:\n  T: {TITLE}\nshell: sh\nrun: |\n  echo "$T"', "was to be printed"),
    ("ci.1", "run: exit 3", "failed with status 3"),
    ("ci.1", "run: exit", "and not ''"),
    ("ci.1", "run: ['echo']", "a mapping with a text under run"),
    ("ci.1", "just a text", "a mapping with a text under run"),
    ("ci.1", "run: ls\nshell: pwsh", "shell is one of"),
    ("ci.1", "run: ls\nenv: [1]", "env should be a mapping"),
    ("ci.2", by_hash, "hash()"),
    ("ci.2", by_hash_of_all, "hash()"),
    ("ci.2", lambda *_: "deps", "names another Django"),
    ("ci.2", only_one_file, "requirements-test.txt"),
    ("ci.2", joined, "a line has moved"),
    ("ci.2", all_files, "a view was changed"),
    ("ci.2", unsorted, "another order"),
    ("ci.2", never_missing, "never changes"),
    ("ci.2", minor_only, "version of Python"),
    ("ci.2", lambda _, *rest: key("Linux", *rest), "the system is another"),
    ("ci.2", lambda *_: str(time.perf_counter_ns()), "gave two keys"),
    ("ci.2", lambda *given: json.dumps(given), "without commas"),
    ("ci.2", lambda *_: None, "a key is a text"),
    ("ci.2", lambda: "", "TypeError"),
    ("ci.2", "a key", "this is of type str"),
    ("ci.3", lambda *_: None, "requests go to <release old>"),
    ("ci.3", switches_first, "which does not serve"),
    ("ci.3", does_not_drain, "stopped while it had requests"),
    ("ci.3", asks_once, "only does not listen yet"),
    ("ci.3", asks_for_ever, "a release that never is ready: the release new was asked"),
    ("ci.3", never_looks_again, "ready until requests go to it"),
    ("ci.3", turns_back_too_fast, "<release new> was stopped while it had requests"),
    ("ci.3", forgets_the_bad_one, "<release new> still runs"),
    ("ci.3", returns_nothing, "it returned None"),
    ("ci.3", impatient, "ready at the 90th question"),
    ("ci.3", waits_for_the_busy, "to which requests still go"),
    ("ci.3", lambda router, *_: router.send("new"), "router.send takes a release"),
    ("ci.4", {"expand": "SELECT 1"}, "under expand and contract"),
    ("ci.4", {"expand": "ALTER TABLE place RENAME title TO name", "contract": "SELECT 1"},
     "the release that uses title"),
    ("ci.4", {"expand": "SELECT 1", "contract": DROP}, "the release that uses name"),
    ("ci.4", {"expand": "ALTER TABLE place ADD COLUMN name text", "contract": DROP},
     "the rows that were there"),
    ("ci.4", {"expand": f"{TRIGGER}{FILL}", "contract": DROP}, 'has no field "title"'),
    ("ci.4", {"expand": TRIGGER, "contract": UNTRIGGER + DROP}, "the rows that were there"),
    ("ci.4", {"expand": ONE_WAY + FILL, "contract": UNTRIGGER + DROP}, "updated by its name"),
    ("ci.4", {"expand": TRIGGER + FILL, "contract": "SELECT 1"}, "still is a column title"),
    ("ci.4", {"expand": TRIGGER + FILL,
              "contract": UNTRIGGER + "ALTER TABLE place DROP COLUMN title"}, "without a name"),
    ("ci.4", {"expand": "ALTER TABLE place ADD COLUMN name text GENERATED ALWAYS AS (title) STORED",
              "contract": DROP}, "the release that uses name"),
    ("ci.4", {"expand": "BEGIN;" + TRIGGER + FILL, "contract": DROP}, "still open"),
    ("ci.4", {"expand": "ALTER TBALE place", "contract": "SELECT 1"}, "syntax error"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "answer"), RIGHT)
def test_right(name: str, answer: object) -> None:
    verdict = judge_answer(name, answer)
    assert verdict.right, verdict


@pytest.mark.parametrize(("name", "answer", "hint"), NOT_YET)
def test_not_yet(name: str, answer: object, hint: str) -> None:
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert hint in verdict.message


def loops(*_: object) -> None:
    while True:
        pass


def leaves(*_: object) -> None:
    raise SystemExit(3)


@pytest.mark.parametrize("name", ["ci.2", "ci.3"])
@pytest.mark.parametrize(
    ("answer", "hint"), [(loops, "had not come to an end"), (leaves, "raised SystemExit")]
)
def test_a_function_that_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, name: str, answer: Callable[..., Any], hint: str
) -> None:
    monkeypatch.setattr("nexus.exercises.limits.SECONDS", 0.5)
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert hint in verdict.message


@pytest.mark.parametrize("script", ["sleep 600", "sleep 600 & wait", "cat; sleep 600"])
def test_a_step_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("nexus.exercises.programs.SECONDS", 0.5)
    verdict = judge_answer("ci.1", f"run: {script}")
    assert not verdict.right
    assert "had not come to an end" in verdict.message


def test_a_step_that_prints_for_ever_fills_no_disk() -> None:
    verdict = judge_answer("ci.1", "run: yes for ever")
    assert not verdict.right
    assert "failed with status" in verdict.message


@pytest.mark.parametrize("script", ["true", "sleep 600"])
def test_nothing_of_a_step_is_left(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("nexus.exercises.programs.SECONDS", 1)
    mark = f"600.{os.getpid()}"
    judge_answer("ci.1", f"run: |\n  setsid sleep {mark} &\n  {script}")
    left = [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]
    psutil.wait_procs(left, timeout=10)
    assert not [process for process in left if process.is_running()]


def test_sql_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.exercises.limits.SECONDS", 0.5)
    verdict = judge_answer("ci.4", {"expand": "SELECT pg_sleep(600)", "contract": "SELECT 1"})
    assert not verdict.right
    assert "stopped after" in verdict.message
