"""Migrations, read and not run: what meets rows that are there, and programs that still run."""

import ast
from collections.abc import Iterator
from pathlib import Path

from nexus.review.findings import ERROR, NOTE, WARNING, Finding
from nexus.review.project import Project, called, constant, keywords

EMPTY = {"ManyToManyField", "GenericRelation", "GeneratedField"}
"""Fields that add no column of their own, or fill it themselves."""


def look(project: Project) -> Iterator[Finding]:
    """Looks at each operation of each migration."""
    for file, tree in project.product.items():
        path = Path(file)
        if path.parent.name == "migrations" and path.name != "__init__.py":
            yield from _migration(file, tree)


def _migration(file: str, tree: ast.Module) -> Iterator[Finding]:
    state_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and called(node) == "SeparateDatabaseAndState"
        for inner in ast.walk(keywords(node).get("state_operations", ast.Constant(None)))
    }
    calls = [
        node for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in state_only
    ]
    new = {_text(node, "name").lower() for node in calls if called(node) == "CreateModel"}
    for node in calls:
        yield from _operation(file, node, new)


def _text(call: ast.Call, name: str) -> str:
    return str(constant(keywords(call).get(name)) or (constant(call.args[0]) if call.args else ""))


def _operation(file: str, node: ast.Call, new: set[str]) -> Iterator[Finding]:
    what, given = called(node), keywords(node)
    if _text(node, "model_name").lower() in new:
        return
    if what == "AddField":
        field = given.get("field") or (node.args[2] if len(node.args) > 2 else None)
        if isinstance(field, ast.Call) and called(field) not in EMPTY:
            options = keywords(field)
            if constant(options.get("null")) is not True and not (
                {"default", "db_default", "auto_now_add", "auto_now"} & options.keys()
            ):
                yield Finding(
                    ERROR, "migration-not-null", file, node.lineno,
                    "it adds a column that must not be NULL and has no default, so PostgreSQL "
                    "refuses as soon as the table has a row. Add it as null=True or with "
                    "db_default, fill it, and then forbid NULL.", "ci-cd",
                )  # fmt: skip
    elif what in {"RemoveField", "DeleteModel"}:
        thing = "column" if what == "RemoveField" else "table"
        yield Finding(
            WARNING, "migration-drops", file, node.lineno,
            f"it drops a {thing} that the version before this one still asks for while both run. "
            "Release the code that no longer uses it first, and then this migration.", "ci-cd",
        )  # fmt: skip
    elif what in {"RenameField", "RenameModel"}:
        yield Finding(
            WARNING, "migration-renames", file, node.lineno,
            "the version before this one asks for the old name while both run. Expand, migrate, "
            "contract.", "ci-cd",
        )  # fmt: skip
    elif what == "RunPython" and len(node.args) < 2 and "reverse_code" not in given:
        yield Finding(
            WARNING, "migration-one-way", file, node.lineno,
            "it cannot be undone. Give RunPython a second function, or RunPython.noop.",
            "django-project",
        )  # fmt: skip
    elif what == "RunSQL" and len(node.args) < 2 and "reverse_sql" not in given:
        yield Finding(
            WARNING, "migration-one-way", file, node.lineno,
            "it cannot be undone. Give RunSQL the statement that undoes it, or RunSQL.noop.",
            "django-project",
        )  # fmt: skip
    elif what == "AddIndex":
        yield Finding(
            NOTE, "migration-index", file, node.lineno,
            "while the index is built, nobody can write to the table. On a large table, use "
            "AddIndexConcurrently in a migration with atomic = False.", "indexes-and-plans",
        )  # fmt: skip
