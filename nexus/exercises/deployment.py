"""Judges of "Deployment": a server block of nginx, a client's address, two probes."""

import re
import socket
import ssl
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import httpx
import trustme

from nexus.judging import NotYet, judge
from nexus.judging.limits import Enough, within
from nexus.services import Nginx, ServiceError, nginx
from nexus.services.listener import Handler, Listener

# -- 1. A server block. The answer is given to nginx, with an application behind it that remembers.

FOLDER = "/srv/shop"
"""What the exercise calls the release's folder; the judge has another one."""

NAME = "shop.example:8443"
ANOTHER = "inn.example"
"""A second host, without a port: an answer may have written the first one down."""

MEGABYTE = 1_000_000
SECONDS = 3.0
"""How long nginx may take for one request."""

FILES = {
    "static/shop.css": ("h1 { color: teal }\n", ("text/css",)),
    "static/shop.js": ("let open = true\n", ("text/javascript", "application/javascript")),
}
MIME_TYPES = """types {
    text/html html htm;
    text/css css;
    application/javascript js;
    image/svg+xml svg;
    image/jpeg jpeg jpg;
    image/png png;
}
"""
"""What `include mime.types;` finds: the judge's nginx is not installed by a package."""

INCLUDE = re.compile(r"include\s+(?:\S*/)?mime\.types\s*;")

SECRET = "SECRET_KEY=sk_live_4242\n"  # noqa: S105 (nobody's)


class App(Listener):
    """An application that answers everything, and remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, dict[str, list[str]], int]] = []
        super().__init__(Remember)


class Remember(Handler):
    """Reads a request to its end, and remembers it."""

    timeout = SECONDS

    def answer(self) -> None:
        """Remembers the request, and answers it as an HTML page."""
        length = int(self.headers.get("Content-Length") or 0)
        got = len(self.rfile.read(length)) if length else 0
        names = {name.lower() for name in self.headers}
        headers = {name: self.headers.get_all(name, []) for name in names}
        cast(App, self.server).seen.append((self.path, headers, got))
        self.reply(body=b"page", kind="text/html")

    do_GET = do_POST = answer


@dataclass
class Site:
    """The nginx of an answer, with the application behind it."""

    front: Nginx
    app: App
    socket: Path

    def ask(self, what: str, path: str, *, tls: bool = False, **options: Any) -> httpx.Response:  # noqa: ANN401
        """Sends a request, plainly or by TLS.

        Raises:
            NotYet: if there is no answer.
        """
        trust = ssl.create_default_context()
        trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
        way = httpx.HTTPTransport(uds=str(self.socket) if tls else None, verify=trust)
        url = f"https://localhost{path}" if tls else f"{self.front.url}{path}"
        headers = {"Host": NAME, **options.pop("headers", {})}
        method = "POST" if options else "GET"
        try:
            with httpx.Client(transport=way, timeout=SECONDS) as client:
                return client.request(method, url, headers=headers, **options)
        except httpx.HTTPError as error:
            raise NotYet(f"{what}: nginx gave no answer ({type(error).__name__})") from None

    def asked(self, what: str, path: str, **options: Any) -> tuple[str, dict[str, list[str]], int]:  # noqa: ANN401
        """Sends a request that the application has to get, and gives what it got."""
        before = len(self.app.seen)
        answer = self.ask(what, path, **options)
        if len(self.app.seen) == before:
            raise NotYet(f"{what}: the site did not get it; nginx answered {answer.status_code}")
        return self.app.seen[-1]


GIVEN_1 = """
location / {
    proxy_pass http://app;
}
"""


@judge(
    "deployment.1",
    takes=str,
    called="what stands in the server block, in quotes",
    hint="give what stands in the server block of nginx, beginning with location / { … }",
    stub=GIVEN_1,
)
def block(answer: str) -> str:
    """The site believes what is true, gets what it should, and files come with their types."""
    with _site(answer) as site:
        lies = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
        path, headers, _ = site.asked("GET /order?table=4", "/order?table=4", headers=lies)
        if path != "/order?table=4":
            raise NotYet(f"a guest asked for /order?table=4, and the site got {path}")
        _header(headers, "Host", NAME, f"the guest's browser has {NAME} in its address bar")
        _header(headers, "X-Forwarded-Proto", "http", "this request came by plain HTTP")
        _header(headers, "X-Forwarded-For", "127.0.0.1", "that is who connected to nginx")
        _, headers, _ = site.asked("GET / by TLS", "/", tls=True)
        _header(headers, "X-Forwarded-Proto", "https", "this request came by TLS")
        _header(headers, "Host", NAME, f"by TLS too, the address bar has {NAME}")
        _, headers, _ = site.asked(f"GET / of {ANOTHER}", "/", headers={"Host": ANOTHER})
        _header(headers, "Host", ANOTHER, f"another guest's browser has {ANOTHER}, without a port")
        _files(site)
        _bodies(site)
    return (
        "the site believes nginx and no client, files have their types, and 5 MB is the most "
        "that a guest can send"
    )


def _header(headers: dict[str, list[str]], name: str, expected: str, why: str) -> None:
    got = headers.get(name.lower(), [])
    if got != [expected]:
        said = repr(", ".join(got)) if got else "none"
        raise NotYet(f"the site should get {name}: {expected}, because {why}; it got {said}")


def _files(site: Site) -> None:
    for name, (text, kinds) in FILES.items():
        before = len(site.app.seen)
        answer = site.ask(f"GET /{name}", f"/{name}")
        if len(site.app.seen) > before:
            raise NotYet(f"/{name} was passed on to the site; nginx should send the file")
        if answer.status_code != 200 or answer.text != text:
            raise NotYet(
                f"/{name} should be the file {FOLDER}/{name}; nginx answered {answer.status_code}"
            )
        kind = answer.headers.get("content-type", "nothing").partition(";")[0]
        if kind not in kinds:
            raise NotYet(f"/{name} should be {kinds[0]}, and came as {kind}: a browser refuses it")
    for path in ("/static../.env", "/static/../.env", "/.env"):
        # As it is: httpx would take the dots away.
        if _raw(site.front.port, path).endswith(SECRET.encode()):
            raise NotYet(
                f"GET {path} shows the file {FOLDER}/.env: location and alias both end with /, "
                "or neither does; and root is no higher than the files"
            )


def _raw(port: int, path: str) -> bytes:
    """What comes back for a path that no client library would send."""
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: {NAME}\r\n\r\n".encode())
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except OSError:
            pass
    return b"".join(parts)


def _bodies(site: Site) -> None:
    # Not always at one path: the exercise names none.
    fits = site.ask("a photo of 4 MB", "/rooms/7/pictures", content=b"x" * (4 * MEGABYTE))
    if fits.status_code != 200 or site.app.seen[-1][2] != 4 * MEGABYTE:
        raise NotYet(f"a photo of 4 MB should reach the site; nginx answered {fits.status_code}")
    before = len(site.app.seen)
    try:
        status = site.ask("a photo of 6 MB", "/photo", content=b"x" * (6 * MEGABYTE)).status_code
    except NotYet:
        status = 413  # it said so and closed, while the client was still sending
    if len(site.app.seen) > before or status != 413:
        raise NotYet(f"a photo of 6 MB should get 413 from nginx, and got {status}")
    before = len(site.app.seen)
    with suppress(NotYet):  # it said 413 and closed, while the client was still sending
        site.ask("a photo of 6 MB", "/photo", content=iter([b"x" * MEGABYTE] * 6))
    if any(got > 5 * MEGABYTE for _, _, got in site.app.seen[before:]):
        raise NotYet(
            "a photo of 6 MB reached the site when it came in chunks, without a Content-Length: "
            "nginx has a directive that counts what arrives"
        )


@contextmanager
def _site(answer: str) -> Iterator[Site]:
    with tempfile.TemporaryDirectory() as name, App() as app:
        folder = Path(name)
        folder.chmod(0o755)
        for file, (text, _) in FILES.items():
            (folder / file).parent.mkdir(exist_ok=True)
            (folder / file).write_text(text)
        (folder / ".env").write_text(SECRET)
        (folder / "mime.types").write_text(MIME_TYPES)
        own = INCLUDE.sub(f"include {folder}/mime.types;", answer.replace(FOLDER, str(folder)))
        pair = trustme.CA().issue_cert("shop.example")
        pair.private_key_and_cert_chain_pem.write_to_path(folder / "pair.pem")
        http = f"""
            upstream app {{ server 127.0.0.1:{app.server_port}; }}
            server {{
                listen 127.0.0.1:{{port}};
                listen unix:{folder}/tls ssl;
                ssl_certificate {folder}/pair.pem;
                ssl_certificate_key {folder}/pair.pem;
                {own}
            }}"""
        try:
            front = nginx(http)
        except ServiceError as error:
            lines = [line for line in str(error).splitlines() if "[emerg]" in line]
            said = lines[0].partition("[emerg] ")[2] if lines else "it did not start"
            said = said.partition(": ")[2] if said[:1].isdigit() else said
            raise NotYet(f"nginx refuses it: {said.partition(' in /')[0]}") from None
        with front:
            yield Site(front, app, folder / "tls")


# -- 2. A client's address.

PROXIES = ["10.0.0.0/8", "192.0.2.10/32", "2001:db8:1::/48"]
CASES: tuple[tuple[str, str, str | None, str], ...] = (
    ("nobody is in between", "198.51.100.4", None, "198.51.100.4"),
    ("a client that is no proxy sends the header", "198.51.100.4", "203.0.113.7", "198.51.100.4"),
    ("one proxy", "10.0.0.5", "198.51.100.4", "198.51.100.4"),
    ("two proxies", "10.0.0.5", "198.51.100.4, 192.0.2.10", "198.51.100.4"),
    ("a client behind one proxy lies", "10.0.0.5", "203.0.113.7, 198.51.100.4", "198.51.100.4"),
    (
        "a client behind two proxies lies",
        "10.0.0.5",
        "203.0.113.7, 198.51.100.4, 192.0.2.10",
        "198.51.100.4",
    ),
    (
        "a client lies with the address of a proxy",
        "10.0.0.5",
        "10.9.9.9, 198.51.100.4",
        "198.51.100.4",
    ),
    ("a proxy asks by itself", "10.0.0.5", None, "10.0.0.5"),
    ("all of them are proxies", "10.0.0.5", "10.0.0.8, 10.0.0.7", "10.0.0.8"),
    ("there are no blanks", "10.0.0.5", "203.0.113.7,198.51.100.4", "198.51.100.4"),
    ("there are blanks around", "10.0.0.5", "  198.51.100.4  ,  192.0.2.10 ", "198.51.100.4"),
    ("an address only looks like one of 10.0.0.0/8", "100.0.0.5", "203.0.113.7", "100.0.0.5"),
    (
        "an address only begins like that of a proxy",
        "10.0.0.5",
        "198.51.100.4, 192.0.2.101",
        "192.0.2.101",
    ),
    ("addresses are IPv6", "2001:db8:1::5", "2001:db8:9::1, 2001:db8:1::6", "2001:db8:9::1"),
    ("IPv6 in front, IPv4 behind", "10.0.0.5", "203.0.113.7, 2001:db8:9::1", "2001:db8:9::1"),
    ("the lie is no address", "10.0.0.5", "unknown, 198.51.100.4", "198.51.100.4"),
    ("what the proxy writes is no address", "10.0.0.5", "198.51.100.4, unknown", "10.0.0.5"),
    (
        "what another proxy writes is no address",
        "10.0.0.5",
        "198.51.100.4, <script>, 192.0.2.10",
        "192.0.2.10",
    ),
    ("an entry is empty", "10.0.0.5", "198.51.100.4, , 192.0.2.10", "192.0.2.10"),
    ("the header is empty", "10.0.0.5", "", "10.0.0.5"),
)

GIVEN_2 = """
def client_address(peer, forwarded, proxies):
    return forwarded.split(",")[0] if forwarded else peer
"""


@judge(
    "deployment.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of an address, a header and a list of networks that returns an address",
    stub=GIVEN_2,
)
def address(answer: Callable[[str, str | None, list[str]], object]) -> str:
    """It finds the last address that no proxy has, and believes nothing to the left of it."""
    for what, peer, forwarded, expected in CASES:
        got = within(lambda p=peer, f=forwarded: answer(p, f, list(PROXIES)))  # type: ignore[misc]
        if not isinstance(got, str) or got != expected:
            raise NotYet(
                f"{what}: peer {peer}, header {forwarded!r}; the client is {expected}, "
                f"and the function returned {got!r}"
            )
    found = within(lambda: answer("10.0.0.5", "203.0.113.7", []))
    if found != "10.0.0.5":
        raise NotYet(f"no proxy is trusted, so the client is the peer; it returned {found!r}")
    return "it counts from the right, past proxies only, and no lie is believed"


# -- 3. Two probes.


class DatabaseError(Exception):
    """What the site's driver raises."""


@dataclass
class Process:
    """A process of the site, as its probes see it; time passes only when it waits."""

    hangs: float = 0.0
    error: type[Exception] | None = None
    stopping: bool = False
    silent: float = 0.0
    waited: float = 0.0
    queries: list[float | None] = field(default_factory=list)

    def query(self, timeout: float | None = None) -> int:
        """Asks the database for SELECT 1."""
        self.queries.append(timeout)
        if len(self.queries) > MOST_QUERIES:
            raise Enough(f"one probe sent {MOST_QUERIES} queries")
        if self.hangs and timeout is not None and timeout <= self.hangs:
            self.waited += timeout
            raise TimeoutError("the database did not answer in time")
        self.waited += self.hangs or 0.01
        if self.error:
            raise self.error("the database said no")
        return 1


MOST_QUERIES = 1_000
PATIENCE = 2.0
"""Seconds that the prober waits for an answer."""

Probe = Callable[[Process], object]

GIVEN_3 = {
    name: f"""
def {name}(process):
    process.query()
    return 200
"""
    for name in ("live", "ready")
}


@judge(
    "deployment.3",
    takes=dict,
    called='a dictionary, {"live": …, "ready": …}',
    hint='give {"live": live, "ready": ready}: two functions of a process that return 200 or 503',
    stub=GIVEN_3,
)
def probes(answer: dict[str, Probe]) -> str:
    """Liveness is about this process only; readiness asks the database, and does not wait long."""
    if set(answer) != {"live", "ready"} or not all(callable(each) for each in answer.values()):
        raise NotYet("the dictionary should have two functions, under live and ready")
    refused, other = (ConnectionError, DatabaseError)
    worlds: tuple[tuple[str, Callable[[], Process], int, int], ...] = (
        ("all is well", Process, 200, 200),
        ("the database refuses connections", lambda: Process(error=refused), 200, 503),
        ("the database is back", Process, 200, 200),
        ("the driver raises its own error", lambda: Process(error=other), 200, 503),
        ("the database hangs for two minutes", lambda: Process(hangs=120), 200, 503),
        ("the database answers after 0.5 seconds", lambda: Process(hangs=0.5), 200, 200),
        ("the process was told to stop", lambda: Process(stopping=True), 200, 503),
        ("another process is not stopping", Process, 200, 200),
        ("the main loop has been silent for 30.5 seconds", lambda: Process(silent=30.5), 503, 0),
        ("the main loop has been silent for 30 seconds", lambda: Process(silent=30), 200, 200),
        (
            "the main loop is silent, and the database refuses",
            lambda: Process(silent=90, error=refused),
            503,
            503,
        ),
        (
            "the process was told to stop, and the database hangs",
            lambda: Process(stopping=True, hangs=120),
            200,
            503,
        ),
    )
    for what, make, live, ready in worlds:
        _probed(answer["live"], "live", what, make(), live)
        if ready:
            _probed(answer["ready"], "ready", what, make(), ready)
    return "no restart for what a restart cannot cure, and no request for who cannot answer it"


def _probed(probe: Probe, name: str, what: str, process: Process, expected: int) -> None:
    try:
        got = within(lambda: probe(process))
    except NotYet as hint:
        raise NotYet(f"{what}: {name}: {hint}") from None
    except Exception as error:
        raise NotYet(
            f"{what}: {name} raised {type(error).__name__}, so the prober got a 500 with a "
            f"traceback; return {expected}"
        ) from None
    if name == "live" and process.queries:
        raise NotYet(f"{what}: live asked the database, and no restart can repair that")
    if process.waited >= PATIENCE:
        raise NotYet(
            f"{what}: {name} waited for {process.waited:g} seconds, and the prober gives up "
            f"after {PATIENCE:g}"
        )
    if isinstance(got, bool) or got != expected:
        raise NotYet(f"{what}: {name} should return {expected}, and returned {got!r}")
