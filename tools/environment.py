"""Make .venv with everything that the files requirements*.txt pin, once.

Called by tools/setup with any Python from 3.11 on, before anything is installed: this file uses
the standard library only. An environment counts as made when its stamp says what it was made
from; the stamp is written last, so an interrupted set-up is never taken for a finished one.
"""

import argparse
import contextlib
import errno
import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

ROOT = Path(__file__).resolve().parent.parent
VENV = Path(".venv")
STAMP = VENV / "set-up-complete"
PINS = (Path("requirements.txt"), Path("requirements-heavy.txt"))
SEMGREP = Path("requirements-semgrep.txt")  # for an environment of its own, within ours
CACHE = Path(".cache")
LOG = CACHE / "set-up.log"

# With less than this left where files go, a failure is blamed on the disk: `python -m venv`
# does not say why it failed.
ALMOST_FULL = 50 * 1024**2

FULL = re.compile(r"no space left|disk quota exceeded|os error 28\b", re.IGNORECASE)
UNREACHABLE = re.compile(
    r"connection broken by|error sending request|client error \(connect\)|dns error"
    r"|name resolution|network is unreachable|connection (refused|reset)|timed out",
    re.IGNORECASE,
)
DENIED = re.compile(r"permission denied|read-only file system|os error (13|30)\b", re.IGNORECASE)

FULL_ADVICE = """the disk is full. About 3 GB are needed, here and in the package cache of your
home directory. Free some and run this again."""
UNREACHABLE_ADVICE = """the package index could not be reached. Set-up needs the network, once.
Run this again when it is back; behind a proxy, set HTTPS_PROXY first."""
DENIED_ADVICE = """a file could not be written. This folder and everything in it must be yours; if
`.venv` or `.cache` was made by another user (with sudo?), remove it and run this again."""
NO_VENV_ADVICE = """this Python cannot make environments: its venv module is not complete.
Install it and run this again. Debian and Ubuntu:
    sudo apt-get install python3-venv"""


class SetUpError(Exception):
    """A set-up that cannot go on; its text tells the reader what to do."""


def fingerprint(version: str) -> str:
    """Describe what an environment is made from; another text means: make it again.

    Args:
        version: `sys.version` of the interpreter in the environment.

    Returns:
        The text of the stamp. The place is part of it because an environment cannot be moved.
    """
    pins = b"".join(path.read_bytes() for path in (*PINS, SEMGREP))
    return f"{crc32(pins):08x}\n{Path.cwd()}\n{version}\n"


def is_current() -> bool:
    """Tell whether the environment of the running interpreter is the one wanted now."""
    try:
        stamp = STAMP.read_text()
    except OSError:
        return False
    wanted = sys.version
    if python := os.environ.get("PYTHON"):
        command = [python, "-c", "import sys; print(sys.version)"]
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        wanted = asked.stdout.removesuffix("\n")
    return stamp == fingerprint(wanted)


@contextlib.contextmanager
def lock() -> Iterator[int]:
    """Let one set-up at a time work in this folder.

    The system drops the lock when its holder ends, however it ends. Installers inherit it, so
    that one left behind by a killed set-up is waited for too.

    Yields:
        The lock's file descriptor, to hand on to child processes.
    """
    with (CACHE / "set-up.lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("set-up: another set-up works in this folder; waiting for it", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def installer_environment() -> dict[str, str]:
    """Return the environment for pip and uv: the reader's own, less what would mislead them."""
    env = dict(os.environ)
    for name in ("PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_USER", "VIRTUAL_ENV"):
        env.pop(name, None)
    env.setdefault("PIP_RETRIES", "2")
    env |= {"UV_TOOL_DIR": str(Path.cwd() / VENV / "tools")}
    env |= {"UV_TOOL_BIN_DIR": str(Path.cwd() / VENV / "bin")}
    # uv has its own settings: let it trust what the machine trusts, and use the mirror pip uses.
    env.setdefault("UV_SYSTEM_CERTS", "true")
    if "PIP_INDEX_URL" in env:
        env.setdefault("UV_DEFAULT_INDEX", env["PIP_INDEX_URL"])
    return env


def run(*command: str | Path, held: int) -> None:
    """Run an installer, show what it says, and explain its failure.

    Args:
        command: The program and its arguments.
        held: The lock's file descriptor, which the program inherits.

    Raises:
        SetUpError: If it fails.
    """
    said = []
    with subprocess.Popen(
        command,
        env=installer_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[held],
    ) as process:
        for line in process.stdout or ():
            said.append(line)
            if not line.startswith(" + "):  # uv's list of every package
                print(f"  {line}", end="", flush=True)
    if process.returncode == 0:
        return
    details = ""
    with contextlib.suppress(OSError):
        LOG.write_text("".join(said))
        details = f"\nAll that was said is in {LOG}."
    raise SetUpError(explain("".join(said)) + details)


def explain(said: str) -> str:
    """Turn what a failed installer said into what the reader can do about it."""
    places = [Path.cwd(), Path.home(), Path(os.environ.get("TMPDIR", "/tmp"))]
    free = min(shutil.disk_usage(place).free for place in places if place.is_dir())
    if FULL.search(said) or free < ALMOST_FULL:
        return FULL_ADVICE
    if DENIED.search(said):
        return DENIED_ADVICE
    if UNREACHABLE.search(said):
        return UNREACHABLE_ADVICE
    return "the packages could not be installed; the last lines above say why."


def make() -> None:
    """Make the environment anew.

    Raises:
        SetUpError: If it cannot be made; no half-made environment is left.
    """
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        raise SetUpError(NO_VENV_ADVICE) from None
    # When set-up is called from inside an environment, even this very one, build on what that
    # one was built on.
    base = getattr(sys, "_base_executable", sys.executable)
    CACHE.mkdir(exist_ok=True)
    with lock() as held:
        if is_made():
            return
        print(
            f"set-up: making {VENV} with Python {sys.version.split()[0]}"
            " (once; it takes a minute or two)",
            flush=True,
        )
        python = VENV / "bin" / "python"
        uv_pin = re.search(r"^uv==\S+", PINS[0].read_text(), re.MULTILINE)
        if uv_pin is None:
            raise SetUpError("requirements.txt names no uv: make it again with `make lock`.")
        remove(VENV)
        try:
            run(base, "-m", "venv", VENV, held=held)
            # pip brings uv, at the version that is pinned; uv brings the rest in seconds.
            run(python, "-m", "pip", "install", "--quiet", uv_pin[0], held=held)
            # Where PYTHONDONTWRITEBYTECODE is set, as in many containers, every program would
            # compile what it imports, each time it starts.
            options = ("install", "--python", python, "--compile-bytecode")
            install = (python, "-m", "uv", "pip", *options)
            run(*install, *(f"--requirement={path}" for path in PINS), held=held)
            run(*install, "--quiet", "--no-deps", "--no-build-isolation", "-e", ".", held=held)
            apart = (python, "-m", "uv", "tool", *options, "--quiet")
            run(*apart, f"--constraints={SEMGREP}", "semgrep", held=held)
            new = STAMP.with_suffix(".new")
            new.write_text(fingerprint(sys.version))
            new.replace(STAMP)
            # JupyterLab without our settings still runs the chapters.
            subprocess.run([python, "-m", "tools.lab"], env=installer_environment(), check=False)
        except BaseException:
            with contextlib.suppress(OSError):
                remove(VENV)
            raise
        print("set-up: done", flush=True)


def is_made() -> bool:
    """Tell whether another set-up made the environment while this one waited."""
    command = [VENV / "bin" / "python", "-IS", __file__, "--is-current"]
    try:
        return subprocess.run(command, check=False).returncode == 0
    except OSError:  # none there, or one whose own interpreter is gone
        return False


def remove(tree: Path) -> None:
    """Remove a directory, or the file or link that stands in its place."""
    if tree.is_dir() and not tree.is_symlink():
        shutil.rmtree(tree)
    else:
        tree.unlink(missing_ok=True)


def main() -> int:
    """Run the command; see the module's own text."""
    parser = argparse.ArgumentParser(description="Make .venv from what is pinned.")
    parser.add_argument("--is-current", action="store_true", help="only tell, by exit status")
    options = parser.parse_args()
    os.chdir(ROOT)
    if options.is_current:
        return 0 if is_current() else 1
    try:
        make()
    except SetUpError as error:
        problem = str(error)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = FULL_ADVICE
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            problem = f"{DENIED_ADVICE}\n({error})"
        else:
            problem = f"the system said: {error}"
    except KeyboardInterrupt:
        print("\nset-up: interrupted. Run it again; what was downloaded is kept.", file=sys.stderr)
        return 130
    else:
        return 0
    print(f"\nset-up: {problem}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
