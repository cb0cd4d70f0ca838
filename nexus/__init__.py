"""The bench of Project Nexus: what a chapter imports."""

import sys

from nexus.judging import check
from nexus.judging.progress import progress
from nexus.plans import explain
from nexus.projects import project
from nexus.services import nginx, objects, postgres, rabbitmq, serve, valkey
from nexus.sessions import sessions
from nexus.versions import versions

__all__ = [
    "check",
    "explain",
    "nginx",
    "objects",
    "postgres",
    "progress",
    "project",
    "rabbitmq",
    "serve",
    "sessions",
    "valkey",
    "versions",
]

if "IPython" in sys.modules and (shell := sys.modules["IPython"].get_ipython()):
    from nexus import magics
    from nexus.services import surroundings

    surroundings.settle()
    magics.load(shell)
