"""Rules of our own: each module looks at one subject, and yields findings."""

from nexus.review.rules import data, migrations, secrets, settings, shipping, tests

ALL = (settings.look, secrets.look, data.look, migrations.look, shipping.look, tests.look)
"""Each takes a project, and yields findings."""

__all__ = ["ALL"]
