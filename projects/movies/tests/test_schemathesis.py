"""Schemathesis makes requests from the description, right ones and wrong ones, over real HTTP."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.db import connection

from fake_tmdb.program import TOKEN, Fake
from local import free_port
from movies.models import User
from tests.conftest import PASSWORD

CONFIG = """
[auth.dynamic.openapi.Bearer]
path = "/api/v1/auth/login"
payload = {{ email = "ada@example.com", password = "{password}" }}
extract_selector = "/access"
retry_on = [401]

[parameters]
"path.movie_id" = 1001

[checks.positive_data_acceptance]
# 422 is a rule that no schema can say: a password that many have, an address that has no account.
expected-statuses = ["2xx", "401", "404", "409", "422"]
"""
EXAMPLES = 4


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that no other session of pytest removes, however many run at a time."""
    with tempfile.TemporaryDirectory(prefix="movies-test-") as directory:
        yield Path(directory)


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(
    fake: Fake, fake_server: tuple[Fake, str], place: Path, settings: Any
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    database = connection.settings_dict["NAME"]
    server_url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{database}")
    own = {
        "DATABASE_URL": server_url.geturl(), "TMDB_URL": fake_server[1],
        "TMDB_TOKEN": TOKEN, "REQUEST_LIMIT": "1000000", "LOGIN_LIMIT_ACCOUNT": "1000000",
        "LOGIN_LIMIT_ADDRESS": "1000000", "REGISTER_LIMIT": "1000000",
    }  # fmt: skip
    settings.PASSWORD_HASHERS = ["movies.hashers.Argon2Hasher"]
    User.objects.create_user("ada@example.com", PASSWORD)
    config = place / "schemathesis.toml"
    config.write_text(CONFIG.format(password=PASSWORD))
    serve = ["-m", "uvicorn", "movies.asgi:application", f"--port={port}", "--log-level=warning"]
    log = place / "log"
    with log.open("wb") as out, subprocess.Popen(
        [sys.executable, *serve], env=os.environ | own, stdout=out, stderr=out
    ) as server:  # fmt: skip
        try:
            wait_until_it_answers(url, server)
            command = [
                *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}"),
                *("run", f"{url}/api/v1/openapi.json", "--checks=all", "--seed=1"),
                *(f"--max-examples={EXAMPLES}", "--no-color", "--continue-on-failure"),
            ]
            done = subprocess.run(command, cwd=place, capture_output=True, text=True)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-5_000:] + log.read_text()
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-5_000:]
    assert len(set(counted.groups())) == 1, "every operation was tested"
    assert "Traceback" not in log.read_text()


def wait_until_it_answers(url: str, server: "subprocess.Popen[bytes]") -> None:
    while server.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz") as answer:
                assert answer.status == 200
                return
        except urllib.error.URLError:
            time.sleep(0.05)
    raise AssertionError("the server has ended")
