"""Do here what Binder does, without Docker: install, open JupyterLab, run chapters, in 1 GB.

The steps are those that repo2docker takes from .binder/, done by a user without root's rights in
an empty folder: requirements.txt into a Python that has JupyterHub's packages already, postBuild,
then JupyterLab and a chapter beside it. It fails if a step fails, or if all processes together
need more memory than Binder guarantees. What apt.txt lists has to be there: Binder's image has it.

    python -m tools.binder_rehearsal [CHAPTER …]
"""

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

from tools import chapters

ROOT = chapters.ROOT
GUARANTEED = 1024**3  # bytes of memory
ORDINARY_USER = "nobody"  # what root becomes for this
MARK = "BINDER_REHEARSAL"
# What repo2docker's environment.yml for Python puts into the image before ours.
IMAGE_HAS = ("jupyterhub==5.*", "jupyterlab==4.*", "notebook==7.*", "ipywidgets==8.*")


class Rehearsal:
    """A folder, a user and an environment like Binder's."""

    def __init__(self, folder: Path) -> None:
        """Prepare the folder.

        Args:
            folder: An empty directory.
        """
        self.folder = folder
        self.project = folder / "home" / "project"
        self.python = folder / "environment" / "bin" / "python"
        self.user = ORDINARY_USER if os.geteuid() == 0 else None
        self.mark = uuid.uuid4().hex
        kept = {k: v for k, v in os.environ.items() if k.endswith(("_CERT", "_FILE", "_proxy"))}
        kept |= {k: v for k, v in os.environ.items() if k.endswith("_PROXY")}
        self.env = kept | {
            "HOME": str(folder / "home"),
            "PATH": f"{self.python.parent}:/usr/local/bin:/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            MARK: self.mark,
        }

    def start(
        self, *command: str | Path, cwd: Path | None = None, quiet: bool = False
    ) -> subprocess.Popen:
        """Start a program as the ordinary user."""
        return subprocess.Popen(
            command,
            cwd=cwd or self.project,
            stderr=subprocess.DEVNULL if quiet else None,
            env=self.env,
            user=self.user,
            group=self.user and "nogroup",
            extra_groups=[] if self.user else None,
            stdin=subprocess.DEVNULL,
        )

    def run(self, *command: str | Path, cwd: Path | None = None) -> None:
        """Run a program as the ordinary user.

        Raises:
            subprocess.CalledProcessError: If it fails.
        """
        print("  $", *(Path(word).name for word in command), flush=True)
        if status := self.start(*command, cwd=cwd).wait():
            raise subprocess.CalledProcessError(status, [str(word) for word in command])

    def check_out(self) -> None:
        """Copy what git has, as a clone would bring it."""
        self.project.mkdir(parents=True)
        archive = subprocess.run(
            ["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
        subprocess.run(["tar", "--extract"], cwd=self.project, input=archive.stdout, check=True)
        if self.user:
            self.folder.chmod(0o755)
            for path in (self.folder, *self.folder.rglob("*")):
                shutil.chown(path, self.user, "nogroup")

    def processes(self) -> Iterator[psutil.Process]:
        """Yield all processes that came from here, daemons too."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(MARK) == self.mark:
                    yield process

    def end(self) -> None:
        """End what is still running after the time that keepers take to clean up."""
        deadline = time.monotonic() + 10
        while (left := list(self.processes())) and time.monotonic() < deadline:
            time.sleep(0.1)
        for process in left:
            print(f"binder: left running: {process.pid} {process.name()}", file=sys.stderr)
            process.kill()

    def memory(self) -> int:
        """Return the bytes all processes use now; what they share counts once."""
        used = 0
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                used += process.memory_full_info().pss
        return used


@contextlib.contextmanager
def peak_memory(rehearsal: Rehearsal) -> Iterator[list[int]]:
    """Watch how much memory is used; yield a list whose last item is the peak."""
    peaks = [0]
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            if (used := rehearsal.memory()) > peaks[-1]:
                peaks.append(used)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield peaks
    finally:
        over.set()
        watcher.join()


def rehearse(rehearsal: Rehearsal, notebooks: list[str]) -> list[tuple[str, int]]:
    """Do all steps.

    Args:
        rehearsal: Where, and as whom.
        notebooks: The chapters to run, from the project's folder.

    Returns:
        For each chapter the peak of memory in bytes, JupyterLab included.

    Raises:
        subprocess.CalledProcessError: If a step fails.
    """
    rehearsal.check_out()
    system_python = shutil.which("python3", path="/usr/local/bin:/usr/bin") or sys.executable
    home = rehearsal.project.parent
    rehearsal.run(system_python, "-m", "venv", rehearsal.python.parent.parent, cwd=home)
    pip = (rehearsal.python, "-m", "pip", "--quiet", "--no-cache-dir")
    rehearsal.run(*pip, "install", *IMAGE_HAS)
    rehearsal.run(*pip, "install", "-r", ".binder/requirements.txt")
    rehearsal.run("./.binder/postBuild")
    rehearsal.run(*pip, "check")
    rehearsal.run(rehearsal.python, "-m", "jupyterhub.singleuser", "--version")
    command = (rehearsal.python, "-m", "jupyterlab", "--no-browser", "--port=0")
    lab = rehearsal.start(*command, quiet=True)
    try:
        peaks = []
        for notebook in notebooks:
            with peak_memory(rehearsal) as peak:
                rehearsal.run(rehearsal.python, "-m", "pytest", "-q", "--nbval", notebook)
            peaks.append((notebook, peak[-1]))
            if lab.poll() is not None:
                raise subprocess.CalledProcessError(lab.returncode, list(map(str, command)))
        return peaks
    finally:
        lab.terminate()
        lab.wait(10)


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Rehearse Binder, without Docker.")
    parser.add_argument("chapter", nargs="*", help="name or path; all chapters if none is given")
    asked = parser.parse_args().chapter
    paths = [chapters.find(name) for name in asked] or chapters.in_book()
    # Where an ordinary user may look, whatever root's own temporary directory is.
    folder = Path(tempfile.mkdtemp(prefix="binder-", dir="/tmp"))
    rehearsal = Rehearsal(folder)
    try:
        peaks = rehearse(rehearsal, [path.relative_to(ROOT).as_posix() for path in paths])
    except subprocess.CalledProcessError as error:
        print(f"binder: this step failed: {' '.join(error.cmd)}", file=sys.stderr)
        return 1
    finally:
        rehearsal.end()
        shutil.rmtree(folder, ignore_errors=True)
    for notebook, peak in peaks:
        print(f"{notebook}: {peak / 1024**2:.0f} MB at the peak, of {GUARANTEED / 1024**2:.0f}")
    return int(any(peak > GUARANTEED for _, peak in peaks))


if __name__ == "__main__":
    sys.exit(main())
