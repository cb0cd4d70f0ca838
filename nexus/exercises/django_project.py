"""Judges of "A Django project": settings, imports, a middleware, a data migration."""

import inspect
import json
import math
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import within
from nexus.judging.programs import last_line, program
from nexus.judging.sandbox import Connection, Sandbox, database, django_settings
from nexus.judging.workers import OtherProcessError, Worker, worker

Settings = Callable[[Mapping[str, str]], Mapping[str, Any]]
KEY = "k" * 25 + "0123456789" * 3


GIVEN_1 = """
def read(environment):
    return {
        "SECRET_KEY": environment.get("SECRET_KEY", "change-me"),
        "DEBUG": bool(environment.get("DEBUG")),
        "ALLOWED_HOSTS": environment.get("ALLOWED_HOSTS", "*").split(","),
    }
"""


@judge(
    "django-project.1",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of an environment, a dictionary of texts: it returns SECRET_KEY, DEBUG "
    "and ALLOWED_HOSTS, or refuses",
    stub=GIVEN_1,
)
def settings(answer: Settings) -> str:
    """No secret has a default, "no" is false, and a list has no blanks in it."""

    def read(**environment: str) -> Mapping[str, Any]:
        found = within(lambda: answer({"SECRET_KEY": KEY} | environment))
        if not isinstance(found, Mapping) or not {"SECRET_KEY", "DEBUG", "ALLOWED_HOSTS"} <= set(
            found
        ):
            raise NotYet("it should return a dictionary with SECRET_KEY, DEBUG and ALLOWED_HOSTS")
        return found

    if read()["SECRET_KEY"] != KEY:
        raise NotYet("SECRET_KEY is not what the environment says")
    for environment, what in (({}, "is missing"), ({"SECRET_KEY": ""}, "is empty")):
        refusal = within(lambda environment=environment: _refusal(answer, environment))  # type: ignore[misc]
        if refusal is None:
            raise NotYet(f"SECRET_KEY {what}, and your function returns settings: it should refuse")
        if "SECRET_KEY" not in str(refusal):
            raise NotYet(f"SECRET_KEY {what}, and the error does not name the variable: {refusal}")
    for text, meant in {"true": True, "1": True, "false": False, "0": False, "": False}.items():
        if read(DEBUG=text)["DEBUG"] is not meant:
            raise NotYet(f"DEBUG={text} should be {meant}; it is {read(DEBUG=text)['DEBUG']!r}")
    for text, meant in {"True": True, "TRUE": True, "False": False, "FALSE": False}.items():
        if read(DEBUG=text)["DEBUG"] is not meant:
            raise NotYet(
                f"DEBUG={text} has capital letters, and should mean the same as {text.lower()}: "
                f"it is {read(DEBUG=text)['DEBUG']!r}"
            )
    if read()["DEBUG"] is not False:
        raise NotYet("the environment has no DEBUG, and it should be False")
    for text in WORDS:
        got = _debug(answer, text)
        if got not in (False, None):
            raise NotYet(
                f"DEBUG={text} turned debugging on: it is {got!r}. Compare with the words that "
                "mean true, and let any other word be false, or refuse it"
            )
    for text, hosts in {
        "example.org": ["example.org"],
        "example.org, www.example.org": ["example.org", "www.example.org"],
        "example.org,www.example.org": ["example.org", "www.example.org"],
        "": [],
    }.items():
        got = read(ALLOWED_HOSTS=text)["ALLOWED_HOSTS"]
        if got != hosts:
            raise NotYet(f"ALLOWED_HOSTS={text!r} should be {hosts}; it is {got!r}")
    got = read()["ALLOWED_HOSTS"]
    if got != []:
        raise NotYet(
            f"the environment has no ALLOWED_HOSTS, and it is {got!r}: that is not the safe default"
        )
    return "the secret has no default, the other defaults are safe, and words are read as words"


WORDS = ("no", "off", "ttrue", "yes", "on", "t", "2", "10")
"""What must not turn debugging on: words that mean no, misspelt ones, and others than `true`."""


def _debug(answer: Settings, text: str) -> object:
    """What DEBUG is for a word; None if the answer refuses the word."""
    environment = {"SECRET_KEY": KEY, "DEBUG": text}
    try:
        found = within(lambda: answer(environment))
    except (Exception, SystemExit):
        return None
    return found.get("DEBUG") if isinstance(found, Mapping) else None


def _refusal(answer: Settings, environment: Mapping[str, str]) -> str | None:
    """What the answer says when it refuses an environment, as it likes; None if it does not."""
    try:
        answer(environment)
    except (Exception, SystemExit) as error:
        return f"{type(error).__name__}: {first_line(error)}"
    return None


MODULES = ("listings.py", "bookings.py")
USE = """
import builtins, importlib, json, pkgutil, sys
names = sorted(module.name for module in pkgutil.iter_modules(["."]))
edges = set()
statement, function = builtins.__import__, importlib.import_module

def note(importer, name):
    if importer in names and name in names and importer != name:
        edges.add((importer, name))

def noted_statement(name, globals=None, *more, **rest):
    note((globals or {}).get("__name__"), name)
    return statement(name, globals, *more, **rest)

def noted_function(name, *more, **rest):
    note(sys._getframe(1).f_globals.get("__name__"), name)
    return function(name, *more, **rest)

builtins.__import__, importlib.import_module = noted_statement, noted_function
for name in [sys.argv[1], *names]:
    function(name)
modules = [sys.modules[name] for name in names]
Place, book = sys.modules["listings"].Place, sys.modules["bookings"].book
for module in modules:
    if getattr(module, "Place", Place) is not Place:
        sys.exit(f"{module.__name__} has a class Place of its own: import the one of listings")
looks = {module.__name__: module.is_free for module in modules if hasattr(module, "is_free")}
if not looks:
    sys.exit("there is no is_free in any of the modules")
sea, hut, namesake = Place("Sea house"), Place("Hut"), Place("Sea house")
if getattr(sea, "title", None) != "Sea house":
    sys.exit("a Place has lost its title")
night, next_night = "2026-12-31", "2027-01-01"

def asked(is_free):
    return [is_free(sea, night), is_free(sea, next_night), is_free(hut, night)]

said = {name: asked(is_free) for name, is_free in looks.items()}
book(sea, night)
for name, is_free in looks.items():
    said[name] += [*asked(is_free), is_free(namesake, night)]
booked = []
for place in (sea, namesake):
    try:
        book(place, night)
        booked.append(True)
    except ValueError:
        booked.append(False)
json.dump({"said": said, "booked": booked, "edges": sorted(edges)}, sys.__stdout__)
"""


GIVEN_2 = {
    "listings.py": """
from bookings import BOOKED

class Place:
    def __init__(self, title):
        self.title = title

def is_free(place, night):
    return (place, night) not in BOOKED
""",
    "bookings.py": """
from listings import Place, is_free

BOOKED = set()

def book(place: Place, night):
    if not is_free(place, night):
        raise ValueError("it is taken")
    BOOKED.add((place, night))
""",
}


@judge(
    "django-project.2",
    takes=dict,
    called="a dictionary of file names and their texts",
    hint="give a dictionary with listings.py, bookings.py and their texts",
    stub=GIVEN_2,
)
def circle(answer: dict[str, str]) -> str:
    """Each module can be the first to be imported, and they do what they did."""
    if not set(MODULES) <= set(answer):
        raise NotYet("there should be listings.py and bookings.py; more if you like")
    for name, text in answer.items():
        if not (isinstance(name, str) and re.fullmatch(r"[a-z_]+\.py", name)):
            raise NotYet(f"{name!r} is not the name of a module: small letters, and .py")
        if not isinstance(text, str) or len(text) > 10_000:
            raise NotYet(f"{name} should be a text, and not a long one")
    with tempfile.TemporaryDirectory() as folder:
        for name, text in answer.items():
            (Path(folder) / name).write_text(text)
        edges: set[tuple[str, str]] = set()
        for first in MODULES:
            done = program([sys.executable, "-c", USE, first.removesuffix(".py")], Path(folder), {})
            if done.returncode:
                raise NotYet(f"with {first} imported first: {last_line(done.stderr)}")
            try:
                outcome = json.loads(done.stdout[done.stdout.rindex('{"said"') :])
            except ValueError:
                raise NotYet(f"with {first} imported first it ended before it was used") from None
            edges |= {(importer, name) for importer, name in outcome["edges"]}
            _same_as_before(outcome["said"], outcome["booked"])
    if in_a_circle(edges):
        return (
            "both can be imported first, but each still needs the other: it only imports it later"
        )
    return "both can be imported first, and the imports point one way"


ASKED = {
    "the place is free before it is booked": True,
    "the place is free on the next night": True,
    "another place is free": True,
    "the place is free after it was booked": False,
    "the place is free on the night after that": True,
    "another place is free, when the first one is booked": True,
    "another place of the same title is free": True,
}
"""What the modules say of two places and two nights, in the order of the program above."""


def _same_as_before(said: Mapping[str, list[object]], booked: list[bool]) -> None:
    """Compares what the modules do with what they did.

    Raises:
        NotYet: if it is not the same.
    """
    for name, answers in said.items():
        for (question, wanted), got in zip(ASKED.items(), answers, strict=True):
            if got is not wanted:
                raise NotYet(
                    "both can be imported, but they do not do what they did: whether "
                    f"{question}, {name}.is_free says {got}, not {wanted}"
                )
    if booked != [False, True]:
        fault = "a night was booked twice" if booked[0] else "a place that is free cannot be booked"
        raise NotYet(f"both can be imported, but they do not do what they did: {fault}")


def in_a_circle(edges: set[tuple[str, str]]) -> bool:
    """Whether a module that imported another leads back to itself."""
    graph: dict[str, set[str]] = {}
    for importer, name in edges:
        graph.setdefault(importer, set()).add(name)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return True
    return False


HEADER = "X-Request-ID"
Middleware = Callable[[Any], Any]


GIVEN_3 = """
def request_id(get_response):
    def middleware(request):
        return get_response(request)

    return middleware
"""


@judge(
    "django-project.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a middleware: a function or a class that takes get_response",
    hint="give a function (or a class) that takes get_response and returns a function of a request",
    stub=GIVEN_3,
)
def request_id(answer: Callable[[Middleware], Middleware]) -> str:
    """Each request has an id, in the request and in its answer; a client's only if it is sane."""
    made = "a second worker"

    def elsewhere() -> list[str]:
        return _made_by_a_worker(answer)

    with worker(elsewhere) as one, worker(elsewhere) as other:  # before it is called here
        _one_worker(answer)
        _two_workers([_ids(process, made) for process in (one, other)])
    return "each request has its own id, and a client can write only an id into your log"


def _ids(process: Worker, what: str) -> set[str]:
    """The ids that another process has made.

    Raises:
        NotYet: if it made none.
    """
    process.ask()
    try:
        return set(process.answer(what))  # type: ignore[call-overload]
    except OtherProcessError as error:
        raise NotYet(f"in {what} it raised {error.kind[0]}: {error}") from None


def _two_workers(made: list[set[str]]) -> None:
    """Compares what two workers made.

    Raises:
        NotYet: if one of them made what the other one made.
    """
    both = sorted(made[0] & made[1])
    if both:
        raise NotYet(
            f"two workers made the same id, {both[0]!r}. They began at the same time, and had the "
            "same process number, as in two containers: take the id from uuid or secrets"
        )


def _made_by_a_worker(answer: Callable[[Middleware], Middleware]) -> list[str]:
    """The first ids of a worker that began when the other one began, on a machine like it.

    It runs in a process of its own, and may change that process's clock.
    """
    moment = time.time_ns()
    moment -= moment % 10**15  # both workers see the same time
    time.time_ns = lambda: moment
    time.time = lambda: moment / 1e9
    os.getpid = lambda: 7
    request, view = _http()
    middleware = answer(view)
    return [str(middleware(request()).headers.get(HEADER, "")) for _ in range(3)]


def _http() -> tuple[Callable[[], Any], Middleware]:
    """What makes a request, and a view: neither needs Django's settings."""
    from django.http import HttpRequest, HttpResponse

    class Request(HttpRequest):
        """A request whose making needs no settings: the reader's Django may have none, or any."""

        def __init__(self) -> None:
            self.META = {}
            self.COOKIES = {}
            self.method = "GET"
            self.path = self.path_info = "/"

    def view(_: HttpRequest) -> HttpResponse:
        # Neither its text nor its type makes Django look for settings.
        return HttpResponse(b"ok", content_type="text/plain", charset="utf-8")

    return Request, view


def _sync(value: object) -> None:
    """Refuses what `async def` returns.

    Raises:
        NotYet: if it is a coroutine.
    """
    if inspect.iscoroutine(value):
        value.close()
        raise NotYet(
            "this is an async middleware, and the judge calls it as gunicorn does: use def"
        )


def _one_worker(answer: Callable[[Middleware], Middleware]) -> None:
    """Tries a middleware in this process.

    Raises:
        NotYet: if it does not do what it should.
    """
    from django.http import HttpRequest, HttpResponse

    make, answers = _http()
    calls: list[str] = []
    inner: list[Callable[[], None]] = []

    def view(request: HttpRequest) -> HttpResponse:
        calls.append(str(getattr(request, "id", "")))
        if inner:
            inner.pop()()
        return answers(request)

    middleware = within(lambda: answer(view))
    _sync(middleware)
    if not callable(middleware):
        raise NotYet("it should return a function that Django calls with each request")

    def ask(sent: str | None = None) -> str:
        """The id that a request gets; the one that the view saw must be the same."""
        request = make()
        if sent is not None:
            request.META["HTTP_X_REQUEST_ID"] = sent
        before = len(calls)
        response = within(lambda: middleware(request))
        _sync(response)
        if not isinstance(response, HttpResponse):
            raise NotYet("the middleware should return the response of get_response")
        if len(calls) == before:
            raise NotYet("the view was not called")
        got = response.headers.get(HEADER, "")
        if not got:
            raise NotYet(f"a response has no {HEADER}")
        if calls[before] != got and len(calls) > before + 1:
            raise NotYet("two requests at the same time got each other's ids")
        if calls[before] != got:
            raise NotYet(
                f"in the view request.id was {calls[before]!r}, and the response says {got!r}"
            )
        return got

    if ask() == ask():
        raise NotYet("two requests got the same id")
    if len(calls) != 2:
        raise NotYet("the view was called more than once for a request")
    for good, what in {"order-17": "order-17", "A" * 64: "64 letters long"}.items():
        if ask(good) != good:
            raise NotYet(f"the client sent a good id, {what}, and got another one")
    for bad, what in {
        "x" * 500: "500 characters long",
        "x" * 65: "65 characters long",
        "": "empty",
        "a b\tc": "with blanks in it",
        "<script>": "with characters that mean something elsewhere",
        "order_17": "with an underscore",
        "\u00e9t\u00e9": "with a letter that is not ASCII",
        "17\n": "with a line break at its end",
        "17\nSet-Cookie: admin=1": "with a line break, and a header of the client's own behind it",
    }.items():
        try:
            got = ask(bad)
        except NotYet:
            raise
        except Exception as error:
            raise NotYet(f"an id {what} made it raise {type(error).__name__}") from None
        if got == bad:
            raise NotYet(f"it took over an id {what}")
        if not re.fullmatch(r"[\w-]{1,64}", got, re.ASCII) or got == ask(bad):
            raise NotYet(f"instead of an id {what} it gave {got[:70]!r}; make a new one")
        if (bits := _bits(got)) < ENOUGH:
            raise NotYet(
                f"the new id {got!r} is short: another worker will make the same one. It has at "
                f"most {bits:.0f} random bits, and a uuid has 122. Take it from uuid or secrets"
            )
    # A second request comes while the first one is in the view.
    others: list[str] = []
    inner.append(lambda: others.append(ask("second")))
    if ask("first") != "first" or others != ["second"]:
        raise NotYet("two requests at the same time got each other's ids")


ENOUGH = 56
"""Bits of an id: with fewer, two of some hundred million ids are the same."""


def _bits(made: str) -> float:
    """How many random bits an id of this length, and of letters of this kind, can have."""
    kinds = ((r"\d+", 10), (r"[\da-f-]+", 16), (r"[\dA-F-]+", 16), (r"[\da-z-]+", 36))
    letters = next((n for kind, n in kinds if re.fullmatch(kind, made)), 64)
    return len(made.replace("-", "")) * math.log2(letters)


MIGRATIONS = {
    "0001_initial": """
    operations = [migrations.CreateModel("Place", [
        ("id", models.BigAutoField(primary_key=True)),
        ("nightly", models.DecimalField(max_digits=8, decimal_places=2, null=True)),
    ])]
""",
    "0002_minor": """
    dependencies = [("listings", "0001_initial")]
    operations = [migrations.AddField("Place", "nightly_minor", models.IntegerField(null=True))]
""",
    "0004_no_decimal": """
    dependencies = [("listings", "0003_copy")]
    operations = [
        migrations.AlterField("Place", "nightly_minor", models.IntegerField()),
        migrations.RemoveField("Place", "nightly"),
    ]
""",
}
RUNNER = """
import json, os, sys
from decimal import Decimal
sys.path.insert(0, os.getcwd())
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["listings"], DATABASES={"default": json.loads(os.environ["JUDGE_DATABASE"])}
)
import django
django.setup()
from django.core.management import call_command
from django.db import connection

def step(name, target):
    try:
        call_command("migrate", "listings", target, verbosity=0, interactive=False)
    except BaseException as error:
        json.dump({"failed": name, "kind": type(error).__name__, "text": str(error)[:500]},
                  open("outcome", "w"))
        os._exit(0)

def rows(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return [[str(value) for value in row] for row in cursor.fetchall()]

step("before", "0002")
with connection.cursor() as cursor:
    for row in PRICES:
        cursor.execute("INSERT INTO listings_place (id, nightly) VALUES (%s, %s)", row)
    many = "SELECT 100 + n, 1.15 FROM generate_series(1, %s) AS n"
    cursor.execute(f"INSERT INTO listings_place (id, nightly) {many}", [MANY])
step("there", "0004")
there = rows("SELECT id, nightly_minor FROM listings_place WHERE id < 100 ORDER BY id")
many = rows("SELECT count(*) FROM listings_place WHERE id > 100 AND nightly_minor = 115")
step("back", "0002")
back = rows("SELECT id, nightly FROM listings_place WHERE id < 100 ORDER BY id")
many += rows("SELECT count(*) FROM listings_place WHERE id > 100 AND nightly = 1.15")
again = []
if all(price != "None" for _, price in back) and many[1] == [str(MANY)]:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE listings_place SET nightly = 77.70 WHERE id = 2")
    step("there again", "0004")
    again = rows("SELECT nightly_minor FROM listings_place WHERE id = 2")
outcome = {"there": there, "back": back, "again": again, "many": [int(count) for count, in many]}
json.dump(outcome, open("outcome", "w"))
os._exit(0)
"""
MANY = 1_000
"""More places than a loop may take at once."""
PRICES = [(1, "90.00"), (2, "19.99"), (3, "0.29"), (4, "1.15"), (5, "123456.78")]


def nothing(_: Connection) -> None:
    """Leaves the database empty."""


GIVEN_4 = """
from django.db import migrations
from listings.models import Place


def there(apps, schema_editor):
    for place in Place.objects.all():
        place.nightly_minor = int(place.nightly * 100)
        place.save()


class Migration(migrations.Migration):
    dependencies = [("listings", "0002_minor")]
    operations = [migrations.RunPython(there)]
"""


@judge(
    "django-project.4",
    takes=str,
    called="the text of a migration",
    hint="give the text of 0003_copy.py: a class Migration that follows 0002_minor and fills "
    "nightly_minor",
    stub=GIVEN_4,
)
def data_migration(answer: str) -> str:
    """Each price is copied to the cent, and back again."""
    with database("django_project_places", nothing) as box:
        outcome = migrated(answer, box)
    if "failed" in outcome:
        raise NotYet(_why(outcome))
    minor = [[str(key), price.replace(".", "").lstrip("0")] for key, price in PRICES]
    if (left := len(outcome["there"])) != len(PRICES):
        raise NotYet(f"there were {len(PRICES)} places, and {left} places are left: keep them all")
    for (_, wanted), (key, got) in zip(minor, outcome["there"], strict=True):
        if got != wanted:
            raise NotYet(f"a night for {dict(PRICES)[int(key)]} became {got} cents")
    if (copied := outcome["many"][0]) != MANY:
        raise NotYet(f"{MANY:,} more places cost 1.15, and {copied:,} of them have 115 cents now")
    decimal = [[str(key), price] for key, price in PRICES]
    if outcome["back"] != decimal:
        lost = next(
            got for got, wanted in zip(outcome["back"], decimal, strict=True) if got != wanted
        )
        said = (
            f"on the way back a price was lost: {dict(PRICES)[int(lost[0])]} came back as {lost[1]}"
        )
        if lost[1] == "None":
            said += (
                ". Nothing wrote into nightly: does the function for the way back do anything, and "
                "does it ask apps.get_model? The Place of models.py has no nightly any more"
            )
        raise NotYet(said)
    if (copied := outcome["many"][1]) != MANY:
        raise NotYet(f"on the way back, {copied:,} of {MANY:,} more places have their 1.15 again")
    if outcome["again"] != [["7770"]]:
        raise NotYet(
            "on the way back nightly_minor keeps its value. Then the price of a place became "
            f"77.70, and a second way there made {outcome['again'][0][0]} cents of it: copy every "
            "price, not only where nightly_minor is empty"
        )
    return "1,005 prices went there and back, to the cent, and a changed one went there again"


def _why(outcome: dict[str, str]) -> str:
    """What to say of a migration that failed."""
    said = f"{outcome['kind']}: {first_line(Exception(outcome['text']))}"
    if outcome["kind"] == "IrreversibleError":
        return "it runs forward, but not back: give RunPython a second function, for the way back"
    if "nightly" in said and outcome["kind"] in {
        "AttributeError",
        "FieldError",
        "FieldDoesNotExist",
    }:
        return (
            f"{said}. models.py is of today, and today's Place has no nightly any more: ask "
            "apps.get_model for the Place of that time"
        )
    if outcome["kind"] == "IntegrityError" and outcome["failed"] == "there":
        return (
            "0004 makes nightly_minor NOT NULL, and it found a place without a value: not every "
            "price was copied"
        )
    if outcome["kind"] in {"NodeNotFoundError", "CommandError"}:
        return f"the migration should depend on 0002_minor: {said}"
    if outcome["failed"] == "before":
        return f"Django could not load it: {said}"
    return f"on the way {outcome['failed']}: {said}"


def migrated(answer: str, box: Sandbox) -> dict[str, Any]:
    """Runs all migrations, there and back, in a project of their own."""
    settings = django_settings(box.learner)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        package = folder / "listings" / "migrations"
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
        (package.parent / "__init__.py").touch()
        (package.parent / "models.py").write_text(
            "from django.db import models\n\n\nclass Place(models.Model):\n"
            "    id = models.BigAutoField(primary_key=True)\n"
            "    nightly_minor = models.IntegerField()\n"
        )
        head = (
            "from django.db import migrations, models\n\n\nclass Migration(migrations.Migration):"
        )
        for migration, body in MIGRATIONS.items():
            (package / f"{migration}.py").write_text(head + body)
        (package / "0003_copy.py").write_text(answer)
        (folder / "run.py").write_text(f"PRICES = {PRICES!r}\nMANY = {MANY}\n{RUNNER}")
        done = program([sys.executable, "run.py"], folder, {"JUDGE_DATABASE": json.dumps(settings)})
        if not (folder / "outcome").exists():
            raise NotYet(f"it could not be run: {last_line(done.stderr)}")
        outcome: dict[str, Any] = json.loads((folder / "outcome").read_text())
        return outcome
