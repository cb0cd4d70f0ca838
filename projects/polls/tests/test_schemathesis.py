"""Schemathesis makes requests from the OpenAPI description, right ones and wrong ones.

It does so over real HTTP, against uvicorn, with all of its checks. The stream, which does not end,
is left out: tests/test_stream.py reads it.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection

from local import free_port
from tests.factories import PASSWORD, make_poll, make_user
from tests.racing import until

EXAMPLES = 2  # for each operation, besides those that try out each part of the schema
CONFIG = """
[auth.dynamic.openapi.bearerAuth]
path = "/api/v1/auth/login"
payload = {{ username = "ada", password = "{password}" }}
extract_selector = "/token"
retry_on = [401]

[parameters]
# So that requests meet something. That an unknown one is a 404, other tests see.
"path.poll_id" = "{poll}"

[checks.positive_data_acceptance]
# 400 and 409 are rules that no schema can say: a moment that has passed, an option of this poll.
expected-statuses = ["2xx", "400", "401", "403", "404", "409"]
"""


@pytest.fixture
def server() -> Iterator[str]:
    """uvicorn, on this test's database."""
    port, name = free_port(), connection.settings_dict["NAME"]
    url = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    limits = dict.fromkeys(("ATTEMPTS_ACCOUNT", "ATTEMPTS_ADDRESS", "ATTEMPTS_REGISTER"), "1000000")
    command = f"-m uvicorn polls.asgi:application --port={port} --lifespan=off --log-level=error"
    with subprocess.Popen(
        [sys.executable, *command.split()],
        env=os.environ
        | limits
        | {
            "DATABASE_URL": url,
            "LOG_LEVEL": "ERROR",
            "DJANGO_SETTINGS_MODULE": "tests.settings",
        },
    ) as process:

        def is_up() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz", trust_env=False).is_success
            except httpx.TransportError:
                assert process.poll() is None
                return False

        try:
            until(is_up)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(server: str, tmp_path: Path) -> None:
    user = make_user(username="ada", password=make_password(PASSWORD))
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(password=PASSWORD, poll=make_poll(user).pk))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}"),
        *("run", f"{server}/api/schema", "--checks=all", "--seed=1", "--no-color"),
        *("--phases=examples,coverage,fuzzing", f"--max-examples={EXAMPLES}"),
        "--continue-on-failure",
        *("--exclude-operation-id", "polls_stream"),
    ]
    # It is made once, and kept. The first one may take longer than schemathesis waits.
    httpx.get(f"{server}/api/schema", timeout=120, trust_env=False).raise_for_status()
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=1_500)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-5_000:]
    selected, described, tested = map(int, counted.groups())
    assert selected == tested == described - 1
