"""Every probe passes on the right API, and names the fault that is seeded."""

from collections.abc import Callable
from pathlib import Path

import pytest
import reference

from acceptance.api import Api
from acceptance.run import FAILED, PASSED, choose, load, run

NAMED = {
    "lost-title": "create-and-read",
    "double-like": "one-like-a-person",
    "no-filter": "filter",
    "wrong-order": "sort",
    "offset": "stable-pages",
    "n-plus-one": "no-query-per-row",
    "no-token": "token-needed",
    "no-signature": "forged-token",
    "weak-key": "forged-token",
    "long-token": "token-expires",
    "refresh-twice": "refresh-once",
    "no-logout": "logout",
    "anyone-changes": "roles",
    "injection": "sql-injection",
    "mass-assignment": "mass-assignment",
    "html-error": "errors",
    "no-docs": "docs",
    "thin-schema": "schema",
}


def test_the_right_one_passes_everything(api: Callable[..., Api]) -> None:
    results = run(load("notes").checks, api())
    assert [(r.check.name, str(r.failure or r.reason)) for r in results if r.state != PASSED] == []


@pytest.mark.parametrize(("fault", "check"), NAMED.items(), ids=NAMED)
def test_a_fault_is_named(api: Callable[..., Api], fault: str, check: str) -> None:
    [result] = run(choose(load("notes"), [check]), api(fault))
    assert result.state == FAILED, result
    assert result.failure is not None
    assert result.failure.sent
    assert result.failure.came
    assert result.failure.wanted


def test_every_check_has_a_fault() -> None:
    assert set(NAMED.values()) == {check.name for check in load("notes").checks}


def test_the_faults_are_all_switches_of_the_reference() -> None:
    source = Path(reference.__file__).read_text()
    assert [fault for fault in NAMED if f'"{fault}"' not in source] == []
