"""What make bench measures with: memory of a family of processes, weight of a page, whole files."""

import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from nexus.services.process import wait_for
from tools import bench


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


def test_write_is_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    bench.write(path, [{"figure": "a, b", "value": 1}])
    assert path.read_text() == 'figure,value\n"a, b",1\n'
    with pytest.raises(ValueError, match="fields not in fieldnames"):
        bench.write(path, [{"figure": "x"}, {"other": 2}])
    assert path.read_text() == 'figure,value\n"a, b",1\n'
