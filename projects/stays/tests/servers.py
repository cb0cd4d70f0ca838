"""A pytest plugin (`-p tests.servers`): real servers, and the environment that names them.

Django's settings read the environment when they are imported, so this comes before pytest-django.
TEST_DATABASE_URL and TEST_VALKEY_URL name servers to use instead of those of the wheels.

With `--numprocesses=auto` several workers run the tests, and each has servers of its own. Many
tests are about what a whole server has: its locks, its counters, all of its keys. So servers that
are named have one worker.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from local import servers
from local.environment import variables
from local.gates import COLOURS, NOWHERE

NAMED = {"postgres": "TEST_DATABASE_URL", "valkey": "TEST_VALKEY_URL"}
MOST_WORKERS = 4
"""More would wait for the longest test."""

_stack = ExitStack()


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Start what is not named, and yield the environment."""
    urls = named()
    with servers.servers(*(NAMED.keys() - urls)) as started:
        urls |= started
        yield variables(
            database=urls["postgres"], valkey=urls["valkey"], provider="http://127.0.0.1:9"
        )


def named() -> dict[str, str]:
    """The URLs of servers that were named."""
    return {name: url for name, variable in NAMED.items() if (url := os.environ.get(variable))}


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Have the servers before Django's settings are read."""
    workers = workers_for(early_config.known_args_namespace.numprocesses)
    if workers and named():
        raise pytest.UsageError("Servers that are named have one worker: leave out -n")
    try:
        os.environ.update(NOWHERE if workers else _stack.enter_context(environment()))
    except servers.StartError as error:
        raise pytest.UsageError(str(error)) from error
    for name in COLOURS:  # the tests read what programs say
        os.environ.pop(name, None)
    os.environ["PYTHON_COLORS"] = "0"


def workers_for(asked: int | str | None) -> int:
    """How many workers there will be; in one of them there are none."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        return 0
    return pytest_xdist_auto_num_workers() if isinstance(asked, str) else asked or 0


def pytest_xdist_auto_num_workers() -> int:
    """Return the number for `--numprocesses=auto`. None means: in this process."""
    return 0 if named() else min(MOST_WORKERS, max(2, os.cpu_count() or 2))


def pytest_unconfigure() -> None:
    """End them after everything else."""
    _stack.close()
