"""Cells that need what not every machine has: too heavy for Binder's base, or in no wheel.

A cell says so at its top, as in `# needs: juicefs, boto3`. Where one of them is missing, the cell
is not run: in a notebook it prints one line that says what is missing and how to install it, and
the strict run skips it with that line as the reason. Where all are there, the comment is nothing
but a comment.
"""

import re
import sys
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from itertools import takewhile
from types import MappingProxyType

from nexus.services import cgroup, dns, programs
from nexus.services.errors import MissingProgram

LINE = re.compile(r"#+ *needs: *(.*)")


def package(name: str) -> Callable[[], object]:
    """A check that raises MissingProgram unless a heavy Python package is installed."""

    def check() -> None:
        if find_spec(name) is None:
            raise MissingProgram(f"{name} is not on this machine: {programs.HEAVY}")

    return check


def linux() -> None:
    """Raises MissingProgram on other systems.

    A cell uses what only Linux has: /dev/full, its counters, or a limit of another process.
    """
    if not sys.platform.startswith("linux"):
        raise MissingProgram("it uses what only Linux has")


KNOWN: Mapping[str, Callable[[], object]] = MappingProxyType(
    {
        "alertmanager": programs.alertmanager,
        "bandit": package("bandit"),
        "boto3": package("boto3"),
        "certbot": programs.certbot,
        "cgroup": cgroup.check,
        "chromium": programs.chromium,
        "etcd": lambda: (programs.etcd(), programs.etcd("etcdctl")),
        "juicefs": programs.juicefs,
        "kubectl": programs.kubectl,
        "kubernetes_validate": package("kubernetes_validate"),
        "linux": linux,
        "namespaces": dns.check,
        "nats": programs.nats,
        "pebble": programs.pebble,
        "pgbouncer": programs.pgbouncer,
        "mariadb": programs.mariadb,
        "pip-audit": package("pip_audit"),
        "prometheus": programs.prometheus,
        "rabbitmq": programs.rabbitmq,
        "semgrep": programs.semgrep,
        "sqlmap": programs.sqlmap,
        "systemd-analyze": programs.systemd_analyze,
    }
)
"""What a cell can need; each raises MissingProgram where it is missing."""


def named(source: str) -> list[str]:
    """What a cell says it needs, in the magics and comments that it begins with."""
    top = takewhile(lambda line: line.startswith(("#", "%%")), source.splitlines())
    lines = filter(None, map(LINE.fullmatch, map(str.rstrip, top)))
    return [name.strip() for line in lines for name in line[1].split(",")]


def missing(source: str) -> str | None:
    """What a cell needs and this machine lacks.

    Args:
        source: the cell.

    Returns:
        One line that says what is missing and how to install it; None if nothing is.

    Raises:
        SyntaxError: if the cell needs something that has no check here.
    """
    for name in named(source):
        if name not in KNOWN:
            raise SyntaxError(f"a cell can need {', '.join(KNOWN)}, and not {name!r}")
        try:
            KNOWN[name]()
        except MissingProgram as error:
            return str(error)
    return None


def transform(lines: list[str]) -> list[str]:
    """Puts a line that says why in place of a cell that cannot run: an input transformer."""
    why = missing("".join(lines))
    return lines if why is None else [f"print({f'not run: {why}'!r})\n"]
