"""Copy projects/local.py into each project that has a copy, so that each stays complete alone."""

import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Make the copies; see the module's own text."""
    for copy in sorted(ROOT.glob("projects/*/local.py")):
        shutil.copyfile(ROOT / "projects" / "local.py", copy)
        print(copy.relative_to(ROOT))


if __name__ == "__main__":
    main()
