"""The model of Kubernetes: its store, its controllers in made-up time, real Pods and kubectl."""

import contextlib
import json
import signal
import subprocess
import sys
import textwrap
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from nexus import needs
from nexus.cluster import ApiError, Cluster, ConflictError, NotFoundError, Store
from nexus.cluster.api import fits, pod_state
from nexus.cluster.batch import TooManyRequestsError, evict, is_finished, latest, numbers
from nexus.cluster.controller import is_ending, is_ready
from nexus.cluster.ingress import locations
from nexus.cluster.node import Probe, slept
from nexus.cluster.ownership import Ownership
from nexus.cluster.patch import json_patch, merge
from nexus.cluster.rehearsal import Actor, Found, Image, Rehearsal
from nexus.cluster.scheduler import Scheduler, amount
from nexus.cluster.store import AlreadyExistsError
from nexus.load import Load
from nexus.services.process import wait_for

pytestmark = pytest.mark.long(40)

with_kubectl = pytest.mark.skipif(
    needs.missing("# needs: kubectl") is not None, reason="kubectl is in requirements-heavy.txt"
)

APP = """
import os
def application(environ, start_response):
    start_response("200 OK", [("X-Release", "{release}")])
    return [os.environ.get("GREETING", "hello").encode()]
"""
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 2
  selector: {matchLabels: {app: shop}}
  template:
    metadata: {labels: {app: shop}}
    spec:
      containers:
        - name: web
          image: shop:1
          readinessProbe: {httpGet: {path: /, port: 8000}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {selector: {app: shop}, ports: [{port: 80}]}
"""


def thing(name: str = "one", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


# The store.


def test_a_write_on_an_old_version_is_a_conflict() -> None:
    store = Store()
    mine = store.create("configmaps", thing(a="1"))
    store.replace("configmaps", mine | {"data": {"a": "2"}})
    with pytest.raises(ConflictError, match=r'on configmaps "one": the object has been modified;'):
        store.replace("configmaps", mine | {"data": {"a": "3"}})
    del mine["metadata"]["resourceVersion"]
    assert store.replace("configmaps", mine)["data"] == {"a": "1"}


def test_names_are_unique_and_what_is_not_there_is_not_found() -> None:
    store = Store()
    store.create("deployments", {"metadata": {"name": "shop"}, "spec": {}})
    with pytest.raises(AlreadyExistsError, match=r'deployments.apps "shop" already exists'):
        store.create("deployments", {"metadata": {"name": "shop"}})
    with pytest.raises(NotFoundError, match=r'pods "shop" not found'):
        store.get("pods", "shop")


def test_only_a_new_spec_is_a_new_generation_and_no_change_is_no_write() -> None:
    store = Store()
    one = store.create("deployments", {"metadata": {"name": "shop"}, "spec": {"replicas": 1}})
    same = store.replace("deployments", one)
    assert same["metadata"]["resourceVersion"] == one["metadata"]["resourceVersion"]
    status = store.replace("deployments", one | {"status": {"replicas": 1}})
    assert status["metadata"]["generation"] == 1
    assert store.replace("deployments", status | {"spec": {}})["metadata"]["generation"] == 2


def test_what_was_read_is_a_copy() -> None:
    store = Store()
    store.create("configmaps", thing(a="1"))["data"]["a"] = "2"
    store.all("configmaps")[0]["data"]["a"] = "3"
    assert store.get("configmaps", "one")["data"] == {"a": "1"}


def test_a_watch_sees_every_change_after_its_version_in_order() -> None:
    store = Store()
    store.create("configmaps", thing(a="1"))
    after = store.version
    store.replace("configmaps", thing(a="2"))
    store.delete("configmaps", "one")
    seen = [(change.kind, change.version) for change in store.watch(after, patience=0.05)]
    assert seen == [("MODIFIED", after + 1), ("DELETED", after + 2)]


# The patches of kubectl.


def test_a_strategic_merge_joins_containers_by_name() -> None:
    old = {"containers": [{"name": "web", "image": "a", "x": 1}, {"name": "log", "image": "b"}]}
    new = merge(old, {"containers": [{"name": "web", "image": "c", "x": None}]}, strategic=True)
    assert new["containers"] == [{"name": "web", "image": "c"}, {"name": "log", "image": "b"}]
    gone = merge(old, {"containers": [{"name": "log", "$patch": "delete"}]}, strategic=True)
    assert [one["name"] for one in gone["containers"]] == ["web"]
    plain = merge(old, {"containers": [{"name": "web"}]}, strategic=False)
    assert plain == {"containers": [{"name": "web"}]}
    assert len(old["containers"]) == 2


def test_a_json_patch_replaces_adds_and_removes() -> None:
    steps = [
        {"op": "replace", "path": "/a/b~1c", "value": 2},
        {"op": "add", "path": "/l/-", "value": 3},
        {"op": "remove", "path": "/x"},
    ]
    assert json_patch({"a": {"b/c": 1}, "l": [1], "x": 0}, steps) == {"a": {"b/c": 2}, "l": [1, 3]}


def test_a_json_patch_unescapes_names_and_stops_where_a_test_fails() -> None:
    old = {"a~1": 1, "a/": 2}
    remove = [{"op": "remove", "path": "/a~01"}]
    assert json_patch(old, [{"op": "test", "path": "/a~1", "value": 2}, *remove]) == {"a/": 2}
    with pytest.raises(ApiError, match="a failed test"):
        json_patch(old, [{"op": "test", "path": "/a~1", "value": 3}, *remove])
    with pytest.raises(ApiError, match="the path /b/c does not exist"):
        json_patch(old, [{"op": "replace", "path": "/b/c", "value": 1}])


def test_a_patch_can_replace_a_whole_and_name_the_keys_to_keep() -> None:
    old = {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}
    recreate = {"$retainKeys": ["type"], "type": "Recreate"}
    assert merge(old, {"strategy": recreate}, strategic=True) == {"strategy": {"type": "Recreate"}}
    whole = {"$patch": "replace", "type": "Recreate"}
    assert merge(old, {"strategy": whole}, strategic=True) == {"strategy": {"type": "Recreate"}}


# What kubectl asks for.


@pytest.mark.parametrize(
    ("query", "chosen"),
    [
        ({}, True),
        ({"labelSelector": "app=shop"}, True),
        ({"labelSelector": "app==shop,tier=web"}, True),
        ({"labelSelector": "app=shop,tier=db"}, False),
        ({"fieldSelector": "status.phase=Running"}, True),
        ({"fieldSelector": "status.phase=Pending"}, False),
        ({"fieldSelector": "metadata.name=one", "labelSelector": "app=inn"}, False),
    ],
)
def test_a_selector_chooses_by_equal_values(query: dict[str, str], chosen: bool) -> None:
    labels = {"app": "shop", "tier": "web"}
    pod = {"metadata": {"name": "one", "labels": labels}, "status": {"phase": "Running"}}
    assert fits(pod, query) is chosen


@pytest.mark.parametrize("selector", ["app", "app!=shop", "app in (shop,inn)", "!app"])
def test_a_selector_that_is_not_known_is_refused(selector: str) -> None:
    with pytest.raises(ApiError, match="selectors such as app=shop only, and not"):
        fits(thing(), {"labelSelector": selector})


# Who owns which field: server-side apply.


SCALER, GIT = '"kubectl" with subresource "scale" using apps/v1', '"kubectl"'


def owned_thing(replicas: int, **more: object) -> dict[str, Any]:
    container = {"name": "web", "image": "shop:1", **more}
    spec = {"replicas": replicas, "template": {"spec": {"containers": [container]}}}
    return {"metadata": {"name": "shop", "uid": "1"}, "spec": spec}


def test_a_field_of_another_owner_is_a_conflict_unless_it_is_the_same_or_forced() -> None:
    owners, old = Ownership(), owned_thing(2)
    owners.wrote(GIT, None, old)
    scaled = owned_thing(3)
    owners.wrote(SCALER, old, scaled)
    message = f"Apply failed with 1 conflict: conflict with {SCALER}: .spec.replicas"
    with pytest.raises(ConflictError) as refused:
        owners.apply(GIT, scaled, owned_thing(2), force=False)
    assert str(refused.value) == message
    same = owners.apply(GIT, scaled, owned_thing(3), force=False)
    assert owners.of(same)[".spec", ".replicas"] == {SCALER, GIT}
    forced = owners.apply(GIT, same, owned_thing(2), force=True)
    assert (forced["spec"]["replicas"], owners.of(forced)[".spec", ".replicas"]) == (2, {GIT})


def test_a_field_that_its_owner_does_not_name_any_more_goes_unless_another_owns_it() -> None:
    owners, old = Ownership(), owned_thing(2, env=[{"name": "A", "value": "1"}], tty=True)
    owners.wrote(GIT, None, old)
    scaled = owned_thing(3, env=[{"name": "A", "value": "1"}], tty=True)
    owners.wrote(SCALER, old, scaled)
    less = owned_thing(3)
    del less["spec"]["replicas"]
    new = owners.apply(GIT, scaled, less, force=False)
    assert new["spec"]["replicas"] == 3
    assert new["spec"]["template"]["spec"]["containers"] == [{"name": "web", "image": "shop:1"}]


def test_several_conflicts_are_listed_by_owner_and_path() -> None:
    owners, old = Ownership(), owned_thing(2)
    owners.wrote("b", None, old)
    new = owned_thing(2, image="shop:2")
    owners.wrote("a", old, new)
    with pytest.raises(ConflictError) as refused:
        owners.apply(GIT, new, owned_thing(5), force=False)
    path = '.spec.template.spec.containers[name="web"].image'
    assert str(refused.value) == (
        f"Apply failed with 2 conflicts: conflicts with a:\n- {path}\n"
        "conflicts with b:\n- .spec.replicas"
    )


# The scheduler, Secrets, limits and the Ingress.


def node(name: str, **spec: object) -> dict[str, Any]:
    room = {"allocatable": {"cpu": "2", "memory": "1Gi"}}
    return {"metadata": {"name": name}, "spec": spec, "status": room}


def pod(name: str, **requests: str) -> dict[str, Any]:
    container = {"name": "web", "image": "shop:1", "resources": {"requests": requests}}
    return {"metadata": {"name": name}, "spec": {"containers": [container]}}


def test_a_pod_waits_until_a_node_has_room_for_its_requests() -> None:
    store = Store()
    scheduler = Scheduler(store)
    store.create("nodes", node("a", unschedulable=True))
    store.create("nodes", node("b"))
    for name, requests in (("one", {"cpu": "1500m"}), ("two", {"cpu": "1"}), ("three", {})):
        store.create("pods", pod(name, **requests))
    for _ in range(3):
        scheduler.step()
    nodes = [one["spec"].get("nodeName") for one in store.all("pods")]
    assert nodes == ["b", None, "b"]
    (event,) = store.all("events")
    assert (event["reason"], event["message"], event["count"]) == (
        "FailedScheduling",
        "0/2 nodes are available: 1 Insufficient cpu, 1 node(s) were unschedulable.",
        1,
    )
    store.remove("pods", "one")
    scheduler.step()
    assert store.get("pods", "two")["spec"]["nodeName"] == "b"


@pytest.mark.parametrize(
    ("text", "number"), [("100m", 0.1), ("128Mi", 2**27), (2, 2.0), ("1Gi", 2**30), ("3k", 3000)]
)
def test_quantities_are_read(text: str | int, number: float) -> None:
    assert amount(text) == pytest.approx(number)


def test_a_secret_is_stored_in_base64_and_given_to_the_program_as_it_is(world: Rehearsal) -> None:
    new = {"metadata": {"name": "words"}, "stringData": {"KEY": "öpen"}}
    kept = world.store.create("secrets", new)
    assert kept["data"] == {"KEY": "w7ZwZW4="}
    assert "stringData" not in kept
    one = deployment(1)
    container = one["spec"]["template"]["spec"]["containers"][0]
    container["envFrom"] = [{"secretRef": {"name": "words"}}]
    world.store.create("deployments", one)
    after(world, 3)
    assert world.actors[0].env["KEY"] == "öpen"


def test_a_program_over_its_memory_limit_is_killed_and_the_reason_is_kept(
    world: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = deployment(1)
    container = new["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"memory": "1Mi"}}
    world.store.create("deployments", new)
    after(world, 5)
    (name,) = (one["metadata"]["name"] for one in world.pods())
    monkeypatch.setattr(Actor, "memory", lambda _: 2**20 + 1)
    after(world, 5)
    monkeypatch.undo()
    shown = [c.object for c in world.store.log if c.key == ("pods", name)]
    assert "OOMKilled" in [pod_state(one) for one in shown]
    after(world, 30)
    (status,) = world.store.get("pods", name)["status"]["containerStatuses"]
    assert status["lastState"]["terminated"] == {"exitCode": 137, "reason": "OOMKilled"}


def test_an_ingress_is_written_for_nginx_by_host_and_path() -> None:
    assert locations({"path": "/", "pathType": "Prefix"}) == ["/"]
    assert locations({"path": "/api", "pathType": "Prefix"}) == ["= /api", "/api/"]
    assert locations({"path": "/api/", "pathType": "Prefix"}) == ["= /api", "/api/"]
    assert locations({"path": "/api", "pathType": "Exact"}) == ["= /api"]


# Controllers and node, in made-up time.


def deployment(replicas: int = 4, image: str = "shop:1", **limits: object) -> dict[str, Any]:
    probe = {"httpGet": {"path": "/readyz"}, "periodSeconds": 1}
    container = {"name": "web", "image": image, "readinessProbe": probe}
    return {
        "metadata": {"name": "shop"},
        "spec": {
            "replicas": replicas,
            "strategy": {"rollingUpdate": limits},
            "selector": {"matchLabels": {"app": "shop"}},
            "template": {
                "metadata": {"labels": {"app": "shop"}},
                "spec": {"containers": [container]},
            },
        },
    }


@pytest.fixture
def world() -> Rehearsal:
    return Rehearsal({"shop:1": Image(2), "shop:2": Image(3), "shop:3": Image(2, works=False)})


def to(world: Rehearsal, image: str) -> None:
    def change(stored: dict[str, Any]) -> None:
        stored["spec"]["template"]["spec"]["containers"][0]["image"] = image

    world.store.change("deployments", "shop", change)


@pytest.mark.parametrize(
    ("surge", "missing", "most", "least"),
    [
        (1, 0, 5, 4),
        (0, 1, 4, 3),
        (2, 1, 6, 3),
        ("25%", "25%", 5, 3),
        ("50%", 0, 6, 4),
        (0, "10%", 4, 3),  # both would be none
    ],
)
def test_a_rolling_update_keeps_its_limits(
    world: Rehearsal, surge: object, missing: object, most: int, least: int
) -> None:
    new = deployment(maxSurge=surge, maxUnavailable=missing)
    world.store.create("deployments", new)
    for _ in range(20):
        world.tick()
    assert world.serving() == 4
    to(world, "shop:2")
    pods, serving = set(), set()
    for _ in range(80):
        world.tick()
        pods.add(sum("deletionTimestamp" not in pod["metadata"] for pod in world.pods()))
        serving.add(world.serving())
    assert (max(pods), min(serving)) == (most, least)
    images = {pod["spec"]["containers"][0]["image"] for pod in world.pods()}
    assert (images, len(world.pods())) == ({"shop:2"}, 4)


def test_a_bad_release_stops_and_its_deadline_is_noted(world: Rehearsal) -> None:
    new = deployment(maxSurge=1, maxUnavailable=0)
    new["spec"]["progressDeadlineSeconds"] = 30
    world.store.create("deployments", new)
    for _ in range(20):
        world.tick()
    to(world, "shop:3")
    for _ in range(60):
        world.tick()
    world.controllers.step(world.now)
    assert len(world.pods()) == 5
    assert world.serving() == 4
    reasons = [c["reason"] for c in world.store.get("deployments", "shop")["status"]["conditions"]]
    assert "ProgressDeadlineExceeded" in reasons


def test_the_template_of_before_finds_its_replicaset_again(world: Rehearsal) -> None:
    world.store.create("deployments", deployment())
    for image in ("shop:2", "shop:1"):
        for _ in range(60):
            world.tick()
        to(world, image)
    for _ in range(60):
        world.tick()
    sets = world.store.all("replicasets")
    revision = "deployment.kubernetes.io/revision"
    assert sorted(one["metadata"]["annotations"][revision] for one in sets) == ["2", "3"]
    assert sorted(one["spec"]["replicas"] for one in sets) == [0, 4]


KEY = {"valueFrom": {"configMapKeyRef": {"name": "words", "key": "greeting"}}}


@pytest.mark.parametrize(
    ("change", "state", "said"),
    [
        ({"image": "shop:9"}, "ErrImagePull", 'Failed to pull image "shop:9"'),
        (
            {"env": [{"name": "A", **KEY}]},
            "CreateContainerConfigError",
            "Error: couldn't find key greeting in ConfigMap default/words",
        ),
        (
            {"envFrom": [{"configMapRef": {"name": "inn"}}]},
            "CreateContainerConfigError",
            'Error: configmap "inn" not found',
        ),
    ],
)
def test_a_pod_that_cannot_start_says_why_and_starts_when_it_can(
    world: Rehearsal, change: dict[str, Any], state: str, said: str
) -> None:
    world.store.create("configmaps", thing("words"))
    new = deployment(1)
    new["spec"]["template"]["spec"]["containers"][0] |= change
    world.store.create("deployments", new)
    for _ in range(3):
        world.tick()
    (pod,) = world.pods()
    assert pod_state(pod) == state
    (event,) = [one for one in world.store.all("events") if one["reason"] == "Failed"]
    assert event["message"].startswith(said)
    world.images["shop:9"] = world.images["shop:1"]
    world.store.replace("configmaps", thing("words", greeting="hello"))
    world.store.create("configmaps", thing("inn"))
    after(world, 11)  # it waits ten seconds before it pulls again
    assert pod_state(world.pods()[0]) == "Running"


def test_of_too_many_pods_those_that_are_not_ready_go(world: Rehearsal) -> None:
    world.store.create("deployments", deployment(2))
    for _ in range(20):
        world.tick()
    for victim in (0, 1):
        world.actors[victim].hangs = True
        for _ in range(5):  # until it is not ready any more
            world.tick()
        ready = [pod["metadata"]["name"] for pod in world.pods() if is_ready(pod)]
        world.store.change("deployments", "shop", lambda o: o["spec"].update(replicas=1))
        world.tick()
        assert [p["metadata"]["name"] for p in world.pods() if not is_ending(p)] == ready
        world.store.change("deployments", "shop", lambda o: o["spec"].update(replicas=2))
        for _ in range(60):
            world.tick()


def test_recreate_waits_until_the_old_pods_are_gone(world: Rehearsal) -> None:
    new = deployment(2)
    new["spec"]["strategy"] = {"type": "Recreate"}
    world.store.create("deployments", new)
    for _ in range(20):
        world.tick()
    world.guests = True  # their requests keep the old Pods for a while
    to(world, "shop:2")
    images = []
    for _ in range(80):
        world.tick()
        images.append({pod["spec"]["containers"][0]["image"] for pod in world.pods()})
    assert {"shop:1", "shop:2"} not in images
    assert set() in images
    assert (images[-1], world.serving()) == ({"shop:2"}, 2)


def test_the_same_event_is_counted_and_a_pod_is_told_to_end_once(world: Rehearsal) -> None:
    world.store.create("deployments", deployment(1, "shop:3"))
    for _ in range(20):
        world.tick()
    events = [one for one in world.store.all("events") if one["reason"] == "Unhealthy"]
    counts = {one["message"].rpartition(": ")[2]: one["count"] for one in events}
    assert counts.keys() == {"connection refused", "503"}
    assert counts["503"] > 10
    (pod,) = world.pods()
    world.store.delete("pods", pod["metadata"]["name"])
    told = world.store.get("pods", pod["metadata"]["name"])["metadata"]
    world.now += 5
    again = world.store.delete("pods", pod["metadata"]["name"])["metadata"]
    assert again == told


def test_a_service_has_the_ready_pods_that_it_selects_and_none_that_ends(world: Rehearsal) -> None:
    world.store.create("deployments", deployment(2))
    for _ in range(20):
        world.tick()

    def endpoints(**selector: str) -> int:
        service = {"metadata": {"name": "shop"}, "spec": {"selector": selector}}
        return len(world.services.endpoints(service, world.pods()))

    assert (endpoints(app="shop"), endpoints(app="inn"), endpoints()) == (2, 0, 0)
    name = world.pods()[0]["metadata"]["name"]
    world.store.delete("pods", name)
    assert endpoints(app="shop") == 1
    assert pod_state(world.store.get("pods", name)) == "Terminating"


def test_a_pod_that_was_removed_leaves_no_program(world: Rehearsal) -> None:
    world.store.create("deployments", deployment(1))
    world.tick()
    (actor,), (pod,) = world.actors, world.pods()
    world.store.remove("pods", pod["metadata"]["name"])
    world.tick()
    assert actor.exit == -signal.SIGKILL


# Jobs, CronJobs and evictions.


def job(image: str, **spec: object) -> dict[str, Any]:
    container = {"name": "work", "image": image}
    pod = {"restartPolicy": "Never", "containers": [container]}
    return {"metadata": {"name": "work"}, "spec": {**spec, "template": {"spec": pod}}}


def after(world: Rehearsal, seconds: int) -> None:
    for _ in range(seconds):
        world.tick()


def test_a_job_runs_once_and_its_pod_is_never_started_again(world: Rehearsal) -> None:
    world.images["work:1"] = Image(3, ends=0)
    world.store.create("jobs", job("work:1"))
    after(world, 60)
    (pod,) = world.pods()
    assert (pod["status"]["phase"], pod_state(pod)) == ("Succeeded", "Completed")
    (condition,) = world.store.get("jobs", "work")["status"]["conditions"]
    assert (condition["type"], condition["reason"]) == ("Complete", "CompletionsReached")
    world.store.remove("jobs", "work")
    after(world, 3)
    assert world.pods() == []


@pytest.mark.parametrize(("limit", "pods", "least"), [(0, 1, 1), (2, 3, 30), (3, 4, 70)])
def test_a_job_waits_longer_after_each_failure_and_gives_up(
    world: Rehearsal, limit: int, pods: int, least: int
) -> None:
    world.images["work:1"] = Image(0, ends=1)
    world.store.create("jobs", job("work:1", backoffLimit=limit))
    while not is_finished(world.store.get("jobs", "work")):
        world.tick()
    assert (len(world.pods()), world.now >= least) == (pods, True)
    (condition,) = world.store.get("jobs", "work")["status"]["conditions"]
    assert condition["reason"] == "BackoffLimitExceeded"


def test_a_schedule_is_read() -> None:
    assert numbers("*/20", 59) == {0, 20, 40}
    assert numbers("1,5-7,10-20/5", 59) == {1, 5, 6, 7, 10, 15, 20}
    assert latest("0 3 * * *", 0, 3 * 3600 - 1) is None
    assert latest("0 3 * * *", 0, 5 * 3600) == 3 * 3600
    assert latest("0 3 * * *", 3 * 3600, 5 * 3600) is None
    assert latest("*/5 * * * *", 0, 3599) == 3300
    with pytest.raises(ApiError, match="minutes and hours"):
        latest("0 3 * * 1", 0, 1)


@pytest.mark.parametrize(
    ("spec", "began"),
    [
        ({}, [300, 600, 900, 1200]),
        ({"concurrencyPolicy": "Forbid"}, [300, 750, 1200]),
        ({"concurrencyPolicy": "Forbid", "startingDeadlineSeconds": 100}, [300, 900]),
        ({"concurrencyPolicy": "Replace"}, [300, 600, 900, 1200]),
        ({"suspend": True}, []),
    ],
)
def test_a_cronjob_keeps_its_policy(
    world: Rehearsal, spec: dict[str, Any], began: list[int]
) -> None:
    world.images["work:1"] = Image(420, ends=0)
    made = {"schedule": "*/5 * * * *", "jobTemplate": {"spec": job("work:1")["spec"]}}
    world.store.create("cronjobs", {"metadata": {"name": "report"}, "spec": made | spec})
    seen: list[int] = []
    known: set[str] = set()
    while world.now < 1200:
        world.tick(10)
        names = {one["metadata"]["name"] for one in world.store.all("jobs")}
        seen += [int(world.now)] * len(names - known)
        known |= names
    assert seen == began


def budget(**spec: object) -> dict[str, Any]:
    selector = {"selector": {"matchLabels": {"app": "shop"}}}
    return {"metadata": {"name": "shop"}, "spec": selector | spec}


@pytest.mark.parametrize(
    ("spec", "may_leave"),
    [
        ({"minAvailable": 3}, 1),
        ({"minAvailable": 4}, 0),
        ({"minAvailable": "50%"}, 2),
        ({"maxUnavailable": 1}, 1),
        ({"maxUnavailable": 0}, 0),
        ({"minAvailable": 4, "selector": {"matchLabels": {"app": "inn"}}}, 4),
    ],
)
def test_a_budget_lets_so_many_pods_leave(
    world: Rehearsal, spec: dict[str, Any], may_leave: int
) -> None:
    world.store.create("deployments", deployment(4))
    after(world, 20)
    world.store.create("poddisruptionbudgets", budget(**spec))
    left = 0
    for pod in world.pods():
        with contextlib.suppress(TooManyRequestsError):
            evict(world.store, pod["metadata"]["name"])
            left += 1
    assert left == may_leave


def test_a_refused_eviction_says_why(world: Rehearsal) -> None:
    world.store.create("deployments", deployment(1))
    after(world, 20)
    world.store.create("poddisruptionbudgets", budget(minAvailable=1))
    (pod,) = world.pods()
    with pytest.raises(TooManyRequestsError, match="violate the pod's disruption budget") as caught:
        evict(world.store, pod["metadata"]["name"])
    assert caught.value.status == 429


class Says:
    """A program that answers a probe with one status after the other."""

    port = 8000

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)

    def ask(self, _: str) -> Found:
        return Found(self.statuses.pop(0))


def test_a_probe_waits_for_its_time_and_counts_answers_in_a_row() -> None:
    spec = {"httpGet": {}, "failureThreshold": 2, "successThreshold": 3}
    probe = Probe(spec | {"initialDelaySeconds": 10, "periodSeconds": 5}, 0)
    program: Any = Says(200, 200, 302, 503, 200, 404, 500)
    seen = []
    for now in range(0, 41, 5):
        problem = probe.step(program, now)
        seen.append((now, bool(problem), probe.succeeded, probe.failed))
    assert seen == [
        (0, False, False, False),
        (5, False, False, False),
        (10, False, False, False),
        (15, False, False, False),
        (20, False, True, False),
        (25, True, False, False),
        (30, False, False, False),
        (35, True, False, False),
        (40, True, False, True),
    ]


@pytest.mark.parametrize(
    ("hook", "seconds"),
    [
        ({"sleep": {"seconds": 5}}, 5),
        ({"exec": {"command": ["sleep", "5"]}}, 5),
        ({"exec": {"command": ["/bin/sleep", "5"]}}, 5),
        ({"exec": {"command": ["sh", "-c", "sleep 5"]}}, 5),
        ({"exec": {"command": ["sleep 5"]}}, 0),
        ({"exec": {"command": ["sh", "sleep 5"]}}, 0),
        ({"exec": {"command": ["nginx", "-s", "quit"]}}, 0),
        ({}, 0),
    ],
)
def test_how_long_a_hook_sleeps(hook: dict[str, Any], seconds: float) -> None:
    assert slept({"lifecycle": {"preStop": hook}}) == seconds


def test_a_crash_waits_ten_twenty_forty_seconds_and_the_first_one_does_not(
    world: Rehearsal,
) -> None:
    world.store.create("deployments", deployment(1))
    waits = []
    world.tick()
    for _ in range(5):
        world.actors[0].exit = 1
        gone = world.now
        world.tick()
        while not world.actors:
            world.tick()
        waits.append(round(world.now - gone))
    first, *later = waits
    assert first <= 2
    assert [round(wait, -1) for wait in later] == [10, 20, 40, 80]


def test_what_a_deployment_made_goes_with_it(world: Rehearsal) -> None:
    world.store.create("deployments", deployment())
    for _ in range(10):
        world.tick()
    world.store.delete("deployments", "shop")
    for _ in range(40):
        world.tick()
    assert world.pods() == []
    assert world.store.all("replicasets") == []


# Real processes.


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with Cluster() as running:
        for release in ("1", "2"):
            running.build(f"shop:{release}", APP.replace("{release}", release))
        yield running


def settled(cluster: Cluster) -> None:
    cluster.until(lambda: cluster.settled("shop"), "the shop")


def test_pods_are_processes_behind_an_nginx(cluster: Cluster) -> None:
    cluster.apply(MANIFEST)
    settled(cluster)
    url = cluster.address("shop")
    assert httpx.get(url).text == "hello"
    name = cluster.names()[0]
    pid = cluster.process(name).pid
    assert "gunicorn" in " ".join(psutil.Process(pid).cmdline())
    psutil.Process(pid).send_signal(signal.SIGKILL)
    cluster.until(lambda: cluster.restarts(name) == 1, "a restart")
    settled(cluster)
    assert cluster.process(name).pid != pid


@with_kubectl
def test_the_real_kubectl_declares_reads_rolls_and_rolls_back(cluster: Cluster) -> None:
    def kubectl(command: str, manifest: str | None = None, status: int = 0) -> str:
        found, said = cluster.kubectl(command, manifest)
        assert found == status, said
        return said

    if cluster.store.find("deployments", "shop"):
        kubectl("delete deployment shop")
        cluster.until(lambda: not cluster.store.all("pods"), "the Pods to go")
    assert "deployment.apps/shop created" in kubectl("apply -f -", MANIFEST)
    settled(cluster)
    assert "deployment.apps/shop unchanged" in kubectl("apply -f -", MANIFEST)
    head, *rows = kubectl("get pods").splitlines()
    assert head.split() == ["NAME", "READY", "STATUS", "RESTARTS"]
    assert [row.split()[1:3] for row in rows] == [["1/1", "Running"]] * 2
    version = cluster.store.get("deployments", "shop")["metadata"]["generation"]
    assert "+      - image: shop:2" in kubectl(
        "diff -f -", MANIFEST.replace("shop:1", "shop:2"), status=1
    )
    assert cluster.store.get("deployments", "shop")["metadata"]["generation"] == version
    kubectl("set image deployment/shop web=shop:2")
    assert "successfully rolled out" in kubectl("rollout status deployment/shop")
    assert "2         <none>" in kubectl("rollout history deployment/shop")
    kubectl("rollout undo deployment/shop")
    kubectl("rollout status deployment/shop")
    settled(cluster)
    assert httpx.get(cluster.address("shop")).headers["X-Release"] == "1"
    mine = kubectl("get deployment shop -o json")
    kubectl("scale deployment/shop --replicas=1")
    said = kubectl("replace -f -", mine, status=1)
    assert "Error from server (Conflict)" in said
    assert "the object has been modified; please apply your changes to the latest version" in said
    settled(cluster)
    assert "ScalingReplicaSet" in kubectl("describe deployment shop")
    assert 'deployments.apps "inn" not found' in kubectl("get deployment inn", status=1)


@with_kubectl
def test_the_real_kubectl_applies_on_the_server_and_evicts(cluster: Cluster) -> None:
    cluster.kubectl("delete deployment shop")
    cluster.until(lambda: not cluster.store.all("pods"), "the Pods to go")
    apply = "apply --server-side -f -"
    assert cluster.kubectl(apply, MANIFEST)[0] == 0
    settled(cluster)
    cluster.kubectl("set image deployment/shop web=shop:2")
    status, said = cluster.kubectl(apply, MANIFEST)
    assert status == 1
    path = '.spec.template.spec.containers[name="web"].image'
    assert f'1 conflict: conflict with "kubectl-set" using apps/v1: {path}' in said
    assert cluster.kubectl(f"{apply} --force-conflicts", MANIFEST)[0] == 0
    settled(cluster)
    name = cluster.names()[0]
    evict = f"create --raw /api/v1/namespaces/default/pods/{name}/eviction -f -"
    eviction = json.dumps({"apiVersion": "policy/v1", "kind": "Eviction"})
    status, said = cluster.kubectl(evict, eviction)
    assert status == 0, said
    cluster.until(lambda: name not in cluster.names(), "the Pod to go")
    settled(cluster)


def test_a_body_in_chunks_is_read_to_its_end(cluster: Cluster) -> None:
    text = json.dumps({"metadata": {"name": "chunked"}, "data": {"a": "1"}})
    with httpx.Client(base_url=cluster.url) as client:
        made = client.post("/api/v1/namespaces/default/configmaps", content=iter([text.encode()]))
        assert made.status_code == 201
        deleted = client.delete("/api/v1/namespaces/default/configmaps/chunked")
        assert deleted.json()["data"] == {"a": "1"}


def test_guests_note_who_answered(cluster: Cluster) -> None:
    cluster.apply(MANIFEST)
    settled(cluster)
    with Load(cluster.address("shop")) as load:
        load.until("1", times=5)
    assert (load.failed, load.answered) == (0, "1 200")


def test_a_service_without_pods_answers_503(cluster: Cluster) -> None:
    service = {"metadata": {"name": "empty"}, "spec": {"selector": {"app": "nobody"}}}
    cluster.store.create("services", service)
    assert httpx.get(cluster.address("empty")).status_code == 503


def test_settings_come_from_a_configmap_and_a_missing_one_is_named(cluster: Cluster) -> None:
    container = {"name": "web", "image": "shop:1", "envFrom": [{"configMapRef": {"name": "words"}}]}
    pod = {"metadata": {"name": "alone"}, "spec": {"containers": [container]}}
    cluster.store.create("pods", pod)
    events = lambda: [event["message"] for event in cluster.store.all("events")]  # noqa: E731
    cluster.until(lambda: 'Error: configmap "words" not found' in events(), "the event")
    cluster.store.create("configmaps", thing("words", GREETING="welcome"))
    cluster.until(lambda: cluster.node.program(cluster.store.get("pods", "alone")), "the process")

    def greeting() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{cluster.process('alone').port}").text
        except httpx.TransportError:
            return ""

    cluster.until(lambda: greeting() == "welcome", "the greeting")
    cluster.store.delete("pods", "alone", 0)


def test_errors_have_the_form_of_kubernetes(cluster: Cluster) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{cluster.url}/api/v1/namespaces/default/pods/nobody")
    said = json.load(caught.value)
    assert (said["kind"], said["reason"], said["code"]) == ("Status", "NotFound", 404)


def test_nothing_is_left_when_the_kernel_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "kernel.py"
    script.write_text(
        textwrap.dedent(f"""
            import time
            from nexus.cluster import Cluster
            cluster = Cluster()
            cluster.build("shop:1", {APP!r})
            cluster.apply({MANIFEST!r})
            cluster.until(lambda: cluster.settled("shop"), "the shop")
            pods = [cluster.process(name).pid for name in cluster.names()]
            print(cluster.directory, cluster.proxies["shop"].pid, *pods, flush=True)
            time.sleep(600)
        """)
    )
    kernel = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    assert kernel.stdout is not None
    directory, *pids = kernel.stdout.readline().split()
    assert len(pids) == 3
    kernel.send_signal(signal.SIGKILL)
    kernel.wait()
    kernel.stdout.close()
    wait_for(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids), 30, "the processes")
    wait_for(lambda: not Path(directory).exists(), 30, "the directory to be gone")


def test_a_closed_cluster_leaves_no_process() -> None:
    with Cluster() as short:
        short.build("shop:1", APP)
        short.apply(MANIFEST)
        settled(short)
        pids = [short.process(name).pid for name in short.names()]
    deadline = time.monotonic() + 20
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(psutil.pid_exists, pids))


@with_kubectl
def test_a_cluster_that_has_stopped_says_why_and_kubectl_does_not_wait_for_it() -> None:
    probe = "readinessProbe: {httpGet: {path: /, port: 8000}"
    with Cluster() as stopped:
        stopped.build("shop:1", APP)
        stopped.apply(MANIFEST.replace(probe, "readinessProbe: {exec: {}"))
        why = r"the cluster has stopped \(InvalidError: this model knows only probes with httpGet\)"
        with pytest.raises(RuntimeError, match=why):
            stopped.kubectl("rollout status deployment/shop")
        with pytest.raises(RuntimeError, match=why):
            settled(stopped)
