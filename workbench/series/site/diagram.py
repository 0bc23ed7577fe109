"""Draws a mermaid diagram into the page, where a browser would need a script to do it."""

from __future__ import annotations

import base64
import re
from html import escape

import mermaidx

from workbench.errors import WorkbenchError


def diagram_image(diagram: str, heading: str, page: str) -> str:
    """An HTML image of the diagram that stands below `heading`; about a second's work.

    Raises WorkbenchError, naming `page`, when it cannot be drawn.
    """
    try:
        svg = mermaidx.render(diagram).svg()
    except RuntimeError as error:
        message = f"A diagram in {page} cannot be drawn: {error}\n{diagram}"
        raise WorkbenchError(message) from error
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', svg)
    width = f"width: {box[1]}px; " if box else ""
    data = base64.b64encode(svg.encode()).decode()
    alt = escape(f"Diagram: {heading}" if heading else "Diagram")
    return (
        f'<img class="diagram" alt="{alt}" style="{width}max-width: 100%"'
        f' src="data:image/svg+xml;base64,{data}">'
    )
