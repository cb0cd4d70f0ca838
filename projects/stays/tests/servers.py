"""A pytest plugin (`-p tests.servers`): real servers, and the environment that names them.

Django's settings read the environment when they are imported, so this comes before pytest-django.
TEST_DATABASE_URL and TEST_VALKEY_URL name servers to use instead of those of the wheels.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import pytest

from local import servers
from local.environment import variables

NAMED = {"postgres": "TEST_DATABASE_URL", "valkey": "TEST_VALKEY_URL"}

_stack = ExitStack()


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Start what is not named, and yield the environment."""
    urls = {name: url for name, variable in NAMED.items() if (url := os.environ.get(variable))}
    with servers.servers(*(NAMED.keys() - urls)) as started:
        urls |= started
        yield variables(
            database=urls["postgres"], valkey=urls["valkey"], provider="http://127.0.0.1:9"
        )


# They start while pytest loads its other plugins.
_pool = ThreadPoolExecutor(1)
_starting = _pool.submit(_stack.enter_context, environment())
_pool.shutdown(wait=False)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Wait for the servers before Django's settings are read."""
    try:
        os.environ.update(_starting.result())
    except servers.StartError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_unconfigure() -> None:
    """End them after everything else."""
    _stack.close()
