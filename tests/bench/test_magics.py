"""%%psql and %%explain in a real IPython shell, and the short tracebacks."""

import sys
from collections.abc import Iterator

import pytest
from IPython.core.interactiveshell import InteractiveShell

import nexus
from nexus import magics
from nexus.services import Postgres, ServiceError
from nexus.services.process import Server
from nexus.versions import version

# Most tests need the server only as "the one that was started last".
needs_server = pytest.mark.usefixtures("pg")


@pytest.fixture(scope="module")
def pg() -> Iterator[Postgres]:
    with nexus.postgres() as server:
        yield server


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InteractiveShell]:
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance(ipython_dir=str(tmp_path_factory.mktemp("ipython")))
    shell.history_manager.enabled = False
    shell.colors = "nocolor"
    magics.load(shell)
    yield shell
    InteractiveShell.clear_instance()


def run(shell: InteractiveShell, cell: str) -> None:
    """Runs a cell and raises what it raised."""
    shell.run_cell(cell).raise_error()


@needs_server
def test_psql_prints_what_psql_prints(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    run(shell, "%%psql\nSELECT 1 AS one;")
    assert capsys.readouterr().out == " one \n-----\n   1\n(1 row)\n"


def test_psql_takes_options_and_a_server_by_name(
    pg: Postgres, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    with nexus.postgres() as other:
        shell.push({"primary": pg, "other": other})
        pg.psql("CREATE TABLE here (n int)")
        run(shell, "%%psql primary -At\nSELECT count(*) FROM here")
        assert capsys.readouterr().out == "0\n"
        with pytest.raises(magics.PsqlError, match='relation "here" does not exist'):
            run(shell, "%%psql\nTABLE here")  # the one that was started last
        with pytest.raises(magics.PsqlError, match="does not exist"):
            run(shell, "%%psql other\nTABLE here")
    capsys.readouterr()


@needs_server
def test_psql_shows_notices_and_what_came_before_an_error(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(magics.PsqlError) as failure:
        run(shell, "%%psql -At\nDROP TABLE IF EXISTS nothing;\nSELECT 'before';\nSELECT 1 / 0;\n")
    assert str(failure.value) == "ERROR:  division by zero"
    printed = capsys.readouterr().out
    assert printed.startswith('NOTICE:  table "nothing" does not exist, skipping\nbefore\n')


@needs_server
def test_psql_errors_are_one_line_in_a_notebook(
    shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    shell.run_cell("%%psql\nSELECT 1 / 0")
    assert capsys.readouterr().out.strip() == "PsqlError: ERROR:  division by zero"


@needs_server
def test_psqls_own_complaints_are_errors_too(shell: InteractiveShell) -> None:
    with pytest.raises(magics.PsqlError, match="invalid command"):
        run(shell, "%%psql\n\\nonsense")
    with pytest.raises(magics.PsqlError, match="unrecognized option"):
        run(shell, "%%psql --no-such-option\nSELECT 1")


def test_explain_counts_only_the_statements_own_pages(
    pg: Postgres, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    pg.psql("CREATE TABLE few AS SELECT 1 AS n; VACUUM ANALYZE few")
    run(shell, "%%explain\nSELECT * FROM few ORDER BY n;")
    assert capsys.readouterr().out.splitlines() == [
        "Sort (actual rows=1.00 loops=1)",
        "  Sort Key: n",
        "  Sort Method: quicksort  Memory: 25kB",
        "  Buffers: shared hit=1",
        "  ->  Seq Scan on few (actual rows=1.00 loops=1)",
        "        Buffers: shared hit=1",
    ]


def test_explain_takes_options_and_leaves_nothing_behind(
    pg: Postgres, shell: InteractiveShell, capsys: pytest.CaptureFixture[str]
) -> None:
    pg.psql("CREATE TABLE written (n int)")
    run(shell, "%%explain WAL\nINSERT INTO written VALUES (1)")
    assert "WAL: records=1" in capsys.readouterr().out
    assert pg.psql("SELECT count(*) FROM written", "-At").stdout == "0\n"
    with pytest.raises(magics.PsqlError, match="syntax error"):
        run(shell, "%%explain\nSELEC 1")
    for cell in ("SELECT 1; SELECT 2", " ;", "-- nothing"):
        with pytest.raises(magics.PsqlError, match=r"takes one statement|syntax error"):
            run(shell, f"%%explain\n{cell}")


def test_without_a_server_the_magic_says_what_to_do(
    shell: InteractiveShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Server, "_started", {})
    with pytest.raises(ServiceError, match="no postgres is running"):
        run(shell, "%%psql\nSELECT 1")


def test_importing_nexus_in_a_shell_loads_the_magics(shell: InteractiveShell) -> None:
    shell.magics_manager.magics["cell"].pop("psql")
    for name in [name for name in sys.modules if name == "nexus"]:
        module = sys.modules.pop(name)
    try:
        __import__("nexus")
        assert "psql" in shell.magics_manager.magics["cell"]
    finally:
        sys.modules["nexus"] = module


def test_versions(capsys: pytest.CaptureFixture[str]) -> None:
    nexus.versions("PostgreSQL", "Valkey", "nginx", "psycopg")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [
        *("Python", "PostgreSQL", "Valkey", "nginx", "psycopg")
    ]
    assert all(line.split()[1][0].isdigit() for line in lines)
    assert version("PostgreSQL").startswith("18.")
