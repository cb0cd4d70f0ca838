"""Judges of "Application security": a search, a guard against SSRF, and a regular expression."""

import json
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from itertools import product
from pathlib import Path
from typing import Any

import psycopg

from nexus.judging import NotYet, first_line, judge
from nexus.judging.limits import Guard, within
from nexus.judging.programs import program
from nexus.judging.sandbox import Connection, Sandbox, database

# -- 1: a search with two holes

HUTS: dict[str, tuple[int, bool]] = {
    "Cabin at the lake": (90, True),
    "Quiet cabin": (75, True),
    "O'Hara's cabin": (60, True),
    "Old barn, 100% wood": (75, True),
    "1000 steps": (20, True),
    "a_b house": (80, True),
    "axb house": (70, True),
    "Path\\to the sea": (55, True),
    "Path to the sea": (50, True),
    'Union hut; select "x" -- drop {0} :x %s': (65, True),
    "A cabin that is not listed": (10, False),
}
TEXTS = (
    *("cabin", "CABIN", "", "house", "nothing like it", "O'Hara", "o'", "100%", "%", "_", "a_b"),
    *("\\", "h\\t", "%s", "''", '"', ";", "--", "SELECT", "100% w", "{0}", ":x"),
)
ORDERS: dict[str, Callable[[str], tuple[object, ...]]] = {
    "title": lambda title: (title,),
    "cheapest": lambda title: (HUTS[title][0], title),
    "dearest": lambda title: (-HUTS[title][0], title),
}
NO_ORDERS = (
    *("iban", "price", "price DESC", "host_id", "id", "1", "title --", "title, price", "-title"),
    *(
        " title",
        "title\n",
        "title; DROP TABLE host",
        "(SELECT iban FROM host LIMIT 1)",
        "",
        "TITLE",
        "random()",
    ),
    "CASE WHEN (SELECT iban FROM host LIMIT 1) LIKE 'CH%' THEN title END",
)


def build(connection: Connection) -> None:
    """Makes huts with titles in which every character means something to somebody."""
    connection.execute("""
        CREATE TABLE host (id int PRIMARY KEY, name text NOT NULL, iban text NOT NULL);
        CREATE TABLE hut (
            id int PRIMARY KEY, title text COLLATE "C" NOT NULL, price int NOT NULL,
            listed boolean NOT NULL, host_id int NOT NULL REFERENCES host
        );
    """)
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO host VALUES (%s, %s, '')", [(1, "Amina"), (2, "Bode"), (3, "Dalila")]
        )
        rows = [(n, title, *rest, n % 3 + 1) for n, (title, rest) in enumerate(HUTS.items())]
        cursor.executemany("INSERT INTO hut VALUES (%s, %s, %s, %s, %s)", rows)


def given(connection: Connection, text: str, order: str) -> list[object]:
    """The search with two holes, as the chapter gives it."""
    query = f"SELECT title FROM hut WHERE listed AND title ILIKE '%{text}%' ORDER BY {order}"  # noqa: S608
    return [title for (title,) in connection.execute(query)]  # type: ignore[arg-type]


GIVEN_1 = """
def given(connection, text, order):
    query = f"SELECT title FROM hut WHERE listed AND title ILIKE '%{text}%' ORDER BY {order}"
    return [title for (title,) in connection.execute(query)]
"""


def _parts(answer: Mapping[str, Any], **kinds: tuple[object, str]) -> list[Any]:
    """The parts of an answer that is a dictionary, each of the kind that it should have."""
    for name, (kind, called) in kinds.items():
        if name not in answer:
            raise NotYet(
                f"the dictionary needs {' and '.join(map(repr, kinds))}; {name!r} is missing"
            )
        if not isinstance(answer[name], kind):  # type: ignore[arg-type]
            raise NotYet(
                f"{name!r} should be {called}; it is of type {type(answer[name]).__name__}"
            )
    return [answer[name] for name in kinds]


@judge(
    "application-security.1",
    takes=Mapping,
    called="a dictionary with attack and find",
    hint="give a dictionary: attack is a text with which given returns Dalila's IBAN, and find is "
    "a function of a connection, a text and an order",
    stub={"attack": "", "find": GIVEN_1},
)
def search(answer: Mapping[str, Any]) -> str:
    """The attack works on the given search, and no attack works on the answer's."""
    attack, find = _parts(answer, attack=(str, "a text"), find=(Callable, "a function"))
    ibans = {name: f"CH-{secrets.randbelow(10**9):09}" for name in ("Amina", "Bode", "Dalila")}
    with database("security_search", build) as box:
        for name, iban in ibans.items():
            box.admin.execute("UPDATE host SET iban = %s WHERE name = %s", [iban, name])
        _attacked(box, attack, ibans)
    with database("security_search", build) as box:
        for name, iban in ibans.items():
            box.admin.execute("UPDATE host SET iban = %s WHERE name = %s", [iban, name])
        before = _state(box)
        for text in (*TEXTS, attack, *_attacks()):
            for order in ORDERS:
                _searched(box, find, text, order, ibans)
        for order in NO_ORDERS:
            _no_order(box, find, order)
        if _state(box) != before:
            raise NotYet("after all searches, the tables are not as they were: an attack wrote")
        box.admin.execute("UPDATE hut SET listed = NOT listed WHERE title LIKE '%cabin%'")
        changed = {title: listed != ("cabin" in title) for title, (_, listed) in HUTS.items()}
        _searched(box, find, "cabin", "title", ibans, changed)
    return (
        f"the attack works on the given search; find answered {len(TEXTS)} ordinary texts and "
        f"{len(_attacks()) + 1} attacks in three orders, and refused {len(NO_ORDERS)} other orders"
    )


def _attacks() -> tuple[str, ...]:
    """Texts that would break out of a statement, each in another way."""
    return (
        "x' UNION SELECT iban FROM host --",
        "x%' UNION SELECT iban FROM host WHERE '%' = '",
        "\\' UNION SELECT iban FROM host --",
        "x' OR true --",
        "x'; UPDATE host SET iban = 'CH-0'; --",
        "x'/**/uNiOn/**/sElEcT/**/iban/**/fRoM/**/host--",
        "$$ UNION SELECT iban FROM host --",
        "%(text)s' UNION SELECT iban FROM host --",
    )


def _state(box: Sandbox) -> list[object]:
    """All rows of both tables."""
    return [
        box.admin.execute(f"SELECT * FROM {table} ORDER BY id").fetchall()  # type: ignore[arg-type]  # noqa: S608
        for table in ("host", "hut")
    ]


def _attacked(box: Sandbox, attack: str, ibans: Mapping[str, str]) -> None:
    """The answer's attack gets Dalila's account out of the given search."""
    if not attack:
        raise NotYet("attack is empty: write a text that ends the string and adds a SELECT")
    try:
        with box.watched():
            found = given(box.learner, attack, "title")
    except psycopg.Error as error:
        raise NotYet(
            f"with this attack, the given search raised an error: {first_line(error)}"
        ) from None
    if ibans["Dalila"] not in found:
        raise NotYet(
            f"with this attack, the given search returned {len(found)} rows, and Dalila's IBAN is "
            "not among them. The judge's IBANs are other ones than the chapter's"
        )


def _call(box: Sandbox, find: Callable[..., object], text: str, order: str) -> object:
    """What find returns, by a connection that is ready for the next search."""
    try:
        return within(lambda: find(box.learner, text, order))
    finally:
        with suppress(psycopg.Error):
            box.learner.rollback()


def _searched(
    box: Sandbox,
    find: Callable[..., object],
    text: str,
    order: str,
    ibans: Mapping[str, str],
    changed: Mapping[str, bool] | None = None,
) -> None:
    """One search returns what the words of the exercise say; changed says what is listed now."""
    what = f"find(connection, {text!r}, {order!r})"
    if changed:
        what = f"after other huts were listed, {what}"
    listed = changed or {title: listed for title, (_, listed) in HUTS.items()}
    try:
        found = _call(box, find, text, order)
    except NotYet:
        raise
    except psycopg.Error as error:
        raise NotYet(f"{what} raised an error of PostgreSQL: {first_line(error)}") from None
    except Exception as error:
        raise NotYet(f"{what} raised {type(error).__name__}: {first_line(error)}") from None
    if not isinstance(found, list) or not all(isinstance(title, str) for title in found):
        raise NotYet(f"{what} must return a list of titles, and it returned {found!r}"[:300])
    if stolen := [name for name, iban in ibans.items() if any(iban in title for title in found)]:
        raise NotYet(f"{what} returned the IBAN of {stolen[0]}: the text became code")
    right = sorted(
        (title for title in HUTS if listed[title] and text.lower() in title.lower()),
        key=ORDERS[order],
    )
    if sorted(found) != sorted(right):
        raise NotYet(f"{what} returned {found}, and these titles contain the text: {right}")
    if found != right:
        raise NotYet(f"{what} returned the right huts in another order: {found}")


def _no_order(box: Sandbox, find: Callable[..., object], order: str) -> None:
    """An order that is none is refused."""
    what = f"the order {order!r}"
    try:
        found = _call(box, find, "cabin", order)
    except ValueError:
        return
    except NotYet:
        raise
    except psycopg.Error as error:
        raise NotYet(
            f"{what} reached PostgreSQL, which said: {first_line(error)}. Refuse it before, with "
            "ValueError"
        ) from None
    except Exception as error:
        raise NotYet(f"{what} raised {type(error).__name__}, and should raise ValueError") from None
    raise NotYet(f"{what} must raise ValueError, and find returned {found!r}"[:300])


# -- 2: fetch, but nothing inside

PUBLIC, PUBLIC_6 = "93.184.215.14", "2606:2800:21f:cb07::1"
INSIDE = {
    "loopback": "127.0.0.1",
    "another loopback": "127.8.8.8",
    "the metadata service": "169.254.169.254",
    "a private network (10.0.0.0/8)": "10.0.0.5",
    "a private network (172.16.0.0/12)": "172.20.0.5",
    "a private network (192.168.0.0/16)": "192.168.1.1",
    "the shared network of a provider (100.64.0.0/10)": "100.64.0.1",
    "this machine (0.0.0.0)": "0.0.0.0",  # noqa: S104 (an address to refuse)
    "a network for benchmarks (198.18.0.0/15)": "198.18.0.1",
    "a network for documentation (192.0.2.0/24)": "192.0.2.1",
    "a reserved network (240.0.0.0/4)": "240.0.0.1",
    "a network for documentation of IPv6": "2001:db8::1",
    "multicast": "224.0.0.251",
    "broadcast": "255.255.255.255",
    "loopback of IPv6": "::1",
    "a link-local address with a zone": "fe80::1%eth0",
    "a private address of IPv6": "fd00:ec2::254",
    "multicast of IPv6": "ff02::1",
    "IPv4-mapped IPv6": "::ffff:169.254.169.254",
    "IPv4-mapped loopback": "::ffff:7f00:1",
    "an IPv4 address behind a NAT64 gateway": "64:ff9b::a9fe:a9fe",
    "an IPv4 address behind 6to4": "2002:a9fe:a9fe::1",
    "an IPv4-compatible address": "::7f00:1",
}
Fetch = Callable[[str, Callable[[str], list[str]], Callable[..., object]], object]


def is_public(address: str) -> bool:
    """Whether an address belongs to the public internet, in every form of writing."""
    ip: IPv4Address | IPv6Address = ip_address(address)
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped:
            ip = ip.ipv4_mapped
        elif ip not in ip_network("2000::/3") or ip.sixtofour or ip.teredo:
            return False
    return ip.is_global and not ip.is_multicast


class Net:
    """A network that writes down who was connected to, and answers.

    Attributes:
        connected: the addresses, hosts and paths.
    """

    def __init__(
        self,
        names: Mapping[str, Sequence[list[str]]],
        pages: Mapping[str, str] | None = None,
        status: int = 302,
    ) -> None:
        """Makes it.

        Args:
            names: what a host resolves to, the first time and each later time; the last stays.
            pages: where a URL redirects to.
            status: of these redirects.
        """
        self.names = {name: list(answers) for name, answers in names.items()}
        self.pages, self.status = dict(pages or {}), status
        self.connected: list[tuple[str, str, str]] = []
        self.guard = Guard(50, "it connected or resolved more than fifty times for one URL")
        self.inside: str | None = None

    def resolve(self, host: str) -> list[str]:
        """The addresses of a host."""
        self.guard.tick()
        if not isinstance(host, str):
            raise NotYet(f"resolve takes the name of a host; it got {host!r}")
        host = host.strip("[]")
        answers = self.names.get(host)
        if answers is None:
            with suppress(ValueError):
                ip_address(host)
                return [host]
            return []
        return list(answers.pop(0) if len(answers) > 1 else answers[0])

    def connect(self, address: str, host: str, path: str) -> tuple[int, dict[str, str], bytes]:
        """What the page is, or where it has gone."""
        self.guard.tick()
        try:
            public = is_public(address)
        except ValueError:
            self.inside = self.inside or (
                f"it called connect with {address!r}, which is no address: connect would resolve "
                "it again"
            )
            return 500, {}, b""
        if not public:
            self.inside = self.inside or f"it connected to {address}"
        if isinstance(host, str):  # the port is the scheme's own, so both say the same
            host = host.removesuffix(":80")
        self.connected.append((address, host, path))
        if (to := self.pages.get(f"{host}{path}")) is not None:
            return self.status, {"location": to}, b"moved"
        return 200, {}, f"page {host}{path}".encode()


def _fetched(fetch: Fetch, net: Net, url: str, what: str) -> tuple[object, str | None]:
    """What fetch returns for a URL, or the name of a ValueError; it has connected to no inside."""
    result: object = None
    refused = None
    try:
        result = within(lambda: fetch(url, net.resolve, net.connect))
    except NotYet as error:
        raise NotYet(f"{what} ({url}): {error}") from None
    except ValueError:
        refused = "refused"
    except Exception as error:
        refused = f"{type(error).__name__}: {first_line(error)}"
    net.guard.check()
    if net.inside:
        raise NotYet(f"{what} ({url}): {net.inside}")
    return result, refused


def _outside() -> Iterator[tuple[str, str, Net, str, str]]:
    """Pages that must be fetched: what, the URL, the network, the page, the host at the end."""
    site = {"pictures.example": [[PUBLIC]], "six.example": [[PUBLIC_6]]}
    yield (
        "an ordinary page",
        "http://pictures.example/a.png",
        Net(site),
        "/a.png",
        "pictures.example",
    )
    yield (
        "a page by https, with a query",
        "https://pictures.example/a?b=1",
        Net(site),
        "/a?b=1",
        "pictures.example",
    )
    yield "a page without a path", "http://pictures.example", Net(site), "/", "pictures.example"
    for what, more, path in (
        ("a page with a fragment, which a browser keeps to itself", "/a#top", "/a"),
        ("a query without a path", "?b=1", "/?b=1"),
        ("a page with the port 80", ":80/a", "/a"),
    ):
        yield what, f"http://pictures.example{more}", Net(site), path, "pictures.example"
    yield "a page that has an IPv6 address", "http://six.example/a", Net(site), "/a", "six.example"
    yield "a page by its address", f"http://{PUBLIC}/a", Net(site), "/a", PUBLIC
    for status in (301, 302, 303, 307, 308):
        moved = Net(site, {"pictures.example/a": "http://six.example/b"}, status)
        yield f"a redirect with {status}", "http://pictures.example/a", moved, "/b", "six.example"
    near = Net(site, {"pictures.example/x/a": "../b?c=1"})
    yield "a relative redirect", "http://pictures.example/x/a", near, "/b?c=1", "pictures.example"
    scheme = Net(site, {"pictures.example/a": "//six.example/b"})
    yield "a redirect without a scheme", "http://pictures.example/a", scheme, "/b", "six.example"
    three = {f"pictures.example/{n}": f"/{n + 1}" for n in range(3)}
    yield "three redirects", "http://pictures.example/0", Net(site, three), "/3", "pictures.example"


def _inside() -> Iterator[tuple[str, str, Net]]:
    """URLs that must be refused."""
    site = {"pictures.example": [[PUBLIC]]}
    for what, address in INSIDE.items():
        yield f"a name for {what}", "http://inside.example/", Net({"inside.example": [[address]]})
    for what in ("the metadata service", "IPv4-mapped IPv6", "loopback of IPv6"):
        written = f"[{INSIDE[what]}]" if ":" in INSIDE[what] else INSIDE[what]
        yield f"{what}, by its address", f"http://{written}/", Net({})
        to = Net(site, {"pictures.example/a": f"http://{written}/keys"})
        yield f"a redirect to {what}", "http://pictures.example/a", to
    number = Net({"2852039166": [["169.254.169.254"]]})
    yield "one decimal number", "http://2852039166/keys", number
    user = "http://pictures.example@169.254.169.254/"
    yield "an address behind a user's name", user, Net(site)
    late = {f"pictures.example/{n}": f"/{n + 1}" for n in range(3)}
    late["pictures.example/3"] = "http://127.0.0.1/"
    yield "an inner address after three redirects", "http://pictures.example/0", Net(site, late)
    four = {f"pictures.example/{n}": f"/{n + 1}" for n in range(4)}
    yield "four redirects", "http://pictures.example/0", Net(site, four)
    loop = Net(site, {"pictures.example/a": "/a"})
    yield "a redirect to itself", "http://pictures.example/a", loop
    for scheme in ("ftp", "file", "http+unix"):
        yield f"the scheme {scheme}", f"{scheme}://pictures.example/a", Net(site)
    other = Net(site, {"pictures.example/a": "ftp://pictures.example/b"})
    yield "a redirect to the scheme ftp", "http://pictures.example/a", other
    yield "a URL without a host", "http:///a", Net(site)
    yield "a name that has no address", "http://nobody.example/", Net({"nobody.example": [[]]})


def _either() -> Iterator[tuple[str, str, Net]]:
    """URLs that may be fetched or refused, as long as nothing inside is connected to."""
    for first, second in ((PUBLIC, "10.0.0.5"), ("10.0.0.5", PUBLIC)):
        mixed = Net({"mixed.example": [[first, second]]})
        yield "a name with a public and a private address", "http://mixed.example/", mixed
    moving = Net({"moving.example": [[PUBLIC], ["169.254.169.254"]]})
    yield "DNS rebinding (the second answer is an inner address)", "http://moving.example/", moving
    back = Net({"moving.example": [[PUBLIC], ["169.254.169.254"]]}, {"moving.example/": "/keys"})
    yield "a redirect to the same host, whose address has changed", "http://moving.example/", back
    third = Net({"moving.example": [[PUBLIC], [PUBLIC], ["169.254.169.254"]]})
    yield "DNS rebinding (the third answer is an inner address)", "http://moving.example/", third


GIVEN_2 = """
def fetch(url, resolve, connect):
    parts = urlsplit(url)
    if parts.hostname in ("localhost", "127.0.0.1"):
        raise ValueError("not that host")
    address = resolve(parts.hostname)[0]
    return connect(address, parts.hostname, parts.path or "/")[2]
"""


@judge(
    "application-security.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a URL, resolve and connect: it returns the body of a page in the "
    "public internet, and raises ValueError for all else",
    stub=GIVEN_2,
)
def guard(fetch: Fetch) -> str:
    """Public pages are fetched; nothing inside is ever connected to."""
    pages = inside = 0
    for what, url, net, path, host in _outside():
        result, refused = _fetched(fetch, net, url, what)
        if refused:
            raise NotYet(f"{what} ({url}) must be fetched, and it raised: {refused}")
        address, asked, _ = net.connected[-1] if net.connected else ("", host, path)
        if asked == address != host:
            raise NotYet(
                f"{what} ({url}): connect got the host {asked!r}. It needs "
                f"{host!r}, to ask for the right site and to check its certificate"
            )
        if result != f"page {host}{path}".encode():
            raise NotYet(
                f"{what} ({url}): it returned {result!r}, and not the page at the end, whose path "
                f"is {path!r}"
            )
        pages += 1
    for what, url, net in _inside():
        result, refused = _fetched(fetch, net, url, what)
        if refused is None:
            raise NotYet(f"{what} ({url}) must raise ValueError, and it returned {result!r}"[:300])
        if refused != "refused":
            raise NotYet(f"{what} ({url}) must raise ValueError, and it raised {refused}")
        inside += 1
    for what, url, net in _either():
        _fetched(fetch, net, url, what)
        inside += 1
    return (
        f"{pages} pages were fetched, by their names and through redirects; in {inside} attacks it "
        "connected to nothing inside"
    )


# -- 3: stop the site, then make it robust

GIVEN_3 = r"^([a-z0-9]+\.?)*@huts\.example$"
LONGEST = 40
SECONDS = 1
"""Of processor time: what the attack must take, and all texts of the repair must not."""

END = "@huts.example"
LONG = 100_000
"""So many that quadratic time is more than any limit, and linear time is nothing."""
CHILD = """
import json, re, resource
job = json.load(open("job.json"))
with open("found", "w") as found:
    try:
        pattern = re.compile(job["pattern"])
    except Exception as error:
        raise SystemExit(f"the pattern is no regular expression: {error}")
    for texts in job["batches"]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        limit = int(used.ru_utime + used.ru_stime) + 1 + job["seconds"]
        resource.setrlimit(resource.RLIMIT_CPU, (limit, resource.RLIM_INFINITY))
        found.write("".join("01"[pattern.search(text) is not None] for text in texts) + "\\n")
        found.flush()
"""
"""Runs apart, so that the system ends what takes too much of the processor."""


def accepts(address: str) -> bool:
    """Whether the given pattern finds something, computed without it."""
    local = address.removesuffix(END)
    return (
        address.endswith(END)
        and set(local) <= set("abcdefghijklmnopqrstuvwxyz0123456789.")
        and not local.startswith(".")
        and ".." not in local
    )


def _addresses() -> list[str]:
    """Short addresses of all kinds."""
    locals_ = ["".join(letters) for n in range(5) for letters in product("a9._A", repeat=n)]
    ends = (END, "", "@hutsXexample", f"{END}x", f"x{END}")
    more = (
        f" a{END}",
        f"a{END} ",
        f"a b{END}",
        f"anna-lena{END}",
        f"ä{END}",
        f"٣{END}",
        f"a@a{END}",
    )
    signs = (chr(code) for code in range(32, 127))
    inside = (f"{before}{sign}b{END}" for sign in signs for before in ("", "a"))
    return [*(local + end for local in locals_ for end in ends), *more, *inside]


def _long() -> dict[str, str]:
    """Long addresses, each hard for another pattern."""
    return {
        "100,000 letters": "a" * LONG,
        "100,000 letters and a !": "a" * LONG + "!",
        "100,000 letters and another host": "a" * LONG + "@huts.exampleX",
        "50,000 times a letter and a dot": "a." * (LONG // 2) + "!",
        "100,000 dots": "." * LONG,
        "50,000 dots behind a letter": "a" + "." * (LONG // 2) + END,
        "100,000 letters and a good end": "a" * LONG + END,
        "50,000 letters and dots, and a good end": "a." * (LONG // 2) + END,
        "100,000 letters with an @ behind each 100": ("a" * 100 + "@") * (LONG // 100) + "!",
    }


def _search(pattern: str, batches: Sequence[Sequence[str]]) -> list[list[bool]]:
    """What a pattern finds in the texts of each batch that it could finish in time."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        job = {"pattern": pattern, "batches": batches, "seconds": SECONDS}
        (place / "job.json").write_text(json.dumps(job))
        done = program([sys.executable, "-I", "-W", "ignore", "-c", CHILD], place, {})
        if done.returncode not in (0, -signal.SIGXCPU):
            lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
            raise NotYet(lines[-1])
        lines = (place / "found").read_text().splitlines()
        return [[letter == "1" for letter in line] for line in lines]


@judge(
    "application-security.3",
    takes=Mapping,
    called="a dictionary with attack and pattern",
    hint="give a dictionary: attack is an address of at most 40 characters that keeps Python busy, "
    "and pattern is a regular expression that finds the same in linear time",
    stub={"attack": "anna@huts.example", "pattern": GIVEN_3},
)
def regular_expression(answer: Mapping[str, Any]) -> str:
    """The pattern accepts the same addresses quickly, and the attack is slow in the given one."""
    attack, pattern = _parts(answer, attack=(str, "a text"), pattern=(str, "a text"))
    if len(attack) > LONGEST:
        raise NotYet(f"the attack has {len(attack)} characters, and may have {LONGEST}")
    addresses = _addresses()
    long = {**_long(), "your own attack": attack}
    found = _search(pattern, [addresses, *([text] for text in long.values())])
    if not found:
        raise NotYet("the pattern is slow for addresses of fewer than twenty characters")
    for address, got in zip(addresses, found[0], strict=True):
        if got != accepts(address):
            verb = "finds something" if got else "finds nothing"
            raise NotYet(f"the pattern {verb} in {address!r}, and GIVEN does the opposite")
    for n, (what, text) in enumerate(long.items(), start=1):
        if n == len(found):
            raise NotYet(f"the pattern is still slow: {what} took more than a second")
        if found[n] != [accepts(text)]:
            raise NotYet(f"the pattern is wrong for {what}")
    if _search(GIVEN_3, [[attack]]):
        raise NotYet(
            "the pattern is right. The attack is not: GIVEN came to an end within a second. It "
            "must nearly fit, and fail at its end"
        )
    return (
        f"the attack keeps the given pattern busy; the new one agrees with it on "
        f"{len(addresses):,} addresses, and {len(long)} texts that are hard took no second each"
    )
