"""Server-side apply: who owns which field of an object, and who may change it.

A stand-in for Kubernetes' managed fields. A field is the path to a value. Lists of the kinds in
`patch.KEYS` are fields entry by entry; any other list is one field. Only writes through the API
server count: what controllers write into a status belongs to nobody here.
"""

from collections.abc import Mapping
from typing import Any

from nexus.cluster import patch
from nexus.cluster.store import ConflictError, Object

Path = tuple[str, ...]
NOBODYS = ("apiVersion", "kind", "status")
"""Fields at the top of an object that are not looked at, and nearly all of its metadata."""


def leaves(thing: Any, way: Path = (), key: str = "") -> dict[Path, Any]:  # noqa: ANN401
    """The fields below a value, each with its own value.

    Args:
        thing: the value.
        way: the path that leads to it; the names of the result begin with it.
        key: the field that this is the value of.
    """
    if isinstance(thing, Mapping):
        found = [leaves(value, (*way, f".{name}"), name) for name, value in thing.items()]
    elif isinstance(thing, list) and key in patch.KEYS and thing:
        name = patch.KEYS[key]
        found = []
        for one in thing:
            here = (*way, f"[{name}={shown(one.get(name))}]")
            rest = {key: value for key, value in one.items() if key != name}
            found.append(leaves(rest, here) if rest else {here: one})
    else:
        return {way: thing}
    return {path: value for each in found for path, value in each.items()}


def shown(value: object) -> str:
    """A value as a path has it: text in quotes."""
    return f'"{value}"' if isinstance(value, str) else str(value)


def fields(thing: Object) -> dict[Path, Any]:
    """The fields of an object that somebody can own."""
    found = {name: value for name, value in thing.items() if name not in (*NOBODYS, "metadata")}
    meta = {name: thing.get("metadata", {}).get(name, {}) for name in ("labels", "annotations")}
    return leaves(found) | leaves(meta, (".metadata",))


def without(thing: Any, way: Path, key: str = "") -> None:  # noqa: ANN401
    """Removes a field from a value, and what has nothing but its name then."""
    (step, *rest) = way
    if step.startswith("["):
        name = patch.KEYS[key]
        names = [f"[{name}={shown(one.get(name))}]" for one in thing]
        index: Any = names.index(step)
        bare = {name}
    else:
        index, bare = step[1:], set()
    if rest:
        without(thing[index], tuple(rest), step[1:])
    if not rest or not thing[index] or (bare and set(thing[index]) <= bare):
        del thing[index]


class Ownership:
    """Who owns the fields of all objects: managers by the path of a field."""

    def __init__(self) -> None:
        self._owners: dict[str, dict[Path, set[str]]] = {}

    def of(self, thing: Object) -> dict[Path, set[str]]:
        """The owners of the fields of an object."""
        return self._owners.setdefault(thing["metadata"].get("uid", ""), {})

    def wrote(self, manager: str, old: Object | None, new: Object) -> None:
        """Gives the fields that a write has changed to the one who wrote.

        Args:
            manager: who wrote, as a conflict names it.
            old: the object before; None if it is new.
            new: the object now.
        """
        owners, before = self.of(new), fields(old or {})
        after = fields(new)
        for path in owners.keys() - after:
            del owners[path]
        for path, value in after.items():
            if path not in before or before[path] != value:
                owners[path] = {manager}

    def apply(self, manager: str, old: Object, wanted: Object, *, force: bool) -> Object:
        """What an object is after a server-side apply.

        Args:
            manager: who applies.
            old: the object as it is.
            wanted: the fields that the manager wants to own. Those that it owned and does not
                name any more are removed, if nobody else owns them.
            force: whether it takes fields that others own.

        Raises:
            ConflictError: if another one owns a field that would change.
        """
        owners, have, want = self.of(old), fields(old), fields(wanted)
        held: dict[str, list[str]] = {}
        for path, value in want.items():
            if path in have and have[path] != value:
                for other in owners.get(path, set()) - {manager}:
                    held.setdefault(other, []).append("".join(path))
        if held and not force:
            raise ConflictError(complaint(held))
        new: Object = patch.merge(old, wanted, strategic=True)
        for path in [path for path, who in owners.items() if manager in who and path not in want]:
            owners[path].discard(manager)
            if not owners[path]:
                del owners[path]
                without(new, path)
        for path, value in want.items():
            shared = owners.get(path, set()) if have.get(path) == value else set()
            owners[path] = shared | {manager}
        return new


def complaint(held: Mapping[str, list[str]]) -> str:
    """What the API server says of conflicts: fields by who owns them."""
    count = sum(map(len, held.values()))
    if count == 1:
        ((who, (path,)),) = held.items()
        return f"Apply failed with 1 conflict: conflict with {who}: {path}"
    said = [f"Apply failed with {count} conflicts: "]
    for who, paths in sorted(held.items()):
        said += [f"conflicts with {who}:", *(f"- {path}" for path in sorted(paths))]
    return said[0] + "\n".join(said[1:])
