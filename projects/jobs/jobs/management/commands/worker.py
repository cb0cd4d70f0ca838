"""`manage.py worker`: run tasks, and keep house."""

import threading
from typing import Any

from django_tasks_db.management.commands import db_worker

from jobs import tasks


class Command(db_worker.Command):
    """django-tasks-db's worker, which here also says that it lives, and takes over from the dead.

    All options are those of db_worker. With `--batch` it keeps house once, before.
    """

    requires_system_checks = ()  # they load all of the API, which a worker does without
    help = "Run tasks until asked to end, and keep house meanwhile"

    def handle(self, **options: Any) -> None:
        """Run tasks."""
        over = threading.Event()
        with tasks.alive(options["worker_id"]):
            tasks.keep_house()
            if not options["batch"]:
                threading.Thread(
                    target=tasks.keep_house_for_ever, args=(over,), daemon=True
                ).start()
            try:
                super().handle(**options)
            finally:
                over.set()
