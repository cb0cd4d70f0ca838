"""Count patterns of hard grammar in the project's prose, and hold each file to its budget.

The facts of a text are not touched by this, and a count is no verdict on a sentence: a file is
held to what it had when it was last better. `python -m tools.english --write` stores lower counts
in data/english.csv; higher ones are refused. A file that is not listed there is held to the
rates of MOST, for a thousand words. What the patterns are good for is in docs/decisions/.
"""

import argparse
import csv
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools import chapters, lint

ROOT = chapters.ROOT
BUDGET = Path("data") / "english.csv"
PAGES = ("*.md", "*.ipynb")
# Not prose of ours, or a list of what was.
NOT_READ = {"CHANGELOG.md"}

PATTERNS = {
    "colons": r"[a-z)]: [a-z]",  # inside a sentence
    "semicolons": r";",
    # "Who uses these levels has to …", "What was committed stays"
    "clauses": r"\b[Ww]ho(?:ever)? [a-z]+s\b|\b[Ww]hat (?:is|it|was|has)\b",
    "owns": r"\bof (?:its|one's|their|your|his|her|my|our) own\b",
    "duties": r"\b(?:is|are|was|were) to [a-z]+\b",  # "is to send" for "should send"
    "stands": r"\bstands?\b",
    "pronouns": r"\b[Tt]h(?:at|ose) (?:of|that|who|which)\b|\b[Oo]nes? (?:of|that|who|which)\b",
}
# For a thousand words of a file that has no budget.
MOST = {
    "colons": 3.0,
    "semicolons": 1.0,
    "clauses": 2.0,
    "owns": 0.5,
    "duties": 0.5,
    "stands": 0.5,
    "pronouns": 2.0,
}
# A table's row, code, and an address are not read as sentences.
LEFT_OUT = re.compile(
    r"^ {0,3}(```+|~~~+).*?^ {0,3}\1|`+[^`]*`+|^ *\|[^\n]*\|$|<!--.*?-->|\]\([^)]*\)|https?://\S+",
    re.MULTILINE | re.DOTALL,
)

Counts = dict[str, int]


def prose(path: Path) -> str:
    """Return the sentences of a page, without code, tables and addresses."""
    if path.suffix == ".ipynb":
        cells = chapters.read(path).cells
        text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    else:
        text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text(), flags=re.DOTALL)
    return LEFT_OUT.sub(" ", text)


def count(text: str) -> Counts:
    """Count each pattern."""
    return {name: len(re.findall(pattern, text)) for name, pattern in PATTERNS.items()}


def allowed(text: str) -> Counts:
    """Return how often each pattern may occur in a text that has no budget: once at least."""
    words = len(text.split())
    return {name: max(1, round(rate * words / 1000)) for name, rate in MOST.items()}


def examples(text: str, name: str) -> Iterator[str]:
    """Yield the places where a pattern occurs, each with some words around it."""
    for found in re.finditer(PATTERNS[name], text):
        around = text[max(0, found.start() - 40) : found.end() + 40]
        yield "… " + " ".join(around.split()) + " …"


def is_prose(name: str) -> bool:
    """Tell whether a file is one of the pages that are read here."""
    return Path(name).suffix in {".md", ".ipynb"} and name not in NOT_READ


def read(path: Path) -> dict[str, Counts]:
    """Return the stored budgets, by file."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {row.pop("file"): {name: int(value) for name, value in row.items()} for row in rows}


def write(path: Path, budgets: dict[str, Counts]) -> None:
    """Store budgets."""
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", *PATTERNS], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"file": name} | budgets[name] for name in sorted(budgets))


def over(text: str, budget: Counts | None) -> list[str]:
    """Return the patterns of which a text has more than it may.

    Args:
        text: Its prose.
        budget: What is stored for its file, if anything is.
    """
    found, most = count(text), allowed(text)
    limit = {name: max(most[name], (budget or {}).get(name, 0)) for name in PATTERNS}
    return [name for name in PATTERNS if found[name] > limit[name]]


def lowered(text: str, budget: Counts | None) -> Counts | None:
    """Return the budget that a file needs now, none where it can do without one."""
    found = count(text)
    if budget is not None:
        found = {name: min(found[name], budget[name]) for name in PATTERNS}
    return found if over(text, None) else None


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Hold prose to plain English, by counting.")
    parser.add_argument("files", nargs="*", help="some pages, instead of all")
    parser.add_argument("--write", action="store_true", help="store what has become better")
    parser.add_argument("--show", action="store_true", help="show every place of the files named")
    asked = parser.parse_args(arguments)
    names = asked.files or lint.tracked(PAGES)
    if missing := [name for name in names if not (root / name).is_file()]:
        print(f"english: there is no file {missing[0]}", file=sys.stderr)
        return 2
    budgets = read(root / BUDGET)
    read_here = [name for name in names if is_prose(name)]
    failed = False
    for name in read_here:
        text = prose(root / name)
        if asked.show:
            for pattern in PATTERNS:
                print(f"{name}: {pattern}", *examples(text, pattern), sep="\n    ")
        for pattern in over(text, budgets.get(name)):
            failed = True
            print(
                f"{name}: more {pattern} than it may have:", *examples(text, pattern), sep="\n    "
            )
    if failed:
        return 1
    if asked.write:
        kept = budgets if asked.files else {}
        for name in read_here:
            kept[name] = lowered(prose(root / name), budgets.get(name))
        write(root / BUDGET, {name: counts for name, counts in kept.items() if counts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
