"""An end for every answer: a function of the reader's may loop, sleep, wait, or leave.

Each function of an answer runs in a thread of its own, as a `Run`. When its time is over, what it
may be waiting for is cut first (`when_late`: the sandbox ends its sessions, a Valkey is killed),
and only then is its Python code told to end: a thread that waits in a library's own code hears
nothing before that returns.
"""

import ctypes
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from nexus.judging import memory
from nexus.judging.verdict import NotYet
from nexus.services.process import wait_for

if TYPE_CHECKING:
    from nexus.judging.clock import Clock

SECONDS = 10.0
"""How long an answer may take."""

WHOLE = 12
"""How many times as long a judgement may take in all: a net below the limits of its parts."""

POLITE = 0.1
"""Seconds that a thread has to end after it was told once."""

BURST = 0.4
"""Seconds for which it is then told again and again: an answer may catch everything."""


PERSISTENCE = 60.0
"""Seconds for which it is told after the verdict, where many threads have to share a busy core."""

SWITCHING = sys.getswitchinterval()
"""How long a thread may keep the interpreter while another one waits for it; Python's own."""


class Enough(BaseException):
    """Ends an answer that would go on for ever; `except Exception` does not hold it up."""


def _insistent(thread: int, run: "Run | None") -> type[Enough]:
    """An Enough that is told again to its thread when it has been swallowed.

    Its end comes with the end of the handler that has caught it, and so outside of the `try`. A C
    function as `__del__` runs no Python code, in which it would be raised at once.

    An answer may keep it for longer than its thread lives, and another thread may have the number
    of that one by then. So the run that it is for remembers it, and disarms it at its end.
    """
    again = partial(
        ctypes.pythonapi.PyThreadState_SetAsyncExc,
        ctypes.c_ulong(thread),
        ctypes.py_object(Enough),
    )
    made = type("Enough", (Enough,), {"__del__": again})
    if run is not None:
        run.insistent.append(made)
    return made


def swallowed_no_more(said: str) -> Enough:
    """What to raise in this thread, an answer's, so that it ends whatever it catches."""
    return _insistent(threading.get_ident(), current_run())(said)


class Guard:
    """Counts what an answer does, and ends it when that is too much.

    The answer may swallow what the guard raises, so `check` looks again after the call.
    """

    def __init__(self, most: int, said: str) -> None:
        """Makes a guard.

        Args:
            most: how often is still fine.
            said: what to say of more.
        """
        self.most, self.said = most, said
        self.count = 0

    def tick(self) -> None:
        """Counts once more; to be called in what the answer calls."""
        self.count += 1
        if self.count > self.most:
            raise Enough(self.said)

    def check(self) -> None:
        """To be called after the answer.

        Raises:
            NotYet: if it was too much.
        """
        if self.count > self.most:
            raise NotYet(self.said)


class _Thread(threading.Thread):
    """A thread that prints nothing, wherever in its life it is told to end."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        # threading.excepthook is everybody's; this is only for the judge's own threads.
        self._invoke_excepthook: Callable[..., None] = lambda *_: None


class Run:
    """Something of an answer's that runs in a thread of its own, from now on.

    Attributes:
        over: set when its time is over; what it sleeps on ends then.
        clock: what it takes for the time of day; None for the real one.
        insistent: the kinds of Enough that are told again when they are swallowed.
    """

    def __init__(self, action: Callable[[], object], clock: "Clock | None" = None) -> None:
        self.clock = clock
        self.over = threading.Event()
        self.insistent: list[type[Enough]] = []
        self._action = action
        self._parent = current_run()
        self._done = threading.Event()
        self._outcome: tuple[bool, Any] | None = None
        self._deadline = time.monotonic() + SECONDS
        self._thread = _Thread(self._main)
        memory.hold()
        _running.append(self)
        self._thread.start()

    def _main(self) -> None:
        _local.run = self
        try:
            with suppress(Enough):  # told to end, and told again while it was ending
                try:
                    self._outcome = (True, self._action())
                except Enough as error:
                    self._outcome = (False, Enough(str(error)))  # not one that insists
                except BaseException as error:
                    self._outcome = (False, error)
        finally:
            _leaving.append(threading.get_native_id())
            self._done.set()
            self.disarm()
            _tell(threading.get_ident(), None)  # what comes now would be for nobody

    def disarm(self) -> None:
        """Lets what its answer may still hold be told to nobody any more."""
        while self.insistent:
            kind = self.insistent.pop()
            if "__del__" in vars(kind):
                del kind.__del__  # type: ignore[attr-defined]

    @property
    def is_running(self) -> bool:
        """Whether it has not come to its end, or been ended before it could say so."""
        return not self._done.is_set() and self._thread.is_alive()

    @property
    def error(self) -> BaseException | None:
        """What it has raised; None if nothing, or nothing yet."""
        return self._outcome[1] if self._outcome and not self._outcome[0] else None

    def wait(self) -> bool:
        """Waits until it is done or its time is over, and says whether it is done.

        In short steps: who waits here may itself be an answer's that is told to end.
        """
        while not self._done.wait(min(0.05, max(0.0, self._deadline - time.monotonic()))):
            if not self.is_running:
                break
            if time.monotonic() >= self._deadline:
                return False
        return True

    def value(self) -> object:
        """What it has returned.

        Raises:
            Exception: what it has raised.
        """
        if self._outcome is None:
            raise late("it")
        fine, value = self._outcome
        if fine:
            return cast(object, value)
        raise as_exception(value)

    def descends_from(self, others: Sequence["Run"]) -> bool:
        """Whether it is one of some runs, or was begun by one."""
        run: Run | None = self
        while run is not None:
            if run in others:
                return True
            run = run._parent
        return False


_local = threading.local()
_running: list[Run] = []
_cuts: list[Callable[[], None]] = []
_late: list[NotYet] = []
_undisturbed: list[bool] = []
_leaving: deque[int] = deque(maxlen=100)
"""The system's numbers of threads that have done all their Python, and may not have ended."""


def have_left() -> None:
    """Waits until threads of runs that are done have ended for the system, too: before a fork.

    When a thread ends, OpenSSL clears up what it kept for the thread. A child that was forked in
    this moment hung in its first digest (notes/field/forked-while-a-thread-ended.md).
    `Thread.join` returns before that. Only Linux tells.
    """
    tasks = [Path(f"/proc/self/task/{number}") for number in _leaving]
    _leaving.clear()
    with suppress(TimeoutError):  # a number that a new thread has got
        wait_for(lambda: not any(task.exists() for task in tasks), 1, "threads to end")


def current_run() -> Run | None:
    """The run whose thread this is; None for a thread that is not an answer's."""
    return getattr(_local, "run", None)


def within(action: Callable[[], object], clock: "Clock | None" = None) -> object:
    """Runs an action in a thread, and returns or raises what it does.

    Args:
        action: calls the answer.
        clock: what the answer takes for the time of day.

    Raises:
        NotYet: if it takes too long, or raises what is not an Exception.
    """
    return all_of([Run(action, clock)], "it")[0].value()


def all_of(runs: Sequence[Run], what: str) -> Sequence[Run]:
    """Waits for runs of an answer, and ends those that do not come back.

    Args:
        runs: what has begun.
        what: the subject of the sentence, should one be late.

    Returns:
        The runs, all of which are done.

    Raises:
        NotYet: if one is late.
    """
    try:
        behind = [run for run in runs if not run.wait()]
    except BaseException:  # an interrupt: nothing may go on behind the reader's back
        _end(runs)
        raise
    if behind:
        error = late(what)
        _late.append(error)
        _end(runs)
        raise error
    _forget(runs)
    return runs


def late(what: str) -> NotYet:
    """What a judge raises when something takes too long.

    Args:
        what: the subject of the sentence.
    """
    return NotYet(f"{what} had not come to an end after {SECONDS:g} seconds")


def as_exception(error: BaseException) -> Exception:
    """What a judge may raise for what an answer raised: no interrupt, no end of the kernel."""
    if isinstance(error, Exception):
        return error
    if isinstance(error, Enough):
        return NotYet(str(error) or "the answer raised Enough")
    return NotYet(f"the answer raised {type(error).__name__}")


@contextmanager
def when_late(cut: Callable[[], None]) -> Iterator[None]:
    """Has something cut when an answer's time is over, so that what waits for it comes back.

    Args:
        cut: called from another thread than the answer's, perhaps more than once.
    """
    _cuts.append(cut)
    try:
        yield
    finally:
        _cuts.remove(cut)


@contextmanager
def watchdog(cut: Callable[[], None], seconds: float) -> Iterator[threading.Event]:
    """Calls something unless the block is left in time.

    Yields:
        What is set if it was called.
    """
    fired, left = threading.Event(), threading.Event()

    def watch() -> None:
        if not left.wait(seconds):
            fired.set()
            cut()

    thread = _Thread(watch)
    thread.start()
    try:
        yield fired
    finally:
        left.set()
        thread.join()


@contextmanager
def undisturbed() -> Iterator[None]:
    """Lets the judge make or remove something as a whole, also when the time of all is over."""
    _undisturbed.append(True)
    try:
        yield
    finally:
        _undisturbed.pop()


@contextmanager
def judgement() -> Iterator[None]:
    """Ends what its parts did not: the judge's own thread may compare what has no end.

    Raises:
        NotYet: if it takes too long, or if an answer was late and the judge has not said so.
    """
    judge, lock = threading.get_ident(), threading.Lock()
    state = {"is over": False}
    _late.clear()

    def cut() -> None:
        _cut()
        while _undisturbed and not state["is over"]:
            time.sleep(0.01)
        with lock:
            if not state["is over"]:
                _tell(judge, Enough)

    try:
        with watchdog(cut, WHOLE * SECONDS) as fired, _quietly():
            try:
                yield
            finally:
                with lock:
                    state["is over"] = True
                    _tell(judge, None)  # what was told and not heard yet
    except NotYet:
        raise
    except BaseException as error:
        if fired.is_set() and isinstance(error, Enough | Exception):
            raise NotYet(f"it had not come to an end after {WHOLE * SECONDS:g} seconds") from None
        if _late and isinstance(error, Exception):
            raise _late[0] from None
        raise
    finally:
        _end(list(_running))
    if _late:
        raise _late[0]


@contextmanager
def _quietly() -> Iterator[None]:
    """Says nothing of an Enough that was raised where nothing can be, as in a `__del__`."""
    before = sys.unraisablehook

    def hook(what: "sys.UnraisableHookArgs") -> None:
        if not issubclass(what.exc_type, Enough):
            before(what)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _cut() -> None:
    for cut in reversed(_cuts):
        with suppress(Exception):  # what is gone already need not be cut
            cut()


def _end(runs: Sequence[Run]) -> None:
    """Cuts what runs may be waiting for, and ends them and what they have begun."""
    ending = [run for run in _running if run.is_running and run.descends_from(runs)]
    for run in ending:
        run.over.set()
    if ending:
        _cut()
        _end_threads(ending)
    _forget([*ending, *runs])


def _forget(runs: Sequence[Run]) -> None:
    for run in runs:
        if run in _running:
            _running.remove(run)
            memory.let_go()


def _end_threads(runs: Sequence[Run]) -> None:
    """Ends the Python code of runs, which would burn a core as long as the kernel lives.

    Each is told once. Who catches that is told again and again, in a way that outlives handlers.
    A thread that waits for a lock of its own hears nothing: it stays, and sleeps.
    """
    for run in runs:
        if run.is_running and run._thread.ident:
            _tell(run._thread.ident, Enough)
    begun = time.monotonic()
    for run in runs:
        run._done.wait(max(0.0, begun + POLITE - time.monotonic()))
    if not _insist(runs, BURST, pause=0.0005):  # a busy machine; the verdict need not wait for it
        _Thread(partial(_insist, runs, PERSISTENCE, pause=0.01)).start()


def _insist(runs: Sequence[Run], seconds: float, pause: float) -> bool:
    """Tells runs again and again to end, and says whether all threads have ended in time.

    Args:
        runs: what is to end.
        seconds: for how long.
        pause: seconds between two times; the run goes on then, until it has swallowed that.
    """
    until = time.monotonic() + seconds
    sys.setswitchinterval(1e-5)
    try:
        while (
            left := [run for run in runs if run._thread.is_alive()]
        ) and time.monotonic() < until:
            for run in left:
                if run.is_running and run._thread.ident:
                    _tell(run._thread.ident, _insistent(run._thread.ident, run))
            time.sleep(pause)
    finally:
        sys.setswitchinterval(SWITCHING)
    for run in runs:
        _strike_off(run._thread)
        if not run._thread.is_alive():
            run.disarm()
    return not left


def _strike_off(thread: threading.Thread) -> None:
    """Takes a thread that has ended from Python's list of threads.

    It does that itself in its last lines, unless it is told to end just there.
    """
    if not thread.is_alive() and thread.ident:
        with threading._active_limbo_lock:  # pyrefly: ignore
            if threading._active.get(thread.ident) is thread:  # pyrefly: ignore
                del threading._active[thread.ident]  # pyrefly: ignore


def _tell(thread: int, error: type[BaseException] | None) -> None:
    """Raises an error in a thread, as soon as that runs Python code; None takes it back."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(error) if error else None
    )
