"""Look at a Django project as a reviewer would: `python -m nexus.review PATH`.

Well-kept tools look first: ruff, hadolint, zizmor and check-jsonschema. Rules of our own look at
what those tools do not read: the defaults of settings, queries in loops, constraints that a check
in Python needs, migrations, neighbours in compose.yaml, and tests that assert nothing. bandit is
not among the tools, because ruff's S rules are the same checks.

Nothing of the project is changed, nothing of it is run unless you ask (`--run`), nothing is sent
over the network, and each tool has a limit of time.

    >>> from nexus import review
    >>> found = review.look("projects/polls")
    >>> found.serious
    []
"""

from nexus.review.findings import Finding, NotAProjectError, Review, Severity
from nexus.review.look import look

__all__ = ["Finding", "NotAProjectError", "Review", "Severity", "look"]
