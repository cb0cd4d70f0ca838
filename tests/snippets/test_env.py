"""The example is read by django-environ and by a shell, and the project starts with it."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import environ
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "snippets" / "env" / ".env.example"
TEXT = FILE.read_text()
PROJECT = ROOT / "snippets" / "django-project"
VARIABLE = re.compile(r"^(#?)([A-Z][A-Z_]+)=(.*)$", re.MULTILINE)
VALUES = {name: value for _, name, value in VARIABLE.findall(TEXT)}
REQUIRED = {name for commented, name, _ in VARIABLE.findall(TEXT) if not commented}


@pytest.fixture
def everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file with nothing commented out; and an environment that has none of it."""
    for name in VALUES:
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / ".env"
    path.write_text(VARIABLE.sub(r"\2=\3", TEXT))
    return path


@pytest.fixture
def env(everything: Path) -> environ.Env:
    class Own(environ.Env):
        ENVIRON: dict[str, str] = {}  # noqa: RUF012

    env = Own()
    env.read_env(everything)
    return env


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = TEXT.partition("\n\n")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# Read by", head)
    assert "\n# Watch out:\n# * " in head
    assert "(env/.env.example)" in (ROOT / "snippets" / "README.md").read_text()


def test_every_variable_says_what_it_is_for() -> None:
    lines = TEXT.splitlines()
    for number, line in enumerate(lines):
        if VARIABLE.fullmatch(line):
            assert re.match(r"#( |   )\S", lines[number - 1]), line


def test_django_environ_reads_every_variable_as_it_stands(env: environ.Env) -> None:
    assert env.ENVIRON == VALUES


def test_each_value_is_what_it_says(env: environ.Env) -> None:
    assert len(env.str("SECRET_KEY")) >= 50
    assert env.list("ALLOWED_HOSTS") == ["localhost", "127.0.0.1"]
    database = env.db_url("DATABASE_URL")
    assert database["ENGINE"] == "django.db.backends.postgresql"
    assert (database["HOST"], database["PORT"], database["NAME"]) == ("127.0.0.1", 5432, "mysite")
    assert env.cache_url("CACHE_URL")["BACKEND"].endswith("RedisCache")
    assert env.email_url("EMAIL_URL")["EMAIL_BACKEND"].endswith("console.EmailBackend")
    assert env.bool("DEBUG")  # as in the project's own example: it is for one's own machine
    assert not env.bool("BEHIND_PROXY")
    for name in ("HSTS_SECONDS", "STATEMENT_TIMEOUT_MS", "WEB_CONCURRENCY", "WEB_THREADS"):
        assert env.int(name) > 0


def test_a_shell_reads_the_same(everything: Path) -> None:
    script = f'set -a; . "{everything}"; exec "{sys.executable}" -c "$1"'
    tell = "import json, os; print(json.dumps(dict(os.environ)))"
    done = subprocess.run(
        ["sh", "-eu", "-c", script, "sh", tell], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    import json

    assert json.loads(done.stdout).items() >= VALUES.items()


def copied(folder: Path) -> Path:
    leave = shutil.ignore_patterns("__pycache__", "static", ".env", ".*_cache")
    shutil.copytree(PROJECT, folder, ignore=leave)
    shutil.copy(FILE, folder / ".env")
    return folder


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name not in VALUES}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level=ERROR"],
        cwd=folder,
        env=env | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_project_starts_with_it_and_not_without_what_must_be_set(tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy")
    done = check(folder)
    assert done.returncode == 0, done.stderr
    required = {"SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"}
    assert required | {"DEBUG"} == REQUIRED
    for name in required:
        without = re.sub(rf"^{name}=.*\n", "", TEXT, flags=re.MULTILINE)
        (folder / ".env").write_text(without)
        assert f"Set the {name} environment variable" in check(folder).stderr


def test_without_debug_it_is_as_safe_as_it_can_be(tmp_path: Path) -> None:
    folder = copied(tmp_path / "copy")
    assert "security.W018" in check(folder).stderr
    (folder / ".env").write_text(TEXT.replace("DEBUG=true\n", ""))
    # The example's key is not fit for that, and Django says so.
    assert re.findall(r"security\.\w+", check(folder).stderr) == ["security.W009"]
    own = re.sub("^SECRET_KEY=.*", "SECRET_KEY=" + "aB3-xY7_" * 8, TEXT, flags=re.MULTILINE)
    (folder / ".env").write_text(own.replace("DEBUG=true\n", ""))
    assert "security." not in check(folder).stderr


def test_it_has_all_that_the_project_and_its_containers_read() -> None:
    example = (PROJECT / ".env.example").read_text()
    assert {name for _, name, _ in VARIABLE.findall(example)} <= set(VALUES)
    compose = (ROOT / "snippets" / "containers" / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(\w+):\?", compose)) <= set(VALUES)
