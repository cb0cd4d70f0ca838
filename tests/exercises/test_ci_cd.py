"""The judges of ci: the stub, right answers of several kinds, wrong ones."""

import builtins
import datetime
import hashlib
import json
import os
import re
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import psutil
import pytest

import nexus
from nexus.exercises import ci_cd
from nexus.judging import judge_answer

EXERCISES = [f"ci-cd.{number}" for number in range(1, 5)]
ONE, TWO, THREE, FOUR = EXERCISES

Files = Mapping[str, str]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
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


BY_CONTEXT = """
shell: python
env:
  EVENT: ${{ toJSON(github.event) }}
run: |
  import json, os
  print("Title:", json.loads(os.environ["EVENT"])["pull_request"]["title"])
"""


def named(files: Files) -> list[tuple[str, str]]:
    return sorted(
        item for item in files.items() if re.fullmatch(r"requirements[^/]*\.txt", item[0])
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


def by_set(system: str, python: str, files: Files) -> str:
    """Hashes the files in the order of a set of their names."""
    if not named(files):
        raise ValueError("none")
    digest = hashlib.sha256()
    for name in {name for name, _ in named(files)}:
        digest.update(f"{name}\0{files[name]}\0".encode())
    return f"{system}-{python}-{digest.hexdigest()}"


def by_checksum(system: str, python: str, files: Files) -> str:
    if not named(files):
        raise ValueError("none")
    return f"{system}-{python}-{zlib.adler32(json.dumps(named(files)).encode())}"


def hashed(value: object) -> int:
    return builtins.hash(value)


def by_helper(system: str, python: str, files: Files) -> str:
    return f"{key(system, python, files)}-{hashed(json.dumps(named(files)))}"


def by_prefix(system: str, python: str, files: Files) -> str:
    mine = {name: text for name, text in files.items() if name.startswith("requirements")}
    if not mine:
        raise ValueError("none")
    return (
        f"{system}-{python}-{hashlib.sha256(json.dumps(mine, sort_keys=True).encode()).hexdigest()}"
    )


def by_part(system: str, python: str, files: Files) -> str:
    mine = sorted((n, t) for n, t in files.items() if "requirements" in n and n.endswith(".txt"))
    if not mine:
        raise ValueError("none")
    return f"{system}-{python}-{hashlib.sha256(json.dumps(mine).encode()).hexdigest()}"


def by_month(system: str, python: str, files: Files) -> str:
    return f"{key(system, python, files)}-{datetime.date.today():%Y-%m}"


def by_process(system: str, python: str, files: Files) -> str:
    return f"{key(system, python, files)}-{os.getpid()}"


REMEMBERED: dict[str, str] = {}


def by_memory(system: str, python: str, files: Files) -> str:
    """The same files get the same number, in one process only."""
    content = key(system, python, files)
    return REMEMBERED.setdefault(content, str(time.perf_counter_ns()))


def of_each(make: Callable[[str, str], object]) -> Callable[[str, str, Files], str]:
    """Hashes what is made of each file that counts."""

    def hashed_by(system: str, python: str, files: Files) -> str:
        mine = [make(*item) for item in named(files)]
        if not mine:
            raise ValueError("none")
        digest = hashlib.sha256(json.dumps(mine, sort_keys=True).encode()).hexdigest()
        return f"{system}-{python}-{digest}"

    return hashed_by


def texts_only(system: str, python: str, files: Files) -> str:
    texts = sorted(text for _, text in named(files))
    if not texts:
        raise ValueError("none")
    return f"{system}-{python}-{hashlib.sha256(json.dumps(texts).encode()).hexdigest()}"


def one_hyphen(system: str, python: str, files: Files) -> str:
    mine = {n: t for n, t in files.items() if re.fullmatch(r"requirements(-\w+)?\.txt", n)}
    return key(system, python, mine)


def with_the_usual_one(system: str, python: str, files: Files) -> str:
    if "requirements.txt" not in files:
        raise ValueError("none")
    return key(system, python, files)


def not_the_empty(system: str, python: str, files: Files) -> str:
    return key(system, python, {name: text for name, text in files.items() if text})


def another_error(system: str, python: str, files: Files) -> str:
    if not named(files):
        raise KeyError("none")
    return key(system, python, files)


def swallows(system: str, python: str, files: Files) -> str:
    try:
        return key(system, python, files)
    except ValueError:
        return f"{system}-{python}-none"


def asks(new: ci_cd.Release, times: int = 100) -> bool:
    for _ in range(times):
        try:
            if new.ready():
                return True
        except ConnectionError:
            continue
    return False


def leave(router: ci_cd.World, release: ci_cd.Release) -> None:
    while not router.drained(release):
        pass
    release.stop()


def deploy(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release, times: int = 100
) -> ci_cd.Release:
    new.start()
    if not asks(new, times):
        new.stop()
        return old
    router.send(new)
    loser, winner = (old, new) if asks(new, 1) else (new, old)
    if winner is old:
        router.send(old)
    leave(router, loser)
    return winner


def deploy_patiently(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    """Another way: questions are counted in a loop, and it looks twenty times after the switch."""
    new.start()
    questions = 0
    while not asks(new, 1):
        questions += 1
        if questions == 120:
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


def switches_first(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    router.send(new)
    asks(new)
    leave(router, old)
    return new


def does_not_drain(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    old.stop()
    return new


def asks_once(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    if not new.ready():
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    return new


def asks_for_ever(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    while not asks(new, 1):
        pass
    router.send(new)
    leave(router, old)
    return new


def never_looks_again(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    return new


def turns_back_too_fast(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
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


def forgets_the_bad_one(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    new.start()
    if not asks(new):
        return old
    router.send(new)
    leave(router, old)
    return new


def counts_what_it_hears(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    """Gives up after a hundred answers, and a release that does not listen gives none."""
    new.start()
    heard = 0
    while heard < 100:
        try:
            if new.ready():
                return deploy(router, old, new, 1)
            heard += 1
        except ConnectionError:
            continue
    new.stop()
    return old


def stops_without_turning_back(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    if asks(new, 1):
        leave(router, old)
        return new
    new.stop()
    return old


def leaves_before_it_looks(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    leave(router, old)
    if asks(new, 1):
        return new
    old.start()
    router.send(old)
    leave(router, new)
    return old


def looks_a_hundred_times(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    """As patient after the switch as before it."""
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    loser, winner = (old, new) if asks(new) else (new, old)
    if winner is old:
        router.send(old)
    leave(router, loser)
    return winner


def waits_ten_times(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    if not asks(new, 1):
        router.send(old)
        leave(router, new)
        return old
    for _ in range(10):
        if router.drained(old):
            break
    old.stop()
    return new


def returns_nothing(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> None:
    deploy(router, old, new)


def impatient(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    return deploy(router, old, new, 10)


def one_too_few(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    return deploy(router, old, new, 99)


def trusts_it_to_listen(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    """Does not expect that a release which listened may end."""
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    loser, winner = (old, new) if new.ready() else (new, old)
    router.send(winner)
    leave(router, loser)
    return winner


def waits_for_the_busy(
    router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release
) -> ci_cd.Release:
    leave(router, old)
    return deploy(router, old, new)


def most_patient(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    return deploy(router, old, new, 500)


def swallows_all(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    try:
        new.start()
        for _ in range(100):
            if new.ready():
                router.send(new)
                leave(router, old)
                return new
    except Exception:
        pass
    return old


def stops_first(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    old.stop()
    new.start()
    asks(new)
    router.send(new)
    return new


def waits_a_little(router: ci_cd.World, old: ci_cd.Release, new: ci_cd.Release) -> ci_cd.Release:
    """Asks once whether the old one is drained, and stops it whatever was said."""
    new.start()
    if not asks(new):
        new.stop()
        return old
    router.send(new)
    if not asks(new, 1):
        router.send(old)
        leave(router, new)
        return old
    router.drained(old)
    old.stop()
    return new


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

FIRST_ROWS = TRIGGER.replace("FOR EACH ROW EXECUTE", "FOR EACH ROW WHEN (NEW.id <= 7) EXECUTE")
INSERTS_ONLY = TRIGGER.replace("BEFORE INSERT OR UPDATE", "BEFORE INSERT")
SHORT = TRIGGER.replace("COLUMN name text", "COLUMN name varchar(60)")
EMPTY_IS_MISSING = TRIGGER.replace(
    "coalesce(NEW.name, NEW.title)", "coalesce(nullif(NEW.name, ''), NEW.title)"
)
BY_DEFAULT = TRIGGER.replace("COLUMN name text", "COLUMN name text NOT NULL DEFAULT ''").replace(
    "NEW.name := coalesce(NEW.name, NEW.title);",
    "IF NEW.name = '' THEN NEW.name := NEW.title; END IF;",
)
REBUILT = """
    CREATE TABLE place_new (id int GENERATED ALWAYS AS IDENTITY {key}, name text NOT NULL);
    INSERT INTO place_new OVERRIDING SYSTEM VALUE SELECT id, name FROM place;
    SELECT setval(pg_get_serial_sequence('place_new', 'id'), (SELECT max(id) FROM place));
    DROP TABLE place;
    ALTER TABLE place_new RENAME TO place;
"""
BY_COPY = {
    "expand": TRIGGER + FILL,
    "contract": UNTRIGGER + REBUILT.format(key="PRIMARY KEY"),
}
COPIED = """
    CREATE TABLE place_new AS SELECT id, name FROM place;
    ALTER TABLE place_new ALTER COLUMN name SET NOT NULL, ADD PRIMARY KEY (id);
    DROP TABLE place;
    ALTER TABLE place_new RENAME TO place;
    CREATE SEQUENCE place_number START 1000 OWNED BY place.id;
    ALTER TABLE place ALTER COLUMN id SET DEFAULT nextval('place_number');
"""

RIGHT = [
    (ONE, BY_VARIABLE),
    (ONE, BY_FILE),
    (ONE, BY_PYTHON),
    (ONE, BY_CONTEXT),
    (TWO, key),
    (TWO, key_by_file),
    (THREE, deploy),
    (THREE, deploy_patiently),
    (FOUR, BY_TRIGGER),
    (FOUR, BY_VIEW),
    (FOUR, BY_COPY),
]

TITLE = "${{ github.event.pull_request.title }}"

NOT_YET = [
    (ONE, None, "give a step as YAML"),
    (ONE, {"run": "echo"}, "this is of type dict"),
    (ONE, f'run: |\n  echo "Title: {TITLE}"', "ran a part"),
    (ONE, f"run: |\n  echo 'Title: {TITLE}'", "ran a part"),
    (ONE, f"run: |\n  echo Title\\: {TITLE}", "ran a part"),
    (ONE, "run: |\n  echo Title: ${{ toJSON(github.event.pull_request.title) }}", "ran a part"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  echo Title\\: $T", "two blanks"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  printf \"Title: $T\\n\"", "%"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  eval \"echo Title: $T\"", "ran a part"),
    (ONE, f'run: echo "Title: {TITLE}"', "not YAML"),
    (ONE, "run: echo ${{ secrets.TOKEN }}", "does not know"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: ${{{{ env.T }}}}"', "ran a part"),
    (ONE, f'shell: python\nrun: |\n  t = r"""\n  {TITLE}\n  """\n  print(t)', "ran a part"),
    (ONE, f"shell: python\nrun: |\n  t = r'''\n  {TITLE}\n  '''\n  print(t)", "ran a part"),
    (ONE, f'env:\n  T: {TITLE}\nshell: sh\nrun: |\n  echo "$T"', "should print"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  read -r t <<< "$T"\n  echo "Title: $t"', "both ends"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: ${{T:0:80}}"', "a long title"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: X" | sed "s/X/$T/"', "% and"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: $T" | iconv -c -t ASCII', "beyond ASCII"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  printf "Title: %b\\n" "$T"', "% and \\n"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo "Title: $T"\n  echo', "it printed"),
    (ONE, f"run: |\n  cat <<'END'\n  Title: {TITLE}\n  END\n  echo", "it printed"),
    (ONE, f"run: |\n  printf 'Title: '\n  cat <<'END'\n  {TITLE}\n  END", "the title END"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  bash -c "echo \\"Title: $T\\""', "ran a part"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  eval "$T" || true\n  echo "Title: $T"', "ran a part"),
    (ONE, "run: exit 3", "failed with status 3"),
    (ONE, "run: exit", "printed ''"),
    (ONE, "run: ['echo']", "a mapping with a text under run"),
    (ONE, "just a text", "a mapping with a text under run"),
    (ONE, "run: ls\nshell: pwsh", "shell is one of"),
    (ONE, "run: ls\nenv: [1]", "env should be a mapping"),
    (ONE, f'shell: sh\nenv:\n  T: {TITLE}\nrun: |\n  echo "Title: $T"', "should print"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  awk -v t=\"$T\" 'BEGIN {{print \"Title: \" t}}'",
     "% and \\n"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  printf 'Title: '\n  echo \"$T\"", "begins with -n"),
    (ONE, f"env:\n  T: {TITLE}\nrun: |\n  printf '%s' \"$T\" | xargs echo Title:", "should print"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  python -c "print(\'Title: $T\')"', "SyntaxError"),
    (ONE, f'env:\n  T: {TITLE}\nrun: |\n  echo -e "Title: $T"', "% and \\n"),
    (ONE, "env:\n  T: ${{ toJSON(github.event.pull_request.title) }}\nrun: |\n  T=${T#\\\"}\n"
     "  printf 'Title: %s\\n' \"${T%\\\"}\"", 'a title with "'),
    (TWO, of_each(lambda name, text: (name, sorted(text.splitlines()))), "have changed places"),
    (TWO, of_each(lambda name, text: (name, [line for line in text.splitlines()
                                             if not line.startswith("#")])), "a comment was"),
    (TWO, of_each(lambda name, text: (name, text.strip())), "a blank line was added"),
    (TWO, of_each(lambda name, text: (name, len(text))), "names another Django"),
    (TWO, texts_only, "have exchanged their texts"),
    (TWO, one_hyphen, "a file requirements_docs.txt has come"),
    (TWO, with_the_usual_one, "the only file that counts is requirements-test.txt"),
    (TWO, not_the_empty, "requirements.txt, and is empty"),
    (TWO, another_error, "KeyError"),
    (TWO, by_hash, "hash()"),
    (TWO, by_hash_of_all, "hash()"),
    (TWO, lambda *_: "deps", "names another Django"),
    (TWO, lambda *given: key(*given)[:-62], "keep more of the hash"),
    (TWO, by_checksum, "keep more of the hash"),
    (TWO, by_set, "order of a set"),
    (TWO, by_helper, "order of a set"),
    (TWO, by_process, "another process"),
    (TWO, by_memory, "another process"),
    (TWO, by_month, "forty days later"),
    (TWO, by_prefix, "requirements/dev.txt was added"),
    (TWO, by_part, "docs/requirements.txt was added"),
    (TWO, swallows, "never changes"),
    (TWO, only_one_file, "requirements-test.txt"),
    (TWO, joined, "a line has moved"),
    (TWO, all_files, "a view was changed"),
    (TWO, unsorted, "another order"),
    (TWO, never_missing, "never changes"),
    (TWO, minor_only, "version of Python"),
    (TWO, lambda _, *rest: key("Linux", *rest), "the system is another"),
    (TWO, lambda *_: str(time.perf_counter_ns()), "gave two keys"),
    (TWO, lambda *given: json.dumps(given), "without commas"),
    (TWO, lambda *_: None, "a key is a text"),
    (TWO, lambda: "", "TypeError"),
    (TWO, "a key", "this is of type str"),
    (THREE, lambda *_: None, "requests go to <release old>"),
    (THREE, switches_first, "which cannot answer"),
    (THREE, does_not_drain, "<release old> was stopped before"),
    (THREE, asks_once, "does not listen yet"),
    (THREE, asks_for_ever, "a release that is ready at the 150th question"),
    (THREE, most_patient, "150th question, which is too late: requests go to <release new>"),
    (THREE, swallows_all, "listens at the 3rd question"),
    (THREE, stops_first, "<release old> was stopped before"),
    (THREE, waits_a_little, "<release old> was stopped before"),
    (THREE, waits_ten_times, "<release old> was stopped before"),
    (THREE, counts_what_it_hears, "a release that never listens"),
    (THREE, stops_without_turning_back, "ready until requests go to it"),
    (THREE, leaves_before_it_looks, "and turn back at once"),
    (THREE, looks_a_hundred_times, "and turn back at once"),
    (FOUR, {"expand": EMPTY_IS_MISSING + FILL, "contract": UNTRIGGER + DROP}, "null value"),
    (FOUR, {"expand": BY_DEFAULT + FILL, "contract": UNTRIGGER + DROP}, "sent 'INSERT INTO place"),
    (THREE, never_looks_again, "ready until requests go to it"),
    (THREE, turns_back_too_fast, "<release new> was stopped before"),
    (THREE, forgets_the_bad_one, "<release new> still runs"),
    (THREE, returns_nothing, "deploy returned None"),
    (THREE, impatient, "ready at the 100th question"),
    (THREE, one_too_few, "ready at the 100th question"),
    (THREE, trusts_it_to_listen, "listens until requests go to it"),
    (THREE, waits_for_the_busy, "requests still go to it"),
    (THREE, lambda router, *_: router.send("new"), "router.send takes a release"),
    (FOUR, {"expand": "SELECT 1"}, "under expand and contract"),
    (FOUR, {"expand": "ALTER TABLE place RENAME title TO name", "contract": "SELECT 1"},
     "the release that uses title"),
    (FOUR, {"expand": "SELECT 1", "contract": DROP}, "the release that uses name"),
    (FOUR, {"expand": "ALTER TABLE place ADD COLUMN name text", "contract": DROP},
     "the rows that were there"),
    (FOUR, {"expand": f"{TRIGGER}{FILL}", "contract": DROP}, 'has no field "title"'),
    (FOUR, {"expand": TRIGGER, "contract": UNTRIGGER + DROP}, "the rows that were there"),
    (FOUR, {"expand": ONE_WAY + FILL, "contract": UNTRIGGER + DROP}, "updated by its name"),
    (FOUR, {"expand": TRIGGER + FILL, "contract": "SELECT 1"}, "still has a column title"),
    (FOUR, {"expand": TRIGGER + FILL,
              "contract": UNTRIGGER + "ALTER TABLE place DROP COLUMN title"}, "without a name"),
    (FOUR, {"expand": "ALTER TABLE place ADD COLUMN name text GENERATED ALWAYS AS (title) STORED",
              "contract": DROP}, "the release that uses name"),
    (FOUR, {"expand": "BEGIN;" + TRIGGER + FILL, "contract": DROP}, "left a transaction open"),
    (FOUR, {"expand": FIRST_ROWS + FILL, "contract": UNTRIGGER + DROP}, "one statement"),
    (FOUR, {"expand": INSERTS_ONLY + "UPDATE place SET name = title;",
              "contract": UNTRIGGER + DROP}, "updated by its title"),
    (FOUR, {"expand": SHORT + FILL, "contract": UNTRIGGER + DROP}, "too long for type"),
    (FOUR, {"expand": TRIGGER + FILL, "contract": UNTRIGGER + REBUILT.format(key="")},
     "lost its primary key"),
    (FOUR, {"expand": TRIGGER + FILL, "contract": UNTRIGGER + COPIED}, "no identity column"),
    (FOUR, {"expand": TRIGGER + FILL,
              "contract": UNTRIGGER + "DELETE FROM place WHERE id > 3;" + DROP},
     "before contract"),
    (FOUR, {"expand": TRIGGER + FILL, "contract": "DROP TRIGGER one_value ON place;" + DROP},
     "the function one_value is still there"),
    (FOUR, {"expand": TRIGGER + FILL,
            "contract": UNTRIGGER + DROP + ", ALTER COLUMN name SET DEFAULT ''"},
     "should have no default"),
    (FOUR, {"expand": TRIGGER + FILL + "CREATE VIEW named AS SELECT id, name FROM place;",
            "contract": UNTRIGGER + DROP}, "the relation named is still there"),
    (FOUR, {"expand": TRIGGER + "UPDATE place SET title = trim(title);",
            "contract": UNTRIGGER + DROP}, "the rows that were there"),
    (FOUR, {"expand": TRIGGER + FILL, "contract": UNTRIGGER
            + "ALTER TABLE place ADD CONSTRAINT named CHECK (name IS NOT NULL);" + DROP},
     "the constraint named is still there"),
    (FOUR, {"expand": TRIGGER + FILL + "CREATE INDEX by_name ON place (name);",
            "contract": UNTRIGGER + DROP}, "the index by_name is still there"),
    (FOUR, {"expand": TRIGGER.replace("name text", "name varchar") + FILL,
            "contract": UNTRIGGER + DROP}, "name is of type character varying"),
    (FOUR, {"expand": "ALTER TBALE place", "contract": "SELECT 1"}, "syntax error"),
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


@pytest.mark.parametrize("name", [TWO, THREE])
@pytest.mark.parametrize(
    ("answer", "hint"), [(loops, "had not come to an end"), (leaves, "raised SystemExit")]
)
def test_a_function_that_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, name: str, answer: Callable[..., Any], hint: str
) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 0.5)
    verdict = judge_answer(name, answer)
    assert not verdict.right
    assert hint in verdict.message


@pytest.mark.parametrize("script", ["sleep 600", "sleep 600 & wait", "cat; sleep 600"])
def test_a_step_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("nexus.judging.programs.SECONDS", 0.5)
    verdict = judge_answer(ONE, f"run: {script}")
    assert not verdict.right
    assert "had not come to an end" in verdict.message


def test_a_step_that_prints_for_ever_fills_no_disk() -> None:
    verdict = judge_answer(ONE, "run: yes for ever")
    assert not verdict.right
    assert "failed with status" in verdict.message


@pytest.mark.parametrize("script", ["true", "sleep 600"])
def test_nothing_of_a_step_is_left(monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    monkeypatch.setattr("nexus.judging.programs.SECONDS", 1)
    mark = f"600.{os.getpid()}"
    judge_answer(ONE, f"run: |\n  setsid sleep {mark} &\n  {script}")
    left = [p for p in psutil.process_iter(["cmdline"]) if mark in (p.info["cmdline"] or [])]
    psutil.wait_procs(left, timeout=10)
    assert not [process for process in left if process.is_running()]


def test_sql_that_does_not_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nexus.judging.limits.SECONDS", 0.5)
    verdict = judge_answer(FOUR, {"expand": "SELECT pg_sleep(600)", "contract": "SELECT 1"})
    assert not verdict.right
    assert "stopped after" in verdict.message
