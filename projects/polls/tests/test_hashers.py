"""Hashing is bounded: many log-ins at once wait for each other, and need little memory."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher

from polls.hashers import Argon2Hasher


def test_a_password_has_its_hash_and_no_other_has_it() -> None:
    hasher = Argon2Hasher()
    stored = hasher.encode("a long password", hasher.salt())
    assert "m=19456,t=2,p=1" in stored
    assert hasher.verify("a long password", stored)
    assert not hasher.verify("another password", stored)


def test_two_are_hashed_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    most, inside, lock = 0, 0, threading.Lock()
    two = threading.Barrier(2)  # so two really are at it together

    def slow(*_: Any) -> bool:
        nonlocal most, inside
        with lock:
            inside += 1
            most = max(most, inside)
        two.wait(30)
        with lock:
            inside -= 1
        return True

    monkeypatch.setattr(Argon2PasswordHasher, "verify", slow)
    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(lambda _: Argon2Hasher().verify("", ""), range(8)))
    assert most == 2
