"""The site's configuration in a real nginx, with TLS, and a real gunicorn behind it."""

import json
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

import nexus
from nexus.services.nginx import Nginx
from nexus.services.ports import free_port
from nexus.services.process import wait_for
from nexus.services.web import Web

ROOT = Path(__file__).resolve().parent.parent.parent
SITE = (ROOT / "snippets" / "nginx" / "site.conf").read_text()
APPLICATION = """
import json


def application(environ, start_response):
    names = {k: v for k, v in environ.items() if k.startswith("HTTP_")}
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    body = json.dumps({"headers": names, "size": size}).encode()
    if environ["PATH_INFO"] == "/large":
        body = b"x" * 2_000_000
    headers = [("Content-Length", str(len(body))), ("Content-Type", "text/html")]
    if environ["PATH_INFO"].startswith("/cookie/"):
        headers.append(("Set-Cookie", "c=" + "x" * int(environ["PATH_INFO"].rpartition("/")[2])))
    start_response("200 OK", headers)
    return [body]
"""

pytestmark = pytest.mark.skipif(
    not shutil.which("openssl"), reason="needs openssl for a certificate: apt-get install openssl"
)


@dataclass
class Site:
    nginx: Nginx
    plain: int
    tls: ssl.SSLContext
    gunicorn: Web

    def get(self, path: str, **options: object) -> httpx.Response:
        with self.client() as client:
            return client.get(path, **options)  # type: ignore[arg-type]

    def client(self) -> httpx.Client:
        """A browser that finds example.com here."""

        def as_example(request: httpx.Request) -> None:
            request.extensions["sni_hostname"] = "example.com"
            request.headers["Host"] = "example.com"

        return httpx.Client(
            base_url=f"https://127.0.0.1:{self.nginx.port}",
            verify=self.tls,
            trust_env=False,
            event_hooks={"request": [as_example]},
        )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate, collected files, and an application that tells what it was asked."""
    folder = tmp_path_factory.mktemp("site")
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=example.com"),
            *("-addext", "subjectAltName=DNS:example.com"),
            *("-keyout", folder / "key.pem", "-out", folder / "fullchain.pem"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    static = folder / "static"
    static.mkdir()
    for name in ("site.0123456789ab.css", "site.css"):
        (static / name).write_text("body { color: black }\n" * 100)
    (folder / "secret.txt").write_text("not for the public")
    (folder / "told.py").write_text(APPLICATION)
    return folder


@contextmanager
def running(folder: Path, *changes: tuple[str, str]) -> Iterator[Site]:
    """The site behind nginx."""
    plain = free_port()
    # One worker, which does one thing at a time: a slow client that reached it would hold it.
    with nexus.serve("told", cwd=folder, options=["--worker-class=sync"]) as gunicorn:
        text = re.sub(r"\n *listen \[::\].*", "", SITE)  # not every machine has IPv6
        for old, new in (
            ("listen 80", f"listen 127.0.0.1:{plain}"),
            ("listen 443", "listen 127.0.0.1:{port}"),
            ("127.0.0.1:8000", f"127.0.0.1:{gunicorn.port}"),
            ("/etc/ssl/example.com", str(folder)),
            ("/srv/site", str(folder)),
            *changes,
        ):
            assert old in text
            text = text.replace(old, new)
        # What nginx.conf has: from mime.types, and in Debian's package.
        types = "types { text/css css; }\ngzip on;\n"
        with nexus.nginx(types + text) as nginx:
            tls = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
            yield Site(nginx, plain, tls, gunicorn)


@pytest.fixture(scope="module")
def site(folder: Path) -> Iterator[Site]:
    # Tests come from one address, faster than people do.
    with running(folder, ("rate=20r/s", "rate=1000r/s")) as site:
        yield site


@pytest.fixture
def limited(folder: Path) -> Iterator[Site]:
    """With the limits as they are, and nothing counted yet."""
    with running(folder) as site:
        yield site


def test_the_head_says_what_it_answers_and_what_to_watch_out_for() -> None:
    head = SITE.partition("\nupstream")[0]
    assert re.match(r"# [A-Z].*\?\n#\n# nginx \d", head)
    assert "\n# Watch out:\n# * " in head
    assert "(nginx/site.conf)" in (ROOT / "snippets" / "README.md").read_text()


def test_plain_http_is_sent_to_https(site: Site) -> None:
    answer = httpx.post(
        f"http://127.0.0.1:{site.plain}/places?city=accra",
        headers={"Host": "example.com"},
        trust_env=False,
    )
    assert answer.status_code == 308  # and not 301, which makes a GET of a POST
    assert answer.headers["Location"] == "https://example.com/places?city=accra"


def test_another_name_is_not_answered(site: Site) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"http://127.0.0.1:{site.plain}/", trust_env=False)
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        site.tls.wrap_socket(plain, server_hostname="other.example")
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        site.tls.wrap_socket(plain, server_hostname="example.com") as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: other.example\r\n\r\n")
        assert secure.recv(1) == b""


def test_the_application_believes_what_nginx_says_and_not_the_client(site: Site) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "ftp",
        "X-Request-ID": "mine",
        "Connection": "close",
    }
    told = site.get("/", headers=lies).json()["headers"]
    assert told["HTTP_HOST"] == "example.com"
    assert told["HTTP_X_FORWARDED_FOR"] == "127.0.0.1"
    assert told["HTTP_X_FORWARDED_PROTO"] == "https"
    assert re.fullmatch("[0-9a-f]{32}", told["HTTP_X_REQUEST_ID"])
    assert "HTTP_CONNECTION" not in told


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl: apt-get install curl")
@pytest.mark.parametrize("version", ["http1.1", "http2"])
def test_a_port_in_the_host_reaches_the_application(folder: Path, site: Site, version: str) -> None:
    """Django compares it with a form's Origin."""
    name = f"example.com:{site.nginx.port}"
    done = subprocess.run(
        [
            *("curl", "--silent", "--show-error", "--fail", f"--{version}", "--noproxy", "*"),
            *("--cacert", folder / "fullchain.pem", "--resolve", f"{name}:127.0.0.1"),
            *("--write-out", "\n%{http_version}", f"https://{name}/"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    body, spoken = done.stdout.splitlines()
    assert json.loads(body)["headers"]["HTTP_HOST"] == name
    assert spoken == version.removeprefix("http")


def test_the_host_is_the_name_that_nginx_has_chosen_the_server_by(site: Site) -> None:
    """The request line can name another host than the header: the line counts."""
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        site.tls.wrap_socket(plain, server_hostname="example.com") as secure,
    ):
        secure.sendall(
            b"GET https://example.com/ HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: secure.recv(65536), b""))
    assert b"evil.example" not in answer


@pytest.mark.parametrize(("size", "status"), [(3_700, 200), (8_000, 200), (20_000, 503)])
def test_headers_may_be_long(site: Site, size: int, status: int) -> None:
    before = site.nginx.log.count("upstream sent too big header")
    answer = site.get(f"/cookie/{size}")
    assert answer.status_code == status
    refused = site.nginx.log.count("upstream sent too big header") - before
    assert refused == (status == 503)


def test_http2_and_no_old_tls(folder: Path, site: Site) -> None:
    context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        context.wrap_socket(plain, server_hostname="example.com") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"
        assert secure.version() == "TLSv1.3"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_comes_again_needs_no_whole_handshake(
    folder: Path, site: Site, version: ssl.TLSVersion
) -> None:
    context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    context.maximum_version = version
    session, reused = None, []
    for _ in range(2):
        with (
            socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
            context.wrap_socket(plain, server_hostname="example.com", session=session) as secure,
        ):
            secure.sendall(b"GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n")
            while secure.recv(65536):
                pass
            reused.append(secure.session_reused)
            session = secure.session
    assert reused == [False, True]


def test_no_cipher_without_authentication_of_what_it_encrypts(folder: Path, site: Site) -> None:
    context = ssl.create_default_context(cafile=str(folder / "fullchain.pem"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        pytest.raises(ssl.SSLError, match=r"(?i)handshake.failure"),
    ):
        context.wrap_socket(plain, server_hostname="example.com")


def test_what_the_application_says_is_not_compressed(site: Site) -> None:
    answer = site.get("/large", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Type"] == "text/html"
    assert "Content-Encoding" not in answer.headers


@pytest.mark.parametrize(
    ("name", "lifetime"),
    [
        ("site.0123456789ab.css", "public, max-age=31536000, immutable"),
        ("site.css", "public, max-age=300"),
    ],
)
def test_static_files(site: Site, name: str, lifetime: str) -> None:
    answer = site.get(f"/static/{name}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == lifetime
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert (answer.headers["Content-Encoding"], answer.headers["Vary"]) == (
        "gzip",
        "Accept-Encoding",
    )
    assert answer.headers["Server"] == "nginx"


@pytest.mark.parametrize("path", ["/static/../secret.txt", "/static../secret.txt", "/static/"])
def test_nothing_else_is_a_static_file(site: Site, path: str) -> None:
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        site.tls.wrap_socket(plain, server_hostname="example.com") as secure,
    ):
        request = f"GET {path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
        secure.sendall(request.encode())
        answer = b"".join(iter(lambda: secure.recv(65536), b""))
    assert b"not for the public" not in answer


def test_a_body_has_a_limit(site: Site) -> None:
    with site.client() as client:
        assert client.post("/", content=b"x" * 10 * 1024**2).json()["size"] == 10 * 1024**2
        refused = client.post("/", content=b"x" * (10 * 1024**2 + 1))
    assert refused.status_code == 413


def test_a_slow_client_holds_no_worker(site: Site) -> None:
    """There is one worker. It answers others while a client dawdles with a body, or an answer."""
    with (
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as plain,
        site.tls.wrap_socket(plain, server_hostname="example.com") as sends,
        socket.create_connection(("127.0.0.1", site.nginx.port), 10) as other,
        site.tls.wrap_socket(other, server_hostname="example.com") as reads,
    ):
        sends.sendall(b"POST / HTTP/1.1\r\nHost: example.com\r\nContent-Length: 9\r\n\r\nhalf")
        reads.sendall(b"GET /large HTTP/1.1\r\nHost: example.com\r\n\r\n")
        assert reads.recv(12) == b"HTTP/1.1 200"
        assert site.get("/").status_code == 200
        sends.sendall(b" more")
        assert sends.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_a_probe_reaches_the_application_and_no_log(site: Site, path: str) -> None:
    # nginx writes a line after its answer, so the log is read when the line of a later request of
    # the same connection is in it.
    with site.client() as client:
        assert client.get(path).status_code == 200
        assert client.get(f"/after{path}").status_code == 200
    wait_for(lambda: f"GET /after{path} " in site.nginx.access_log, 10, "the later line")
    assert f"GET {path} " not in site.nginx.access_log


def test_log_ins_have_a_limit_and_reading_the_form_has_none(limited: Site) -> None:
    with limited.client() as client:
        forms = [client.get("/admin/login/").status_code for _ in range(12)]
        tries = [client.post("/admin/login/").status_code for _ in range(12)]
        assert client.get("/").status_code == 200
    assert forms == [200] * 12
    assert tries == [200] * 6 + [429] * 6


def test_one_address_cannot_have_every_worker(limited: Site) -> None:
    """More than the burst, faster than the rate: some are refused, and nobody waits."""
    with limited.client() as client:
        answers = Counter(client.get("/").status_code for _ in range(200))
    assert set(answers) == {200, 429}
    assert answers[200] >= 41


def test_one_address_has_so_many_requests_in_work_and_no_more(limited: Site) -> None:
    """The worker is frozen, so none of them ends."""
    (worker,) = limited.gunicorn.workers
    worker.suspend()
    try:
        with ThreadPoolExecutor(25) as pool:
            asked = [pool.submit(limited.get, "/", timeout=60) for _ in range(25)]
            refused = []

            def all_but_twenty() -> bool:
                refused[:] = [each for each in asked if each.done()]
                return len(refused) == 5

            try:
                wait_for(all_but_twenty, 60, "five to be refused")
                assert {each.result().status_code for each in refused} == {429}
            finally:
                worker.resume()
            assert Counter(each.result().status_code for each in asked) == {200: 20, 429: 5}
    finally:
        worker.resume()


def test_while_gunicorn_is_away_and_when_it_is_back(folder: Path, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    mine = site.nginx.http
    site.nginx.reload(mine.replace(f"127.0.0.1:{site.gunicorn.port}", f"127.0.0.1:{port}"))
    try:
        answer = site.get("/")
        assert (answer.status_code, answer.text) == (503, "Back in a moment.\n")
        assert answer.headers["Retry-After"] == "5"
        command = [
            sys.executable,
            "-m",
            "gunicorn",
            f"--bind=127.0.0.1:{port}",
            "--no-control-socket",
            "told",
        ]
        with nexus.serve(command, cwd=folder, ready="Booting worker"):
            assert site.get("/").status_code == 200
    finally:
        site.nginx.reload(mine)
