"""The strict run itself: what must fail does, and what a reader sees is what is compared."""

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytestmark = pytest.mark.long(30)

ROOT = Path(__file__).resolve().parent.parent.parent


def printed(text: str, name: str = "stdout") -> nbformat.NotebookNode:
    return new_output("stream", name=name, text=text)


def raised(name: str, value: str) -> nbformat.NotebookNode:
    return new_output("error", ename=name, evalue=value, traceback=[])


def cell(
    source: str,
    *outputs: nbformat.NotebookNode,
    count: int | None = 1,
    tags: tuple[str, ...] = (),
) -> nbformat.NotebookNode:
    return new_code_cell(
        source, outputs=list(outputs), execution_count=count, metadata={"tags": list(tags)}
    )


BAD_MAGIC = "UsageError: Line magic function `%badmagic` not found.\n"
SVG = "from IPython.display import SVG\nSVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>')"

# Name: cells, and what the first failure says (None: all pass).
NOTEBOOKS = {
    "right": ([cell("print(1)", printed("1\n"))], None),
    "wrong": ([cell("print(1)", printed("2\n"))], "Cell outputs differ"),
    "missing": ([cell("x = 1", printed("2\n"))], "Cell outputs differ"),
    "unexpected": ([cell("print(1)")], "Cell outputs differ"),
    "unrun": ([cell("1 / 1", count=None)], "stored without having been run"),
    "raises": ([cell("1 / 0")], "Cell execution caused an exception"),
    "raises-as-stored": (
        [
            cell(
                "1 / 0", raised("ZeroDivisionError", "division by zero"), tags=("raises-exception",)
            )
        ],
        None,
    ),
    "raises-otherwise": (
        [cell("1 / 0", raised("KeyError", "'x'"), tags=("raises-exception",))],
        "Cell outputs differ",
    ),
    "raises-no-more": (
        [
            cell(
                "1 / 1", raised("ZeroDivisionError", "division by zero"), tags=("raises-exception",)
            )
        ],
        "Cell outputs differ",
    ),
    "bad-magic": ([cell("%badmagic")], "Cell outputs differ"),
    "bad-magic-as-stored": ([cell("%badmagic", printed(BAD_MAGIC, "stderr"))], "writes to stderr"),
    "bad-magic-not-compared": (
        [cell("%badmagic", tags=("nbval-ignore-output",))],
        "writes to stderr",
    ),
    "bash-fails": ([cell("%%bash\nfalse")], "Cell execution caused an exception"),
    "another-picture": (
        [
            cell(
                SVG,
                new_output(
                    "execute_result",
                    data={
                        "image/svg+xml": "<svg><circle/></svg>",
                        "text/plain": "<IPython.core.display.SVG object>",
                    },
                    execution_count=1,
                ),
            )
        ],
        "Cell outputs differ",
    ),
    "child-process": (
        [cell("import subprocess\n_ = subprocess.run(['echo', 'seen'])", printed("seen\n"))],
        None,
    ),
    "in-order": (
        [cell("x = 0", count=1)]
        + [cell("x += 1\nprint(x)", printed(f"{n}\n"), count=n + 1) for n in range(1, 9)],
        None,
    ),
    "environment": (
        [
            cell(
                "import os\n"
                "print([name for name in os.environ if name.startswith('PYTEST')])\n"
                "print(os.environ['NEXUS_PROGRESS'], 'mine' in globals())",
                printed("[]\noff False\n"),
            )
        ],
        None,
    ),
    "runs-only-once": (
        [cell("assert 'x' not in globals()\nx = 1")],
        "code cell 0 fails the second time: AssertionError",
    ),
    "says-that-it-runs-only-once": (
        [cell("assert 'x' not in globals()\nx = 1", tags=("once",))],
        None,
    ),
    "raises-each-time": (
        [
            cell(
                "1 / 0", raised("ZeroDivisionError", "division by zero"), tags=("raises-exception",)
            )
        ],
        None,
    ),
    "kernel-dies": ([cell("import os\nos.kill(os.getpid(), 9)")], "the kernel died"),
    "takes-too-long": ([cell("import time\ntime.sleep(60)")], "Timeout of 10 seconds exceeded"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """Run all of them once; return the failures of each."""
    folder = tmp_path_factory.mktemp("strict")
    for name, (cells, _) in NOTEBOOKS.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    # A user's own settings, which must not be seen.
    profile = folder / "ipython" / "profile_default" / "startup"
    profile.mkdir(parents=True)
    for startup in (profile / "mine.py", folder / "startup.py"):
        startup.write_text("mine = 1\n")
    own = {
        "IPYTHONDIR": str(folder / "ipython"),
        "PYTHONSTARTUP": str(folder / "startup.py"),
    }
    report = folder / "report.xml"
    options = ["-p", "conftest", "-c", "pyproject.toml", "--nbval", "--again"]
    options += ["--nbval-cell-timeout=10"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", "--color=no", folder],
        cwd=ROOT,
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    assert report.exists(), run.stdout + run.stderr
    found = {name: [] for name in NOTEBOOKS}
    for case in ElementTree.parse(report).iter("testcase"):
        for failure in (*case.findall("failure"), *case.findall("error")):
            name = case.get("classname").rpartition(".")[0].rpartition(".")[2]
            found[name].append(failure.text)
    return found


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_strict_run(failures: dict[str, list[str]], name: str) -> None:
    expected = NOTEBOOKS[name][1]
    if expected is None:
        assert failures[name] == []
    else:
        assert expected in failures[name][0], json.dumps(failures, indent=1)
