"""Hashing is bounded: many log-ins at once wait for each other, and need little memory.

This file is the same in each project.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

PROJECT = Path(__file__).parents[1].name
Hasher: type[Argon2PasswordHasher] = import_module(f"{PROJECT}.hashers").Argon2Hasher


def test_a_password_has_its_hash_and_no_other_has_it() -> None:
    hasher = Hasher()
    stored = hasher.encode("a long password", hasher.salt())
    assert "m=19456,t=2,p=1" in stored
    assert hasher.verify("a long password", stored)
    assert not hasher.verify("another password", stored)


def test_production_hashes_so() -> None:
    settings = (Path(__file__).parents[1] / PROJECT / "settings.py").read_text()
    assert f'PASSWORD_HASHERS = ["{PROJECT}.hashers.Argon2Hasher"]' in settings


def test_one_is_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    all_ask = threading.Barrier(8)

    def verify(*_: Any) -> bool:
        threads.append(threading.current_thread())
        return True

    def log_in(_: int) -> bool:
        all_ask.wait(30)
        return Hasher().verify("", "")

    monkeypatch.setattr(Argon2PasswordHasher, "verify", verify)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(log_in, range(8)))
    assert len(threads) == 8
    assert len(set(threads)) == 1  # and a thread does one thing at a time
