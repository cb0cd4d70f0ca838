"""The variables of .env.example."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
VARIABLE = re.compile(r"(?P<optional>#?)(?P<name>[A-Z][A-Z0-9_]*)=(?P<value>.*)")


def example(*, optional: bool) -> dict[str, str]:
    """The required variables, or those that are commented out, with their values."""
    found = {}
    for line in (ROOT / ".env.example").read_text().splitlines():
        if (match := VARIABLE.fullmatch(line)) and bool(match["optional"]) == optional:
            found[match["name"]] = match["value"].strip('"')
    return found


def production() -> dict[str, str]:
    """The example's required variables, with secrets as they should be."""
    return {
        name: value.replace("change-me", "0123456789-abcdefghij") + ("-x" * 20)
        if value.startswith("change-me")
        else value
        for name, value in example(optional=False).items()
    }
