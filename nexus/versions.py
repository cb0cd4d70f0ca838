"""The versions that a chapter was run with."""

import platform
import re
import subprocess
from importlib import metadata

from nexus.services import programs

SERVERS = {
    "PostgreSQL": lambda: [str(programs.postgres() / "postgres"), "--version"],
    "Valkey": lambda: [str(programs.valkey()), "--version"],
    "PgBouncer": lambda: [str(programs.pgbouncer()), "--version"],
    "MariaDB": lambda: [str(programs.mariadb()), "--version"],
    "nginx": lambda: [str(programs.nginx()), "-v"],
}


def version(name: str) -> str:
    """The version of Python, of a server, or of an installed package.

    Args:
        name: "Python", a server ("PostgreSQL", "Valkey", "nginx") or a package's name.

    Raises:
        importlib.metadata.PackageNotFoundError: if there is no such package.
        MissingProgram: if there is no such server.
    """
    if name == "Python":
        return platform.python_version()
    if name not in SERVERS:
        return metadata.version(name)
    said = subprocess.run(SERVERS[name](), capture_output=True, text=True)
    found = re.search(r"\d+(\.\d+)+", said.stdout + said.stderr)
    return found[0] if found else "unknown"


def versions(*names: str) -> None:
    """Prints the versions of Python and of what is named, one a line.

    Args:
        *names: servers and packages, as for `version`.
    """
    for name in ("Python", *names):
        print(f"{name:<12} {version(name)}")  # noqa: T201 (a cell's output)
