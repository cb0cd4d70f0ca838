"""The bench of Project Nexus: what a chapter imports."""

import sys
from typing import Any

from nexus.judging import check
from nexus.judging.moving import export_progress, import_progress
from nexus.judging.progress import progress
from nexus.judging.study import study_plan
from nexus.plans import explain
from nexus.projects import project
from nexus.services import (
    mariadb,
    nginx,
    objects,
    pgbouncer,
    postgres,
    prometheus,
    promtool,
    rabbitmq,
    scratch,
    serve,
    valkey,
)
from nexus.sessions import sessions
from nexus.versions import versions

__all__ = [
    "check",
    "explain",
    "export_progress",
    "import_progress",
    "mariadb",
    "nginx",
    "objects",
    "pgbouncer",
    "portfolio",
    "postgres",
    "progress",
    "project",
    "prometheus",
    "promtool",
    "rabbitmq",
    "scratch",
    "serve",
    "sessions",
    "study_plan",
    "valkey",
    "versions",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Load at its first use what would load the drawing of pictures with every import."""
    if name == "portfolio":
        from nexus.judging.portfolio import portfolio

        return portfolio
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    from nexus import magics
    from nexus.services import surroundings

    surroundings.settle()
    magics.load(shell)
