"""The Makefile, run by the real make on a copy of the project to start from."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nexus
from nexus.services.postgres import Postgres

ROOT = Path(__file__).resolve().parent.parent.parent
FILE = ROOT / "snippets" / "make" / "Makefile"
TEXT = FILE.read_text()
VERBS = set(re.findall(r"^([a-z]+):.*## \S", TEXT, re.MULTILINE))

pytestmark = pytest.mark.skipif(not shutil.which("make"), reason="needs make: apt-get install make")


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres() as pg:
        yield pg


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "copy"
    leave = shutil.ignore_patterns("__pycache__", "static", ".env", ".*_cache")
    shutil.copytree(ROOT / "snippets" / "django-project", folder, ignore=leave)
    shutil.copy(FILE, folder)
    return folder


def make(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "PY", "PYTHON")
    }
    return subprocess.run(
        ["make", *words], cwd=folder, env=own | env, capture_output=True, text=True, timeout=300
    )


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = TEXT.partition("\nSHELL")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# GNU Make", head)
    assert "\n# Watch out:\n# * " in head
    assert "(make/Makefile)" in (ROOT / "snippets" / "README.md").read_text()


def test_make_alone_lists_every_verb_with_what_it_does(folder: Path) -> None:
    done = make(folder)
    assert (done.returncode, done.stderr) == (0, "")
    listed = dict(re.findall(r"^  make ([a-z]+) +(\S.*)$", done.stdout, re.MULTILINE))
    assert set(listed) == VERBS
    assert len(done.stdout.splitlines()) == len(VERBS) >= 7


def test_every_verb_is_phony() -> None:
    (phony,) = re.findall(r"^\.PHONY: (.*)", TEXT, re.MULTILINE)
    assert set(phony.split()) == VERBS


def test_the_verbs_of_a_project(folder: Path, server: Postgres) -> None:
    env = {
        "SECRET_KEY": "for-this-test-only-" + "0123456789" * 4,
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": server.url,
    }
    (folder / ".env").write_text("DEBUG=true\n")  # as on a machine of one's own
    python = f"PY={sys.executable}"
    for words, said in (
        (("check",), "No changes detected"),
        (("migrations",), "No changes detected"),
        (("test",), r"Ran \d\d tests"),
        (("test", "ONLY=tests.test_project.Project"), r"Ran \d tests"),
    ):
        done = make(folder, *words, python, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        assert re.search(said, done.stdout + done.stderr), words
    models = folder / "mysite" / "listings" / "models.py"
    models.write_text(models.read_text().replace("max_length=100", "max_length=101"))
    assert make(folder, "check", python, **env).returncode != 0
    assert not (folder / ".venv").exists()


def test_it_sets_up_once_and_again_if_what_is_needed_changes(folder: Path) -> None:
    """With a project that needs nothing, so that nothing is downloaded."""
    needed = folder / "requirements.txt"
    needed.write_text("# nothing\n")
    (folder / "manage.py").write_text("print('tested')\n")
    python = f"PYTHON={sys.executable}"
    first = make(folder, "test", python)
    assert first.returncode == 0, first.stderr
    assert "-m venv" in first.stdout
    assert first.stdout.endswith("tested\n")
    assert "-m venv" not in make(folder, "test", python).stdout
    made = (folder / ".venv" / "complete").stat().st_mtime
    os.utime(needed, (made + 1, made + 1))
    assert "-m venv" in make(folder, "setup", "--dry-run", python).stdout
    needed.write_text("no-such-package-that-could-be-found @ file:///nowhere\n")
    os.utime(needed, (made + 1, made + 1))
    assert make(folder, "setup", python).returncode != 0
    assert not (folder / ".venv" / "complete").exists()
    (folder / "static").mkdir()
    (folder / "assets").mkdir()
    cleaned = make(folder, "clean", "COLLECTED=assets")
    assert cleaned.returncode == 0, cleaned.stderr
    assert not (folder / ".venv").exists()
    assert (folder / "static").is_dir()
    assert not (folder / "assets").exists()


def test_what_it_cleans_is_what_the_settings_collect() -> None:
    settings = (ROOT / "snippets" / "django-project" / "mysite" / "settings.py").read_text()
    (collected,) = re.findall(r"^COLLECTED := (\w+)", TEXT, re.MULTILINE)
    assert f'STATIC_ROOT = BASE_DIR / "{collected}"' in settings
