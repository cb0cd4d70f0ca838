"""What the rows on servers and workers say, they say: nginx, gunicorn, uvicorn and Celery.

Each message is provoked in a moment, by a configuration or an application with one mistake.
"""

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nexus.services import programs
from tools import messages

ROWS = {row.id: row for group in messages.load() for row in group.rows}
PATIENCE = 120
APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [])
    return []


number = 7
"""
JOBS = """
from celery import Celery
from celery.schedules import crontab
from kombu.serialization import loads

jobs = Celery("jobs", broker="memory://")
elsewhere = Celery("elsewhere", broker="carrier-pigeon://")
far = Celery("far", broker="redis://127.0.0.1:1/0")


@jobs.task
def confirm(guest):
    return guest


@jobs.task(bind=True, max_retries=0)
def stubborn(self):
    raise self.retry(countdown=0)
"""

# A file in the place of PROBLEM, inside the block `http`, that nginx refuses.
NGINX = {
    "nginx-unknown-directive": "servr {}",
    "nginx-host-not-found": "upstream shop { server nobody.invalid:80; }",
    "nginx-cannot-load-certificate": "server { listen 127.0.0.1:PORT ssl; "
    "ssl_certificate /nowhere/cert.pem; ssl_certificate_key /nowhere/key.pem; }",
    "nginx-no-ssl-certificate": "server { listen 127.0.0.1:PORT ssl; }",
    "nginx-names-hash": "server_names_hash_bucket_size 32; server { listen 127.0.0.1:PORT; "
    f"server_name {'long' * 30}.example.org; }} "
    "server { listen 127.0.0.1:PORT; server_name b.example.org; }",
    "nginx-number-of-arguments": "server { listen 127.0.0.1:PORT; server_name ; }",
    "nginx-not-allowed-here": "proxy_pass http://127.0.0.1;",
    "nginx-syntax": "} }",
    "nginx-unexpected-end": "server { listen 127.0.0.1:PORT;",
    "nginx-not-terminated": "server { listen 127.0.0.1:PORT location / {} }",
    "nginx-no-port-in-upstream": "server { listen 127.0.0.1:PORT; "
    "location / { uwsgi_pass nobody; } }",
    "nginx-duplicate-default": "server { listen 127.0.0.1:PORT default_server; } "
    "server { listen 127.0.0.1:PORT default_server; }",
    "nginx-any-emerg": "anything;",
    "nginx-duplicate": "server_names_hash_bucket_size 64; server_names_hash_bucket_size 64;",
}
# What is started, and then ends with the message.
COMMANDS = {
    "gunicorn-failed-to-boot": ["gunicorn", "missing:application", "--bind", "127.0.0.1:0"],
    "gunicorn-app-failed": ["gunicorn", "web:app", "--bind", "127.0.0.1:0"],
    "uvicorn-could-not-import": ["uvicorn", "missing:application", "--port", "0"],
    "uvicorn-attribute": ["uvicorn", "web:app", "--port", "0"],
    "celery-module-not-found": ["celery", "--app", "missing", "worker"],
    "celery-no-attribute": ["celery", "--app", "web", "worker"],
}
# What a program of a few lines says at its end.
SCRIPTS = {
    "celery-encode-error": "confirm.delay({1, 2}.__iter__)",
    "celery-no-transport": "elsewhere.send_task('x')",
    "celery-crontab-invalid": "crontab(minute=60)",
    "celery-not-registered": "jobs.tasks['jobs.nobody']",
    "celery-no-result-backend": "confirm.delay(1).get()",
    "celery-disabled-backend": "confirm.delay(1).state",
    "kombu-content-disallowed": "loads(b'', 'application/x-python-serialize', 'binary', ['json'])",
    "celery-max-retries": "jobs.conf.task_always_eager = True; "
    "jobs.conf.task_eager_propagates = True; stubborn.delay()",
    "kombu-redis-refused": "far.conf.broker_transport_options = {'max_retries': 1}; "
    "far.send_task('x', retry=False)",
}
PROVOKED = {*NGINX, *COMMANDS, *SCRIPTS, "gunicorn-connection-in-use", "nginx-bind-in-use"}


def found(name: str, text: str) -> None:
    """Refuse a text that has not the row's message; addresses and times may differ."""
    text = text.replace("(98: Address in use)", "(98: Address already in use)")  # with musl
    wanted = messages.pattern(ROWS[name].message.replace("0.0.0.0:80", "…"))
    assert wanted.search(re.sub(r"\[\d+\] ", "", text)), text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "web.py").write_text(APPLICATION)
    (tmp_path / "jobs.py").write_text(JOBS)
    return tmp_path


def run(folder: Path, *command: str) -> str:
    """Return all that a command says, which ends by itself."""
    ended = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder), "C_FORCE_ROOT": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert ended.returncode != 0, ended.stdout
    return ended.stdout


@contextmanager
def taken() -> Iterator[int]:
    """A port at which somebody listens already."""
    with socket.create_server(("127.0.0.1", 0)) as somebody:
        yield somebody.getsockname()[1]


def nginx(folder: Path, problem: str, *options: str) -> str:
    """Return why nginx refuses a configuration."""
    conf = folder / "nginx.conf"
    paths = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{path}_temp_path {folder}/{path};" for path in paths)
    conf.write_text(
        f"pid {folder}/pid; error_log {folder}/error.log; events {{}} "
        f"http {{ access_log off; {temporary} {problem} }}"
    )
    # With a file for its log, it says the same on stderr, as on most machines.
    places = ("-p", str(folder), "-c", str(conf), "-e", str(folder / "start.log"))
    return run(folder, str(programs.nginx()), *options, *places)


@pytest.mark.parametrize("name", NGINX)
def test_nginx_says_what_the_row_says(folder: Path, name: str) -> None:
    with taken() as port:  # it is only named: `-t` opens no port below
        found(name, nginx(folder, NGINX[name].replace("PORT", str(port)), "-t"))


def test_nginx_says_that_its_port_is_taken(folder: Path) -> None:
    with taken() as port:
        found("nginx-bind-in-use", nginx(folder, f"server {{ listen 127.0.0.1:{port}; }}"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_server_says_what_the_row_says(folder: Path, name: str) -> None:
    program, *options = COMMANDS[name]
    found(name, run(folder, sys.executable, "-m", program, *options))


def test_gunicorn_says_that_its_port_is_taken(folder: Path) -> None:
    with taken() as port:
        options = ("--bind", f"127.0.0.1:{port}", "web:application")
        said = run(folder, sys.executable, "-m", "gunicorn", *options)
    found("gunicorn-connection-in-use", said)


@pytest.mark.parametrize("name", SCRIPTS)
def test_celery_says_what_the_row_says(folder: Path, name: str) -> None:
    text = f"from jobs import *\n{SCRIPTS[name]}"
    found(name, run(folder, sys.executable, "-c", text))


def test_what_is_provoked_is_said_to_be() -> None:
    assert {name for name in PROVOKED if ROWS[name].shown != "ci"} == set()
