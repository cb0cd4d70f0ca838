"""A pytest plugin (`-p tests.servers`): real servers, and the environment that names them.

Django's settings read the environment when they are imported, so this comes before pytest-django.
TEST_DATABASE_URL and TEST_VALKEY_URL name servers to use instead of those of the wheels.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext

import pytest

from local.environment import variables
from local.servers import postgres, valkey

_stack = ExitStack()


@contextmanager
def servers() -> Iterator[dict[str, str]]:
    """Start what is not named, and yield the environment."""
    database = os.environ.get("TEST_DATABASE_URL")
    cache = os.environ.get("TEST_VALKEY_URL")
    with (
        nullcontext(database) if database else postgres() as database_url,
        nullcontext(cache) if cache else valkey() as valkey_url,
    ):
        yield variables(database=database_url, valkey=valkey_url, provider="http://127.0.0.1:9")


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start the servers before Django's settings are read."""
    os.environ.update(_stack.enter_context(servers()))


def pytest_unconfigure() -> None:
    """End them after everything else."""
    _stack.close()
