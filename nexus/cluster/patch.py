"""The patches that kubectl sends: strategic merge, merge, and JSON patch."""

import copy
from collections.abc import Mapping
from typing import Any

from nexus.cluster.store import InvalidError

KEYS = {
    "containers": "name",
    "initContainers": "name",
    "env": "name",
    "volumes": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
"""The lists that a strategic merge joins entry by entry, and what tells entries apart."""

Json = Any


def merge(target: Json, patch: Json, *, strategic: bool, name: str = "") -> Json:
    """What an object is after a patch.

    Args:
        target: the object; it stays as it is.
        patch: what should change; None removes.
        strategic: whether lists of KEYS are joined; in a plain merge patch, a list is replaced.
        name: the field that this is the value of.
    """
    if isinstance(patch, Mapping):
        if patch.get("$patch") == "replace":
            return {key: value for key, value in patch.items() if key != "$patch"}
        result = dict(target) if isinstance(target, Mapping) else {}
        if "$retainKeys" in patch:
            result = {k: v for k, v in result.items() if k in patch["$retainKeys"]}
        for key, value in patch.items():
            if key.startswith("$deleteFromPrimitiveList/"):
                field = key.partition("/")[2]
                result[field] = [one for one in result.get(field, []) if one not in value]
            elif key.startswith("$"):
                continue
            elif value is None:
                result.pop(key, None)
            else:
                result[key] = merge(result.get(key), value, strategic=strategic, name=key)
        return result
    if strategic and isinstance(patch, list) and name in KEYS and isinstance(target, list):
        return _merge_list(target, patch, KEYS[name])
    return copy.deepcopy(patch)


def _merge_list(target: list[Json], patch: list[Json], key: str) -> list[Json]:
    if any(key not in one for one in [*target, *patch] if "$patch" not in one):
        return copy.deepcopy(patch)
    result = {one[key]: one for one in target}
    for one in patch:
        if one.get("$patch") == "delete":
            result.pop(one.get(key), None)
        else:
            result[one[key]] = merge(result.get(one[key]), one, strategic=True)
    return list(result.values())


def json_patch(target: Json, steps: list[dict[str, Any]]) -> Json:
    """What an object is after a JSON patch (RFC 6902: add, replace, remove and test).

    Raises:
        InvalidError: if a step does not fit.
    """
    result = copy.deepcopy(target)
    for step in steps:
        *way, last = [
            part.replace("~1", "/").replace("~0", "~") for part in step["path"].split("/")[1:]
        ]
        place = result
        try:
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place[part]
            at: Any = int(last) if isinstance(place, list) and last != "-" else last
            if step["op"] == "test":
                if place[at] != step["value"]:
                    raise InvalidError("the server rejected our request due to a failed test")
            elif step["op"] == "remove":
                del place[at]
            elif isinstance(place, list) and step["op"] == "add":
                place.insert(len(place) if at == "-" else at, step["value"])
            else:
                place[at] = step["value"]
        except (KeyError, IndexError, ValueError, TypeError):
            raise InvalidError(f"the path {step['path']} does not exist") from None
    return result
