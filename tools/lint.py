"""Check code, notebooks, spelling, workflows and shell scripts, and say one line for each check.

Every check runs, whatever came of the others. `make format` mends what a formatter can. With files
named, only the checks that can look at single files run, and look at those.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent


class Check(NamedTuple):
    """A program to run, and on which files of git's; with no pattern it looks for itself.

    Attributes:
        name: What to call it.
        command: The program and its options.
        files: Patterns of the files to give it.
        single: Whether it can be given any one file instead.
    """

    name: str
    command: tuple[str, ...]
    files: tuple[str, ...] = ()
    single: bool = False


def schema(name: str) -> tuple[str, ...]:
    """Return the command that checks files against a schema that comes with the tool."""
    return ("check-jsonschema", "--builtin-schema", f"vendor.{name}")


CHECKS = (
    Check("code", ("ruff", "check", "--quiet"), single=True),
    Check("format", ("ruff", "format", "--check", "--quiet"), single=True),
    Check("names", ("pyrefly", "check", "--output-format=min-text")),
    Check("imports", ("lint-imports", "--no-cache")),
    Check("spelling", ("codespell",), single=True),
    Check("plain English", ("python", "-m", "tools.english"), single=True),
    Check("workflows: security", ("zizmor", "--offline", "--quiet", "--pedantic", ".github")),
    Check("workflows: schema", schema("github-workflows"), (".github/workflows/*.yml",)),
    Check("dependabot: schema", schema("dependabot"), (".github/dependabot.yml",)),
    Check("citation: schema", schema("citation-file-format"), ("CITATION.cff",)),
    Check("compose: schema", schema("compose-spec"), ("*compose.yaml",)),
    Check(
        "shell scripts", ("shellcheck",), ("tools/setup", ".ci/run", ".binder/postBuild", "*.sh")
    ),
)


def tracked(patterns: tuple[str, ...]) -> list[str]:
    """Return the files that match, of those that git tracks or would."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (ROOT / name).is_file()]


def run(check: Check, only: Sequence[str] = ()) -> bool:
    """Run a check, and show what it says if it fails.

    Args:
        check: Which.
        only: Files to look at, from the project's folder; none stands for all of its own.

    Returns:
        Whether it passed.
    """
    files = list(only) or (tracked(check.files) if check.files else [])
    if check.files and not files:
        return True
    program, *options = check.command
    began = time.monotonic()
    done = subprocess.run(
        [BIN / program, *options, *files],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    passed = done.returncode == 0
    took = time.monotonic() - began
    print(f"  {check.name:<20} {'passed' if passed else 'FAILED':<8} {took:4.1f} s", flush=True)
    if not passed:
        print(done.stdout.rstrip() or f"exit status {done.returncode}", flush=True)
    return passed


def main() -> int:
    """Run all checks; see the module's own text."""
    parser = argparse.ArgumentParser(description="Check the form of code and text.")
    parser.add_argument("files", nargs="*", help="some files, instead of all")
    files = parser.parse_args().files
    results = [run(check, files) for check in CHECKS if not files or check.single]
    if all(results):
        print(f"lint: all {len(results)} checks passed")
        return 0
    print(f"lint: {results.count(False)} of {len(results)} checks failed")
    return 1


if __name__ == "__main__":
    sys.exit(main())
