"""The node: it starts the program of each Pod, asks its probes, and ends it.

A stand-in for the kubelet. The time is given to `Node.step`, and the programs come from a runtime,
so that the same code runs real processes for a chapter, and none in a rehearsal of a judge.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from nexus.cluster.controller import is_ending
from nexus.cluster.scheduler import amount
from nexus.cluster.store import InvalidError, Object, Store

FIRST_WAIT, LONGEST_WAIT = 10, 300
"""Seconds that a container waits after its second crash, and at most: twice as long each time."""


LOOK = 2
"""Seconds from one look at a program's memory to the next: a kernel looks at each page."""


class Answer(Protocol):
    """What a probe will have found."""

    def done(self) -> bool:
        """Whether it has come."""

    def result(self) -> int | str:
        """The status of HTTP, or what went wrong instead."""


class Program(Protocol):
    """A program that was started for a Pod."""

    @property
    def port(self) -> int:
        """Where it listens, or will."""

    def status(self) -> int | None:
        """Its exit status; None while it runs."""

    def ask(self, path: str) -> Answer:
        """Begins a GET of a path."""

    def memory(self) -> int:
        """How many bytes of memory it has."""

    def written(self) -> str:
        """What it has written."""

    def end(self) -> None:
        """Sends it SIGTERM."""

    def kill(self) -> None:
        """Sends it SIGKILL."""

    def close(self) -> None:
        """Removes what it has left."""


class Runtime(Protocol):
    """What starts programs."""

    def has(self, image: str) -> bool:
        """Whether there is an image of this name."""

    def start(self, image: str, env: Mapping[str, str]) -> Program:
        """Starts the program of an image."""


class Probe:
    """One probe of a running container, and how often it was answered well or badly."""

    def __init__(self, spec: Mapping[str, Any], now: float) -> None:
        if "httpGet" not in spec:
            raise InvalidError("this model knows only probes with httpGet")
        self.path = spec["httpGet"].get("path", "/")
        self.period = spec.get("periodSeconds", 10)
        self.most_failures = spec.get("failureThreshold", 3)
        self.enough = spec.get("successThreshold", 1)
        self.next = now + spec.get("initialDelaySeconds", 0)
        self.good = self.bad = 0
        self.answer: Answer | None = None

    def step(self, program: Program, now: float) -> str | None:
        """Asks if it is time to, and gives what went wrong if an answer has come that is bad."""
        if self.answer is None:
            if now < self.next:
                return None
            self.next = now + self.period
            self.answer = program.ask(self.path)
        if not self.answer.done():
            return None
        found, self.answer = self.answer.result(), None
        if isinstance(found, int) and 200 <= found < 400:
            self.good, self.bad = self.good + 1, 0
            return None
        self.good, self.bad = 0, self.bad + 1
        return found if isinstance(found, str) else f"HTTP probe failed with statuscode: {found}"

    @property
    def succeeded(self) -> bool:
        """Whether enough answers in a row were good."""
        return self.good >= self.enough

    @property
    def failed(self) -> bool:
        """Whether too many in a row were bad."""
        return self.bad >= self.most_failures


def values(held: Object) -> dict[str, str]:
    """The names and values of a ConfigMap or a Secret, whose `data` is in base64."""
    data: dict[str, str] = held.get("data", {})
    if held["kind"] == "Secret":
        data = {name: base64.b64decode(value).decode() for name, value in data.items()}
    return data


def slept(container: Mapping[str, Any]) -> float:
    """How long the preStop hook of a container takes: `sleep`, or a command that sleeps."""
    hook = container.get("lifecycle", {}).get("preStop", {})
    # One argument a line: no program is called "sleep 15", and `sh -c sleep 15` sleeps for nothing.
    command = "\n".join(map(str, hook.get("exec", {}).get("command", [])))
    found = re.fullmatch(r"(?:/bin/)?(?:sleep\n|(?:ba)?sh\n-c\n(?:/bin/)?sleep )(\d+)", command)
    return float(found[1]) if found else hook.get("sleep", {}).get("seconds", 0)


class Container:
    """The one container of a Pod."""

    def __init__(self, store: Store, runtime: Runtime, pod: Object) -> None:
        self.store, self.runtime = store, runtime
        self.spec = pod["spec"]["containers"][0]
        self.program: Program | None = None
        self.probes: dict[str, Probe] = {}
        self.crashes = 0
        self.done = ""  # the phase in which a Pod that is never restarted stays
        self.not_before = 0.0
        self.waiting = "ContainerCreating"
        self.last: dict[str, Any] | None = None
        self.ready = self.started = False
        self.previous = ""  # what the program wrote that ended
        self.too_big = False
        self.next_look = 0.0
        self.end_at: float | None = None
        self.kill_at: float | None = None
        self.said: float | None = None

    # Its life.

    def step(self, pod: Object, now: float) -> bool:
        """Does what is to be done now, and says whether the Pod is gone."""
        if is_ending(pod):
            return self.end(pod, now)
        if self.done:
            return False
        if self.program is None:
            if now >= self.not_before:
                self.start(pod, now)
        elif (status := self.program.status()) is not None:
            self.has_ended(pod, status, now)
        elif self.kill_at is not None:
            self.end_program(now)
        elif self.is_too_big(now):
            self.too_big = True
            self.program.kill()
        else:
            self.ask(pod, now)
        return False

    def is_too_big(self, now: float) -> bool:
        """Whether the program has more memory than its limit: the kernel's work in a cgroup."""
        limit = (self.spec.get("resources", {}).get("limits") or {}).get("memory")
        if limit is None or self.program is None or now < self.next_look:
            return False
        self.next_look = now + LOOK
        return self.program.memory() > amount(limit)

    def start(self, pod: Object, now: float) -> None:
        """Starts the program, if its image and its settings are there."""
        image = self.spec["image"]
        env = self.environment()
        if isinstance(env, str):
            self.wait(pod, "CreateContainerConfigError", f"Error: {env}")
        elif not self.runtime.has(image):
            said = f'Failed to pull image "{image}": there is no such image'
            again = self.waiting in ("ErrImagePull", "ImagePullBackOff")
            if again:
                said = f'Back-off pulling image "{image}"'
            self.wait(pod, "ImagePullBackOff" if again else "ErrImagePull", said)
            self.not_before = now + FIRST_WAIT
        else:
            self.program = self.runtime.start(image, env)
            self.waiting = ""
            kinds = ("startup", "readiness", "liveness")
            specs = {kind: self.spec.get(f"{kind}Probe") for kind in kinds}
            self.probes = {kind: Probe(spec, now) for kind, spec in specs.items() if spec}
            self.started, self.ready = "startup" not in self.probes, False
            self.end_at = self.kill_at = None
            self.store.event(pod, "Started", f"Started container {self.spec['name']}")
            self.ask(pod, now)

    def wait(self, pod: Object, reason: str, message: str) -> None:
        """Notes why the program cannot start."""
        if self.waiting != reason:
            self.waiting = reason
            back = reason == "ImagePullBackOff"
            self.store.event(pod, "BackOff" if back else "Failed", message, warns=not back)

    def environment(self) -> dict[str, str] | str:
        """The environment of the program; what is missing if something is."""
        found: dict[str, str] = {}
        for source in self.spec.get("envFrom", []):
            kind = "secret" if "secretRef" in source else "configmap"
            name = source.get("secretRef" if kind == "secret" else "configMapRef", {}).get(
                "name", ""
            )
            if (held := self.store.find(f"{kind}s", name)) is None:
                return f'{kind} "{name}" not found'
            found |= values(held)
        for entry in self.spec.get("env", []):
            if "value" in entry:
                found[entry["name"]] = str(entry["value"])
                continue
            wanted = entry["valueFrom"]["configMapKeyRef"]
            if (held := self.store.find("configmaps", wanted["name"])) is None:
                return f'configmap "{wanted["name"]}" not found'
            if wanted["key"] not in held.get("data", {}):
                return f"couldn't find key {wanted['key']} in ConfigMap default/{wanted['name']}"
            found[entry["name"]] = held["data"][wanted["key"]]
        return found

    def ask(self, pod: Object, now: float) -> None:
        """Asks the probes: the startup probe alone first, then the other two."""
        kinds = ("readiness", "liveness") if self.started else ("startup",)
        for kind in kinds:
            if (probe := self.probes.get(kind)) is None:
                continue
            if self.program and (problem := probe.step(self.program, now)):
                said = f"{kind.capitalize()} probe failed: {problem}"
                self.store.event(pod, "Unhealthy", said, warns=True)
            if kind != "readiness" and probe.failed:
                name = self.spec["name"]
                said = f"Container {name} failed {kind} probe, will be restarted"
                self.store.event(pod, "Killing", said)
                self.end_at, self.kill_at = now, now + self.grace(pod)
                self.ready = False
                return
        if "startup" in self.probes and self.probes["startup"].succeeded:
            self.started = True
        if (probe := self.probes.get("readiness")) is None:
            self.ready = self.started
        elif probe.failed:
            self.ready = False
        elif probe.succeeded:
            self.ready = True

    def has_ended(self, pod: Object, status: int, now: float) -> None:
        """Notes how the program ended, and when it may start again."""
        if self.program is not None:
            self.previous = self.program.written()
            self.program.close()
        self.program, self.ready, self.started = None, False, False
        self.end_at = self.kill_at = None
        code = 128 - status if status < 0 else status  # 137 for SIGKILL
        self.last = {"exitCode": code, "reason": "Error" if code else "Completed"}
        if self.too_big:
            self.last["reason"], self.too_big = "OOMKilled", False
        if pod["spec"].get("restartPolicy") == "Never":
            self.done = "Failed" if code else "Succeeded"
            return
        self.crashes += 1
        if self.crashes > 1:
            self.not_before = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self.crashes - 2))
            self.waiting = "CrashLoopBackOff"
            name, uid = self.spec["name"], pod["metadata"]["uid"]
            said = f"Back-off restarting failed container {name} in pod {pod['metadata']['name']}"
            self.store.event(pod, "BackOff", f"{said}_default({uid})", warns=True)

    def end(self, pod: Object, now: float) -> bool:
        """Ends the program of a Pod that was told to: preStop, SIGTERM, and SIGKILL at the end."""
        if self.program is None:
            return True
        if self.said is None:
            self.said = now
            self.store.event(pod, "Killing", f"Stopping container {self.spec['name']}")
            grace = pod["metadata"]["deletionGracePeriodSeconds"]
            self.end_at = now + min(grace, slept(self.spec))
            self.kill_at = now + grace
        self.ready = False
        if self.program.status() is None:
            self.end_program(now)
            return False
        self.program.close()
        self.program = None
        return True

    def end_program(self, now: float) -> None:
        """Sends the signals whose time has come."""
        if self.program is None or self.kill_at is None:
            return
        if self.end_at is not None and now >= self.end_at:
            self.end_at = None
            self.program.end()
        if now >= self.kill_at:
            self.program.kill()

    def grace(self, pod: Object) -> float:
        """How long the program has to end."""
        seconds: float = pod["spec"].get("terminationGracePeriodSeconds", 30)
        return seconds

    # What others see of it.

    def status(self) -> dict[str, Any]:
        """The status of the Pod."""
        runs = self.program is not None
        state: dict[str, Any] = {"running": {}} if runs else {"waiting": {"reason": self.waiting}}
        if self.done or (self.last and not runs and not self.waiting):
            state = {"terminated": self.last}
        container = {
            "name": self.spec["name"],
            "image": self.spec["image"],
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.crashes,
            "state": state,
        }
        if self.last and "terminated" not in state:
            container["lastState"] = {"terminated": self.last}
        ready = {"type": "Ready", "status": str(self.ready)}
        status = {
            "phase": self.done or ("Running" if runs or self.crashes else "Pending"),
            "conditions": [ready, {**ready, "type": "ContainersReady"}],
            "containerStatuses": [container],
        }
        if self.program is not None:
            status |= {"podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}]}
        return status


class Node:
    """The one node of the cluster."""

    def __init__(self, store: Store, runtime: Runtime, *, scheduled: bool = False) -> None:
        """Makes the node.

        Args:
            store: where the Pods are.
            runtime: what starts their programs.
            scheduled: whether a Pod waits for a scheduler to give it a node.
        """
        self.store, self.runtime, self.scheduled = store, runtime, scheduled
        self.containers: dict[str, Container] = {}

    def step(self, now: float) -> None:
        """Looks at every Pod once."""
        pods = self.store.all("pods")
        for pod in pods:
            meta = pod["metadata"]
            if self.scheduled and "nodeName" not in pod["spec"]:
                if is_ending(pod):
                    self.store.remove("pods", meta["name"])
                continue
            container = self.containers.get(meta["uid"])
            if container is None:
                container = Container(self.store, self.runtime, pod)
                self.containers[meta["uid"]] = container
            if container.step(pod, now):
                del self.containers[meta["uid"]]
                self.store.remove("pods", meta["name"])
                continue
            status = container.status()
            if json.dumps(status) != json.dumps(pod.get("status")):
                self.store.change("pods", meta["name"], lambda o, s=status: o.update(status=s))
        self.forget({pod["metadata"]["uid"] for pod in pods})

    def forget(self, there: set[str]) -> None:
        """Kills the programs of Pods that were removed behind the node's back."""
        for uid in set(self.containers) - there:
            container = self.containers.pop(uid)
            if container.program is not None:
                container.program.kill()
                container.program.close()

    def program(self, pod: Object) -> Program | None:
        """The program of a Pod; None while it has none."""
        container = self.containers.get(pod["metadata"]["uid"])
        return container.program if container else None

    def previous(self, pod: Object) -> str:
        """What the program of a Pod wrote that ran before this one."""
        container = self.containers.get(pod["metadata"]["uid"])
        return container.previous if container else ""

    def programs(self) -> Iterator[Program]:
        """All programs that run."""
        for container in list(self.containers.values()):
            if container.program is not None:
                yield container.program
