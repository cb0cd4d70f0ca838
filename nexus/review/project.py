"""The files of a project: read once, never changed, and never those of others in .venv."""

import ast
import os
import subprocess
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path
from shutil import which

from nexus.review.findings import NotAProjectError

IGNORED = {
    ".git", ".hg", ".hypothesis", ".ipynb_checkpoints", ".mypy_cache", ".nox", ".pytest_cache",
    ".ruff_cache", ".tox", ".venv", "__pycache__", "_build", "build", "dist", "env", "node_modules",
    "site-packages", "staticfiles", "venv",
}  # fmt: skip
"""Folders that hold what nobody in the project has written."""

LARGEST = 1_000_000
"""Bytes of a file that is read; what is larger is data."""

MOST = 20_000
"""Files that are looked at."""

ASIDE = ("test*", "conftest.py", "bench*", "docs", "local*", "data", "scripts", "factories.py")
"""Folders and files for developers, where a made-up password or a query by hand harms nobody."""


class Project:
    """A Django project on disk."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Finds the project's files.

        Raises:
            NotAProjectError: if there is no such folder, or no manage.py in it.
        """
        given = Path(path)
        if not given.exists():
            raise NotAProjectError(f"no such path: {path}")
        if not given.is_dir():
            raise NotAProjectError(f"{path} is a file: name the folder that holds manage.py")
        self.root = given.resolve()
        self.name = self.root.name
        self.files = tuple(sorted(self._walk()))
        self.unparsed: dict[str, SyntaxError] = {}
        managers = [name for name in self.files if Path(name).name == "manage.py"]
        near = [name for name in managers if name.count("/") <= 1]
        if not near:
            below = [str(Path(name).parent) for name in managers]
            hint = f": is it one of {', '.join(below[:5])}?" if below else ""
            raise NotAProjectError(
                f"{path} is not a Django project, because it has no manage.py{hint or '.'} "
                "Name the folder that holds manage.py."
            )
        self.manage = min(near, key=lambda name: (name.count("/"), name))

    def _walk(self) -> Iterator[str]:
        count = 0
        for folder, folders, names in os.walk(self.root):
            folders[:] = sorted(
                name
                for name in folders
                if name not in IGNORED and not (Path(folder) / name / "pyvenv.cfg").exists()
            )
            for name in sorted(names):
                file = Path(folder) / name
                if file.is_symlink() or not file.is_file():
                    continue
                count += 1
                if count > MOST:
                    return
                yield file.relative_to(self.root).as_posix()

    def matching(self, *patterns: str) -> list[str]:
        """The files whose name, or whose path, fits one of some patterns."""
        return [
            file
            for file in self.files
            if any(fnmatch(file, each) or fnmatch(Path(file).name, each) for each in patterns)
        ]

    def text(self, file: str) -> str:
        """What is in a file; nothing, if it is large, no text, or not ours to read."""
        path = self.root / file
        try:
            if path.stat().st_size > LARGEST:
                return ""
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return ""

    @cached_property
    def trees(self) -> dict[str, ast.Module]:
        """Every Python file that can be read, as its syntax tree."""
        trees = {}
        for file in self.matching("*.py"):
            try:
                trees[file] = ast.parse(self.text(file))
            except SyntaxError as error:
                self.unparsed[file] = error
            except (ValueError, RecursionError, MemoryError):
                self.unparsed[file] = SyntaxError("it cannot be parsed")
        return trees

    @cached_property
    def product(self) -> dict[str, ast.Module]:
        """The trees of what runs in production."""
        return {file: tree for file, tree in self.trees.items() if not aside(file)}

    @cached_property
    def tracked(self) -> set[str] | None:
        """What git tracks in the folder; None without git, or where it tracks nothing."""
        git = which("git")
        if git is None:
            return None
        # A repository's own configuration could name a program for fsmonitor, which git would run.
        command = [git, "-c", "core.fsmonitor=false", "-C", str(self.root), "ls-files", "-z"]
        own = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        try:
            done = subprocess.run(command, env=own, capture_output=True, timeout=20, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return None
        names = set(done.stdout.decode(errors="replace").split("\0")) - {""}
        return names or None


def aside(file: str) -> bool:
    """Whether a file is for developers, and not for production."""
    parts = Path(file).parts
    return any(fnmatch(part, pattern) for part in parts for pattern in ASIDE)


def is_test(file: str) -> bool:
    """Whether pytest or Django would look for tests in a file."""
    name = Path(file).name
    return name.endswith(".py") and (
        name.startswith("test") or name.endswith("_test.py") or "tests" in Path(file).parts[:-1]
    )


def dotted(node: ast.AST) -> str:
    """The dotted name of an expression, such as `models.Q`; empty if it has none."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else ""
    return ""


def called(node: ast.AST) -> str:
    """The last name of what a call calls; empty if it is no such call."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            return node.func.attr
        if isinstance(node.func, ast.Name):
            return node.func.id
    return ""


def keywords(call: ast.Call) -> dict[str, ast.expr]:
    """The keyword arguments of a call."""
    return {each.arg: each.value for each in call.keywords if each.arg}


def constant(node: ast.AST | None) -> object:
    """The value of a constant; None for everything else."""
    return node.value if isinstance(node, ast.Constant) else None


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions and methods."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
