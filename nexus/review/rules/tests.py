"""Tests that cannot fail, and projects without tests."""

import ast
from collections.abc import Iterator

from nexus.review.findings import NOTE, WARNING, Finding
from nexus.review.project import Project, called, functions, is_test

WORDS = ("assert", "expect", "verify")
VERBS = ("get", "post", "put", "patch", "delete", "options", "head", "generic")
PYTEST = {"raises", "warns", "deprecated_call", "fail"}


def look(project: Project) -> Iterator[Finding]:
    """Looks at each function that a test runner would run."""
    files = [file for file in project.trees if is_test(file)]
    tests = [
        (file, node)
        for file in files
        for node in functions(project.trees[file])
        if node.name.startswith("test")
        and not any("fixture" in ast.dump(each) for each in node.decorator_list)
    ]
    if not tests:
        yield Finding(
            WARNING, "tests-none", project.manage, 0,
            "the project has no test. Begin with one for the rule whose breach costs most.",
            "testing",
        )  # fmt: skip
        return
    helpers = {
        node.name: node
        for file in project.trees
        for node in functions(project.trees[file])
        if not node.name.startswith("test")
    }
    # A test may also call a function of its own folder that asserts, and that one another.
    asserting = {name for name, node in helpers.items() if _asserts(node, set())}
    while more := {
        name
        for name, node in helpers.items()
        if name not in asserting and _asserts(node, asserting)
    }:
        asserting |= more
    for file, node in tests:
        if _asserts(node, asserting) or _uses_fixture(node, asserting):
            yield from _constants(file, node)
        elif _throws_away(node):
            yield Finding(
                WARNING, "test-without-assert", file, node.lineno,
                f"{node.name} asserts nothing, so it passes whatever the code returns. Assert the "
                "outcome that a user would miss.", "testing",
            )  # fmt: skip
        else:
            yield Finding(
                NOTE, "test-only-runs", file, node.lineno,
                f"{node.name} fails only if something raises. Is there an outcome to assert?",
                "testing",
            )  # fmt: skip


def _throws_away(test: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a test had an outcome in its hands: an answer, a value, a comparison, a print."""
    read = {
        node.id
        for node in ast.walk(test)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    for node in ast.walk(test):
        if isinstance(node, ast.Assign) and any(
            isinstance(target, ast.Name) and target.id not in read for target in node.targets
        ):
            return True
        if isinstance(node, ast.Expr) and (
            isinstance(node.value, ast.Compare | ast.BoolOp | ast.UnaryOp)
            or called(node.value) in {"print", *VERBS}
        ):
            return True
    return all(isinstance(each, ast.Pass | ast.Expr) and not _calls(each) for each in test.body)


def _calls(node: ast.AST) -> bool:
    return any(isinstance(each, ast.Call) for each in ast.walk(node))


def _asserts(node: ast.AST, helpers: set[str]) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Assert):
            return True
        name = called(inner)
        if name and (
            any(word in name.lower() for word in WORDS) or name in PYTEST or name in helpers
        ):
            return True
    return False


def _uses_fixture(node: ast.FunctionDef | ast.AsyncFunctionDef, helpers: set[str]) -> bool:
    return any(argument.arg in helpers for argument in node.args.args)


def _constants(file: str, test: ast.AST) -> Iterator[Finding]:
    """A test whose only assertions are of a constant."""
    asserts = [node for node in ast.walk(test) if isinstance(node, ast.Assert)]
    calls = [node for node in ast.walk(test) if called(node).startswith("assert")]
    empty = [node for node in asserts if _always(node.test)] + [
        node
        for node in calls
        if isinstance(node, ast.Call)
        and called(node) in {"assertTrue", "assertIsNotNone"}
        and node.args
        and _always(node.args[0])
    ]
    for node in empty:
        yield Finding(
            WARNING, "test-asserts-constant", file, node.lineno,
            "this assertion is true whatever the code does. (A tuple is always true: "
            "`assert (x, text)` needs no brackets.)", "testing",
        )  # fmt: skip


def _always(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant):
        return bool(node.value)
    return isinstance(node, ast.Tuple) and bool(node.elts)
