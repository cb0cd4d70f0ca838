"""Reading JSON, also when somebody means harm with it."""

import json
from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser


class StrictJSONParser(BaseParser):
    """Reads a body of JSON. What DRF's own parser takes for a fault of ours is the client's here.

    That is a body nested so deep that Python gives up (DRF lets the RecursionError go on).
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,  # noqa: ARG002 (DRF's signature)
        parser_context: Mapping[str, Any] | None = None,  # noqa: ARG002
    ) -> Any:
        """Return what the body says.

        Raises:
            ParseError: if it is not JSON in UTF-8, or nested too deep.
        """
        return read_json(stream.read())


def read_json(text: str | bytes) -> Any:
    """Return what a text says in JSON.

    Raises:
        ParseError: if it is not JSON in UTF-8, or nested too deep.
    """
    try:
        # Of bytes, json.loads guesses the encoding; JSON between programs is UTF-8 (RFC 8259, 8.1).
        read = text if isinstance(text, str) else text.decode()
        return json.loads(read, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise ParseError("This is not JSON that could be read.") from None


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    raise ValueError(name)
