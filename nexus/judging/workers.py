"""A second worker: another process with the answer in it, and a memory and locks of its own.

The process is forked, as a server's workers are, before the answer was called for the first time:
what the answer keeps in a dictionary or guards with a `threading.Lock` is not there, and `hash` of
a text is another one, as it is in a process that was started by itself. It has a session of its
own, and is killed at the end, whatever it does.
"""

import builtins
import gc
import io
import multiprocessing
import os
import signal
import sys
import sysconfig
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import Any

from nexus.judging import limits
from nexus.judging.verdict import NotYet, first_line
from nexus.services import keeper


class OtherProcessError(Exception):
    """What the answer raised in the other process.

    Attributes:
        kind: the names of the error's class and of those that it is derived from.
    """

    def __init__(self, kind: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Worker:
    """The other process; it waits until it is asked to call the action.

    Attributes:
        pid: its number.
    """

    def __init__(self, action: Callable[..., object]) -> None:
        """Forks.

        Args:
            action: calls the answer, there. What it opens is the other process's own; what it gets
                and returns is sent through a pipe.
        """
        ours, theirs = multiprocessing.Pipe()
        with warnings.catch_warnings():
            # Python warns of locks that other threads hold. What the child does needs none of
            # them: it prints nothing, logs nothing, and if it should wait it is killed.
            warnings.simplefilter("ignore", DeprecationWarning)
            limits.have_left()
            self.pid = os.fork()
        if self.pid == 0:
            _serve(theirs, action)
        theirs.close()
        self._pipe: Connection[Any, Any] = ours
        self._asked = False
        self._is_gone = False

    def ask(self, *arguments: object) -> None:
        """Lets it begin; `answer` has the result."""
        self._pipe.send(arguments)
        self._asked = True

    def is_done(self) -> bool:
        """Whether it has come to an end of what it was asked for."""
        return not self._asked or self._pipe.poll()

    def answer(self, what: str) -> object:
        """What the action has returned; waits for it.

        Args:
            what: the subject of the sentence, should it be late.

        Raises:
            NotYet: if it takes too long, or the process has ended.
            OtherProcessError: what the action has raised.
        """
        deadline = time.monotonic() + limits.SECONDS
        while not self._pipe.poll(0.05):
            if time.monotonic() > deadline:
                self.kill()
                raise limits.late(what)
        self._asked = False
        try:
            kind, value = self._pipe.recv()
        except EOFError:
            raise NotYet(f"{what} ended the process that it ran in") from None
        if kind is None:
            return value
        if kind[0] == NotYet.__name__:
            raise NotYet(value)
        raise OtherProcessError(kind, value)

    def said(self, what: str, *arguments: object) -> Any:  # noqa: ANN401
        """What the action returns for some arguments, if it may raise nothing.

        Args:
            what: the subject of the sentence, should it be late or raise.
            arguments: for the action.

        Raises:
            NotYet: if it takes too long, raised something, or the process has ended.
        """
        self.ask(*arguments)
        return self.heard(what)

    def heard(self, what: str) -> Any:  # noqa: ANN401
        """What the action returns to what was asked before, as `said`."""
        try:
            return self.answer(what)
        except OtherProcessError as error:
            raise NotYet(f"{what} raised {error.kind[0]}: {error}") from None

    def kill(self) -> None:
        """Ends the process and what it has started; a second time does nothing."""
        if self._is_gone:
            return
        self._is_gone = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


@contextmanager
def worker(action: Callable[..., object]) -> Iterator[Worker]:
    """A second worker, until the block is left or the answer's time is over."""
    other = Worker(action)
    try:
        with limits.when_late(other.kill):
            yield other
    finally:
        other.kill()
        other._pipe.close()


def _serve(pipe: "Connection[Any, Any]", action: Callable[..., object]) -> None:
    """The life of the other process: it never returns, and nobody's exit is run."""
    try:
        os.setsid()
        keeper.prctl(keeper.PR_SET_PDEATHSIG, signal.SIGKILL)  # the kernel may be killed
        gc.disable()  # what it has inherited is its parent's to close
        sys.stdout = sys.stderr = io.StringIO()
        _hash_otherwise()
        while True:
            arguments = pipe.recv()
            try:
                pipe.send((None, action(*arguments)))
            except BaseException as error:
                kinds = tuple(kind.__name__ for kind in type(error).__mro__)
                pipe.send((kinds, first_line(error)))
    finally:
        os._exit(0)


def _hash_otherwise() -> None:
    """Gives the built-in `hash` another seed, as PYTHONHASHSEED does for each new process.

    Libraries keep theirs: a dictionary from before the fork may have keys that are hashed by them,
    such as members of an Enum.
    """
    given, seed = hash, os.getpid()
    libraries = ("<", *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")))

    def otherwise(value: object, /) -> int:
        caller = sys._getframe(1).f_code.co_filename
        if isinstance(value, int | float | complex) or caller.startswith(libraries):
            return given(value)
        return given((seed, value))

    builtins.hash = otherwise
