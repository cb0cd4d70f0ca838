"""Jobs, CronJobs and evictions: work that ends, work by the clock, and Pods that leave their node.

The controllers look at the whole store at each step, as those of Deployments do. A schedule may
name minutes and hours only.
"""

import calendar
import time

from nexus.cluster.controller import (
    is_ending,
    is_ready,
    owned,
    owners,
    reference,
    share,
    short_hash,
)
from nexus.cluster.service import selected
from nexus.cluster.store import ApiError, InvalidError, Object, Store, copy_of

FIRST_WAIT, LONGEST_WAIT = 10, 360
"""Seconds that a Job waits after its first failed Pod, and at most: twice as long each time."""

FIELDS = 5
"""Minute, hour, day of the month, month, day of the week."""


class TooManyRequestsError(ApiError):
    """Not now: it may be tried again."""

    status, reason = 429, "TooManyRequests"


def numbers(field: str, most: int) -> set[int]:
    """The numbers of a field of a schedule, such as `*/5` or `1,2-4`."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, most) if span == "*" else (int(first), int(last or first))
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def latest(schedule: str, after: float, now: float) -> float | None:
    """The latest time of a schedule that is later than one time, and not later than now.

    Raises:
        InvalidError: if it names days or months, which this model does not know.
    """
    fields = schedule.split()
    if len(fields) != FIELDS or fields[2:] != ["*"] * 3:
        raise InvalidError(f"this model knows schedules of minutes and hours, and not {schedule}")
    minutes, hours = numbers(fields[0], 59), numbers(fields[1], 23)
    minute = now // 60
    while minute * 60 > after:
        if minute % 60 in minutes and minute // 60 % 24 in hours:
            return minute * 60
        minute -= 1
    return None


def is_finished(job: Object) -> bool:
    """Whether a Job is complete, or has failed for good."""
    return any(c["status"] == "True" for c in job.get("status", {}).get("conditions", []))


class Batch:
    """What makes Pods of Jobs, and Jobs of CronJobs."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.not_before: dict[str, tuple[int, float]] = {}  # of a Job: its failures, and a time

    def step(self, now: float) -> None:
        """Looks at every Job and every CronJob once."""
        for job in self.store.all("jobs"):
            if not is_finished(job):
                self.run(job, now)
        for cron in self.store.all("cronjobs"):
            if not cron["spec"].get("suspend"):
                self.schedule(cron, now)

    def run(self, job: Object, now: float) -> None:
        """Makes a Pod if none runs, or notes how the Job has ended."""
        pods = owned(self.store.all("pods"), job)
        phases = [pod.get("status", {}).get("phase") for pod in pods]
        failures, name = phases.count("Failed"), job["metadata"]["name"]
        if "Succeeded" in phases:
            self.finish(job, "Complete", "CompletionsReached", "Job completed")
        elif failures > job["spec"].get("backoffLimit", 6):
            said = "Job has reached the specified backoff limit"
            self.finish(job, "Failed", "BackoffLimitExceeded", said)
        elif failures == len(phases):  # none runs
            seen, at = self.not_before.get(job["metadata"]["uid"], (0, now))
            if failures > seen:
                at = now + min(LONGEST_WAIT, FIRST_WAIT * 2 ** (failures - 1))
                self.not_before[job["metadata"]["uid"]] = (failures, at)
            if now >= at:
                pod = copy_of(job["spec"]["template"])
                pod.setdefault("metadata", {})["name"] = f"{name}-{short_hash([name, failures], 5)}"
                pod["metadata"]["ownerReferences"] = [reference(job)]
                pod["status"] = {"phase": "Pending"}
                self.store.create("pods", pod)

    def finish(self, job: Object, kind: str, reason: str, said: str) -> None:
        """Notes that a Job is over."""
        condition = {"type": kind, "status": "True", "reason": reason, "message": said}
        status = {"conditions": [condition], "completionTime": self.store.now()}
        self.store.change("jobs", job["metadata"]["name"], lambda o: o.update(status=status))
        event = "Completed" if kind == "Complete" else reason
        self.store.event(job, event, said, warns=kind == "Failed")

    def schedule(self, cron: Object, now: float) -> None:
        """Makes the Job of the latest time that has come, if the policy and the deadline let it."""
        spec, name = cron["spec"], cron["metadata"]["name"]
        noted = cron.get("status", {}).get("lastScheduleTime")
        last = noted or cron["metadata"]["creationTimestamp"]
        after = float(calendar.timegm(time.strptime(last, "%Y-%m-%dT%H:%M:%SZ")))
        if "startingDeadlineSeconds" in spec:
            after = max(after, now - spec["startingDeadlineSeconds"])
        due = latest(spec["schedule"], after, now)
        if due is None:
            return
        active = [job for job in owned(self.store.all("jobs"), cron) if not is_finished(job)]
        policy = spec.get("concurrencyPolicy", "Allow")
        if active and policy == "Forbid":
            said = "Not starting job because prior execution is running and concurrency policy is"
            self.store.event(cron, "JobAlreadyActive", f"{said} Forbid")
            return  # the time is still due when the earlier Job is over
        if policy == "Replace":
            for job in active:
                self.store.remove("jobs", job["metadata"]["name"])
                self.store.event(cron, "SuccessfulDelete", f"Deleted job {job['metadata']['name']}")
        job = copy_of(spec["jobTemplate"])
        job.setdefault("metadata", {}).update(
            name=f"{name}-{int(due // 60)}", ownerReferences=[reference(cron)]
        )
        made = self.store.create("jobs", job)
        self.store.event(cron, "SuccessfulCreate", f"Created job {made['metadata']['name']}")
        text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(due))
        self.store.change("cronjobs", name, lambda o: o.update(status={"lastScheduleTime": text}))


def declared(store: Store, pods: list[Object]) -> int:
    """How many Pods there should be, by the ReplicaSets of some Pods."""
    names = {owner["name"] for pod in pods for owner in owners(pod)}
    sets = [one for one in store.all("replicasets") if one["metadata"]["name"] in names]
    return sum(one["spec"]["replicas"] for one in sets) if sets else len(pods)


def evict(store: Store, name: str) -> None:
    """Deletes a Pod, unless a PodDisruptionBudget forbids it now: what `kubectl drain` asks for.

    Raises:
        TooManyRequestsError: if too few Pods would be left.
        NotFoundError: if there is no such Pod.
    """
    with store.alone():
        pod = store.get("pods", name)
        for budget in store.all("poddisruptionbudgets"):
            labels = budget["spec"]["selector"]["matchLabels"]
            if not selected(pod["metadata"].get("labels", {}), labels):
                continue
            there = [p for p in store.all("pods") if not is_ending(p)]
            mine = [p for p in there if selected(p["metadata"].get("labels", {}), labels)]
            healthy = sum(map(is_ready, mine))
            expected = declared(store, mine)
            if "minAvailable" in budget["spec"]:
                wanted = share(budget["spec"]["minAvailable"], expected, up=True)
            else:
                wanted = expected - share(budget["spec"]["maxUnavailable"], expected, up=True)
            if healthy - is_ready(pod) < wanted:
                raise TooManyRequestsError(
                    "Cannot evict pod as it would violate the pod's disruption budget."
                )
        store.delete("pods", name)
