"""The scheduler: it gives each new Pod a node that has room for what the Pod requests.

A stand-in for kube-scheduler. It looks at CPU and memory only, and fills the first node before it
uses the second one, where the real one spreads Pods. Requests count, and not what is really used.
"""

from collections import Counter
from typing import Any

from nexus.cluster.controller import is_ending
from nexus.cluster.store import Object, Store

UNITS = {"m": 1e-3, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 1e3, "M": 1e6, "G": 1e9}
RESOURCES = ("cpu", "memory")


def amount(quantity: str | float) -> float:
    """A quantity such as 100m or 128Mi as a number."""
    text = str(quantity)
    for unit, size in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * size
    return float(text)


def requested(pod: Object, resource: str) -> float:
    """How much of a resource a Pod asks for. A limit without a request is a request, too."""
    total = 0.0
    for container in pod["spec"]["containers"]:
        given: dict[str, Any] = container.get("resources") or {}
        asked = (given.get("limits") or {}) | (given.get("requests") or {})
        total += amount(asked.get(resource, 0))
    return total


class Scheduler:
    """What writes `nodeName` into Pods."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.said: dict[str, str] = {}

    def step(self) -> None:
        """Looks at every Pod that has no node."""
        pods = self.store.all("pods")
        for pod in pods:
            if "nodeName" in pod["spec"] or is_ending(pod):
                continue
            meta, why = pod["metadata"], Counter[str]()
            nodes = self.store.all("nodes")
            for node in nodes:
                if (obstacle := self.obstacle(node, pod, pods)) is None:
                    name = node["metadata"]["name"]
                    pod["spec"]["nodeName"] = name
                    self.store.change(
                        "pods", meta["name"], lambda o, n=name: o["spec"].update(nodeName=n)
                    )
                    break
                why[obstacle] += 1
            else:
                reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in why.items()))
                said = f"0/{len(nodes)} nodes are available: {reasons}."
                if self.said.get(meta["uid"]) != said:
                    self.said[meta["uid"]] = said
                    self.store.event(pod, "FailedScheduling", said, warns=True)

    def obstacle(self, node: Object, pod: Object, pods: list[Object]) -> str | None:
        """Why a node cannot take a Pod; None if it can."""
        if node["spec"].get("unschedulable"):
            return "node(s) were unschedulable"
        name = node["metadata"]["name"]
        there = [one for one in pods if one["spec"].get("nodeName") == name]
        for resource in RESOURCES:
            taken = sum(requested(one, resource) for one in there)
            room = amount(node["status"]["allocatable"][resource]) - taken
            if requested(pod, resource) > room:
                return f"Insufficient {resource}"
        return None
