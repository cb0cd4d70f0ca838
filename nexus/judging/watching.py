"""A text from outside that notes how an answer compares it: a signature, a token, a password.

`==` and `in` may stop at the first wrong character, so their time tells how much was right.
`hmac.compare_digest` reads a text as it is, and is not noted.
"""

import base64
import binascii
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

LONG = 16
"""Characters; a comparison with something shorter is no comparison with a secret."""

PASSED_ON = (
    *("__getitem__", "__add__", "__radd__", "casefold", "decode", "encode", "ljust", "lower"),
    *("lstrip", "partition", "removeprefix", "removesuffix", "replace", "rjust", "rpartition"),
    *("rsplit", "rstrip", "split", "splitlines", "strip", "upper", "zfill"),
)
"""What makes a part or a form of a text, which is then watched, too."""

COMPARING = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__contains__")
COMPARING_TOO = ("startswith", "endswith", "find", "index", "rfind", "rindex", "count")

Seen = list[str]


def watched(given: str, seen: Seen) -> str:
    """A text that adds a line to `seen` whenever it is compared with a long one."""
    made: str = _watch(given, seen)
    return made


def _watch(given: Any, seen: Seen) -> Any:  # noqa: ANN401
    """The same thing, watched if it is text, bytes, or a few of them."""
    if isinstance(given, list | tuple):
        return type(given)(_watch(part, seen) for part in given)
    if not isinstance(given, str | bytes):
        return given
    plain = str if isinstance(given, str) else bytes
    methods: dict[str, Any] = {"__hash__": plain.__hash__}
    for name in (*PASSED_ON, *COMPARING, *COMPARING_TOO):
        if hasattr(plain, name):
            wrap = _passing_on if name in PASSED_ON else _noting
            methods[name] = wrap(getattr(plain, name), seen)
    kind = type("Text" if plain is str else "Bytes", (plain,), methods)
    return kind(given)


def _passing_on(method: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    """A method of text whose result is watched, too."""
    return lambda self, *given, **named: _watch(method(self, *given, **named), seen)


def _noting(method: Callable[..., Any], seen: Seen) -> Callable[..., Any]:
    """A method of text that notes whether its argument is long enough to be a secret."""

    def called(self: Any, *given: Any, **named: Any) -> Any:  # noqa: ANN401
        if given and isinstance(given[0], str | bytes) and len(given[0]) >= LONG:
            seen.append(method.__name__)
        return method(self, *given, **named)

    return called


@contextmanager
def watching(seen: Seen) -> Iterator[None]:
    """While this lasts, base64 that is read from a watched text is watched, too."""

    def reading(read: Callable[..., bytes]) -> Callable[..., bytes]:
        def called(text: Any, *given: Any, **named: Any) -> bytes:  # noqa: ANN401
            is_watched = isinstance(text, str | bytes) and type(text) not in (str, bytes)
            found = read(text, *given, **named)
            return _watch(found, seen) if is_watched else found

        return called

    with (
        mock.patch.object(base64, "b64decode", reading(base64.b64decode)),
        mock.patch.object(base64, "standard_b64decode", reading(base64.standard_b64decode)),
        mock.patch.object(binascii, "a2b_base64", reading(binascii.a2b_base64)),
    ):
        yield
