"""`python -m notebooks.site`: pages of the lessons in build/, without network or scripts."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any

import nbformat
from jinja2 import DictLoader
from nbconvert.exporters import HTMLExporter

from workbench.jupyterlab import KEEP_SHAPES
from workbench.state_dir import REPOSITORY

_LESSONS = REPOSITORY / "notebooks"
_TITLE = "Controlling durable AI agents"
_STYLE = f"""\
:root {{ color-scheme: light dark; }}
body.jp-Notebook {{ max-width: 62rem; margin: 0 auto; padding: 1rem; }}
body.jp-Notebook {{ background: var(--jp-layout-color0); }}
nav {{ display: flex; gap: 1rem; justify-content: space-between; font-family: sans-serif; }}
nav a {{ color: var(--jp-content-link-color, #1976d2); }}
.highlight, .jp-RenderedMarkdown pre {{ overflow-x: auto; }}
.jp-RenderedMarkdown table {{ display: block; overflow-x: auto; max-width: 100%; }}
@media (max-width: 45rem) {{ .jp-InputPrompt, .jp-OutputPrompt {{ display: none; }} }}
{KEEP_SHAPES}"""
_PAGE = """\
{%- extends 'lab/index.html.j2' -%}
{%- block html_head_js_requirejs -%}{%- endblock -%}
{%- block html_head_js_mathjax -%}{%- endblock -%}
{%- block html_head_js_mermaidjs -%}{%- endblock -%}
{%- block html_head_css -%}
{{ resources.include_css("static/theme-dark.css")
   | replace("<style", '<style media="(prefers-color-scheme: dark)"') }}
<style>{{ resources.style }}</style>
{%- endblock -%}
{%- block body_header -%}
<body class="jp-Notebook">{{ resources.ways }}<main>
{%- endblock -%}
{%- block body_footer -%}</main>{{ resources.ways }}</body>{%- endblock -%}
"""
_ONLY_HERE = re.compile(
    r'<a [^>]*href="http://(?:127\.0\.0\.1|localhost)[^>]*>(.*?)</a>', re.DOTALL
)


def main(build: Path) -> None:
    """Write a page for each notebook in `build`, and one that leads to them."""
    for notebook in sorted(build.glob("[0-9]*.ipynb")):
        write_page(notebook, build)
    write_index(build)


def write_page(notebook: Path, build: Path) -> None:
    """Write the page of a lesson to `build`."""
    book = nbformat.read(notebook, as_version=4)
    for cell in book.cells:
        if cell.cell_type == "markdown":
            source = re.sub(r"\]\((\d\d_\w+)\.ipynb", r"](\1.html", cell.source)
            source = re.sub(r"\]\(([\w/]+\.md)", r"](../notebooks/\1", source)
            cell.source = re.sub(r"\]\(\.\./", f"]({_repository(build)}/", source)
    exporter = HTMLExporter(template_file="page", extra_loaders=[DictLoader({"page": _PAGE})])
    page, _ = exporter.from_notebook_node(
        book,
        {
            "metadata": {"name": _title(notebook), "path": str(_LESSONS)},
            "style": _STYLE,
            "ways": _ways(notebook.stem),
        },
    )
    page = _ONLY_HERE.sub(r"\1", page)  # what ran there has ended
    (build / f"{notebook.stem}.html").write_text(page, encoding="utf-8")


def write_index(
    build: Path, verdicts: Mapping[str, str] | None = None, facts: Mapping[str, str] | None = None
) -> None:
    """Write the page that leads to the others; `verdicts` are of lessons, by their names."""
    rows = []
    for notebook in sorted(build.glob("[0-9]*.ipynb")):
        link = f'<a href="{notebook.stem}.html">{escape(_title(notebook))}</a>'
        verdict = (verdicts or {}).get(notebook.stem, "")
        rows.append(f'<tr><td>{link}<td>{escape(verdict)}<td><a href="{notebook.name}">as run</a>')
    said = " · ".join(f"{name} {value}" for name, value in (facts or {}).items())
    style = "body { font: 1rem/1.6 sans-serif; margin: 2rem auto; max-width: 50rem; color-scheme: "
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{_TITLE}</title><style>{style}light dark; }} td {{ padding-right: 1rem; }}</style>"
    )
    body = f"<h1>{_TITLE}</h1><table>{''.join(rows)}</table><p>{escape(said)}</p>"
    (build / "index.html").write_text(f"{head}{body}", encoding="utf-8")


def _ways(name: str) -> str:
    """Links to the lessons before and after this one, and to the contents."""
    lessons = sorted(_LESSONS.glob("[0-9]*.ipynb"))
    names = [lesson.stem for lesson in lessons]
    place = names.index(name) if name in names else -1
    before = lessons[place - 1 : place] if place > 0 else []
    after = lessons[place + 1 : place + 2] if place >= 0 else []
    links = [("prev", f"← {_title(one)}", f"{one.stem}.html") for one in before]
    links += [("contents", "Contents", "index.html")]
    links += [("next", f"{_title(one)} →", f"{one.stem}.html") for one in after]
    shown = (f'<a rel="{rel}" href="{href}">{escape(text)}</a>' for rel, text, href in links)
    return f'<nav aria-label="Pages">{"".join(shown)}</nav>'


def _title(notebook: Path) -> str:
    cells: list[Any] = nbformat.read(notebook, as_version=4).cells
    heading = cells[0].source.partition("\n")[0] if cells else ""
    return heading[2:] if heading.startswith("# ") else notebook.stem


def _repository(build: Path) -> str:
    """The base URL of links to the repository's files: on GitHub, if the page is made there."""
    found = [os.environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "SHA")]
    if all(found):
        return f"{found[0]}/{found[1]}/blob/{found[2]}"
    return Path(os.path.relpath(REPOSITORY, build)).as_posix()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build"))
