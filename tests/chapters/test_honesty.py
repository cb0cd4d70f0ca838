"""Every notebook keeps the rules of honesty.py, and every rule catches who does not."""

import copy
import socket
from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from tests.chapters import honesty
from tools import chapters, lint

ROOT = chapters.ROOT
NOTEBOOKS = sorted(
    path for path in (ROOT / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts
)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("rule", honesty.RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_notebook(path: Path, rule: honesty.Rule) -> None:
    assert rule(nbformat.read(path, as_version=4), path) == []


def test_the_notebooks_are_those_of_the_book() -> None:
    """So that what is validated, what is built and what is there are the same."""
    assert sorted(chapters.in_book()) == NOTEBOOKS


def test_there_are_notebooks() -> None:
    assert chapters.TEMPLATE in NOTEBOOKS
    assert len(NOTEBOOKS) > 1


@pytest.mark.parametrize("path", [ROOT / name for name in lint.tracked(("*.md",))], ids=named)
def test_page_has_no_dead_link(path: Path) -> None:
    assert honesty.dead_links(path.read_text(), path) == []


# Below: a notebook in order, then one thing wrong at a time.


def stream(text: str, name: str = "stdout") -> NotebookNode:
    return new_output("stream", name=name, text=text)


def picture(kind: str = "image/png", data: str = "iVBORw0=", **metadata: object) -> NotebookNode:
    return new_output("display_data", data={kind: data}, metadata=metadata)


def good() -> NotebookNode:
    folded = {"tags": ["hide-cell"], "jupyter": {"source_hidden": True, "outputs_hidden": True}}
    head = "# Find it\n\n5 minutes, and 30 for the exercises · Python"
    text = "See [below](other.md) and ![a plan](plan.svg)."
    exercises = "\n\n".join(f"### Exercise {n}: Find {n}" for n in (1, 2, 3))
    cells = [new_markdown_cell(f"{head}\n\n{text}\n\n{exercises}")]
    for n in (1, 2, 3):
        cells.append(new_code_cell(f'nexus.check("good.{n}", ...)', outputs=[stream("not yet\n")]))
        source = f'# Solution\nnexus.check("good.{n}", {n})'
        cells.append(new_code_cell(source, metadata=folded, outputs=[stream("right\n")]))
    cells.append(new_code_cell("draw()", outputs=[picture(**{"image/png": {"alt": "A plan"}})]))
    cells.append(new_markdown_cell("## Last run with"))
    uncompared = {"tags": ["nbval-ignore-output"], "reason": "versions differ between machines"}
    cells.append(
        new_code_cell("nexus.versions()", outputs=[stream("Python 3\n")], metadata=uncompared)
    )
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=cells, metadata={"kernelspec": kernel})
    for number, (_, cell) in enumerate(honesty.code(notebook), 1):
        cell.execution_count = number
    return notebook


def first_code(notebook: NotebookNode) -> NotebookNode:
    return next(honesty.code(notebook))[1]


def prints(text: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: first_code(notebook).outputs.append(stream(text))


def shows(output: NotebookNode) -> Callable[[NotebookNode], None]:
    return lambda notebook: first_code(notebook).outputs.append(output)


def says(markdown: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: notebook.cells.insert(1, new_markdown_cell(markdown))


def runs(source: str) -> Callable[[NotebookNode], None]:
    return lambda notebook: first_code(notebook).update(source=source)


def tagged(*tags: str, **metadata: object) -> Callable[[NotebookNode], None]:
    return lambda notebook: first_code(notebook).metadata.update(tags=list(tags), **metadata)


def table(rows: int) -> str:
    head = "## When it bites\n\n| Symptom | Cause | Cure |\n|---|---|---|\n"
    return head + "| it hurts | a trap | care |\n" * rows


def error() -> NotebookNode:
    return new_output("error", ename="KeyError", evalue="'x'", traceback=[])


WIDE = '<svg viewBox="0 0 1520 90"><text style="font-size: 16px">a</text></svg>'
CHECKED = 'nexus.check("good.1", 1)'


def head(notebook: NotebookNode, old: str, new: str) -> None:
    notebook.cells[0].source = notebook.cells[0].source.replace(old, new)


CAUGHT: list[tuple[honesty.Rule, str, Callable[[NotebookNode], None]]] = [
    (honesty.is_valid, "not a valid", lambda n: first_code(n).update(execution_count="one")),
    (honesty.is_valid, "one id", lambda n: n.cells[1].update(id=n.cells[2].id)),
    (honesty.is_valid, "older than 4.5", lambda n: old(n)),
    (honesty.is_valid, "too many", prints("x" * 500_001)),
    (honesty.has_one_title, "first cell", lambda n: n.cells.pop(0)),
    (honesty.has_one_title, "first cell", lambda n: n.cells[0].update(source="Find it")),
    (honesty.has_one_title, "first cell", lambda n: n.cells.clear()),
    (honesty.has_one_title, "2 titles", says("# Again")),
    (honesty.is_run_in_order, "not run", lambda n: first_code(n).update(execution_count=None)),
    (honesty.is_run_in_order, "not run", lambda n: first_code(n).update(execution_count=2)),
    (honesty.is_run_in_order, "is empty", runs(" \n")),
    (honesty.has_large_letters, "letters of 8.0 px", shows(picture("image/svg+xml", WIDE))),
    (honesty.has_reasons, "say why", tagged("nbval-ignore-output")),
    (honesty.has_reasons, "say why", tagged("nbval-skip", reason=" ")),
    (honesty.has_reasons, "use a tag", runs("# NBVAL_IGNORE_OUTPUT\nprint(1)")),
    (honesty.has_reasons, "use a tag", runs("print(1)\n  # NBVAL_SKIP")),
    (honesty.has_alt_text, "without alt", shows(picture())),
    (honesty.has_alt_text, "without alt", shows(picture("image/svg+xml", "<svg/>"))),
    (honesty.has_alt_text, "without alt", shows(picture(**{"image/png": {"alt": " "}}))),
    (honesty.has_alt_text, "no alt", shows(picture("text/html", "<img src='x.png'>"))),
    (honesty.has_alt_text, "no alt", shows(picture("text/html", "<img alt='' src='x.png'>"))),
    (honesty.has_alt_text, "no alt", says("![](plan.svg)")),
    (honesty.has_alt_text, "no alt", says('<img src="plan.svg">')),
    (honesty.names_no_machine, "path", prints("/home/ada/nexus/x.py:3")),
    (honesty.names_no_machine, "path", prints("log in '/tmp/nx-1/log'")),
    (honesty.names_no_machine, "path", prints("File lib/site-packages/psycopg/x.py")),
    (honesty.names_no_machine, "path", shows(picture("text/html", "<b>/Users/ada/x</b>"))),
    (honesty.names_no_machine, "path", lambda n: first_code(n).outputs.append(traced("/root/x"))),
    (honesty.names_no_machine, "machine's name", prints("host ada-laptop:80")),
    (honesty.is_silent_on_stderr, "stderr", shows(stream("UsageError: no\n", "stderr"))),
    (honesty.runs_no_unchecked_shell, "%%bash", runs("!false")),
    (honesty.runs_no_unchecked_shell, "%%bash", runs("if x:\n    !false")),
    (honesty.runs_no_unchecked_shell, "%%bash", runs("files = !ls")),
    (honesty.runs_no_unchecked_shell, "%%bash", runs("%sx ls")),
    (honesty.runs_no_unchecked_shell, "%%bash", runs("%%system\nls")),
    (honesty.leaves_no_folder, "killed", runs("folder = tempfile.TemporaryDirectory()")),
    (honesty.leaves_no_folder, "killed", runs("if x:\n    folder = Path(tempfile.mkdtemp())")),
    (honesty.raises_what_it_says, "failed", shows(error())),
    (honesty.raises_what_it_says, "raised nothing", tagged("raises-exception")),
    (honesty.is_clean, "python3", lambda n: n.metadata.kernelspec.update(name="nexus")),
    (honesty.is_clean, "python3", lambda n: n.metadata.pop("kernelspec")),
    (honesty.is_clean, "Python", lambda n: n.metadata.update(language_info={"version": "3"})),
    (honesty.is_clean, "widgets", lambda n: n.metadata.update(widgets={})),
    (honesty.is_clean, "widget", shows(picture("application/vnd.jupyter.widget-view+json", "{}"))),
    (honesty.is_clean, "when it ran", lambda n: first_code(n).metadata.update(execution={})),
    (honesty.has_exercises, "2 exercises", lambda n: delete(n, 5, 6)),
    (honesty.has_exercises, "no folded solution", lambda n: delete(n, 6)),
    (honesty.has_exercises, "before there is a stub", lambda n: delete(n, 1)),
    (honesty.has_exercises, "numbered", lambda n: delete(n, 1, 2)),
    (honesty.has_exercises, "in one place", tagged("hide-cell")),
    (honesty.has_exercises, "in one place", tagged("hide-input")),
    (honesty.has_exercises, "in one place", tagged(jupyter={"source_hidden": True})),
    (honesty.has_exercises, "more than one", runs('nexus.check("other.1", ...)')),
    (honesty.exercises_can_be_linked, "for [1, 2, 3, 4]", says("### Exercise 4: None")),
    (
        honesty.exercises_can_be_linked,
        "for [1, 2]",
        lambda n: head(n, "### Exercise 3: Find 3", ""),
    ),
    (honesty.solutions_say_so, "# Solution", lambda n: n.cells[2].update(source=CHECKED)),
    (
        honesty.solutions_say_so,
        "its stored verdict is: not yet",
        lambda n: n.cells[2].update(outputs=[stream("not yet: 2 rows\n")]),
    ),
    (honesty.solutions_say_so, "its stored verdict is: ", lambda n: n.cells[2].update(outputs=[])),
    (
        honesty.solutions_say_so,
        "shows the verdict",
        lambda n: n.cells[2].metadata["jupyter"].pop("outputs_hidden"),
    ),
    (honesty.says_how_long, "begin with '5 minutes", lambda n: head(n, "5 minutes", "6 minutes")),
    (honesty.says_how_long, "begin with '5 minutes", lambda n: head(n, "30 for the", "ten for")),
    (honesty.says_how_long, "begin with '20 minutes", says("word " * 3000)),
    (honesty.says_how_long, "80 minutes are too many", says("word " * 15_000)),
    (honesty.is_read_aloud, "41 lines", runs("x = 1\n" * 40 + "x = 2")),
    (honesty.is_read_aloud, "begin with a comment", tagged("hide-input")),
    (honesty.is_brief, "6 rows", says(table(6))),
    (honesty.is_brief, "1 rows", says(table(1))),
    (honesty.is_brief, "6 lines", says("## What to keep\n\n" + "- A line.\n" * 6)),
    (honesty.says_what_it_ran_with, "must end", lambda n: n.cells.pop()),
    (honesty.says_what_it_ran_with, "must end", lambda n: n.cells[-1].update(outputs=[])),
    (honesty.says_what_it_ran_with, "must end", lambda n: n.cells[-2].update(source="## End")),
    (honesty.says_what_it_ran_with, "must end", lambda n: n.cells.clear()),
    (honesty.says_what_it_ran_with, "differ", lambda n: n.cells[-1].metadata.clear()),
    (honesty.has_no_dead_link, "dead link", says("[gone](gone.md)")),
    (honesty.has_no_dead_link, "dead link", says("[gone](/other.md)")),
    (honesty.has_no_dead_link, "dead link", says("![gone](gone.svg)")),
    (honesty.has_no_dead_link, "dead link", says('<a href="gone.md">gone</a>')),
    (honesty.has_no_dead_link, "dead link", says("[gone][1]\n\n[1]: gone.md")),
    (honesty.has_no_dead_link, "no such heading", says("[gone](other.md#gone)")),
    (honesty.has_no_dead_link, "no such heading", says("[gone](#gone)")),
]

ALLOWED: list[Callable[[NotebookNode], None]] = [
    lambda n: n,
    says("```\n# A comment, ![](x.png) and [a link](gone.md)\n```\n`![](y.png)`"),
    says("[out](https://example.org/gone.md) [in](other.md#a-heading) [here](#last-run-with)"),
    prints("GET /users/42 in https://example.org/home/x, a/tmp/b, ratio 3/work"),
    tagged("nbval-ignore-output", reason="the versions differ from machine to machine"),
    runs("x = 1 != 2  # !important"),
    runs("with tempfile.TemporaryDirectory() as folder:\n    mkdtemp(dir=folder)"),
    runs("x = 1\n" * 39 + "x = 2"),
    lambda n: (
        runs("# Count.\n" + "x = 1\n" * 90)(n),
        tagged("hide-input", jupyter={"source_hidden": True})(n),
    ),
    runs("%%bash\nif ! false; then echo '!'; fi"),
    shows(picture("text/html", "<img alt='A plan' src='x.png'>")),
    says(table(5) + "\n\n## Where it lives\n\n| other | table |\n|---|---|\n" + "| a | b |\n" * 9),
    says("## What to keep\n\n" + "- A line.\n" * 5 + "\n## Sources\n\n" + "- A page.\n" * 9),
    lambda n: (shows(error())(n), tagged("raises-exception")(n)),
    lambda n: (
        shows(picture())(n),
        first_code(n).metadata.update(mystnb={"image": {"alt": "A plan"}}),
    ),
]


def old(notebook: NotebookNode) -> None:
    notebook.nbformat_minor = 4
    for cell in notebook.cells:
        del cell["id"]


def traced(path: str) -> NotebookNode:
    return new_output("error", ename="E", evalue="", traceback=[f"File {path}"])


def delete(notebook: NotebookNode, *cells: int) -> None:
    for number in reversed(cells):
        del notebook.cells[number]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "other.md").write_text("# Other\n\n## A heading\n")
    (tmp_path / "plan.svg").write_text("<svg/>")
    return tmp_path / "good.ipynb"


def complaints(notebook: NotebookNode, path: Path, rules: tuple[honesty.Rule, ...]) -> list[str]:
    path.write_text(nbformat.writes(copy.deepcopy(notebook)))  # which mends it in place
    return [complaint for rule in rules for complaint in rule(notebook, path)]


@pytest.mark.parametrize("change", ALLOWED)
def test_a_good_notebook_passes(path: Path, change: Callable[[NotebookNode], None]) -> None:
    notebook = good()
    change(notebook)
    of_exercises = {honesty.has_exercises, honesty.exercises_can_be_linked}
    kept = "nexus.check" in first_code(notebook).source
    rules = tuple(rule for rule in honesty.RULES if kept or rule not in of_exercises)
    assert complaints(notebook, path, rules) == []


@pytest.mark.parametrize(("rule", "complaint", "change"), CAUGHT)
@pytest.mark.filterwarnings("ignore")  # nbformat warns of what is wrong on purpose
def test_a_bad_notebook_is_caught(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    rule: honesty.Rule,
    complaint: str,
    change: Callable[[NotebookNode], None],
) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "ada-laptop")
    notebook = good()
    change(notebook)
    assert complaint in "\n".join(complaints(notebook, path, (rule,)))


def test_every_rule_is_shown_to_catch_something() -> None:
    assert {rule for rule, _, _ in CAUGHT} == set(honesty.RULES)


@pytest.mark.parametrize("name", ["template", "start-here"])
def test_one_exercise_is_enough_where_no_chapter_is_taught(path: Path, name: str) -> None:
    notebook = good()
    delete(notebook, 3, 4, 5, 6)
    assert honesty.has_exercises(notebook, path) != []
    assert honesty.has_exercises(notebook, path.with_stem(name)) == []
