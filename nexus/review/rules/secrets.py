"""Secrets in files, and other things that a commit should not hold."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

from nexus.review.findings import ERROR, NOTE, WARNING, Finding
from nexus.review.project import Project, aside

KEYS = {
    r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----\s+[A-Za-z0-9+/=]{16}": "a private key",
    r"\bAKIA[0-9A-Z]{16}\b": "a key for AWS",
    r"\bgh[pousr]_[A-Za-z0-9]{36}\b": "a token for GitHub",
    r"\bxox[abpr]-[0-9A-Za-z-]{20,}": "a token for Slack",
    r"\bsk_live_[0-9A-Za-z]{20,}": "a key for payments",
}
CONFLICT = re.compile(r"^<{7} .*?^={7}$.*?^>{7} ", re.MULTILINE | re.DOTALL)
ENVIRONMENT = re.compile(r"\.env(\.(?!example$|sample$|template$|dist$|test$|ci$)\w+)?")
SILENCED = re.compile(r"#\s*(noqa: ?(?:S|DJ)\d+|nosec\b|zizmor: ?ignore|hadolint ignore=)")


def look(project: Project) -> Iterator[Finding]:
    """Looks at every file that is text."""
    for file in project.files:
        if ENVIRONMENT.fullmatch(Path(file).name):
            yield from _environment(project, file)
            continue
        text = project.text(file)
        for pattern, what in KEYS.items():
            if (match := re.search(pattern, text)) and not aside(file):
                yield Finding(
                    ERROR, "secret-in-file", file, _line(text, match.start()),
                    f"{what} is in this file. Revoke it first: removing the line does not remove "
                    "it from git's history.", "ci-cd",
                )  # fmt: skip
        if match := CONFLICT.search(text):
            yield Finding(
                ERROR, "conflict-markers", file, _line(text, match.start()),
                "the markers of a merge conflict were committed. Choose one side, and remove the "
                "markers.", "ci-cd",
            )  # fmt: skip
        if not aside(file) and Path(file).suffix in {".py", ".yml", ".yaml", ""}:
            for match in SILENCED.finditer(text):
                yield Finding(
                    NOTE, "silenced", file, _line(text, match.start()),
                    f"a tool is told to be silent here ({match[1].strip()}). Is the reason beside "
                    "it still true?", "ci-cd",
                )  # fmt: skip


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _environment(project: Project, file: str) -> Iterator[Finding]:
    if project.tracked is not None and file in project.tracked:
        yield Finding(
            ERROR, "env-tracked", file, 0,
            "git tracks this file, so its secrets are in every clone. Change the secrets, then "
            f"`git rm --cached {file}`, and name it in .gitignore.", "ci-cd",
        )  # fmt: skip
    elif not _ignored(project, file):
        yield Finding(
            WARNING, "env-not-ignored", file, 0,
            "no .gitignore names this file, so the next `git add .` publishes its secrets.",
            "ci-cd",
        )  # fmt: skip


def _ignored(project: Project, file: str) -> bool:
    names = [".gitignore", *(f"{parent}/.gitignore" for parent in Path(file).parents)]
    lines = [line.strip() for name in names for line in project.text(name).splitlines()]
    name = Path(file).name
    return any(
        fnmatch(name, pattern.strip("/").removeprefix("**/")) or pattern.strip("/") == file
        for pattern in lines
        if pattern and pattern[0] not in "#!"
    )
