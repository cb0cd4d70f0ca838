"""How an API differs from what a suite expects: its paths, its names, its log-in. In TOML."""

import difflib
import os
import re
import tomllib
from collections.abc import Mapping as ReadOnly
from copy import deepcopy
from pathlib import Path
from typing import Any

from acceptance.check import Failed, Skipped
from acceptance.client import Answer

SUITES = Path(__file__).parent / "suites"
FREE = {"body", "extra", "headers"}
"""Tables whose keys are the API's own; one given in a student's file replaces the suite's."""
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}
SECTIONS: dict[str, Any] = {
    "headers": {},
    "paths": {},
    "parameters": {},
    "values": {},
    "fields": {},
    "operations": {},
    "lists": {"items": "", "next": "", "count": "", "page": "", "size": "", "cursor": ""},
    "auth": {
        "scheme": "Bearer",
        "header": "Authorization",
        **{
            step: {"path": "", "form": False, "body": {}, "access": "", "refresh": ""}
            for step in ("register", "login", "refresh", "logout", "me")
        },
    },
    "roles": {"user": {}},
}
"""What a mapping may hold. The suite's own file fills it, and defines what a student may set."""
ROLE: dict[str, Any] = {"username": "", "password": "", "extra": {}}


class MappingError(Exception):
    """A mapping cannot be used. The text says where and why."""


class Mapping:
    """A suite's mapping, with a student's differences laid over it.

    Attributes:
        data: All sections, merged.
    """

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data

    @classmethod
    def of(cls, suite: str, file: Path | None = None) -> "Mapping":
        """Return the suite's mapping, with a file's differences.

        Raises:
            MappingError: If one of them cannot be read or has something that is not known.
        """
        own = load(SUITES / f"{suite}.toml")
        base = fill(deepcopy(SECTIONS), own)
        for role, how in base["roles"].items():
            base["roles"][role] = fill(deepcopy(ROLE), how)
        if file is not None:
            merge(base, load(file), "")
        for name, text in base["paths"].items():
            split(name, text)
        return cls(base)

    @staticmethod
    def default(suite: str) -> str:
        """Return the text of a suite's own mapping, for a student to start from."""
        return (SUITES / f"{suite}.toml").read_text()

    def headers(self) -> dict[str, str]:
        """Return the headers that go with each request."""
        return {name: secret(str(text)) for name, text in self.data["headers"].items()}

    def path(self, name: str, **names: object) -> tuple[str, str]:
        """Return method and path of a request.

        Args:
            name: Its name in the section paths, or a method and a path: "GET /healthz".
            names: What to put in for {names}.

        Raises:
            Skipped: If the mapping leaves the path empty: the API does not have it.
        """
        text = name if " " in name else self._named("paths", name)
        if not text:
            raise Skipped(f"paths.{name} is empty in the mapping: the API has no such request")
        method, path = split(name, text)
        return method, path.format(**names)

    def parameters(self, values: ReadOnly[str, Any]) -> dict[str, Any]:
        """Return a query's parameters under the API's names; one that is not mapped is kept.

        Raises:
            Skipped: If the mapping leaves one empty.
        """
        result = {}
        for name, value in values.items():
            own = self.data["parameters"].get(name, name)
            if not own:
                raise Skipped(f"parameters.{name} is empty in the mapping: the API has none")
            key, equals, fixed = own.partition("=")
            result[key] = fixed.format(value=value) if equals else value
        return result

    def value(self, name: str) -> Any:
        """Return what the API calls a value, by its name in the section values."""
        return self._named("values", name)

    def has(self, kind: str, *names: str) -> bool:
        """Whether the API has all these fields."""
        return all(self._field(kind, name) for name in names)

    def body(self, kind: str, **values: Any) -> dict[str, Any]:
        """Return data to send, under the API's names. A field that the API has not is left out."""
        result: dict[str, Any] = {}
        for name, value in values.items():
            if own := self._field(kind, name):
                *outer, last = own.split(".")
                place = result
                for key in outer:
                    place = place.setdefault(key, {})
                place[last] = value
        return result

    def field(self, kind: str, name: str, data: Any, answer: Answer | None = None) -> Any:
        """Return a field of data that came, by the suite's name.

        Args:
            kind: Of what: a table in the section fields.
            name: The suite's name.
            data: An object that came, or a part of one.
            answer: The one it came in, for a report.

        Raises:
            Skipped: If the mapping leaves the field empty.
            Failed: If it is not there.
        """
        own = self._field(kind, name)
        if not own:
            raise Skipped(f"fields.{kind}.{name} is empty in the mapping: the API has none")
        try:
            return dig(data, own)
        except LookupError:
            wanted = (
                f"A field {own!r} in each {kind} (fields.{kind}.{name} of the mapping names it)"
            )
            if answer is not None:
                answer.fail(wanted)
            raise Failed(sent="a request", came=repr(data)[:300], wanted=wanted) from None

    def _field(self, kind: str, name: str) -> str:
        fields = self.data["fields"]
        if kind not in fields or name not in fields[kind]:
            raise MappingError(f"The suite asks for fields.{kind}.{name}, which its mapping lacks")
        return str(fields[kind][name])

    def _named(self, section: str, name: str) -> Any:
        if name not in self.data[section]:
            raise MappingError(f"The suite asks for {section}.{name}, which its mapping lacks")
        return self.data[section][name]


def split(name: str, text: str) -> tuple[str, str]:
    """Return the method and the path of a text such as "POST /api/polls"."""
    method, _, path = text.partition(" ")
    if text and (method not in METHODS or not path.startswith("/")):
        raise MappingError(f'paths.{name} is {text!r}, and not like "POST /api/polls/{{poll}}"')
    return method, path


def dig(data: Any, path: str) -> Any:
    """Return what stands at a dotted path: "data.polls.0.id". The empty path is all of it.

    Raises:
        LookupError: If it is not there.
    """
    for key in path.split(".") if path else []:
        if isinstance(data, list) and key.isdecimal():
            data = data[int(key)]
        elif isinstance(data, dict):
            data = data[key]
        else:
            raise LookupError(key)
    return data


def load(file: Path) -> dict[str, Any]:
    """Return a TOML file's data."""
    try:
        return tomllib.loads(file.read_text())
    except OSError as error:
        raise MappingError(f"The mapping {file} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise MappingError(f"The mapping {file} is not TOML: {error}") from None


def fill(frame: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Fill the frame of all mappings from a suite's own file, which may add to it."""
    for key, value in own.items():
        old = frame.get(key)
        both = isinstance(old, dict) and isinstance(value, dict) and key not in FREE
        frame[key] = fill(dict(old), value) if both and old else value
    return frame


def merge(base: dict[str, Any], given: dict[str, Any], where: str) -> None:
    """Lay a student's values over the suite's, in place.

    Raises:
        MappingError: If a key is not known, or a value is of another kind.
    """
    for key, value in given.items():
        place = f"{where}.{key}".lstrip(".")
        if key not in base:
            near = difflib.get_close_matches(key, base, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(base)}"
            raise MappingError(f"The mapping has {place}, which this suite does not know: {hint}")
        old = base[key]
        if isinstance(old, dict) != isinstance(value, dict) or (
            not isinstance(old, dict) and type(old) is not type(value) and where != "values"
        ):
            kind = "a table" if isinstance(old, dict) else f"like {old!r}"
            raise MappingError(f"The mapping's {place} must be {kind}, and it is {value!r}")
        if isinstance(value, dict) and key not in FREE:
            merge(old, value, place)
            continue
        if where == "paths":
            known = set(re.findall(r"{(\w*)}", old))
            if unknown := set(re.findall(r"{(\w*)}", value)) - known:
                names = ", ".join(f"{{{name}}}" for name in sorted(known)) or "none"
                raise MappingError(
                    f"The mapping's {place} has {{{unknown.pop()}}}; it may have {names}"
                )
        base[key] = value


def filled(template: Any, values: ReadOnly[str, str]) -> Any:
    """Return a body with its {names} put in, at any depth. Braces of other kinds are kept."""
    if isinstance(template, dict):
        return {key: filled(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    if isinstance(template, str):
        return re.sub(r"{(\w+)}", lambda m: values.get(m[1], m[0]), template)
    return template


def secret(text: str) -> str:
    """Return a value of the mapping; "$NAME" stands for a variable of the environment.

    Raises:
        MappingError: If the variable is not set.
    """
    if not text.startswith("$"):
        return text
    if (value := os.environ.get(text[1:])) is None:
        raise MappingError(f"The mapping names {text}, and that variable is not set")
    return value
