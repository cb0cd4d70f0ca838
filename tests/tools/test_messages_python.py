"""What the rows on Python and Django say, Python and Django say: each message is provoked here."""

import asyncio
import datetime
import gc
import json
import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
import zoneinfo
from collections.abc import Callable
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

from tests.tools import said_by_python
from tools import messages

GROUPS = {group.name: group for group in messages.load()}
ROWS = {row.id: row for name in ("python", "django") for row in GROUPS[name].rows}
IN_A_CHAPTER = {
    "defusedxml-entities-forbidden",
    "django-budget",
    "django-host-rfc-1034",
    "django-loaddata-not-null",
    "django-no-migrations-to-apply",
    "django-partial-qualname",
    "django-populate-reentrant",
    "django-ratelimit-renamed",
    "django-select-for-update",
    "hypothesis-failing-test-case",
    "ipaddress-host-bits",
    "jinja2-sandbox-unsafe",
    "lxml-entity-not-defined",
    "mock-has-no-attribute",
    "pytest-did-not-raise",
    "pytest-query-budget",
    "pytest-socket-blocked",
    "python-cert-expired",
    "python-cert-not-yet-valid",
    "python-pip-hashes",
    "python-tls-protocol-version",
    "python-xml-amplification",
    "python-xml-undefined-entity",
    "streaming-sync-iterator",
}
"""What a chapter's stored outputs show, and its strict run proves."""
PATIENCE = 60


NEWER = {"python-shadowed-module": (3, 13), "py-datetime-to-date": (3, 13)}
"""Since when Python says it in other words."""


def said(name: str, text: str) -> None:
    if name in NEWER and sys.version_info >= NEWER[name]:
        pytest.skip("this Python says it in other words")
    assert messages.pattern(ROWS[name].message).search(text), text


def shown(error: BaseException) -> str:
    """An exception as a traceback's last line has it."""
    kind = type(error)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}: {error}"


def webhook(
    change: dict[str, str] | None = None, hours: float = 0, secret: str = "c2VjcmV0"
) -> None:
    """Verify a webhook that was signed with one secret, at some time, and then changed."""
    at = datetime.datetime.now(datetime.UTC) + datetime.timedelta(hours=hours)
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook("c2VjcmV0").sign("msg_1", at, "{}"),
    }
    Webhook(secret).verify("{}", headers | (change or {}))


def slow_server() -> None:
    """Ask a server that takes the connection and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        httpx.get(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.2)


def closed_loop() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    loop.call_soon(print)


async def run_in_a_loop() -> None:
    coroutine = asyncio.sleep(0)
    try:
        asyncio.run(coroutine)
    finally:
        coroutine.close()


def no_loop() -> None:
    coroutine = asyncio.sleep(0)
    try:
        asyncio.create_task(coroutine)  # noqa: RUF006
    finally:
        coroutine.close()


def taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as other:
        other.bind(server.getsockname())


def no_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        Path(os.devnull).open().close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def no_reader() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.write(writer, b"x")
    finally:
        os.close(writer)


def pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname(), PATIENCE)
        return client, server.accept()[0]


def reset() -> None:
    client, other = pair()
    at_once = b"\1\0\0\0\0\0\0\0"
    other.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
    other.close()
    with client:
        client.recv(1)


def plain_text() -> None:
    client, other = pair()
    with client, other:
        other.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        ssl.create_default_context().wrap_socket(client, server_hostname="example.org")


def changed() -> None:
    numbers = {1: 1, 2: 2}
    for number in numbers:
        del numbers[number]


def endless(depth: int = 0) -> int:
    return endless(depth + 1)


def needs(_place: object) -> None:
    """Takes one argument."""


nothing: Any = None
Provoke = Callable[[], object]
IN_PROCESS: dict[str, Provoke] = {
    "webhook-no-signature": lambda: webhook(secret="b3RoZXI="),
    "webhook-too-old": lambda: webhook(hours=-3),
    "webhook-too-new": lambda: webhook(hours=3),
    "webhook-headers-missing": lambda: webhook({"webhook-signature": ""}),
    "webhook-headers-invalid": lambda: webhook({"webhook-timestamp": "2026-11-27"}),
    "webhook-secret-empty": lambda: webhook(secret=""),
    "unpack-not-enough": lambda: webhook({"webhook-signature": "x"}),
    "base64-not-a-multiple": lambda: webhook({"webhook-signature": "v1,a"}),
    "decimal-conversion-syntax": lambda: Decimal("1,50"),
    "httpx-read-timeout": lambda: slow_server(),
    "python-no-module": lambda: __import__("listings_of_nobody"),
    "python-cannot-import-name": lambda: exec("from json import nothing"),
    "python-no-attribute": lambda: object().title,  # type: ignore[attr-defined]
    "python-nonetype-attribute": lambda: nothing.title,
    "python-nonetype-subscript": lambda: nothing["title"],
    "python-missing-argument": lambda: needs(),  # type: ignore[call-arg]
    "python-not-json-serializable": lambda: json.dumps(datetime.datetime.now(datetime.UTC)),
    "python-json-expecting-value": lambda: json.loads("<html>"),
    "python-json-double-quotes": lambda: json.loads("{'a': 1}"),
    "python-unicode-decode": lambda: b"\x80".decode(),
    "python-unicode-encode": lambda: "é".encode("ascii"),
    "python-naive-aware": lambda: (
        datetime.datetime(2026, 1, 1) < datetime.datetime.now(datetime.UTC)
    ),
    "python-no-time-zone": lambda: zoneinfo.ZoneInfo("Europe/Nowhere"),
    "python-running-loop": lambda: asyncio.run(run_in_a_loop()),
    "python-loop-closed": closed_loop,
    "python-no-running-loop": no_loop,
    "python-ssl-wrong-version": plain_text,
    "python-address-in-use": taken,
    "python-too-many-files": no_files,
    "python-name-resolution": lambda: socket.getaddrinfo("valkey.invalid", 6379),
    "python-broken-pipe": no_reader,
    "python-connection-reset": reset,
    "python-file-not-found": lambda: Path("not/here").read_text(),
    "python-dict-changed": changed,
    "python-recursion": endless,
    "python-decimal-float": lambda: Decimal(1) * 1.5,  # type: ignore[operator]
}

# Files of a folder; Python is started on the first one.
SCRIPTS: dict[str, dict[str, str]] = {
    "python-circular-import": {
        "start.py": "import one",
        "one.py": "from two import b\na = 1",
        "two.py": "from one import a\nb = 1",
    },
    "python-shadowed-module": {"json.py": "import json\njson.dumps(1)"},
    "python-relative-import": {"start.py": "from . import two", "two.py": ""},
    "python-never-awaited": {"start.py": "async def f(): pass\nf()"},
    "python-task-exception": {
        "start.py": "import asyncio\n"
        "async def fail(): 1 / 0\n"
        "async def main():\n"
        "    asyncio.create_task(fail())\n"
        "    await asyncio.sleep(0)\n"
        "asyncio.run(main())",
    },
}
TOOLS = {name for names, _, _ in said_by_python.RUN for name in names}
CERTIFICATES = {"python-cert-self-signed", "python-cert-hostname"}


@pytest.mark.parametrize("name", IN_PROCESS)
def test_python_says_what_the_row_says(name: str) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - each is of another kind
        IN_PROCESS[name]()
    said(name, shown(caught.value))


@pytest.mark.parametrize("name", SCRIPTS)
def test_python_says_it_in_a_script(name: str, tmp_path: Path) -> None:
    for file, text in SCRIPTS[name].items():
        (tmp_path / file).write_text(text)
    start = next(iter(SCRIPTS[name]))
    done = subprocess.run(
        [sys.executable, start], cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE
    )
    said(name, done.stderr)


@pytest.mark.parametrize("name", said_by_python.FAIL)
@pytest.mark.filterwarnings("ignore")
def test_wrong_code_says_what_the_row_says(name: str) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - each is of another kind
        exec(said_by_python.FAIL[name], {"__name__": "made"})
    text = shown(caught.value)
    # What it left open is closed here, and not in a test that heeds warnings.
    del caught
    gc.collect()
    said(name, text)


@pytest.mark.parametrize(("names", "files", "command"), said_by_python.RUN)
def test_a_tool_says_what_the_rows_say(
    names: tuple[str, ...], files: dict[str, str], command: str, tmp_path: Path
) -> None:
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    program, *words = command.split()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "NO_COLOR": "1", "PYTHONPATH": "."},
    )
    for name in names:
        said(name, done.stdout + done.stderr)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """Let two ends in one process shake hands, without a network."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(to_client, to_server, server_hostname=name),
        server.wrap_bio(to_server, to_client, server_side=True),
    )
    for _ in range(4):
        for end in ends:
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl: apt-get install openssl")
@pytest.mark.parametrize("name", sorted(CERTIFICATES))
def test_python_refuses_a_certificate_as_the_row_says(name: str, tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    names = "-keyout key.pem -out cert.pem -subj /CN=a.example -addext subjectAltName=DNS:a.example"
    subprocess.run([*command.split(), *names.split()], cwd=tmp_path, check=True, timeout=PATIENCE)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    known = tmp_path / "cert.pem" if name == "python-cert-hostname" else None
    with pytest.raises(ssl.SSLCertVerificationError) as caught:
        handshake(server, ssl.create_default_context(cafile=known), "b.example")
    said(name, str(caught.value))


@pytest.fixture(scope="module")
def django() -> dict[str, str]:
    """What Django, DRF and others say, in processes of their own: each row's id, and the text."""
    texts: dict[str, str] = {}
    for script in ("said_by_django.py", "said_by_django_too.py"):
        done = subprocess.run(
            [sys.executable, Path(__file__).with_name(script)],
            capture_output=True,
            text=True,
            timeout=4 * PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        texts |= json.loads(done.stdout.splitlines()[-1])
    return texts


def test_django_says_what_the_rows_say(django: dict[str, str]) -> None:
    wrong = {
        name: text
        for name, text in django.items()
        if not messages.pattern(ROWS[name].message).search(text)
    }
    assert wrong == {}


def test_what_is_said_to_be_reproduced_is_reproduced(django: dict[str, str]) -> None:
    reproduced = {row.id for row in ROWS.values() if row.shown == "ci"}
    assert reproduced == {
        *IN_PROCESS,
        *SCRIPTS,
        *said_by_python.FAIL,
        *TOOLS,
        *CERTIFICATES,
        *django,
        *IN_A_CHAPTER,
    }


def test_an_errno_of_a_row_is_the_one_of_its_message() -> None:
    for row in GROUPS["python"].rows:
        if found := re.search(r"Errno (-?\d+)", row.message):
            assert row.code == found[1]
