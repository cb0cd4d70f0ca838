"""Answers that use Django's ORM: its connection leads to the sandbox, and statements are counted.

The models of a judge belong to no application, so that they work whatever Django is set up for in
this process, if it is set up at all.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from nexus.judging.limits import Guard, Run, all_of, within
from nexus.judging.meeting import come_to_rest
from nexus.judging.sandbox import Connection, Sandbox, django_settings
from nexus.judging.verdict import NotYet

STATEMENTS = 300
"""More than any answer needs, however badly it asks."""


@contextmanager
def django() -> Iterator[None]:
    """Lets Django work with models, also where nobody has set it up; and leaves it so."""
    from django.apps import apps
    from django.conf import settings
    from django.utils.functional import empty

    with ExitStack() as until_done:
        if not settings.configured:
            settings.configure(USE_TZ=True, DEFAULT_AUTO_FIELD="django.db.models.BigAutoField")
            until_done.callback(setattr, settings, "_wrapped", empty)
        if not apps.ready:
            ready = {"apps_ready": True, "models_ready": True, "ready": True}
            until_done.enter_context(mock.patch.multiple(apps, **ready))
        yield


def own_django(database: Mapping[str, object]) -> None:
    """Sets up Django anew in a process that was forked: with one database, and no application.

    The reader's own Django, with its settings and connections, is the parent's, and is not touched.

    Args:
        database: the settings of its database.
    """
    from django.apps import apps
    from django.conf import UserSettingsHolder, global_settings, settings
    from django.db import connections

    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"  # the parent may be in an event loop
    own = UserSettingsHolder(global_settings)
    own.SECRET_KEY, own.INSTALLED_APPS, own.DEFAULT_FROM_EMAIL = "k" * 50, [], "desk@desk.example"
    own.DATABASES = {"default": dict(database)}
    settings._wrapped = own
    connections.__dict__.pop("settings", None)
    connections.__init__(own.DATABASES)  # type: ignore[misc]
    if not apps.ready:
        apps.populate([])


@contextmanager
def leading_to(connection: Connection) -> Iterator[Any]:
    """Django's connection in this thread: to where one of psycopg's leads, as the same role."""
    from django.db import connections
    from django.db.utils import ConnectionHandler

    # So that all rows come with the answer of their statement, and can be counted.
    settings = django_settings(connection) | {"DISABLE_SERVER_SIDE_CURSORS": True}
    ours = ConnectionHandler({"default": settings}).create_connection("default")
    before = getattr(connections._connections, "default", None)  # pyrefly: ignore
    connections["default"] = ours
    try:
        yield ours
    finally:
        with suppress(Exception):  # it may have been ended from outside
            ours.close()
        if before is None:
            del connections["default"]
        else:
            connections["default"] = before


@dataclass
class Asked:
    """What an answer has sent.

    Attributes:
        value: what it returned.
        statements: the statements, in order.
        rows: how many rows came back.
        size: of their values, in bytes.
    """

    value: Any = None
    statements: list[str] = field(default_factory=list)
    rows: int = 0
    size: int = 0


def asking(box: Sandbox, action: Callable[[], Any], asked: Asked) -> None:
    """Runs an action in this thread, where Django's connection leads to the sandbox.

    Args:
        box: where Django's connection leads.
        action: calls the answer, and evaluates what that returns.
        asked: notes what comes of it.

    Raises:
        NotYet: if it sends too much, or leaves a transaction open.
    """
    guard = Guard(STATEMENTS, f"it has sent {STATEMENTS:,} statements, and was not done")

    def note(execute: Any, sql: str, params: object, many: bool, context: Any) -> object:  # noqa: ANN401
        guard.tick()
        asked.statements.append(str(sql))
        result = execute(sql, params, many, context)
        answer = context["cursor"].cursor.pgresult
        if answer is not None:
            asked.rows += answer.ntuples
            asked.size += sum(
                len(answer.get_value(row, column) or b"")
                for row in range(answer.ntuples)
                for column in range(answer.nfields)
            )
        return result

    with leading_to(box.learner) as connection:
        try:
            with connection.execute_wrapper(note):
                asked.value = action()
        finally:
            guard.check()
        if connection.in_atomic_block or (
            connection.connection is not None and not connection.get_autocommit()
        ):
            raise NotYet("when your function has returned, its transaction is still open")


def ask(box: Sandbox, action: Callable[[], Any]) -> Asked:
    """What an action of the answer's returns, and what it sent.

    Args:
        box: where Django's connection leads.
        action: calls the answer, and evaluates what that returns.

    Raises:
        NotYet: if it takes too long, sends too much, or leaves a transaction open.
    """
    asked = Asked()
    within(lambda: asking(box, action, asked))
    return asked


def meet(
    box: Sandbox,
    action: Callable[[], Any],
    statement: str,
    values: list[object],
    *,
    gives_up: bool = False,
) -> Any:  # noqa: ANN401
    """Lets an answer meet another program, which has written and not yet committed.

    Args:
        box: where.
        action: calls the answer.
        statement: what the other program has sent; it commits when the answer has ended or waits.
        values: for its placeholders.
        gives_up: whether the other program rolls back instead.

    Returns:
        What the answer returns.

    Raises:
        NotYet: if it takes too long.
        Exception: what the answer raises.
    """
    asked = Asked()
    other = box.server.connect(dbname=box.admin.info.dbname)
    try:
        other.execute(statement, values)  # type: ignore[arg-type]
        run = Run(lambda: asking(box, action, asked))
        come_to_rest(box, [lambda: run.is_running])
        if gives_up:
            other.rollback()
        else:
            other.commit()
        all_of([run], "your function")
        run.value()
    finally:
        other.close()
    return asked.value
