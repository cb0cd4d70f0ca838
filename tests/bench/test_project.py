"""A notebook's Django, pointed at a project: each time in a process of its own, as in a kernel."""

import subprocess
import sys

SERVERS = """
import asyncio, sys
import nexus
from nexus.services import ServiceError

pg, valkey = nexus.postgres(), nexus.valkey(tcp=True)


def refused(name="stays", **others):
    try:
        nexus.project(name, **{"database": pg, "valkey": valkey} | others)
    except ServiceError as error:
        return str(error)
"""


def in_a_kernel(program: str) -> str:
    """What a program prints that runs in a process of its own; nothing may go to stderr."""
    done = subprocess.run(
        [sys.executable, "-c", SERVERS + program],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_project_is_on_the_servers_that_it_was_given() -> None:
    said = in_a_kernel("""
folder = nexus.project("stays", database=pg, valkey=valkey)
assert (folder / "manage.py").is_file()
assert str(folder) in sys.path

from django.core.cache import cache
from stays.listings.models import City

City.objects.create(slug="accra", name="Accra", country="GH", timezone="UTC",
                    latitude=5.6, longitude=-0.2)
with pg.connect() as connection:
    print(connection.execute("SELECT slug FROM listings_city").fetchall())
cache.set("key", "value")
with valkey.connect() as client:
    print(len(client.keys("*key*")))


async def cell():
    return City.objects.count()  # as in a notebook, whose cells run in an event loop

print(asyncio.run(cell()))
""")
    assert said.splitlines() == ["[('accra',)]", "1", "1"]


def test_again_it_is_on_the_servers_it_is_given_then() -> None:
    said = in_a_kernel("""
first = nexus.project("stays", database=pg, valkey=valkey)
path = list(sys.path)
assert nexus.project("stays", database=pg, valkey=valkey) == first

from django.core.cache import cache
from stays.celery import app
from stays.listings.models import City

where = dict(country="GH", timezone="UTC", latitude=5.6, longitude=-0.2)
City.objects.create(slug="accra", name="Accra", **where)
cache.set("key", "value")
with app.connection_for_write() as queue:
    old = queue.as_uri(include_password=True)

pg, valkey = nexus.postgres(), nexus.valkey(tcp=True)  # as when the cell is run again
assert nexus.project("stays", database=pg, valkey=valkey) == first
assert sys.path == path
print(City.objects.count(), cache.get("key"))
City.objects.create(slug="lagos", name="Lagos", **where)
cache.set("key", "value")
with pg.connect() as connection, valkey.connect() as client:
    cities = connection.execute("SELECT slug FROM listings_city").fetchall()
    print(cities, len(client.keys("*key*")))
with app.connection_for_write() as queue:
    queue.ensure_connection(max_retries=1)
    print(queue.as_uri(include_password=True) != old)
""")
    assert said.splitlines() == ["0 None", "[('lagos',)] 1", "True"]


def test_again_its_own_cache_is_on_the_valkey_it_is_given_then() -> None:
    """Stays keeps a client of its own, which is made when it is first asked for."""
    said = in_a_kernel("""
nexus.project("stays", database=pg, valkey=valkey)
from stays.common.cache import cached

def keep():
    for _ in range(2):
        cached("cities", tags=["cities"], seconds=60, compute=lambda: print("computed") or b"1")

keep()
pg, valkey = nexus.postgres(), nexus.valkey(tcp=True)
nexus.project("stays", database=pg, valkey=valkey)
keep()
with valkey.connect() as client:
    print(len(client.keys("*cities*")) > 0)
""")
    assert said.splitlines() == ["computed", "computed", "True"]


def test_what_cannot_be_is_refused_before_anything_is_changed() -> None:
    said = in_a_kernel("""
import os
before = dict(os.environ), list(sys.path)
print(refused("palaces"))
print(refused(valkey=nexus.valkey()))
from django.conf import settings
settings.configure()
print(refused())
assert (dict(os.environ), sys.path) == before
""")
    absent, unreachable, taken = said.splitlines()
    assert absent.startswith("there is no Django project 'palaces'; there is ")
    assert "stays" in absent
    assert unreachable.endswith("nexus.valkey(tcp=True)")
    assert taken == "Django is set up already, once and for all: restart the kernel"
