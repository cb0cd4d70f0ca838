"""Give the theme's icons by a font of a few kilobytes.

The theme carries every icon of Font Awesome: as a script of 1.5 MB, which a template of ours leaves
out, and as fonts of 270 KB, from which this extension cuts the icons that the theme itself names.
The small fonts are declared after the large ones and only for their own characters, so an icon that
was not foreseen still shows: the browser then fetches the large font. The browser tests refuse a
page that does.
"""

import re
from io import BytesIO
from pathlib import Path

import pydata_sphinx_theme
import sphinx_book_theme
from fontTools import subset
from fontTools.ttLib import TTFont
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

PYDATA = Path(pydata_sphinx_theme.__file__).parent
BOOK = Path(sphinx_book_theme.__file__).parent
STATIC = PYDATA / "theme" / "pydata_sphinx_theme" / "static"
FONTS = STATIC / "vendor" / "fontawesome" / "webfonts"

# The theme's style sheet says `.fa-bars:before,.fa-navicon:before{content:"\f0c9"}`.
NAMED_ICON = re.compile(r'((?:\.fa-[a-z0-9-]+:before,?)+)\{content:"\\([0-9a-f]+)"\}')
# Elsewhere it says `content:"\f107"`, or the character itself.
OTHER_ICON = re.compile(r'"\\(f[0-9a-f]{3})"|"([\ue000-\uf8ff])"')


def characters() -> set[int]:
    """Find the icons that the themes use.

    Returns:
        Their code points.

    Raises:
        ExtensionError: when the theme no longer names its icons in the known way.
    """
    css = (STATIC / "styles" / "pydata-sphinx-theme.css").read_text()
    point_of = {
        name: int(point, 16)
        for selectors, point in NAMED_ICON.findall(css)
        for name in re.findall(r"fa-[a-z0-9-]+", selectors)
    }
    sources = [
        path.read_text()
        for theme in (PYDATA, BOOK)
        for path in theme.rglob("*")
        if path.suffix in {".html", ".py", ".js"} and path.name != "fontawesome.js"
    ]
    named = {name for text in sources for name in re.findall(r"\bfa-[a-z0-9-]+", text)}
    found = {point_of[name] for name in named if name in point_of}
    for path in (BOOK / "theme").rglob("*.css"):
        css += path.read_text()
    for escaped, plain in OTHER_ICON.findall(NAMED_ICON.sub("", css)):
        found.add(int(escaped, 16) if escaped else ord(plain))
    # fa-bars is the menu on a phone: without it the book cannot be read there.
    if point_of.get("fa-bars") not in found:
        raise ExtensionError(
            "the theme's icons were not found where they used to be (fa-bars is missing): "
            "compare book/extensions/icons.py with the theme's style sheet"
        )
    return found


def cut(font_file: Path, wanted: set[int]) -> tuple[bytes, list[int]]:
    """Keep only some characters of a font.

    Args:
        font_file: a TrueType font.
        wanted: the code points to keep; those the font does not have are ignored.

    Returns:
        The smaller font as WOFF, and the code points in it.
    """
    font = TTFont(font_file, recalcTimestamp=False)
    kept = sorted(wanted & font.getBestCmap().keys())
    options = subset.Options(flavor="woff", layout_features=[], notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=kept)
    subsetter.subset(font)
    font.flavor = "woff"
    buffer = BytesIO()
    font.save(buffer)
    return buffer.getvalue(), kept


def write_fonts(app: Sphinx) -> None:
    """Write the small fonts, and the style sheet that declares them, into the built book.

    Args:
        app: the Sphinx application.
    """
    if app.builder.format != "html":
        return
    static = app.outdir / "_static"
    static.mkdir(parents=True, exist_ok=True)
    wanted = characters()
    rules = []
    for family, weight, name in (
        ("Font Awesome 6 Free", 900, "fa-solid-900"),
        ("Font Awesome 6 Free", 400, "fa-regular-400"),
        ("Font Awesome 6 Brands", 400, "fa-brands-400"),
    ):
        data, kept = cut(FONTS / f"{name}.ttf", wanted)
        (static / f"{name}.woff").write_bytes(data)
        span = ", ".join(f"U+{point:x}" for point in kept)
        rules.append(
            f'@font-face {{ font-family: "{family}"; font-weight: {weight}; font-display: block;\n'
            f'  src: url("{name}.woff") format("woff");\n  unicode-range: {span}; }}\n'
        )
    (static / "icons.css").write_text("".join(rules))
    app.add_css_file("icons.css")


def setup(app: Sphinx) -> dict[str, bool]:
    """Connect the extension.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    app.connect("builder-inited", write_fonts)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
