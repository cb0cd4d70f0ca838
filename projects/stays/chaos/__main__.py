"""Kill what is behind the requests, and count what is lost: `make chaos SEED=1 MINUTES=10`.

Guests book, pay and cancel meanwhile. Each part of the project is killed (SIGKILL) and started
again, alone and together with each other one, in an order that follows from the seed. How long each
stays away is counted in requests that were tried. Then nothing is killed any more. When every
promise is kept, or too much time has passed, all is counted.
"""

import argparse
import itertools
import json
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from chaos.count import count, still_open
from chaos.load import Load
from chaos.site import NEIGHBOURS, VICTIMS, Site, running, wait_for

GUESTS = 4
AWAY = 10.0
"""Seconds that something is away at most; an hour would be no other, for retries have no end."""
SETTLED = 120.0
"""Seconds that it may take until every promise is kept."""
Outage = tuple[str, ...]
CITY = """INSERT INTO listings_city (slug, name, country, timezone, latitude, longitude)
    VALUES ('lisbon', 'Lisbon', 'PT', 'Europe/Lisbon', 38.7, -9.1) RETURNING slug"""


def outages(choice: random.Random, *, short: bool) -> Iterator[Outage]:
    """What is killed together, without an end; in a short run each of the important parts once."""
    if short:
        alone = [(name,) for name in (*NEIGHBOURS, "worker")]
        pairs = list(itertools.combinations((*NEIGHBOURS, "worker"), 2))
        yield from choice.sample(alone, len(alone))
        yield from choice.sample(pairs, 2)
        return
    everything = [(name,) for name in VICTIMS] + list(itertools.combinations(VICTIMS, 2))
    while True:
        yield from choice.sample(everything, len(everything))


def strike(site: Site, load: Load, outage: Outage, choice: random.Random) -> None:
    """Kill some parts, one shortly after the other, and start them again."""
    one = choice.random() < 0.5  # of a worker's processes only one, as always of gunicorn's
    in_part = {"web", "worker"} if one else {"web"}
    empty = choice.random() < 0.3
    for number, name in enumerate(outage):
        site.kill(name, one=name in in_part, away=outage[:number])
        load.wait_for(choice.randrange(3), seconds=AWAY)
    load.wait_for(choice.randrange(3, 8), seconds=AWAY)
    for name in choice.sample(outage, len(outage)):
        if name == "valkey" and empty:
            site.empty_valkey()
        if name not in in_part:
            site.start(name)
        load.wait_for(choice.randrange(3), seconds=AWAY)
    load.wait_for(choice.randrange(8, 16), seconds=AWAY)


def chaos(seed: str, minutes: float, logs: Path | None = None) -> list[str]:
    """Run it; print what was done and counted.

    Args:
        seed: What everything follows from that the machine does not decide.
        minutes: For how long to kill; 0 for a short run.
        logs: A directory for what the processes wrote.

    Returns:
        What was promised and is not so.
    """
    choice = random.Random(seed)  # noqa: S311
    began = time.monotonic()
    window = {"PAYMENT_WINDOW_MINUTES": "1"} if minutes else {}
    with running(**window) as site:
        load = Load(site.web, seed)
        ((city,),) = site.query(CITY)
        load.prepare(GUESTS, city)
        load.start()
        done: Counter[Outage] = Counter()
        begun = time.monotonic()
        try:
            for outage in outages(choice, short=not minutes):
                if minutes and time.monotonic() > begun + minutes * 60:
                    break
                strike(site, load, outage, choice)
                done[outage] += 1
        finally:
            load.stop()
        ended = time.monotonic()
        unkept = settle(site)
        counted = count(site, load.told, unkept)
        lost = counted.lost + load.faults
        killed = Counter(name for name, *_ in site.kills)
        say(f"seed          {seed}")
        say(
            f"killed        {done.total()} times in {ended - begun:.0f} s, "
            f"{sum(number for outage, number in done.items() if len(outage) > 1)} of them two at "
            "once: " + ", ".join(f"{name} {killed[name]}" for name in VICTIMS if killed[name])
        )
        ends = Counter(site.ends).items()
        said = ", ".join(f"{name} {number}" for name, number in sorted(ends))
        say(f"ended         {said + ', started again' if said else 'nothing'} (by itself)")
        say(
            f"requests      {load.answers.total()}, {load.answers[503]} refused by 503, "
            f"{load.answers[0]} without an answer, {load.answers[500]} failed"
        )
        for line in counted.lines:
            say(line)
        say(f"settled       {time.monotonic() - ended:.1f} s after the last requests")
        say(f"took          {time.monotonic() - began:.0f} s, {site.used():.0f} s of processor")
        for what in lost:
            say(f"LOST          {what}")
        if logs:
            logs.mkdir(parents=True, exist_ok=True)
            for file in (*site.directory.glob("*.log"), site.ledger, site.mails):
                shutil.copy(file, logs)
            (logs / "kills").write_text("".join(f"{json.dumps(kill)}\n" for kill in site.kills))
        if not lost:
            say("lost          nothing")
    return lost


def settle(site: Site) -> dict[str, int]:
    """Wait until every promise is kept while all parts are running; return what is still open."""
    unkept: dict[str, int] = {}

    def all_is_kept() -> bool:
        nonlocal unkept
        site.revive(but=())
        unkept = still_open(site)
        return not unkept

    with suppress(TimeoutError):  # what is open is counted as lost
        wait_for(all_is_kept, "every promise kept", seconds=SETTLED)
    return unkept


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)  # noqa: T201


def main() -> int:
    """Read the command line, and run it."""
    parser = argparse.ArgumentParser(description="Kill what is behind the requests, and count.")
    parser.add_argument("--seed", default=str(time.time_ns() % 1_000_000))
    parser.add_argument("--minutes", type=float, default=0, help="0: each once, and two pairs")
    parser.add_argument("--logs", type=Path, help="a directory to leave the logs in")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C
    return 1 if chaos(arguments.seed, arguments.minutes, arguments.logs) else 0


if __name__ == "__main__":
    sys.exit(main())
