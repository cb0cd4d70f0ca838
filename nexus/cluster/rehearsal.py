"""A cluster without processes, with a clock of its own: what judges try manifests in.

Store, controllers, node and Services are those of the running model. Only programs, guests and
the time are made up, so an hour takes a second, and each run is like every other.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nexus.cluster.batch import Batch
from nexus.cluster.controller import Controllers
from nexus.cluster.node import Node, Program
from nexus.cluster.service import Services
from nexus.cluster.store import Object, Store

LAG = 10
"""Seconds until the proxy hears of a change."""

WARMS = 5
"""Seconds for which a program that listens still answers 503."""

QUICK, SLOW, SLOW_EACH = 1, 20, 5
"""How long a request takes, and a slow one, which is one in so many."""


@dataclass(frozen=True)
class Image:
    """What a program of an image does.

    Attributes:
        loads: seconds until it listens.
        works: whether it ever works after that.
        ends: the exit status with which it ends instead of listening; None if it listens.
    """

    loads: int
    works: bool = True
    ends: int | None = None


class Found:
    """An answer that has come."""

    def __init__(self, value: int | str) -> None:
        self.value = value

    def done(self) -> bool:
        """It has."""
        return True

    def result(self) -> int | str:
        """The status, or what went wrong."""
        return self.value


class Actor:
    """A program that is played.

    Attributes:
        hangs: whether it answers nothing any more.
        under_way: when its requests end.
    """

    port = 8000

    def __init__(self, world: "Rehearsal", image: str, env: Mapping[str, str]) -> None:
        self.world, self.image, self.env = world, image, dict(env)
        self.began = world.now
        self.hangs = False
        self.told_to_end = False
        self.exit: int | None = None
        self.under_way: list[float] = []

    @property
    def listens(self) -> bool:
        """Whether a connection is accepted."""
        loads = self.world.images[self.image].loads
        return self.exit is None and not self.told_to_end and self.world.now >= self.began + loads

    @property
    def works(self) -> bool:
        """Whether guests get what they came for."""
        image = self.world.images[self.image]
        warm = self.world.now >= self.began + image.loads + WARMS
        return self.listens and warm and image.works and not self.hangs

    def status(self) -> int | None:
        """Its exit status; None while it runs."""
        return self.exit

    def ask(self, path: str) -> Found:
        """Answers a probe."""
        if self.hangs:
            return Found("context deadline exceeded (Client.Timeout exceeded)")
        if not self.listens:
            return Found("connect: connection refused")
        fine = {"/livez": True, "/readyz": self.works, "/": self.works}
        fine["/database"] = self.world.database
        if path not in fine:
            return Found(404)
        return Found(200 if fine[path] else 503)

    def memory(self) -> int:
        """It has none."""
        return 0

    def written(self) -> str:
        """It writes nothing."""
        return ""

    def end(self) -> None:
        """SIGTERM: no new requests, and an end after the last one, which may be a slow one.

        It came by a connection that the proxy had kept.
        """
        if self.works and self.world.guests and not self.told_to_end:
            self.under_way.append(self.world.now + SLOW)
        self.told_to_end = True

    def kill(self) -> None:
        """SIGKILL: what is under way is lost."""
        if self.exit is None:
            self.exit = -9
            if self.under_way and not self.hangs:
                self.world.lost.append("a request was under way when SIGKILL ended its Pod")

    def close(self) -> None:
        """Leaves nothing."""

    def tick(self) -> None:
        """Finishes what is finished."""
        image = self.world.images[self.image]
        if (
            image.ends is not None
            and self.exit is None
            and self.world.now >= self.began + image.loads
        ):
            self.exit = image.ends
        self.under_way = [end for end in self.under_way if end > self.world.now]
        if self.told_to_end and not self.under_way and not self.hangs and self.exit is None:
            self.exit = 0


class Rehearsal:
    """The world of a manifest: a cluster, a database, and a guest each second.

    Attributes:
        images: what there is to start.
        lost: why each request that failed did.
        guests: whether they come.
        database: whether it is there.
    """

    def __init__(self, images: Mapping[str, Image]) -> None:
        self.images = images
        self.now = 0.0
        self.lost: list[str] = []
        self.guests = False
        self.database = True
        self.routes: list[Program] = []
        self.actors: list[Actor] = []
        self._came, self._seen = 0, -1
        self.store = Store(clock=lambda: self.now)
        self.controllers = Controllers(self.store)
        self.batch = Batch(self.store)
        self.node = Node(self.store, self)
        self.services = Services(self.store, self.node, self._route)
        self.services.lag = LAG

    def has(self, image: str) -> bool:
        """Whether there is an image."""
        return image in self.images

    def start(self, image: str, env: Mapping[str, str]) -> Actor:
        """Begins a program."""
        self.actors.append(Actor(self, image, env))
        return self.actors[-1]

    def _route(self, _: str, programs: Iterable[Program]) -> None:
        self.routes = list(programs)

    def tick(self, seconds: float = 1) -> None:
        """Lets a second pass, or another step of the clock."""
        self.now += seconds
        if self.store.version != self._seen:  # they do nothing where nothing has changed
            self._seen = self.store.version
            self.controllers.step(self.now)
        self.batch.step(self.now)
        self.services.step(self.now)
        self.node.step(self.now)
        if self.guests:
            self._visit()
        for actor in self.actors:
            actor.tick()
        self.actors = [actor for actor in self.actors if actor.exit is None]

    def _visit(self) -> None:
        """A guest comes, and goes to one of the Pods that the proxy knows."""
        if not self.routes:
            self.lost.append("a guest came, and the Service had no Pod")
            return
        self._came += 1
        actor = self.routes[self._came % len(self.routes)]
        if not isinstance(actor, Actor) or actor.hangs:
            return  # the guest waits for the one that hangs, and blames nobody here
        if actor.told_to_end or actor.exit is not None:
            self.lost.append("a guest was sent to a Pod that had got SIGTERM already")
        elif not actor.listens:
            self.lost.append("a guest was sent to a Pod that did not listen yet")
        elif not actor.works:
            self.lost.append("a guest was sent to a Pod that listened, and answered 503")
        else:
            slow = self._came % SLOW_EACH == 0
            actor.under_way.append(self.now + (SLOW if slow else QUICK))

    def serving(self) -> int:
        """How many Pods serve."""
        return sum(actor.works for actor in self.actors)

    def pods(self) -> list[Object]:
        """All Pods."""
        return self.store.all("pods")

    def restarts(self, images: Iterable[str]) -> list[str]:
        """Why containers of some images were restarted."""
        chosen = set(images)
        return [
            event["message"]
            for event in self.store.all("events")
            if event["reason"] == "Killing"
            and "restarted" in event["message"]
            and (pod := self.store.find("pods", event["involvedObject"]["name"])) is not None
            and pod["spec"]["containers"][0]["image"] in chosen
        ]
