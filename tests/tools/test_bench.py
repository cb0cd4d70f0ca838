"""What make bench measures with: memory of a family of processes, weight of a page, whole files."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.services.process import wait_for
from tools import bench, chapters


def test_watch_counts_children_and_names_servers() -> None:
    code = (
        "import subprocess, sys; block = bytearray(60_000_000)\n"
        "subprocess.run([sys.executable, '-c', "
        "'block = bytearray(60_000_000); input()', '/bin/postgres'])"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE)
    try:
        watch = bench.Watch(process.pid)
        watch.start()
        wait_for(lambda: watch.peak > 120_000_000, 20, "both blocks to be counted")
    finally:
        watch.over.set()
        watch.join()
        process.communicate(b"\n")
    assert watch.peak < 400_000_000
    assert watch.servers <= {"PostgreSQL"}


def test_page_weight_counts_scripts_and_styles_once(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(
        '<link rel="stylesheet" href="a.css?digest=1"><script src="b.js"></script>'
        '<script src="b.js"></script><a href="other.html">x</a><img src="c.png">'
    )
    (tmp_path / "a.css").write_text("a" * 1000)
    (tmp_path / "b.js").write_text("b" * 1000)
    (tmp_path / "c.png").write_bytes(b"c" * 1000)
    counted = ("page.html", "a.css", "b.js")
    expected = sum(len(gzip.compress((tmp_path / name).read_bytes())) for name in counted)
    assert bench.page_weight(tmp_path / "page.html") == expected


def test_every_chapter_was_measured_and_holds_its_budget() -> None:
    rows = bench.stored()
    names = [path.stem for path in chapters.in_book()]
    assert [row["chapter"] for row in rows] == names, (
        "make bench CHAPTER=… measures what is missing"
    )
    assert [complaint for row in rows for complaint in bench.over_budget(row)] == []


@pytest.mark.parametrize(
    ("seconds", "memory", "complaints"),
    [
        ("60", "512", []),
        ("61", "512", ["x: 61 seconds are too many; the budget is 60"]),
        ("9", "513", ["x: 513 memory_mb are too many; the budget is 512"]),
    ],
)
def test_over_budget(seconds: str, memory: str, complaints: list[str]) -> None:
    row = {"chapter": "x", "seconds": seconds, "memory_mb": memory}
    assert bench.over_budget(row) == complaints


def test_one_chapter_measured_anew_leaves_the_others() -> None:
    old = [{"chapter": name, "seconds": 1} for name in ("gone", "b", "a")]
    new = [{"chapter": "b", "seconds": 2}, {"chapter": "new", "seconds": 3}]
    rows = bench.merged(old, new, ["a", "b", "new", "never measured"])
    assert [(row["chapter"], row["seconds"]) for row in rows] == [("a", 1), ("b", 2), ("new", 3)]


def test_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    bench.write(path, [{"figure": "a, b", "value": 1}])
    assert path.read_text() == 'figure,value\n"a, b",1\n'
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        bench.write(path, [{"figure": "x"}, {"other": 2}])
    assert path.read_text() == 'figure,value\n"a, b",1\n'
