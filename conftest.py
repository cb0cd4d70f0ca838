"""How tests run here, and what strict validation of a chapter means.

`pytest --nbval notebooks` runs every cell in a fresh kernel and compares what it prints with what
is stored. nbval alone lets some cells pass that prove nothing; here they fail:

- a cell stored without its count, which nbval runs but never compares;
- a cell that writes to stderr. That is where IPython reports an unknown magic, and then goes on
  as if nothing had happened. A warning in the stored page is not for the reader either.

`!command` ignores the command's exit status, and no run can tell: tests/chapters/honesty.py
refuses it.
"""

import gc
import os
import queue
import shutil
import signal
import tempfile
import time
from collections.abc import Generator, Iterator
from math import inf
from pathlib import Path
from unittest import mock

import nbval.plugin
import pytest
from nbval.kernel import RunningKernel
from nbval.plugin import IPyNbCell, IPyNbFile

from nexus import needs
from tools import chapters

SCRATCH = pytest.StashKey[Path]()

CELL_TIMEOUT = 120  # seconds; a whole chapter has 60
OUTPUT_TIMEOUT = 60  # seconds; nbval's own 5 are too few for a busy machine
KERNEL_STARTS = 3  # two kernels that start at once can lose a race for a port


class Kernel(RunningKernel):
    """A kernel whose death is noticed when it happens, not at the cell's time-out."""

    def get_message(self, stream: str, timeout: float | None = None) -> dict:
        """Wait for a message as long as the kernel lives."""
        deadline = time.monotonic() + (timeout or CELL_TIMEOUT)
        while True:
            try:
                return super().get_message(stream, timeout=1)
            except queue.Empty:
                if not self.is_alive():
                    raise RuntimeError("the kernel died") from None
                if time.monotonic() > deadline:
                    raise

    def reply_to(self, source: str) -> dict:
        """Run a cell and return the content of the kernel's reply."""
        asked = self.execute_cell_input(source, allow_stdin=False)
        while True:
            message = self.get_message("shell")
            if message["parent_header"].get("msg_id") == asked:
                return message["content"]


class Chapter(IPyNbFile):
    """A notebook whose kernel starts as a reader's does."""

    has_failed = False

    def collect(self) -> Iterator[pytest.Item]:
        """Find the cells; with --again, all of them once more, in the same kernel."""
        yield from super().collect()
        if self.config.getoption("again"):
            yield Again.from_parent(self, name="Run All again")

    def setup(self) -> None:
        """Start the kernel, in an environment that shows neither pytest nor the user's settings."""
        env = chapters.environment(self.config.stash[SCRATCH])
        for remaining in reversed(range(KERNEL_STARTS)):
            try:
                with (
                    mock.patch.dict(os.environ, env, clear=True),
                    mock.patch.object(nbval.plugin, "RunningKernel", Kernel),
                ):
                    super().setup()
            except RuntimeError:
                if not remaining:
                    raise
            else:
                return

    def teardown(self) -> None:
        """Stop the kernel; one that has died leaves its connection file, unless it is stopped."""
        if self.kernel is not None and not self.kernel.is_alive():
            self.kernel.stop()
        else:
            super().teardown()


class Again(pytest.Item):
    """All cells of a chapter, run after its strict run without a restart, as a reader may.

    Nothing is compared, but no cell may fail that should not. A cell that cannot be run twice
    says so, and is tagged `once`.
    """

    parent: Chapter

    def runtest(self) -> None:
        """Run one cell after the other."""
        if self.parent.has_failed:
            pytest.skip("a cell has failed before")
        cells = [cell for cell in self.parent.nb.cells if cell.cell_type == "code"]
        for number, cell in enumerate(cells):
            tags = set(cell.metadata.get("tags", ()))
            if tags & {"once", "nbval-skip"}:
                continue
            reply = self.parent.kernel.reply_to(cell.source)
            if reply["status"] != "ok" and "raises-exception" not in tags:
                why = f"{reply.get('ename')}: {reply.get('evalue')}"
                raise NotTwiceError(f"code cell {number} fails the second time: {why}")

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:  # type: ignore[override]
        """Return what failed, without the stack of this file."""
        return f"{self.parent.path.name}: {excinfo.value}"

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return where it is, and what it is called."""
        return self.path, 0, self.name


class NotTwiceError(Exception):
    """A cell that fails when all are run again; the text says which, and how."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take --again and --weekly."""
    parser.addoption("--again", action="store_true", help="run a chapter's cells once more")
    parser.addoption("--weekly", action="store_true", help="run also what is marked weekly")


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Keep a file's tests on one worker: what its fixtures start and build is made once.

    So are a chapter's cells, which need each other. The order stays, in which what takes longest
    is first: xdist would begin with the file that has most tests.
    """
    if config.getoption("numprocesses", None) and config.option.dist == "no":
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


def hear_all_signals() -> None:
    """Let what tests start hear every signal, as what a terminal starts does.

    A shell lets what it starts in the background ignore SIGINT and SIGQUIT, and `nohup` SIGHUP.
    Children inherit what is ignored, but no handler; this one ignores the signal all the same.
    """
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_configure(config: pytest.Config) -> None:
    """Keep the user's settings out, and let plain `pytest --nbval` be the strict run."""
    hear_all_signals()
    scratch = Path(tempfile.mkdtemp(prefix="pytest-nexus-"))
    config.add_cleanup(lambda: shutil.rmtree(scratch, ignore_errors=True))
    config.stash[SCRATCH] = scratch
    os.environ.update(chapters.settings(scratch))
    option = config.option
    # pytest would keep the folders of its last three runs; --basetemp=… keeps those of one.
    option.basetemp = option.basetemp or str(scratch / "tests")
    if option.nbval:
        option.nbval_current_env = True
        option.nbval_cell_timeout = min(option.nbval_cell_timeout, CELL_TIMEOUT)
        option.nbval_sanitize_with = option.nbval_sanitize_with or str(
            chapters.ROOT / "tests" / "sanitize.cfg"
        )
        # Matplotlib says on stderr when it lists the machine's fonts for the first time.
        import matplotlib.font_manager  # noqa: F401


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left_open() -> Generator[None, None, None]:
    """Collect what a module's tests have let go of, so that no other's are blamed for it.

    A file, socket or process that nobody has closed warns when it is collected, whichever test
    runs at that moment, and a warning is an error here.
    """
    yield
    gc.collect()


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(
    file_path: Path, parent: pytest.Collector
) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Let a notebook be a chapter."""
    collectors = yield
    return [
        Chapter.from_parent(parent, path=file_path) if isinstance(found, IPyNbFile) else found
        for found in collectors
    ]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put cells back in order, whatever order tests are run in, and begin with what is long."""
    if not config.getoption("weekly"):
        weekly = [item for item in items if item.get_closest_marker("weekly")]
        config.hook.pytest_deselected(items=weekly)
        items[:] = [item for item in items if item not in weekly]
    cells = sorted(
        (item for item in items if isinstance(item, IPyNbCell | Again)),
        key=lambda item: (str(item.path), getattr(item, "cell_num", inf)),
    )
    others = [item for item in items if not isinstance(item, IPyNbCell | Again)]
    others.sort(key=lambda item: -sum(mark.args[0] for mark in item.iter_markers("long")))
    items[:] = others + cells


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail the cells that nbval would let pass unproved, and skip what this machine cannot run."""
    if not isinstance(item, IPyNbCell):
        return (yield)
    if why := needs.missing(item.cell.source):
        pytest.skip(why)
    item.output_timeout = OUTPUT_TIMEOUT
    try:
        result = yield
    except Exception:
        item.parent.has_failed = True
        raise
    if item.cell.execution_count is None:
        item.raise_cell_error("stored without having been run: use `make refresh`")
    for output in item.test_outputs or ():
        if output.output_type == "stream" and output.name == "stderr":
            item.raise_cell_error("the cell writes to stderr", output.text)
    return result
