"""Where the repository is: from CI or from the clone's remote, and never with a secret in it."""

import subprocess
from pathlib import Path

import pytest

from tools import repository

HERE = "https://github.com/ada/book"
PLACES = {
    "https://github.com/ada/book": HERE,
    "https://github.com/ada/book.git": HERE,
    "https://github.com/ada/book/": HERE,
    "https://ada:secret@github.com/ada/book.git": HERE,
    "https://x-access-token:secret@github.com/ada/book": HERE,
    "git@github.com:ada/book.git": HERE,
    "ssh://git@github.com/ada/book.git": HERE,
    "ssh://git@github.com:22/ada/book.git": HERE,
    "git@gitlab.com:ada/my.book.git\n": "https://gitlab.com/ada/my.book",
    "/srv/git/ada/book": None,
    "../book.git": None,
    "file:///srv/git/ada/book": None,
    "https://git.example.org/ada/book": None,  # nobody knows how its pages are called
    "https://github.com/ada": None,
    "": None,
}


@pytest.mark.parametrize("remote", PLACES)
def test_a_remote_is_read(remote: str) -> None:
    found = repository.parsed(remote)
    assert (found.url if found else None) == PLACES[remote]


def git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", "-C", folder, *arguments], check=True, capture_output=True)


def test_a_clone_says_where_it_is_from(tmp_path: Path) -> None:
    assert repository.find(tmp_path, {}) is None  # no checkout
    git(tmp_path, "init")
    assert repository.find(tmp_path, {}) is None  # no remote
    git(tmp_path, "remote", "add", "origin", "git@github.com:ada/book.git")
    found = repository.find(tmp_path, {})
    assert found is not None
    assert found.url == HERE
    assert found.codespaces == "https://codespaces.new/ada/book"
    assert found.book == ""  # nobody knows whether it is published
    known = repository.find(tmp_path, {"NEXUS_BOOK_URL": "https://book.example.org/"})
    assert known is not None
    assert known.book == "https://book.example.org/"


@pytest.mark.parametrize(
    ("server", "slug", "book"),
    [
        ("https://github.com", "Ada/book", "https://ada.github.io/book/"),
        ("https://github.com", "ada/ada.github.io", "https://ada.github.io/"),
        ("https://git.example.org", "ada/book", ""),
    ],
)
def test_ci_says_where_it_runs(tmp_path: Path, server: str, slug: str, book: str) -> None:
    variables = {"GITHUB_SERVER_URL": server, "GITHUB_REPOSITORY": slug}
    found = repository.find(tmp_path, variables)
    assert found is not None
    assert (found.url, found.book) == (f"{server}/{slug}", book)
    assert bool(found.codespaces) == (server == "https://github.com")


def test_the_date_is_that_of_the_last_commit(tmp_path: Path) -> None:
    assert repository.date(tmp_path, {}) == ""
    assert repository.date(tmp_path, {"SOURCE_DATE_EPOCH": "86400"}) == "1970-01-02"
    git(tmp_path, "init")
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    git(tmp_path, *identity, "commit", "--allow-empty", "-m", "Begin", "--date=2020-02-02")
    assert repository.date(tmp_path, {})[:2] == "20"
