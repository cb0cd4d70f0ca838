"""Fixtures."""

import gc
import signal

import pytest


def pytest_collection_finish() -> None:
    """Keep garbage collection from looking at all that was imported, again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A shell lets what it starts in the background ignore SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
