"""The fake payment provider, which the settings name while a test runs."""

from collections.abc import Iterator

import pytest
from django.test import override_settings
from zeal import zeal_ignore

from local.provider import FakeProvider, provider
from tests.payments.events import KEY, SECRET


@pytest.fixture
def one_row_at_a_time() -> Iterator[None]:
    """For tests that call services several times: each locks its one row, which is no N+1."""
    with zeal_ignore():
        yield


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    """A provider over real HTTP. It calls nobody until it is told whom."""
    with (
        provider(key=KEY, secret=SECRET, slow_seconds=5, retry_seconds=0.02) as running,
        override_settings(
            PAYMENT_PROVIDER_URL=running.url,
            PAYMENT_PROVIDER_KEY=KEY,
            PAYMENT_WEBHOOK_SECRET=SECRET,
            PAYMENT_PROVIDER_SECONDS=0.5,
        ),
    ):
        yield running
