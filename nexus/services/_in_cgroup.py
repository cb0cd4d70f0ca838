"""The helper of `cgroup.py`: makes a control group, runs a program in it, and removes the group.

It is a process of its own, and imports nothing but the standard library, so that it starts at once
and cleans up if its caller is killed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PERIOD = 100_000
"""Microseconds for which a quota of CPU holds: the kernel's default, and that of Kubernetes."""

PATIENCE = 45
"""Seconds after which the program is killed: fewer than the caller waits."""

KILLS = ("memory.events", "memory.oom_control")  # of version 2, and of version 1


def is_new() -> bool:
    """Whether the machine has control groups of version 2."""
    return (ROOT / "cgroup.controllers").exists()


def settings(memory: int | None, cpu: float | None) -> dict[str, dict[str, str]]:
    """The files to write, by the controller that they belong to."""
    if is_new():
        in_memory = {"memory.max": str(memory), "memory.swap.max": "0"}
        in_cpu = {"cpu.max": f"{int((cpu or 0) * PERIOD)} {PERIOD}"}
    else:
        in_memory = {
            "memory.limit_in_bytes": str(memory),
            "memory.memsw.limit_in_bytes": str(memory),
        }
        in_cpu = {
            "cpu.cfs_period_us": str(PERIOD),
            "cpu.cfs_quota_us": str(int((cpu or 0) * PERIOD)),
        }
    return {"memory": in_memory if memory else {}, "cpu": in_cpu if cpu else {}}


def counted(group: Path, file: str, name: str) -> int:
    """A number that the kernel keeps of a group."""
    path = group / file
    lines = path.read_text().splitlines() if path.exists() else []
    return sum(int(line.split()[1]) for line in lines if line.split()[0] == name)


def run(command: Sequence[str], memory: int | None, cpu: float | None) -> list[int]:
    """Makes the group, runs the program in it, and removes the group.

    Returns:
        How the program ended, and what the kernel counted: kills, and periods that were cut short.

    Raises:
        OSError: if the group cannot be made.
    """
    name = f"nexus-{os.getpid()}"
    wanted = {which: files for which, files in settings(memory, cpu).items() if files}
    places = [ROOT] if is_new() else [ROOT / which for which in wanted]
    groups = [place / name for place in places]
    if is_new():
        (ROOT / "cgroup.subtree_control").write_text("+memory +cpu")
    try:
        for group in groups:
            group.mkdir()
        for which, files in wanted.items():
            group = groups[0] if is_new() else ROOT / which / name
            for file, text in files.items():
                if "sw" not in file or (group / file).exists():  # without swap there is none
                    (group / file).write_text(text)
        enter = "".join(f"echo $$ > '{group}/cgroup.procs' && " for group in groups)
        words = ["/bin/sh", "-c", f'{enter}exec "$@"', "sh", *command]
        status = subprocess.run(words, timeout=PATIENCE).returncode
        kills = sum(counted(group, file, "oom_kill") for group in groups for file in KILLS)
        return [status, kills, sum(counted(group, "cpu.stat", "nr_throttled") for group in groups)]
    finally:
        for group in groups:
            remove(group)


def remove(group: Path) -> None:
    """Removes a group, as soon as the kernel has forgotten its last process."""
    for _ in range(100):
        try:
            group.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.02)
        else:
            return


if __name__ == "__main__":
    try:
        outcome = run(**json.loads(sys.argv[1]))
    except (OSError, subprocess.SubprocessError) as error:
        sys.exit(str(error))
    sys.stdout.write(json.dumps(outcome))
