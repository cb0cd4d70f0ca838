"""pre-commit itself reads the file, installs its hooks and runs them before a commit."""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent.parent
BIN = Path(sys.executable).parent
FILE = ROOT / "snippets" / "pre-commit" / ".pre-commit-config.yaml"
HOOKS = [hook for repo in yaml.safe_load(FILE.read_text())["repos"] for hook in repo["hooks"]]


SECRETS = (".env", ".env.production", ".env.local", "prod.env", "deploy/.env")


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = FILE.read_text().partition("\n\n")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# pre-commit \d", head)
    assert "\n# Watch out:\n# * " in head
    page = (ROOT / "snippets" / "README.md").read_text()
    assert "(pre-commit/.pre-commit-config.yaml)" in page


def test_pre_commit_reads_it() -> None:
    done = subprocess.run(
        [BIN / "pre-commit", "validate-config", FILE], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr


def test_its_packages_have_versions() -> None:
    for hook in HOOKS:
        for package in hook.get("additional_dependencies", []):
            assert re.fullmatch(r"[\w-]+==[\d.]+", package)


@dataclass
class Clone:
    """A repository with the project to start from, and the hooks installed."""

    folder: Path
    env: dict[str, str]

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=300
        )

    def git(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.run("git", *words)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    folder = tmp_path_factory.mktemp("pre-commit") / "clone"
    leave = shutil.ignore_patterns("__pycache__", "static", ".env", ".*_cache")
    shutil.copytree(ROOT / "snippets" / "django-project", folder, ignore=leave)
    shutil.copy(FILE, folder)
    # Other snippets that a reader puts beside: the hooks have nothing to say of them.
    shutil.copy(ROOT / "snippets" / "gunicorn" / "gunicorn.conf.py", folder)
    shutil.copy(ROOT / "snippets" / "logging" / "logs.py", folder / "mysite")
    shutil.copy(ROOT / "snippets" / "env" / ".env.example", folder)
    for name in ("Dockerfile", ".dockerignore", "compose.yaml"):
        shutil.copy(ROOT / "snippets" / "containers" / name, folder)
    shutil.copytree(ROOT / "snippets" / "github-actions", folder / ".github" / "workflows")
    own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env = own | {
        "PATH": f"{BIN}:{os.environ['PATH']}",
        "PRE_COMMIT_HOME": str(folder.parent / "hooks"),
        "PRE_COMMIT_COLOR": "never",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "SECRET_KEY": "for-this-test-only-" + "0123456789" * 4,
        "ALLOWED_HOSTS": "localhost",
        "DATABASE_URL": "postgresql://127.0.0.1:9/none",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    clone = Clone(folder, env)
    for words in (
        ("init", "--quiet"),
        ("config", "user.name", "A"),
        ("config", "user.email", "a@example.com"),
        ("add", "--all"),
    ):
        assert clone.git(*words).returncode == 0
    installed = clone.run(BIN / "pre-commit", "install", "--install-hooks")
    assert installed.returncode == 0, installed.stdout + installed.stderr
    return clone


def results(said: str) -> dict[str, str]:
    """What became of each hook, by its name."""
    return dict(
        re.findall(r"^(\S.*?)\.{3,}(?:\(.*\))?(Passed|Failed|Skipped)$", said, re.MULTILINE)
    )


def test_what_is_right_is_committed_and_what_is_wrong_is_not(clone: Clone) -> None:
    first = clone.git("commit", "--message=The project")
    assert first.returncode == 0, first.stdout + first.stderr
    names = {hook["name"] for hook in HOOKS}
    before = results(first.stdout + first.stderr)
    assert set(before) == names
    assert "Failed" not in before.values()

    models = clone.folder / "mysite" / "listings" / "models.py"
    marks = ("<<<<<<< HEAD", "=======", ">>>>>>> other")
    wrong = {
        "unused.py": "import os\n",
        "layout.py": "x = {  'a':1 }\n",
        "key.txt": " ".join(("-----BEGIN", "RSA", "PRIVATE", "KEY-----")) + "\n",
        **dict.fromkeys(SECRETS, "SECRET_KEY=x\n"),
        "dump.txt": "x" * 600_000 + "\n",
        "merged.txt": "\n".join(marks) + "\n",
        "broken.yaml": "a: [\n",
        "end.txt": "no line break",
        str(models): models.read_text().replace("max_length=100", "max_length=101"),
    }
    (clone.folder / "deploy").mkdir()
    for name, text in wrong.items():
        (clone.folder / name).write_text(text)
    (clone.folder / ".git" / "MERGE_MSG").write_text("Merge other\n")
    (clone.folder / ".git" / "MERGE_HEAD").write_text(clone.git("rev-parse", "HEAD").stdout)
    clone.git("add", "--all", "--force")
    refused = clone.git("commit", "--message=All that can be wrong")
    assert refused.returncode != 0
    said = refused.stdout + refused.stderr
    assert results(said) == dict.fromkeys(names, "Failed"), said
    assert "Take it out of the commit" in said
    named = said.partition("Take it out of the commit")[2].partition("no large file")[0]
    assert {line for line in named.splitlines() if "env" in line} == set(SECRETS)
    # What a hook can mend is mended, for whoever commits to look at and add.
    assert (clone.folder / "unused.py").read_text() == ""
    assert (clone.folder / "layout.py").read_text() == 'x = {"a": 1}\n'
    assert (clone.folder / "end.txt").read_text() == "no line break\n"
