"""Servers die with their kernel, however it ends, and leave nothing: tried on real kernels."""

import fcntl
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from jupyter_client.manager import KernelManager

from nexus.services import keeper as keeper_program
from nexus.services.process import wait_for
from tests.leftovers import PATIENCE, expect_nothing, processes, run_directory

pytestmark = pytest.mark.long(60)

# It leaves its session, and its title is so long that it covers its environment; the tests find it
# by the title.
STRAY = """
import os, setproctitle, time
setproctitle.setproctitle((os.environ["NEXUS_RUN_DIR"] + " ") * 200)
print("up", flush=True)
time.sleep(1000)
"""
SLEEPER = f"(setsid {shlex.join([sys.executable, '-c', STRAY])} &); sleep 1000"
START = f"""
import nexus
pg = nexus.postgres()
cache = nexus.valkey()
sleeper = nexus.serve(["sh", "-c", {SLEEPER!r}], ready="up")
print("started")
"""
SERVERS = 4
"""The least processes START makes: the keeper, postgres, valkey, a shell."""


class Kernel:
    """A real IPython kernel that runs code and can be ended in every way."""

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.manager = KernelManager(kernel_name="python3")
        env = {k: v for k, v in os.environ.items() if k != "PYTEST_CURRENT_TEST"}
        self.manager.start_kernel(env=env | {"NEXUS_RUN_DIR": str(run_dir)})
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    @property
    def pid(self) -> int:
        assert self.manager.provisioner is not None
        return int(self.manager.provisioner.pid)  # type: ignore[attr-defined]

    def run(self, code: str, *, timeout: float = PATIENCE) -> tuple[str, str]:
        """Gives what the code printed, and the error it raised (its name and message)."""
        printed: list[str] = []
        errors: list[str] = []

        def collect(message: dict) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                printed.append(content["text"])
            elif message["msg_type"] == "error":
                errors.append(f"{content['ename']}: {content['evalue']}")

        self.client.execute_interactive(
            code, timeout=timeout, output_hook=collect, allow_stdin=False, stop_on_error=False
        )
        return "".join(printed), "".join(errors)

    def run_until_interrupted(self, code: str, says: str, condition: Callable[[], object]) -> None:
        """Runs code, waits until it has printed a text and a condition holds, and interrupts it."""
        # An error aborts what comes in just after it, unless told not to.
        request = self.client.execute(code, stop_on_error=False)
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE)
            if message["msg_type"] == "stream" and says in message["content"]["text"]:
                break
        wait_for(condition, PATIENCE, "the moment to interrupt")
        self.manager.interrupt_kernel()
        while self.client.get_shell_msg(timeout=PATIENCE)["parent_header"].get("msg_id") != request:
            pass  # until the cell has ended: what is queued before would be aborted with it

    def start_servers(self) -> None:
        printed, errors = self.run(START)
        assert "started" in printed, errors
        assert len(processes(self.run_dir)) > SERVERS

    def keeper_pid(self) -> int:
        printed, _ = self.run(
            "from nexus.services import process; print(process.keeper().process.pid)"
        )
        return int(printed)

    def close(self) -> None:
        self.client.stop_channels()
        if self.manager.is_alive():
            self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()
        self.manager.context.destroy()  # its sockets; warnings are errors here


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with run_directory() as directory:
        kernel = Kernel(directory)
        try:
            yield kernel
        finally:
            kernel.close()


def test_shutdown(kernel: Kernel) -> None:
    kernel.start_servers()
    kernel.manager.shutdown_kernel()
    expect_nothing(kernel.run_dir)


def test_sigkill(kernel: Kernel) -> None:
    kernel.start_servers()
    os.kill(kernel.pid, signal.SIGKILL)
    expect_nothing(kernel.run_dir)


def test_sigkill_ends_a_mariadb_too(kernel: Kernel) -> None:
    printed, errors = kernel.run(
        "import nexus\n"
        "try:\n    maria = nexus.mariadb()\n"
        "except nexus.services.MissingProgram as error:\n    print(error)\n"
        "else:\n    print('started')\n"
    )
    if "is not on this machine" in printed and "CI" not in os.environ:
        pytest.skip(printed)
    assert "started" in printed, errors
    os.kill(kernel.pid, signal.SIGKILL)
    expect_nothing(kernel.run_dir)


def test_restart_ends_the_old_servers_and_can_start_new_ones(kernel: Kernel) -> None:
    kernel.start_servers()
    kernel.manager.restart_kernel(now=True)
    kernel.client.wait_for_ready(timeout=PATIENCE)
    wait_for(lambda: list(kernel.run_dir.iterdir()) == [], PATIENCE, "the old servers to be gone")
    kernel.start_servers()


def test_interrupt_leaves_servers_running(kernel: Kernel) -> None:
    kernel.start_servers()
    kernel.run_until_interrupted("import time; print('on'); time.sleep(60)", "on", lambda: True)
    printed, errors = kernel.run(
        "print(pg.connect().execute('SELECT 1').fetchone(), cache.connect().ping())"
    )
    assert printed == "(1,) True\n", errors


def test_interrupt_while_a_server_starts_leaves_no_half_started_one(kernel: Kernel) -> None:
    code = "import nexus\nprint('starting')\nnexus.serve(['sh', '-c', 'sleep 1000'], ready='never')"

    def shell_runs() -> bool:
        return any("sleep 1000" in line for line in processes(kernel.run_dir))

    kernel.run_until_interrupted(code, "starting", shell_runs)
    assert not shell_runs()
    printed, errors = kernel.run("print(nexus.valkey().connect().ping())")
    assert printed == "True\n", errors


def test_exception_leaves_servers_running_and_the_kernel_ends_them(kernel: Kernel) -> None:
    kernel.start_servers()
    _, errors = kernel.run("1 / 0")
    assert errors.startswith("ZeroDivisionError")
    printed, errors = kernel.run("print(cache.connect().ping())")
    assert printed == "True\n", errors
    kernel.run("exit()")
    wait_for(lambda: not kernel.manager.is_alive(), PATIENCE, "the kernel to exit")
    expect_nothing(kernel.run_dir)


def test_a_scratch_folder_goes_with_a_killed_kernel(kernel: Kernel) -> None:
    printed, errors = kernel.run(
        "import nexus\nfolder = nexus.scratch()\nprint((folder / 'a').write_text('x'), folder)"
    )
    assert errors == ""
    folder = Path(printed.removeprefix("1 ").strip())
    assert folder.is_relative_to(kernel.run_dir.resolve())
    os.kill(kernel.pid, signal.SIGKILL)
    wait_for(lambda: not folder.exists(), PATIENCE, "the folder to be gone")


def test_sigkill_of_the_keeper(kernel: Kernel) -> None:
    kernel.start_servers()
    os.kill(kernel.keeper_pid(), signal.SIGKILL)
    wait_for(lambda: list(kernel.run_dir.iterdir()) == [], PATIENCE, "the directory to be gone")
    printed, errors = kernel.run("print(pg)\npg.psql('SELECT 1').check_returncode()")
    assert printed == "<postgres, stopped>\n"
    assert "CalledProcessError" in errors
    _, errors = kernel.run("pg.start()")
    assert "start them again" in errors or "was killed" in errors
    printed, errors = kernel.run("pg = nexus.postgres(); print(pg)")
    assert printed == "<postgres, running>\n", errors


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
def test_sigkill_of_kernel_and_keeper_at_once(kernel: Kernel) -> None:
    kernel.start_servers()
    keeper_pid = kernel.keeper_pid()
    os.kill(kernel.pid, signal.SIGSTOP)  # so that it cannot do the keeper's work
    os.kill(keeper_pid, signal.SIGKILL)
    os.kill(kernel.pid, signal.SIGKILL)
    servers = ("postgres", "valkey-server")
    wait_for(
        lambda: not any(name in p for p in processes(kernel.run_dir) for name in servers),
        PATIENCE,
        "the servers to be gone",
    )
    stale = list(kernel.run_dir.iterdir())
    assert len(stale) == 1, "the directory is left, for the next keeper"
    start_and_end(kernel.run_dir)


def test_sigkill_of_a_server_is_noticed_and_it_can_be_started_again(kernel: Kernel) -> None:
    kernel.start_servers()
    kernel.run("db = pg.connect(autocommit=True); db.execute('CREATE TABLE t AS SELECT 1 AS n')")
    kernel.run("import os, signal; os.kill(pg.pid, signal.SIGKILL)")
    wait_for(lambda: kernel.run("print(pg.running)")[0] == "False\n", PATIENCE, "it to be noticed")
    printed, errors = kernel.run("pg.start(); print(pg.connect().execute('TABLE t').fetchall())")
    assert printed == "[(1,)]\n", errors


def test_forked_children_do_not_keep_servers_alive(kernel: Kernel) -> None:
    kernel.start_servers()
    kernel.run(
        "import os, time\n"
        "if os.fork() == 0:\n"
        "    os.chdir('/'); os.execve('/bin/sleep', ['sleep', '1000'], {})"
    )
    kernel.run("import os, time\nif os.fork() == 0:\n    time.sleep(1000); os._exit(0)")
    forked = psutil.Process(kernel.pid).children()
    forked = [child for child in forked if child.pid != kernel.keeper_pid()]
    os.kill(kernel.pid, signal.SIGKILL)
    try:
        wait_for(lambda: list(kernel.run_dir.iterdir()) == [], PATIENCE, "the directory to be gone")
        assert [child.is_running() for child in forked] == [True, True]
    finally:
        for child in forked:
            child.kill()


def test_two_kernels_never_meet(kernel: Kernel) -> None:
    other = Kernel(kernel.run_dir)
    try:
        kernel.start_servers()
        other.start_servers()
        kernel.run("pg.psql('CREATE TABLE mine (n int)')")
        assert other.run("print(pg.psql('TABLE mine').stderr)")[0].startswith("ERROR")
        os.kill(other.pid, signal.SIGKILL)
        wait_for(lambda: len(list(kernel.run_dir.iterdir())) == 1, PATIENCE, "the other's end")
        assert kernel.run("print(cache.connect().ping())")[0] == "True\n"
    finally:
        other.close()


def test_script_leaves_nothing_when_it_returns() -> None:
    with run_directory() as directory:
        start_and_end(directory)
        assert processes(directory) == []
        assert list(directory.iterdir()) == []


def test_sweep_clears_what_is_dead() -> None:
    with run_directory() as directory:
        dead = directory / f"{keeper_program.PREFIX}dead"
        (dead / "postgres-1" / "data").mkdir(parents=True)
        (dead / "lock").touch()
        orphan = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        stranger = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (dead / "servers").write_text(
            f"{orphan.pid} {keeper_program.born(orphan.pid)}\n"
            f"{stranger.pid} another-time\n"  # the number was given again
        )
        try:
            keeper_program.sweep(directory)
            assert not dead.exists()
            assert orphan.wait(timeout=PATIENCE) == -signal.SIGKILL
            assert stranger.poll() is None
        finally:
            for process in (orphan, stranger):
                process.kill()
                process.wait()


def test_sweep_touches_nothing_else() -> None:
    with run_directory() as directory:
        spared = [
            directory / f"{keeper_program.PREFIX}young",  # its keeper has not made the lock yet
            directory / "nexus-notes",  # a reader's own
        ]
        for path in spared:
            path.mkdir()
            (path / "file").touch()
            os.utime(path, (0, 0))
        (spared[1] / "lock").touch()
        elsewhere = directory / f"{keeper_program.PREFIX}link"
        elsewhere.symlink_to(spared[1])
        living = directory / f"{keeper_program.PREFIX}living"
        living.mkdir()
        with (living / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            keeper_program.sweep(directory)
        assert all((path / "file").exists() for path in spared)
        assert living.exists()
        elsewhere.unlink()
        for path in (*spared, living):
            shutil.rmtree(path)


def start_and_end(directory: Path) -> None:
    """Starts a server in a fresh interpreter that then ends by itself."""
    subprocess.run(
        [sys.executable, "-c", "import nexus; cache = nexus.valkey(); print(cache)"],
        env=os.environ | {"NEXUS_RUN_DIR": str(directory)},
        check=True,
        capture_output=True,
    )


def test_a_number_that_a_stranger_has_got_is_not_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    monkeypatch.setattr(os, "killpg", lambda group, _: killed.append(group))
    keeper = keeper_program.Keeper(tmp_path)
    ended = subprocess.Popen(["true"])
    ended.wait()
    running = subprocess.Popen(["sleep", "1000"])
    try:
        keeper.servers[running.pid] = ended  # as if the number had come round
        keeper.kill_group(running.pid)
        assert killed == []
        keeper.servers[running.pid] = running
        keeper.kill_group(running.pid)
        assert killed == [running.pid]
    finally:
        running.kill()
        running.wait()
    keeper.lock.close()
