"""Say where this edition comes from: its address, its version, its date, how to cite it.

All of it is asked when the book is built: of the clone's remote or of CI, of pyproject.toml, of
git, of CITATION.cff. Where there is no address, there is no button and no command that needs one.
The first page is index.html, since that is the address that readers have.
"""

import posixpath
import re
import tomllib
from datetime import date
from html import escape
from pathlib import Path

import yaml
from sphinx.application import Sphinx
from sphinx.config import Config

from tools import repository

HERE = repository.find()
NEEDS_ADDRESS = re.compile(r"<!-- if repository -->\n(.*?)<!-- end -->\n", re.DOTALL)
LICENCES = "Text, pictures and data: CC BY 4.0. Code: MIT."


def add_address(_: Sphinx, config: Config) -> None:
    """Tell the theme where the repository is, before it makes its buttons."""
    options = config.html_theme_options
    if HERE is None:
        options.pop("repository_url", None)  # without one, Jupyter Book names its own
        return
    options |= {
        "repository_url": HERE.url,
        "repository_branch": repository.BRANCH,
        "repository_provider": HERE.provider,
        "use_repository_button": True,
        "use_edit_page_button": True,
        "use_issues_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
        },
    }
    config.html_baseurl = HERE.book


def add_codespaces(
    _: Sphinx, __: str, ___: str, context: dict[str, list[dict]], ____: object
) -> None:
    """Put a button for Codespaces beside Binder's."""
    if HERE is None or not HERE.codespaces:
        return
    for group in context.get("header_buttons", ()):
        if group.get("label") == "launch-buttons":
            group["buttons"].append(
                {
                    "type": "link",
                    "text": "Codespaces",
                    "tooltip": "Open the whole book in a codespace",
                    "icon": "fab fa-github",
                    "url": HERE.codespaces,
                }
            )


def fill_in(_: Sphinx, __: str, source: list[str]) -> None:
    """Write what is known of this edition in place of the marks for it."""
    text = NEEDS_ADDRESS.sub(r"\1" if HERE else "", source[0])
    text = text.replace("<!-- clone -->\n", clone())
    source[0] = text.replace("<!-- cite -->\n", f"```bibtex\n{bibtex()}\n```\n")


def clone() -> str:
    """Return the commands that get the book, as Markdown; nothing if it has no address."""
    if HERE is None:
        return ""
    return f"```sh\ngit clone {HERE.url}\ncd {HERE.name}\nmake lab\n```\n"


def bibtex() -> str:
    """Return the entry of CITATION.cff for a bibliography."""
    cited = yaml.safe_load((repository.ROOT / "CITATION.cff").read_text())
    authors = " and ".join(f"{{{author['name']}}}" for author in cited["authors"])
    parts = {"title": f"{{{cited['title']}}}", "author": authors, "version": cited["version"]}
    if day := repository.date():
        parts["date"] = day
    if HERE:
        parts["url"] = HERE.book or HERE.url
    lines = "".join(f"  {name} = {{{text}}},\n" for name, text in parts.items())
    return f"@software{{project-nexus,\n{lines}}}"


def footer() -> str:
    """Return what stands below every page."""
    project = tomllib.loads((repository.ROOT / "pyproject.toml").read_text())["project"]
    said = f"Version {project['version']}"
    if day := repository.date():
        moment = date.fromisoformat(day)
        said += f" of {moment.day} {moment:%B %Y}"
    return f"{escape(said)}. {LICENCES}"


def add_footer(app: Sphinx, name: str, _: str, context: dict[str, object], __: object) -> None:
    """Write the footer of a page, with a link to how the book is cited; and its full address."""
    if app.config.html_baseurl:
        page = app.builder.get_target_uri(name)
        context["pageurl"] = posixpath.join(app.config.html_baseurl, page)
    first = app.builder.get_relative_uri(name, app.config.root_doc)
    cite = f'<a href="{first}#how-to-cite">How to cite</a>'
    context["theme_extra_footer"] = f"{footer()} {cite}"


def first_page_is_the_index(app: Sphinx) -> None:
    """Write the first page as index.html, and let every link to it say so."""
    builder = app.builder
    if builder.name != "html":
        return

    def named(page: str) -> str:
        return "index" if page == app.config.root_doc else page

    file, address = builder.get_outfilename, builder.get_target_uri
    builder.get_outfilename = lambda page: file(named(page))  # type: ignore[method-assign]
    builder.get_target_uri = (  # type: ignore[method-assign]
        lambda page, kind=None: address(named(page), kind)
    )


def write_sitemap(app: Sphinx, error: Exception | None) -> None:
    """List the pages for search engines, if it is known where the book will be."""
    if error is not None or app.builder.name != "html" or not app.config.html_baseurl:
        return
    pages = sorted(map(app.builder.get_target_uri, app.env.found_docs))
    places = (posixpath.join(app.config.html_baseurl, page) for page in pages)
    entries = "".join(f"<url><loc>{escape(place)}</loc></url>\n" for place in places)
    scheme = "http://www.sitemaps.org/schemas/sitemap/0.9"
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{scheme}">\n'
    (Path(app.outdir) / "sitemap.xml").write_text(f"{head}{entries}</urlset>\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Take part in the build.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("config-inited", add_address)
    app.connect("builder-inited", first_page_is_the_index)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", add_footer, priority=400)  # before the page's description
    app.connect("html-page-context", add_codespaces, priority=900)  # after the theme's buttons
    app.connect("build-finished", write_sitemap)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
