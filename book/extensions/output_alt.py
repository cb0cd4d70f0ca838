"""Take the alt text of an output picture from the output itself.

`display(figure, metadata={"image/png": {"alt": "…"}})` and `IPython.display.Image(alt=…)` store it
there, nbconvert reads it there; myst-nb reads only the cell's metadata. With neither, Sphinx would
write the picture's path as its alt text; that becomes a warning, so it fails the build.
"""

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx

_render_image = NbElementRenderer.render_image


def render_image(renderer: NbElementRenderer, data: MimeData) -> list[nodes.Element]:
    """Render an output picture, with the alt text of the output if it has one.

    Args:
        renderer: the renderer of the notebook.
        data: the picture and its metadata.

    Returns:
        The nodes of the picture.
    """
    rendered = _render_image(renderer, data)
    alt = data.output_metadata.get(data.mime_type, {}).get("alt")
    for image in rendered:
        if alt:
            image["alt"] = alt
        elif not image.get("alt"):
            renderer.logger.warning(
                f"output {data.output_index} of cell {data.cell_index} is a picture without alt "
                'text: give display(…, metadata={"' + data.mime_type + '": {"alt": "…"}})',
                subtype="alt",
                line=data.line,
            )
    return rendered


def setup(app: Sphinx) -> dict[str, bool]:  # noqa: ARG001
    """Put our renderer of pictures in the place of myst-nb's.

    Args:
        app: the Sphinx application.

    Returns:
        What Sphinx may do with it.
    """
    NbElementRenderer.render_image = render_image
    return {"parallel_read_safe": True, "parallel_write_safe": True}
