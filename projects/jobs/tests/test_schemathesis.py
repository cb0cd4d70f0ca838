"""Schemathesis makes requests from the OpenAPI document, right ones and wrong ones."""

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import httpx

from jobs import services, tokens
from tests.conftest import PDF, World, environment, make_application, wait_for

CONFIG = """
[parameters]
# So that requests meet something. That an unknown one is a 404, other tests see.
"path.id" = {pk}
"path.slug" = "{slug}"

[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409"]

[[operations]]
include-operation-id = [
  "upload_resume", "apply", "register", "make_user", "offer_job", "change_job",
]
# A PDF, a password that is not common, a category that is there: no schema can say these.
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404", "409"]

[[operations]]
include-method = "GET"
# A cursor is opaque, so any text fits its schema.
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "401", "403", "404"]

[[operations]]
include-operation-id = "delete_resume"
parameters."path.id" = "{resume}"
"""
GUNICORN = "import sys; from gunicorn.app.wsgiapp import run; sys.exit(run())"


def test_no_request_finds_a_fault(committed: World, tmp_path: Path) -> None:
    text = CONFIG.format(
        pk=committed.application.pk,
        slug=committed.job.category.slug,
        resume=services.keep_resume(committed.person, PDF).pk,
    )
    bearer = f"Authorization: Bearer {tokens.issue(committed.boss)['access']}"
    config = tmp_path / "schemathesis.toml"
    config.write_text(text)
    make_application(committed.other_job)
    variables = environment(
        LOGIN_ATTEMPTS_PER_ACCOUNT="1000000",
        LOGIN_ATTEMPTS_PER_ADDRESS="1000000",
        REGISTRATIONS_PER_ADDRESS="1000000",
        PYTHONPATH=".",
    )
    log = tmp_path / "gunicorn.log"
    command = [sys.executable, "-c", GUNICORN, "jobs.wsgi", "--bind=127.0.0.1:0", "--threads=2"]
    with (
        log.open("wb") as file,
        subprocess.Popen(
            [*command, "--no-control-socket", "--limit-request-line=0"],
            env=variables,
            stdout=file,
            stderr=subprocess.STDOUT,
        ) as server,
    ):
        try:
            found = wait_for(lambda: re.search(r"Listening at: (\S+)", log.read_text()))
            wait_for(lambda: answers(found[1]))
            # It is made once, and kept. The first one may take longer than schemathesis waits.
            httpx.get(f"{found[1]}/api/schema", timeout=120).raise_for_status()
            done = subprocess.run(
                [
                    *(str(Path(sys.executable).with_name("schemathesis")),),
                    *(f"--config-file={config}", "run", f"{found[1]}/api/schema"),
                    *(
                        "--header",
                        bearer,
                        "--checks=all",
                        "--seed=1",
                        "--max-examples=8",
                        "--phases=fuzzing",
                    ),
                    *("--no-color", "--continue-on-failure", "--request-timeout=30"),
                ],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=300,
            )
        finally:
            server.terminate()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-5_000:]
    assert len(set(counted.groups())) == 1, "every operation was tested"


def answers(url: str) -> bool:
    with suppress(httpx.HTTPError):
        return httpx.get(f"{url}/healthz").status_code == 200
    return False
