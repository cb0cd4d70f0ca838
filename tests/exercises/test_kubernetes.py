"""The judges of "Kubernetes": stubs, right answers, wrong ones."""

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from nexus.cluster import ApiError, ConflictError, NotFoundError
from nexus.exercises import kubernetes
from nexus.judging import judge_answer
from tests.exercises import tables

ONE, TWO, THREE = (f"kubernetes.{number}" for number in range(1, 4))

RIGHT_1 = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  strategy:
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels: {app: shop}
  template:
    metadata:
      labels: {app: shop}
    spec:
      terminationGracePeriodSeconds: 60
      containers:
        - name: web
          image: shop:1
          ports: [{containerPort: 8000}]
          startupProbe:
            httpGet: {path: /livez, port: 8000}
            periodSeconds: 5
            failureThreshold: 24
          readinessProbe:
            httpGet: {path: /readyz, port: 8000}
            periodSeconds: 5
          livenessProbe:
            httpGet: {path: /livez, port: 8000}
          lifecycle:
            preStop:
              sleep: {seconds: 15}
"""


def with_(*changes: tuple[str, str]) -> str:
    """The right manifest with changes, each of which must be one."""
    text = RIGHT_1
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def without(field: str) -> str:
    """The right manifest without a field of its container, or of its Pod."""
    pattern = rf"^( *){field}:.*\n(?:\1 +.*\n)*"
    assert re.search(pattern, RIGHT_1, re.MULTILINE), field
    return re.sub(pattern, "", RIGHT_1, flags=re.MULTILINE)


BY_DELAY = (
    without("startupProbe")
    .replace(
        "            httpGet: {path: /livez, port: 8000}",
        "            httpGet: {path: /livez, port: 8000}\n            initialDelaySeconds: 90",
    )
    .replace("sleep: {seconds: 15}", 'exec: {command: [sh, -c, "sleep 20"]}')
    .replace("maxSurge: 1, maxUnavailable: 0", 'maxSurge: "50%", maxUnavailable: 0')
)
"""Without a startup probe, with a hook that is a command."""

MORE_PODS = with_(
    ("replicas: 2", "replicas: 4"),
    ("maxSurge: 1, maxUnavailable: 0", "maxSurge: 0, maxUnavailable: 1"),
    ("/readyz, port: 8000}\n            periodSeconds: 5", "/, port: 8000}"),
)
"""More Pods, so that one may be missing; the page itself is the question."""

LIVENESS = "          livenessProbe:\n            httpGet: {path: /"
DATABASE_LIVENESS = with_((f"{LIVENESS}livez", f"{LIVENESS}database"))

LATE_LIVENESS = with_(
    (
        f"{LIVENESS}livez, port: 8000}}",
        f"{LIVENESS}livez, port: 8000}}\n            periodSeconds: 30",
    )
)
"""Three failures take 90 seconds, and the grace period one minute more."""

SLEEP = "sleep: {seconds: 15}"
ONE_TEXT, A_NUMBER, TWO_TEXTS = (
    with_((SLEEP, f"exec: {{command: {command}}}"))
    for command in ('["sleep 15"]', "[sleep, 15]", '[sh, -c, sleep, "15"]')
)
"""A program that is called `sleep 15`, what is no text, and a sleep without its argument."""

IN_JSON = json.dumps(yaml.safe_load(RIGHT_1))

ANCHORED = with_(
    ("          startupProbe:\n            httpGet: {path: /livez, port: 8000}",
     "          startupProbe:\n            httpGet: &live {path: /livez, port: 8000}"),
    ("          livenessProbe:\n            httpGet: {path: /livez, port: 8000}",
     "          livenessProbe:\n            httpGet: *live"),
)  # fmt: skip

GRACE_IN_CONTAINER = with_(
    ("      terminationGracePeriodSeconds: 60\n", ""),
    ("          image:", "          terminationGracePeriodSeconds: 60\n          image:"),
)

BY_A_LITTLE = with_(
    ("PeriodSeconds: 60", "PeriodSeconds: 36"),
    ("  replicas: 2", "  minReadySeconds: 5\n  replicas: 2"),
)

BY_NAME = with_(
    ("port: 8000}", "port: http}"),
    ("[{containerPort: 8000}]", "[{name: http, containerPort: 8000}]"),
)

Pods = list[dict[str, Any]]


def keep(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    living = [pod for pod in pods if not pod["ending"]]
    too_many = max(0, len(living) - wanted)
    living.sort(key=lambda pod: pod["ready"])
    return max(0, wanted - len(living)), [pod["name"] for pod in living[:too_many]]


def keep_one_by_one(wanted: int, pods: Pods) -> list[Any]:
    """One step a call, which comes to the same."""
    ready = [pod["name"] for pod in pods if pod["ready"] and not pod["ending"]]
    new = [pod["name"] for pod in pods if not pod["ready"] and not pod["ending"]]
    number = len(ready) + len(new)
    if number < wanted:
        return [1, []]
    return [0, (new + ready)[: min(1, number - wanted)]]


def keep_by_names(wanted: int, pods: Pods) -> tuple[int, set[str]]:
    living = {pod["name"]: pod["ready"] for pod in pods if not pod["ending"]}
    kept = sorted(living, key=lambda name: not living[name])[:wanted]
    return max(wanted - len(living), 0), set(living) - set(kept)


def counts_all(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    return max(0, wanted - len(pods)), [pod["name"] for pod in pods[wanted:]]


def counts_the_ready(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    ready = [pod for pod in pods if pod["ready"] and not pod["ending"]]
    return max(0, wanted - len(ready)), [pod["name"] for pod in ready[wanted:]]


def deletes_the_last(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    living = [pod["name"] for pod in pods if not pod["ending"]]
    return max(0, wanted - len(living)), living[wanted:]


def deletes_the_ending(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    living = [pod for pod in pods if not pod["ending"]]
    too_many = max(0, len(living) - wanted)
    order = sorted(pods, key=lambda pod: (not pod["ending"], pod["ready"]))
    return max(0, wanted - len(living)), [pod["name"] for pod in order[:too_many]]


def never_deletes(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    return keep(wanted, pods)[0], []


def deletes_what_is_not_ready(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    """Swaps Pods that have just begun, for ever."""
    bad = [pod["name"] for pod in pods if not pod["ready"] and not pod["ending"]]
    return keep(wanted, pods)[0], bad


def negative(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    return wanted - sum(not pod["ending"] for pod in pods), keep(wanted, pods)[1]


def begins_anew(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    if len(keep(wanted, pods)[1]) or keep(wanted, pods)[0]:
        return wanted, [pod["name"] for pod in pods if not pod["ending"]]
    return 0, []


SEEN: list[int] = []


def remembers(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    """Acts only when the wish has changed: it does not see that a Pod is gone."""
    if SEEN[-1:] == [wanted]:
        return 0, []
    SEEN.append(wanted)
    return keep(wanted, pods)


def swallows(wanted: int, pods: Pods) -> tuple[int, list[str]]:
    try:
        return keep(wanted, [*pods[:1], *pods[1:]]) if pods[0] else (0, [])
    except Exception:
        return 0, []


def returns_pods(wanted: int, pods: Pods) -> tuple[int, Pods]:
    make, names = keep(wanted, pods)
    return make, [pod for pod in pods if pod["name"] in names]


def a_number(wanted: int, pods: Pods) -> int:
    return keep(wanted, pods)[0]


Object = dict[str, Any]
Change = Callable[[Object], object]


def update(api: kubernetes.Api, name: str, change: Change) -> Object:
    while True:
        thing = api.get(name)
        change(thing)
        try:
            return api.put(thing)
        except ConflictError:
            time.sleep(1)


def update_again(api: kubernetes.Api, name: str, change: Change) -> Object:
    """By calling itself, and by looking at the reason."""
    change(thing := api.get(name))
    try:
        return api.put(thing)
    except ApiError as error:
        if error.reason != "Conflict":
            raise
        return update_again(api, name, change)


def once_more(api: kubernetes.Api, name: str, change: Change) -> Object:
    for _ in range(2):
        change(thing := api.get(name))
        try:
            return api.put(thing)
        except ConflictError as error:
            last = error
    raise last


def puts_the_same(api: kubernetes.Api, name: str, change: Change) -> Object:
    change(thing := api.get(name))
    while True:
        try:
            return api.put(thing)
        except ConflictError:
            pass


def without_version(api: kubernetes.Api, name: str, change: Change) -> Object:
    change(thing := api.get(name))
    thing["metadata"].pop("resourceVersion")
    return api.put(thing)


def newest_version(api: kubernetes.Api, name: str, change: Change) -> Object:
    """The old content under the newest version."""
    change(thing := api.get(name))
    while True:
        try:
            return api.put(thing)
        except ConflictError:
            version = api.get(name)["metadata"]["resourceVersion"]
            thing["metadata"]["resourceVersion"] = version


def changes_twice(api: kubernetes.Api, name: str, change: Change) -> Object:
    change(thing := api.get(name))
    while True:
        try:
            return api.put(thing)
        except ConflictError:
            change(thing)


def gives_up_quietly(api: kubernetes.Api, name: str, change: Change) -> Object:
    change(thing := api.get(name))
    try:
        return api.put(thing)
    except ConflictError:
        return thing


def returns_nothing(api: kubernetes.Api, name: str, change: Change) -> None:
    update(api, name, change)


def returns_its_copy(api: kubernetes.Api, name: str, change: Change) -> Object:
    while True:
        change(thing := api.get(name))
        try:
            api.put(thing)
        except ConflictError:
            continue
        return thing


def reads_it_again(api: kubernetes.Api, name: str, change: Change) -> Object:
    update(api, name, change)
    return api.get(name)


def stores_no_change(api: kubernetes.Api, name: str, change: Change) -> Object:
    """Swallows what `change` raises."""
    while True:
        thing = api.get(name)
        try:
            change(thing)
        except Exception:
            thing = api.get(name)
        try:
            return api.put(thing)
        except ConflictError:
            continue


def retries_everything(api: kubernetes.Api, name: str, change: Change) -> Object:
    while True:
        try:
            change(thing := api.get(name))
            return api.put(thing)
        except ApiError:
            continue


def nothing_is_no_error(api: kubernetes.Api, name: str, change: Change) -> Object:
    try:
        return update(api, name, change)
    except NotFoundError:
        return None


def writes_twice(api: kubernetes.Api, name: str, change: Change) -> Object:
    update(api, name, change)
    return api.put(api.get(name))


RIGHT = [
    (ONE, RIGHT_1),
    (ONE, BY_DELAY),
    (ONE, MORE_PODS),
    (ONE, BY_A_LITTLE),
    (ONE, BY_NAME),
    (ONE, IN_JSON),
    (ONE, with_((SLEEP, 'exec: {command: [/bin/sleep, "15"]}'))),
    (TWO, keep),
    (TWO, keep_one_by_one),
    (TWO, keep_by_names),
    (THREE, update),
    (THREE, update_again),
]

NOT_YET = [
    (ONE, None, "give the manifest"),
    (ONE, kubernetes.GIVEN_1, "did not listen yet"),
    (ONE, without("readinessProbe"), "listened, and answered 503"),
    (ONE, with_(("/readyz", "/livez")), "ask for what guests need"),
    (ONE, with_(("/readyz", "/database")), "answered 503"),
    (ONE, without("lifecycle"), "SIGTERM already"),
    (ONE, with_(("seconds: 15", "seconds: 5")), "SIGTERM already"),
    (ONE, ONE_TEXT, "preStop cannot run ['sleep 15']"),
    (ONE, A_NUMBER, "quote the numbers in ['sleep', 15]"),
    (ONE, TWO_TEXTS, "preStop cannot run ['sh', '-c', 'sleep', '15']"),
    (ONE, with_(("PeriodSeconds: 60", "PeriodSeconds: 20")), "SIGKILL ended its Pod"),
    (ONE, with_(("      terminationGracePeriodSeconds: 60\n", "")), "SIGKILL ended its Pod"),
    (ONE, with_(("maxUnavailable: 0", "maxUnavailable: 1")), "only 1 of 2 Pods served"),
    (
        ONE,
        with_(("rollingUpdate: {maxSurge: 1, maxUnavailable: 0}", "type: Recreate")),
        "had no Pod",
    ),
    (ONE, DATABASE_LIVENESS, "while the database was down, a Pod was restarted"),
    (ONE, without("livenessProbe"), "a process hung"),
    (ONE, LATE_LIVENESS, "still there after 2 minutes"),
    (ONE, without("startupProbe"), "failed liveness probe, will be restarted"),
    (ONE, with_(("failureThreshold: 24", "failureThreshold: 6")), "failed startup probe"),
    (ONE, with_(("replicas: 2", "replicas: 1")), "two Pods must serve"),
    (ONE, with_(("replicas: 2", "replicas: two")), "should be a whole number"),
    (ONE, with_(("/readyz", "/ready")), "answers '/ready' with 404"),
    (ONE, with_(("{app: shop}\n    spec", "{app: store}\n    spec")), "the Service finds the Pods"),
    (ONE, with_(("readinessProbe", "readinesProbe")), "no field readinesProbe: is it misspelt"),
    (ONE, GRACE_IN_CONTAINER, "no field terminationGracePeriodSeconds: it belongs in the Pod's"),
    (
        ONE,
        with_((" failureThreshold", " failureTreshold")),
        "failureTreshold",
    ),
    (ONE, with_(("  replicas: 2", "  paused: true\n  replicas: 2")), "stops every rollout"),
    (ONE, with_(("  replicas: 2", "  minReadySeconds: 9999\n  replicas: 2")), "does not wait"),
    (ONE, with_(("image: shop:1", "image: shop:2")), "the judge rolls out shop:2"),
    (ONE, with_(("httpGet: {path: /readyz", "tcpSocket: {path: /x")), "no other probe"),
    (ONE, with_(("/readyz, port: 8000", "/readyz, port: 9000")), "the readinessProbe asks 9000"),
    (ONE, with_(("/readyz, port: 8000", "/readyz, port: http")), "the readinessProbe asks 'http'"),
    (ONE, with_(("/readyz, port: 8000", "/readyz")), "the readinessProbe asks 'no port'"),
    (ONE, with_(("{path: /readyz", "{pth: /readyz")), "httpGet has no field pth"),
    (ONE, with_(("maxUnavailable", "maxUnavailble")), "rollingUpdate has no field maxUnavailble"),
    (ONE, with_(("preStop:", "prestop:")), "lifecycle has no field prestop"),
    (ONE, with_(("sleep: {seconds: 15}", "seconds: 15")), "preStop has no field seconds"),
    (ONE, RIGHT_1 + "        - {name: log, image: log:1}\n", "keep only web"),
    (
        ONE,
        with_(("      containers", "      restartPolicy: Never\n      containers")),
        "only restart",
    ),
    (ONE, ANCHORED, "without aliases"),
    (ONE, "kind: [", "not YAML"),
    (ONE, "kind: Deployment", "keep the shape"),
    (ONE, "kind: Service", "one object of kind: Deployment"),
    (TWO, None, "give a function"),
    (TWO, counts_all, "you did nothing"),
    (TWO, counts_the_ready, "you did nothing"),
    (TWO, deletes_the_last, "you deleted a Pod that is ready"),
    (TWO, deletes_the_ending, "is ending already"),
    (TWO, never_deletes, "you did nothing"),
    (TWO, deletes_what_is_not_ready, "so there are too few"),
    (TWO, negative, "cannot be made"),
    (TWO, begins_anew, "so there are too"),
    (TWO, remembers, "you did nothing"),
    (TWO, swallows, "you did nothing"),
    (TWO, returns_pods, "is not the name of a Pod"),
    (TWO, a_number, "return a number and a list"),
    (THREE, None, "give a function"),
    (THREE, once_more, "raised ConflictError"),
    (THREE, puts_the_same, "when do you stop?"),
    (THREE, without_version, "what others wrote was lost"),
    (THREE, newest_version, "what others wrote was lost"),
    (THREE, changes_twice, "twice for one copy"),
    (THREE, gives_up_quietly, "is stored 0 times"),
    (THREE, returns_nothing, "return what api.put returned"),
    (THREE, returns_its_copy, "return what api.put returned"),
    (THREE, reads_it_again, "others may have written since"),
    (THREE, stores_no_change, "change could not do its work, and your function returned"),
    (THREE, retries_everything, "when do you stop?"),
    (THREE, nothing_is_no_error, "let the error through"),
    (THREE, writes_twice, "once is enough"),
]


test_right, test_not_yet = tables.tests(RIGHT, NOT_YET)


@pytest.mark.parametrize(
    "text", ["a: &a [*a]", "? [", "[" * 5000, "kind: Deployment\nspec: &s {template: *s}"]
)
def test_strange_yaml_is_refused_at_once(text: str) -> None:
    assert not judge_answer(ONE, text).right
