"""Pictures say what is there, in the same bytes each time, and point nowhere else."""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from IPython.core.formatters import DisplayFormatter

from nexus import draw, postgres
from nexus.draw import DrawError, Picture
from nexus.plans import Plan, explain
from nexus.services import MissingProgram

DIAGRAMS = Path(__file__).parent.parent.parent / "diagrams"
SVG = "{http://www.w3.org/2000/svg}"
TIMES = "\N{MULTIPLICATION SIGN}"

Connection = psycopg.Connection[tuple[object, ...]]

TABLES = """
    CREATE TABLE "Odd's name" ("a b" int PRIMARY KEY, "${x}; }" text);
    CREATE TABLE label (width int, shape int, style int, class int, "_" int, "*" int);
    CREATE TABLE "Label" (id int);
    CREATE TABLE guest (
        id int PRIMARY KEY, email text NOT NULL UNIQUE, friend int REFERENCES guest);
    CREATE TABLE place (country text, code int, name varchar(40), PRIMARY KEY (country, code));
    CREATE TABLE card (
        guest_id int PRIMARY KEY REFERENCES guest, number text, UNIQUE (guest_id, number));
    CREATE TABLE stay (
        id bigint PRIMARY KEY, guest_id int NOT NULL REFERENCES guest,
        country text NOT NULL, code int, dropped int, city int, region int,
        FOREIGN KEY (country, code) REFERENCES place);
    ALTER TABLE stay DROP COLUMN dropped;
    CREATE TABLE log (day date) PARTITION BY RANGE (day);
    CREATE TABLE log_2026 PARTITION OF log FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
    CREATE SCHEMA other;
    CREATE TABLE other.thing (id int);
    INSERT INTO guest SELECT n, 'g' || n FROM generate_series(1, 500) n;
    INSERT INTO place VALUES ('es', 1, 'Madrid');
    INSERT INTO stay SELECT n, n % 500 + 1, 'es', 1, n % 100, n % 100 / 5
        FROM generate_series(1, 10000) n;
"""


@pytest.fixture(scope="module")
def connection() -> Iterator[Connection]:
    with postgres(autovacuum=False) as server, server.connect(autocommit=True) as connection:
        connection.execute(TABLES)
        connection.execute("VACUUM ANALYZE")
        yield connection


def words(picture: Picture) -> list[str]:
    """The texts drawn in a picture, in their order in the file."""
    root = ET.fromstring(picture.svg)
    return ["".join(text.itertext()).strip() for text in root.iter(f"{SVG}text")]


def boxes(picture: Picture) -> dict[str, list[str]]:
    """The texts of each box, by its heading."""
    found = {}
    for group in ET.fromstring(picture.svg).iter(f"{SVG}g"):
        if group.get("class") == "shape":
            texts = ["".join(text.itertext()) for text in group.iter(f"{SVG}text")]
            heading, *rest = filter(None, texts)
            found[heading] = rest
    return found


def every_kind(connection: Connection) -> Iterator[Picture]:
    yield draw.d2("a -> b", "a leads to b")
    yield draw.plan(explain(connection, "SELECT * FROM stay JOIN guest ON guest_id = guest.id"))
    yield draw.tables(connection)
    yield draw.bars({"B-tree": 21.4, "BRIN": 0.02}, unit="MB", title="Size", alt="two sizes")


def test_same_source_same_bytes(connection: Connection) -> None:
    first, second = list(every_kind(connection)), list(every_kind(connection))
    assert [picture.svg for picture in first] == [picture.svg for picture in second]


def test_a_picture_does_not_depend_on_whose_process_draws_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = draw.d2("a -> b", "a leads to b").svg
    monkeypatch.setenv("D2_THEME", "200")
    monkeypatch.setenv("D2_SKETCH", "1")
    monkeypatch.setenv("D2_LAYOUT", "dagre")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    code = "from nexus import draw; print(draw.d2('a -> b', 'a leads to b').svg)"
    there = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert there.stdout.rstrip("\n") == here


def test_a_picture_is_whole_named_small_and_points_nowhere_else(connection: Connection) -> None:
    for picture in every_kind(connection):
        root = ET.fromstring(picture.svg)
        assert root.tag == f"{SVG}svg"
        assert (root.get("role"), root.get("aria-label")) == ("img", picture.alt)
        assert root.find(f"{SVG}title").text == picture.alt
        assert root.get("width"), "without a width an <img> grows to its page's"
        assert len(picture.svg) < 30_000
        urls = re.findall(r"""(?:href="|url\(["']?|src=["'])([^"')]+)""", picture.svg)
        assert all(url.startswith(("#", "data:")) for url in urls), urls
        outside = re.findall(r"\w+://[^\"'\s<]+", picture.svg)
        assert {url for url in outside if "www.w3.org" not in url} == set()
        assert "<!DOCTYPE" not in picture.svg
        for place in (str(Path.home()), str(Path(__file__).parent.parent.parent), "/tmp"):
            assert place not in picture.svg


def test_notebooks_get_the_picture_and_its_text() -> None:
    picture = draw.d2("a -> b", 'a "leads" to <b> & c')
    data, metadata = DisplayFormatter().format(picture)
    assert data == {"image/svg+xml": picture.svg, "text/plain": picture.alt}
    assert metadata == {"image/svg+xml": {"alt": picture.alt}}
    assert ET.fromstring(picture.svg).get("aria-label") == picture.alt
    assert repr(picture) == f"Picture: {picture.alt}"


def test_figures_that_differ_in_every_run_are_shown_as_png() -> None:
    picture = draw.bars(
        {"a": 1.5, "b": 3}, unit="ms", title="Times", alt="b is slower", steady=False
    )
    data, metadata = DisplayFormatter().format(picture)
    assert set(data) == {"image/png", "text/plain"}
    assert picture.png.startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == "b is slower"


def test_save(tmp_path: Path) -> None:
    picture = draw.d2("a", "a box")
    path = picture.save(tmp_path / "box.svg")
    assert ET.parse(path).getroot().tag == f"{SVG}svg"


@pytest.mark.parametrize("alt", ["", "  "])
def test_a_picture_without_text_is_refused(alt: str) -> None:
    with pytest.raises(DrawError, match="alt"):
        draw.d2("a", alt)


def test_an_error_of_d2_names_the_line() -> None:
    with pytest.raises(DrawError, match=r'line 2, column 12: unknown shape "nosuch"\n    x: \{sh'):
        draw.d2("a -> b\nx: {shape: nosuch}", "x")
    with pytest.raises(DrawError, match="line 2"):
        draw.d2("a -> b\nx: {", "x")


def test_a_source_that_draws_nothing_is_refused() -> None:
    with pytest.raises(DrawError, match="draws nothing"):
        draw.d2("# only a comment", "x")


def test_a_missing_d2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEXUS_D2", "/nowhere/d2")
    with pytest.raises(MissingProgram, match="NEXUS_D2 names /nowhere/d2"):
        draw.d2("a", "x")


# plans


def limited(connection: Connection) -> Plan:
    query = "SELECT * FROM stay WHERE city = 7 AND region = 1 ORDER BY code LIMIT 3"
    return explain(connection, query)


def test_a_plan_shows_its_nodes_and_what_they_took(connection: Connection) -> None:
    plan = limited(connection)
    picture = draw.plan(plan)
    found = boxes(picture)
    assert list(found) == ["Limit", "Sort", "Seq Scan"]
    pages = f"{plan.buffers:,}"
    assert found["Limit"] == ["rows", "3", "own buffers", "0"]
    assert found["Sort"] == ["Sort Key", "code", "rows", "3", "own buffers", "0"]
    scan = ["table", "stay", "Filter", "(city = 7) AND (region = 1)", "rows", "100"]
    scan += ["estimate", f"over 10{TIMES} too low", "far off", "thrown away", "9,900 rows"]
    assert found["Seq Scan"] == [*scan, "own buffers", pages, "most"]
    assert {"3 rows", "100 rows"} <= set(words(picture))
    assert picture.alt == (
        f"Query plan: Limit over Sort over Seq Scan on stay: 3 rows, {pages} buffers; Seq Scan on "
        f"stay asks for all of the buffers; the estimate at Seq Scan on stay is over 10{TIMES} too "
        "low."
    )


def test_a_wrong_estimate_is_said_where_it_begins(connection: Connection) -> None:
    query = "SELECT * FROM stay WHERE city = 7 AND region = 1 ORDER BY code"
    picture = draw.plan(explain(connection, query))
    assert words(picture).count("far off") == 2
    assert "the estimate at Seq Scan on stay is" in picture.alt
    assert "the estimate at Sort" not in picture.alt


def test_the_costly_node_stands_out_by_its_frame_too(connection: Connection) -> None:
    frames = re.findall(r"stroke-width:4", draw.plan(limited(connection)).svg)
    assert frames
    lone = explain(connection, "SELECT * FROM stay")
    assert "stroke-width:4" not in draw.plan(lone).svg  # most of one says nothing
    query = "SELECT FROM guest a JOIN guest b ON b.friend = a.id"
    equals = explain(connection, query)
    assert sorted({node.own for node in equals.nodes}) == [0, 3]
    assert "stroke-width:4" not in draw.plan(equals).svg  # nor does one of two equals


def test_estimates_are_drawn_on_demand(connection: Connection) -> None:
    plan = explain(connection, "SELECT * FROM guest")
    assert "estimate" not in words(draw.plan(plan))
    shown = ["table", "guest", "rows", "500", "estimate", "500", "own buffers", "3"]
    assert boxes(draw.plan(plan, estimates=True))["Seq Scan"] == shown
    both = draw.plan(limited(connection), estimates=True)
    assert re.fullmatch(rf"\d, over 10{TIMES} too low", boxes(both)["Seq Scan"][7])


def test_a_plan_that_did_not_run(connection: Connection) -> None:
    plan = explain(connection, "SELECT * FROM guest", analyze=False)
    picture = draw.plan(plan)
    assert boxes(picture)["Seq Scan"] == ["table", "guest", "estimate", "500 rows"]
    assert picture.alt == "Query plan: Seq Scan on guest: 500 rows estimated, not run."


def test_bitmaps_carry_no_rows(connection: Connection) -> None:
    connection.execute("SET enable_seqscan = off")
    plan = explain(connection, "SELECT * FROM guest WHERE id = 3 OR email = 'g5'")
    connection.execute("RESET ALL")
    assert plan.find("BitmapOr")
    picture = draw.plan(plan)
    assert boxes(picture)["BitmapOr"] == ["own buffers", "0"]
    assert words(picture).count("bitmap") == 3


def test_a_node_that_never_ran_says_so(connection: Connection) -> None:
    connection.execute("SET enable_hashjoin = off; SET enable_mergejoin = off")
    query = "SELECT * FROM stay JOIN guest ON guest.id = guest_id WHERE stay.id = -1"
    found = boxes(draw.plan(explain(connection, query)))
    connection.execute("RESET ALL")
    assert "never run" in [text for texts in found.values() for text in texts]


def test_hostile_text_stays_text(connection: Connection) -> None:
    query = """SELECT * FROM "Odd's name" WHERE "${x}; }" = '</text> # | ${y} \\ "' """
    picture = draw.plan(explain(connection, query))
    assert "Odd's name" in words(picture)
    assert any(text.startswith('"${x}; }" = \'</text> #') for text in words(picture))


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("(a = 1)", "a = 1"),
        ("((a = 1) AND (b = 2))", "(a = 1) AND (b = 2)"),
        ("(a = 1) OR (b = 2)", "(a = 1) OR (b = 2)"),
        ("(a = 'x'::text)", "a = 'x'"),
        ("(a = ANY ('{x}'::text[]))", "a = ANY ('{x}'::text[])"),
        ("(a = 'it''s'::text)", "a = 'it''s'"),
        ("a", "a"),
        ("x" * 39, "x" * 37 + "…"),
    ],
)
def test_conditions_are_made_to_fit(text: str, short: str) -> None:
    assert draw._short(text) == short


# tables


def test_tables_show_columns_types_and_keys(connection: Connection) -> None:
    picture = draw.tables(connection)
    found = boxes(picture)
    names = ["Label", "Odd's name", "card", "guest", "label", "log", "place", "stay"]
    assert list(found) == sorted(found) == names
    assert found["Odd's name"] == ["a b", "integer", "PK", "${x}; }", "text"]
    guest = ["id", "integer", "PK", "email", "text", "UNQ", "friend", "integer", "FK"]
    assert found["guest"] == guest
    assert found["place"][:6] == ["country", "text", "PK", "code", "integer", "PK"]
    assert found["card"] == ["guest_id", "integer", "PK, FK", "number", "text"]
    assert found["label"][::2] == ["width", "shape", "style", "class", "_", "*"]
    assert not [text for text in words(picture) if "dropped" in text]
    assert picture.alt.endswith("stay.guest_id refers to guest, stay.country refers to place.")


def test_references_end_as_the_constraints_say(connection: Connection) -> None:
    ends = {}
    for table, column in (("card", "guest_id"), ("guest", "friend"), ("stay", "guest_id")):
        source = draw_source(connection, [table, "guest"])
        line = next(line for line in source.splitlines() if f".'{column}' <-> " in line)
        ends[table] = re.findall(r"shape: ([\w-]+)", line)
    assert ends == {
        "card": ["cf-one", "cf-one-required"],  # one card at most, of exactly one guest
        "guest": ["cf-many", "cf-one"],  # many, of one or none
        "stay": ["cf-many", "cf-one-required"],
    }


def draw_source(connection: Connection, only: list[str]) -> str:
    """The D2 source that draw.tables makes."""
    sources = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(draw, "_draw", lambda source, *_, **__: sources.append(source))
        draw.tables(connection, only=only)
    return sources[0]


def test_only_some_tables(connection: Connection) -> None:
    picture = draw.tables(connection, only={"stay", "place"})
    assert list(boxes(picture)) == ["place", "stay"]
    assert picture.alt == "Tables place, stay; stay.country refers to place."
    assert list(boxes(draw.tables(connection, "other"))) == ["thing"]


def test_columns_that_d2_cannot_tell_apart_are_refused(connection: Connection) -> None:
    with connection.transaction(force_rollback=True):
        connection.execute('CREATE TABLE twice (width int, "Width" int)')
        with pytest.raises(DrawError, match="columns of twice differ in case only"):
            draw.tables(connection, only=["twice"])


def test_tables_that_are_not_there(connection: Connection) -> None:
    with pytest.raises(DrawError, match="schema public does not have nosuch"):
        draw.tables(connection, only=["guest", "nosuch"])
    with pytest.raises(DrawError, match="schema empty does not have any table"):
        draw.tables(connection, "empty")


# bars


def test_bars_carry_names_values_unit_and_title() -> None:
    picture = draw.bars({"$5 to $9": 12_900, "index": 4}, unit="buffers", title="Pages", alt="x")
    assert {"$5 to $9", "index", "12,900", "4", "Pages", "buffers"} <= set(words(picture))


def test_bars_are_as_long_as_their_values() -> None:
    svg = draw.bars({"a": 10, "b": 5}, unit="x", title="t", alt="x").svg
    bars = re.findall(r'<path d="M ([\d.]+) [\d.]+ \nL ([\d.]+) [^"]+"[^>]+fill: #2b6cb0', svg)
    lengths = [float(right) - float(left) for left, right in bars]
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.01)


@pytest.mark.parametrize("values", [{}, {"a": 0}, {"a": -1, "b": 2}])
def test_bars_of_nothing_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(DrawError, match="above zero"):
        draw.bars(values, unit="x", title="t", alt="x")


# diagrams/


def test_diagrams_are_what_their_sources_give() -> None:
    sources = sorted(DIAGRAMS.glob("*.d2"))
    assert sources
    for source in sources:
        drawn = source.with_suffix(".svg").read_text(encoding="utf-8")
        assert drawn == draw.diagram(source).svg + "\n", "run: .venv/bin/python -m nexus.draw"
    assert {path.stem for path in DIAGRAMS.glob("*.svg")} == {path.stem for path in sources}


def test_diagrams_are_on_their_page_with_their_text() -> None:
    page = (DIAGRAMS / "README.md").read_text(encoding="utf-8")
    for source in DIAGRAMS.glob("*.d2"):
        assert f"![{draw.diagram(source).alt}]({source.stem}.svg)" in page


def test_the_command_draws_a_folder(tmp_path: Path) -> None:
    (tmp_path / "one.d2").write_text("# alt: a box\na\n")
    command = [sys.executable, "-W", "error", "-m", "nexus.draw", str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert run.stdout == f"{tmp_path / 'one.svg'}\n"
    assert (tmp_path / "one.svg").read_text() == draw.diagram(tmp_path / "one.d2").svg + "\n"


def test_a_diagram_without_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one.d2").write_text("a -> b\n")
    with pytest.raises(DrawError, match=r"one\.d2 has to begin"):
        draw.diagram(tmp_path / "one.d2")
