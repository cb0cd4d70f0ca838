"""The other interpreter of `elsewhere`: calls a function that was carried over, on another day."""

import datetime
import importlib
import marshal
import pickle
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def later(days: int) -> None:
    """Lets it be some days later."""
    seconds, real = days * 86_400, time.time
    time.time = lambda: real() + seconds
    time.time_ns = lambda: int(time.time() * 1e9)
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _of_now(getattr(time, name)))
    strftime = time.strftime
    time.strftime = lambda pattern, *when: strftime(pattern, *(when or (time.localtime(),)))

    class Date(datetime.date):
        """A date that begins later."""

        @classmethod
        def today(cls) -> Any:  # noqa: ANN401
            return cls.fromtimestamp(time.time())

    class Datetime(datetime.datetime):
        """A date and time that begins later."""

        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:  # noqa: ANN401
            return cls.fromtimestamp(time.time(), tz)

        @classmethod
        def today(cls) -> Any:  # noqa: ANN401
            return cls.now()

        @classmethod
        def utcnow(cls) -> Any:  # noqa: ANN401
            return cls.now(datetime.UTC).replace(tzinfo=None)

    datetime.date, datetime.datetime = Date, Datetime


def _of_now(real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *when: real(*(when if when and when[0] is not None else (time.time(),)))


def unpacked(what: Any, known: dict[int, Any]) -> Any:  # noqa: ANN401
    """A value, or a function with the names that it knows."""
    kind, *rest = what
    if kind == "module":
        return importlib.import_module(rest[0])
    if kind == "value":
        return pickle.loads(rest[0])  # noqa: S301 (the judge wrote it)
    if kind == "again":
        return known[rest[0]]
    number, code, names, cells, (defaults, kwdefaults) = rest
    places = tuple(types.CellType() for _ in cells)
    body = marshal.loads(code)  # noqa: S302 (the judge wrote it)
    function = types.FunctionType(body, {"__builtins__": __builtins__}, None, None, places)
    known[number] = function
    for place, cell in zip(places, cells, strict=True):
        place.cell_contents = unpacked(cell, known)
    function.__globals__.update({name: unpacked(value, known) for name, value in names.items()})
    function.__defaults__ = unpacked(defaults, known)
    function.__kwdefaults__ = unpacked(kwdefaults, known)
    return function


def main() -> None:
    """Reads the call, writes the answer."""
    function, arguments, days = pickle.loads(Path("call").read_bytes())  # noqa: S301
    later(days)
    try:
        answer = "returned", unpacked(function, {})(*arguments)
        text = pickle.dumps(answer)
    except BaseException as error:
        text = pickle.dumps(("raised", f"{type(error).__name__}: {error}"))
    Path("answer").write_bytes(text)


if __name__ == "__main__":
    main()
