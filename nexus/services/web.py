"""A reader's own program as a server: a WSGI or ASGI application, a worker, any command."""

import os
import re
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from nexus.services.errors import MissingProgram, ServiceError
from nexus.services.ports import free_port
from nexus.services.process import PORT_IS_TAKEN, Server

Ready = str | re.Pattern[str] | Callable[[], object]


class Web(Server):
    """A program of the reader's that serves, with its worker processes.

    Attributes:
        url: where it listens, such as http://127.0.0.1:40123; without a port it has none.
    """

    kind = "serve"

    def __init__(
        self,
        argv: Sequence[str],
        *,
        ready: Ready | None,
        env: Mapping[str, object],
        cwd: str | Path,
        is_application: bool = False,
    ) -> None:
        super().__init__()
        self._argv = list(argv)
        self._ready = ready
        self._is_application = is_application  # its server may listen before it is loaded
        self._env = {name: str(value) for name, value in env.items()}
        self._cwd = Path(cwd).resolve()
        self._listens = any("{port}" in part for part in self._argv)
        self._start_first(free_port if self._listens else None)

    @property
    def url(self) -> str:
        """Where it listens.

        Raises:
            ServiceError: if it was not given a port.
        """
        if not self._listens:
            raise ServiceError("this program has no port: put {port} where its command takes one")
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[psutil.Process]:
        """The processes that the first one started, in the order they were started."""

        # multiprocessing's own helper, which uvicorn brings, serves nobody.
        def is_helper(process: psutil.Process) -> bool:
            try:
                return "resource_tracker" in " ".join(process.cmdline())
            except psutil.Error:  # it has just ended
                return True

        return [process for process in self.processes()[1:] if not is_helper(process)]

    def kill(self, worker: int | None = None) -> None:
        """Kills with SIGKILL the whole program, or one of its workers.

        Args:
            worker: the worker's place in `workers`; None for the program and all of them.

        Raises:
            ServiceError: if there is no such worker.
        """
        if worker is None:
            super().kill()
            return
        workers = self.workers
        if not -len(workers) <= worker < len(workers):
            raise ServiceError(f"there is no worker {worker}: {len(workers)} are running")
        workers[worker].kill()

    def prepare(self) -> None:
        """Looks for the program: the system's own words for one that is missing help nobody.

        Raises:
            MissingProgram: if it is not there, or cannot be run.
        """
        name = self._argv[0]
        if os.sep in name:
            path = self._cwd / name
            if not path.is_file():
                raise MissingProgram(f"there is no program {path}")
            if not os.access(path, os.X_OK):
                raise MissingProgram(f"{path} cannot be run: chmod +x makes it a program")
        elif shutil.which(name, path=self.environment().get("PATH", os.defpath)) is None:
            raise MissingProgram(
                f"{name} was not found in any folder of PATH: install it, or give its whole path"
            )

    def command(self) -> list[str]:
        """The command with its port filled in."""
        return [part.replace("{port}", str(self.port)) for part in self._argv]

    def environment(self) -> dict[str, str]:
        """The kernel's environment and the reader's additions; output is not held back."""
        # The folder comes first on the path, as it does for `python -m`.
        path = os.pathsep.join(filter(None, [str(self._cwd), os.environ.get("PYTHONPATH")]))
        return {**super().environment(), "PYTHONUNBUFFERED": "1", "PYTHONPATH": path, **self._env}

    def working_directory(self) -> Path:
        """The folder that the reader named."""
        return self._cwd

    def is_ready(self) -> bool:
        """Whether the check that was asked for holds, and nobody else has the port."""
        log = self.log[self.log_start :]
        if self._listens:
            if re.search(PORT_IS_TAKEN, log):
                self._end_process("SIGKILL")  # some servers would wait and try the same port again
                return False
            if not self.listens():
                return False
        if self._ready is None:
            return not self._is_application or self._answers("/", below=600)
        if callable(self._ready):
            return bool(self._ready())
        if isinstance(self._ready, str) and self._ready.startswith("/"):
            return self._answers(self._ready)
        return re.search(self._ready, log) is not None

    def _answers(self, path: str, below: int = 500) -> bool:
        """Whether a GET is answered with a status that says it works."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=5):  # noqa: S310 (our own address)
                return True
        except urllib.error.HTTPError as error:
            with error:
                return error.code < below
        except (OSError, urllib.error.URLError):
            return False

    def hint(self, log: str) -> str:
        """What to do about the failures that are known."""
        if re.search(r"ModuleNotFoundError|ImportError", log):
            return f"The module was looked for in {self._cwd}: pass cwd=… to name its folder."
        return ""


def serve(
    target: str | Sequence[str],
    *,
    interface: str = "wsgi",
    workers: int = 1,
    ready: Ready | None = None,
    env: Mapping[str, object] | None = None,
    cwd: str | Path = ".",
    options: Sequence[str] = (),
) -> Web:
    """Starts a program of the reader's, and returns when it serves.

    Args:
        target: an application as "module" or "module:name" (name is `application` if left out), or
            a command as a list of words. In a command {port} stands for a free TCP port.
        interface: what an application speaks: "wsgi" is served by gunicorn, "asgi" by uvicorn.
        workers: how many processes serve an application.
        ready: when it serves: a path such as "/healthz" that must be answered below 500, text or a
            compiled pattern that must appear in its output, or a function that gives something
            true. A program with a port must listen on it besides; one without a port needs this. An
            application that does not say must answer a GET of "/", with whatever status.
        env: additions to the environment it runs in.
        cwd: the folder it runs in, where its modules are.
        options: further options for gunicorn or uvicorn, under their own names.

    Returns:
        The running program's handle. It is a context manager too.

    Raises:
        ValueError: if the arguments do not fit together.
        MissingProgram: if the command's program is not there.
        ServiceError: if the program ends or does not serve in time; with the end of its output.
    """
    if isinstance(target, str):
        name = target if ":" in target else f"{target}:application"
        servers = {
            "wsgi": ["gunicorn", "--bind=127.0.0.1:{port}", "--no-control-socket"],
            "asgi": ["uvicorn", "--host=127.0.0.1", "--port={port}"],
        }
        if interface not in servers:
            raise ValueError(f'interface is "wsgi" or "asgi", not {interface!r}')
        program = servers[interface]
        argv = [sys.executable, "-m", *program, f"--workers={workers}", *options, name]
    else:
        argv = [str(part) for part in target]
        if not argv:
            raise ValueError("the command is empty")
        if ready is None and not any("{port}" in part for part in argv):
            raise ValueError(
                "when does this program serve? Pass ready=, for instance text of its output, "
                "or put {port} where the command takes a port"
            )
    if isinstance(ready, str) and not ready.startswith("/"):
        ready = re.compile(re.escape(ready))
    return Web(argv, ready=ready, env=env or {}, cwd=cwd, is_application=isinstance(target, str))
