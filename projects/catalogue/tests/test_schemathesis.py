"""Schemathesis makes requests from the OpenAPI description over HTTP, right ones and wrong ones."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from catalogue import images
from catalogue.services import place_order
from tests.conftest import DEADLINE, make_category, make_product, make_user
from tests.test_images import picture_file

BIN = Path(sys.executable).parent
CONFIG = """
[auth.dynamic.openapi.jwtAuth]
path = "/api/v1/auth/login"
payload = {{ email = "{email}", password = "a-long-password-1" }}
extract_selector = "/access"
retry_on = [401]

[parameters]
# So that requests meet something. That an unknown one is a 404, other tests see.
"path.slug" = "{slug}"
"path.id" = {number}
"path.digest" = "{digest}"

[checks.positive_data_acceptance]
# 422 and 409 are rules that no schema can say; 400 too: a cursor, or a price without a currency.
expected-statuses = ["2xx", "400", "401", "403", "404", "409", "422"]

[[operations]]
include-operation-id-regex = "^orders_"
parameters = {{ "path.id" = "{order}" }}
"""


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """The site under gunicorn, on the tests' database."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    database = str(connection.settings_dict["NAME"])
    url = re.sub(r"/postgres(?=\?|$)", f"/{database}", os.environ["DATABASE_URL"])
    variables = os.environ | {
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "MEDIA_ROOT": str(tmp_path / "media"),
        "ATTEMPTS_ACCOUNT": "1000000",
        "ATTEMPTS_ADDRESS": "1000000",
    }
    command = ["gunicorn", "catalogue.wsgi", f"--bind=127.0.0.1:{port}", "--threads=4"]
    options = ["--limit-request-line=0", "--log-level=warning"]
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen(
            [sys.executable, "-m", *command, *options],
            cwd=Path(__file__).resolve().parent.parent,
            env=variables,
            stdout=log,
            stderr=log,
        ) as server,
    ):
        ends = time.monotonic() + DEADLINE
        while time.monotonic() < ends and server.poll() is None:
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
        server.terminate()


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(address: str, tmp_path: Path) -> None:
    user = make_user("staff")
    category = make_category(slug="seats")
    product = make_product(seller=user, category=category)
    image = images.add_image(product, picture_file())
    ordered = [{"product": product.pk, "quantity": 1}]
    order, _ = place_order(customer=user, key="order-0001", items=ordered)
    config = tmp_path / "schemathesis.toml"
    config.write_text(
        CONFIG.format(
            email=user.email,
            slug=category.slug,
            number=product.pk,
            digest=image.digest,
            order=order.pk,
        )
    )
    description = tmp_path / "schema.json"
    # The first request of a process imports a lot, and may take longer than schemathesis waits.
    with urllib.request.urlopen(f"{address}/api/schema", timeout=DEADLINE * 4) as answer:
        description.write_bytes(answer.read())
    done = subprocess.run(
        [
            *(BIN / "schemathesis", f"--config-file={config}", "run", description),
            *("--checks=all", "--seed=1", "--max-examples=2", "--no-color"),
            *(f"--url={address}", "--request-timeout=60", "--continue-on-failure"),
            "--exclude-checks=ensure_resource_availability",  # a DELETE takes what CONFIG names
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-15_000:] + done.stderr[-5_000:]
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-3_000:]
    assert len(set(counted.groups())) == 1, "every operation was tested"
