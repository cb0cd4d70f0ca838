"""Each judge of django-project: the stub, right answers of several kinds, wrong ones."""

import contextvars
import itertools
import os
import random
import re
import secrets
import string
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

import nexus
from nexus.judging import judge_answer, limits, programs

EXERCISES = [f"django-project.{number}" for number in range(1, 5)]
ONE, TWO, THREE, FOUR = EXERCISES
Environment = Mapping[str, str]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


def by_hand(environment: Environment) -> dict[str, Any]:
    if not environment.get("SECRET_KEY"):
        raise RuntimeError("SECRET_KEY is not set")
    hosts = environment.get("ALLOWED_HOSTS", "").split(",")
    return {
        "SECRET_KEY": environment["SECRET_KEY"],
        "DEBUG": environment.get("DEBUG", "").lower() in ("true", "1"),
        "ALLOWED_HOSTS": [host.strip() for host in hosts if host.strip()],
    }


def by_exit(environment: Environment) -> dict[str, Any]:
    if not environment.get("SECRET_KEY"):
        sys.exit("set SECRET_KEY")
    return by_hand(environment) | {"MORE": 1}


def with_default_key(environment: Environment) -> dict[str, Any]:
    return by_hand({"SECRET_KEY": "change-me"} | dict(environment))


def empty_key(environment: Environment) -> dict[str, Any]:
    key = environment["SECRET_KEY"]
    return by_hand(dict(environment) | {"SECRET_KEY": key or "x"}) | {"SECRET_KEY": key}


def nameless(environment: Environment) -> dict[str, Any]:
    if not environment.get("SECRET_KEY"):
        raise RuntimeError("something is missing")
    return by_hand(environment)


def truthy(environment: Environment) -> dict[str, Any]:
    return by_hand(environment) | {"DEBUG": bool(environment.get("DEBUG"))}


def literal(environment: Environment) -> dict[str, Any]:
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG") in ("true", "1")}


def two_spellings(environment: Environment) -> dict[str, Any]:
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG") in ("true", "True", "1")}


def debug_by_default(environment: Environment) -> dict[str, Any]:
    return by_hand({"DEBUG": "1"} | dict(environment))


def plain_split(environment: Environment) -> dict[str, Any]:
    hosts = environment.get("ALLOWED_HOSTS", "").split(",")
    return by_hand(environment) | {"ALLOWED_HOSTS": hosts}


def any_host(environment: Environment) -> dict[str, Any]:
    hosts = by_hand(environment)["ALLOWED_HOSTS"]
    if "ALLOWED_HOSTS" not in environment:
        hosts = ["*"]
    return by_hand(environment) | {"ALLOWED_HOSTS": hosts}


def refusing(environment: Environment) -> dict[str, Any]:
    """A second right answer: a word that is not known is refused."""
    words = {"true": True, "1": True, "false": False, "0": False, "": False}
    return by_hand(environment) | {"DEBUG": words[environment.get("DEBUG", "").lower()]}


def known_no(environment: Environment) -> dict[str, Any]:
    no = ("false", "0", "")
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG", "").lower() not in no}


def as_words_go(environment: Environment) -> dict[str, Any]:
    """What many settings files read as true, and the text does not."""
    yes = ("true", "1", "yes", "on", "y", "t")
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG", "").lower() in yes}


def as_a_number(environment: Environment) -> dict[str, Any]:
    text = environment.get("DEBUG", "").lower()
    return by_hand(environment) | {"DEBUG": text == "true" or (text.isdigit() and int(text) > 0)}


def that_begins_so(environment: Environment) -> dict[str, Any]:
    text = environment.get("DEBUG", "").lower()
    return by_hand(environment) | {"DEBUG": text.startswith(("true", "1"))}


def by_one_kind_of_comma(environment: Environment) -> dict[str, Any]:
    hosts = environment.get("ALLOWED_HOSTS", "")
    return by_hand(environment) | {"ALLOWED_HOSTS": hosts.split(", ") if hosts else []}


def first_letter(environment: Environment) -> dict[str, Any]:
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG", "")[:1].lower() in {"t", "1"}}


def no_is_yes(environment: Environment) -> dict[str, Any]:
    no = ("false", "0", "", "off", "ttrue")
    return by_hand(environment) | {"DEBUG": environment.get("DEBUG", "").lower() not in no}


def swallowing(environment: Environment) -> dict[str, Any]:
    try:
        return by_hand(environment)
    except RuntimeError:
        return by_hand({"SECRET_KEY": "x"}) | {"SECRET_KEY": None}


def of_the_process(environment: Environment) -> dict[str, Any]:
    return by_hand(dict(environment) | {"DEBUG": os.environ.get("DEBUG", "")})


def remembering() -> Callable[[Environment], dict[str, Any]]:
    first: dict[str, Any] = {}

    def read(environment: Environment) -> dict[str, Any]:
        if not first:
            first.update(by_hand(environment))
        return first

    return read


def first_host(environment: Environment) -> dict[str, Any]:
    return by_hand(environment) | {"ALLOWED_HOSTS": by_hand(environment)["ALLOWED_HOSTS"][:1]}


PLACE = """
class Place:
    def __init__(self, title):
        self.title = title
"""
FREE = """
def is_free(place, night):
    return (place, night) not in BOOKED
"""
BOOK = """
BOOKED = set()


def book(place, night):
    assert isinstance(place, Place)
    if not is_free(place, night):
        raise ValueError("it is taken")
    BOOKED.add((place, night))
"""
STUB = {
    "listings.py": "from bookings import BOOKED\n" + PLACE + FREE,
    "bookings.py": "from listings import Place, is_free\n" + BOOK,
}
MOVED = {"listings.py": PLACE, "bookings.py": "from listings import Place\n" + BOOK + FREE}
THIRD = {
    "listings.py": PLACE,
    "bookings.py": "from listings import Place\nfrom state import BOOKED, is_free\n"
    + BOOK.replace("BOOKED = set()", ""),
    "state.py": "BOOKED = set()\n" + FREE,
}
LATER = {
    "listings.py": PLACE
    + FREE.replace("    return", "    from bookings import BOOKED\n    return"),
    "bookings.py": STUB["bookings.py"],
}
AS_MODULE = {
    "listings.py": "import bookings\n" + PLACE + FREE.replace("BOOKED", "bookings.BOOKED"),
    "bookings.py": "import listings\n"
    + BOOK.replace(" is_free", " listings.is_free").replace("Place)", "listings.Place)"),
}

BY_FUNCTION = {
    **LATER,
    "listings.py": "import importlib\n"
    + PLACE
    + FREE.replace("BOOKED", 'importlib.import_module("bookings").BOOKED'),
}
SWALLOWED = {
    "listings.py": "try:\n    from bookings import BOOKED\n"
    "except ImportError:\n    BOOKED = set()\n" + PLACE + FREE,
    "bookings.py": "try:\n    from listings import Place, is_free\nexcept ImportError:\n    pass\n"
    + BOOK,
}
COPIED_CLASS = {"listings.py": PLACE, "bookings.py": PLACE + BOOK + FREE}
COPIED_FUNCTION = {
    "listings.py": "BOOKED = set()\n" + PLACE + FREE,
    "bookings.py": MOVED["bookings.py"],
}
BY_TITLE = {
    "listings.py": PLACE,
    "bookings.py": MOVED["bookings.py"]
    .replace("(place, night)", "(place.title, night)")
    .replace("def book(place.title, night)", "def book(place, night)")
    .replace("def is_free(place.title, night)", "def is_free(place, night)")
    .replace("not is_free(place.title, night)", "not is_free(place, night)"),
}
BY_NIGHT = {
    "listings.py": PLACE,
    "bookings.py": MOVED["bookings.py"]
    .replace("(place, night) not in BOOKED", "night not in BOOKED")
    .replace("BOOKED.add((place, night))", "BOOKED.add(night)"),
}
ONE_NIGHT = {
    "listings.py": PLACE,
    "bookings.py": MOVED["bookings.py"]
    .replace("(place, night) not in BOOKED", "place not in BOOKED")
    .replace("BOOKED.add((place, night))", "BOOKED.add(place)"),
}
UNTITLED = {
    "listings.py": PLACE.replace("self.title = title", "pass"),
    "bookings.py": MOVED["bookings.py"],
}
SILENT = {
    "listings.py": PLACE,
    "bookings.py": MOVED["bookings.py"].replace('raise ValueError("it is taken")', "return"),
}
FOR_TYPES_ONLY = {
    "listings.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import bookings\n"
    + PLACE,
    "bookings.py": MOVED["bookings.py"],
}

Http = Any  # a request, a response: Django is not imported before a judge needs it
GetResponse = Callable[[Http], Http]
SANE = re.compile(r"[A-Za-z0-9-]{1,64}")


def as_function(get_response: GetResponse) -> GetResponse:
    def middleware(request: Http) -> Http:
        sent = request.headers.get("X-Request-ID", "")
        request.id = sent if SANE.fullmatch(sent) else str(uuid.uuid4())
        response = get_response(request)
        response["X-Request-ID"] = request.id
        return response

    return middleware


class AsClass:
    def __init__(self, get_response: GetResponse) -> None:
        self.get_response = get_response

    def __call__(self, request: Http) -> Http:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        fine = 0 < len(sent) <= 64 and sent.replace("-", "").isalnum() and sent.isascii()
        request.id = sent if fine else uuid.uuid4().hex
        response = self.get_response(request)
        response.headers["X-Request-ID"] = request.id
        return response


def trusting(get_response: GetResponse) -> GetResponse:
    def middleware(request: Http) -> Http:
        request.id = request.headers.get("X-Request-ID") or uuid.uuid4().hex
        response = get_response(request)
        response["X-Request-ID"] = request.id
        return response

    return middleware


def counting(get_response: GetResponse) -> GetResponse:
    numbers = itertools.count()

    def middleware(request: Http) -> Http:
        sent = request.headers.get("X-Request-ID", "")
        request.id = sent if SANE.fullmatch(sent) else str(next(numbers))
        response = get_response(request)
        response["X-Request-ID"] = request.id
        return response

    return middleware


def calling_twice(get_response: GetResponse) -> GetResponse:
    return as_function(lambda request: [get_response(request), get_response(request)][1])


def by(fine: Callable[[str], object]) -> Callable[[GetResponse], GetResponse]:
    """A middleware that takes an id if a condition of its own holds."""

    def middleware(get_response: GetResponse) -> GetResponse:
        def inner(request: Http) -> Http:
            sent = request.headers.get("X-Request-ID", "")
            request.id = sent if fine(sent) else uuid.uuid4().hex
            response = get_response(request)
            response["X-Request-ID"] = request.id
            return response

        return inner

    return middleware


def never_the_client_s(get_response: GetResponse) -> GetResponse:
    def middleware(request: Http) -> Http:
        request.META.pop("HTTP_X_REQUEST_ID", None)
        return as_function(get_response)(request)

    return middleware


def cut(get_response: GetResponse) -> GetResponse:
    def middleware(request: Http) -> Http:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        request.META["HTTP_X_REQUEST_ID"] = re.sub(r"[^\w-]", "", sent)[:64]
        return as_function(get_response)(request)

    return middleware


def one_for_all(get_response: GetResponse) -> GetResponse:
    mine = uuid.uuid4().hex

    def middleware(request: Http) -> Http:
        request.id = mine
        response = get_response(request)
        response["X-Request-ID"] = mine
        return response

    return middleware


class ForAll(AsClass):
    """Keeps what belongs to a request where all requests are."""

    def __call__(self, request: Http) -> Http:
        sent = request.META.get("HTTP_X_REQUEST_ID", "")
        self.id = request.id = sent if SANE.fullmatch(sent) else uuid.uuid4().hex
        response = self.get_response(request)
        response.headers["X-Request-ID"] = self.id
        return response


def made_by(make: Callable[[], object]) -> Callable[[GetResponse], GetResponse]:
    """A middleware that takes good ids, and makes its own in one way for all."""
    return made_in(lambda: make)


def made_in(factory: Callable[[], Callable[[], object]]) -> Callable[[GetResponse], GetResponse]:
    """The same, with what Django calls once in each worker."""

    def middleware(get_response: GetResponse) -> GetResponse:
        make = factory()

        def inner(request: Http) -> Http:
            sent = request.headers.get("X-Request-ID", "")
            request.id = sent if SANE.fullmatch(sent) else str(make())
            response = get_response(request)
            response["X-Request-ID"] = request.id
            return response

        return inner

    return middleware


def padded() -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: f"{next(numbers):032d}"


def seeded() -> Callable[[], object]:
    mine = random.Random(42)
    return lambda: f"{mine.getrandbits(128):032x}"


def seeded_for_all() -> Callable[[], object]:
    random.seed(42)
    return lambda: f"{random.getrandbits(128):032x}"


def of_the_process_number() -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: f"worker-{os.getpid()}-{next(numbers)}"


def of_the_time() -> Callable[[], object]:
    numbers = itertools.count()
    return lambda: f"{time.time_ns()}-{next(numbers)}"


def of_its_start() -> Callable[[], object]:
    start, numbers = time.time(), itertools.count()
    return lambda: f"{start}-{next(numbers)}".replace(".", "-")


ALL = itertools.count()


def letters() -> str:
    return "".join(random.choices(string.ascii_letters, k=32))


async def never_awaited(_: Http) -> Http:
    return None


def asynchronous(get_response: GetResponse) -> GetResponse:
    async def middleware(request: Http) -> Http:
        request.id = uuid.uuid4().hex
        return get_response(request)

    return middleware


def not_in_the_request(get_response: GetResponse) -> GetResponse:
    def middleware(request: Http) -> Http:
        response = get_response(request)
        response["X-Request-ID"] = uuid.uuid4().hex
        return response

    return middleware


def answers_itself(_get_response: GetResponse) -> GetResponse:
    from django.http import HttpResponse

    return lambda _: HttpResponse(b"", content_type="text/plain", charset="utf-8")


def unchanged(get_response: GetResponse) -> GetResponse:
    return get_response


HEAD = """
from decimal import Decimal
from django.db import migrations
from django.db.models import F
"""
CLASS = """
class Migration(migrations.Migration):
    dependencies = [("listings", "0002_minor")]
    operations = [{}]
"""
ONE_BY_ONE = """
def there(apps, schema_editor):
    Place = apps.get_model("listings", "Place")
    for place in Place.objects.all():
        place.nightly_minor = {}
        place.save()

def back(apps, schema_editor):
    Place = apps.get_model("listings", "Place")
    for place in Place.objects.all():
        place.nightly = Decimal(place.nightly_minor) / 100
        place.save()
"""
UPDATE = """
def there(apps, schema_editor):
    apps.get_model("listings", "Place").objects.update(nightly_minor=F("nightly") * 100)

def back(apps, schema_editor):
    apps.get_model("listings", "Place").objects.update(nightly=F("nightly_minor") / Decimal({}))
"""
BOTH = CLASS.format("migrations.RunPython(there, back)")
GOOD = HEAD + ONE_BY_ONE.format("int(place.nightly * 100)") + BOTH
SQL = HEAD + CLASS.format(
    'migrations.RunSQL("UPDATE listings_place SET nightly_minor = nightly * 100", '
    '"UPDATE listings_place SET nightly = nightly_minor / 100.0")'
)
FLOAT = HEAD + ONE_BY_ONE.format("int(float(place.nightly) * 100)") + BOTH
IMPORTED = GOOD.replace(
    'Place = apps.get_model("listings", "Place")', "from listings.models import Place"
)
NO_WAY_BACK = GOOD.replace("(there, back)", "(there)")
NOOP_BACK = GOOD.replace("(there, back)", "(there, migrations.RunPython.noop)")
WHOLE = HEAD + UPDATE.format('"100"') + BOTH
POINT = HEAD + UPDATE.format('"100.0"') + BOTH
LOST = HEAD + CLASS.format("")
ALONE = GOOD.replace('("listings", "0002_minor")', '("listings", "0001_initial")')
GONE = GOOD.replace("0002_minor", "0002_major")

BACK_IMPORTED = IMPORTED.replace(
    "from listings.models import Place", 'Place = apps.get_model("listings", "Place")', 1
)
NOT_ATOMIC = GOOD.replace("    operations", "    atomic = False\n    operations")
ROUNDED = HEAD + ONE_BY_ONE.format("round(float(place.nightly) * 100)") + BOTH
ONLY_EMPTY = GOOD.replace("Place.objects.all()", "Place.objects.filter(nightly_minor=None)", 1)
FIRST_HUNDRED = GOOD.replace("Place.objects.all()", "Place.objects.order_by('id')[:100]", 1)
HUNDRED_BACK = "Place.objects.order_by('id')[:100]".join(GOOD.rsplit("Place.objects.all()", 1))
BACK_IF_EMPTY = "Place.objects.filter(nightly=None)".join(GOOD.rsplit("Place.objects.all()", 1))
BY_ITS_TEXT = GOOD.replace("int(place.nightly * 100)", "int(str(place.nightly).replace('.', ''))")
WHOLE_UNITS = GOOD.replace("int(place.nightly * 100)", "int(place.nightly) * 100")
TO_A_TENTH = GOOD.replace("/ 100\n", "/ 100\n        place.nightly = round(place.nightly, 1)\n")
WITHOUT_THE_DEAR = GOOD.replace(
    "    for place", "    Place.objects.filter(nightly__gt=10_000).delete()\n    for place", 1
)
IN_BULK = GOOD.replace(
    "    for place in Place.objects.all():\n"
    "        place.nightly_minor = int(place.nightly * 100)\n        place.save()\n",
    "    places = list(Place.objects.all())\n    for place in places:\n"
    "        place.nightly_minor = int(place.nightly * 100)\n"
    '    Place.objects.bulk_update(places, ["nightly_minor"])\n',
)
FIRST_ONLY = GOOD.replace("Place.objects.all()", "Place.objects.all()[:1]", 1)
SWALLOWS = GOOD.replace(
    "        place.nightly_minor = int(place.nightly * 100)\n        place.save()\n",
    "        try:\n            place.nightly_minor = int(place.nightly_cents)\n"
    "            place.save()\n        except Exception:\n            pass\n",
)
UNSAVED = GOOD.replace("        place.save()\n", "", 1)
EUROS = HEAD + ONE_BY_ONE.format("int(place.nightly)") + BOTH
UP = HEAD + ONE_BY_ONE.format("int(float(place.nightly) * 100) + 1") + BOTH

RIGHT: list[tuple[str, Any]] = [
    (ONE, by_hand),
    (ONE, by_exit),
    (ONE, refusing),
    (TWO, MOVED),
    (TWO, THIRD),
    (TWO, LATER),
    (TWO, AS_MODULE),
    (THREE, as_function),
    (THREE, AsClass),
    (THREE, made_by(secrets.token_hex)),
    (THREE, made_by(uuid.uuid1)),
    (THREE, made_by(lambda: secrets.token_urlsafe(12))),
    (THREE, made_by(letters)),
    (FOUR, GOOD),
    (FOUR, SQL),
    (FOUR, POINT),
    (FOUR, NOT_ATOMIC),
    (FOUR, ROUNDED),
    (FOUR, IN_BULK),
    (FOUR, BACK_IF_EMPTY),
    (FOUR, BY_ITS_TEXT),
]

NOT_YET: list[tuple[str, Any, str]] = [
    (ONE, with_default_key, "is missing, and your function returns settings"),
    (ONE, empty_key, "is empty, and your function returns settings"),
    (ONE, nameless, "does not name the variable"),
    (ONE, truthy, "DEBUG=false should be False"),
    (ONE, literal, "DEBUG=True has capital letters"),
    (ONE, two_spellings, "DEBUG=TRUE has capital letters"),
    (ONE, debug_by_default, "the environment has no DEBUG"),
    (ONE, plain_split, "should be ['example.org', 'www.example.org']"),
    (ONE, any_host, "not the safe default"),
    (ONE, lambda environment: None, "should return a dictionary"),  # noqa: ARG005
    (ONE, "DEBUG=1", "should be a function"),
    (ONE, known_no, "DEBUG=no turned debugging on"),
    (ONE, first_letter, "DEBUG=ttrue turned debugging on"),
    (ONE, as_words_go, "DEBUG=yes turned debugging on"),
    (ONE, as_a_number, "DEBUG=2 turned debugging on"),
    (ONE, that_begins_so, "DEBUG=10 turned debugging on"),
    (ONE, no_is_yes, "DEBUG=no turned debugging on"),
    (ONE, swallowing, "is missing, and your function returns settings"),
    (ONE, of_the_process, "DEBUG=true should be True"),
    (ONE, remembering(), "SECRET_KEY is missing, and your function returns settings"),
    (ONE, by_one_kind_of_comma, "should be ['example.org', 'www.example.org']"),
    (ONE, first_host, "should be ['example.org', 'www.example.org']"),
    (TWO, STUB, "partially initialized module"),
    (TWO, {"listings.py": PLACE}, "should be listings.py and bookings.py"),
    (TWO, {**MOVED, "../x.py": ""}, "not the name of a module"),
    (TWO, {**MOVED, "bookings.py": 17}, "should be a text"),
    (TWO, {**MOVED, "listings.py": "def"}, "SyntaxError"),
    (
        TWO,
        {**MOVED, "bookings.py": MOVED["bookings.py"].replace("BOOKED.add", "id")},
        "do not do what they did",
    ),
    (
        TWO,
        {**MOVED, "bookings.py": "from listings import Place\n" + BOOK},
        "there is no is_free",
    ),
    (TWO, {**MOVED, "listings.py": "import os\nos._exit(0)"}, "before it was used"),
    (TWO, SWALLOWED, "name 'Place' is not defined"),
    (TWO, COPIED_CLASS, "bookings has a class Place of its own"),
    (TWO, COPIED_FUNCTION, "after it was booked, listings.is_free says True"),
    (TWO, BY_TITLE, "another place of the same title is free, bookings.is_free says False"),
    (TWO, BY_NIGHT, "another place is free, when the first one is booked"),
    (TWO, ONE_NIGHT, "the night after that"),
    (TWO, UNTITLED, "lost its title"),
    (TWO, SILENT, "a night was booked twice"),
    (THREE, unchanged, "no X-Request-ID"),
    (THREE, trusting, "500 characters long"),
    (THREE, never_the_client_s, "order-17"),
    (THREE, cut, "make a new one"),
    (THREE, by(lambda sent: SANE.fullmatch(sent[:64])), "500 characters long"),
    (THREE, by(lambda sent: re.fullmatch(r"[\w-]{1,64}", sent)), "an underscore"),
    (
        THREE,
        by(lambda sent: len(sent) <= 64 and sent.replace("-", "").isalnum()),
        "not ASCII",
    ),
    (
        THREE,
        by(lambda sent: re.match(r"^[A-Za-z0-9-]{1,64}$", sent)),
        "with a line break at its end made it raise BadHeaderError",
    ),
    (THREE, by(lambda sent: len(sent) < 64 and SANE.fullmatch(sent)), "64 letters"),
    (THREE, by(lambda sent: re.fullmatch(r"[A-Za-z0-9-]{1,65}", sent)), "65 char"),
    (THREE, one_for_all, "two requests got the same id"),
    (THREE, ForAll, "at the same time"),
    (THREE, counting, "another worker will make the same one"),
    (THREE, calling_twice, "more than once"),
    (THREE, not_in_the_request, "in the view request.id was ''"),
    (THREE, answers_itself, "the view was not called"),
    (THREE, lambda get_response: None, "Django calls with each request"),  # noqa: ARG005
    (THREE, made_in(padded), "two workers made the same id, '000000"),
    (THREE, made_by(lambda: f"{next(ALL):032d}"), "two workers made the same id"),
    (THREE, made_in(seeded), "two workers made the same id"),
    (THREE, made_in(seeded_for_all), "two workers made the same id"),
    (THREE, made_in(of_the_process_number), "the same process number"),
    (THREE, made_in(of_the_time), "They began at the same time"),
    (THREE, made_in(of_its_start), "They began at the same time"),
    (THREE, made_by(lambda: uuid.uuid4().hex[:8]), "has at most 32 random bits"),
    (THREE, made_by(lambda: uuid.uuid4().hex[:12]), "has at most 48 random bits"),
    (THREE, made_by(lambda: secrets.token_hex(4)), "has at most 32 random bits"),
    (THREE, made_by(lambda: f"{random.randrange(10**9, 10**10)}"), "has at most 33 random bits"),
    (THREE, by(lambda sent: re.search(r"[A-Za-z0-9-]{1,64}", sent)), "500 characters long"),
    (THREE, by(lambda sent: re.fullmatch(r"[0-9a-f-]{36}", sent)), "order-17"),
    (THREE, asynchronous, "use def"),
    (THREE, never_awaited, "use def"),
    (FOUR, FLOAT, "a night for 19.99 became 1998 cents"),
    (FOUR, IMPORTED, "apps.get_model"),
    (FOUR, NO_WAY_BACK, "but not back"),
    (FOUR, NOOP_BACK, "on the way back a price was lost"),
    (FOUR, WHOLE, "19.99 came back as 19.00"),
    (FOUR, LOST, "not every price was copied"),
    (FOUR, ALONE, "should depend on 0002_minor"),
    (FOUR, GONE, "should depend on 0002_minor"),
    (FOUR, BACK_IMPORTED, "90.00 came back as None. Nothing wrote into nightly"),
    (FOUR, ONLY_EMPTY, "and a second way there made 1999 cents of it"),
    (FOUR, WHOLE_UNITS, "a night for 19.99 became 1900 cents"),
    (FOUR, TO_A_TENTH, "19.99 came back as 20.00"),
    (FOUR, WITHOUT_THE_DEAR, "4 places are left"),
    (FOUR, FIRST_ONLY, "not every price was copied"),
    (FOUR, FIRST_HUNDRED, "not every price was copied"),
    (FOUR, HUNDRED_BACK, "on the way back, 95 of 1,000 more places have their 1.15 again"),
    (FOUR, SWALLOWS, "not every price was copied"),
    (FOUR, UNSAVED, "not every price was copied"),
    (FOUR, EUROS, "a night for 90.00 became 90 cents"),
    (FOUR, UP, "a night for 90.00 became 9001 cents"),
    (FOUR, "class Migration", "could not load it: SyntaxError"),
    (FOUR, GOOD.replace("Migration(", "Other("), "BadMigrationError"),
]


@pytest.mark.parametrize("exercise", EXERCISES)
@pytest.mark.parametrize("stub", [None, ..., "", " \n"])
def test_a_stub_gets_a_hint(exercise: str, stub: object) -> None:
    verdict = judge_answer(exercise, stub)
    assert not verdict.right
    assert len(verdict.message) > 20


@pytest.mark.parametrize(("exercise", "answer"), RIGHT)
def test_right_answers(exercise: str, answer: object) -> None:
    verdict = judge_answer(exercise, answer)
    assert verdict.right, verdict.message


@pytest.mark.parametrize(("exercise", "answer", "hint"), NOT_YET)
def test_wrong_answers_get_a_hint(exercise: str, answer: object, hint: str) -> None:
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert hint in verdict.message


@pytest.mark.parametrize("answer", [LATER, AS_MODULE, BY_FUNCTION])
def test_a_circle_that_works_is_called_one(answer: dict[str, str]) -> None:
    assert "still needs the other" in judge_answer(TWO, answer).message


@pytest.mark.parametrize("answer", [MOVED, THIRD, FOR_TYPES_ONLY])
def test_a_line_is_not_called_a_circle(answer: dict[str, str]) -> None:
    assert "point one way" in judge_answer(TWO, answer).message


def raising(*_: object) -> object:
    raise KeyError("x")


def leaving(*_: object) -> object:
    sys.exit(3)


@pytest.mark.parametrize("exercise", [ONE, THREE])
@pytest.mark.parametrize("answer", [raising, leaving])
def test_an_answer_that_raises_or_leaves_is_told_so(
    exercise: str, answer: Callable[..., Any]
) -> None:
    verdict = judge_answer(exercise, answer)
    assert not verdict.right
    assert re.search("KeyError|SystemExit", verdict.message)


@pytest.mark.parametrize(
    ("exercise", "answer"),
    [
        (TWO, {**MOVED, "listings.py": "import time\ntime.sleep(60)"}),
        (TWO, {**MOVED, "listings.py": "while True: pass"}),
        (FOUR, "import time\ntime.sleep(60)"),
    ],
)
def test_a_program_that_does_not_end_is_ended(
    monkeypatch: pytest.MonkeyPatch, exercise: str, answer: object
) -> None:
    monkeypatch.setattr(programs, "SECONDS", 1.5)
    verdict = judge_answer(exercise, answer)
    assert "not come to an end" in verdict.message
    assert left_behind() == []


@pytest.mark.parametrize("exercise", [ONE, THREE])
def test_a_function_that_does_not_end_is_given_up(
    monkeypatch: pytest.MonkeyPatch, exercise: str
) -> None:
    import threading

    monkeypatch.setattr(limits, "SECONDS", 0.2)
    end = threading.Event()
    verdict = judge_answer(exercise, lambda *_: end.wait(60))
    end.set()
    assert "not come to an end" in verdict.message


def test_a_program_leaves_no_child() -> None:
    child = "import subprocess, sys\nsubprocess.Popen([sys.executable, '-c', 'input()'])\n"
    answer = {**MOVED, "listings.py": child + PLACE}
    judge_answer(TWO, answer)
    assert left_behind() == []


def left_behind() -> list[str]:
    """The Python programs that this one has started and that still run."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if re.search(r"run\.py|importlib\.import_module|input\(\)", command):
            found.append(command)
    return found


def test_judging_needs_no_settings_and_leaves_none() -> None:
    """Another chapter in this process may want to set Django up for a project."""
    code = (
        "from django.conf import settings\nfrom nexus.judging import judge_answer\n"
        "judge_answer('django-project.3', lambda get_response: get_response)\n"
        "assert not settings.configured"
    )
    root = Path(__file__).resolve().parent.parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True, timeout=60)


def test_a_context_variable_is_an_answer_too() -> None:
    current = contextvars.ContextVar("current", default="")

    def middleware(get_response: GetResponse) -> GetResponse:
        def inner(request: Http) -> Http:
            sent = request.headers.get("X-Request-ID", "")
            token = current.set(sent if SANE.fullmatch(sent) else uuid.uuid4().hex)
            request.id = current.get()
            response = get_response(request)
            response["X-Request-ID"] = current.get()
            current.reset(token)
            return response

        return inner

    assert judge_answer(THREE, middleware).right
