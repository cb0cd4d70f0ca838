"""A cluster of real processes: Pods are gunicorns, a Service is an nginx, kubectl is kubectl."""

import contextlib
import http.client
import itertools
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import yaml

from nexus.cluster.api import Server as ApiServer
from nexus.cluster.controller import Controllers, is_ready
from nexus.cluster.ingress import Ingress
from nexus.cluster.node import Node, Program
from nexus.cluster.scheduler import Scheduler
from nexus.cluster.service import Services
from nexus.cluster.store import KINDS, Object, Store
from nexus.services import programs
from nexus.services.nginx import Nginx, nginx
from nexus.services.ports import free_port
from nexus.services.process import Server, keeper, wait_for
from nexus.services.surroundings import plain

SPEED = 12.0
"""How many of a manifest's seconds pass in one of ours."""
STEP = 1.0
"""At most so many of a manifest's seconds pass from one look to the next.

On a busy machine the cluster's clock goes slower. Otherwise a lag and a preStop that are over at
the same look would leave no time between them.
"""

NODES = ("node-a", "node-b")
NUMBERS = itertools.count(1)

PATIENCE = 30.0
"""Our seconds that a probe waits for an answer, whatever the manifest says: a machine under load
must not fail a probe."""

LOOKS = 0.5
"""Our seconds after which it is looked whether the cluster that a kubectl waits for still runs."""

GUNICORN = ["gunicorn", "--no-control-socket", "--preload", "--workers=1", "--log-level=warning"]
NO_ENDPOINTS = """
    server {
        listen 127.0.0.1:{port};
        location / { return 503 "no endpoints\\n"; }
    }"""
ENDPOINTS = """
    upstream pods {
        ADDRESSES
    }
    server {
        listen 127.0.0.1:{port};
        location / {
            proxy_pass http://pods;
            proxy_next_upstream off;
            proxy_connect_timeout 60s;
        }
    }"""
"""One try, at one Pod: kube-proxy, too, sends a connection to one Pod and does not try another."""


class Gunicorn(Server):
    """The process of a Pod.

    Attributes:
        asked: how often probes have asked it.
    """

    kind = "pod"

    def __init__(self, folder: Path, env: Mapping[str, str]) -> None:
        super().__init__()
        self._folder, self._env = folder, env
        self._ended: int | None = None
        self.asked = 0
        self._start_first(free_port)

    def command(self) -> list[str]:
        """The image's application under gunicorn, which listens when it is loaded."""
        return [sys.executable, "-m", *GUNICORN, f"--bind=127.0.0.1:{self.port}", "app"]

    def environment(self) -> dict[str, str]:
        """The kernel's environment and the Pod's."""
        added = {"PYTHONPATH": str(self._folder), "PYTHONDONTWRITEBYTECODE": "1", **self._env}
        return {**super().environment(), **added}

    def is_ready(self) -> bool:
        """It is started; whether it serves is for the probes to find out."""
        return True

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        if self._ended is None and self.pid is not None:
            self._ended = self._status(self.pid)
        return self._ended

    def ask(self, path: str) -> "Future[int | str]":
        """Begins a GET of a path."""
        self.asked += 1
        return PROBERS.submit(get, self.port, path)

    def memory(self) -> int:
        """The resident memory of its processes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            whole = psutil.Process(self.pid)
            return sum(one.memory_info().rss for one in [whole, *whole.children()])
        return 0

    def written(self) -> str:
        """What it has written."""
        return str(self.log)

    def end(self) -> None:
        """Sends SIGTERM, and does not wait."""
        with contextlib.suppress(psutil.NoSuchProcess):
            psutil.Process(self.pid).terminate()


PROBERS = ThreadPoolExecutor(8, thread_name_prefix="probe")


def get(port: int, path: str) -> int | str:
    """The status that a GET is answered with, or why it is not."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except ConnectionRefusedError:
        return f'Get "http://127.0.0.1:{port}{path}": dial tcp: connect: connection refused'
    except (OSError, http.client.HTTPException) as error:
        return f'Get "http://127.0.0.1:{port}{path}": {type(error).__name__}'
    finally:
        connection.close()


class Cluster:
    """A small cluster, which lives as long as its handle, and at most as the kernel.

    Attributes:
        store: all objects.
        services: the Services; `services.lag` is how long a change needs to reach the proxy.
        url: where the API server listens.
        problem: what has stopped the cluster; None while it runs.
    """

    def __init__(self) -> None:
        self.directory = keeper().directory / f"cluster-{next(NUMBERS)}"
        self.directory.mkdir(mode=0o700)
        self.images: dict[str, Path] = {}
        self.proxies: dict[str, Nginx] = {}
        self.store = Store()
        self.controllers = Controllers(self.store)
        self.scheduler = Scheduler(self.store)
        self.node = Node(self.store, self, scheduled=True)
        self.services = Services(self.store, self.node, self._to)
        self.ingress = Ingress(self.store)
        self.store.create("namespaces", {"metadata": {"name": "default"}})
        for name in NODES:
            room = {"allocatable": {"cpu": "4", "memory": "8Gi"}}
            self.store.create("nodes", {"metadata": {"name": name}, "spec": {}, "status": room})
        self._api = ApiServer(self.store, self.logs)
        self.url = self._api.url
        self._config = self._kubeconfig()
        self._over = threading.Event()
        self.problem: BaseException | None = None
        self._loop = threading.Thread(target=self._run, name="cluster", daemon=True)
        self._loop.start()

    # What runs all the time.

    def _run(self) -> None:
        now, looked = 0.0, time.monotonic()
        try:
            while not self._over.is_set():
                before, looked = looked, time.monotonic()
                now += min(STEP, (looked - before) * SPEED)
                version = self.store.version
                self.controllers.step(now)
                self.scheduler.step()
                self.services.step(now)  # before the node: a lag that is over is over
                self.ingress.step({name: proxy.url for name, proxy in self.proxies.items()})
                self.node.step(now)
                if self.store.version == version:
                    self.store.wait(0.02)
        except BaseException as error:
            self.problem = error

    def _check(self) -> None:
        """Says so if nothing runs any more: mostly the model does not know a field's value."""
        if self.problem is not None:
            what = f"{type(self.problem).__name__}: {self.problem}"
            raise RuntimeError(
                f"the cluster has stopped ({what}): this model cannot run what it was given. "
                "Make a new Cluster, and leave that out"
            ) from self.problem

    def has(self, image: str) -> bool:
        """Whether there is an image of this name."""
        return image in self.images

    def start(self, image: str, env: Mapping[str, str]) -> Gunicorn:
        """Starts the program of an image."""
        return Gunicorn(self.images[image], env)

    def _to(self, service: str, endpoints: Iterable[Program]) -> None:
        """Tells the proxy of a Service where requests go from now on."""
        addresses = [f"server 127.0.0.1:{one.port} max_fails=0;" for one in endpoints]
        block = ENDPOINTS.replace("ADDRESSES", "\n        ".join(addresses))
        block = block if addresses else NO_ENDPOINTS
        if service in self.proxies:
            self.proxies[service].reload(block)
        else:
            self.proxies[service] = nginx(block)

    # What a chapter does with it.

    def build(self, image: str, source: str) -> Path:
        """Makes an image: a WSGI module with a function `application`.

        Args:
            image: its name and tag, such as "shop:1".
            source: the module's text.

        Returns:
            The folder of the module.
        """
        folder = self.directory / image.replace(":", "-").replace("/", "-")
        folder.mkdir(exist_ok=True)
        (folder / "app.py").write_text(source)
        self.images[image] = folder
        return folder

    def kubectl(self, command: str, manifest: str | None = None) -> tuple[int, str]:
        """Runs the real kubectl on this cluster.

        Args:
            command: what follows the word kubectl.
            manifest: what it gets on its standard input.

        Returns:
            Its exit status, and what it printed.

        Raises:
            RuntimeError: if the cluster has stopped, for which kubectl would wait in vain.
        """
        words = shlex.split(command)
        if words[0] in ("apply", "create", "replace"):
            words.append("--validate=false")  # this server has no schemas
        cache = f"--cache-dir={self.directory / 'cache'}"
        with subprocess.Popen(
            [str(programs.kubectl()), *words, cache],
            env=plain(os.environ) | {"KUBECONFIG": str(self._config)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            said, given = None, manifest or ""
            try:
                while said is None and self.problem is None:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        said, _ = process.communicate(given, timeout=LOOKS)
                    given = None  # it has got it
            finally:
                process.kill()
        self._check()
        shown = (said or "").replace(self.url.partition("//")[2], "127.0.0.1:6443")
        return process.returncode, shown

    def apply(self, manifests: str) -> None:
        """Stores objects, or changes them, as `kubectl create` and `replace` would.

        Args:
            manifests: YAML, one document or more.
        """
        for new in filter(None, yaml.safe_load_all(manifests)):
            resource = next(name for name, (_, kind) in KINDS.items() if kind == new["kind"])
            if self.store.find(resource, new["metadata"]["name"]):
                self.store.replace(resource, new)
            else:
                self.store.create(resource, new)

    def pods(self, **labels: str) -> list[Object]:
        """The Pods that were not told to end, the oldest first."""
        return [
            pod
            for pod in self.store.all("pods")
            if "deletionTimestamp" not in pod["metadata"]
            and labels.items() <= pod["metadata"].get("labels", {}).items()
        ]

    def names(self) -> list[str]:
        """The names of those Pods."""
        return [str(pod["metadata"]["name"]) for pod in self.pods()]

    def restarts(self, pod: str) -> int:
        """How often the container of a Pod was restarted."""
        statuses = self.store.get("pods", pod).get("status", {}).get("containerStatuses", [])
        return sum(int(one["restartCount"]) for one in statuses)

    def process(self, pod: str) -> Any:  # noqa: ANN401
        """The process of a Pod.

        Raises:
            LookupError: if it has none.
        """
        program = self.node.program(self.store.get("pods", pod))
        if program is None:
            raise LookupError(f"no process runs for the Pod {pod}")
        return program

    def logs(self, pod: str, *, previous: bool = False) -> str:
        """What the process of a Pod has written, or the process before it."""
        if previous:
            return self.node.previous(self.store.get("pods", pod))
        return str(self.process(pod).log)

    def address(self, service: str) -> str:
        """Where a Service is reached, such as http://127.0.0.1:40123."""
        self.until(lambda: service in self.services.known, f"the Service {service}")
        return self.proxies[service].url

    def until(self, condition: Any, what: str, patience: float = 60) -> None:  # noqa: ANN401
        """Waits until a condition holds.

        Raises:
            TimeoutError: if it does not hold in time.
            RuntimeError: if the cluster has stopped.
        """

        def holds() -> bool:
            self._check()
            if condition():
                return True
            self.store.wait(0.02)  # to look takes time from the programs
            return False

        wait_for(holds, patience, what)

    def settled(self, deployment: str) -> bool:
        """Whether a Deployment is as it was declared, and the proxy has heard of it."""
        one = self.store.find("deployments", deployment)
        if one is None:
            return False
        status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
        names = ("updatedReplicas", "availableReplicas", "replicas")
        # The Pods too: for a moment, the status is older than they are.
        mine = [pod for pod in self.pods() if pod["metadata"]["name"].startswith(f"{deployment}-")]
        return (
            status.get("observedGeneration") == one["metadata"]["generation"]
            and all(status.get(name, 0) == wanted for name in names)
            and len(mine) == wanted
            and all(map(is_ready, mine))
            and len(self.store.all("pods")) == len(self.pods())
            and not any(self.services.coming.values())
        )

    def close(self) -> None:
        """Ends everything."""
        self._over.set()
        self.store.close()
        self._loop.join()
        self._api.close()
        for program in [*self.node.programs(), *self.proxies.values(), *self.ingress.servers()]:
            program.kill()
            program.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _kubeconfig(self) -> Path:
        path = self.directory / "config"
        about = {"apiVersion": "v1", "kind": "Config", "current-context": "nexus"}
        about |= {
            "clusters": [{"name": "nexus", "cluster": {"server": self.url}}],
            "users": [{"name": "nexus", "user": {}}],
            "contexts": [{"name": "nexus", "context": {"cluster": "nexus", "user": "nexus"}}],
        }
        path.write_text(yaml.safe_dump(about))
        return path
