"""What the tests share: a small world, clients, races, and a mail server that can be held up."""

import itertools
import os
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from django.contrib.auth.hashers import make_password
from django.core.files.storage import default_storage
from django.db import connection
from django_tasks_db.management.commands import db_worker
from rest_framework.test import APIClient

from jobs import services
from jobs.models import Application, Category, Employer, Job, Resume, User
from jobs.states import Role

T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[1]
DEADLINE = 60.0  # seconds until a test that waits in vain fails
PASSWORD = "a-Password-of-tests"
FAST = "django.contrib.auth.hashers.MD5PasswordHasher"
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def fast_hasher(settings: Any) -> None:
    """Hash passwords fast. Argon2 is slow on purpose."""
    settings.PASSWORD_HASHERS = [FAST, *settings.PASSWORD_HASHERS]


@pytest.fixture(autouse=True)
def one_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a worker in this process keep the test's connection, whose transaction is undone."""
    monkeypatch.setattr(f"{db_worker.__name__}.close_old_connections", lambda: None)


@pytest.fixture(autouse=True)
def resumes_apart(tmp_path: Path, settings: Any) -> Path:
    """Keep résumés in the test's own directory."""
    place = tmp_path / "resumes"
    place.mkdir()
    stored: dict[str, Any] = settings.STORAGES["default"]
    options = {**stored["OPTIONS"], "location": str(place)}
    settings.STORAGES = {**settings.STORAGES, "default": {**stored, "OPTIONS": options}}
    settings.RESUME_DIR = str(place)
    return place


def make_user(role: str = Role.APPLICANT, employer: Employer | None = None) -> User:
    number = next(numbers)
    return User.objects.create(
        email=f"user{number}@example.com",
        name=f"User {number}",
        role=role,
        employer=employer,
        password=make_password(PASSWORD),
    )


def make_employer() -> Employer:
    number = next(numbers)
    return Employer.objects.create(name=f"Employer {number}", email=f"hr{number}@example.com")


def make_category() -> Category:
    number = next(numbers)
    return Category.objects.create(slug=f"category-{number}", name=f"Category {number}")


def make_job(employer: Employer | None = None, **fields: Any) -> Job:
    usual: dict[str, Any] = {
        "title": "Baker",
        "description": "You bake bread at night.",
        "place": "Brookfell",
        "type": "full_time",
        "salary_min": 30_000,
        "salary_max": 40_000,
    }
    if "category" not in fields:
        usual["category"] = make_category()
    return Job.objects.create(employer=employer or make_employer(), **usual | fields)


def make_application(job: Job | None = None, person: User | None = None) -> Application:
    person = person or make_user()
    resume = services.keep_resume(person, PDF)
    return services.apply(person, (job or make_job()).pk, resume.pk, "I bake well.")


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    if user:
        client.force_authenticate(user)
    return client


class World:
    """Two employers with one job each, two applicants, one application, one admin."""

    def __init__(self) -> None:
        self.employer, self.other_employer = make_employer(), make_employer()
        self.boss = make_user(Role.EMPLOYER, self.employer)
        self.other_boss = make_user(Role.EMPLOYER, self.other_employer)
        self.person, self.other_person = make_user(), make_user()
        self.admin = make_user(Role.ADMIN)
        self.job, self.other_job = make_job(self.employer), make_job(self.other_employer)
        self.application = make_application(self.job, self.person)
        self.resume: Resume = services.keep_resume(self.person, PDF)


@pytest.fixture
def world(db: None) -> World:
    return World()


@pytest.fixture
def committed(transactional_db: None) -> Iterator[World]:
    """A world that other connections see. At the end, all of those must be gone."""
    yield World()
    wait_for(alone)


def alone() -> bool:
    """Say whether nobody else is connected. A killed program's session ends a little later."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
        return not cursor.fetchone()[0]


def race(actions: list[Callable[[], T]]) -> list[T | Exception]:
    """Call all at once, each on a connection of its own; return results or exceptions."""
    barrier = threading.Barrier(len(actions))

    def one(action: Callable[[], T]) -> T | Exception:
        try:
            connection.ensure_connection()
            barrier.wait(DEADLINE)
            return action()
        except Exception as error:
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(actions)) as pool:
        return list(pool.map(one, actions, timeout=DEADLINE))


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what the condition returns, once that is true."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("It did not come true in time")


class MailServer(socketserver.ThreadingTCPServer):
    """Takes e-mails. It can be told to be silent at a point, so that a worker hangs there.

    Attributes:
        taken: The e-mails, each as soon as its last byte is here.
        silent: No greeting is sent while this is true.
        mute: An e-mail is taken while this is true, and the sender is not told.
        reached: Set when somebody has connected.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MailHandler)
        self.taken: list[str] = []
        self.silent = self.mute = False
        self.reached = threading.Event()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.server_address[1]}"


class MailHandler(socketserver.StreamRequestHandler):
    server: MailServer

    def handle(self) -> None:
        self.server.reached.set()
        if self.server.silent:
            self.rfile.read()  # until the client is gone
            return
        self.say("220 ready")
        while line := self.rfile.readline().decode().strip():
            word = line.upper().split()[0]
            if word == "DATA":
                self.say("354 go on")
                lines = iter(lambda: self.rfile.readline().decode().rstrip("\r\n"), ".")
                self.server.taken.append("\n".join(lines))
                if self.server.mute:
                    self.rfile.read()
                    return
            self.say("221 bye" if word == "QUIT" else "250 fine")

    def say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@pytest.fixture
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server
        server.shutdown()


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a program on the tests' database."""
    before, question, after = os.environ["DATABASE_URL"].partition("?")
    name = connection.settings_dict["NAME"]
    url = f"{before.rpartition('/')[0]}/{name}{question}{after}"
    place = default_storage.location  # type: ignore[attr-defined]
    return os.environ | {"DATABASE_URL": url, "RESUME_DIR": str(place)} | variables


@contextmanager
def program(*command: str, **variables: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a program of this project. It is killed at the end, if it still runs."""
    with subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()
