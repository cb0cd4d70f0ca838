"""Tests that need a program which not every machine has."""

import os

import pytest

from nexus import needs


def need(name: str) -> pytest.MarkDecorator:
    """Skip where a program is missing, with the line that says how to install it.

    Nothing is skipped in CI, which has all of them, so that a broken set-up is seen there.

    Args:
        name: The program, as a cell names it after `# needs:`.
    """
    why = needs.missing(f"# needs: {name}")
    return pytest.mark.skipif(
        why is not None and "CI" not in os.environ, reason=why or f"{name} is there"
    )
