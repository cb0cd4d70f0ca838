"""The rules a notebook keeps so that its stored outputs can be believed, and read by everyone.

A rule takes a notebook and the path it is stored at, and returns what is wrong, one line each.
"""

import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import nbformat
from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from tools import reading
from tools.headings import slug

Rule = Callable[[NotebookNode, Path], list[str]]

MAX_BYTES = 500_000
EXERCISES = 3  # at least, in a chapter
PAGE_WIDTH = 760  # px of a page's text on a desk
LETTERS = 9  # px
CELL_LINES = 40  # at most, of a cell that is not folded
MINUTES = 60  # at most, to read a chapter; what is longer is two chapters

UNCOMPARED = {"nbval-skip", "nbval-ignore-output"}
MARKER = re.compile(r"^\s*#+\s*(NBVAL_\w+|PYTEST_VALIDATE_IGNORE_OUTPUT)\s*$", re.MULTILINE)
SHELL = re.compile(
    r"get_ipython\(\)\.(system|getoutput)\("
    r"|run_(line|cell)_magic\('(system|sx|sc)'"
)
PRIVATE = re.compile(
    r"(?<![\w.:/-])/(home|root|tmp|Users|work|workspaces|private|var/folders)/[^\s'\"<]*"
    r"|\S*site-packages\S*"
)
CHECK = re.compile(r"""\bnexus\.check\(\s*["']([a-z0-9_-]+)\.(\d+)["']""")
EXERCISE = re.compile(r"^### Exercise (\d+): \S", re.MULTILINE)
FENCE = re.compile(r"^ {0,3}(```+|~~~+).*?^ {0,3}\1", re.MULTILINE | re.DOTALL)
INLINE_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
MD_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^)\s]*)")
MD_LINK = re.compile(
    r"(?<!\\)\]\(<?([^)>\s]+)>?(?:\s+[\"'][^)]*)?\)|^\[[^\]]+\]:\s+<?(\S+?)>?$", re.M
)
HTML_IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)
HTML_ALT = re.compile(r"\balt\s*=\s*[\"']\s*[^\s\"']", re.IGNORECASE)
HTML_LINK = re.compile(r"""<(?:a|img)\b[^>]*?\b(?:href|src)\s*=\s*["']([^"']+)["']""", re.I)
HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.+?)\s*#*\s*$", re.MULTILINE)


def code(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Yield the code cells, each with the name that nbval's report gives it."""
    cells = (cell for cell in notebook.cells if cell.cell_type == "code")
    return ((f"code cell {number}", cell) for number, cell in enumerate(cells))


def prose(notebook: NotebookNode) -> Iterator[str]:
    """Yield the text of the Markdown cells."""
    return (cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell: NotebookNode) -> set[str]:
    """Return a cell's tags."""
    return set(cell.metadata.get("tags", ()))


def texts(output: NotebookNode) -> Iterator[str]:
    """Yield everything in an output that a reader may read."""
    yield output.get("text", "")
    yield output.get("evalue", "")
    yield "\n".join(output.get("traceback", ()))
    for kind, data in output.get("data", {}).items():
        if not kind.startswith("image/") or kind == "image/svg+xml":
            yield data if isinstance(data, str) else str(data)


def plain(markdown: str) -> str:
    """Return Markdown without its code, in which nothing is a link or a heading."""
    return INLINE_CODE.sub("", FENCE.sub("", markdown))


def is_valid(notebook: NotebookNode, path: Path) -> list[str]:
    """It follows the notebook format, with an id for each cell."""
    ids = [cell.get("id") for cell in notebook.cells]
    if None not in ids and len(set(ids)) < len(ids):  # nbformat would mend it silently
        return ["two cells have one id"]
    try:
        nbformat.validate(notebook)
    except nbformat.ValidationError as error:
        return [f"not a valid notebook: {str(error).splitlines()[0]}"]
    found = [] if (notebook.nbformat, notebook.nbformat_minor) >= (4, 5) else ["older than 4.5"]
    if path.exists() and path.stat().st_size > MAX_BYTES:
        found.append(f"{path.stat().st_size:,} bytes are too many; the limit is {MAX_BYTES:,}")
    return found


def has_one_title(notebook: NotebookNode, path: Path) -> list[str]:
    """The first cell has the title, and no other cell has one."""
    del path
    first = notebook.cells[0] if notebook.cells else None
    if first is None or first.cell_type != "markdown" or not first.source.startswith("# "):
        return ["the first cell must be Markdown and begin with the title"]
    titles = [h for text in prose(notebook) for h in HEADING.findall(plain(text)) if h[0] == "#"]
    return [] if len(titles) == 1 else [f"{len(titles)} titles: use ## for a section"]


def is_run_in_order(notebook: NotebookNode, path: Path) -> list[str]:
    """Each code cell was run, once, from top to bottom: restart and run all."""
    del path
    found = [f"{name} is empty" for name, cell in code(notebook) if not cell.source.strip()]
    counts = [cell.execution_count for _, cell in code(notebook)]
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"cells were not run once, in order: {counts}; use `make refresh`")
    return found


def has_reasons(notebook: NotebookNode, path: Path) -> list[str]:
    """A cell that is not compared says why, in its metadata."""
    del path
    found = []
    for name, cell in code(notebook):
        if MARKER.search(cell.source):
            found.append(f"{name} has a comment for nbval: use a tag, readers see the comment")
        if tags(cell) & UNCOMPARED and not str(cell.metadata.get("reason", "")).strip():
            found.append(f'{name} is not compared: say why in its metadata, as "reason"')
    return found


def has_alt_text(notebook: NotebookNode, path: Path) -> list[str]:
    """Every picture says in words what it shows."""
    del path
    found = []
    for name, cell in code(notebook):
        of_cell = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        for output in cell.outputs:
            data = output.get("data", {})
            kinds = [kind for kind in data if kind.startswith("image/")]
            alts = [output.metadata.get(kind, {}).get("alt", "") for kind in kinds]
            if kinds and not any(alt.strip() for alt in (*alts, of_cell)):
                found.append(f"{name} shows a picture without alt text")
            found += [f"{name}: {image}" for image in _without_alt(data.get("text/html", ""))]
    for text in map(plain, prose(notebook)):
        found += [f"no alt text: ![]({src})" for alt, src in MD_IMAGE.findall(text) if not alt]
        found += _without_alt(text)
    return found


def _without_alt(html: str) -> list[str]:
    images = HTML_IMAGE.findall(html)
    return [f"no alt text: {image[:60]}" for image in images if not HTML_ALT.search(image)]


def has_large_letters(notebook: NotebookNode, path: Path) -> list[str]:
    """The letters of a picture have a size that can be read when it is as wide as the page."""
    del path
    found = []
    for name, cell in code(notebook):
        for output in cell.outputs:
            drawn = "".join(output.get("data", {}).get("image/svg+xml", ""))
            width = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ', drawn)
            sizes = [float(size) for size in re.findall(r"font-size:\s*([\d.]+)px", drawn)]
            if not width or not sizes:
                continue
            if (size := min(sizes) * min(1, PAGE_WIDTH / float(width[1]))) < LETTERS:
                found.append(f"{name}: letters of {size:.1f} px; draw it less wide")
    return found


def names_no_machine(notebook: NotebookNode, path: Path) -> list[str]:
    """Outputs hold no path and no host name of the author's machine."""
    del path
    host = socket.gethostname()
    found = []
    for name, cell in code(notebook):
        for text in (text for output in cell.outputs for text in texts(output)):
            found += [
                f"{name} prints a path of this machine: {m[0]}" for m in PRIVATE.finditer(text)
            ]
            if len(host) > 3 and host != "localhost" and re.search(rf"\b{re.escape(host)}\b", text):
                found.append(f"{name} prints this machine's name")
    return found


def is_silent_on_stderr(notebook: NotebookNode, path: Path) -> list[str]:
    """No cell wrote a warning or a usage error."""
    del path
    return [
        f"{name} writes to stderr: {output.text.splitlines()[0]}"
        for name, cell in code(notebook)
        for output in cell.outputs
        if output.get("name") == "stderr"
    ]


def runs_no_unchecked_shell(notebook: NotebookNode, path: Path) -> list[str]:
    """No `!command`: its failure would pass unseen. %%bash fails as it should."""
    del path
    transform = TransformerManager().transform_cell
    return [
        f"{name} uses `!` (or %sx), which ignores the exit status: use %%bash"
        for name, cell in code(notebook)
        if not cell.source.startswith("%%") or cell.source.startswith(("%%sx", "%%system", "%%!"))
        if SHELL.search(transform(cell.source))
    ]


def leaves_no_folder(notebook: NotebookNode, path: Path) -> list[str]:
    """Its temporary folders go when the kernel goes, also if nobody can clear up."""
    del path
    lost = re.compile(r"^(?!\s*with\b).*\b(TemporaryDirectory|mkdtemp)\((?!.*dir=)", re.MULTILINE)
    return [
        f"{name} makes a folder that a killed kernel leaves: use nexus.scratch()"
        for name, cell in code(notebook)
        if lost.search(cell.source)
    ]


def raises_what_it_says(notebook: NotebookNode, path: Path) -> list[str]:
    """A cell has an error stored if, and only if, its tag says that the error is the lesson."""
    del path
    found = []
    for name, cell in code(notebook):
        fails = any(output.output_type == "error" for output in cell.outputs)
        if fails and "raises-exception" not in tags(cell):
            found.append(f"{name} failed")
        if not fails and "raises-exception" in tags(cell):
            found.append(f"{name} is tagged raises-exception and raised nothing")
    return found


def is_clean(notebook: NotebookNode, path: Path) -> list[str]:
    """The metadata holds nothing of the machine or the hour."""
    del path
    found = []
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        found.append("the kernel must be python3")
    if "version" in notebook.metadata.get("language_info", {}):
        found.append("the metadata name the author's Python: use `make refresh`")
    if "widgets" in notebook.metadata:
        found.append("widgets do not work in the book")
    for name, cell in code(notebook):
        if {"execution", "ExecuteTime"} & set(cell.metadata):
            found.append(f"{name} stores when it ran: use `make refresh`")
        if any("widget" in kind for output in cell.outputs for kind in output.get("data", ())):
            found.append(f"{name} shows a widget, which does not work in the book")
    return found


def is_folded(cell: NotebookNode) -> bool:
    """Tell whether a cell is folded in the book and in JupyterLab."""
    hidden = cell.metadata.get("jupyter", {}).get("source_hidden", False)
    return "hide-cell" in tags(cell) and hidden


def checks(cell: NotebookNode) -> list[tuple[str, str]]:
    """Return the exercises that a cell asks the judge about: chapter and number."""
    return CHECK.findall(cell.source)


def has_exercises(notebook: NotebookNode, path: Path) -> list[str]:
    """Each exercise has an open stub and, after it, a folded solution; there are enough of them."""
    stubs, solutions, found = [], [], []
    for name, cell in code(notebook):
        in_book = bool(tags(cell) & {"hide-cell", "hide-input"})
        if in_book != cell.metadata.get("jupyter", {}).get("source_hidden", False):
            found.append(
                f"{name} is folded in one place only: a hide- tag and source_hidden belong together"
            )
        for chapter, number in checks(cell):
            (solutions if is_folded(cell) else stubs).append((chapter, int(number)))
            if is_folded(cell) and (chapter, int(number)) not in stubs:
                found.append(f"{name} solves {chapter}.{number} before there is a stub for it")
    numbers = sorted({number for _, number in stubs})
    if len({chapter for chapter, _ in stubs}) > 1:
        found.append("exercises have more than one chapter's name")
    if numbers != list(range(1, len(numbers) + 1)):
        found.append(f"exercises are numbered {numbers}, not from 1 up")
    found += [f"{c}.{n} has no folded solution" for c, n in sorted(set(stubs) - set(solutions))]
    needed = 1 if path.stem in {"template", "start-here"} else EXERCISES
    if len(numbers) < needed:
        found.append(f"{len(numbers)} exercises; a chapter has {needed} or more")
    return found


def exercises_can_be_linked(notebook: NotebookNode, path: Path) -> list[str]:
    """Each exercise has a heading: `### Exercise 1: The host's calendar`."""
    del path
    numbers = sorted({int(number) for _, cell in code(notebook) for _, number in checks(cell)})
    headed = [int(n) for text in prose(notebook) for n in EXERCISE.findall(plain(text))]
    if headed != numbers:
        return [f"headings `### Exercise N: …` for {headed}, and exercises {numbers}"]
    return []


def solutions_say_so(notebook: NotebookNode, path: Path) -> list[str]:
    """A folded solution begins with `# Solution`; its output is folded too, and says `right`."""
    del path
    found = []
    for name, cell in code(notebook):
        if is_folded(cell) and checks(cell):
            said = "".join(output.get("text", "") for output in cell.outputs).splitlines()
            right = [line for line in said if re.match("right\\b", line)]
            if len(right) != len(checks(cell)):
                found.append(f"{name} is a solution, and its stored verdict is: {' '.join(said)}")
            if not cell.source.startswith("# Solution"):
                found.append(f"{name} must begin with # Solution")
            if not cell.metadata["jupyter"].get("outputs_hidden"):
                found.append(f"{name} shows the verdict of its solution: set outputs_hidden")
    return found


def says_how_long(notebook: NotebookNode, path: Path) -> list[str]:
    """The time under the title is the computed one, and no chapter is longer than an hour."""
    del path
    expected = reading.head(notebook)
    told = reading.HEAD.search(notebook.cells[0].source) if notebook.cells else None
    found = []
    if told is None or told[0] != expected:
        found.append(f"the line under the promise must begin with {expected!r}: `make refresh`")
    if (took := reading.minutes(notebook)[0]) > MINUTES:
        found.append(f"{took} minutes are too many: make two chapters")
    return found


def is_read_aloud(notebook: NotebookNode, path: Path) -> list[str]:
    """No open cell is longer than 40 lines. Folded code says first what it does: the fold does."""
    del path
    long = [
        f"{name} has {len(cell.source.splitlines())} lines; at most {CELL_LINES}, or fold it"
        for name, cell in code(notebook)
        if reading.is_open(cell) and len(cell.source.splitlines()) > CELL_LINES
    ]
    dumb = [
        f"{name} is folded: begin with a comment that says what it does"
        for name, cell in code(notebook)
        if "hide-input" in tags(cell) and not cell.source.startswith(("# ", "%%writefile "))
    ]
    return long + dumb


def section(notebook: NotebookNode, title: str) -> list[str]:
    """Return the lines of a section, without its heading; none if there is no such section."""
    lines = "\n\n".join(prose(notebook)).splitlines()
    if f"## {title}" not in lines:
        return []
    after = lines[lines.index(f"## {title}") + 1 :]
    headings = (number for number, line in enumerate(after) if line.startswith("## "))
    return after[: next(headings, len(after))]


def is_brief(notebook: NotebookNode, path: Path) -> list[str]:
    """It warns of two to five things, and has five to keep at most: the rest stands in notes/."""
    del path
    found = []
    rows = [line for line in section(notebook, "When it bites") if line.startswith("|")]
    if rows and not 2 <= len(rows) - 2 <= 5:  # without the head and the rule below it
        found.append(f"{len(rows) - 2} rows under When it bites: two to five, the rest in notes/")
    kept = [line for line in section(notebook, "What to keep") if line.startswith("- ")]
    if len(kept) > 5:
        found.append(f"{len(kept)} lines under What to keep: five at most")
    return found


def says_what_it_ran_with(notebook: NotebookNode, path: Path) -> list[str]:
    """It ends with the versions it last ran with, printed by a cell."""
    del path
    *_, before, last = [None, None, *notebook.cells]
    told = before is not None and re.search(r"^## Last run with", before.source, re.MULTILINE)
    if not told or last.cell_type != "code" or not last.outputs:
        return ['it must end with "## Last run with" and a cell that prints the versions']
    if "nbval-ignore-output" not in tags(last):
        return ["versions differ between machines: tag the last cell nbval-ignore-output"]
    return []


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page."""
    if path.suffix == ".ipynb":
        text = "\n\n".join(prose(nbformat.read(path, as_version=4)))
    else:
        text = path.read_text()
    headings = [slug(title) for _, title in HEADING.findall(FENCE.sub("", text))]
    labels = re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE)
    return {*headings, *labels, *re.findall(r"""\bid\s*=\s*["']([^"']+)""", text)}


def dead_links(markdown: str, path: Path) -> list[str]:
    """Return the links of a text that lead nowhere in the project.

    Args:
        markdown: The text.
        path: Where it is stored: links start from there.
    """
    text = plain(markdown)
    targets = [target for pair in MD_LINK.findall(text) for target in pair if target]
    targets += HTML_LINK.findall(text)
    found = []
    for target in targets:
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        file, _, anchor = target.partition("#")
        page = path.parent / file if file else path
        if target.startswith("/") or not page.exists():
            found.append(f"dead link: {target}")
        elif anchor and page.suffix in {".md", ".ipynb"} and anchor not in anchors(page):
            found.append(f"no such heading: {target}")
    return found


def has_no_dead_link(notebook: NotebookNode, path: Path) -> list[str]:
    """Every link inside the project leads somewhere."""
    return [dead for text in prose(notebook) for dead in dead_links(text, path)]


RULES: tuple[Rule, ...] = (
    is_valid,
    has_one_title,
    is_run_in_order,
    has_reasons,
    has_alt_text,
    has_large_letters,
    names_no_machine,
    is_silent_on_stderr,
    runs_no_unchecked_shell,
    leaves_no_folder,
    raises_what_it_says,
    is_clean,
    has_exercises,
    exercises_can_be_linked,
    solutions_say_so,
    says_how_long,
    is_read_aloud,
    is_brief,
    says_what_it_ran_with,
    has_no_dead_link,
)
