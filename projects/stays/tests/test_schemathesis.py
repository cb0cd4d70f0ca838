"""Schemathesis makes requests from the OpenAPI description, right ones and wrong ones.

It does so as a host who also books, over real HTTP, with all of its checks. It logs in by itself,
and again when it has logged itself out.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from stays.messaging.services import start_conversation
from tests.factories import PASSWORD, make_booking, make_host, make_property
from tests.programs import Start

EXAMPLES = 10  # for each operation, besides those that try out each part of the schema
CONFIG = """
[auth.dynamic.openapi.bearerAuth]
path = "/api/v1/auth/login"
payload = {{ email = "host@example.com", password = "{password}" }}
extract_selector = "/access"
retry_on = [401]

[parameters]
# So that requests meet something. That an unknown one is a 404, other tests see.
"path.slug" = "{slug}"
"path.booking_id" = "{booking_id}"
"path.conversation_id" = "{conversation_id}"

[checks.positive_data_acceptance]
# 422 is a rule that no schema can say: a day that has passed, an order of two dates.
expected-statuses = ["2xx", "401", "403", "404", "409", "412", "422"]

[checks.missing_required_header]
expected-statuses = ["400", "401", "403", "406", "415", "422", "428"]  # 428: no If-Match (RFC 6585)

[[operations]]
include-method = "GET"
# 304 if it has the representation. 400 too: a cursor is opaque, so that any text fits its schema.
checks.positive_data_acceptance.expected-statuses = ["2xx", "304", "400", "401", "403", "404"]
"""


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(start: Start, tmp_path: Path) -> None:
    server = start(
        "gunicorn",
        DJANGO_SETTINGS_MODULE="tests.settings",
        LOGIN_RATE_ACCOUNT="1000000/1s",
        LOGIN_RATE_ADDRESS="1000000/1s",
        # gunicorn itself would answer 414 for long addresses, before the application is asked.
        GUNICORN_CMD_ARGS="--limit-request-line=0",
    )
    host = make_host(email="host@example.com")
    mine, booked = make_property(host=host), make_property()
    ids = {
        "password": PASSWORD,
        "slug": mine.slug,
        "booking_id": make_booking(property=booked, guest=host).id,
        "conversation_id": start_conversation(
            actor=host, property_slug=booked.slug, text="Is it quiet?"
        ).id,
    }
    config = tmp_path / "schemathesis.toml"
    config.write_text(CONFIG.format(**ids))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}"),
        *("run", f"{server.url()}/api/schema", "--checks=all", "--seed=1"),
        *(f"--max-examples={EXAMPLES}", "--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-5_000:]
    assert len(set(counted.groups())) == 1, "every operation was tested"
