"""The review: silent on what is clean, and right about each fault that was seeded."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nexus import review
from nexus.review import Severity, __main__, findings, report, tools
from nexus.review.project import Project
from nexus.review.rules import ALL

pytestmark = pytest.mark.long(45)
ROOT = Path(__file__).resolve().parents[2]
CLEAN = [
    *(f"projects/{name}" for name in ("polls", "catalogue", "feed", "movies", "jobs", "stays")),
    "snippets/django-project",
]

MODELS = """
from django.db import models


class Seat(models.Model):
    row = models.IntegerField()
    number = models.IntegerField()
    left = models.IntegerField(default=1)
    guest = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="seats")

    def __str__(self):
        return str(self.number)


"""
MIGRATION = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("listings", "0001_initial")]
    operations = [{}]
"""
SEATS = "mysite/listings/seats.py"
NEXT = "mysite/listings/migrations/0002_next.py"
SETTINGS = "mysite/settings.py"
TESTS = "tests/test_more.py"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A clean project: the snippets, put together as their pages say."""
    folder = tmp_path / "shop"
    ignored = shutil.ignore_patterns("__pycache__", ".*_cache")
    shutil.copytree(ROOT / "snippets/django-project", folder, ignore=ignored)
    for name in ("Dockerfile", ".dockerignore", "compose.yaml"):
        shutil.copy(ROOT / "snippets/containers" / name, folder)
    workflows = folder / ".github/workflows"
    workflows.mkdir(parents=True)
    shutil.copy(ROOT / "snippets/github-actions/test.yml", workflows)
    return folder


Seed = Callable[[Path], None]


def replace(file: str, old: str, new: str) -> Seed:
    def seed(folder: Path) -> None:
        path = folder / file
        text = path.read_text()
        assert old in text, f"{file} has no {old!r}"
        path.write_text(text.replace(old, new, 1))

    return seed


def write(file: str, text: str) -> Seed:
    def seed(folder: Path) -> None:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        with (folder / file).open("a") as out:
            out.write(text)

    return seed


def seats(text: str) -> Seed:
    return write(SEATS, MODELS + text)


def migration(operation: str) -> Seed:
    return write(NEXT, MIGRATION.format(operation))


def settings(text: str) -> Seed:
    return write(SETTINGS, f"\n{text}\n")


def compose(service: str) -> Seed:
    return replace("compose.yaml", "\nservices:\n", f"\nservices:\n{service}")


def step(text: str) -> Seed:
    def seed(folder: Path) -> None:
        with (folder / ".github/workflows/test.yml").open("a") as out:
            out.write(text)

    return seed


def tracked(folder: Path) -> None:
    (folder / ".env").write_text("SECRET_KEY=abc\n")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "--quiet"], ["add", "--force", ".env", "manage.py"]):
        subprocess.run([*git, *words], check=True)


ADD = 'migrations.AddField("place", "rooms", models.IntegerField({}))'
ADDED = 'migrations.AddField(model_name="place", name="rooms", field=models.IntegerField({}))'
KEYED = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\n"

SEEDED: dict[str, tuple[Seed, str]] = {
    "DEBUG is on": (settings("DEBUG = True"), "settings-debug"),
    "DEBUG is on by default": (settings('DEBUG = env.bool("D", default=True)'), "settings-debug"),
    "DEBUG is on by a comparison": (
        settings('DEBUG = os.environ.get("DEBUG", "True") == "True"'),
        "settings-debug",
    ),
    "the key in settings": (settings('SECRET_KEY = "django-insecure-x"'), "settings-secret"),
    "a default for the key": (
        settings('SECRET_KEY = os.environ.get("SECRET_KEY", "dev")'),
        "settings-secret",
    ),
    "every host": (settings('ALLOWED_HOSTS = ["*"]'), "settings-hosts"),
    "every host by default": (
        settings('ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["*"])'),
        "settings-hosts",
    ),
    "every origin": (settings("CORS_ALLOW_ALL_ORIGINS = True"), "settings-cors"),
    "a password for the database": (
        settings('DATABASES = {"default": {"USER": "a", "PASSWORD": "b"}}'),
        "settings-password",
    ),
    "no CSRF": (
        replace(SETTINGS, '    "django.middleware.csrf.CsrfViewMiddleware",\n', ""),
        "settings-middleware",
    ),
    "money as a float": (
        seats("class Bill(models.Model):\n    total_price = models.FloatField()\n"),
        "money-as-float",
    ),
    "get_or_create without a constraint": (
        seats("def seat(guest):\n    Seat.objects.get_or_create(row=1, number=2, guest=guest)\n"),
        "missing-unique",
    ),
    "exists before create": (
        seats(
            "def take(guest):\n"
            "    if not Seat.objects.filter(row=1, number=2).exists():\n"
            "        Seat.objects.create(row=1, number=2, guest=guest)\n"
        ),
        "missing-unique",
    ),
    "a lost update": (
        seats("def take(pk):\n    s = Seat.objects.get(pk=pk)\n    s.left -= 1\n    s.save()\n"),
        "lost-update",
    ),
    "a loop that follows a foreign key": (
        seats("def names():\n    return [s.guest.email for s in Seat.objects.all()]\n"),
        "query-in-loop",
    ),
    "a loop over a variable": (
        seats(
            "def names():\n    rows = Seat.objects.filter(row=1).order_by('number')\n"
            "    for n, s in enumerate(rows):\n        print(n, s.guest.email)\n"
        ),
        "query-in-loop",
    ),
    "a loop that counts what refers to each": (
        write(
            "mysite/accounts/more.py",
            "from mysite.accounts.models import User\n\n\ndef places():\n"
            "    return {u.pk: u.places.count() for u in User.objects.all()[:10]}\n",
        ),
        "query-in-loop",
    ),
    "a task before the commit": (
        seats(
            "def book(mail, seat):\n    with transaction.atomic():\n"
            "        seat.save()\n        mail.delay(seat.pk)\n"
        ),
        "task-before-commit",
    ),
    "a column that must not be NULL": (migration(ADDED.format("")), "migration-not-null"),
    "the same, by position": (migration(ADD.format("db_index=True")), "migration-not-null"),
    "a column dropped": (migration('migrations.RemoveField("place", "title")'), "migration-drops"),
    "a table dropped": (migration('migrations.DeleteModel("Place")'), "migration-drops"),
    "a column renamed": (
        migration('migrations.RenameField("place", "title", "name")'),
        "migration-renames",
    ),
    "a migration without a way back": (migration("migrations.RunPython(f)"), "migration-one-way"),
    "an image that is root": (replace("Dockerfile", "\nUSER 10001:10001", ""), "image-root"),
    "an image that is root again": (write("Dockerfile", "USER root\n"), "image-root"),
    "a secret in the image": (write("Dockerfile", "ENV SECRET_KEY=abc\n"), "image-secret"),
    "the development server": (
        write("Dockerfile", 'CMD ["python", "manage.py", "runserver"]\n'),
        "image-runserver",
    ),
    "no .dockerignore": (lambda folder: (folder / ".dockerignore").unlink(), "image-everything"),
    "a database without a health check": (
        compose("  more:\n    image: postgres:18.6\n"),
        "compose-health",
    ),
    "a published cache": (
        compose(
            "  more:\n    image: valkey/valkey:9.1\n    healthcheck: {test: [CMD, true]}\n"
            "    ports: ['6379:6379']\n"
        ),
        "compose-published",
    ),
    "the newest image": (compose("  more:\n    image: nginx:latest\n"), "compose-latest"),
    "a password in compose": (
        compose("  more:\n    image: x/y:1\n    environment: {API_TOKEN: abc}\n"),
        "compose-secret",
    ),
    "started is not ready": (
        compose("  more:\n    image: x/y:1\n    depends_on: [database]\n"),
        "compose-order",
    ),
    "a step that is always green": (
        step("      - name: More\n        run: python -m pytest || true\n"),
        "workflow-green",
    ),
    "a step whose failure is fine": (
        step("      - name: More\n        continue-on-error: true\n        run: pytest\n"),
        "workflow-green",
    ),
    "no version": (write("requirements.txt", "\ncelery\n"), "dependencies-loose"),
    "no list": (lambda folder: (folder / "requirements.txt").unlink(), "dependencies-none"),
    ".env in git": (tracked, "env-tracked"),
    ".env not ignored": (
        lambda folder: [write(".env", "A=b\n")(folder), (folder / ".gitignore").unlink()][1],
        "env-not-ignored",
    ),
    "a private key": (write("mysite/key.pem", KEYED), "secret-in-file"),
    "markers of a conflict": (
        write("mysite/more.txt", "<<<<<<< HEAD\na\n=======\nb\n>>>>>>> theirs\n"),
        "conflict-markers",
    ),
    "a test without an assert": (
        write(TESTS, "def test_home(client):\n    client.get('/')\n"),
        "test-without-assert",
    ),
    "a test that compares and says nothing": (
        write(TESTS, "def test_sum():\n    1 + 1 == 2\n"),
        "test-without-assert",
    ),
    "a test with a result that nobody reads": (
        write(TESTS, "def test_sum():\n    result = sum([1])\n"),
        "test-without-assert",
    ),
    "an empty test": (write(TESTS, "def test_sum():\n    pass\n"), "test-without-assert"),
    "a test of a tuple": (write(TESTS, "def test_sum():\n    assert (1 == 2, 'x')\n"), "-constant"),
    "no test": (lambda folder: shutil.rmtree(folder / "tests"), "tests-none"),
}

BY_TOOLS: dict[str, tuple[Seed, str, str]] = {
    "SQL from text": (
        seats('def find(c, q):\n    c.execute(f"SELECT 1 FROM seat WHERE row = {q}")\n'),
        "ruff",
        "S608",
    ),
    "a request without a time-out": (
        seats("import requests\n\n\ndef ask():\n    return requests.get('http://x')\n"),
        "ruff",
        "S113",
    ),
    "two tests with one name": (
        write(TESTS, "def test_a():\n    assert f()\n\n\ndef test_a():\n    assert g()\n"),
        "ruff",
        "F811",
    ),
    "the newest base image": (
        lambda folder: (folder / "Dockerfile").write_text(
            "FROM python:latest\nWORKDIR /app\nCOPY . .\nUSER 1:1\n"
        ) and None,
        "hadolint",
        "DL3007",
    ),
    "an action by its tag": (
        step("      - uses: actions/cache@v4\n"),
        "zizmor",
        "unpinned-uses",
    ),
    "a title in a script": (
        step("      - run: echo '${{ github.event.pull_request.title }}'\n"),
        "zizmor",
        "template-injection",
    ),
    "a word that Compose does not know": (
        compose("  more:\n    image: x/y:1\n    portz: [1]\n"),
        "check-jsonschema",
        "compose-spec",
    ),
    "a workflow without jobs": (
        write(".github/workflows/more.yml", "name: More\non: push\n"),
        "check-jsonschema",
        "github-workflows",
    ),
}  # fmt: skip


def ours(folder: Path) -> list[findings.Finding]:
    """What our own rules find that counts."""
    project = Project(folder)
    return [each for rules in ALL for each in rules(project) if each.severity > Severity.NOTE]


def test_the_project_of_these_tests_is_clean(base: Path) -> None:
    assert review.look(base).serious == []


@pytest.mark.parametrize("name", CLEAN)
def test_what_is_clean_has_no_finding(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not name.endswith("polls"):  # the slowest tool; other tests give it the other projects
        real = tools.find
        monkeypatch.setattr(
            tools, "find", lambda tool: real(tool) if tool != "check-jsonschema" else None
        )
    found = review.look(ROOT / name)
    assert found.serious == []
    assert "our own rules" in found.looked


@pytest.mark.parametrize("what", SEEDED)
def test_a_seeded_fault_is_found_and_nothing_else(base: Path, what: str) -> None:
    seed, rule = SEEDED[what]
    seed(base)
    found = ours(base)
    assert found
    assert all(each.rule.endswith(rule) for each in found), found
    assert all((base / each.file).is_file() for each in found)
    assert all((ROOT / each.help.notebook).is_file() for each in found)


@pytest.mark.parametrize("what", BY_TOOLS)
def test_a_tool_finds_its_fault(base: Path, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seed, tool, rule = BY_TOOLS[what]
    seed(base)
    real = tools.find
    monkeypatch.setattr(tools, "find", lambda name: real(name) if name == tool else None)
    found = review.Review("shop")
    tools.look(Project(base), found)
    assert found.looked == [tool]
    assert rule in {each.rule for each in found.serious}


RIGHT = {
    "the row is loaded": "[s.guest.email for s in Seat.objects.select_related('guest')]",
    "the rows are loaded": "[s.guest.email for s in Seat.objects.prefetch_related('guest')]",
    "only the key": "[s.guest_id for s in Seat.objects.all()]",
    "a method that may load it": "[s.guest.email for s in Seat.objects.with_guests()]",
    "values": "[s['guest'] for s in Seat.objects.values('guest')]",
    "by the key": "Seat.objects.get_or_create(pk=1)",
    "a price in cents": "models.IntegerField()",
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_right_is_not_found(base: Path, what: str) -> None:
    seats(f"def right():\n    return {RIGHT[what]}\n")(base)
    assert ours(base) == []


def test_a_password_of_a_test_is_no_secret(base: Path) -> None:
    write(TESTS, "PASSWORD = 'quiet'\n\n\ndef test_it():\n    assert f(PASSWORD)\n")(base)
    write("mysite/doors.py", "PASSWORD = 'quiet'\n")(base)
    found = [each.file for each in review.look(base).findings if each.rule == "S105"]
    assert found == ["mysite/doors.py"]


SAFE = {
    "a unique constraint": 'constraints = [models.UniqueConstraint(fields=["row", "number"], '
    'name="x")]',
    "unique_together": 'unique_together = ("row", "number")',
    "unique_together of lists": 'unique_together = [["row", "number"]]',
    "fewer columns": 'constraints = [models.UniqueConstraint("number", name="x")]',
    "an exclusion constraint": 'constraints = [ExclusionConstraint(name="x")]',
}


@pytest.mark.parametrize("what", SAFE)
def test_a_check_with_a_constraint_is_right(base: Path, what: str) -> None:
    seats(
        f"class Chair(models.Model):\n    row = models.IntegerField()\n"
        f"    number = models.IntegerField()\n\n    class Meta:\n        {SAFE[what]}\n\n\n"
        "def chair():\n    return Chair.objects.get_or_create(row=1, number=2)\n"
    )(base)
    assert ours(base) == []


ALLOWED = {
    "null": "null=True",
    "a default": "default=1",
    "a default of the database": "db_default=1",
}


@pytest.mark.parametrize("what", ALLOWED)
def test_a_column_that_meets_rows_is_right(base: Path, what: str) -> None:
    migration(ADDED.format(ALLOWED[what]))(base)
    assert ours(base) == []


def test_a_column_of_a_new_table_is_right(base: Path) -> None:
    new = 'migrations.CreateModel("Room", []), '
    migration(new + ADDED.format("").replace("place", "room"))(base)
    assert ours(base) == []


def test_everything_at_once_by_the_command(base: Path, tmp_path: Path) -> None:
    """The acceptance's twelve and more, in one project: all are in one report."""
    many = [
        "DEBUG is on", "the key in settings", "every host", "money as a float",
        "a column that must not be NULL", "an image that is root again", "a published cache",
        "a step that is always green", "no version", ".env in git", "a test without an assert",
    ]  # fmt: skip
    for what in many:
        SEEDED[what][0](base)
    for text in (
        "def names():\n    return [s.guest.email for s in Seat.objects.all()]\n",
        "def seat(guest):\n    Seat.objects.get_or_create(row=1, number=2)\n",
        'def find(c, q):\n    c.execute(f"SELECT 1 FROM seat WHERE row = {q}")\n',
    ):
        write(SEATS, f"\n\n{text}")(base)
    BY_TOOLS["a title in a script"][0](base)
    page = tmp_path / "report.html"
    done = command(str(base), "--html", str(page))
    assert done.returncode == 1, done.stderr
    rules = {SEEDED[what][1] for what in many}
    rules |= {"query-in-loop", "missing-unique", "S608", "template-injection"}
    assert not {rule for rule in rules if f"[{rule}]" not in done.stdout}
    assert not {rule for rule in rules if f"[{rule}]" not in page.read_text()}
    assert "Chapter: Transactions and locks (notebooks/data/" in done.stdout


def command(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nexus.review", *words],
        capture_output=True, text=True, cwd=ROOT, check=False, **options,
    )  # type: ignore[call-overload, no-any-return]  # fmt: skip


def test_a_clean_project_ends_with_0(
    base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    assert __main__.main([str(base), "--notes"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("shop: 0 errors, 0 warnings, ")
    for tool, package in tools.PACKAGES.items():
        assert f"({tool} is not installed: pip install {package})" in said


BAD = {
    "no such path": ("nowhere", "no such path: "),
    "a file": ("file.txt", "is a file: name the folder that holds manage.py"),
    "no project": ("empty", "is not a Django project, because it has no manage.py. Name the"),
    "a project below": ("above", "is it one of a/b/shop?"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_use_is_said_and_ends_with_2(
    tmp_path: Path, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.txt").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "above/a/b/shop").mkdir(parents=True)
    (tmp_path / "above/a/b/shop/manage.py").touch()
    path, message = BAD[what]
    assert __main__.main([str(tmp_path / path)]) == 2
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.out == ""


def test_a_report_that_cannot_be_written_is_said(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr(tools, "find", lambda _: None)
    assert __main__.main([str(base), "--html", str(tmp_path / "no/folder.html")]) == 2
    assert "cannot be written: No such file or directory" in capsys.readouterr().err


def test_nothing_is_changed_and_nothing_is_run(base: Path, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    for file in ("manage.py", SETTINGS, "mysite/__init__.py", "conftest.py", "setup.py"):
        write(file, f"\nopen({str(witness)!r}, 'w')\n")(base)
    hook = f"[core]\n\tfsmonitor = touch {witness}\n"
    subprocess.run(["git", "-C", base, "init", "--quiet"], check=True)
    write(".git/config", hook)(base)
    before = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    review.look(base)
    assert not witness.exists()
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == before


def test_with_run_the_project_is_asked(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    monkeypatch.setenv("SECRET_KEY", "short")
    monkeypatch.setenv("ALLOWED_HOSTS", "example.org")
    monkeypatch.setenv("DATABASE_URL", "sqlite://:memory:")
    monkeypatch.delenv("DJANGO_SETTINGS_MODULE", raising=False)
    found = review.look(base, run=True)
    assert "security.W009" in {each.rule for each in found.serious}
    assert "manage.py check --deploy" in found.looked


def test_with_run_a_project_that_does_not_start_is_said(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    for name in ("SECRET_KEY", "ALLOWED_HOSTS", "DATABASE_URL", "DJANGO_SETTINGS_MODULE"):
        monkeypatch.delenv(name, raising=False)
    found = review.look(base, run=True)
    said = {each.what: each.why for each in found.skipped}
    assert "Set the SECRET_KEY environment variable" in said["manage.py check --deploy"]
    assert "set there what the project needs" in said["manage.py check --deploy"]


def test_with_run_the_linter_is_found_in_the_settings_of_the_tests(
    base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    for name, value in (
        ("SECRET_KEY", "k" * 60),
        ("ALLOWED_HOSTS", "example.org"),
        ("DATABASE_URL", "sqlite://:memory:"),
        ("DJANGO_SETTINGS_MODULE", "mysite.settings"),
    ):
        monkeypatch.setenv(name, value)
    (base / "tests" / "linted.py").write_text(
        "from mysite.settings import *\n\nINSTALLED_APPS += ['django_migration_linter']\n"
        "DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': ':memory:'}}\n"
    )
    found = review.look(base, run=True)
    assert "manage.py lintmigrations (with tests.linted)" in found.looked


def test_the_migrations_of_libraries_are_not_ours(base: Path) -> None:
    migration("migrations.RunSQL('SELECT 1')")(base)
    write("mysite/seating/apps.py", "class Seating:\n    label = 'chairs'\n")(base)
    write("mysite/seating/migrations/0007_seats.py", "")(base)
    write("mysite/seating/migrations/0001_initial.py", "class Migration:\n    initial = True\n")(
        base
    )
    said = (
        "(listings, 0002_next)... ERR\n\tNOT NULL constraint on columns\n\tDROPPING columns\n"
        "(chairs, 0007_seats)... WARNING\n\tCREATE INDEX locks table\n"
        "(token_blacklist, 0001_initial)... ERR\n\tRENAMING columns\n"
        "(chairs, 0001_initial)... WARNING\n\tCREATE INDEX locks table\n"
    )
    found = tools._linted(Project(base), said)
    assert [(str(each.severity), each.file, each.says) for each in found] == [
        ("error", NEXT, "NOT NULL constraint on columns; DROPPING columns."),
        ("warning", "mysite/seating/migrations/0007_seats.py", "CREATE INDEX locks table."),
    ]


def test_a_tool_that_never_ends_is_ended(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 600\n")
    slow.chmod(0o755)
    monkeypatch.setattr(tools, "SECONDS", 0.2)
    monkeypatch.setattr(tools, "find", lambda _: str(slow))
    found = review.look(base)
    late = [each for each in found.skipped if "had not come to an end after 0.2 s" in each.why]
    assert len(late) == 4


def test_a_tool_that_breaks_is_said(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'no such option' >&2\nexit 64\n")
    broken.chmod(0o755)
    monkeypatch.setattr(tools, "find", lambda _: str(broken))
    found = review.look(base)
    assert sum("it failed: no such option" in each.why for each in found.skipped) == 4


def test_strange_files_do_no_harm(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    (base / "mysite/broken.py").write_text("def f(:\n")
    (base / "mysite/latin.py").write_bytes(b"# \xe9\xe9\n")
    (base / "mysite/nul.py").write_bytes(b"x = 1\x00\n")
    (base / "mysite/deep.py").write_text("x = " + "(" * 500 + ")" * 500 + "\n")
    (base / "loop").symlink_to(base)
    (base / "compose.yaml").write_text("services: [\n")
    (base / ".github/workflows/test.yml").write_text("jobs: {a: 1, b: {steps: [1, {run: 2}]}}\n")
    (base / "Dockerfile").write_text("\\\n")
    found = review.look(base)
    assert "syntax" in {each.rule for each in found.serious}


def test_files_of_others_are_ignored(base: Path) -> None:
    for folder in (".venv/lib", "node_modules/x", "mine"):
        write(f"{folder}/settings.py", "DEBUG = True\n")(base)
    (base / "mine/pyvenv.cfg").touch()
    assert ours(base) == []


def test_a_rule_can_be_ignored(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda _: None)
    settings("DEBUG = True")(base)
    found = review.look(base, ignore=["settings-debug"])
    assert found.serious == []
    assert ("settings-debug", "you asked for that; 1 left out") in found.skipped


def test_a_silenced_tool_is_noted(base: Path) -> None:
    seats("def find(c, q):\n    c.execute(f'SELECT {q}')  # noqa: S608 it is a number\n")(base)
    notes = [each for rules in ALL for each in rules(Project(base)) if each.rule == "silenced"]
    assert [each.file for each in notes] == [SEATS]


def test_the_page_is_whole_and_escaped() -> None:
    found = review.Review("<shop>")
    found.findings = [findings.Finding(Severity.ERROR, "x", "<b>.py", 1, "a & b", "testing")]
    found.skipped = [findings.Skipped("<i>", "&")]
    page = report.html(found)
    assert page.startswith("<!DOCTYPE html>")
    for text in ("&lt;shop&gt;", "&lt;b&gt;.py:1", "a &amp; b", "&lt;i&gt;: &amp;", "Testing"):
        assert text in page
    assert "http" not in page


def test_every_chapter_that_helps_is_there() -> None:
    named = {chapter for _, _, chapter in tools.RUFF}
    assert named <= findings.chapters().keys()
    assert all((ROOT / findings.chapters()[name].notebook).is_file() for name in named)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_does_no_harm(base: Path) -> None:
    (base / SETTINGS).chmod(0)
    assert ours(base) == []
