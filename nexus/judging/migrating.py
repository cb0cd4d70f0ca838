"""Answers that are operations of Django's migrations: read, and run in the sandbox."""

from typing import Any

from nexus.judging.querying import ask
from nexus.judging.sandbox import Sandbox
from nexus.judging.verdict import NotYet


def two_lists(returned: object) -> tuple[list[Any], list[Any]]:
    """The operations of two lists, before and after.

    Args:
        returned: what an answer has returned.

    Raises:
        NotYet: if there are not two lists of operations.
    """
    from django.db.migrations.operations.base import Operation

    if (
        not isinstance(returned, tuple | list)
        or len(returned) != 2
        or not all(isinstance(part, tuple | list) for part in returned)
    ):
        raise NotYet("it should return two lists, before and after")
    if wrong := [one for part in returned for one in part if not isinstance(one, Operation)]:
        raise NotYet(f"{wrong[0]!r:.60} is no operation of Django's migrations")
    return list(returned[0]), list(returned[1])


def migrated(box: Sandbox, app: str, state: Any, operations: list[Any]) -> Any:  # noqa: ANN401
    """Runs operations, each as a migration of its own, and returns the new state.

    Args:
        box: where.
        app: the label of the application.
        state: Django's state of the models before.
        operations: what to run.

    Raises:
        Exception: what Django raises.
    """
    from django.db import connection

    def run() -> Any:  # noqa: ANN401
        now = state
        for operation in operations:
            following = now.clone()
            operation.state_forwards(app, following)
            with connection.schema_editor(atomic=operation.atomic is not False) as editor:
                operation.database_forwards(app, editor, now, following)
            now = following
        return now

    return ask(box, run).value
