"""RealWorld's own collection, if it is there: NEWMAN (the program) and CONDUIT_COLLECTION (a file).

npm install newman
NEWMAN=node_modules/.bin/newman CONDUIT_COLLECTION=Conduit.postman_collection.json make test
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

NEWMAN = shutil.which(os.environ.get("NEWMAN", "newman"))
COLLECTION = os.environ.get("CONDUIT_COLLECTION", "")


@pytest.mark.skipif(
    not (NEWMAN and Path(COLLECTION).is_file()),
    reason="needs newman (NEWMAN) and RealWorld's collection (CONDUIT_COLLECTION)",
)
@pytest.mark.django_db(transaction=True)
def test_the_rest_api_conforms_to_realworld(live_server: Any, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    variables = {
        "APIURL": f"{live_server.url}/api",
        "USERNAME": "conduit",
        "EMAIL": "conduit@example.com",
        "PASSWORD": "a-good-pass-phrase",
    }
    given = [
        part for name, value in variables.items() for part in ("--global-var", f"{name}={value}")
    ]
    command = [str(NEWMAN), "run", COLLECTION, *given, "--reporters=json"]
    done = subprocess.run(
        [*command, f"--reporter-json-export={report}"], capture_output=True, text=True, timeout=300
    )
    stats = json.loads(report.read_text())["run"]["stats"]
    assert done.returncode == 0, done.stdout
    assert stats["requests"]["total"] >= 32
    assert stats["assertions"]["total"] >= 300
    assert stats["assertions"]["failed"] == stats["requests"]["failed"] == 0
