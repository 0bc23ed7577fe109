"""Makes a web page of a notebook that can be read without network: no scripts, images inside."""

from __future__ import annotations

import base64
import re
from functools import cache
from pathlib import Path

import mermaidx
import nbformat
from nbconvert.exporters import HTMLExporter

from workbench.errors import WorkbenchError

# nbconvert's own template loads these three from the network.
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""

# Among the pages, the lessons link to each other's pages.
_LINK = re.compile(r"\]\((\d\d_\w+)\.ipynb\)")
_DIAGRAM = re.compile(r"^```mermaid\n(.*?)^```", re.MULTILINE | re.DOTALL)


def write_page(notebook: Path) -> Path:
    """Write the page of `notebook` beside it, and return the page's path.

    Raises WorkbenchError when a diagram in it cannot be drawn.
    """
    content = nbformat.read(notebook, as_version=4)
    for cell in content.cells:
        if cell.cell_type == "markdown":
            source = _LINK.sub(r"](\1.html)", cell.source)
            cell.source = _DIAGRAM.sub(lambda match: _image(match[1], notebook), source)
    resources = {"metadata": {"name": notebook.stem}}
    html, _ = _exporter().from_notebook_node(content, resources)
    page = notebook.with_suffix(".html")
    page.write_text(html, encoding="utf-8")
    return page


def _image(diagram: str, notebook: Path) -> str:
    """An HTML image of a mermaid diagram; about a second's work."""
    try:
        svg = mermaidx.render(diagram).svg()
    except RuntimeError as error:
        message = f"A diagram in {notebook.name} cannot be drawn: {error}\n{diagram}"
        raise WorkbenchError(message) from error
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', svg)
    width = f"width: {box[1]}px; " if box else ""
    data = base64.b64encode(svg.encode()).decode()
    return (
        f'<img alt="diagram" style="{width}max-width: 100%" src="data:image/svg+xml;base64,{data}">'
    )


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(raw_template=_TEMPLATE, embed_images=True)
