"""The API server: what kubectl asks over HTTP, on loopback and without a password.

Discovery, GET, LIST, WATCH, POST, PUT, PATCH and DELETE for the resources of the store, and the
tables that `kubectl get` prints, without the column AGE, which is another one each time. There is
no authentication, no admission and no validation by schema.
"""

import json
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, ClassVar

import yaml

from nexus.cluster import patch
from nexus.cluster.batch import evict
from nexus.cluster.controller import is_ending
from nexus.cluster.ownership import Ownership
from nexus.cluster.store import KINDS, ApiError, NotFoundError, Object, Store
from nexus.services.listener import Handler, Listener

SHORT = {"configmaps": "cm", "deployments": "deploy", "replicasets": "rs", "pods": "po"}
SHORT |= {"services": "svc", "namespaces": "ns", "events": "ev", "nodes": "no", "ingresses": "ing"}
SHORT |= {"poddisruptionbudgets": "pdb", "cronjobs": "cj"}
OF_ALL = ("pods", "services", "deployments", "replicasets", "jobs", "cronjobs")
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
BOOKMARK = "k8s.io/initial-events-end"


class UnsupportedError(ApiError):
    """This server cannot do that."""

    status, reason = 415, "UnsupportedMediaType"


def discovery(version: str) -> dict[str, Any]:
    """Which resources a group and version has."""
    resources = []
    for name, (known, kind) in KINDS.items():
        if known != version:
            continue
        wide = name in ("namespaces", "nodes")
        about = {"singularName": kind.lower(), "namespaced": not wide, "kind": kind}
        extra = {} if name not in OF_ALL else {"categories": ["all"]}
        short = [SHORT[name]] if name in SHORT else []
        resources.append({"name": name, **about, "verbs": VERBS, "shortNames": short, **extra})
        if name == "pods":
            evicts = {"group": "policy", "version": "v1", "kind": "Eviction"}
            resources.append({"name": "pods/eviction", **about, **evicts, "verbs": ["create"]})
        if name in ("deployments", "replicasets"):
            scale = {"group": "autoscaling", "version": "v1", "kind": "Scale"}
            resources.append(
                {"name": f"{name}/scale", **about, **scale, "verbs": ["get", "patch", "update"]}
            )
    return {"kind": "APIResourceList", "groupVersion": version, "resources": resources}


GROUPS = sorted({group for group, _ in KINDS.values() if "/" in group})


def group(version: str) -> dict[str, Any]:
    """What the list of groups says of one."""
    there = {"groupVersion": version, "version": version.partition("/")[2]}
    name = version.partition("/")[0]
    return {"name": name, "versions": [there], "preferredVersion": there}


DISCOVERY: Mapping[str, Callable[[], dict[str, Any]]] = {
    "/version": lambda: {"major": "1", "minor": "37", "gitVersion": "v1.37.0-nexus"},
    "/api": lambda: {"kind": "APIVersions", "versions": ["v1"]},
    "/apis": lambda: {
        "kind": "APIGroupList",
        "apiVersion": "v1",
        "groups": list(map(group, GROUPS)),
    },
    "/api/v1": lambda: discovery("v1"),
    **{f"/apis/{version}": lambda v=version: discovery(v) for version in GROUPS},  # type: ignore[misc]
}


def pod_state(pod: Object) -> str:
    """What `kubectl get pods` says of a Pod."""
    if is_ending(pod):
        return "Terminating"
    status = pod.get("status", {})
    for container in status.get("containerStatuses", []):
        for state in ("waiting", "terminated"):
            if reason := container["state"].get(state, {}).get("reason"):
                return str(reason)
    return str(status.get("phase", "Pending"))


def pod_row(pod: Object) -> list[object]:
    """The row of a Pod."""
    containers = pod.get("status", {}).get("containerStatuses", [])
    ready = sum(one["ready"] for one in containers)
    restarts = sum(one["restartCount"] for one in containers)
    of = len(pod["spec"]["containers"])
    return [pod["metadata"]["name"], f"{ready}/{of}", pod_state(pod), restarts]


def deployment_row(one: Object) -> list[object]:
    """The row of a Deployment."""
    status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
    return [
        one["metadata"]["name"],
        f"{status.get('readyReplicas', 0)}/{wanted}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
    ]


def replicaset_row(one: Object) -> list[object]:
    """The row of a ReplicaSet."""
    status = one.get("status", {})
    return [
        one["metadata"]["name"],
        one["spec"]["replicas"],
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
    ]


def event_row(one: Object) -> list[object]:
    """The row of an event."""
    about = one["involvedObject"]
    whom = f"{about['kind'].lower()}/{about['name']}"
    return [one["type"], one["reason"], whom, one["message"]]


ROWS: Mapping[str, tuple[str, Callable[[Object], list[object]]]] = {
    "pods": ("Name Ready Status Restarts", pod_row),
    "deployments": ("Name Ready Up-to-date Available", deployment_row),
    "replicasets": ("Name Desired Current Ready", replicaset_row),
    "events": ("Type Reason Object Message", event_row),
    "configmaps": ("Name Data", lambda o: [o["metadata"]["name"], len(o.get("data", {}))]),
}


def table(resource: str, objects: Iterable[Object], version: str = "") -> dict[str, Any]:
    """Objects as a table for people."""
    columns, row = ROWS.get(resource, ("Name", lambda o: [o["metadata"]["name"]]))
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": version},
        "columnDefinitions": [
            {"name": name, "type": "string", "format": "", "description": "", "priority": 0}
            for name in columns.split()
        ],
        "rows": [
            {
                "cells": row(one),
                "object": {
                    "kind": "PartialObjectMetadata",
                    "apiVersion": "meta.k8s.io/v1",
                    "metadata": one["metadata"],
                },
            }
            for one in objects
        ],
    }


def pairs(selector: str) -> Iterator[tuple[str, str]]:
    """The names and values of a selector: only equality is known here.

    Raises:
        ApiError: if it is a selector of another kind.
    """
    for part in filter(None, selector.split(",")):
        name, sign, value = part.replace("==", "=").partition("=")
        if not sign or name.endswith("!"):
            raise ApiError(f"this server knows selectors such as app=shop only, and not {part}")
        yield name, value


def fits(thing: Object, query: Mapping[str, str]) -> bool:
    """Whether an object is one that the selectors of a query select."""
    labels = thing["metadata"].get("labels", {})
    for name, value in pairs(query.get("labelSelector", "")):
        if labels.get(name) != value:
            return False
    for name, value in pairs(query.get("fieldSelector", "")):
        found: Any = thing
        for step in name.split("."):
            found = found.get(step, "") if isinstance(found, dict) else ""
        if str(found) != value:
            return False
    return True


class Request(Handler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    store: ClassVar[Store]
    logs: ClassVar[Callable[..., str]]
    owners: ClassVar[Ownership]

    def do_GET(self) -> None:
        """Discovery, an object, a list, or a watch."""
        self.answer(self.read)

    def do_POST(self) -> None:
        """A new object."""
        self.answer(lambda: (201, self.posted()))

    def do_PUT(self) -> None:
        """An object in the place of another."""
        self.answer(lambda: (200, self.put()))

    def do_PATCH(self) -> None:
        """A part of an object."""
        self.answer(lambda: (200, self.patched()))

    def do_DELETE(self) -> None:
        """The end of an object."""
        self.answer(lambda: (200, self.deleted()))

    def answer(self, make: Callable[[], tuple[int, Any] | None]) -> None:
        """Sends what was made, or the error as Kubernetes writes errors."""
        url = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        self.way = url.path.rstrip("/")
        try:
            self.find()
            if (made := make()) is not None:
                self.send(*made)
        except ApiError as error:
            kept = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
            details = {"name": self.name, "kind": self.resource}
            said = {"message": str(error), "reason": error.reason, "details": details}
            self.send(error.status, kept | said | {"code": error.status})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def find(self) -> None:
        """Reads resource, name and subresource from the path."""
        self.resource = self.name = self.part = ""
        words = self.way.split("/")[1:]
        rest = words[2:] if words[:1] == ["api"] else words[3:]
        if rest[:1] == ["namespaces"] and len(rest) > 2:
            rest = rest[2:]
        if rest:
            self.resource, self.name, self.part = [*rest, "", ""][:3]

    def read(self) -> tuple[int, Any] | None:
        """Answers a GET."""
        if self.way in DISCOVERY:
            return 200, DISCOVERY[self.way]()
        if self.resource not in KINDS:
            raise NotFoundError("the server could not find the requested resource")
        as_table = "as=Table" in self.headers.get("Accept", "")
        if self.query.get("watch") in ("1", "true"):
            return self.watch(as_table=as_table)
        if self.part == "log":
            return 200, self.logs(self.name, previous=self.query.get("previous") == "true")
        if self.part == "scale":
            return 200, self.scale(self.store.get(self.resource, self.name))
        if self.name:
            one = self.store.get(self.resource, self.name)
            return 200, table(self.resource, [one]) if as_table else one
        version = str(self.store.version)
        found = [one for one in self.store.all(self.resource) if fits(one, self.query)]
        if self.resource != "events":
            found.sort(key=lambda one: str(one["metadata"]["name"]))
        if as_table:
            return 200, table(self.resource, found, version)
        version_of, kind = KINDS[self.resource]
        about = {"apiVersion": version_of, "kind": f"{kind}List"}
        return 200, {**about, "metadata": {"resourceVersion": version}, "items": found}

    def watch(self, *, as_table: bool) -> None:
        """Sends changes as they come; at first all that is there, if asked to."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        after = int(self.query.get("resourceVersion") or 0)
        if self.query.get("sendInitialEvents") == "true" or not after:
            after = self.store.version
            for one in self.store.all(self.resource):
                if fits(one, self.query):
                    self.chunk("ADDED", one, as_table=as_table)
        if self.query.get("sendInitialEvents") == "true":
            version, kind = KINDS[self.resource]
            meta = {"resourceVersion": str(after), "annotations": {BOOKMARK: "true"}}
            mark = {"apiVersion": version, "kind": kind, "metadata": meta}
            self.chunk("BOOKMARK", mark, as_table=False)
        for change in self.store.watch(after, float(self.query.get("timeoutSeconds", 300))):
            if change.key[0] == self.resource and fits(change.object, self.query):
                self.chunk(change.kind, change.object, as_table=as_table)
        self.wfile.write(b"0\r\n\r\n")

    def chunk(self, kind: str, one: Object, *, as_table: bool) -> None:
        """Sends one change."""
        shown = table(self.resource, [one]) if as_table else one
        text = json.dumps({"type": kind, "object": shown}).encode() + b"\n"
        self.wfile.write(f"{len(text):x}\r\n".encode() + text + b"\r\n")
        self.wfile.flush()

    def posted(self) -> Object:
        """Answers a POST."""
        new = self.body()
        if self.part == "eviction":
            evict(self.store, self.name)
            return {"kind": "Status", "apiVersion": "v1", "status": "Success"}
        if "dryRun" in self.query:
            return dict(new)
        made = self.store.create(self.resource, new)
        self.owners.wrote(self.manager, None, made)
        return made

    def put(self) -> Object:
        """Answers a PUT."""
        new = self.body()
        if self.part == "scale":
            return self.set_scale(new)
        return self.replaced(self.store.find(self.resource, self.name), new)

    def replaced(self, old: Object | None, new: Object) -> Object:
        """Stores an object in the place of another, and notes who has changed what."""
        kept = self.store.replace(self.resource, new)
        self.owners.wrote(self.manager, old, kept)
        return kept

    @property
    def manager(self) -> str:
        """Who writes, as a conflict names it."""
        agent = self.headers.get("User-Agent", "").partition("/")[0]
        who = f'"{self.query.get("fieldManager") or agent}"'
        if "apply-patch" in self.headers.get("Content-Type", ""):
            return who
        which = f' with subresource "{self.part}"' if self.part else ""
        return f"{who}{which} using {KINDS[self.resource][0]}"

    def applied(self, wanted: Object) -> Object:
        """Answers a server-side apply."""
        old = self.store.find(self.resource, self.name)
        if old is None:
            made = self.store.create(self.resource, wanted)
            self.owners.wrote(self.manager, None, made)
            return made
        force = self.query.get("force") == "true"
        return self.store.replace(
            self.resource, self.owners.apply(self.manager, old, wanted, force=force)
        )

    def patched(self) -> Object:
        """Answers a PATCH."""
        with self.store.alone():
            return self.patched_alone()

    def patched_alone(self) -> Object:
        """Reads, changes and stores, with nobody in between."""
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        change = self.body()
        if kind == "application/apply-patch+yaml":
            return self.applied(change)
        old = self.store.get(self.resource, self.name)
        if self.part == "scale":
            return self.set_scale(patch.merge(self.scale(old), change, strategic=False))
        if kind == "application/json-patch+json":
            new = patch.json_patch(old, change)
        elif kind in ("application/merge-patch+json", "application/strategic-merge-patch+json"):
            new = patch.merge(old, change, strategic="strategic" in kind)
        else:
            raise UnsupportedError(f"this server knows no patch of type {kind}")
        if "dryRun" in self.query:
            return dict(new)
        return self.replaced(old, new)

    def deleted(self) -> Object:
        """Answers a DELETE."""
        options = self.body() or {}
        grace = options.get("gracePeriodSeconds", self.query.get("gracePeriodSeconds"))
        return self.store.delete(self.resource, self.name, None if grace is None else int(grace))

    def scale(self, one: Object) -> Object:
        """The subresource of an object that holds only its number of replicas."""
        meta = {k: one["metadata"][k] for k in ("name", "namespace", "uid", "resourceVersion")}
        replicas = one["spec"].get("replicas", 1)
        about = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta}
        return about | {"spec": {"replicas": replicas}, "status": {"replicas": replicas}}

    def set_scale(self, scale: Object) -> Object:
        """Takes a number of replicas."""
        replicas = scale["spec"].get("replicas", 0)
        with self.store.alone():
            old = self.store.get(self.resource, self.name)
            new = self.replaced(old, {**old, "spec": {**old["spec"], "replicas": replicas}})
        return self.scale(new)

    def body(self) -> Any:  # noqa: ANN401
        """What the client sent."""
        if self.headers.get("Transfer-Encoding") == "chunked":
            text = b"".join(self.chunks())
        else:
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        applies = "apply-patch+yaml" in self.headers.get("Content-Type", "")
        try:
            return (yaml.safe_load if applies else json.loads)(text) if text else None
        except ValueError:
            kind = self.headers.get("Content-Type", "")
            raise UnsupportedError(f"this server reads only JSON, and not {kind}") from None

    def chunks(self) -> Iterator[bytes]:
        """The parts of a body whose length was not known: `kubectl create --raw` sends it so."""
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():  # trailers, and the empty line at the end
            pass

    def send(self, status: int, body: Any) -> None:  # noqa: ANN401
        """Sends an answer."""
        if isinstance(body, str):
            self.reply(status, body.encode())
        else:
            self.reply(status, json.dumps(body).encode(), kind="application/json")


class Server(Listener):
    """The API server of a store."""

    def __init__(self, store: Store, logs: Callable[..., str]) -> None:
        about = {"store": store, "logs": staticmethod(logs), "owners": Ownership()}
        super().__init__(type("Request", (Request,), about))
