"""Measure the project: `make bench`, or `python -m bench --bookings 20000` for a first look.

It starts servers of its own, seeds them, serves the project by gunicorn as gunicorn.conf.py says,
and drives it by a program of its own. Every figure is also given as a ratio to a bare answer of the
same gunicorn: rounds go through all targets in turn, so that what slows the machine for a while
slows all of them. Writes results.json, results.md and plans.txt beside this file.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil

from bench.load import Load
from local.environment import variables
from local.kept import ROOT, Ending
from local.run import Processes, listener, wait_until_ready
from local.servers import servers

HERE = Path(__file__).resolve().parent
WORKERS = 2
CONNECTIONS = 8
AIM = 0.6  # of a bare answer's requests per second, for a cached property
# Durable, as in production; and a cache of the size that the data needs.
POSTGRESQL = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "random_page_cost": "1.1",
    "effective_cache_size": "2GB",
}


@dataclass(frozen=True)
class Target:
    """What is measured. Each request is a path and an If-None-Match."""

    name: str
    requests: list[tuple[str, str]]
    status: int = 200


@dataclass(frozen=True)
class Figure:
    """What was measured of a target. Times are milliseconds."""

    target: str
    per_second: float
    ratio: float
    p50: float
    p95: float
    queries: int
    requests: int


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


# -- The processes
def command(environment: Mapping[str, str], *arguments: str) -> None:
    """Run manage.py."""
    subprocess.run([sys.executable, "manage.py", *arguments], cwd=ROOT, env=environment, check=True)


@contextmanager
def running(environment: Mapping[str, str], *arguments: str, fd: int = -1) -> Iterator[int]:
    """Run a module of Python; yield its process id, and end it with the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "local.tied", *arguments],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,  # the project logs a line for each request
        stderr=subprocess.DEVNULL,
        pass_fds=(fd,) if fd >= 0 else (),
    )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def wait_for_children(pid: int, number: int, seconds: float = 60) -> None:
    """Wait until a process has so many others below it.

    Raises:
        TimeoutError: if it takes too long.
    """
    deadline = time.monotonic() + seconds
    while len(psutil.Process(pid).children()) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"Not {number} processes after {seconds:g} s.")
        time.sleep(0.1)


def memory(pids: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return the memory of processes and of those below them, in kB, by their name and part.

    USS is what a process has for itself alone. PSS (on Linux only) adds its share of what it has
    together with others.
    """
    taken = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        for at, one in enumerate([process, *process.children(recursive=True)]):
            full = one.memory_full_info()
            taken[f"{name} {'main' if at == 0 else f'child {at}'}"] = {
                "uss_kb": full.uss // 1024,
                "pss_kb": getattr(full, "pss", 0) // 1024,
            }
    return taken


# -- What is asked for
def targets(today: datetime) -> list[Target]:
    """Return what is measured. Django is set up, and the data is there."""
    from django.test import Client

    from stays.listings.models import Property

    places = Property.objects.filter(is_listed=True).order_by("slug")
    slugs = list(places.values_list("slug", flat=True)[:: max(places.count() // 40, 1)][:40])
    details = [f"properties/{slug}" for slug in slugs]
    searches = ["properties?" + urlencode(query) for query in queries(today)]
    client = Client()
    known = [(f"/api/v1/{path}", client.get(f"/api/v1/{path}").headers["ETag"]) for path in details]
    return [
        Target("bare answer", [("/bench/bare", "")]),
        Target("property, cached", [(f"/api/v1/{path}", "") for path in details]),
        Target("property, cached, 304", known, 304),
        Target("property, not cached", [(f"/bench/{path}", "") for path in details]),
        Target("search, cached", [(f"/api/v1/{path}", "") for path in searches]),
        Target("search, not cached", [(f"/bench/{path}", "") for path in searches]),
    ]


def queries(today: datetime) -> Iterator[dict[str, str]]:
    """Yield searches for free dates, in cities of all sizes and at all times of the year."""
    from stays.listings.models import City

    slugs = City.objects.order_by("slug").values_list("slug", flat=True)
    for at, slug in enumerate(slugs[::3]):
        arrival = today.date() + timedelta(days=7 + 9 * at)
        yield {
            "city": slug,
            "check_in": arrival.isoformat(),
            "check_out": (arrival + timedelta(days=2 + at % 6)).isoformat(),
            "guests": str(1 + at % 4),
        }


def check_searches(today: datetime) -> tuple[int, str]:
    """Return how many queries a search costs, and the plans; see bench.queries."""
    from bench.queries import check_constant, explained

    first, second, *_ = queries(today)
    dates = {name: first[name] for name in ("check_in", "check_out")}
    asked = [
        *(first, second, dates, first | {"limit": "1"}, first | {"limit": "100"}),
        first | {"sort": "-rating"},
        dates | {"sort": "price", "currency": "EUR", "amenities": "wifi,kitchen"},
    ]
    paths = ["/bench/properties?" + urlencode(query) for query in asked]
    number = check_constant(paths)
    text = ""
    for path in paths:
        for sql, plan in explained(path).items():
            text += f"{path}\n\n{sql}\n\n{plan}\n\n{'-' * 80}\n"
    return number, text


# -- Measuring
def measure(port: int, wanted: list[Target], rounds: int, seconds: float) -> dict[str, list[Any]]:
    """Return what each round measured of each target."""
    measured: dict[str, list[Any]] = {target.name: [] for target in wanted}
    for number in range(rounds):
        # Every other round goes backwards: nobody always comes after the same neighbour.
        for target in wanted if number % 2 == 0 else reversed(wanted):
            load = Load(port, target.requests, target.status, CONNECTIONS, 0.5, seconds)
            done = subprocess.run(
                [sys.executable, "-m", "bench.load"],
                input=json.dumps(asdict(load)),
                stdout=subprocess.PIPE,
                text=True,
                cwd=ROOT,
                check=True,
            )
            measured[target.name].append(json.loads(done.stdout))
        say(f"  round {number + 1} of {rounds}")
    return measured


def figures(wanted: list[Target], measured: dict[str, list[Any]]) -> list[Figure]:
    """Return the figures of all targets: medians of the rounds, times of all requests."""
    from bench.queries import counted

    bare = [one["per_second"] for one in measured[wanted[0].name]]
    found = []
    for target in wanted:
        per_second = [one["per_second"] for one in measured[target.name]]
        times = sorted(time for one in measured[target.name] for time in one["milliseconds"])
        path, none_match = target.requests[0]
        headers = {"if-none-match": none_match} if none_match else {}
        counted(path, **headers)  # what was cached may have become old by now
        found.append(
            Figure(
                target=target.name,
                per_second=round(statistics.median(per_second), 1),
                ratio=round(
                    statistics.median(a / b for a, b in zip(per_second, bare, strict=True)), 2
                ),
                p50=round(times[len(times) // 2], 2),
                p95=round(times[len(times) * 95 // 100], 2),
                queries=len(counted(path, **headers)),
                requests=len(times),
            )
        )
    return found


def bench(bookings: int, rounds: int, seconds: float) -> tuple[str, dict[str, Any]]:
    """Start everything, measure, and return the plans of searches, and the results."""
    began = time.monotonic()
    now = datetime.now(UTC)
    with servers("postgres", "valkey") as urls, listener("", preferred=0) as web:
        environment = dict(os.environ) | variables(
            database=urls["postgres"], valkey=urls["valkey"], provider="http://127.0.0.1:9"
        )
        environment |= {
            "DJANGO_SETTINGS_MODULE": "bench.settings",
            "THROTTLE_ANON": "",  # or a limit of 300 a minute would be measured
            "PYTHONWARNINGS": "ignore",
        }
        command(environment, "migrate", "--verbosity=0")
        say(f"Seeding {bookings:,} bookings.")
        seeding = time.monotonic()
        command(environment, "seed", f"--bookings={bookings}")
        seeding = time.monotonic() - seeding
        os.environ.update(environment | {"LOG_LEVEL": "WARNING"})
        prepare()
        queries_of_search, plans = check_searches(now)
        wanted = targets(now)
        port = web.getsockname()[1]
        gunicorn = (
            "gunicorn",
            f"--workers={WORKERS}",
            f"--bind=fd://{web.fileno()}",
            "--max-requests=0",  # a worker that is replaced in the middle is not what is measured
            "stays.wsgi",
        )
        worker = ("celery", "--app=stays", "worker", "--concurrency=2")
        beat = ("celery", "--app=stays", "beat", "--scheduler=celery.beat.Scheduler")
        metrics = {"PROMETHEUS_MULTIPROC_DIR": f"{urls['directory']}/metrics"}
        with running(environment | metrics, *gunicorn, fd=web.fileno()) as pid:
            wait_until_ready(f"http://127.0.0.1:{port}", Processes(Ending()))
            say("Measuring.")
            measured = measure(port, wanted, rounds, seconds)
            with (
                running(environment, *worker) as worker_pid,
                running(environment, *beat) as beat_pid,
            ):
                wait_for_children(worker_pid, 2)
                time.sleep(5)  # until they have done a first task
                pids = {"gunicorn": pid, "celery worker": worker_pid, "celery beat": beat_pid}
                taken = memory(pids)
        found = figures(wanted, measured)
    return plans, {
        "date": now.date().isoformat(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("django", "gunicorn", "psycopg")},
        "bookings": bookings,
        "seed_seconds": round(seeding, 1),
        "workers": WORKERS,
        "connections": CONNECTIONS,
        "rounds": rounds,
        "seconds_a_round": seconds,
        "postgresql": POSTGRESQL,
        "figures": [asdict(figure) for figure in found],
        "queries_of_a_search": queries_of_search,
        "memory": taken,
        "all_seconds": round(time.monotonic() - began, 1),
    }


def prepare() -> None:
    """Set Django up in this process, and PostgreSQL as a server that has run for a while."""
    import django
    from django.db import connection

    django.setup()
    with connection.cursor() as cursor:
        for name, value in POSTGRESQL.items():
            cursor.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM (ANALYZE)")  # as autovacuum has done by then
        cursor.execute("CHECKPOINT")
    connection.close()  # the next connection has the new settings


def table(results: dict[str, Any]) -> str:
    """Return the results as Markdown."""
    lines = [
        f"{results['bookings']:,} bookings; {results['workers']} gunicorn workers, "
        f"{results['connections']} connections, {results['rounds']} rounds of "
        f"{results['seconds_a_round']:g} s each; {results['cores']} cores for all, the load "
        f"generator and PostgreSQL among them; Python {results['python']}.",
        "",
        "| Answer | requests/s | of bare | p50, ms | p95, ms | SQL queries |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    lines += [
        f"| {one['target']} | {one['per_second']:,.0f} | {one['ratio']:.2f} | {one['p50']:.1f} "
        f"| {one['p95']:.1f} | {one['queries']} |"
        for one in results["figures"]
    ]
    lines += ["", "| Process | USS, MB | PSS, MB |", "| --- | ---: | ---: |"]
    lines += [
        f"| {name} | {one['uss_kb'] / 1024:.0f} | {one['pss_kb'] / 1024:.0f} |"
        for name, one in results["memory"].items()
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write the results, and tell whether the aim is met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure the project.")
    parser.add_argument("--bookings", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5, help="of each target in a round")
    parser.add_argument("--dry-run", action="store_true", help="write no file")
    options = parser.parse_args()
    plans, results = bench(options.bookings, options.rounds, options.seconds)
    text = table(results)
    if not options.dry_run:
        (HERE / "results.json").write_text(json.dumps(results, indent=2) + "\n")
        (HERE / "results.md").write_text(text)
        (HERE / "plans.txt").write_text(plans)
    say(text)
    cached = next(one for one in results["figures"] if one["target"] == "property, cached")
    met = cached["ratio"] >= AIM
    say(
        f"A cached property: {cached['ratio']} of a bare answer; the aim of {AIM} is "
        f"{'met' if met else 'missed'}. All took {results['all_seconds']:.0f} s."
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
