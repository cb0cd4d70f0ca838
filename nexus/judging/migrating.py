"""Answers that change a schema: operations of Django's migrations, and SQL that is watched."""

from typing import Any

from nexus.judging.querying import ask
from nexus.judging.sandbox import Connection, Sandbox
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


def texts(answer: list[object]) -> list[str]:
    """Takes an answer that is a list of statements in SQL.

    Args:
        answer: what a reader gave.

    Returns:
        The statements.

    Raises:
        NotYet: if one is no text, or there is none.
    """
    if wrong := [one for one in answer if not isinstance(one, str)]:
        raise NotYet(f"a statement is text in quotes; this is of type {type(wrong[0]).__name__}")
    if not answer:
        raise NotYet("the list is empty")
    return [str(one) for one in answer]


def note_ddl(connection: Connection) -> None:
    """Makes triggers that note in `judge.log` what statements of DDL do to watched tables.

    `judge.watched` holds the tables. Noted is a statement that has a lock on one of them that stops
    writers, and by whose end the session has read more rows of tables than the setting `judge.read`
    says ('reads'), and one that writes a table anew ('rewrites').

    Args:
        connection: a superuser's, to the template of a sandbox.
    """
    connection.execute("""
        CREATE SCHEMA judge;
        GRANT USAGE ON SCHEMA judge TO public;
        CREATE TABLE judge.log (what text NOT NULL, said text NOT NULL);
        CREATE TABLE judge.watched (oid oid PRIMARY KEY);

        CREATE FUNCTION judge.rows_read() RETURNS bigint LANGUAGE sql SECURITY DEFINER AS $$
            SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0)::bigint
            FROM pg_stat_xact_user_tables WHERE schemaname = 'public'
        $$;
        CREATE FUNCTION judge.read_log() RETURNS SETOF judge.log LANGUAGE sql SECURITY DEFINER
        AS $$ SELECT * FROM judge.log $$;
        CREATE FUNCTION judge.held() RETURNS text LANGUAGE sql SECURITY DEFINER AS $$
            SELECT relation::regclass || ' is locked in ' || mode FROM pg_locks
            WHERE pid = pg_backend_pid() AND granted
              AND relation IN (SELECT oid FROM judge.watched)
              AND mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                           'AccessExclusiveLock')
            ORDER BY mode LIMIT 1
        $$;
        CREATE FUNCTION judge.ends() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            IF judge.held() IS NOT NULL
               AND judge.rows_read()
                   > coalesce(nullif(current_setting('judge.read', true), ''), '0')::bigint
            THEN
                INSERT INTO judge.log VALUES ('reads', judge.held());
            END IF;
        END $$;
        CREATE FUNCTION judge.rewrites() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER
        AS $$ BEGIN
            INSERT INTO judge.log
            VALUES ('rewrites', pg_event_trigger_table_rewrite_oid()::regclass);
        END $$;
        CREATE EVENT TRIGGER judge_ends ON ddl_command_end EXECUTE FUNCTION judge.ends();
        CREATE EVENT TRIGGER judge_rewrites ON table_rewrite EXECUTE FUNCTION judge.rewrites();
    """)
