"""Judges of "Kubernetes": a manifest that loses nobody, a controller, a write after a conflict."""

import copy
import random
from collections.abc import Callable, Mapping
from typing import Any

import yaml

from nexus.cluster.node import slept
from nexus.cluster.rehearsal import Image, Rehearsal
from nexus.cluster.store import ApiError, ConflictError, NotFoundError, Object
from nexus.judging import NotYet, first_line, judge
from nexus.judging.clock import Clock
from nexus.judging.limits import Guard, within

IMAGES = {"shop:1": Image(20), "shop:2": Image(40), "shop:3": Image(30, works=False)}
SERVICE = {"metadata": {"name": "shop"}, "spec": {"selector": {"app": "shop"}}}
GOOD = ("shop:1", "shop:2")

STARTS, ROLLS, WATCHED, OUTAGE, HANGS = 240, 900, 200, 120, 120
"""Seconds: to start, to roll, to look at a bad release, without a database, and to notice."""

MOST = 10
"""Replicas."""

PORT = 8000
"""Where the program listens."""

NUMBERS = frozenset(
    {
        "replicas",
        "periodSeconds",
        "initialDelaySeconds",
        "timeoutSeconds",
        "failureThreshold",
        "successThreshold",
        "terminationGracePeriodSeconds",
        "progressDeadlineSeconds",
        "minReadySeconds",
        "seconds",
    }
)
"""Fields that hold whole numbers."""

MOST_READY = 60
"""Seconds of minReadySeconds, which the model does not wait for."""

FIELDS = {
    "Deployment's spec": (
        "minReadySeconds paused progressDeadlineSeconds replicas revisionHistoryLimit selector "
        "strategy template"
    ),
    "Pod's spec": (
        "activeDeadlineSeconds affinity automountServiceAccountToken containers dnsConfig "
        "dnsPolicy enableServiceLinks ephemeralContainers hostAliases hostIPC hostNetwork "
        "hostPID hostUsers hostname hostnameOverride imagePullSecrets initContainers nodeName "
        "nodeSelector os overhead preemptionPolicy priority priorityClassName readinessGates "
        "resourceClaims resources restartPolicy runtimeClassName schedulerName "
        "schedulingGates securityContext serviceAccount serviceAccountName "
        "setHostnameAsFQDN shareProcessNamespace subdomain terminationGracePeriodSeconds "
        "tolerations topologySpreadConstraints volumes"
    ),
    "container": (
        "args command env envFrom image imagePullPolicy lifecycle livenessProbe name ports "
        "readinessProbe resizePolicy resources restartPolicy restartPolicyRules "
        "securityContext startupProbe stdin stdinOnce terminationMessagePath "
        "terminationMessagePolicy tty volumeDevices volumeMounts workingDir"
    ),
    "probe": (
        "exec failureThreshold grpc httpGet initialDelaySeconds periodSeconds "
        "successThreshold tcpSocket terminationGracePeriodSeconds timeoutSeconds"
    ),
    "httpGet": "host httpHeaders path port scheme",
    "strategy": "rollingUpdate type",
    "rollingUpdate": "maxSurge maxUnavailable",
    "lifecycle": "postStart preStop stopSignal",
    "preStop": "exec httpGet sleep tcpSocket",
}
"""What Kubernetes knows; a model that overlooks a misspelt field gives a wrong reason later."""

GIVEN_1 = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      containers:
        - name: web
          image: shop:1
          ports: [{containerPort: 8000}]
          livenessProbe:
            httpGet: {path: /database, port: 8000}
"""

WHY = {
    "did not listen yet": "how does the Service know when a Pod is ready?",
    "answered 503": "ask for what guests need: /readyz",
    "SIGTERM already": "the proxy hears of it 10 seconds later. What holds SIGTERM back?",
    "SIGKILL": "preStop and the last request together need more than the grace period",
    "had no Pod": "a moment came in which no Pod was ready",
}
"""What to think of, for each way to lose a guest."""


@judge(
    "kubernetes.1",
    takes=str,
    called="the manifest of a Deployment, as YAML in quotes",
    hint="give the manifest of the Deployment as YAML",
    stub=GIVEN_1,
)
def manifest(answer: str) -> str:
    """Nobody is lost in a rollout, a bad release and an outage, and what hangs is restarted."""
    deployment = _deployment(answer)
    try:
        _rehearse(deployment)
    except (AttributeError, KeyError, TypeError, ValueError, IndexError, ApiError) as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise NotYet(
            f"the model cannot run this manifest ({what}): is a field misplaced?"
        ) from None
    return (
        "a rollout, a bad release and two minutes without a database lost no request and restarted "
        "nothing, and the process that hung was restarted"
    )


def _deployment(answer: str) -> Object:
    """The Deployment, if the answer is one that the model can run."""
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(answer)):
            raise NotYet("write it without aliases (*name): the model wants plain YAML")
        found = [one for one in yaml.safe_load_all(answer) if one is not None]
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise NotYet(f"this is not YAML: {first_line(error)}") from None
    mine = [one for one in found if isinstance(one, dict) and one.get("kind") == "Deployment"]
    if len(mine) != 1:
        raise NotYet("the answer should have one object of kind: Deployment")
    try:
        spec = mine[0]["spec"]
        container = spec["template"]["spec"]["containers"][0]
        name, image = mine[0]["metadata"]["name"], container["image"]
        labels = spec["template"]["metadata"]["labels"]
        chosen = spec["selector"]["matchLabels"]
    except (KeyError, TypeError, IndexError):
        raise NotYet("keep the shape of the given manifest: a part of it is missing") from None
    if (name, image) != ("shop", "shop:1"):
        raise NotYet("keep the name shop and the image shop:1: the judge rolls out shop:2")
    if not isinstance(labels, dict) or labels.get("app") != "shop" or chosen != {"app": "shop"}:
        raise NotYet("keep the label app: shop: the Service finds the Pods by it")
    _check_fields("Deployment's spec", spec)
    _check_fields("Pod's spec", spec["template"]["spec"])
    _check_fields("container", container)
    _check_below(spec, "strategy", "rollingUpdate")
    _check_below(container, "lifecycle", "preStop")
    _check_numbers(mine[0])
    _check_probes(container)
    if len(spec["template"]["spec"]["containers"]) > 1:
        raise NotYet("the model runs one container: keep only web")
    if spec["template"]["spec"].get("restartPolicy", "Always") != "Always":
        raise NotYet("Kubernetes allows in a Deployment only restartPolicy: Always")
    _check_hook(container)
    if spec.get("paused"):
        raise NotYet("paused: true stops every rollout, so no release would come: leave it out")
    if spec.get("minReadySeconds", 0) > MOST_READY:
        raise NotYet(f"the model does not wait for minReadySeconds: {MOST_READY} are enough")
    replicas = spec.get("replicas", 1)
    if not 2 <= replicas <= MOST:
        raise NotYet(f"two Pods must serve at each moment, and {MOST} are enough: not {replicas}")
    return mine[0]


def _check_fields(where: str, found: object) -> None:
    """Refuses a field that is misspelt, or in the wrong place."""
    if not isinstance(found, dict):
        raise NotYet(f"the {where} should have fields with values, not {found!r:.60}")
    for name in found:
        if name not in FIELDS[where].split():
            places = [place for place, fields in FIELDS.items() if name in fields.split()]
            hint = f"it belongs in the {places[0]}" if places else "is it misspelt or misplaced?"
            raise NotYet(f"a {where} has no field {name!s:.60}: {hint}")


def _check_below(found: Mapping[str, Any], name: str, inner: str) -> None:
    """Refuses a misspelt field in a field, and in one field of that; each may be left out."""
    if (outer := found.get(name)) is not None:
        _check_fields(name, outer)
        if outer.get(inner) is not None:
            _check_fields(inner, outer[inner])


def _check_numbers(value: object, name: str = "") -> None:
    """Refuses what is no whole number, or a strange one, where a number must be."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_numbers(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            _check_numbers(inner)
    elif name in NUMBERS:
        least = 1 if name.endswith(("Threshold", "periodSeconds")) else 0
        if type(value) is not int or not least <= value <= 10_000:
            raise NotYet(f"{name} should be a whole number from {least}; it is {value!r}")


def _check_probes(container: Mapping[str, Any]) -> None:
    """Refuses what the model does not know."""
    for kind in ("startup", "readiness", "liveness"):
        probe = container.get(f"{kind}Probe")
        if probe is None:
            continue
        if not isinstance(probe, dict) or not isinstance(probe.get("httpGet"), dict):
            raise NotYet(f"the {kind}Probe should have an httpGet: the model knows no other probe")
        _check_fields("probe", probe)
        _check_fields("httpGet", probe["httpGet"])
        if _number(probe["httpGet"].get("port"), container) != PORT:
            asked = probe["httpGet"].get("port", "no port")
            raise NotYet(f"the program listens at port {PORT}, and the {kind}Probe asks {asked!r}")
        if kind != "readiness" and probe.get("successThreshold", 1) != 1:
            raise NotYet(f"Kubernetes allows a {kind}Probe only successThreshold: 1")
        path = probe["httpGet"].get("path", "/")
        if path not in ("/", "/livez", "/readyz", "/database"):
            raise NotYet(f"the program answers {path!r} with 404, so the {kind}Probe always fails")


def _number(port: object, container: Mapping[str, Any]) -> object:
    """The number of a port, which a probe may call by its name."""
    ports = container.get("ports")
    for one in ports if isinstance(ports, list) else ():
        if isinstance(one, dict) and port is not None and one.get("name") == port:
            return one.get("containerPort")
    return port


def _check_hook(container: Mapping[str, Any]) -> None:
    """Refuses a command of preStop that Kubernetes refuses, or that the model cannot run."""
    try:
        command = container["lifecycle"]["preStop"]["exec"]["command"]
    except (KeyError, TypeError):
        return
    if not isinstance(command, list) or not all(isinstance(each, str) for each in command):
        raise NotYet(f"a command is a list of texts: quote the numbers in {command!r:.80}")
    if not slept(container):
        raise NotYet(
            f"preStop cannot run {command!r:.80}: the first text is the program, each argument is "
            "a text of its own, and the model has no program but sleep and sh -c"
        )


def _rehearse(deployment: Object) -> None:
    """Plays everything that happens to the shop."""
    world = Rehearsal(IMAGES)
    world.store.create("services", copy.deepcopy(SERVICE))
    world.store.create("deployments", deployment)
    _until(world, STARTS, lambda: _is_done(world), "the Pods of shop:1 were not ready")
    _watch(world, 2 * 10, "before anything was changed")

    _to(world, "shop:2")
    _until(world, ROLLS, lambda: _is_done(world), "shop:2 was not rolled out", "during the rollout")
    _watch(world, 60, "after the rollout")

    _to(world, "shop:3")
    _watch(world, WATCHED, "while a release never got ready")
    _to(world, "shop:2")
    _until(
        world, ROLLS, lambda: _is_done(world), "the bad release did not go", "after the bad release"
    )
    _watch(world, 60, "after the bad release")

    world.database = False
    _watch(world, OUTAGE, "while the database was down")
    world.database = True
    _watch(world, 60, "after the database had come back")

    victim = next(actor for actor in world.actors if actor.works)
    victim.hangs = True
    for _ in range(HANGS):
        world.tick()
        if victim.exit is not None:
            return
    raise NotYet(
        f"a process hung, answered nothing, and was still there after {HANGS // 60} minutes: who "
        "restarts it, and how soon?"
    )


def _to(world: Rehearsal, image: str) -> None:
    """Sets the image, as `kubectl set image` does."""

    def change(stored: Object) -> None:
        stored["spec"]["template"]["spec"]["containers"][0]["image"] = image

    world.store.change("deployments", "shop", change)


def _is_done(world: Rehearsal) -> bool:
    """Whether the Deployment is as declared, and nothing is on its way."""
    one = world.store.get("deployments", "shop")
    status, wanted = one.get("status", {}), one["spec"].get("replicas", 1)
    names = ("updatedReplicas", "availableReplicas", "replicas")
    current = status.get("observedGeneration") == one["metadata"]["generation"]
    quiet = not any(world.services.coming.values()) and len(world.pods()) == wanted
    return current and quiet and all(status.get(name) == wanted for name in names)


def _until(
    world: Rehearsal, most: int, done: Callable[[], bool], late: str, when: str = ""
) -> None:
    """Lets time pass until something is done; with guests if there is a moment to speak of."""
    for _ in range(most):
        world.tick()
        if when:
            _look(world, when)
        if done():
            return
    if said := world.restarts(IMAGES):
        raise NotYet(f"{late} after {most // 60} minutes: {said[-1]}")
    raise NotYet(f"{late} after {most // 60} minutes")


def _watch(world: Rehearsal, seconds: int, when: str) -> None:
    """Lets time pass with guests."""
    world.guests = True
    for _ in range(seconds):
        world.tick()
        _look(world, when)


def _look(world: Rehearsal, when: str) -> None:
    """Refuses if a guest was lost, a good Pod restarted, or too few served."""
    if said := world.restarts(GOOD):
        raise NotYet(f"{when}, a Pod was restarted without need: {said[-1]}")
    if world.lost:
        why = next(hint for part, hint in WHY.items() if part in world.lost[0])
        raise NotYet(f"{when}, {world.lost[0]}: {why}")
    if world.serving() < 2:
        raise NotYet(f"{when}, only {world.serving()} of 2 Pods served: see maxUnavailable")


Pod = dict[str, Any]
Keep = Callable[[int, list[Pod]], Any]

GIVEN_2 = """
def keep(wanted, pods):
    return wanted - len(pods), []
"""


@judge(
    "kubernetes.2",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of a number and a list of Pods: it returns how many to make, and names",
    stub=GIVEN_2,
)
def controller(answer: Keep) -> str:
    """From whatever there is, the function comes to what is wanted, and disturbs nobody."""
    _order(answer, 3, [])
    _order(answer, 0, [])
    _order(answer, 2, _pods("ready", "ready"))
    _order(answer, 2, _pods("ready", "ending"))
    _order(answer, 1, _pods("ending", "ready", "new"))
    _order(answer, 1, _pods("new", "ready"))
    _order(answer, 0, _pods("ready", "new", "ending"))
    _order(answer, 2, _pods("ending", "ending", "ready"))
    for seed in range(12):
        _live(answer, random.Random(seed))  # noqa: S311 (a world, no secret)
    return (
        "from every state it came to the number that was wanted, and no ready Pod went for nothing"
    )


def _pods(*states: str) -> list[Pod]:
    return [
        {"name": f"shop-{n}", "ready": state != "new", "ending": state == "ending"}
        for n, state in enumerate(states)
    ]


def _order(answer: Keep, wanted: int, pods: list[Pod]) -> tuple[int, list[str]]:
    """What the function orders, if it may."""
    order = within(lambda: answer(wanted, copy.deepcopy(pods)))
    about = f"wanted {wanted}, there were {_said(pods)}"
    if not isinstance(order, tuple | list) or len(order) != 2:
        raise NotYet(f"return a number and a list of names, not {order!r:.80}")
    make, delete = order
    if type(make) is not int or not isinstance(delete, list | tuple | set):
        raise NotYet(f"return a whole number and a list of names, not {order!r:.80}")
    if make < 0:
        raise NotYet(f"{about}: {make} Pods cannot be made")
    delete = list(delete)
    living = [pod for pod in pods if not pod["ending"]]
    names = {pod["name"]: pod for pod in pods}
    for name in delete:
        if not isinstance(name, str) or name not in names:
            raise NotYet(f"{about}: {name!r:.60} is not the name of a Pod")
        if names[name]["ending"]:
            raise NotYet(f"{about}: you deleted {name}, which is ending already")
    if len(set(delete)) < len(delete):
        raise NotYet(f"{about}: you deleted a Pod twice")
    if len(living) + make > max(wanted, len(living)):
        raise NotYet(f"{about}: you made {make}, so there are too many")
    if delete and len(living) - len(delete) < wanted:
        raise NotYet(f"{about}: you deleted {len(delete)}, so there are too few")
    kept = [pod for pod in living if pod["name"] not in delete]
    if any(names[name]["ready"] for name in delete) and not all(pod["ready"] for pod in kept):
        raise NotYet(f"{about}: you deleted a Pod that is ready, and kept one that is not")
    if not make and not delete and len(living) != wanted:
        raise NotYet(f"{about}: you did nothing, so it stays like that")
    return make, delete


def _said(pods: list[Pod]) -> str:
    """Pods in words."""
    states = ["ending" if p["ending"] else "ready" if p["ready"] else "not ready" for p in pods]
    return ", ".join(states) or "none"


def _live(answer: Keep, chance: random.Random) -> None:
    """Lets the function rule a world in which things happen, until nothing happens any more."""
    pods: list[Pod] = []
    ages: dict[str, int] = {}
    number, wanted = 0, chance.randint(1, 4)
    for turn in range(40):
        if turn < 20:
            if chance.random() < 0.2:
                wanted = chance.randint(0, 5)
            if pods and chance.random() < 0.2:
                pods.remove(chance.choice(pods))
            if pods and chance.random() < 0.2:
                chance.choice(pods)["ending"] = True
        make, delete = _order(answer, wanted, pods)
        for _ in range(make):
            number += 1
            pods.append({"name": f"shop-{number}", "ready": False, "ending": False})
        for pod in pods:
            name = pod["name"]
            pod["ending"] = pod["ending"] or name in delete
            ages[name] = ages.get(name, 0) + 1
            pod["ready"] = ages[name] > 2
            if pod["ending"]:
                ages[name] += 10
        pods = [pod for pod in pods if ages[pod["name"]] < 30 or not pod["ending"]]
        chance.shuffle(pods)
    if sum(not pod["ending"] for pod in pods) != wanted:
        raise NotYet(f"wanted {wanted}, and after many turns there are {_said(pods)}")


Change = Callable[[Object], object]
Update = Callable[[Any, str, Change], Any]

GIVEN_3 = """
def update(api, name, change):
    thing = api.get(name)
    change(thing)
    return api.put(thing)
"""


class ForbiddenError(ApiError):
    """This client may not do that."""

    status, reason = 403, "Forbidden"


class ChangeError(Exception):
    """What a change raises that cannot be made."""


class Api:
    """An API server with one object, to which others write between a read and a write."""

    def __init__(self, conflicts: int, ends: str = "") -> None:
        self.conflicts, self.ends = conflicts, ends
        self.stored: Object = {
            "metadata": {"name": "shop", "resourceVersion": "1"},
            "data": {"visits": 0, "others": 0, "notes": []},
        }
        self.guard = Guard(600, "you asked the server hundreds of times: when do you stop?")
        self.written = 0
        self.returned: Object | None = None

    def get(self, name: str) -> Object:
        """A copy of the object."""
        self.guard.tick()
        if name != "shop" or (self.ends == "deleted" and self.conflicts == 0):
            raise NotFoundError(f'configmaps "{name}" not found')
        return copy.deepcopy(self.stored)

    def put(self, thing: Object) -> Object:
        """Stores a copy of an object."""
        self.guard.tick()
        if not isinstance(thing, dict) or "data" not in thing:
            raise NotYet(f"api.put takes the object that api.get gave, not {thing!r:.60}")
        if self.conflicts:
            self.conflicts -= 1
            self.others_write()
        if self.ends == "forbidden" and self.conflicts == 0:
            raise ForbiddenError('configmaps "shop" is forbidden')
        given = thing.get("metadata", {}).get("resourceVersion")
        if given and given != self.stored["metadata"]["resourceVersion"]:
            raise ConflictError("the object has been modified; please apply your changes again")
        self.written += 1
        self._store(copy.deepcopy(thing))
        self.returned = copy.deepcopy(self.stored)
        self.others_write()  # so who reads again, reads something else
        return copy.deepcopy(self.returned)

    def others_write(self) -> None:
        """Somebody else changes the object."""
        new = copy.deepcopy(self.stored)
        new["data"]["others"] += 1
        new["data"]["notes"].append("other")
        self._store(new)

    def _store(self, new: Object) -> None:
        version = int(self.stored["metadata"]["resourceVersion"]) + 1
        new["metadata"] = {"name": "shop", "resourceVersion": str(version)}
        self.stored = new


@judge(
    "kubernetes.3",
    takes=Callable,  # type: ignore[arg-type]
    called="a function",
    hint="give a function of an API, a name and a function that changes an object",
    stub=GIVEN_3,
)
def update(answer: Update) -> str:
    """The change is stored once, nothing of others is lost, and other errors reach the caller."""
    for conflicts in (0, 1, 2, 30):
        _updated(answer, conflicts)
    _raises(answer, "shop", Api(0, "forbidden"), ForbiddenError, "the server forbade the write")
    _raises(answer, "shop", Api(2, "deleted"), NotFoundError, "the object was deleted meanwhile")
    _raises(answer, "inn", Api(0), NotFoundError, "there is no such object")
    _raises(answer, "shop", Api(1), ChangeError, "change could not do its work", _fails)
    return "after up to 30 conflicts the change was stored once, and nothing of others was lost"


def _change(thing: Object) -> None:
    """The change that the judge wants."""
    if "mine" in thing["data"]["notes"]:
        raise NotYet("change was called twice for one copy: read a fresh copy for each try")
    thing["data"]["visits"] += 1
    thing["data"]["notes"].append("mine")


def _fails(_: Object) -> None:
    """A change that cannot be made."""
    raise ChangeError("this object cannot be changed so")


def _call(answer: Update, api: Api, name: str, change: Change) -> Any:  # noqa: ANN401
    try:
        return within(lambda: answer(api, name, change), Clock())
    finally:
        api.guard.check()


def _updated(answer: Update, conflicts: int) -> None:
    """The function stores its change after so many conflicts."""
    api = Api(conflicts)
    about = f"after {conflicts} conflicts" if conflicts != 1 else "after one conflict"
    try:
        found = _call(answer, api, "shop", _change)
    except ConflictError:
        raise NotYet(
            f"{about}, your function raised ConflictError: read again and try again"
        ) from None
    data = api.stored["data"]
    if data["others"] < conflicts or data["notes"].count("other") < conflicts:
        raise NotYet(f"{about}, what others wrote was lost: write the version that you read")
    if data["notes"].count("mine") != 1 or data["visits"] != 1:
        raise NotYet(f"{about}, your change is stored {data['visits']} times, and not once")
    if api.written != 1:
        raise NotYet(f"{about}, you wrote {api.written} times: once is enough")
    if found != api.returned:
        raise NotYet(
            f"{about}, return what api.put returned, not {found!r:.60}: others may have written "
            "since, and your own copy has the old resourceVersion"
        )


def _raises(
    answer: Update,
    name: str,
    api: Api,
    expected: type[Exception],
    about: str,
    change: Change = _change,
) -> None:
    """An error that is no conflict reaches the caller."""
    try:
        found = _call(answer, api, name, change)
    except expected:
        return
    except ConflictError:
        raise NotYet(f"{about}, and your function raised ConflictError") from None
    raise NotYet(f"{about}, and your function returned {found!r:.60}: let the error through")
