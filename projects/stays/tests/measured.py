"""A pytest plugin (`-p tests.measured`): measures what the tests run of the project.

Each worker of pytest-xdist measures itself, from before anything of the project is imported. At the
end the process that hands out the tests makes one file of theirs, for `coverage report`.
"""

import os

import pytest
from coverage import Coverage

_coverage = Coverage()
if "PYTEST_XDIST_WORKER" not in os.environ:
    _coverage.erase()
_coverage.start()


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Save what was measured. A worker has not yet said that it is finished."""
    _coverage.stop()
    _coverage.save()


def pytest_unconfigure() -> None:
    """Combine, when all workers have ended."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        combined = Coverage()
        combined.combine()
        combined.save()
