"""Point a notebook's Django at one of the projects, and at fresh servers."""

import importlib
import os
import sys
from pathlib import Path

from nexus.services import Postgres, ServiceError, Valkey
from nexus.services.process import Server

FOLDER = Path(__file__).resolve().parent.parent / "projects"

_set_up: tuple[str, dict[str, str]] | None = None
"""The project that Django is set up for, and the addresses it was given."""

_servers: list[Server] = []
"""Those servers: they live until Django is given others, or as long as the kernel."""


def project(
    name: str, *, database: Postgres, valkey: Valkey, provider: str = "http://127.0.0.1:9"
) -> Path:
    """Sets up Django for a project, as the project itself does on a machine of one's own.

    The project's folder is where modules are looked for from now on, its settings are loaded, and
    its migrations are run on the database. Django has one set of settings in each notebook: a
    second call with the same servers does nothing, and one with others, as when a cell is run
    again, makes Django leave the former ones.

    Args:
        name: the project's folder in projects/.
        database: where its tables are to be.
        valkey: its cache and its queue; with TCP, for programs of its own to reach it.
        provider: the payment provider's address; by default one where nobody answers.

    Returns:
        The project's folder.

    Raises:
        ServiceError: if there is no such project, Valkey has no TCP, or Django is set up for
            another project.
    """
    global _set_up
    folder = FOLDER / name
    if not (folder / "manage.py").is_file():
        there = ", ".join(sorted(path.parent.name for path in FOLDER.glob("*/manage.py")))
        raise ServiceError(f"there is no Django project {name!r}; there is {there}")
    if not valkey.tcp:
        raise ServiceError("the project needs a Valkey that it can reach: nexus.valkey(tcp=True)")
    addresses = {
        "database": database.url,
        "valkey": valkey.url.removesuffix("/0"),
        "provider": provider,
    }
    if _set_up == (name, addresses):
        return folder
    from django.conf import settings

    if settings.configured and (_set_up is None or _set_up[0] != name):
        what = f"for {_set_up[0]}" if _set_up else "already"
        raise ServiceError(f"Django is set up {what}, once and for all: restart the kernel")
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    # The project says itself what it needs to know.
    environment = importlib.import_module("local.environment")
    os.environ |= environment.variables(**addresses)
    # A notebook's cells run inside an event loop, where Django would refuse to ask a database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    import django
    from django.core.management import call_command

    if _set_up:
        _read_settings_again(name)
    else:
        django.setup()
    call_command("migrate", verbosity=0)
    _set_up = (name, addresses)
    _servers[:] = [database, valkey]
    return folder


def _read_settings_again(name: str) -> None:
    """Lets Django, and the project's Celery, leave their servers for those of the environment."""
    from django.conf import settings
    from django.core.cache import caches
    from django.db import connections

    module = importlib.reload(importlib.import_module(settings.SETTINGS_MODULE))
    for setting in filter(str.isupper, dir(module)):
        setattr(settings, setting, getattr(module, setting))
    connections.close_all()
    for alias, values in settings.DATABASES.items():
        connections.settings[alias].update(values)  # the one that all its connections look into
    caches.close_all()
    caches.settings = caches.configure_settings(None)
    for alias in settings.CACHES:
        if hasattr(caches._connections, alias):  # pyrefly: ignore
            del caches[alias]
    for module in [sys.modules[key] for key in list(sys.modules) if key.split(".")[0] == name]:
        for value in list(vars(module).values()):
            if hasattr(value, "cache_clear"):  # functools.cache may keep a client of theirs
                value.cache_clear()
    if celery := sys.modules.get(f"{name}.celery"):
        celery.app.close()
        celery.app.config_from_object("django.conf:settings", namespace="CELERY")
