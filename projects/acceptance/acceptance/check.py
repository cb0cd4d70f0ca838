"""What a check is, how a suite registers one, and how one fails or is skipped."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CRITERIA = {
    "functionality": "Functionality",
    "performance": "Performance",
    "security": "Security",
    "documentation": "Documentation",
}
"""What the programme scores, in the order of the report. Nobody sees code quality from outside."""

WEIGHTS = {True: 3, False: 1}
"""Points of a check that is an official requirement, and of one that a requirement implies."""

CHAPTERS = {
    "auth": ("Authentication", "notebooks/apis/auth.ipynb"),
    "background-jobs": ("Background jobs", "notebooks/async/background-jobs.ipynb"),
    "caching": ("Caching", "notebooks/async/caching.ipynb"),
    "ci-cd": ("CI and CD", "notebooks/shipping/ci-cd.ipynb"),
    "containers": ("Containers", "notebooks/shipping/containers.ipynb"),
    "django-project": ("A Django project", "notebooks/apis/django-project.ipynb"),
    "files-and-uploads": ("Files and uploads", "notebooks/apis/files-and-uploads.ipynb"),
    "graphql": ("GraphQL", "notebooks/apis/graphql.ipynb"),
    "indexes-and-plans": ("Indexes and plans", "notebooks/data/indexes-and-plans.ipynb"),
    "middleware-and-signals": (
        "Middleware and signals",
        "notebooks/apis/middleware-and-signals.ipynb",
    ),
    "orm-and-n-plus-one": ("The ORM and N+1", "notebooks/apis/orm-and-n-plus-one.ipynb"),
    "rest-with-drf": ("REST with DRF", "notebooks/apis/rest-with-drf.ipynb"),
    "testing": ("Testing", "notebooks/apis/testing.ipynb"),
    "transactions-and-locks": (
        "Transactions and locks",
        "notebooks/data/transactions-and-locks.ipynb",
    ),
}
"""The chapters of Project Nexus that a check may name: title, and place in the repository."""


class Failed(Exception):
    """The API did something else than a check wants.

    Attributes:
        sent: What was sent, in the words of a reader.
        came: What the API answered.
        wanted: What the check wants, as a full sentence without its full stop.
    """

    def __init__(self, *, sent: str, came: str, wanted: str) -> None:
        super().__init__(f"sent: {sent}\ncame: {came}\nwanted: {wanted}")
        self.sent = sent
        self.came = came
        self.wanted = wanted


class Skipped(Exception):
    """A check cannot be run on this API. The text says why, and what would make it run."""


@dataclass(frozen=True)
class Check:
    """One thing that a suite looks at.

    Attributes:
        name: A short name with hyphens, unique in its suite. `--only` takes it.
        title: What holds if the check passes, as a sentence without its full stop.
        criterion: Which of CRITERIA it counts for.
        official: Whether the case study's text asks for it. If not, something there implies it.
        chapter: Which of CHAPTERS helps.
        function: Looks, and raises Failed or Skipped.
    """

    name: str
    title: str
    criterion: str
    official: bool
    chapter: str
    function: Callable[[Any], None]

    @property
    def weight(self) -> int:
        """Its points."""
        return WEIGHTS[self.official]

    @property
    def help(self) -> str:
        """Which chapter helps, for a reader."""
        title, place = CHAPTERS[self.chapter]
        return f"{title} ({place})"


REGISTERED: dict[str, dict[str, Check]] = {}
"""Checks by name, in order of their definition, by the module that defines them."""


def check(
    name: str, title: str, *, criterion: str, chapter: str, official: bool = False, suite: str = ""
) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Register a function as a check of the suite in whose module it stands.

    Args:
        name: See Check.
        title: See Check.
        criterion: See Check.
        chapter: See Check.
        official: See Check.
        suite: The name of another module, if the check belongs to that one's suite.

    Raises:
        ValueError: If a name is not known, not well formed, or taken.
    """
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name):
        raise ValueError(f"{name!r} is no name of a check: lower case, digits and hyphens, please")
    if criterion not in CRITERIA:
        raise ValueError(f"{name}: no criterion {criterion!r}; there are {', '.join(CRITERIA)}")
    if chapter not in CHAPTERS:
        raise ValueError(f"{name}: no chapter {chapter!r}; there are {', '.join(CHAPTERS)}")

    def register(function: Callable[[Any], None]) -> Callable[[Any], None]:
        checks = REGISTERED.setdefault(suite or function.__module__, {})
        if name in checks:
            raise ValueError(f"Two checks are called {name}")
        checks[name] = Check(name, title, criterion, official, chapter, function)
        return function

    return register
