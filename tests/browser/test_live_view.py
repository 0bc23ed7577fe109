"""`watch_tree` and `show_ui` as a reader sees them: JupyterLab runs the cells from its menu."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.lab import Lab
from workbench.clients import wait_until
from workbench.state_dir import REPOSITORY

PICTURES = REPOSITORY / "build" / "browser"

START = """\
import workbench as wb
restate = wb.start_restate("embedded", progress=lambda line: None)
model = wb.start_model(tokens_per_second=60)
agent = wb.start_agent(restate, model)
admin = wb.Admin(restate, echo=lambda line: None)
ingress = wb.Ingress(restate, echo=lambda line: None)
admin.register(agent.uri, force=True)
message = {"content": "Write a to-do CLI"}
task = ingress.call("CodingAgent", "message", message, key=wb.new_key("live"))["task_id"]
"""
WATCH = "wb.watch_tree(admin, task, model=model)"
SHOW_UI = "wb.show_ui(restate, task, frame=True)"


@pytest.mark.timeout(120)
@pytest.mark.parametrize("dark", [False, True])
def test_a_reader_watches_a_task(reader: Lab, dark: bool) -> None:
    name = f"live-{'dark' if dark else 'light'}"
    notebook = _write(reader.root / f"{name}.ipynb", START, WATCH, SHOW_UI)
    with reader.page(notebook, dark=dark) as page:
        page.run_all()
        watched = page.playwright.locator(".jp-CodeCell").nth(1).locator(".jp-OutputArea-output")
        watched.filter(has_text="write todo.py").filter(has_text="streaming").wait_for()
        assert watched.count() == 1
        page.save_pictures(PICTURES / f"{name}-at-work")
        watched.locator("img").wait_for(timeout=60_000)
        assert watched.count() == 1
        frame = page.playwright.frame_locator("iframe[title^='Restate UI']")
        frame.get_by_text("Succeeded").first.wait_for()
        assert page.broken() == []
        page.save_pictures(PICTURES / f"{name}-over")
        page.save()
        wait_until(lambda: len(_outputs(notebook, 2)) == 1, what="the notebook to be saved")
    (output,) = _outputs(notebook, 1)
    assert set(output["data"]) == {"image/png", "text/plain"}


def _write(path: Path, *sources: str) -> Path:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
    return path


def _outputs(notebook: Path, cell: int) -> list[dict[str, Any]]:
    try:
        outputs: list[dict[str, Any]] = nbformat.read(notebook, as_version=4).cells[cell].outputs
    except ValueError:  # it is being written
        return []
    return outputs
