"""Point a notebook's Django at one of the projects, and at fresh servers."""

import importlib
import os
import sys
from pathlib import Path

from nexus.services import Postgres, ServiceError, Valkey

FOLDER = Path(__file__).resolve().parent.parent / "projects"


def project(
    name: str, *, database: Postgres, valkey: Valkey, provider: str = "http://127.0.0.1:9"
) -> Path:
    """Sets up Django for a project, as the project itself does on a machine of one's own.

    The project's folder is where modules are looked for from now on, its settings are loaded, and
    its migrations are run on the database. Once in each notebook: Django has one set of settings.

    Args:
        name: the project's folder in projects/.
        database: where its tables are to be.
        valkey: its cache and its queue; with TCP, for programs of its own to reach it.
        provider: the payment provider's address; by default one where nobody answers.

    Returns:
        The project's folder.

    Raises:
        ServiceError: if there is no such project, or Django is set up for another one.
    """
    folder = FOLDER / name
    if not (folder / "manage.py").is_file():
        there = ", ".join(sorted(path.parent.name for path in FOLDER.glob("*/manage.py")))
        raise ServiceError(f"there is no Django project {name!r}; there is {there}")
    sys.path.insert(0, str(folder))
    # The project says itself what it needs to know.
    environment = importlib.import_module("local.environment")
    os.environ |= environment.variables(
        database=database.url, valkey=valkey.url.removesuffix("/0"), provider=provider
    )
    # A notebook's cells run inside an event loop, where Django would refuse to ask a database.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    return folder
