"""The project that people copy starts: on real servers, under a name of their own."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import httpx
import pytest
from packaging.requirements import Requirement

import nexus
from nexus.services.postgres import Postgres
from nexus.services.process import wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
SNIPPET = ROOT / "snippets" / "django-project"
README = (SNIPPET / "README.md").read_text()
KEY = "for-this-test-only-" + "0123456789" * 4


@dataclass(frozen=True)
class Project:
    folder: Path
    env: dict[str, str]

    def manage(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.folder,
            env=self.env | more,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with nexus.postgres() as pg:
        yield pg


@pytest.fixture(scope="module")
def project(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy, renamed as the README says, with its tables."""
    folder = tmp_path_factory.mktemp("snippet") / "copy"
    leave = shutil.ignore_patterns("__pycache__", "static", ".env", ".*_cache")
    shutil.copytree(SNIPPET, folder, ignore=leave)
    (rename,) = re.findall(r"```\n(grep .*?)```", README, re.DOTALL)
    subprocess.run(["sh", "-ec", rename], cwd=folder, check=True, timeout=60)
    own = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO")}
    env = own | {
        "SECRET_KEY": KEY,
        "ALLOWED_HOSTS": "127.0.0.1",
        "DATABASE_URL": server.url,
        "PYTHONDONTWRITEBYTECODE": "1",
        "LOG_LEVEL": "ERROR",
    }
    copy = Project(folder, env)
    migrated = copy.manage("migrate", "--verbosity=0")
    assert migrated.returncode == 0, migrated.stderr
    return copy


def test_nothing_of_the_old_name_is_left(project: Project) -> None:
    files = [p for p in project.folder.rglob("*") if p.is_file() and "static" not in p.parts]
    texts = [path.read_text() for path in files]
    assert len(texts) > 25
    assert not [text for text in texts if "mysite" in text]


@pytest.mark.parametrize("debug", ["true", "false"])
def test_its_own_tests_pass(project: Project, debug: str) -> None:
    done = project.manage("test", DEBUG=debug)
    assert done.returncode == 0, done.stderr
    ran = re.search(r"Ran (\d+) tests", done.stderr)
    assert ran
    assert int(ran[1]) >= 10


def test_the_checks_for_deployment_find_nothing(project: Project) -> None:
    done = project.manage("check", "--deploy", "--fail-level=WARNING")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "System check identified no issues (1 silenced).\n"


def test_models_and_migrations_agree(project: Project) -> None:
    done = project.manage("makemigrations", "--check", "--dry-run")
    assert (done.returncode, done.stdout) == (0, "No changes detected\n")


@pytest.mark.parametrize("name", ["SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL"])
def test_without_a_variable_it_does_not_start_and_names_it(project: Project, name: str) -> None:
    env = {key: value for key, value in project.env.items() if key != name}
    done = Project(project.folder, env).manage("check")
    assert done.returncode != 0
    assert f"Set the {name} environment variable" in done.stderr


def test_the_example_names_every_variable_and_starts(project: Project) -> None:
    """And the real environment wins over it."""
    example = (SNIPPET / ".env.example").read_text()
    read = set()
    for file in ("mysite/settings.py", "gunicorn.conf.py"):
        text = (SNIPPET / file).read_text()
        read |= set(re.findall(r'(?:env\.\w+|environ\.get)\(\s*"(\w+)"', text))
    assert set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE)) == read
    copy = project.folder / ".env"
    copy.write_text(example)
    try:
        bare = {k: v for k, v in project.env.items() if k not in ("SECRET_KEY", "ALLOWED_HOSTS")}
        done = Project(project.folder, bare).manage("migrate", "--check")
        assert done.returncode == 0, done.stderr
    finally:
        copy.unlink()


def test_blanks_between_hosts_belong_to_none(project: Project) -> None:
    show = "from django.conf import settings; print(settings.ALLOWED_HOSTS)"
    done = project.manage("shell", "--no-imports", "-c", show, ALLOWED_HOSTS="a.org, b.org")
    assert done.stdout == "['a.org', 'b.org']\n", done.stderr


def test_it_is_served_with_its_static_files(project: Project) -> None:
    collected = project.manage("collectstatic", "--noinput", "--verbosity=0")
    assert collected.returncode == 0, collected.stderr
    web = nexus.serve(
        [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}", "--workers=1"],
        ready="/healthz",
        env=project.env | {"BEHIND_PROXY": "true"},
        cwd=project.folder,
    )
    with web:
        plain = httpx.get(f"{web.url}/places/")
        assert plain.status_code == 301
        assert plain.headers["Location"].startswith("https://")
        https = {"X-Forwarded-Proto": "https"}
        with httpx.Client(base_url=web.url, headers=https) as client:
            places = client.get("/places/")
            assert (places.status_code, places.json()) == (200, {"places": []})
            assert places.headers["Strict-Transport-Security"] == "max-age=3600; includeSubDomains"
            page = client.get("/admin/login/").text
            styles = re.findall(r'href="(/static/[^"]+\.css)"', page)
            assert styles
            for style in styles:
                assert re.search(r"\.[0-9a-f]{12}\.css$", style)
                assert client.get(style).status_code == 200


def test_it_lives_and_is_not_ready_while_its_database_is_away(tmp_path: Path) -> None:
    """And a platform that probes by address, without a name, learns it."""
    folder = tmp_path / "copy"
    shutil.copytree(SNIPPET, folder, ignore=shutil.ignore_patterns("__pycache__", "static", ".env"))
    with nexus.postgres() as pg:
        env = {
            "SECRET_KEY": KEY,
            "ALLOWED_HOSTS": "example.com",
            "DATABASE_URL": pg.url,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [sys.executable, "-m", "gunicorn", "--bind=127.0.0.1:{port}", "--workers=1"]
        with nexus.serve(command, ready="/healthz", env=env, cwd=folder) as web:

            def asked(path: str, host: str) -> int:
                return httpx.get(web.url + path, headers={"Host": host}, timeout=60).status_code

            probes = {path: asked(path, "10.0.0.5:8000") for path in ("/healthz", "/readyz")}
            assert probes == {"/healthz": 200, "/readyz": 200}
            assert asked("/admin/login/", "10.0.0.5:8000") == 400
            pg.stop()
            probes = {path: asked(path, "10.0.0.5:8000") for path in ("/healthz", "/readyz")}
            assert probes == {"/healthz": 200, "/readyz": 503}
            httpx.get(f"{web.url}/healthz?token=secret", headers={"X-Forwarded-For": "203.0.113.9"})
            wait_for(lambda: "203.0.113.9" in web.log, 60, "the line of the request")
            assert "secret" not in web.log


def test_a_statement_has_a_limit_and_migrations_can_do_without(project: Project) -> None:
    """The limit is PostgreSQL's; what DATABASE_URL says of its options is left alone."""
    sleep = "from django.db import connection as c; c.cursor().execute('SELECT pg_sleep(3)')"
    ended = project.manage("shell", "--no-imports", "-c", sleep, STATEMENT_TIMEOUT_MS="200")
    assert "canceling statement due to statement timeout" in ended.stderr
    show = (
        "from django.db import connection as c; options = c.settings_dict['OPTIONS'];"
        " u = c.cursor(); u.execute('SHOW statement_timeout');"
        " print(u.fetchone()[0], options.get('options'), options['connect_timeout'])"
    )

    def shown(**env: str) -> str:
        done = project.manage("shell", "--no-imports", "-c", show, **env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert shown() == "20s -c statement_timeout=20000 5"
    assert shown(STATEMENT_TIMEOUT_MS="0") == "0 None 5"
    url = project.env["DATABASE_URL"]
    url += ("&" if "?" in url else "?") + "connect_timeout=9"
    assert shown(DATABASE_URL=url) == "20s -c statement_timeout=20000 9"


def test_the_key_of_the_example_is_not_fit_for_deployment(project: Project) -> None:
    (key,) = re.findall("^SECRET_KEY=(.*)", (SNIPPET / ".env.example").read_text(), re.MULTILINE)
    done = project.manage("check", "--deploy", "--fail-level=WARNING", SECRET_KEY=key)
    assert done.returncode != 0
    assert "security.W009" in done.stderr


def test_git_leaves_out_every_file_with_secrets(tmp_path: Path) -> None:
    shutil.copy(SNIPPET / ".gitignore", tmp_path)
    names = [".env", ".env.production", ".env.local", "prod.env", ".env.example"]
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True, timeout=60)
    done = subprocess.run(
        ["git", "check-ignore", *names], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == names[:-1]


def test_it_asks_for_what_was_tried() -> None:
    lines = (SNIPPET / "requirements.txt").read_text().splitlines()
    asked = [Requirement(line) for line in lines if not line.startswith("#")]
    assert len(asked) == 5
    for requirement in asked:
        tried = metadata.version(requirement.name)
        assert requirement.specifier.contains(tried), requirement


def test_the_page_lists_it() -> None:
    assert "(django-project/README.md)" in (ROOT / "snippets" / "README.md").read_text()
