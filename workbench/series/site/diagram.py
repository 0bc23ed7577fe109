"""Draws a mermaid diagram into the page, where a browser would need a script to do it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from html import escape
from importlib.metadata import version
from pathlib import Path

from workbench.series.disk import make_folder, write_text
from workbench.state_dir import REPOSITORY, WorkbenchError

_DRAWN = REPOSITORY / ".workbench" / "diagrams"  # for all homes: a drawing takes most of a second


def diagram_image(diagram: str, caption: str, page: str, *, drawn: Path = _DRAWN) -> str:
    """An HTML image of the diagram that `caption` tells of; what is drawn is kept in `drawn`.

    Raises WorkbenchError, naming `page`, when it cannot be drawn.
    """
    try:
        svg = _svg(diagram, drawn)
    except RuntimeError as error:
        message = f"A diagram in {page} cannot be drawn: {error}\n{diagram}"
        raise WorkbenchError(message) from error
    box = re.search(r'viewBox="\S+ \S+ (\S+) \S+"', svg)
    width = f"width: {box[1]}px; " if box else ""
    data = base64.b64encode(svg.encode()).decode()
    alt = escape(f"Diagram: {caption}" if caption else "Diagram")
    return (
        f'<img class="diagram" alt="{alt}" style="{width}max-width: 100%"'
        f' src="data:image/svg+xml;base64,{data}">'
    )


def _svg(diagram: str, drawn: Path) -> str:
    content = f"mermaidx {version('mermaidx')}\n{diagram}"
    file = drawn / f"{hashlib.sha256(content.encode()).hexdigest()}.svg"
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8")
    import mermaidx  # slow to import, and seldom needed

    svg = str(mermaidx.render(diagram).svg())
    with contextlib.suppress(WorkbenchError):  # no room, or not ours to write: drawn again then
        make_folder(drawn)
        write_text(file, svg)
    return svg
