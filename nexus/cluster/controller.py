"""The controllers of Deployments and ReplicaSets: compare what is declared with what is there.

`Controllers.step` is called again and again. Each time it looks at the whole store and makes the
difference a little smaller. It remembers nothing that it could not find out again.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from nexus.cluster.store import Object, Store, copy_of

REVISION = "deployment.kubernetes.io/revision"
LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def short_hash(value: object, length: int = 10) -> str:
    """A short name for a value: the same for the same value."""
    number = int(hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest(), 16)
    return "".join(LETTERS[number // len(LETTERS) ** n % len(LETTERS)] for n in range(length))


def normal(thing: Any) -> Any:  # noqa: ANN401
    """A value without what says nothing: clients send some fields empty or not at all."""
    if isinstance(thing, dict):
        return {k: n for k, v in thing.items() if (n := normal(v)) not in (None, {}, [], "")}
    return [normal(one) for one in thing] if isinstance(thing, list) else thing


def owned(things: Iterable[Object], owner: Object) -> list[Object]:
    """Those of some objects that an object has made."""
    uid = owner["metadata"]["uid"]
    return [t for t in things if any(o["uid"] == uid for o in owners(t))]


def owners(thing: Object) -> list[dict[str, Any]]:
    """Who has made an object."""
    found: list[dict[str, Any]] = thing["metadata"].get("ownerReferences", [])
    return found


def is_ending(thing: Object) -> bool:
    """Whether an object was told to end."""
    return "deletionTimestamp" in thing["metadata"]


def is_ready(pod: Object) -> bool:
    """Whether a Pod may get requests."""
    conditions = pod.get("status", {}).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def reference(owner: Object) -> dict[str, Any]:
    """How an object names its owner."""
    meta = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {"apiVersion": owner["apiVersion"], "kind": owner["kind"], **meta, "controller": True}


def share(value: int | str, of: int, *, up: bool) -> int:
    """A number such as 1 or "25%" of the replicas."""
    if isinstance(value, int):
        return value
    part = int(value.removesuffix("%")) * of / 100
    return math.ceil(part) if up else math.floor(part)


def surge_and_unavailable(deployment: Object) -> tuple[int, int]:
    """How many Pods more, and how many available Pods fewer, a rolling update may have."""
    replicas = deployment["spec"].get("replicas", 1)
    limits = deployment["spec"].get("strategy", {}).get("rollingUpdate") or {}
    surge = share(limits.get("maxSurge", "25%"), replicas, up=True)
    missing = share(limits.get("maxUnavailable", "25%"), replicas, up=False)
    return (surge, missing) if surge or missing else (0, 1)


class Controllers:
    """What makes Pods of ReplicaSets, and ReplicaSets of Deployments."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.made: dict[str, int] = {}  # only for the names of Pods
        self.progress: dict[str, tuple[object, float]] = {}

    def step(self, now: float) -> None:
        """Looks at everything once."""
        for deployment in self.store.all("deployments"):
            self.roll(deployment, now)
        for replicaset in self.store.all("replicasets"):
            self.keep(replicaset)
        self.collect_garbage()

    def keep(self, replicaset: Object) -> None:
        """Makes Pods until there are enough, or deletes those that are too many."""
        pods = owned(self.store.all("pods"), replicaset)
        living = [pod for pod in pods if not is_ending(pod)]
        missing = replicaset["spec"]["replicas"] - len(living)
        for _ in range(missing):
            self.make_pod(replicaset)
        living.sort(key=is_ready)  # those that are not ready go first
        for pod in living[: max(0, -missing)]:
            self.store.delete("pods", pod["metadata"]["name"])
        ready = sum(map(is_ready, living))
        status = {"replicas": len(living), "readyReplicas": ready, "availableReplicas": ready}
        self.set_status("replicasets", replicaset, status)

    def make_pod(self, replicaset: Object) -> None:
        """Makes a Pod from the template."""
        name = replicaset["metadata"]["name"]
        number = self.made[name] = self.made.get(name, 0) + 1
        pod = copy_of(replicaset["spec"]["template"])
        pod["metadata"]["name"] = f"{name}-{short_hash([name, number], 5)}"
        pod["metadata"]["ownerReferences"] = [reference(replicaset)]
        pod["status"] = {"phase": "Pending"}
        self.store.create("pods", pod)

    def roll(self, deployment: Object, now: float) -> None:
        """Moves a Deployment one step nearer to its template."""
        sets = owned(self.store.all("replicasets"), deployment)
        new = self.new_set(deployment, sets)
        old = [one for one in sets if one["metadata"]["name"] != new["metadata"]["name"]]
        wanted = deployment["spec"].get("replicas", 1)
        surge, missing = surge_and_unavailable(deployment)
        recreate = deployment["spec"].get("strategy", {}).get("type") == "Recreate"
        available = sum(one.get("status", {}).get("availableReplicas", 0) for one in [new, *old])
        total = sum(one["spec"]["replicas"] for one in [new, *old])

        if recreate:
            for one in old:
                self.scale(one, 0)
            if not any(owned(self.store.all("pods"), one) for one in old):
                self.scale(new, wanted)
        elif not old or new["spec"]["replicas"] > wanted:
            self.scale(new, wanted)
        else:
            room = wanted + surge - total
            self.scale(new, min(wanted, new["spec"]["replicas"] + max(0, room)))
        if old and not recreate:
            # A Pod that is not available may always go, and others while enough are left.
            spare = available - (wanted - missing)
            for one in old:
                has, serving = (
                    one["spec"]["replicas"],
                    one.get("status", {}).get("availableReplicas", 0),
                )
                goes = min(has, (has - serving) + max(0, min(serving, spare)))
                spare -= max(0, goes - (has - serving))
                self.scale(one, has - goes)
        self.report(deployment, new, old, now)

    def new_set(self, deployment: Object, sets: list[Object]) -> Object:
        """The ReplicaSet of the present template, found or made; it has the highest revision."""
        template = copy_of(deployment["spec"]["template"])
        name = f"{deployment['metadata']['name']}-{short_hash(normal(template))}"
        revisions = [int(one["metadata"]["annotations"][REVISION]) for one in sets]
        for one in sets:
            if one["metadata"]["name"] == name:
                if int(one["metadata"]["annotations"][REVISION]) < max(revisions):
                    one["metadata"]["annotations"][REVISION] = str(max(revisions) + 1)
                    one = self.store.replace("replicasets", one)
                return one
        labels = {"pod-template-hash": name.rpartition("-")[2]}
        template.setdefault("metadata", {}).setdefault("labels", {}).update(labels)
        made = {
            "metadata": {
                "name": name,
                "labels": template["metadata"]["labels"],
                "annotations": {REVISION: str(max(revisions, default=0) + 1)},
                "ownerReferences": [reference(deployment)],
            },
            "spec": {
                "replicas": 0,
                "selector": {"matchLabels": template["metadata"]["labels"]},
                "template": template,
            },
            "status": {},
        }
        return self.store.create("replicasets", made)

    def scale(self, replicaset: Object, replicas: int) -> None:
        """Says how many Pods a ReplicaSet should have."""
        before = replicaset["spec"]["replicas"]
        if before == replicas:
            return
        replicaset["spec"]["replicas"] = replicas
        name = replicaset["metadata"]["name"]
        self.store.change("replicasets", name, lambda o: o["spec"].update(replicas=replicas))
        owner = owners(replicaset)[0]["name"]
        self.store.event(
            self.store.get("deployments", owner),
            "ScalingReplicaSet",
            f"Scaled {'up' if replicas > before else 'down'} replica set {name} "
            f"from {before} to {replicas}",
        )

    def report(self, deployment: Object, new: Object, old: list[Object], now: float) -> None:
        """Writes the status, from which `kubectl rollout status` reads how far it is."""
        wanted = deployment["spec"].get("replicas", 1)
        every = [new, *old]
        count = {
            name: sum(one.get("status", {}).get(name, 0) for one in every)
            for name in ("replicas", "readyReplicas", "availableReplicas")
        }
        updated = new.get("status", {}).get("replicas", 0)
        done = updated == wanted == count["availableReplicas"] == count["replicas"]
        uid, seen = deployment["metadata"]["uid"], (deployment["metadata"]["generation"], count)
        if done or self.progress.get(uid, (None, 0.0))[0] != seen:
            self.progress[uid] = (seen, now)
        waited = now - self.progress[uid][1]
        late = waited > deployment["spec"].get("progressDeadlineSeconds", 600)
        enough = count["availableReplicas"] >= wanted - surge_and_unavailable(deployment)[1]
        reason = "ProgressDeadlineExceeded" if late else "ReplicaSetUpdated"
        status = {
            "observedGeneration": deployment["metadata"]["generation"],
            **count,
            "updatedReplicas": updated,
            "unavailableReplicas": max(0, wanted - count["availableReplicas"]),
            "conditions": [
                {
                    "type": "Available",
                    "status": str(enough),
                    "reason": f"MinimumReplicas{'Available' if enough else 'Unavailable'}",
                },
                {
                    "type": "Progressing",
                    "status": str(not late),
                    "reason": "NewReplicaSetAvailable" if done else reason,
                },
            ],
        }
        revision = new["metadata"]["annotations"][REVISION]

        def write(stored: Object) -> None:
            stored["status"] = status
            stored["metadata"].setdefault("annotations", {})[REVISION] = revision

        self.store.change("deployments", deployment["metadata"]["name"], write)

    def set_status(self, resource: str, thing: Object, status: Mapping[str, Any]) -> None:
        """Writes a status if it is another one."""
        if thing.get("status") != status:
            name = thing["metadata"]["name"]
            self.store.change(resource, name, lambda o: o.update(status=dict(status)))

    def collect_garbage(self) -> None:
        """Deletes what nobody owns any more."""
        kinds = ("deployments", "replicasets", "jobs")
        everything = [one for kind in kinds for one in self.store.all(kind)]
        there = {thing["metadata"]["uid"] for thing in everything}
        for resource in ("replicasets", "pods"):
            for thing in self.store.all(resource):
                made_by = [owner["uid"] for owner in owners(thing)]
                if made_by and not there.intersection(made_by) and not is_ending(thing):
                    self.store.delete(resource, thing["metadata"]["name"])
