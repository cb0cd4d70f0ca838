"""The judges of "Deployment": stubs, right answers, wrong ones."""

from http import HTTPStatus
from ipaddress import ip_address, ip_network

from nexus.exercises.deployment import GIVEN_1, PROXIES, Probe, Process
from tests.exercises import tables

# -- 1. A server block.

HEADERS = """
    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-For $remote_addr;
"""
STATIC = """
    location /static/ {
        alias /srv/shop/static/;
        types { text/css css; text/javascript js; }
    }
"""
BODY = "client_max_body_size 5m;"
TO_APP = "location / { proxy_pass http://app; }"
SOLUTION = HEADERS + BODY + STATIC + TO_APP

ANOTHER_WAY = f"""
    root /srv/shop;
    location ~ ^/static/.*[.]css$ {{ default_type text/css; }}
    location ~ ^/static/.*[.]js$ {{ default_type application/javascript; }}
    location / {{
        {HEADERS}
        client_max_body_size 5000k;
        proxy_pass http://app$request_uri;
    }}
"""


def block(*changes: tuple[str, str]) -> str:
    text = SOLUTION
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


WITH_INCLUDE = f"""
    include mime.types;
    location /static/ {{ alias /srv/shop/static/; }}
    {HEADERS} {BODY} {TO_APP}
"""
BY_CONDITION = f"""
    {BODY}
    set $proto http;
    if ($https = on) {{ set $proto https; }}
    location /static {{ root /srv/shop; include mime.types; try_files $uri =404; }}
    location / {{ try_files /nothing @app; }}
    location @app {{
        {HEADERS.replace("$scheme", "$proto")}
        proxy_pass http://app;
    }}
"""
BY_LENGTH = "if ($content_length ~ '^([6-9]|[0-9]{2,})[0-9]{6}$') { return 413; }"

# -- 2. A client's address.


def from_the_right(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    networks = [ip_network(each) for each in proxies]
    client = peer
    parts = [part.strip() for part in (forwarded or "").split(",")]
    while any(ip_address(client) in network for network in networks) and parts:
        try:
            client = str(ip_address(parts.pop()))
        except ValueError:
            break
    return client


def with_a_list(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    chain = [peer]
    for text in reversed(forwarded.split(",") if forwarded else []):
        try:
            ip_address(text.strip())
        except ValueError:
            break
        chain.append(text.strip())

    def is_proxy(address: str) -> bool:
        return any(ip_address(address) in ip_network(each) for each in proxies)

    return next((address for address in chain if not is_proxy(address)), chain[-1])


def by_recursion(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    if not forwarded or not any(ip_address(peer) in ip_network(each) for each in proxies):
        return peer
    rest, _, last = forwarded.rpartition(",")
    try:
        before = ip_address(last.strip()).compressed
    except ValueError:
        return peer
    return by_recursion(before, rest, proxies)


def leftmost(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    trusted = any(ip_address(peer) in ip_network(each) for each in proxies)
    return forwarded.split(",")[0].strip() if forwarded and trusted else peer


def rightmost(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    trusted = any(ip_address(peer) in ip_network(each) for each in proxies)
    return forwarded.split(",")[-1].strip() if forwarded and trusted else peer


def always_believes(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    return from_the_right("10.0.0.1" if forwarded else peer, forwarded, proxies)


def by_text(peer: str, forwarded: str | None, _: list[str]) -> str:
    chain = [peer, *(part.strip() for part in reversed((forwarded or "").split(",")) if part)]
    begins = ("10.", "192.0.2.10", "2001:db8:1:")
    return next((each for each in chain if not each.startswith(begins)), chain[-1])


def first_stranger(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    """From the left: the first that is no proxy."""
    chain = [*(part.strip() for part in (forwarded or "").split(",") if part.strip()), peer]
    networks = [ip_network(each) for each in proxies]
    if not any(ip_address(peer) in network for network in networks):
        return peer
    for each in chain:
        try:
            if not any(ip_address(each) in network for network in networks):
                return each
        except ValueError:
            continue
    return chain[0]


def skips_nonsense(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    """An entry that is no address is left out, and the walk goes on."""

    def is_address(text: str) -> bool:
        try:
            return bool(ip_address(text.strip()))
        except ValueError:
            return False

    kept = ",".join(part for part in (forwarded or "").split(",") if is_address(part))
    return from_the_right(peer, kept or None, proxies)


def skips_empty(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    """Two commas are read as one."""
    kept = ",".join(part for part in (forwarded or "").split(",") if part.strip())
    return from_the_right(peer, kept or None, proxies)


def without_blanks(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    networks = [ip_network(each) for each in proxies]
    chain = [peer, *reversed(forwarded.split(", ") if forwarded else [])]
    for each in chain:
        try:
            if not any(ip_address(each) in network for network in networks):
                return each
        except ValueError:
            return peer
    return chain[-1]


def one_hop(peer: str, forwarded: str | None, proxies: list[str]) -> str:
    """The proxy before last, whoever that is."""
    parts = (forwarded or "").split(",")
    trusted = any(ip_address(peer) in ip_network(each) for each in proxies)
    return parts[max(len(parts) - 2, 0)].strip() if forwarded and trusted else peer


def these_proxies(peer: str, forwarded: str | None, _: list[str]) -> str:
    return from_the_right(peer, forwarded, PROXIES)


def an_object(peer: str, forwarded: str | None, proxies: list[str]) -> object:
    return ip_address(from_the_right(peer, forwarded, proxies))


def swallows(peer: str, forwarded: str | None, proxies: list[str]) -> str | None:
    try:
        return leftmost(peer, forwarded, proxies)
    except Exception:
        return None


# -- 3. Two probes.


def live(process: Process) -> int:
    return 503 if process.silent > 30 else 200


def ready(process: Process) -> int:
    if process.stopping:
        return 503
    try:
        process.query(timeout=1)
    except Exception:
        return 503
    return 200


def ready_too(process: Process) -> int:
    status = 503
    try:
        if process.query(1.5) == 1 and not process.stopping:
            status = 200
    except (OSError, ValueError, RuntimeError, Exception):
        status = 503
    return status


def ready_with_names(process: Process) -> HTTPStatus:
    if process.stopping:
        return HTTPStatus.SERVICE_UNAVAILABLE
    try:
        process.query(timeout=1.9)
    except BaseException:
        return HTTPStatus.SERVICE_UNAVAILABLE
    return HTTPStatus.OK


def always(_: Process) -> int:
    return 200


def asks(process: Process) -> int:
    try:
        process.query(timeout=1)
    except Exception:
        return 503
    return 200


def asks_and_forgives(process: Process) -> int:
    try:
        process.query(timeout=0.1)
    except Exception:
        return live(process)
    return live(process)


def dies_when_told(process: Process) -> int:
    return 503 if process.silent > 30 or process.stopping else 200


def impatient(process: Process) -> int:
    return 503 if process.silent > 20 else 200


def at_thirty(process: Process) -> int:
    return 503 if process.silent >= 30 else 200


def from_31(process: Process) -> int:
    return 503 if process.silent >= 31 else 200


def without_a_limit(process: Process) -> int:
    try:
        process.query()
    except Exception:
        return 503
    return 503 if process.stopping else 200


def three_tries(process: Process) -> int:
    for _ in range(3):
        try:
            process.query(timeout=1)
        except Exception:
            continue
        return 503 if process.stopping else 200
    return 503


def in_a_hurry(process: Process) -> int:
    try:
        process.query(timeout=0.1)
    except Exception:
        return 503
    return 503 if process.stopping else 200


def as_long_as_the_prober(process: Process) -> int:
    try:
        process.query(timeout=2)
    except Exception:
        return 503
    return 503 if process.stopping else 200


def just_in_time(process: Process) -> int:
    try:
        process.query(timeout=0.5)
    except Exception:
        return 503
    return 503 if process.stopping else 200


def one_error(process: Process) -> int:
    try:
        process.query(timeout=1)
    except (ConnectionError, TimeoutError):
        return 503
    return 503 if process.stopping else 200


def raises(process: Process) -> int:
    process.query(timeout=1)
    return 503 if process.stopping else 200


def truth(process: Process) -> bool:
    return ready(process) == 200


def remembers() -> Probe:
    """What it has found once is true for ever."""
    found: list[int] = []

    def first_answer(process: Process) -> int:
        found.append(ready(process))
        return found[0]

    return first_answer


class both(dict[str, Probe]):  # noqa: N801 (it is called like a function)
    """An answer, with a name for its test."""

    def __init__(self, live_probe: Probe, ready_probe: Probe) -> None:
        super().__init__(live=live_probe, ready=ready_probe)
        self.__name__ = f"{live_probe.__name__}-{ready_probe.__name__}"


RIGHT = [
    ("deployment.1", SOLUTION),
    ("deployment.1", ANOTHER_WAY),
    ("deployment.1", WITH_INCLUDE),
    ("deployment.1", WITH_INCLUDE.replace("mime.types", "/etc/nginx/mime.types")),
    ("deployment.1", BY_CONDITION),
    ("deployment.2", from_the_right),
    ("deployment.2", with_a_list),
    ("deployment.2", by_recursion),
    ("deployment.3", both(live, ready)),
    ("deployment.3", both(live, ready_with_names)),
    ("deployment.3", both(live, ready_too)),
]

LOST_HEADERS = block(
    ("location / {", "location / { proxy_set_header X-Request-ID $request_id;"),
)

NOT_YET = [
    ("deployment.1", GIVEN_1, "the site should get Host"),
    ("deployment.1", block(("$http_host", "$host")), "shop.example:8443"),
    ("deployment.1", block(("$scheme", "$http_x_forwarded_proto")), "came by plain HTTP"),
    ("deployment.1", block(("$scheme", "https")), "came by plain HTTP"),
    ("deployment.1", block(("$scheme", "http")), "came by TLS"),
    (
        "deployment.1",
        block(("$remote_addr", "$proxy_add_x_forwarded_for")),
        "203.0.113.7, 127.0.0.1",
    ),
    ("deployment.1", LOST_HEADERS, "the site should get Host"),
    ("deployment.1", block(("$http_host", "shop.example:8443")), "should get Host: inn.example"),
    ("deployment.1", block(("$http_host", "$host:8443")), "should get Host: inn.example"),
    ("deployment.1", block(("types { text/css css; text/javascript js; }", "")), "text/plain"),
    (
        "deployment.1",
        block(("types { text/css css; text/javascript js; }", "types {} default_type text/css;")),
        "shop.js should be text/javascript",
    ),
    ("deployment.1", block((STATIC, "")), "passed on to the site"),
    ("deployment.1", block(("location /static/", "location /static")), "shows the file"),
    ("deployment.1", block(("alias", "root")), "nginx answered 404"),
    ("deployment.1", block((BODY, "")), "4 MB should reach the site; nginx answered 413"),
    ("deployment.1", block(("5m", "0")), "6 MB should get 413"),
    ("deployment.1", block(("5m", "10m")), "6 MB should get 413"),
    ("deployment.1", block((BODY, f"client_max_body_size 0; {BY_LENGTH}")), "came in chunks"),
    (
        "deployment.1",
        block((BODY, f"location /photo {{ {BODY} proxy_pass http://app; }}")),
        "4 MB should reach the site; nginx answered 413",
    ),
    ("deployment.1", block(("http://app;", "http://app/;"), ("/ {", "/order {")), "and the site"),
    ("deployment.1", "return 200;", "the site did not get it"),
    ("deployment.1", "proxy_header Host;", 'unknown directive "proxy_header"'),
    ("deployment.1", "location / { proxy_pass http://127.0.0.1:{port}; }", "did not get it"),
    ("deployment.1", 7, "this is of type int"),
    ("deployment.2", leftmost, "a client behind one proxy lies"),
    ("deployment.2", rightmost, "two proxies"),
    ("deployment.2", always_believes, "a client that is no proxy sends the header"),
    ("deployment.2", by_text, "only begins like that of a proxy"),
    ("deployment.2", first_stranger, "a client behind one proxy lies"),
    ("deployment.2", skips_nonsense, "is no address"),
    ("deployment.2", skips_empty, "an entry is empty"),
    ("deployment.2", without_blanks, "there are no blanks"),
    ("deployment.2", one_hop, "a client behind one proxy lies"),
    ("deployment.2", these_proxies, "no proxy is trusted"),
    ("deployment.2", an_object, "IPv4Address"),
    ("deployment.2", swallows, "a client behind one proxy lies"),
    ("deployment.2", "10.0.0.5", "this is of type str"),
    ("deployment.3", both(always, ready), "silent for 30.5 seconds: live should return 503"),
    ("deployment.3", both(asks, ready), "live asked the database"),
    ("deployment.3", both(asks_and_forgives, ready), "live asked the database"),
    ("deployment.3", both(dies_when_told, ready), "told to stop: live should return 200"),
    ("deployment.3", both(impatient, ready), "silent for 30 seconds"),
    ("deployment.3", both(at_thirty, ready), "silent for 30 seconds: live should return 200"),
    ("deployment.3", both(from_31, ready), "silent for 30.5 seconds: live should return 503"),
    ("deployment.3", both(live, always), "refuses connections: ready should return 503"),
    ("deployment.3", both(live, asks), "told to stop: ready should return 503"),
    ("deployment.3", both(live, without_a_limit), "waited for 120 seconds"),
    ("deployment.3", both(live, three_tries), "waited for 3 seconds"),
    ("deployment.3", both(live, in_a_hurry), "after 0.5 seconds: ready should return 200"),
    ("deployment.3", both(live, as_long_as_the_prober), "waited for 2 seconds"),
    ("deployment.3", both(live, just_in_time), "after 0.5 seconds: ready should return 200"),
    ("deployment.3", both(live, one_error), "ready raised DatabaseError"),
    ("deployment.3", both(live, raises), "ready raised ConnectionError"),
    ("deployment.3", both(live, truth), "returned True"),
    ("deployment.3", both(live, remembers()), "refuses connections: ready should return 503"),
    ("deployment.3", {"live": 200}, "two functions"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)
