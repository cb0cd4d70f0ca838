"""Schemathesis makes requests from the description of the REST API, right ones and wrong ones."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from feed import inputs, services
from tests.conftest import make_post, make_user

CONFIG = """
[parameters]
# So that requests meet something. That an unknown one is a 404, other tests see.
"path.slug" = "{slug}"
"path.username" = "{username}"
"path.id" = {comment}

[checks.positive_data_acceptance]
# 422 is a rule that no schema can say: a name that is taken, a character that cannot be stored.
expected-statuses = ["2xx", "401", "403", "404", "422"]
"""


@pytest.mark.django_db(transaction=True)
def test_no_request_finds_a_fault(live_server: Any, tmp_path: Path, settings: Any) -> None:
    settings.LOG_INS_PER_ADDRESS = settings.LOG_INS_PER_ACCOUNT = 10_000
    settings.REGISTRATIONS_PER_ADDRESS = 10_000
    user = make_user()
    post = make_post(user, tags=["tea"])
    comment = services.add_comment(user, inputs.NewComment(body="Yes"), pk=post.pk)
    config = tmp_path / "schemathesis.toml"
    ids = {"slug": post.slug, "username": make_user().username, "comment": comment.pk}
    config.write_text(CONFIG.format(**ids))
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), f"--config-file={config}"),
        *("run", f"{live_server.url}/api/openapi.json", "--checks=all", "--seed=1"),
        *("--header", f"Authorization: Token {services.new_token(user)}"),
        *("--max-examples=3", "--phases=coverage,fuzzing"),
        *("--no-color", "--continue-on-failure"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", done.stdout)
    assert counted, done.stdout[-5_000:]
    assert len(set(counted.groups())) == 1, "every operation was tested"
