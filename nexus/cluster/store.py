"""What the cluster knows: objects by name, a number for each change, and everybody who watches.

A stand-in for etcd and for the part of Kubernetes' API server that stores objects, in the memory
of one process. Nothing of it is durable or replicated.
"""

import pickle
import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
Key = tuple[str, str]
"""A resource, such as "pods", and a name. There is one namespace: default."""

KINDS: Mapping[str, tuple[str, str]] = {
    "configmaps": ("v1", "ConfigMap"),
    "events": ("v1", "Event"),
    "nodes": ("v1", "Node"),
    "secrets": ("v1", "Secret"),
    "namespaces": ("v1", "Namespace"),
    "pods": ("v1", "Pod"),
    "services": ("v1", "Service"),
    "deployments": ("apps/v1", "Deployment"),
    "replicasets": ("apps/v1", "ReplicaSet"),
    "jobs": ("batch/v1", "Job"),
    "cronjobs": ("batch/v1", "CronJob"),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget"),
    "ingresses": ("networking.k8s.io/v1", "Ingress"),
}
"""The resources that there are: their group and version, and their kind."""

GRACE = 30
"""Seconds that a Pod has to end, unless it says otherwise (terminationGracePeriodSeconds)."""


class ApiError(Exception):
    """What the API answers in place of an object.

    Attributes:
        status: the status of HTTP.
        reason: Kubernetes' word for it, such as Conflict.
    """

    status, reason = 400, "BadRequest"


class NotFoundError(ApiError):
    """There is no such object."""

    status, reason = 404, "NotFound"


class AlreadyExistsError(ApiError):
    """An object of this name is there."""

    status, reason = 409, "AlreadyExists"


class ConflictError(ApiError):
    """The object has changed since it was read."""

    status, reason = 409, "Conflict"


class InvalidError(ApiError):
    """The object cannot be what it says."""

    status, reason = 422, "Invalid"


@dataclass(frozen=True)
class Change:
    """One change of one object."""

    version: int
    kind: str  # ADDED, MODIFIED or DELETED
    key: Key
    object: Object


def copy_of(thing: Any) -> Any:  # noqa: ANN401 (of any JSON)
    """A copy of what YAML can say: many times as fast as copy.deepcopy."""
    return pickle.loads(pickle.dumps(thing, pickle.HIGHEST_PROTOCOL))  # noqa: S301 (just made here)


def called(key: Key) -> str:
    """An object's name as messages have it, such as deployments.apps "shop"."""
    resource, name = key
    group, slash, _ = KINDS[resource][0].partition("/")
    return f'{resource}{f".{group}" if slash else ""} "{name}"'


class Store:
    """All objects of a cluster.

    Attributes:
        log: every change since the beginning, in order.
        version: the number of the last change; an object's resourceVersion is that of its own.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.log: list[Change] = []
        self.version = 0
        self.closed = False
        self._objects: dict[Key, bytes] = {}
        self._changed = threading.Condition(threading.RLock())

    def now(self) -> str:
        """The time as Kubernetes writes it."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock()))

    def all(self, resource: str) -> list[Object]:
        """Copies of all objects of a kind, the oldest first."""
        with self._changed:
            kept = [text for (kind, _), text in self._objects.items() if kind == resource]
        return [pickle.loads(text) for text in kept]  # noqa: S301 (made here)

    def find(self, resource: str, name: str) -> Object | None:
        """A copy of an object; None if there is none."""
        with self._changed:
            kept = self._objects.get((resource, name))
        return pickle.loads(kept) if kept else None  # noqa: S301 (made here)

    def get(self, resource: str, name: str) -> Object:
        """A copy of an object.

        Raises:
            NotFoundError: if there is none.
        """
        found = self.find(resource, name)
        if found is None:
            raise NotFoundError(f"{called((resource, name))} not found")
        return found

    def create(self, resource: str, new: Object) -> Object:
        """Stores a new object, with what the server adds to it.

        Raises:
            AlreadyExistsError: if one of this name is there.
            InvalidError: if it has no name.
        """
        with self._changed:
            new = copy_of(new)
            meta = new.setdefault("metadata", {})
            key = (resource, str(meta.get("name") or ""))
            if not key[1]:
                raise InvalidError("resource name may not be empty")
            if key in self._objects:
                raise AlreadyExistsError(f"{called(key)} already exists")
            new["apiVersion"], new["kind"] = KINDS[resource]
            meta.setdefault("namespace", "default")
            meta |= {"uid": str(uuid.uuid4()), "creationTimestamp": self.now(), "generation": 1}
            return self._write("ADDED", key, new)

    def replace(self, resource: str, new: Object) -> Object:
        """Stores an object in the place of the one that was read.

        Raises:
            ConflictError: if it names a resourceVersion, and that is not the newest.
            NotFoundError: if there is none.
        """
        with self._changed:
            key = (resource, new["metadata"]["name"])
            old = self.get(*key)
            given = new["metadata"].get("resourceVersion")
            if given and given != old["metadata"]["resourceVersion"]:
                raise ConflictError(
                    f"Operation cannot be fulfilled on {called(key)}: the object has been modified;"
                    " please apply your changes to the latest version and try again"
                )
            new = copy_of(new)
            kept = ("uid", "creationTimestamp", "generation", "resourceVersion", "namespace")
            new["metadata"] |= {name: old["metadata"][name] for name in kept}
            new["apiVersion"], new["kind"] = KINDS[resource]
            if new == old:
                return old
            if new.get("spec") != old.get("spec"):
                new["metadata"]["generation"] += 1
            return self._write("MODIFIED", key, new)

    def change(self, resource: str, name: str, how: Callable[[Object], object]) -> Object:
        """Changes an object in place, with nobody in between.

        Raises:
            NotFoundError: if there is none.
        """
        with self._changed:
            found = self.get(resource, name)
            how(found)
            return self.replace(resource, found)

    def alone(self) -> threading.Condition:
        """What to hold so that nobody else changes anything: `with store.alone(): …`."""
        return self._changed

    def delete(self, resource: str, name: str, grace: int | None = None) -> Object:
        """Deletes an object; a Pod is only told to end, and is removed when it has.

        Raises:
            NotFoundError: if there is none.
        """
        with self._changed:
            found = self.get(resource, name)
            if resource != "pods":
                return self.remove(resource, name)
            if "deletionTimestamp" in found["metadata"]:
                return found
            own = found["spec"].get("terminationGracePeriodSeconds", GRACE)
            found["metadata"] |= {
                "deletionTimestamp": self.now(),
                "deletionGracePeriodSeconds": own if grace is None else grace,
            }
            return self.replace(resource, found)

    def remove(self, resource: str, name: str) -> Object:
        """Removes an object at once.

        Raises:
            NotFoundError: if there is none.
        """
        with self._changed:
            found = self.get(resource, name)
            del self._objects[resource, name]
            return self._record("DELETED", (resource, name), found)

    def watch(self, after: int, patience: float = 300) -> Iterator[Change]:
        """Every change after a version, as it comes, for as long as the patience lasts."""
        deadline = time.monotonic() + patience
        place = 0
        while not self.closed and time.monotonic() < deadline:
            with self._changed:
                while len(self.log) == place and not self.closed:
                    if not self._changed.wait(max(0.0, min(1.0, deadline - time.monotonic()))):
                        break
                fresh, place = self.log[place:], len(self.log)
            yield from (change for change in fresh if change.version > after)

    def wait(self, seconds: float) -> None:
        """Waits until something changes, or the time is over."""
        with self._changed:
            self._changed.wait(seconds)

    def close(self) -> None:
        """Ends all watches."""
        with self._changed:
            self.closed = True
            self._changed.notify_all()

    def event(self, about: Object, reason: str, message: str, *, warns: bool = False) -> None:
        """Notes what happened to an object, as `kubectl describe` shows it; once each time."""
        meta = about["metadata"]
        with self._changed:
            for event in self.all("events"):
                same = event["involvedObject"]["uid"] == meta["uid"] and event["reason"] == reason
                if same and event["message"] == message:
                    event["count"] += 1
                    event["lastTimestamp"] = self.now()
                    self.replace("events", event)
                    return
            self.create(
                "events",
                {
                    "metadata": {"name": f"{meta['name']}.{self.version:016x}"},
                    "involvedObject": {
                        "apiVersion": about["apiVersion"],
                        "kind": about["kind"],
                        "name": meta["name"],
                        "namespace": "default",
                        "uid": meta["uid"],
                    },
                    "reason": reason,
                    "message": message,
                    "type": "Warning" if warns else "Normal",
                    "count": 1,
                    "firstTimestamp": self.now(),
                    "lastTimestamp": self.now(),
                    "source": {"component": "nexus"},
                },
            )

    def _write(self, kind: str, key: Key, new: Object) -> Object:
        if "stringData" in new:  # of a Secret
            plain = new.pop("stringData") or {}
            coded = {name: b64encode(text.encode()).decode() for name, text in plain.items()}
            new["data"] = (new.get("data") or {}) | coded
        new["metadata"]["resourceVersion"] = str(self.version + 1)
        self._objects[key] = pickle.dumps(new, pickle.HIGHEST_PROTOCOL)
        return self._record(kind, key, new)

    def _record(self, kind: str, key: Key, found: Object) -> Object:
        self.version += 1
        stored = copy_of(found)
        stored["metadata"]["resourceVersion"] = str(self.version)
        self.log.append(Change(self.version, kind, key, stored))
        self._changed.notify_all()
        return copy_of(stored)
