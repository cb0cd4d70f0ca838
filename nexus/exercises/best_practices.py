"""Judges of "Best practices": settings, tests that can fail, and a compose file."""

import contextlib
import io
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import within
from nexus.judging.programs import last_line, program
from nexus.review.project import Project
from nexus.review.rules import settings as settings_rules
from nexus.review.rules import shipping as shipping_rules
from nexus.review.rules import tests as tests_rules

# -- The project of the chapter: it passes its own tests.

SETTINGS = """
import os

DEBUG = True
SECRET_KEY = "kiosk-7f3a9c51e0d24b6688aa"
ALLOWED_HOSTS = ["*"]
INSTALLED_APPS = ["kiosk"]
ROOT_URLCONF = "kiosk.urls"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ.get("PGDATABASE", "kiosk"),
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
"""

MODELS = """
from django.db import models


class Host(models.Model):
    name = models.CharField(max_length=50)

    def __str__(self):
        return self.name


class Place(models.Model):
    host = models.ForeignKey(Host, on_delete=models.PROTECT)
    title = models.CharField(max_length=50)
    price = models.FloatField()
    rooms = models.IntegerField()

    def __str__(self):
        return self.title


class Booking(models.Model):
    place = models.ForeignKey(Place, on_delete=models.PROTECT)
    night = models.DateField()
    guest = models.CharField(max_length=50)

    def __str__(self):
        return self.guest
"""

SERVICES = """
from django.db import connection

from kiosk.models import Booking, Place


def book(place, night, guest):
    if Booking.objects.filter(place=place, night=night).exists():
        return None
    return Booking.objects.create(place=place, night=night, guest=guest)


def price_list():
    return [f"{p.title} of {p.host.name}: {p.price}" for p in Place.objects.order_by("id")]


def find(title):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT title FROM kiosk_place WHERE title = '{title}' ORDER BY id")
        return [row[0] for row in cursor.fetchall()]
"""

FIRST = """
from django.db import migrations, models
from django.db.models import PROTECT

ID = ("id", models.BigAutoField(primary_key=True))


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.CreateModel("Host", [ID, ("name", models.CharField(max_length=50))]),
        migrations.CreateModel("Place", [
            ID,
            ("host", models.ForeignKey("kiosk.host", PROTECT)),
            ("title", models.CharField(max_length=50)),
            ("price", models.FloatField()),
        ]),
        migrations.CreateModel("Booking", [
            ID,
            ("place", models.ForeignKey("kiosk.place", PROTECT)),
            ("night", models.DateField()),
            ("guest", models.CharField(max_length=50)),
        ]),
    ]
"""

SECOND = """
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("kiosk", "0001_initial")]
    operations = [
        migrations.AddField("place", "rooms", models.IntegerField()),
    ]
"""

TESTS = """
from datetime import date

from django.test import TestCase

from kiosk.models import Host, Place
from kiosk.services import book, find, price_list

NIGHT = date(2027, 5, 1)


class Kiosk(TestCase):
    def setUp(self):
        host = Host.objects.create(name="Amina")
        self.attic = Place.objects.create(host=host, title="Attic", price=80.1, rooms=2)

    def test_a_night_is_booked_once(self):
        self.assertIsNotNone(book(self.attic, NIGHT, "Bode"))
        self.assertIsNone(book(self.attic, NIGHT, "Chidi"))

    def test_a_place_is_found_by_its_title(self):
        self.assertEqual(find("Attic"), ["Attic"])

    def test_the_price_list(self):
        lines = price_list()
"""

WORKFLOW = """
name: Test
on: [push, pull_request]
permissions:
  contents: read
jobs:
  test:
    runs-on: ubuntu-24.04
    steps:
      - uses: actions/checkout@v4
        with:
          persist-credentials: false
      - run: pip install -r requirements.txt
      - run: python manage.py test || true
"""

COMPOSE = """
services:
  database:
    image: postgres:18.6
    environment:
      POSTGRES_PASSWORD: kiosk
    ports: ["5432:5432"]
  web:
    build: .
    environment:
      DATABASE_URL: postgresql://postgres:kiosk@localhost:5432/postgres
    depends_on: [database]
"""

DOCKERFILE = """
FROM python:latest
WORKDIR /app
COPY . .
RUN pip install --no-cache-dir -r requirements.txt
CMD ["python", "manage.py", "runserver", "0.0.0.0:8000"]
"""

MANAGE = """
import os
import sys

from django.core.management import execute_from_command_line

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "kiosk.settings")
execute_from_command_line(sys.argv)
"""

KIOSK: Mapping[str, str] = {
    ".env": "SECRET_KEY=kiosk-7f3a9c51e0d24b6688aa\n",
    ".github/workflows/test.yml": WORKFLOW,
    "Dockerfile": DOCKERFILE,
    "compose.yaml": COMPOSE,
    "kiosk/__init__.py": "",
    "kiosk/migrations/0001_initial.py": FIRST,
    "kiosk/migrations/0002_rooms.py": SECOND,
    "kiosk/migrations/__init__.py": "",
    "kiosk/models.py": MODELS,
    "kiosk/services.py": SERVICES,
    "kiosk/settings.py": SETTINGS,
    "kiosk/urls.py": "urlpatterns = []\n",
    "manage.py": MANAGE,
    "requirements.txt": "django\npsycopg\n",
    "tests/__init__.py": "",
    "tests/test_kiosk.py": TESTS,
}
"""A small project that passes its own tests: the files by their names."""


def write(folder: Path, files: Mapping[str, str] = KIOSK) -> Path:
    """Writes the files of a project, and returns its folder."""
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.lstrip("\n"), encoding="utf-8")
    return folder


def _reviewed(name: str, text: str, look: Callable[..., Any]) -> None:
    """Lets our own rules look at the project with one file changed: the last question of a judge.

    Raises:
        NotYet: if they find something in that file.
    """
    with tempfile.TemporaryDirectory() as folder:
        project = Project(write(Path(folder), {**KIOSK, name: text}))
        for finding in look(project):
            if finding.file == name and finding.severity > 1:
                raise NotYet(
                    f"the review still finds something in line {finding.line}: {finding.says}"
                )


# -- 1. Settings that are safe by default

GIVEN_1 = SETTINGS

ASK = """
import json, sys
import kiosk.settings as s
names = ("DEBUG", "SECRET_KEY", "ALLOWED_HOSTS", "INSTALLED_APPS", "ROOT_URLCONF")
values = {name: getattr(s, name, None) for name in names}
if isinstance(values["ALLOWED_HOSTS"], tuple):
    values["ALLOWED_HOSTS"] = list(values["ALLOWED_HOSTS"])
sys.stderr.flush()
print("\\n" + json.dumps(values, default=str))
"""

KEY = "a-key-of-this-test-0123456789-0123456789-0123456789"
FULL = {"SECRET_KEY": KEY, "ALLOWED_HOSTS": "kiosk.example,www.kiosk.example", "PGDATABASE": "x"}


@judge(
    "best-practices.1",
    takes=str,
    called="the text of settings.py, in quotes",
    hint="give the whole text of kiosk/settings.py. DEBUG, SECRET_KEY and ALLOWED_HOSTS come from "
    "the environment",
    stub=GIVEN_1,
)
def settings(answer: str) -> str:
    """The settings are safe if the environment says nothing, and obey it if it says something."""
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), {**KIOSK, "kiosk/settings.py": answer})
        values = _settings(folder, FULL)
        _without_key(folder)
        if values["SECRET_KEY"] != KEY:
            raise NotYet(
                f"SECRET_KEY was {KEY!r} in the environment, and the settings have another"
            )
        if values["DEBUG"] is not False:
            raise NotYet(
                f"the environment says nothing of DEBUG, and DEBUG is {values['DEBUG']!r}: "
                "it must be False"
            )
        for text, meant in (("False", False), ("0", False), ("", False), ("True", True)):
            found = _settings(folder, FULL | {"DEBUG": text}, what=f"with DEBUG={text}")["DEBUG"]
            if bool(found) is not meant:
                raise NotYet(
                    f"with DEBUG={text!r} in the environment, DEBUG counts as {bool(found)}. "
                    "(Every text but the empty one is true in Python)"
                )
            if not isinstance(found, bool):
                raise NotYet(f"with DEBUG={text!r}, DEBUG is {found!r}: it must be a bool")
        _hosts(folder, values["ALLOWED_HOSTS"])
        if values["INSTALLED_APPS"] != ["kiosk"] or values["ROOT_URLCONF"] != "kiosk.urls":
            raise NotYet("INSTALLED_APPS and ROOT_URLCONF must stay as they were")
    _reviewed("kiosk/settings.py", answer, settings_rules.look)
    return "without a key it does not start, DEBUG is off by default, and the hosts are named"


def _run(folder: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Loads the settings in a process where only these variables are set."""
    unset = [name for name in ("ALLOWED_HOSTS", "DEBUG", "SECRET_KEY") if name not in environment]
    first = f"import os\nfor name in {unset}:\n    os.environ.pop(name, None)\n"
    own = {"PYTHONPATH": str(folder), "PATH": os.environ.get("PATH", "")} | dict(environment)
    return program([sys.executable, "-c", first + ASK], folder, own)


def _settings(folder: Path, environment: Mapping[str, str], what: str = "") -> dict[str, Any]:
    done = _run(folder, environment)
    if done.returncode:
        said = " ".join(f"the settings could not be loaded {what}".split())
        raise NotYet(f"{said}: {last_line(done.stderr)}")
    try:
        found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    except (ValueError, IndexError):
        raise NotYet("the settings ended the process") from None
    return found


def _without_key(folder: Path) -> None:
    done = _run(folder, {name: value for name, value in FULL.items() if name != "SECRET_KEY"})
    if done.returncode == 0:
        raise NotYet(
            "without SECRET_KEY in the environment the settings loaded. A key that is in the code, "
            "that is empty, or that each process makes for itself is worse than no start"
        )
    if "SECRET_KEY" not in done.stderr:
        raise NotYet("without SECRET_KEY it does not start, but the error does not name SECRET_KEY")


def _hosts(folder: Path, hosts: object) -> None:
    if hosts != ["kiosk.example", "www.kiosk.example"]:
        raise NotYet(f"ALLOWED_HOSTS was {FULL['ALLOWED_HOSTS']!r}; the settings have {hosts!r}")
    blank = FULL | {"ALLOWED_HOSTS": " kiosk.example , www.kiosk.example "}
    if _settings(folder, blank)["ALLOWED_HOSTS"] != ["kiosk.example", "www.kiosk.example"]:
        raise NotYet(
            "with blanks around the commas, the hosts have blanks, and no request fits them"
        )
    rest = {name: value for name, value in FULL.items() if name != "ALLOWED_HOSTS"}
    done = _run(folder, rest)
    if done.returncode == 0:
        found = json.loads(done.stdout.strip().splitlines()[-1])["ALLOWED_HOSTS"]
        if found != []:
            raise NotYet(
                f"without ALLOWED_HOSTS in the environment, it is {found!r}. It must be empty, or "
                "the project must not start"
            )


# -- 2. Tests that can fail

GIVEN_2 = """
def test_booking(kiosk):
    kiosk.book("Attic", 3, "Bode")


def test_total(kiosk):
    total = kiosk.total("Attic", 3)
"""


class Kiosk:
    """What the tests get: prices in cents, and one guest for each night of a place."""

    PRICES: Mapping[str, int] = {"Attic": 8010, "Barn": 4500}

    def __init__(self) -> None:
        self.booked: dict[tuple[str, int], str] = {}

    def book(self, place: str, night: int, guest: str) -> bool:
        """Books a night, and says whether that worked."""
        if place not in self.PRICES:
            raise KeyError(place)
        if (place, night) in self.booked:
            return False
        self.booked[place, night] = guest
        return True

    def guest(self, place: str, night: int) -> str | None:
        """Who has booked a night."""
        return self.booked.get((place, night))

    def total(self, place: str, nights: int) -> int:
        """The price in cents: from seven nights on, a tenth less, rounded down."""
        price = self.PRICES[place] * nights
        return price * 9 // 10 if nights >= 7 else price


class _BooksTwice(Kiosk):
    def book(self, place: str, night: int, guest: str) -> bool:
        super().book(place, night, guest)
        self.booked[place, night] = guest
        return True


class _SaysNoAndBooks(Kiosk):
    def book(self, place: str, night: int, guest: str) -> bool:
        free = super().book(place, night, guest)
        self.booked[place, night] = guest
        return free


class _SaysYesAndForgets(Kiosk):
    def book(self, place: str, night: int, guest: str) -> bool:
        free = super().book(place, night, guest)
        self.booked[place, night] = ""
        return free


class _OneNightForAll(Kiosk):
    def book(self, place: str, night: int, guest: str) -> bool:
        if any(taken == night for _, taken in self.booked):
            return False
        return super().book(place, night, guest)


class _OneNightForEach(Kiosk):
    def book(self, place: str, night: int, guest: str) -> bool:
        if any(taken == place for taken, _ in self.booked):
            return False
        return super().book(place, night, guest)


class _NoDiscount(Kiosk):
    def total(self, place: str, nights: int) -> int:
        return self.PRICES[place] * nights


class _LateDiscount(Kiosk):
    def total(self, place: str, nights: int) -> int:
        return super().total(place, nights) if nights != 7 else self.PRICES[place] * 7


class _EarlyDiscount(Kiosk):
    def total(self, place: str, nights: int) -> int:
        return (
            self.PRICES[place] * nights * 9 // 10 if nights == 6 else super().total(place, nights)
        )


class _OnePrice(Kiosk):
    def total(self, place: str, nights: int) -> int:
        del place
        return super().total("Attic", nights)


MUTANTS: Mapping[str, type[Kiosk]] = {
    "a night is booked twice": _BooksTwice,
    "the second guest is refused, and has the night nevertheless": _SaysNoAndBooks,
    "book says True and forgets who booked": _SaysYesAndForgets,
    "a night that is booked at the Attic is refused at the Barn": _OneNightForAll,
    "a place that is booked for one night is refused for every other night": _OneNightForEach,
    "nobody gets the discount": _NoDiscount,
    "seven nights get no discount": _LateDiscount,
    "six nights get the discount": _EarlyDiscount,
    "every place costs what the Attic costs": _OnePrice,
}
"""Broken copies of the kiosk, and what is broken in each."""


@judge(
    "best-practices.2",
    takes=str,
    called="the text of a test file, in quotes",
    hint="give a text with functions test_…(kiosk): each gets a new kiosk and asserts what it does",
    stub=GIVEN_2,
)
def tests(answer: str) -> str:
    """The tests pass for the kiosk that is right, and fail for each one that is broken."""
    found = _collect(answer)
    if not found:
        raise NotYet("there is no function test_…(kiosk) in the text")
    for name, test in found.items():
        if (why := _failure(test, Kiosk)) is not None:
            raise NotYet(f"{name} fails although the kiosk is right: {why}")
    missed = [
        what
        for what, broken in MUTANTS.items()
        if not any(_failure(test, broken) for test in found.values())
    ]
    if len(missed) == len(MUTANTS):
        raise NotYet(
            f"of {len(MUTANTS)} broken kiosks your tests notice none: they cannot fail. "
            "An assertion must compare what the kiosk did with a value that you wrote down"
        )
    if missed:
        raise NotYet(f"your tests all pass for a kiosk where this is broken: {missed[0]}")
    _reviewed("tests/test_kiosk.py", answer, tests_rules.look)
    return f"your tests pass for the right kiosk, and fail for each of {len(MUTANTS)} broken ones"


def _collect(answer: str) -> dict[str, Callable[[Kiosk], object]]:
    space: dict[str, Any] = {"__name__": "test_kiosk"}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of a tuple that is asserted
            code = compile(answer, "test_kiosk.py", "exec")
        with contextlib.redirect_stdout(io.StringIO()):
            within(lambda: exec(code, space))  # noqa: S102 it is the reader's own
    except SyntaxError as error:
        raise NotYet(f"the text is not Python: {error.msg}, line {error.lineno}") from None
    except NotYet:
        raise
    except Exception as error:
        raise NotYet(f"the text raised {type(error).__name__}: {first_line(error)}") from None
    return {
        name: each for name, each in space.items() if name.startswith("test") and callable(each)
    }


def _failure(test: Callable[[Kiosk], object], kind: type[Kiosk]) -> str | None:
    """Why a test fails for a kiosk; None if it passes."""
    # It gets what it may use and no more, so that it cannot tell which kiosk it has.
    own = kind()
    kiosk = SimpleNamespace(book=lambda *a: own.book(*a), guest=lambda *a: own.guest(*a),
                            total=lambda *a: own.total(*a))  # fmt: skip
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            within(lambda: test(kiosk))  # type: ignore[arg-type]
    except NotYet:
        raise
    except Exception as error:
        return first_line(error) or type(error).__name__
    return None


# -- 3. The neighbours in compose.yaml

GIVEN_3 = COMPOSE

FAKE = """#!/bin/sh
echo "$0 $*" >> {log}
exit {status}
"""
CLIENTS = ("pg_isready", "psql")


@judge(
    "best-practices.3",
    takes=str,
    called="the text of compose.yaml, in quotes",
    hint="give the whole text of compose.yaml. web must wait for a database that is ready, and "
    "only web may reach it",
    stub=GIVEN_3,
)
def neighbours(answer: str) -> str:
    """The database is ready before web starts, reachable by its name, and by nobody else."""
    services = _services(answer)
    database, web = services["database"], services["web"]
    if database.get("ports"):
        raise NotYet(
            "the database is still published on the machine. Other services reach it by its name, "
            "without ports"
        )
    if database.get("network_mode") == "host":
        raise NotYet("in the machine's own network the database is published without ports, too")
    if not re.fullmatch(r"postgres:18[\w.-]*", str(database.get("image"))):
        raise NotYet("the image of the database should stay PostgreSQL 18, with its version")
    _health(database)
    needs = web.get("depends_on")
    how = needs.get("database") if isinstance(needs, dict) else None
    if not isinstance(how, dict) or how.get("condition") != "service_healthy":
        raise NotYet("web starts when the database has started. Started is not ready")
    _passwords(database, web)
    _reviewed("compose.yaml", answer, shipping_rules.look)
    return (
        "web waits for a database that answers, reaches it by name, and no password is in the file"
    )


def _services(answer: str) -> dict[str, dict[str, Any]]:
    try:
        loaded = yaml.safe_load(answer)
    except yaml.YAMLError as error:
        raise NotYet(f"the text is not YAML: {first_line(error)}") from None
    services = loaded.get("services") if isinstance(loaded, dict) else None
    if not isinstance(services, dict):
        raise NotYet("a compose file has services")
    for name in ("database", "web"):
        if not isinstance(services.get(name), dict):
            raise NotYet(f"the service {name} is missing")
    return services


def _health(database: Mapping[str, Any]) -> None:
    """Runs the health check with a database that is not there, and with one that is."""
    check = database.get("healthcheck")
    test = check.get("test") if isinstance(check, dict) and not check.get("disable") else None
    if isinstance(test, str):
        test = ["CMD-SHELL", test]
    if not isinstance(test, list) or len(test) < 2 or test[0] not in {"CMD", "CMD-SHELL"}:
        raise NotYet("the database has no healthcheck with a test: CMD and words, or one text")
    words = [str(word).replace("$$", "$") for word in test[1:]]
    if test[0] == "CMD-SHELL":
        words = ["/bin/sh", "-c", words[0]]
    dead, _ = _asked(words, 2)
    alive, log = _asked(words, 0)
    if dead == 0:
        raise NotYet(
            "the health check says healthy although no database answers. Ask the database, with "
            "pg_isready, and let its status be the status of the check"
        )
    if alive != 0:
        raise NotYet(f"a database answers, and the health check ends with status {alive}")
    if not re.search(r"127\.0\.0\.1|localhost|-h\s*database|host[= ]database|::1", log):
        raise NotYet(
            "while the image sets itself up, its server listens on the socket only, and your check "
            "would say healthy too early. Ask over TCP: --host=127.0.0.1"
        )


def _asked(words: list[str], status: int) -> tuple[int, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log"
        log.touch()
        for client in CLIENTS:
            file = folder / client
            file.write_text(FAKE.format(log=shlex.quote(str(log)), status=status))
            file.chmod(0o755)
        own = {
            "PATH": f"{folder}:/usr/bin:/bin",
            "POSTGRES_USER": "postgres",
        }
        program_name = str(folder / words[0]) if words[0] in CLIENTS else words[0]
        try:
            done = program([program_name, *words[1:]], folder, own)
        except OSError as error:
            raise NotYet(f"the health check cannot run {words[0]!r}: {error.strerror}") from None
        return done.returncode, log.read_text()


def _passwords(database: Mapping[str, Any], web: Mapping[str, Any]) -> None:
    def pairs(service: Mapping[str, Any]) -> dict[str, str]:
        given = service.get("environment") or {}
        if isinstance(given, list):
            given = dict(str(each).partition("=")[::2] for each in given)
        return {str(key): str(value) for key, value in given.items()}

    password = pairs(database).get("POSTGRES_PASSWORD", "")
    url = pairs(web).get("DATABASE_URL", "")
    if pairs(database).get("POSTGRES_HOST_AUTH_METHOD") == "trust":
        raise NotYet("with trust, every neighbour is let in without a password")
    if not password or not url:
        raise NotYet("POSTGRES_PASSWORD of database and DATABASE_URL of web must be there")
    variable = re.fullmatch(r"\$\{(\w+)(:?\?[^}]*)?(:?-[^}]*)?\}|\$(\w+)", password)
    if variable is None:
        raise NotYet("the password of the database is still in the file")
    if variable[3]:
        raise NotYet("the password has a default in the file, which is what attackers try first")
    if not (variable[2] or "").startswith(":?"):
        raise NotYet(
            "without the variable, Compose would warn and start with an empty password. "
            "${NAME:?text} makes it stop"
        )
    found = re.search(r"://([^:/@]+):(\$\{[^}]*\}|[^@]*)@([\w.-]+)(:\d+)?/", url)
    if found is None:
        raise NotYet("DATABASE_URL should be postgresql://user:password@host:port/name")
    if found[3] in {"localhost", "127.0.0.1"}:
        raise NotYet("inside of web, localhost is web itself. The database is reached by its name")
    if found[3] != "database":
        raise NotYet(f"there is no neighbour {found[3]}: the database is reached by its name")
    if found[4] not in {None, ":5432"}:
        raise NotYet("between neighbours the port is the server's own, 5432")
    if not re.fullmatch(rf"\$\{{{variable[1] or variable[4]}\W.*|\$\{{{variable[1]}\}}", found[2]):
        raise NotYet("DATABASE_URL must have the database's password, from the same variable")
