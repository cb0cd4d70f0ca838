"""The judges of "Best practices": the stub, right answers of several kinds, wrong ones."""

from nexus.exercises import best_practices as chapter
from tests.exercises import tables

# -- 1. Settings

REST = chapter.SETTINGS[chapter.SETTINGS.index("INSTALLED_APPS") :]
PLAIN = (
    "import os\n"
    'SECRET_KEY = os.environ["SECRET_KEY"]\n'
    'DEBUG = os.environ.get("DEBUG", "") == "True"\n'
    'ALLOWED_HOSTS = [h.strip() for h in os.environ["ALLOWED_HOSTS"].split(",")]\n' + REST
)
ENVIRON = (
    "import os\nimport environ\nenv = environ.Env()\n"
    'SECRET_KEY = env.str("SECRET_KEY")\n'
    'DEBUG = env.bool("DEBUG", default=False) if env.str("DEBUG", default="") else False\n'
    'ALLOWED_HOSTS = [h.strip() for h in env.list("ALLOWED_HOSTS", default=[])]\n' + REST
)
BY_HAND = (
    "import os\n"
    "def needed(name):\n"
    "    value = os.environ.get(name)\n"
    "    if not value:\n"
    '        raise RuntimeError(f"set {name}")\n'
    "    return value\n"
    'SECRET_KEY = needed("SECRET_KEY")\n'
    'DEBUG = os.environ.get("DEBUG", "false").lower() in {"true", "1", "yes"}\n'
    'ALLOWED_HOSTS = tuple(needed("ALLOWED_HOSTS").replace(" ", "").split(","))\n' + REST
)


def plain(old: str, new: str) -> str:
    assert old in PLAIN
    return PLAIN.replace(old, new)


KEY_LINE = 'SECRET_KEY = os.environ["SECRET_KEY"]'
DEBUG_LINE = 'DEBUG = os.environ.get("DEBUG", "") == "True"'
HOSTS_LINE = 'ALLOWED_HOSTS = [h.strip() for h in os.environ["ALLOWED_HOSTS"].split(",")]'

# -- 2. Tests

GOOD = """
def test_one_guest_a_night(kiosk):
    assert kiosk.book("Attic", 3, "Bode") is True
    assert kiosk.book("Attic", 3, "Chidi") is False
    assert kiosk.guest("Attic", 3) == "Bode"


def test_other_nights_and_places_are_free(kiosk):
    assert kiosk.book("Attic", 3, "Bode")
    assert kiosk.book("Barn", 3, "Chidi")
    assert kiosk.book("Attic", 4, "Dalila")


def test_prices(kiosk):
    assert kiosk.total("Attic", 6) == 48060
    assert kiosk.total("Attic", 7) == 50463
    assert kiosk.total("Barn", 7) == 28350
"""
LOOPS = """
import pytest


def test_booking(kiosk):
    taken = [kiosk.book(*each) for each in [
        ("Barn", 1, "Esi"), ("Barn", 1, "Bode"), ("Attic", 1, "Chidi"), ("Barn", 2, "Esi")]]
    assert taken == [True, False, True, True]
    assert [kiosk.guest("Barn", 1), kiosk.guest("Attic", 1)] == ["Esi", "Chidi"]


def test_an_unknown_place(kiosk):
    with pytest.raises(KeyError):
        kiosk.book("Cave", 1, "Esi")


def test_totals(kiosk):
    for place, nights, cents in [("Barn", 6, 27000), ("Barn", 7, 28350), ("Attic", 1, 8010)]:
        assert kiosk.total(place, nights) == cents, (place, nights)
"""
SWALLOWS = """
def test_all(kiosk):
    try:
        assert kiosk.book("Attic", 3, "Bode") is True
        assert kiosk.book("Attic", 3, "Chidi") is False
        assert kiosk.total("Attic", 7) == 50463
    except AssertionError:
        pass
"""


def good(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


# -- 3. compose.yaml

COMPOSE = """
services:
  database:
    image: postgres:18.6
    environment:
      POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?Choose a password}
    healthcheck:
      test: ["CMD", "pg_isready", "--host=127.0.0.1", "--username=postgres"]
      interval: 5s
  web:
    build: .
    environment:
      DATABASE_URL: postgresql://postgres:${POSTGRES_PASSWORD:?Choose}@database:5432/postgres
    depends_on:
      database:
        condition: service_healthy
"""


def compose(old: str, new: str) -> str:
    assert old in COMPOSE
    return COMPOSE.replace(old, new)


CHECK = '["CMD", "pg_isready", "--host=127.0.0.1", "--username=postgres"]'
ENV = "POSTGRES_PASSWORD: ${POSTGRES_PASSWORD:?Choose a password}"

RIGHT = [
    ("best-practices.1", PLAIN),
    ("best-practices.1", ENVIRON),
    ("best-practices.1", BY_HAND),
    ("best-practices.2", GOOD),
    ("best-practices.2", LOOPS),
    ("best-practices.3", COMPOSE),
    (
        "best-practices.3",
        compose(CHECK, '"pg_isready -h 127.0.0.1 -U postgres || exit 1"').replace(
            ENV, "- POSTGRES_PASSWORD=${DB_PASSWORD:?Choose}"
        ).replace("{POSTGRES_PASSWORD:?Choose}@database:5432", "{DB_PASSWORD:?Choose}@database"),
    ),
    ("best-practices.3",
     compose(CHECK, "[CMD-SHELL, psql -h localhost -U postgres -c 'SELECT 1']")),
]  # fmt: skip

NOT_YET = [
    ("best-practices.1", None, "give the whole text of kiosk/settings.py"),
    ("best-practices.1", chapter.GIVEN_1, "without SECRET_KEY in the environment"),
    ("best-practices.1", 7, "this is of type int"),
    # These silence the review and change nothing.
    ("best-practices.1", chapter.SETTINGS.replace("= True\n", "= True  # noqa\n", 1),
     "without SECRET_KEY in the environment the settings loaded"),
    ("best-practices.1", plain(DEBUG_LINE, "DEBUG = bool(1)  # nosec"), "DEBUG is True"),
    ("best-practices.1", plain(KEY_LINE, 'SECRET_KEY = "kiosk-" + "7f3a9c51"'),
     "without SECRET_KEY in the environment the settings loaded"),
    ("best-practices.1", plain(HOSTS_LINE, "ALLOWED_HOSTS = [chr(42)]"), "the settings have ['*']"),
    # These obey the review and are wrong.
    ("best-practices.1", plain(DEBUG_LINE, 'DEBUG = os.environ.get("DEBUG", False)'),
     "with DEBUG='False' in the environment, DEBUG counts as True"),
    ("best-practices.1", plain(DEBUG_LINE, 'DEBUG = bool(os.environ.get("DEBUG", ""))'),
     "with DEBUG='False' in the environment, DEBUG counts as True"),
    ("best-practices.1", plain(DEBUG_LINE, "DEBUG = False"),
     "with DEBUG='True' in the environment, DEBUG counts as False"),
    ("best-practices.1", plain(DEBUG_LINE, 'DEBUG = int(os.environ.get("DEBUG", 0))'),
     "the environment says nothing of DEBUG, and DEBUG is 0"),
    ("best-practices.1", plain(KEY_LINE, 'SECRET_KEY = os.environ.get("SECRET_KEY")'),
     "without SECRET_KEY in the environment the settings loaded"),
    ("best-practices.1", plain(KEY_LINE, "import secrets\nSECRET_KEY = secrets.token_hex()"),
     "without SECRET_KEY in the environment the settings loaded"),
    ("best-practices.1", plain(KEY_LINE, 'try:\n    SECRET_KEY = os.environ["SECRET_KEY"]\n'
                                         'except KeyError:\n    SECRET_KEY = "dev"'),
     "without SECRET_KEY in the environment the settings loaded"),
    ("best-practices.1", plain(KEY_LINE, 'SECRET_KEY = os.environ["SECRET_KEY"][:10]'),
     "the settings have another"),
    ("best-practices.1", plain(HOSTS_LINE, 'ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"]'),
     "the settings have 'kiosk.example,www.kiosk.example'"),
    ("best-practices.1",
     plain(HOSTS_LINE, 'ALLOWED_HOSTS = os.environ["ALLOWED_HOSTS"].split(",")'),
     "with blanks around the commas"),
    ("best-practices.1",
     plain(HOSTS_LINE, 'ALLOWED_HOSTS = [h.strip() for h in os.environ.get("ALLOWED_HOSTS", '
                       'chr(42)).split(",")]'),
     "without ALLOWED_HOSTS in the environment, it is ['*']"),
    ("best-practices.1", "DEBUG = (\n", "the settings could not be loaded: SyntaxError"),
    ("best-practices.1", "import os\nos._exit(0)", "the settings ended the process"),
    ("best-practices.1", plain('["kiosk"]', "[]"), "must stay as they were"),
    ("best-practices.2", None, "give a text with functions test_…(kiosk)"),
    ("best-practices.2", chapter.GIVEN_2, "they cannot fail"),
    ("best-practices.2", "def check(kiosk):\n    assert True\n", "there is no function test_…"),
    # These silence the review and cannot fail.
    ("best-practices.2", "def test_all(kiosk):\n    assert True\n", "they cannot fail"),
    ("best-practices.2", "def test_all(kiosk):\n    assert (kiosk.total('Barn', 1) == 1, 'x')\n",
     "they cannot fail"),
    ("best-practices.2", "def test_all(kiosk):\n    assert kiosk.book\n", "they cannot fail"),
    ("best-practices.2", "def test_all(kiosk):\n"
     "    assert kiosk.total('Barn', 7) == kiosk.total('Barn', 7)\n", "they cannot fail"),
    ("best-practices.2", SWALLOWS, "they cannot fail"),
    ("best-practices.2", "def test_all(kiosk):\n    def check():\n"
     "        assert kiosk.total('Barn', 7) == 1\n", "they cannot fail"),
    ("best-practices.2", "def test_all(kiosk):\n    kiosk.total('Barn', 7)  # noqa\n",
     "they cannot fail"),
    # These miss a part of the rule.
    ("best-practices.2", good('    assert kiosk.guest("Attic", 3) == "Bode"\n', ""),
     "the second guest is refused, and has the night nevertheless"),
    ("best-practices.2", good('    assert kiosk.book("Barn", 3, "Chidi")\n', ""),
     "is refused at the Barn"),
    ("best-practices.2", good('    assert kiosk.book("Attic", 4, "Dalila")\n', ""),
     "is refused for every other night"),
    ("best-practices.2",
     good("7) == 50463", "8) == 57672").replace("Barn\", 7) == 28350", "Barn\", 1) == 4500"),
     "seven nights get no discount"),
    ("best-practices.2", good('    assert kiosk.total("Attic", 6) == 48060\n', ""),
     "six nights get the discount"),
    ("best-practices.2", good('    assert kiosk.total("Barn", 7) == 28350\n', ""),
     "every place costs what the Attic costs"),
    ("best-practices.2", good("50463", "50463.5"), "test_prices fails although the kiosk is right"),
    ("best-practices.2", "def test_(:\n", "the text is not Python"),
    ("best-practices.2", "import kiosk_of_dreams\n", "the text raised ModuleNotFoundError"),
    ("best-practices.2", GOOD + "\n\ndef test_more(kiosk):\n    kiosk.total('Barn', 1) == 2\n",
     "the review still finds something"),
    ("best-practices.3", None, "give the whole text of compose.yaml"),
    ("best-practices.3", chapter.GIVEN_3, "still published on the machine"),
    ("best-practices.3", "services: [", "the text is not YAML"),
    ("best-practices.3", "a: 1", "a compose file has services"),
    ("best-practices.3", compose("  web:", "  app:"), "the service web is missing"),
    ("best-practices.3", compose("    healthcheck", "    ports: ['5432:5432']\n    healthcheck"),
     "still published on the machine"),
    ("best-practices.3", compose("    healthcheck", "    network_mode: host\n    healthcheck"),
     "in the machine's own network"),
    ("best-practices.3", compose("postgres:18.6", "postgres"), "should stay PostgreSQL 18"),
    # These silence the review: a health check that is always well.
    ("best-practices.3", compose(CHECK, '["CMD", "true"]'), "although no database answers"),
    ("best-practices.3", compose(CHECK, '"pg_isready --host=127.0.0.1 || true"'),
     "although no database answers"),
    ("best-practices.3", compose(CHECK, '"pg_isready -h 127.0.0.1; echo done"'),
     "although no database answers"),
    ("best-practices.3", compose(CHECK, '["CMD", "pg_isready", "--username=postgres"]'),
     "listens on the socket only"),
    ("best-practices.3", compose(CHECK, '["CMD", "curl", "-f", "http://127.0.0.1:5432"]'),
     "health check"),
    ("best-practices.3", compose(CHECK, '["NONE"]'), "has no healthcheck with a test"),
    ("best-practices.3", compose("service_healthy", "service_started"), "Started is not ready"),
    ("best-practices.3",
     compose("\n      database:\n        condition: service_healthy", " [database]"),
     "Started is not ready"),
    ("best-practices.3", compose("${POSTGRES_PASSWORD:?Choose a password}", "kiosk"),
     "is still in the file"),
    ("best-practices.3",
     compose("PASSWORD:?Choose a password", "PASSWORD:-kiosk"), "has a default"),
    ("best-practices.3", compose(":?Choose a password", ""), "start with an empty password"),
    ("best-practices.3", compose(ENV, "POSTGRES_HOST_AUTH_METHOD: trust"), "without a password"),
    ("best-practices.3", compose("@database", "@localhost"), "localhost is web itself"),
    ("best-practices.3", compose("@database", "@db"), "there is no neighbour db"),
    ("best-practices.3",
     compose("${POSTGRES_PASSWORD:?Choose}@", "kiosk@"), "the database's password"),
    ("best-practices.3", compose("${POSTGRES_PASSWORD:?Choose}@", "${OTHER:?Choose}@"),
     "the database's password"),
]  # fmt: skip


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
