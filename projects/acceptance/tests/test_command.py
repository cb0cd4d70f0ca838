"""The command: its arguments, its exit status, and its three reports."""

import re
import socket
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as Xml

import pytest
import reference

from acceptance.__main__ import main

HERE = Path(__file__).resolve().parent


def test_it_passes_and_writes_only_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with reference.serve() as url:
        assert main(["notes", "--url", url]) == 0
        assert list(tmp_path.iterdir()) == []
        assert main(["notes", "--url", url, "--junit", "j.xml", "--html", "h.html"]) == 0
    out = capsys.readouterr().out
    assert "Total           31 of  31 points  100 %" in out
    assert "17 passed, 0 failed, 0 skipped" in out
    assert {path.name for path in tmp_path.iterdir()} == {"j.xml", "h.html"}
    suite = Xml.fromstring(Path("j.xml").read_text()).find("testsuite")
    assert suite is not None
    assert suite.attrib["tests"] == "17"
    assert suite.attrib["failures"] == "0"
    assert "<b>100 %</b>" in Path("h.html").read_text()


def test_a_failure_is_explained(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    junit, html = tmp_path / "j.xml", tmp_path / "h.html"
    files = ["--junit", str(junit), "--html", str(html)]
    with reference.serve("anyone-changes", "html-error") as url:
        only = ["--only", "roles", "--only", "errors", "--only", "docs"]
        assert main(["notes", "--url", url, *only, *files]) == 1
    out = capsys.readouterr().out
    assert "✗ roles" in out
    assert "FAILED roles (official)" in out
    assert "    sent:   update, as other: PATCH /notes/" in out
    assert "    came:   update, as other: 200" in out
    assert "    wanted: update, as other: refused" in out
    assert "    read:   Authentication (notebooks/apis/auth.ipynb)" in out
    assert "Security         0 of   3 points    0 %" in out
    summary = re.search(r"1 passed, 2 failed, 0 skipped; \d+ requests", out)
    assert summary is not None
    assert summary[0] in (HERE.parent / "README.md").read_text()
    failures = Xml.fromstring(junit.read_text()).findall(".//failure")
    assert len(failures) == 2
    assert "wanted: " in (failures[0].text or "")
    page = html.read_text()
    assert page.count("<details open>") == 2
    assert "default-src 'none'" in page
    assert not re.search(r"<(script|link|img|iframe)|url\(|@import", page)
    assert "&lt;h1&gt;Not found&lt;/h1&gt;" in page
    assert "<h1>Not found" not in page


def test_an_official_check_that_cannot_run_has_no_points(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "my.toml"
    mapping.write_text('[paths]\nlike = ""\n[auth.logout]\npath = ""')
    given = ["--mapping", str(mapping), "--junit", str(tmp_path / "j.xml")]
    given += ["--html", str(tmp_path / "h.html")]
    with reference.serve() as url:
        official = ["--only", "one-like-a-person"]
        assert main(["notes", "--url", url, *given, *official]) == 1
        assert "0 of   3 points" in capsys.readouterr().out
        assert "paths.like is empty" in (tmp_path / "h.html").read_text()
        assert main(["notes", "--url", url, *given, "--only", "logout"]) == 0
        assert "0 of   0 points" in capsys.readouterr().out
    [skipped] = Xml.fromstring((tmp_path / "j.xml").read_text()).findall(".//skipped")
    assert "auth.logout.path is empty" in skipped.attrib["message"]


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["poll", "--url", "http://a"], "No suite is called 'poll'"),
        (["notes", "--url", "http://a", "--only", "x"], "has no check 'x'. It has: create-and"),
        (["notes", "--url", "nowhere"], "is no address"),
        (["notes", "--url", "http://a", "--mapping", "/none"], "/none cannot be read"),
        (["notes", "--url", closed_port()], "Nothing answers at http://127.0.0.1"),
    ],
)
def test_what_cannot_be_run_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name a suite: "),
        (["notes"], "name the API's address"),
        (["notes", "--timeout", "0"], "from 0 to 120"),
        (["notes", "--timeout", "x"], "invalid seconds value"),
    ],
)
def test_arguments_that_lack_something(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


def test_a_server_that_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert main(["notes", "--url", url, "--timeout", "0.2"]) == 2
    assert "gave no answer in HTTP: nothing in 0." in capsys.readouterr().err


def test_a_report_that_cannot_be_written(capsys: pytest.CaptureFixture[str]) -> None:
    with reference.serve() as url:
        given = ["notes", "--url", url, "--only", "docs", "--html", "/none/h.html"]
        assert main(given) == 2
    assert "/none/h.html cannot be written: No such file" in capsys.readouterr().err


def test_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    assert "notes        Notes that people share" in capsys.readouterr().out
    assert main(["notes", "--list"]) == 0
    assert "one-like-a-person              Functionality, official." in capsys.readouterr().out
    assert main(["notes", "--show-mapping"]) == 0
    assert "[auth.login]" in capsys.readouterr().out


def test_a_reader_that_stops_reading_sees_no_traceback() -> None:
    command = [sys.executable, "-m", "acceptance", "notes", "--show-mapping"]
    with subprocess.Popen(
        command, cwd=HERE.parent, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 141


def test_it_is_one_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "acceptance", "--help"],
        cwd=HERE.parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "exit status: 0 if" in done.stdout
