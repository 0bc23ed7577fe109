"""Makes a web page of a notebook that can be read without network: no scripts, images inside."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path

from nbconvert.exporters import HTMLExporter

# nbconvert's own template loads these three from the network.
_TEMPLATE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
"""

_exporting = threading.Lock()  # an exporter is not for several threads at once


def write_page(notebook: Path) -> Path:
    """Write the page of `notebook` beside it, and return the page's path."""
    with _exporting:
        html, _ = _exporter().from_filename(str(notebook))
    page = notebook.with_suffix(".html")
    page.write_text(html, encoding="utf-8")
    return page


@cache
def _exporter() -> HTMLExporter:
    return HTMLExporter(raw_template=_TEMPLATE, embed_images=True)
