"""Schemathesis makes requests from the OpenAPI description, right ones and wrong ones.

It does so as a host who also books, over real HTTP, with all of its checks. It logs in by itself,
and again when it has logged itself out.
"""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_django.live_server_helper import LiveServer

from tests.factories import PASSWORD, make_booking, make_host, make_property

EXAMPLES = 10  # for each operation, besides those that try out each part of the schema
CONFIG = f"""
[auth.dynamic.openapi.bearerAuth]
path = "/api/v1/auth/login"
payload = {{ email = "host@example.com", password = "{PASSWORD}" }}
extract_selector = "/access"
retry_on = [401]

[checks.positive_data_acceptance]
# 422 is a rule that no schema can say: a day that has passed, an order of two dates.
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]

[[operations]]
include-method = "GET"
# 304 if it has the representation. 400 too: a cursor is opaque, so that any text fits its schema.
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404"]
"""


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(live_server: LiveServer, settings: Any, tmp_path: Path) -> None:
    settings.LOGIN_RATE_ACCOUNT = settings.LOGIN_RATE_ADDRESS = "1000000/1s"
    host = make_host(email="host@example.com")
    make_booking(property=make_property(host=host))
    make_booking(guest=host)
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG)
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        f"--config-file={config}",
        *("run", f"{live_server.url}/api/schema", "--checks=all", "--seed=1"),
        *(f"--max-examples={EXAMPLES}", "--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert "No issues found" in done.stdout, done.stdout[-5_000:]
