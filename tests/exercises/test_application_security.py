"""The judges of "Application security": the stubs, right answers of several kinds, wrong ones."""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from psycopg import sql

import nexus
from nexus.exercises import application_security
from nexus.exercises.application_security import GIVEN_3, given
from nexus.judging.sandbox import Connection
from tests.exercises import tables

ONE, TWO, THREE = (f"application-security.{n}" for n in (1, 2, 3))


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with nexus.postgres(fsync="off"):  # databases come and go
        yield


# -- 1

ATTACK = "x' UNION SELECT iban FROM host WHERE name = 'Dalila' --"
ORDERS = {"title": "title", "cheapest": "price, title", "dearest": "price DESC, title"}
SELECT = "SELECT title FROM hut WHERE listed AND title ILIKE %s ORDER BY "


def literal(text: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", text)


def rows(connection: Connection, query: str | sql.Composed, *values: object) -> list[str]:
    return [title for (title,) in connection.execute(query, values)]  # type: ignore[arg-type]


def chosen(order: str) -> str:
    if order not in ORDERS:
        raise ValueError(order)
    return ORDERS[order]


def by_parameter(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT + chosen(order), f"%{literal(text)}%")


def by_position(connection: Connection, text: str, order: str) -> list[str]:
    query = "SELECT title FROM hut WHERE listed AND strpos(lower(title), lower(%s)) > 0 ORDER BY "
    return rows(connection, query + chosen(order), text)


def by_a_literal_regular_expression(connection: Connection, text: str, order: str) -> list[str]:
    query = "SELECT title FROM hut WHERE listed AND title ~* %s ORDER BY "
    return rows(connection, query + chosen(order), f"***={text}")


def in_python(connection: Connection, text: str, order: str) -> list[str]:
    found = connection.execute("SELECT title, price FROM hut WHERE listed").fetchall()
    keys: dict[str, Callable[[Any], Any]] = {
        "title": lambda row: row[0],
        "cheapest": lambda row: (row[1], row[0]),
        "dearest": lambda row: (-row[1], row[0]),
    }
    if order not in keys:
        raise ValueError(order)
    return [row[0] for row in sorted(found, key=keys[order]) if text.lower() in row[0].lower()]


def text_is_code(connection: Connection, text: str, order: str) -> list[str]:
    query = f"SELECT title FROM hut WHERE listed AND title ILIKE '%%{text}%%' ORDER BY "
    return [title for (title,) in connection.execute((query + chosen(order)).replace("%%", "%"))]  # type: ignore[call-overload]


def order_is_code(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT + ORDERS.get(order, order), f"%{literal(text)}%")


def order_is_a_parameter(connection: Connection, text: str, order: str) -> list[str]:
    chosen(order)
    query = "SELECT title FROM hut WHERE listed AND title ILIKE %s ORDER BY %s::text"
    return rows(connection, query, f"%{literal(text)}%", order)


def patterns_mean_something(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT + chosen(order), f"%{text}%")


def backslash_means_something(connection: Connection, text: str, order: str) -> list[str]:
    escaped = text.replace("%", "\\%").replace("_", "\\_")
    return rows(connection, SELECT + chosen(order), f"%{escaped}%")


def refuses_quotes(connection: Connection, text: str, order: str) -> list[str]:
    if "'" in text or "--" in text:
        return []
    return by_parameter(connection, text, order)


def removes_quotes(connection: Connection, text: str, order: str) -> list[str]:
    return by_parameter(connection, text.replace("'", ""), order)


def doubles_quotes(connection: Connection, text: str, order: str) -> list[str]:
    return given(connection, text.replace("'", "''"), chosen(order))  # type: ignore[return-value]


def identifier(connection: Connection, text: str, order: str) -> list[str]:
    by = sql.SQL(ORDERS[order]) if order in ORDERS else sql.Identifier(order)  # type: ignore[arg-type]
    return rows(connection, sql.SQL(SELECT) + by, f"%{literal(text)}%")


def key_error(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT + ORDERS[order], f"%{literal(text)}%")


def not_listed_too(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT.replace("listed AND ", "") + chosen(order), f"%{literal(text)}%")


def unknown_is_title(connection: Connection, text: str, order: str) -> list[str]:
    return by_parameter(connection, text, order if order in ORDERS else "title")


def swallows(connection: Connection, text: str, order: str) -> list[str]:
    try:
        return by_parameter(connection, text, order)
    except Exception:
        return []


def capitals_differ(connection: Connection, text: str, order: str) -> list[str]:
    return rows(connection, SELECT.replace("ILIKE", "LIKE") + chosen(order), f"%{literal(text)}%")


def begins_with_title(connection: Connection, text: str, order: str) -> list[str]:
    if not order.lower().startswith(tuple(ORDERS)):
        raise ValueError(order)
    return rows(connection, SELECT + ORDERS.get(order, order), f"%{literal(text)}%")


def refuses_words(connection: Connection, text: str, order: str) -> list[str]:
    if re.search("select|union|drop|;|--", text, re.IGNORECASE):
        chosen(order)
        return []
    return by_parameter(connection, text, order)


ONCE: list[Any] = []


def reads_once(connection: Connection, text: str, order: str) -> list[str]:
    """Right until somebody lists another hut."""
    chosen(order)
    if not ONCE:
        ONCE.extend(connection.execute("SELECT title, price FROM hut WHERE listed").fetchall())
    by_price = {"title": 0, "cheapest": 1, "dearest": -1}[order]
    found = sorted(ONCE, key=lambda row: (by_price * row[1], row[0]))
    return [title for title, _ in found if text.lower() in title.lower()]


def strips_the_order(connection: Connection, text: str, order: str) -> list[str]:
    return by_parameter(connection, text, order.strip())


def matches_to_the_line(connection: Connection, text: str, order: str) -> list[str]:
    """A dollar sign stands before a line break, too."""
    if not re.match("^(title|cheapest|dearest)$", order):
        raise ValueError(order)
    return by_parameter(connection, text, order.rstrip())


def rows_and_no_texts(connection: Connection, text: str, order: str) -> object:
    return connection.execute(SELECT + chosen(order), [f"%{literal(text)}%"]).fetchall()  # type: ignore[call-overload]


class Answer(dict[str, object]):
    """A dictionary whose test is called by its function or pattern."""

    @property
    def __name__(self) -> str:
        return " ".join(tables.name_of(part) for part in self.values())


def one(find: object, attack: object = ATTACK) -> Answer:
    return Answer(attack=attack, find=find)


# -- 2

MOVED = (301, 302, 303, 307, 308)
Resolve = Callable[[str], list[str]]
Connect = Callable[[str, str, str], tuple[int, dict[str, str], object]]


def public(address: str) -> bool:
    ip: Any = ip_address(address)
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.version == 6 and (ip not in ip_network("2000::/3") or ip.sixtofour or ip.teredo):
        return False
    return bool(ip.is_global and not ip.is_multicast)


NETWORKS = [
    ip_network(text)
    for text in (
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
        *("192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
        *("172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3", "::/16", "64:ff9b::/96", "2002::/16"),
        *("2001::/32", "2001:db8::/32", "fc00::/7", "fe80::/10", "ff00::/8"),
    )
]


def not_in_a_list(address: str) -> bool:
    """A list of networks: it holds if the list is complete."""
    ip = ip_address(address.partition("%")[0])
    return not any(ip in network for network in NETWORKS if network.version == ip.version)


def not_in_a_short_list(address: str) -> bool:
    """The list that people remember: without the networks for tests."""
    return not_in_a_list(address) or ip_address(address) in ip_network("198.18.0.0/15")


def without_nat64(address: str) -> bool:
    return globally(address) and not ip_address(address).is_multicast


def not_private(address: str) -> bool:
    return not ip_address(address).is_private


def globally(address: str) -> bool:
    return ip_address(address).is_global


def only_version_4(address: str) -> bool:
    return public(address) if ip_address(address).version == 4 else False


def without_6to4(address: str) -> bool:
    ip = ip_address(address)
    return public(address) or (ip.version == 6 and bool(ip.sixtofour))


def made(
    name: str,
    good: Callable[[str], bool] = public,
    *,
    most: int = 3,
    redirects: tuple[int, ...] = MOVED,
    every: bool = True,
    schemes: tuple[str, ...] = ("http", "https"),
    prefix: str = "",
    join: Callable[[str, str], str] = urljoin,
    whole_netloc: bool = False,
    fragment: bool = False,
    twice: bool = False,
    host_is_address: bool = False,
    query: bool = True,
    only_first: bool = False,
    last: bool = False,
    error: type[Exception] = ValueError,
) -> Callable[..., object]:
    """A fetch with one thing changed."""

    def fetch(url: str, resolve: Resolve, connect: Connect) -> object:
        for n in range(most + 1):
            parts = urlsplit(url)
            known = not schemes or parts.scheme in schemes
            if prefix:
                known = url.startswith(prefix)
            if not known or not parts.hostname:
                raise error("scheme")
            found = resolve(parts.netloc if whole_netloc else parts.hostname)
            if not found:
                raise error("nobody")
            if (n == 0 or not only_first) and not (all if every else any)(map(good, found)):
                raise error("inside")
            if twice:
                found = resolve(parts.hostname)
            address = found[-1 if last else 0]
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query and query else "")
            path += f"#{parts.fragment}" if parts.fragment and fragment else ""
            host = address if host_is_address else parts.hostname
            status, headers, body = connect(address, host, path)
            if status not in redirects:
                return body
            url = join(url, headers["location"])
        raise error("too many")

    fetch.__name__ = name
    return fetch


def picks_a_public_one(url: str, resolve: Resolve, connect: Connect, left: int = 3) -> object:
    """Right in another way: of several addresses, it takes one that is public; and it recurs."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or parts.hostname is None or left < 0:
        raise ValueError(url)
    address = next(filter(not_in_a_list, resolve(parts.hostname)), None)
    if address is None:
        raise ValueError(url)
    path = parts._replace(scheme="", netloc="", path=parts.path or "/", fragment="").geturl()
    status, headers, body = connect(address, parts.hostname, path)
    if status in MOVED:
        return picks_a_public_one(urljoin(url, headers["location"]), resolve, connect, left - 1)
    return body


def forbidden_names(url: str, resolve: Resolve, connect: Connect) -> object:
    if urlsplit(url).hostname in ("localhost", "127.0.0.1", "169.254.169.254", "::1"):
        raise ValueError
    return made("any", lambda _: True)(url, resolve, connect)


def query_without_a_slash(url: str, resolve: Resolve, connect: Connect) -> object:
    def ask(address: str, host: str, path: str) -> tuple[int, dict[str, str], object]:
        return connect(address, host, path.removeprefix("/") if path.startswith("/?") else path)

    return made("right")(url, resolve, ask)


def joins_by_hand(url: str, to: str) -> str:
    if to.startswith("//"):
        parts = urlsplit(url)
        return f"{parts.scheme}://{parts.netloc}{to}"
    return urljoin(url, to)


def swallows_all(url: str, resolve: Resolve, connect: Connect) -> object:
    """Every fault of its own becomes a refusal."""
    try:
        return made("by_netloc", whole_netloc=True)(url, resolve, connect)
    except Exception:
        raise ValueError(url) from None


def connects_to_the_name(url: str, resolve: Resolve, connect: Connect) -> object:
    parts = urlsplit(url)
    host = str(parts.hostname)
    if not all(map(public, resolve(host))):
        raise ValueError
    return connect(host, host, parts.path or "/")[2]


def follows_for_ever(url: str, resolve: Resolve, connect: Connect) -> object:
    """It counts what it has followed, unless a page leads to itself."""
    if url == "http://pictures.example/a":
        return made("right", most=10**9)(url, resolve, connect)
    return made("right")(url, resolve, connect)


def swallows_refusals(url: str, resolve: Resolve, connect: Connect) -> object:
    try:
        return made("right")(url, resolve, connect)
    except ValueError:
        return None


def permission_error(url: str, resolve: Resolve, connect: Connect) -> object:
    try:
        return made("right")(url, resolve, connect)
    except ValueError:
        raise PermissionError(url) from None


# -- 3

REPAIRED = r"^([a-z0-9]+(\.[a-z0-9]+)*\.?)?@huts\.example$"
SLOW = "a" * 39 + "!"


def three(pattern: object, attack: object = SLOW) -> Answer:
    return Answer(attack=attack, pattern=pattern)


RIGHT = [
    (ONE, one(by_parameter)),
    (ONE, one(by_position, "' AND false UNION SELECT iban FROM host -- ")),
    (ONE, one(by_a_literal_regular_expression)),
    (ONE, one(in_python, "x%' UNION ALL SELECT iban FROM host WHERE name ILIKE 'd%")),
    (TWO, made("right")),
    (TWO, made("by_a_list", not_in_a_list)),
    (TWO, picks_a_public_one),
    (THREE, three(REPAIRED)),
    (THREE, three(r"^(?!\.)(?!.*\.\.)[a-z0-9.]*@huts\.example$", "0" * 36 + "@hut")),
    (THREE, three(r"^([a-z0-9]\.?)*@huts\.example$")),
    (THREE, three(r"\A(?>(?:[a-z0-9]+\.?)*)@huts[.]example\Z")),
    (THREE, three(r"^(?:[a-z0-9]++\.?+)*+@huts\.example$", "ab" * 20)),
    (THREE, three(r"^(?:[a-z0-9]+(?:\.(?!\.)|(?=@)))*@huts\.example$", "a" * 40)),
]

NOT_YET = [
    (ONE, one(by_parameter, ""), "attack is empty"),
    (ONE, one(by_parameter, "x' OR true --"), "Dalila's IBAN is not among them"),
    (ONE, one(by_parameter, "x' UNION SELECT 'CH-4711' --"), "Dalila's IBAN is not among them"),
    (ONE, one(by_parameter, "x' UNION SELECT name, iban FROM host --"), "raised an error"),
    (ONE, one(by_parameter, None), "'attack' should be a text"),
    (ONE, Answer(find=by_parameter), "'attack' is missing"),
    (ONE, one("SELECT 1"), "'find' should be a function"),
    (ONE, one(text_is_code), "raised an error of PostgreSQL"),
    (ONE, one(order_is_code), "the order 'iban' reached PostgreSQL"),
    (ONE, one(order_is_a_parameter), "in another order"),
    (ONE, one(patterns_mean_something), "these titles contain the text"),
    (ONE, one(backslash_means_something), "these titles contain the text"),
    (ONE, one(refuses_quotes), 'find(connection, "O\'Hara"'),
    (ONE, one(removes_quotes), 'find(connection, "O\'Hara"'),
    (ONE, one(doubles_quotes), "these titles contain the text"),
    (ONE, one(identifier), "the order 'iban' reached PostgreSQL"),
    (ONE, one(key_error), "raised KeyError"),
    (ONE, one(not_listed_too), "A cabin that is not listed"),
    (ONE, one(unknown_is_title), "must raise ValueError"),
    (ONE, one(swallows), "must raise ValueError"),
    (ONE, one(capitals_differ), "'Cabin at the lake'"),
    (ONE, one(begins_with_title), "the order 'title --' must raise ValueError"),
    (ONE, one(refuses_words), "these titles contain the text"),
    (ONE, one(reads_once), "after other huts were listed"),
    (ONE, one(strips_the_order), "the order ' title' must raise ValueError"),
    (ONE, one(matches_to_the_line), r"the order 'title\n' must raise ValueError"),
    (ONE, one(rows_and_no_texts), "must return a list of titles"),
    (TWO, forbidden_names, "it connected to 127."),
    (TWO, made("not_private", not_private), "it connected to 100.64.0.1"),
    (TWO, made("globally", globally), "it connected to 224.0.0.251"),
    (TWO, made("without_nat64", without_nat64), "it connected to 64:ff9b::a9fe:a9fe"),
    (TWO, made("only_version_4", only_version_4), "a page that has an IPv6 address"),
    (TWO, made("without_6to4", without_6to4), "it connected to 2002:a9fe:a9fe::1"),
    (TWO, made("no_redirects", redirects=()), "not the page at the end"),
    (TWO, made("only_302", redirects=(301, 302)), "a redirect with 303"),
    (TWO, made("ten_redirects", most=10), "four redirects"),
    (TWO, made("two_redirects", most=2), "three redirects"),
    (TWO, made("endless", most=10**9), "four redirects"),
    (TWO, follows_for_ever, "more than fifty times"),
    (TWO, made("only_the_first_url", only_first=True), "a redirect to the metadata service"),
    (TWO, made("any_of_them", every=False, last=True), "it connected to 10.0.0.5"),
    (TWO, made("resolves_twice", twice=True), "it connected to 169.254.169.254"),
    (TWO, made("every_scheme", schemes=()), "the scheme ftp"),
    (TWO, made("begins_with_http", prefix="http"), "the scheme http+unix"),
    (TWO, made("no_join", join=lambda _, to: to), "a relative redirect"),
    (TWO, made("host_is_the_address", host_is_address=True), "to check its certificate"),
    (TWO, made("no_query", query=False), "not the page at the end"),
    (TWO, made("key_error", error=KeyError), "it raised KeyError"),
    (TWO, made("a_short_list", not_in_a_short_list), "it connected to 198.18.0.1"),
    (TWO, made("with_fragment", fragment=True), "a page with a fragment"),
    (TWO, query_without_a_slash, "a query without a path"),
    (TWO, made("by_hand", join=joins_by_hand), "a redirect without a scheme"),
    (TWO, swallows_all, "a page with the port 80"),
    (TWO, connects_to_the_name, "which is no address"),
    (TWO, swallows_refusals, "must raise ValueError, and it returned None"),
    (TWO, permission_error, "it raised PermissionError"),
    (THREE, three(REPAIRED, "anna@huts.example"), "The attack is not"),
    (THREE, three(REPAIRED, "a" * 10 + "!"), "The attack is not"),
    (THREE, three(REPAIRED, "!" + "a" * 39), "The attack is not"),
    (THREE, three(REPAIRED, "a" * 41), "has 41 characters"),
    (THREE, three(GIVEN_3), "still slow"),
    (THREE, three(r"^[a-z0-9]*[a-z0-9.]*@huts\.example$"), "finds something in '.@huts.example'"),
    (THREE, three(r"^([a-z0-9]+\.?)*@huts.example$"), "huts"),
    (THREE, three(r"([a-z0-9]+(\.[a-z0-9]+)*\.?)?@huts\.example$"), "finds something in"),
    (THREE, three(r"^([a-z0-9]+(\.[a-z0-9]+)*\.?)?@huts\.example"), "finds something in"),
    (THREE, three(r"^[a-z0-9]+(\.[a-z0-9]+)*\.?@huts\.example$"), "finds nothing in"),
    (THREE, three(r"^([a-z0-9]+(\.[a-z0-9]+)*)?@huts\.example$"), "finds nothing in 'a.@huts"),
    (THREE, three(r"^(\w+(\.\w+)*\.?)?@huts\.example$"), "finds something in"),
    (THREE, three(r"^[a-z0-9]{1,20}@huts\.example$"), "finds nothing in"),
    (THREE, three(r"^(?!\.)(?!.*\.\.)[a-z0-9]*[a-z0-9.]*[a-z0-9.]*@huts\.example$"), "still slow"),
    (THREE, three(r"^(?!\.)(?!.*\.\.)[a-z0-9]*[a-z0-9.]*@huts\.example$"), "still slow"),
    (THREE, three(r"^([a-z0-9+]+(\.[a-z0-9+]+)*\.?)?@huts\.example$"), "finds something in '+b@"),
    (THREE, three(r"^(?!\.)(?!.*\.\.)[^@A-Z_ !ä٣-]*@huts\.example$"), "finds something in"),
    (THREE, three("^("), "is no regular expression"),
    (THREE, three(None), "'pattern' should be a text"),
]

test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


def test_the_judge_accepts_what_the_given_pattern_accepts() -> None:
    for address in application_security._addresses():
        found = re.search(GIVEN_3, address) is not None
        assert found == application_security.accepts(address), address
