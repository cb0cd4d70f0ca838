"""Put a chapter back as git has it, and keep the reader's own version in `yours/`.

`make reset` without a chapter lists those that differ from git's version.
"""

import argparse
import datetime
import shutil
import subprocess
import sys
from pathlib import Path

from tools import chapters

ROOT = chapters.ROOT
KEPT = "yours"  # git ignores this folder, JupyterLab shows it, and `make clean` leaves it alone


class ResetError(Exception):
    """A chapter that cannot be put back; the text says why, and what to do."""


def git(root: Path, *arguments: str) -> str:
    """Ask git about a folder that is the top of a checkout.

    Args:
        root: The folder.
        arguments: A subcommand of git's and its arguments.

    Returns:
        What git prints.

    Raises:
        ResetError: If git is not installed, the folder is no checkout, or git refuses.
    """
    if not (root / ".git").exists():
        raise ResetError(
            "this folder is not a git checkout, so it holds no clean copy of a chapter. "
            "Get one beside it with git clone"
        )
    try:
        command = ["git", "-C", root, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        raise ResetError("git is not installed. On Debian: sudo apt-get install git") from None
    except subprocess.CalledProcessError as error:
        raise ResetError(f"git says: {error.stderr.strip()}") from None


def listed(root: Path = ROOT) -> dict[str, Path]:
    """Return the notebooks that `_toc.yml` names, by name, whether they are there or not."""
    files = (Path(entry).with_suffix(".ipynb") for entry in chapters.entries(root))
    return {file.stem: file for file in files if file.parts[0] == "notebooks"}


def changed(root: Path = ROOT) -> list[str]:
    """Return the names of the chapters that differ from git's version, in the book's order.

    Raises:
        ResetError: If git cannot tell.
    """
    status = git(root, "status", "--porcelain", "--untracked-files=no", "-z", "--", "notebooks")
    differing = {entry[3:] for entry in status.split("\0")}
    return [name for name, file in listed(root).items() if file.as_posix() in differing]


def keep(file: Path, root: Path = ROOT) -> Path:
    """Copy a reader's version to a new name in `yours/`, and return its path."""
    folder = root / KEPT
    folder.mkdir(exist_ok=True)
    day = datetime.date.today().isoformat()
    number = 1
    while (copy := folder / f"{file.stem}-{day}-{number}.ipynb").exists():
        number += 1
    shutil.copyfile(file, copy)
    return copy


def reset(name: str, root: Path = ROOT) -> Path | None:
    """Put a chapter back.

    Args:
        name: The chapter's name.
        root: The project's folder.

    Returns:
        Where the reader's own version is kept; None if there was none.

    Raises:
        ResetError: If the name is unknown, nothing is changed, or git has no version.
    """
    known = listed(root)
    name = Path(name).stem if name.endswith(".ipynb") else name
    if name not in known:
        raise ResetError(f"there is no chapter {name!r}. There are: {', '.join(known)}")
    file = known[name]
    if not git(root, "ls-tree", "HEAD", "--", file.as_posix()):
        raise ResetError(f"git has no version of {file} yet, so there is nothing to put back")
    if name not in changed(root):
        raise ResetError(f"{name} is as git has it: there is nothing to put back")
    kept = keep(root / file, root) if (root / file).exists() else None
    git(root, "restore", "--source=HEAD", "--staged", "--worktree", "--", file.as_posix())
    return kept


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Put a chapter back as git has it.")
    parser.add_argument("chapter", nargs="?", help="its name; without one, list what differs")
    name = parser.parse_args().chapter
    try:
        if name:
            kept = reset(name)
            print(f"{name} is as git has it again.")
            if kept:
                print(f"Your version is kept in {kept.relative_to(ROOT)}")
            print("If it is open in JupyterLab: File > Reload Notebook from Disk.")
        elif differing := changed():
            print("These chapters differ from git's version:")
            print(*(f"  make reset CHAPTER={other}" for other in differing), sep="\n")
        else:
            print("All chapters are as git has them.")
    except ResetError as error:
        print(f"reset: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
