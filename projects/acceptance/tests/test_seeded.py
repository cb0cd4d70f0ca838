"""Suites pass on the projects beside this one, and name the faults that are seeded there."""

import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
import seeded
from seeded import Edit, Fault, NotNamed, Plan, Servers

from acceptance.run import load

HERE = Path(__file__).resolve().parent
PLANS = seeded.plans()
EVERY = pytest.mark.parametrize("plan", PLANS, ids=[plan.suite for plan in PLANS])


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    with seeded.servers() as given:
        yield given


@EVERY
def test_faults_are_well_declared(plan: Plan) -> None:
    if not plan.project.is_dir():
        pytest.skip(plan.missing)
    names = [fault.name for fault in plan.faults]
    assert len(set(names)) == len(names) >= 12
    assert {fault.check for fault in plan.faults} <= {c.name for c in load(plan.suite).checks}
    assert 1 <= sum(fault.quick for fault in plan.faults) <= 2
    for fault in plan.faults:
        for edit in fault.edits:
            assert (plan.project / edit.file).read_text().count(edit.text) == 1, fault


@EVERY
def test_the_project_passes_and_quick_faults_are_named(plan: Plan, servers: Servers) -> None:
    if plan.missing:
        pytest.skip(plan.missing)
    seeded.unbroken(plan, servers)
    for fault in plan.faults:
        if fault.quick:
            seeded.named(plan, fault, servers)


# -- The mechanism itself, on a project made of the reference API


@pytest.fixture
def notes(tmp_path: Path) -> Plan:
    project = tmp_path / "notes"
    project.mkdir()
    shutil.copy(HERE.parent / "local.py", project)
    shutil.copy(HERE / "reference.py", project)
    settings = """
        [tool.local]
        servers = ["postgres"]
        [tool.local.environment]
        [tool.local.run]
        first = []
        say = []
        programs = { web = "python reference.py {port}" }
        """
    (project / "pyproject.toml").write_text(textwrap.dedent(settings))
    return Plan("notes", project, {}, ())


def fault(check: str, text: str, replacement: str) -> Fault:
    return Fault("a-fault", (Edit("reference.py", text, replacement),), "A reason.", check)


def test_an_unbroken_project_passes_and_a_broken_one_is_named(
    notes: Plan, servers: Servers
) -> None:
    assert seeded.unbroken(notes, servers) < 20
    broken = fault("roles", "if not may and", "if False and")
    result = seeded.named(notes, broken, servers)
    assert "delete, as other" in str(result.failure)


def test_what_is_no_fault_is_not_named(notes: Plan, servers: Servers) -> None:
    harmless = fault("docs", "<h1>Notes</h1>", "<h1>Our notes</h1>")
    with pytest.raises(NotNamed, match="nobody names the fault a-fault"):
        seeded.named(notes, harmless, servers)


def test_a_project_that_does_not_start_is_not_a_fault_that_is_named(
    notes: Plan, servers: Servers
) -> None:
    with pytest.raises(NotNamed, match="does not start"):
        seeded.named(notes, fault("docs", "import base64", "import base63"), servers)


def test_a_text_must_be_there_once(notes: Plan, servers: Servers) -> None:
    with pytest.raises(NotNamed, match="has the text 0 times"):
        seeded.named(notes, fault("docs", "not in there", ""), servers)


def test_a_broken_project_is_not_called_unbroken(notes: Plan, servers: Servers) -> None:
    edit = Edit("reference.py", 'return 200, "<h1>Notes</h1>"', 'raise Problem(404, "Gone")')
    edit.apply(notes.project)
    with pytest.raises(NotNamed, match=r"(?s)fails:.*docs failed"):
        seeded.unbroken(notes, servers)


def test_a_fault_with_an_unknown_key_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "notes.toml"
    text = 'name="a"\nfile="f"\ntext="t"\nreplacement="r"\nwhy="w"\ncheck="docs"\nquik=true'
    file.write_text(f'project = "notes"\n[[fault]]\n{text}')
    with pytest.raises(NotNamed, match="quik"):
        seeded.plan(file)
