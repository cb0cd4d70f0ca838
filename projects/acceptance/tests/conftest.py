"""What the tests share."""

from collections.abc import Callable, Iterator

import pytest
import reference

from acceptance.api import Api
from acceptance.client import Client, Limits
from acceptance.mapping import Mapping


@pytest.fixture
def api() -> Iterator[Callable[..., Api]]:
    """Return a function that gives the reference API with faults, to be looked at."""
    from contextlib import ExitStack

    with ExitStack() as stack:

        def make(*faults: str, **limits: float) -> Api:
            url = stack.enter_context(reference.serve(*faults))
            client = Client(url, Limits(**limits))  # type: ignore[arg-type]
            stack.callback(client.close)
            return Api(client, Mapping.of("notes"))

        yield make
