"""Where this repository is on the network: asked of CI or of the clone, and written nowhere.

A fork, a mirror or a renamed repository therefore needs no change. A folder that nobody can reach
has no address, and then the book shows no button that would lead nowhere.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BRANCH = "main"
# Their pages of files, edits and issues have addresses that the book's theme knows.
FORGES = {"github.com": "github", "gitlab.com": "gitlab"}
REMOTE = re.compile(
    r"(?:(?:https?|ssh)://(?:[^@/]+@)?|[\w.-]+@)"  # a name or a token is not for the public
    r"(?P<host>[\w.-]+)(?::\d+)?[/:]"
    r"(?P<owner>[\w.-]+)/(?P<name>[\w.-]+?)(?:\.git)?/?"
)


@dataclass(frozen=True)
class Repository:
    """A repository on a forge.

    Attributes:
        host: The forge's address, without a scheme.
        owner: Whose it is.
        name: Its name.
        provider: What kind of forge it is: `github` or `gitlab`.
        book: The address of the published book; empty if it is not known.
    """

    host: str
    owner: str
    name: str
    provider: str
    book: str = ""

    @property
    def slug(self) -> str:
        """Owner and name, as the forge writes them."""
        return f"{self.owner}/{self.name}"

    @property
    def url(self) -> str:
        """The address of its page, which can be cloned as well."""
        return f"https://{self.host}/{self.slug}"

    @property
    def codespaces(self) -> str:
        """Where its files open with an editor in the browser; empty if the forge cannot do it."""
        return f"https://codespaces.new/{self.slug}" if self.host == "github.com" else ""


def parsed(remote: str, provider: str = "", book: str = "") -> Repository | None:
    """Return the repository that the address of a remote names; None if it is on no known forge.

    Args:
        remote: What `git remote get-url` prints.
        provider: What kind of forge it is, where that is known already.
        book: The address of the published book.
    """
    found = REMOTE.fullmatch(remote.strip())
    kind = provider or (FORGES.get(found["host"]) if found else None)
    if not found or not kind:
        return None
    return Repository(found["host"], found["owner"], found["name"], kind, book)


def find(root: Path = ROOT, variables: Mapping[str, str] = os.environ) -> Repository | None:
    """Return where a checkout comes from: CI says it, or its remote `origin`; None if nowhere.

    Args:
        root: The project's folder.
        variables: The environment. `NEXUS_BOOK_URL` names the published book's address; in GitHub's
            CI, which publishes the book, it follows from the repository.
    """
    book = variables.get("NEXUS_BOOK_URL", "")
    server, slug = variables.get("GITHUB_SERVER_URL"), variables.get("GITHUB_REPOSITORY")
    if server and slug:
        found = parsed(f"{server}/{slug}", "github")
        if found and not book and found.host == "github.com":
            site = f"{found.owner.lower()}.github.io"
            book = f"https://{site}/" + ("" if found.name.lower() == site else f"{found.name}/")
        return parsed(f"{server}/{slug}", "github", book)
    if not (root / ".git").exists():
        return None
    asked = output("git", "-C", str(root), "remote", "get-url", "origin")
    return parsed(asked, book=book)


def date(root: Path = ROOT, variables: Mapping[str, str] = os.environ) -> str:
    """Return the day of the last commit, as in 2026-11-26; empty without a checkout."""
    if "SOURCE_DATE_EPOCH" in variables:
        moment = datetime.fromtimestamp(int(variables["SOURCE_DATE_EPOCH"]), UTC)
        return moment.date().isoformat()
    if not (root / ".git").exists():
        return ""
    return output("git", "-C", str(root), "log", "-1", "--format=%cs").strip()


def output(*command: str) -> str:
    """Return what a command prints; nothing if it fails or is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""
