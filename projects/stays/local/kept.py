"""Programs of one's own that end with the program that started them, however that one ends.

Such a program has a pipe as its standard input that nobody writes to. Whatever ends the program at
the other end, `kill -9` included, the system closes the pipe; the reader sees the end of the file,
and ends. It has a session of its own, so that Ctrl-C in a terminal does not reach it.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

ROOT = Path(__file__).resolve().parent.parent
ASK_TO_END = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""The signals by which a person or a system asks a program to end."""


@contextmanager
def kept(
    module: str, *arguments: str, output: int | None = None
) -> Iterator[subprocess.Popen[str]]:
    """Run a module of this project in a program of its own, until the block ends.

    Args:
        module: Its name. It watches `ending`.
        arguments: Those of its command line.
        output: Where its standard output goes; to this program's by default.

    Yields:
        The running program.
    """
    program = subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=output,
        text=True,
        start_new_session=True,
    )
    try:
        yield program
    finally:
        assert program.stdin  # noqa: S101 (for mypy)
        program.stdin.close()
        program.wait()
        if program.stdout:
            program.stdout.close()


class Ending(threading.Event):
    """Is set when this program is to end: a signal asked it to.

    Attributes:
        status: The exit status to end with.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = 0
        for number in ASK_TO_END:
            signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.status = self.status or 128 + number
        self.set()


class EndingWithStarter(Ending):
    """Is also set when the program that started this one is gone."""

    def __init__(self) -> None:
        super().__init__()
        threading.Thread(target=self._read_to_the_end, daemon=True).start()

    def _read_to_the_end(self) -> None:
        while os.read(0, 4096):
            pass
        self.set()
