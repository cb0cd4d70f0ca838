"""Export and import of progress: merged, never doubled, and nothing lost whatever the file is."""

import errno
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import nexus
from nexus.__main__ import main
from nexus.judging import moving, records
from nexus.judging.records import ProgressError
from tools import chapters


def tried(tries: int, solved: str | None = None, **more: object) -> dict[str, object]:
    return {"tries": tries, "solved": solved, **more}


class Computer:
    """A place where a reader works."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.path, self.patch = folder / "progress.json", patch
        self.exported = folder / "moved.json"

    def use(self) -> "Computer":
        self.patch.setenv("NEXUS_PROGRESS", str(self.path))
        return self

    def tries(self, name: str, *rights: bool) -> None:
        self.use()
        for right in rights:
            records.record(name, right=right)

    def export(self) -> Path:
        self.use()
        return nexus.export_progress(self.exported)

    def imports(self, path: Path) -> moving.Imported:
        self.use()
        return nexus.import_progress(path)

    @property
    def kept(self) -> dict[str, dict]:
        found = json.loads(self.path.read_text())
        return {name: found[name] for name in moving.names(found)}

    def total(self, name: str) -> int:
        record = self.kept[name]
        return record["tries"] + sum(record.get("elsewhere", {}).values())


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    return Computer(tmp_path / "home", monkeypatch).use()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Computer:
    return Computer(tmp_path / "work", monkeypatch)


# Merging


def test_both_computers_count_once(home: Computer, work: Computer) -> None:
    home.tries("caching.1", False, False, True)
    work.tries("caching.1", False)
    work.tries("graphql.2", True)
    assert repr(work.imports(home.export())) == "0 new, 1 changed, 0 as before"
    assert work.total("caching.1") == 4
    assert work.kept["caching.1"]["solved"]
    assert repr(home.imports(work.export())) == "1 new, 1 changed, 0 as before"
    assert home.total("caching.1") == work.total("caching.1") == 4
    assert set(home.kept) == set(work.kept) == {"caching.1", "graphql.2"}


def test_a_second_import_changes_no_byte(home: Computer, work: Computer) -> None:
    home.tries("caching.1", False, True)
    work.tries("caching.1", False)
    work.imports(home.export())
    before = work.path.read_bytes()
    assert repr(work.imports(home.exported)) == "0 new, 0 changed, 1 as before"
    assert work.path.read_bytes() == before


def test_ones_own_export_changes_nothing(home: Computer) -> None:
    home.tries("caching.1", False, True)
    exported = home.export()
    before = home.path.read_bytes()
    assert not home.imports(exported).changed
    assert home.path.read_bytes() == before
    home.tries("caching.1", False)
    home.imports(exported)
    assert home.total("caching.1") == 3


def test_the_order_of_imports_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = []
    for number in range(3):
        one = Computer(tmp_path / f"c{number}", monkeypatch)
        one.tries("caching.1", *[False] * (number + 1))
        one.tries(f"caching.{number + 2}", True)
        exports.append(one.export())
    seen = []
    for number, order in enumerate(itertools.permutations(exports)):
        new = Computer(tmp_path / f"new{number}", monkeypatch)
        for exported in (*order, *order):
            new.imports(exported)
        seen.append(new.kept)
    assert all(kept == seen[0] for kept in seen)
    assert sum(seen[0]["caching.1"]["elsewhere"].values()) == 6


def test_what_came_by_way_of_a_third_computer_counts_once(
    home: Computer, work: Computer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    third = Computer(tmp_path / "third", monkeypatch)
    home.tries("caching.1", False, False)
    work.imports(home.export())
    third.imports(work.export())
    third.imports(home.exported)
    assert third.total("caching.1") == 2


def test_the_first_day_of_solving_stays(home: Computer, work: Computer) -> None:
    home.path.write_text(json.dumps({"caching.1": tried(1, "2026-11-20")}))
    work.path.write_text(json.dumps({"caching.1": tried(2, "2026-11-10")}))
    home.imports(work.export())
    assert home.kept["caching.1"]["solved"] == "2026-11-10"
    work.imports(home.export())
    assert work.kept["caching.1"]["solved"] == "2026-11-10"


def test_what_is_solved_there_is_solved_here(home: Computer, work: Computer) -> None:
    home.tries("caching.1", True)
    work.imports(home.export())
    assert nexus.progress().headline.startswith("1 of ")


def test_an_exercise_that_only_a_newer_book_knows_is_kept(home: Computer, work: Computer) -> None:
    home.path.write_text(json.dumps({"future.7": tried(1, "2026-11-20", stars=5)}))
    assert work.imports(home.export()).new == ("future.7",)
    assert work.kept["future.7"]["stars"] == 5
    assert work.kept["future.7"]["solved"] == "2026-11-20"


def test_an_empty_progress_can_be_moved(home: Computer, work: Computer) -> None:
    assert repr(work.imports(home.export())) == "0 new, 0 changed, 0 as before"


# Older files


@pytest.mark.parametrize(("old", "new"), records.FORMER.items())
def test_an_export_under_former_names_is_carried_over(
    home: Computer, work: Computer, old: str, new: str
) -> None:
    older = {"format": "nexus-progress", "version": 1, "computer": "abc"}
    older["exercises"] = {f"{old}.2": tried(3, "2026-11-02")}  # type: ignore[assignment]
    home.exported.write_text(json.dumps({**older, "sum": moving.checksum(older)}))
    work.tries(f"{new}.2", False)
    for _ in range(2):
        work.imports(home.exported)
    assert set(work.kept) == {f"{new}.2"}
    assert work.total(f"{new}.2") == 4
    assert work.kept[f"{new}.2"]["solved"] == "2026-11-02"


def test_both_names_in_one_file_keep_the_tries_of_other_computers(home: Computer) -> None:
    old, new = tried(1, elsewhere={"a": 2}), tried(3, "2026-11-02", elsewhere={"a": 4, "b": 5})
    home.path.write_text(json.dumps({"ci.1": old, "ci-cd.1": new}))
    home.tries("caching.1", True)
    assert home.kept["ci-cd.1"] == tried(4, "2026-11-02", elsewhere={"a": 6, "b": 5})


def test_a_copy_of_an_older_progress_file_is_taken_and_never_counted_twice(
    home: Computer, work: Computer
) -> None:
    older = home.path.with_name("older.json")
    older.write_text(json.dumps({"indexes.1": tried(3, "2026-11-02"), "caching.1": tried(2)}))
    work.tries("caching.1", False, False, False)
    for _ in range(3):
        work.imports(older)
    assert work.total("caching.1") == 3
    assert work.total("indexes-and-plans.1") == 3


def test_a_backup_of_ones_own_older_file_adds_nothing(home: Computer) -> None:
    home.path.write_text(json.dumps({"caching.1": tried(2)}))
    backup = home.path.with_name("backup.json")
    backup.write_bytes(home.path.read_bytes())
    home.tries("caching.1", True)
    home.imports(backup)
    assert home.total("caching.1") == 3


def test_an_export_that_was_put_in_the_place_of_the_records_is_understood(
    home: Computer, work: Computer
) -> None:
    home.tries("caching.1", True)
    work.path.write_bytes(home.export().read_bytes())
    work.use()
    assert nexus.progress().headline.startswith("1 of ")
    work.tries("caching.1", False)
    assert work.total("caching.1") == 2


# Files that cannot be used


def exported(home: Computer) -> str:
    home.tries("caching.1", False, True)
    home.tries("graphql.1", True)
    return home.export().read_text()


def refused(home: Computer, content: bytes) -> str:
    """Tries to import, and returns why not; nothing may have changed."""
    given = home.path.with_name("given.json")
    given.write_bytes(content)
    before = home.path.read_bytes()
    with pytest.raises(ProgressError) as caught:
        home.imports(given)
    assert home.path.read_bytes() == before
    assert given.read_bytes() == content
    return str(caught.value)


def test_a_file_cut_off_anywhere_is_refused(home: Computer) -> None:
    whole = exported(home)
    for length in range(1, len(whole), 7):
        assert "is damaged or not whole. Export it again" in refused(home, whole[:length].encode())


def test_an_empty_file_is_not_whole(home: Computer) -> None:
    exported(home)
    assert "is damaged or not whole" in refused(home, b"")


def test_a_changed_figure_is_noticed(home: Computer) -> None:
    whole = exported(home)
    for old, new in (('"tries": 2', '"tries": 9'), ("graphql.1", "graphql.3"), ("20", "21")):
        said = refused(home, whole.replace(old, new, 1).encode())
        assert "is damaged: its contents do not fit its sum. Export it again" in said


def test_a_newer_file_says_what_to_do(home: Computer) -> None:
    newer = json.loads(exported(home)) | {"version": 2, "exercises": ["another", "form"]}
    said = refused(home, json.dumps(newer).encode())
    assert "made by a newer version of the book (format 2; this one knows 1)" in said
    assert "git pull" in said


@pytest.mark.parametrize("content", [
    b"[]", b"{}", b"7", b'"text"', b"null", b'{"name": "package", "version": "1.0.0"}',
    b'{"caching.1": 3}', b'{"caching.1": {"tries": "x"}}', b'{"computer": "abc"}',
    b'{"caching.1": {"tries": -1, "solved": null}}', b'{"format": "other", "exercises": {}}',
])  # fmt: skip
def test_a_foreign_file_is_refused(home: Computer, content: bytes) -> None:
    exported(home)
    assert "holds no progress of this book. Nothing was changed" in refused(home, content)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n", b"\xff\xfe", b"<html>", b"[" * 100_000])
def test_what_is_no_json_is_refused(home: Computer, content: bytes) -> None:
    exported(home)
    assert "is damaged or not whole" in refused(home, content)


def test_what_is_far_too_large_is_not_read(home: Computer) -> None:
    exported(home)
    assert "is too large" in refused(home, b" " * (moving.LARGEST + 1))


def test_a_file_that_is_not_there_is_named(home: Computer) -> None:
    with pytest.raises(ProgressError, match=r"nothing\.json cannot be read: No such file"):
        home.imports(home.path.with_name("nothing.json"))
    with pytest.raises(ProgressError, match="Is a directory"):
        home.imports(home.path.parent)


@pytest.mark.parametrize("strange", [
    ["no", "record"], {"tries": "x", "solved": None}, {"tries": -2, "solved": None},
    {"tries": 1, "solved": "yesterday"}, {"tries": True, "solved": None}, {"stars": 5},
])  # fmt: skip
def test_a_record_that_nobody_understands_is_left_out_and_named(
    home: Computer, work: Computer, strange: object
) -> None:
    home.path.write_text(json.dumps({"caching.1": tried(1, "2026-11-02"), "caching.2": strange}))
    done = work.imports(home.export())
    assert (done.new, done.left_out) == (("caching.1",), ("caching.2",))
    assert repr(done).endswith("not understood, and left out: caching.2")


def test_ones_own_strange_record_is_set_aside_before_it_is_replaced(
    home: Computer, work: Computer
) -> None:
    home.tries("caching.1", True)
    strange = json.dumps({"caching.1": ["not", "a", "record"]})
    work.path.write_text(strange)
    work.imports(home.export())
    assert work.total("caching.1") == 1
    assert work.path.with_suffix(".unreadable").read_text() == strange


def test_two_damaged_files_are_both_kept(home: Computer) -> None:
    for content in (b"{", b"[", b"["):
        home.path.write_bytes(content)
        home.tries("caching.1", False)
    assert home.path.with_suffix(".unreadable").read_bytes() == b"{"
    assert home.path.with_suffix(".unreadable-2").read_bytes() == b"["
    assert not home.path.with_suffix(".unreadable-3").exists()


# Places that cannot be used


def test_a_folder_or_anothers_file_is_not_overwritten(home: Computer) -> None:
    home.tries("caching.1", True)
    before = home.path.read_bytes()
    with pytest.raises(ProgressError, match="holds your progress itself"):
        nexus.export_progress(home.path)
    with pytest.raises(ProgressError, match=r"is a folder: name a file in it"):
        nexus.export_progress(home.path.parent)
    readme = home.path.with_name("README.md")
    readme.write_text("# Mine\n")
    with pytest.raises(ProgressError, match="is there and is no export"):
        nexus.export_progress(readme)
    with pytest.raises(ProgressError, match="is there and is no export"):
        nexus.export_progress(os.devnull)
    assert readme.read_text() == "# Mine\n"
    assert home.path.read_bytes() == before


def test_an_older_export_is_replaced(home: Computer) -> None:
    home.tries("caching.1", True)
    first = home.export().read_text()
    home.tries("caching.2", True)
    assert home.export().read_text() != first


def test_where_nothing_is_kept_it_says_how_to_keep_it(
    home: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.tries("caching.1", True)
    home.export()
    monkeypatch.setenv("NEXUS_PROGRESS", "off")
    for call in (nexus.export_progress, nexus.import_progress):
        with pytest.raises(ProgressError, match="Set NEXUS_PROGRESS to the path of a file"):
            call(home.exported)


def test_an_export_into_a_folder_that_is_not_there_says_so(home: Computer) -> None:
    home.tries("caching.1", True)
    with pytest.raises(ProgressError, match="cannot be written: No such file"):
        nexus.export_progress(home.path.parent / "nowhere" / "moved.json")


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES, errno.EDQUOT])
def test_a_read_only_or_full_place_loses_nothing(
    home: Computer, work: Computer, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    home.tries("caching.1", True)
    exported = home.export()
    work.tries("caching.2", True)
    work.export()
    before = {path: path.read_bytes() for path in work.path.parent.iterdir()}

    def fails(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fails)
    for call, given in ((nexus.import_progress, exported), (nexus.export_progress, work.exported)):
        with pytest.raises(ProgressError) as caught:
            call(given)
        assert f"cannot be written: {os.strerror(number)}. Free some space" in str(caught.value)
        assert "Nothing is lost" in str(caught.value)
    assert {path: path.read_bytes() for path in work.path.parent.iterdir()} == before


FULL = """
import resource, sys
import nexus
resource.setrlimit(resource.RLIMIT_FSIZE, (150, resource.RLIM_INFINITY))
try:
    nexus.import_progress(sys.argv[1])
except Exception as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_fills_in_the_middle_of_a_file_loses_nothing(
    home: Computer, work: Computer
) -> None:
    for number in range(1, 5):
        home.tries(f"caching.{number}", True)
    exported = home.export()
    work.tries("graphql.1", True)
    before = work.path.read_bytes()
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(exported)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("ProgressError ")
    assert "cannot be written: File too large. Free some space" in done.stdout
    assert work.path.read_bytes() == before
    assert {path.name for path in work.path.parent.iterdir()} == {"progress.json", "progress.lock"}


def test_progress_on_a_read_only_disk_can_still_be_saved_elsewhere(
    home: Computer, work: Computer, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.tries("caching.1", True)

    def fails(*_: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(records, "store", fails)
    exported = home.export()
    monkeypatch.undo()
    for _ in range(2):
        work.imports(exported)
    assert work.total("caching.1") == 1


def test_records_that_cannot_be_read_are_not_taken_for_none(
    home: Computer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home.tries("caching.1", True)
    before = home.path.read_bytes()

    def fails(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fails)
        records.record("caching.2", right=True)
        for call in (nexus.progress, lambda: nexus.export_progress(home.exported)):
            with pytest.raises(ProgressError, match="cannot be read: Permission denied"):
                call()
    assert "(progress could not be kept in " in capsys.readouterr().out
    assert home.path.read_bytes() == before


def test_a_link_to_the_records_stays_a_link(home: Computer, tmp_path: Path) -> None:
    real = tmp_path / "synchronised.json"
    real.write_text("{}")
    home.path.symlink_to(real)
    home.tries("caching.1", True)
    assert home.path.is_symlink()
    assert "caching.1" in real.read_text()


# From a terminal


def test_the_commands(home: Computer, work: Computer, capsys: pytest.CaptureFixture[str]) -> None:
    home.tries("caching.1", True)
    assert main(["export", str(home.exported)]) == 0
    work.use()
    assert main(["import", str(home.exported)]) == 0
    assert main(["progress"]) == 0
    assert main(["plan", "--start", "2026-12-01", "--minutes", "30"]) == 0
    assert main(["portfolio", str(work.path.with_name("skills.svg")), "--name", "Ada"]) == 0
    out = capsys.readouterr().out
    assert "1 new, 0 changed, 0 as before\n1 of " in out
    assert "Tue 2026-12-01" in out
    home.exported.write_text("{")
    assert main(["import", str(home.exported)]) == 1
    assert main(["plan", "--start", "tomorrow"]) == 1
    assert "nexus: " in capsys.readouterr().err


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("words", [["nexus", "progress"], ["nexus.review", "projects/polls"]])
def test_a_reader_that_stops_reading_sees_no_traceback(words: list[str]) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", *words],
        cwd=chapters.ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == -signal.SIGPIPE


@pytest.mark.usefixtures("home")
def test_the_program_runs_and_leaves_the_function_alone() -> None:
    command = [sys.executable, "-W", "error", "-m", "nexus", "progress"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert " exercises solved" in done.stdout
    assert callable(nexus.progress)
