"""Copy the files that mini-projects share into each of them, so that each stays complete alone."""

import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = {
    "local.py": "*/local.py",
    "stays/stays/accounts/hashers.py": "*/*/hashers.py",
    "polls/tests/test_hashers.py": "*/tests/test_hashers.py",
}
"""Where the copies of a file are: patterns, from the folder of the projects."""


def copies() -> Iterator[tuple[Path, Path]]:
    """Yield each shared file with each of its copies."""
    folder = ROOT / "projects"
    for original, pattern in SHARED.items():
        for copy in sorted(folder.glob(pattern)):
            if copy != folder / original:
                yield folder / original, copy


def main() -> None:
    """Make the copies; see the module's own text."""
    for original, copy in copies():
        shutil.copyfile(original, copy)
        print(copy.relative_to(ROOT))


if __name__ == "__main__":
    main()
