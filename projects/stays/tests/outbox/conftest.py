"""A broker of these tests' own: another database of Valkey, which no other worker listens to."""

import base64
import json
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from celery import Celery

from stays.outbox import services
from tests.programs import start

__all__ = ["start"]
BROKER = os.environ["CACHE_URL"].rpartition("/")[0] + "/7"


@pytest.fixture(autouse=True)
def broker(monkeypatch: pytest.MonkeyPatch, valkey: redis.Redis) -> Iterator[redis.Redis]:  # noqa: ARG001
    """A client of the broker, which the outbox sends to."""
    app = Celery("stays", broker=BROKER, set_as_current=False)
    monkeypatch.setattr(services, "app", app)
    with redis.Redis.from_url(BROKER) as client:
        yield client
    app.close()


@pytest.fixture
def no_broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Broker down; the function brings it back."""
    up = services.app
    app = Celery("stays", broker="redis://127.0.0.1:9/0", set_as_current=False)
    monkeypatch.setattr(services, "app", app)
    yield lambda: monkeypatch.setattr(services, "app", up)
    app.close()


@pytest.fixture
def queue(broker: redis.Redis) -> Callable[[], list[tuple[str, dict[str, Any], dict[str, Any]]]]:
    """What waits at the broker, oldest first: task, arguments, headers."""

    def waiting() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
        found = []
        for raw in reversed(broker.lrange("celery", 0, -1)):
            message = json.loads(raw)
            _, arguments, _ = json.loads(base64.b64decode(message["body"]))
            found.append((message["headers"]["task"], arguments, message["headers"]))
        return found

    return waiting
