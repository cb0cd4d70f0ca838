import gzip
import importlib.util
import sys
import zoneinfo
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
from django.conf import settings

from stays.seeding import history

DATA = settings.BASE_DIR / "data"


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module data/make.py."""
    monkeypatch.syspath_prepend(DATA)
    spec = importlib.util.spec_from_file_location("make", DATA / "make.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "make", module)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def content(path: Path) -> str:
    text = path.read_bytes()
    return (gzip.decompress(text) if path.suffix == ".gz" else text).decode()


def test_the_script_makes_the_files_byte_for_byte(make: ModuleType) -> None:
    made = make.files()
    assert {*made, "cities.csv"} == {file.name for file in DATA.glob("*.csv*")}
    for name, text in made.items():
        assert text == content(DATA / name), name


def test_the_script_and_the_loader_go_by_the_same_clock(make: ModuleType) -> None:
    assert (make.FIRST_NOW, make.YEAR, make.DAY) == (
        history.FIRST_NOW,
        history.YEAR,
        history.DAY,
    )


def test_the_files_are_small() -> None:
    assert sum(file.stat().st_size for file in DATA.iterdir() if file.is_file()) < 1_500_000


def test_the_cities_are_of_all_inhabited_continents_and_have_time_zones() -> None:
    cities = history.read(DATA).cities
    assert len(cities) == 62
    assert len({city["slug"] for city in cities}) == 62
    regions = {city["timezone"].split("/")[0] for city in cities}
    assert regions == {"Africa", "America", "Asia", "Atlantic", "Australia", "Europe", "Pacific"}
    for city in cities:
        zoneinfo.ZoneInfo(city["timezone"])


def test_every_amount_of_the_data_is_of_the_citys_currency() -> None:
    told = history.read(DATA)
    currencies = {city["slug"]: city["currency"] for city in told.cities}
    assert all(place["currency"] == currencies[place["city"]] for place in told.properties)


def test_nobody_can_be_written_to() -> None:
    domains = {user["email"].split("@")[1] for user in history.read(DATA).users}
    assert domains == {"example.com", "example.org"}


def test_dates_are_taken_again_only_after_they_were_let_go_of() -> None:
    """It holds at every minute, so that the history can be stopped at any."""
    by_property = defaultdict(list)
    for booking in history.read(DATA).bookings:
        by_property[booking.property].append(booking)
    for bookings in by_property.values():
        held: list[history.Row] = []
        for booking in bookings:  # in the order in which they were made
            held = [
                other
                for other in held
                if other.ended is None or other.booked + other.ended > booking.booked
            ]
            for other in held:
                apart = (
                    booking.arrives + booking.nights <= other.arrives
                    or other.arrives + other.nights <= booking.arrives
                )
                assert apart, (booking, other)
            held.append(booking)


def test_what_happens_to_a_booking_is_in_order() -> None:
    told = history.read(DATA)
    assert [one.booked for one in told.bookings] == sorted(one.booked for one in told.bookings)
    for booking in told.bookings:
        steps = [0, booking.paid, booking.confirmed, booking.ended]
        known = [step for step in steps if step is not None]
        assert known == sorted(known)
        arrival = booking.arrives * history.DAY - booking.booked
        assert known[-1] <= arrival
        if booking.ending in ("guest", "host"):
            assert known[-1] < arrival - history.DAY  # before the day, in every time zone
    for review in told.reviews:
        booking = told.bookings[review.booking]
        assert booking.ended is None
        assert review.written >= (booking.arrives + booking.nights + 1) * history.DAY


def test_an_address_is_within_its_city() -> None:
    """What shows it names the city besides."""
    data = history.read(DATA)
    names = {city["slug"]: city["name"] for city in data.cities}
    for place in data.properties:
        assert names[place["city"]] not in place["address"]
