"""Write what the box for messages and the book's search look into: rows, sections, words.

Sphinx's own index knows which page has a word, and a chapter is a long page. This one knows the
section. It is a script, since a page that was opened as a file may not fetch anything.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import snowballstemmer
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from tools import messages

DATA = "search-data.js"
MESSAGES = "messages-data.js"
CAUSES = "message-causes.js"  # loaded once a message is found
GOTCHAS = "gotchas-data.js"  # for the box; the search has them among its pages
ON_SEARCH = ("language_data.js", "finder.js", MESSAGES, DATA, "search.js")
ON_LOST = ("language_data.js", "finder.js", DATA, "search.js")  # its address is no message
ON_MESSAGES = ("finder.js", MESSAGES, GOTCHAS, "messages.js")

# As in book/static/search.js.
WORD = re.compile(r"n\+1|\b\d[0-9a-z]{2,4}\b|[a-z_][a-z0-9_]+")
LONGEST = 40  # characters of a word; longer ones are digests and the like
COMMON = 0.3  # of all sections: a word that is in more of them says nothing

# The first that fits.
KINDS = (
    (r"docs/|diagrams/|CONTRIBUTING$|CHANGELOG$|notebooks/template$", "about"),
    (r"notebooks/practice/", "practice"),
    (r"notebooks/[^/]+/", "chapter"),
    (r"notes/gotchas/", "gotchas"),
    (r"notes/field/", "field"),
    (r"intro$|notes/index$|(projects|snippets)/README$", "list"),
    (r"", "page"),
)

porter = snowballstemmer.stemmer("porter").stemWord

# A section: its anchor (none for the whole page), its title, and the words in it.
Section = tuple[str, str, list[str]]


def kind(page: str) -> str:
    """Return what kind of page this is: the search puts some before others."""
    return next(name for pattern, name in KINDS if re.match(pattern, page))


def stem(word: str) -> str:
    """Cut a word's ending off, as Sphinx's script for the browser does it."""
    if len(word) < 3:
        return word
    cut = porter(word)
    # The script has two rules of the algorithm's author that the package has not.
    if re.search(r"[aeiouy][^aeiouy].*?logi$", cut):
        return cut[:-1]
    if re.search(r"[aeiouy][^aeiouy].*?bli$", cut):
        return porter(f"{word[:-1]}e")
    return cut


def words(text: str) -> set[str]:
    """Return the words of a text in the form in which they are compared."""
    return {stem(word) for word in WORD.findall(text.lower()) if len(word) <= LONGEST}


def texts(section: nodes.Element) -> Iterator[str]:
    """Yield what is in a section, without its title and without the sections in it."""
    for child in section.children:
        if isinstance(child, (nodes.Text, nodes.literal_block)):
            yield child.astext()
        elif not isinstance(child, (nodes.section, nodes.title, nodes.raw)):
            yield from texts(child)


def sections(page: nodes.document) -> list[Section]:
    """Read the sections of a page; the first one is the page's, and has no anchor."""
    found: list[Section] = []
    for section in page.findall(nodes.section):
        title = next(iter(section.findall(nodes.title)), nodes.title()).astext()
        said = sorted(words(" ".join(texts(section))))
        found.append((section["ids"][0] if found else "", title, said))
    return found


def kept(env: BuildEnvironment) -> dict[str, list[Section]]:
    """Return what was read so far: the builder keeps it from build to build."""
    if not hasattr(env, "nexus_sections"):
        env.nexus_sections = {}  # type: ignore[attr-defined]
    return env.nexus_sections  # type: ignore[attr-defined]


def keep(app: Sphinx, page: nodes.document) -> None:
    """Remember the sections of a page that was read."""
    found = sections(page)
    if app.env.docname.startswith(f"{messages.PAGE}/"):
        found = found[:1]  # their rows are looked into in their own way
    kept(app.env)[app.env.docname] = found


def forget(_: Sphinx, env: BuildEnvironment, name: str) -> None:
    """Forget a page that is gone, or will be read again."""
    kept(env).pop(name, None)


def merge(_: Sphinx, env: BuildEnvironment, names: Iterable[str], other: BuildEnvironment) -> None:
    """Take over what another process has read."""
    kept(env).update({name: kept(other)[name] for name in names if name in kept(other)})


def postings(book: dict[str, list[Section]]) -> dict[str, list[int]]:
    """Return in which sections each word is, by their numbers; without the commonest words."""
    found: dict[str, list[int]] = {}
    number = 0
    for name in sorted(book):
        for _, _, said in book[name]:
            for word in said:
                found.setdefault(word, []).append(number)
            number += 1
    most = max(10, number * COMMON)
    return {word: found[word] for word in sorted(found) if len(found[word]) <= most}


def steps(numbers: list[int]) -> str:
    """Write rising numbers as the steps between them, in base 36; a step of one is empty."""
    before = [-1, *numbers]
    return " ".join(
        "" if step == 1 else base36(step)
        for step in (number - before[n] for n, number in enumerate(numbers))
    )


def base36(number: int) -> str:
    """Write a number as JavaScript's `parseInt(text, 36)` reads it."""
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    more, last = divmod(number, 36)
    return (base36(more) if more else "") + digits[last]


def pages(book: dict[str, list[Section]], address: Callable[[str], str]) -> list[list[object]]:
    """Return each page with its title, its kind and its sections; a title stands there once."""
    return [
        [
            address(name),
            book[name][0][1],
            kind(name),
            [[anchor, title if anchor else ""] for anchor, title, _ in book[name]],
        ]
        for name in sorted(book)
        if book[name]
    ]


def resolved(env: BuildEnvironment, link: tuple[str, str]) -> tuple[str, str]:
    """Return a link whose anchor is the one in the built page, and not the one in the source."""
    text, address = link
    page, _, anchor = address.partition("#")
    if not anchor:
        return link
    known = env.metadata[page.removesuffix(".html")].get("myst_slugs", {})
    return text, f"{page}#{known[anchor][1] if anchor in known else anchor}"


def messages_data(groups: list[messages.Group], env: BuildEnvironment) -> dict[str, object]:
    """Return the rows of messages, in the order of their pages.

    Links, programs and the pages of links repeat, so a row has their numbers.
    """
    rows = [row for group in groups for row in group.rows]
    links_of = [[resolved(env, link) for link in messages.links(row)] for row in rows]
    links = sorted({link for each in links_of for link in each})
    places = [address.partition("#") for _, address in links]
    pages = sorted({page for page, _, _ in places})
    programs = sorted({row.program for row in rows})
    return {
        "groups": [[f"{group.page}.html", len(group.rows)] for group in groups],
        "programs": programs,
        "pages": pages,
        "links": [
            [text, pages.index(page), anchor]
            for (text, _), (page, _, anchor) in zip(links, places, strict=True)
        ],
        "rows": [
            [
                row.id,
                row.message,
                programs.index(row.program),
                row.code,
                messages.pasted(row),
                [links.index(link) for link in each],
            ]
            for row, each in zip(rows, links_of, strict=True)
        ],
    }


def search_data(book: dict[str, list[Section]], address: Callable[[str], str]) -> dict[str, object]:
    """Return all pages of the book, and where each word is."""
    where = postings(book)
    return {
        "pages": pages(book, address),
        "words": " ".join(where),
        "where": ",".join(steps(numbers) for numbers in where.values()),
    }


def gotchas(book: dict[str, list[Section]]) -> list[list[object]]:
    """Return the pages of gotchas: address, chapter, and anchor and text of each symptom."""
    return [
        [
            f"{name}.html",
            found[0][1].removeprefix("Gotchas: "),
            [[anchor, title] for anchor, title, _ in found[1:]],
        ]
        for name, found in sorted(book.items())
        if kind(name) == "gotchas"
    ]


def write(app: Sphinx, error: Exception | None) -> None:
    """Store the data as scripts."""
    if error is not None or app.builder.format != "html":
        return
    book = kept(app.env)
    groups = messages.load()
    causes = [
        [messages.short(cause.cause) for cause in row.causes]
        for group in groups
        for row in group.rows
    ]
    contents = {
        DATA: ("nexusSearch", search_data(book, app.builder.get_target_uri)),
        MESSAGES: ("nexusMessages", messages_data(groups, app.env)),
        CAUSES: ("nexusCauses", causes),
        GOTCHAS: ("nexusGotchas", gotchas(book)),
    }
    for file, (name, content) in contents.items():
        text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        path = Path(app.outdir) / "_static" / file
        path.write_text(f"window.{name}={text};\n", encoding="utf-8")


def add_scripts(
    app: Sphinx, name: str, _template: str, context: dict[str, object], _tree: object
) -> None:
    """Let two pages load what they need, and the others do so when somebody searches."""
    context["search_scripts"] = json.dumps(ON_SEARCH)
    loaded = {messages.PAGE: ON_MESSAGES, "404": ON_LOST}
    for script in loaded.get(name, ()):
        app.add_js_file(script)


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("doctree-read", keep)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("html-page-context", add_scripts)
    app.connect("build-finished", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
