"""What a review finds, by severity, each with the chapter that helps; and what it skipped."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from nexus.book import Chapter, chapters


class NotAProjectError(ValueError):
    """There is nothing to review; the message says why and what to do."""


class Severity(IntEnum):
    """How bad it is. Notes do not count: a project with nothing but notes is clean."""

    NOTE = 1
    WARNING = 2
    ERROR = 3

    def __str__(self) -> str:
        return self.name.lower()


NOTE, WARNING, ERROR = Severity.NOTE, Severity.WARNING, Severity.ERROR


@dataclass(frozen=True)
class Finding:
    """One thing that a reviewer would say.

    Attributes:
        severity: how bad it is.
        rule: its name, which `--ignore` takes; a tool's own name of it, if a tool found it.
        file: from the project's folder, with slashes.
        line: counted from 1; 0 if it is about the whole file.
        says: what is wrong, and what to do.
        chapter: the name of the chapter that helps.
    """

    severity: Severity
    rule: str
    file: str
    line: int
    says: str
    chapter: str

    @property
    def where(self) -> str:
        """The file and the line, as editors take them."""
        return f"{self.file}:{self.line}" if self.line else self.file

    @property
    def help(self) -> Chapter:
        """The chapter that helps."""
        return chapters().get(self.chapter, Chapter(self.chapter, self.chapter, "", ""))

    def __str__(self) -> str:
        return f"{self.severity!s:<8} {self.where:<30} {self.says}"


class Skipped(NamedTuple):
    """What was not looked at, and why."""

    what: str
    why: str


@dataclass
class Review:
    """All that a review found.

    Attributes:
        name: of the project's folder.
        findings: the worst first.
        skipped: what was not looked at, and why.
        looked: by which tools.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    looked: list[str] = field(default_factory=list)

    @property
    def serious(self) -> list[Finding]:
        """The errors and the warnings."""
        return [finding for finding in self.findings if finding.severity > NOTE]

    def sort(self) -> None:
        """Puts the worst first, and takes out what was found twice."""
        self.findings = sorted(
            set(self.findings),
            key=lambda each: (-each.severity, each.file, each.line, each.rule, each.says),
        )

    def count(self, severity: Severity) -> int:
        """How many findings are of a severity."""
        return sum(finding.severity is severity for finding in self.findings)

    @property
    def verdict(self) -> str:
        """The outcome in one line."""
        numbers = [(self.count(each), str(each)) for each in (ERROR, WARNING, NOTE)]
        counted = ", ".join(f"{n} {what}{'' if n == 1 else 's'}" for n, what in numbers)
        return f"{self.name}: {counted}"
