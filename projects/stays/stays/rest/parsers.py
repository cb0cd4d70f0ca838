"""Reading JSON, also when somebody means harm with it."""

import json
import re
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
"""An escape of half a pair. Without one there is none: UTF-8 has no other form of it."""


class StrictJSONParser(BaseParser):
    """Reads a body of JSON. What DRF's own parser takes for a fault of ours is the client's here.

    That is a body nested so deep that Python gives up (DRF lets the RecursionError go on), and one
    with half a surrogate pair, which no answer that quotes it could be written with.
    """

    media_type = "application/json"

    def parse(self, stream: IO[Any], *_: Any, **__: Any) -> Any:
        """Return what the body says.

        Raises:
            ParseError: as `read_json` does.
        """
        return read_json(stream.read())


def read_json(text: str | bytes) -> Any:
    """Return what a text says in JSON.

    Raises:
        ParseError: if it is not JSON in UTF-8, nested too deep, names a member twice, or holds half
            a surrogate pair.
    """
    try:
        # Of bytes, json.loads guesses the encoding; JSON between programs is UTF-8 (RFC 8259, 8.1).
        read = text if isinstance(text, str) else text.decode()
        said = json.loads(read, parse_constant=_refuse_constant, object_pairs_hook=_members)
        if SURROGATE.search(read):  # half a pair cannot be encoded; a whole one is one character
            json.dumps(said, ensure_ascii=False).encode()
        return said
    except (ValueError, RecursionError):
        raise ParseError("This is not JSON that could be read.") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object, whose names differ: programs disagree on which of two values counts.

    Source: RFC 8259, 4.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name comes twice")
    return members


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    raise ValueError(name)
