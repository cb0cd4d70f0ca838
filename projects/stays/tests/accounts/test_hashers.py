"""What hashing passwords may cost, in memory."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest
import yaml
from django.contrib.auth import hashers
from django.contrib.auth.hashers import Argon2PasswordHasher
from django.test import override_settings
from zeal import zeal_ignore

from stays import settings as production
from stays.accounts.hashers import Argon2Hasher
from tests.factories import make_user
from tests.programs import DEADLINE, ROOT, Program, Start

ours = override_settings(PASSWORD_HASHERS=production.PASSWORD_HASHERS)


def test_the_parameters_are_owasps() -> None:
    with ours:
        hashed = hashers.make_password("a long enough password")
        assert hashed.startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")
        assert hashers.check_password("a long enough password", hashed)
        assert not hashers.check_password("another password", hashed)


@pytest.mark.django_db
def test_an_older_hash_is_good_and_is_made_anew() -> None:
    with ours, zeal_ignore():
        user = make_user()
        user.password = Argon2PasswordHasher().encode("an older password", "salt" * 4)
        user.save()
        assert "m=102400" in user.password
        assert user.check_password("an older password")
        user.refresh_from_db()
        assert "m=19456" in user.password
        assert user.check_password("an older password")


def test_a_process_hashes_one_password_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once, most, lock = 0, 0, threading.Lock()
    inside = threading.Event()

    def hashing(*_: Any, **__: Any) -> str:
        nonlocal at_once, most
        with lock:
            at_once += 1
            most = max(most, at_once)
        inside.wait(0.05)  # another one that may come in does so meanwhile
        with lock:
            at_once -= 1
        return ""

    monkeypatch.setattr(Argon2PasswordHasher, "encode", hashing)
    monkeypatch.setattr(Argon2PasswordHasher, "verify", hashing)
    hasher = Argon2Hasher()
    with ThreadPoolExecutor(8) as pool:
        for number in range(16):
            act = hasher.encode if number % 2 else hasher.verify
            pool.submit(act, "password", "salt" * 4)
    assert most == 1


@pytest.mark.django_db(transaction=True)
def test_many_log_ins_at_once_fit_into_the_container(start: Start) -> None:
    """Of addresses that do not exist: these are hashed too, and need no account."""
    program: Program = start("gunicorn", WEB_CONCURRENCY="2", LOGIN_RATE_ADDRESS="1000/m")
    url = program.url()

    def log_in(number: int) -> int:
        body = {"email": f"nobody{number}@example.com", "password": "x"}
        return httpx.post(f"{url}/api/v1/auth/login", json=body, timeout=DEADLINE).status_code

    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(log_in, range(32))) == {401}
    tree = psutil.Process(program.process.pid)
    peaks = []
    for process in (tree, *tree.children(recursive=True)):
        with open(f"/proc/{process.pid}/status") as status:  # noqa: PTH123
            (line,) = [line for line in status if line.startswith("VmHWM")]
        peaks.append(int(line.split()[1]) * 1024)
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    limit = compose["services"]["web"]["deploy"]["resources"]["limits"]["memory"]
    assert limit == "512M"
    assert sum(peaks) < 400_000_000, peaks
