"""Services: which Pods get requests, and who has heard of it.

A stand-in for the controller of EndpointSlices and for kube-proxy. What the store says takes a
moment (`lag`) to reach the proxy, as it does in a real cluster, where each node has a proxy.
"""

from collections.abc import Callable, Mapping
from typing import Any

from nexus.cluster.controller import is_ending, is_ready
from nexus.cluster.node import Node, Program
from nexus.cluster.store import Object, Store

LAG = 2.0
"""Seconds from a change of a Pod until the proxy sends requests by it."""


def selected(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether labels fit a selector; an empty selector selects nothing."""
    return bool(selector) and all(labels.get(name) == value for name, value in selector.items())


class Services:
    """The endpoints of all Services, as the store has them and as the proxy knows them."""

    def __init__(
        self, store: Store, node: Node, proxy: Callable[[str, list[Program]], object]
    ) -> None:
        self.store, self.node, self.proxy = store, node, proxy
        self.lag = LAG
        self.known: dict[str, list[Program]] = {}
        self.coming: dict[str, list[tuple[float, list[Program]]]] = {}

    def step(self, now: float) -> None:
        """Looks at every Service once."""
        pods = self.store.all("pods")
        for service in self.store.all("services"):
            name = service["metadata"]["name"]
            endpoints = self.endpoints(service, pods)
            queue = self.coming.setdefault(name, [])
            latest = queue[-1][1] if queue else self.known.get(name)
            if endpoints != latest:
                queue.append((now, endpoints))
            while queue and (now >= queue[0][0] + self.lag or name not in self.known):
                self.proxy(name, queue[0][1])
                _, self.known[name] = queue.pop(0)

    def endpoints(self, service: Object, pods: list[Object]) -> list[Program]:
        """The programs that should get requests: of Pods that are ready and not ending."""
        spec: Mapping[str, Any] = service["spec"]
        return [
            program
            for pod in pods
            if selected(pod["metadata"].get("labels", {}), spec.get("selector", {}))
            and is_ready(pod)
            and not is_ending(pod)
            and (program := self.node.program(pod)) is not None
        ]
