"""JupyterLab as a reader has it: started by the workbench, looked at in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

_SETTINGS = "/lab/api/settings/"
_THEMES = "@jupyterlab/apputils-extension:themes"
_TRACKER = "@jupyterlab/notebook-extension:tracker"
_HEIGHT = 1500
_READY = 25_000  # milliseconds; the first page is slow


class Lab:
    """A running JupyterLab; `root` is the folder that it shows."""

    def __init__(self, url: str, root: Path, browser: Any) -> None:
        parts = urlsplit(url)
        self.root = root
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._query = parts.query
        self._browser = browser
        # Cells that are out of sight are not there otherwise.
        self._set(_TRACKER, {"windowingMode": "none"})

    @contextlib.contextmanager
    def page(self, notebook: Path, *, width: int = 1200, dark: bool = False) -> Iterator[Page]:
        """The notebook's page, drawn."""
        self._set(_THEMES, {"theme": f"JupyterLab {'Dark' if dark else 'Light'}"})
        context = self._browser.new_context(viewport={"width": width, "height": _HEIGHT})
        try:
            page = context.new_page()
            path = notebook.relative_to(self.root).as_posix()
            page.goto(f"{self._base}/lab/tree/{path}?reset&{self._query}")
            page.wait_for_selector(".jp-Notebook .jp-Cell", timeout=_READY)
            page.wait_for_selector("#jupyterlab-splash", state="detached", timeout=_READY)
            theme = "false" if dark else "true"
            page.wait_for_selector(
                f'body[data-jp-theme-light="{theme}"]', state="attached", timeout=_READY
            )
            # Before that a cell that is run asks for a kernel.
            page.get_by_text(re.compile(r"Python 3 .*\| Idle")).wait_for(
                state="attached", timeout=_READY
            )
            if page.locator(".jp-FileBrowser").first.is_visible():
                page.keyboard.press("Control+B")  # the file browser, which leaves little room
            yield Page(page)
        finally:
            context.close()

    def _set(self, name: str, settings: dict[str, Any]) -> None:
        url = f"{self._base}{_SETTINGS}{name}?{self._query}"
        httpx.put(url, json={"raw": json.dumps(settings)}, trust_env=False).raise_for_status()


class Page:
    """One notebook in the browser; `playwright` is Playwright's page."""

    def __init__(self, playwright: Any) -> None:
        self.playwright = playwright

    def broken(self) -> list[str]:
        """What a reader would find broken: pictures, diagrams, text that sticks out."""
        found: list[str] = self.playwright.evaluate(_BROKEN)
        return found

    def save_pictures(self, path: Path) -> list[Path]:
        """Photograph the notebook from top to bottom, as `<path>-1.png` and so on."""
        path.parent.mkdir(parents=True, exist_ok=True)
        saved, top, height = [], 0, 1
        while top < height:
            height = self.playwright.evaluate(_SCROLL, top)
            saved.append(path.with_name(f"{path.name}-{len(saved) + 1}.png"))
            self.playwright.screenshot(path=saved[-1])
            top += _HEIGHT - 200
        return saved

    def run_all(self) -> None:
        """Run all cells, from the menu; return at once."""
        page = self.playwright
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()

    def wait_until_run(self, *, timeout: float) -> None:
        """Wait until each cell with code has a number; at most `timeout` seconds."""
        self.playwright.wait_for_function(_ALL_RUN, timeout=timeout * 1000)

    def save(self) -> None:
        """Save the notebook, from the menu."""
        page = self.playwright
        page.get_by_role("menuitem", name="File", exact=True).click()
        page.get_by_role("menuitem", name="Save Notebook", exact=False).first.click()


_SCROLL = """top => {
  const panel = document.querySelector('.jp-WindowedPanel-outer');
  panel.scrollTop = top;
  const last = [...panel.querySelectorAll('.jp-Cell')].at(-1).getBoundingClientRect();
  return last.bottom - panel.getBoundingClientRect().top + panel.scrollTop;
}"""

_ALL_RUN = r"""() => [...document.querySelectorAll('.jp-CodeCell')].every(
  cell => !cell.querySelector('.cm-content').textContent.trim()
    || /\d/.test(cell.querySelector('.jp-InputPrompt').textContent)
)"""

_BROKEN = """() => {
  const found = [];
  for (const block of document.querySelectorAll('.jp-Notebook .jp-RenderedMarkdown')) {
    if (block.scrollWidth > block.clientWidth + 1) {
      found.push('sticks out: ' + block.textContent.trim().slice(0, 60));
    }
  }
  for (const output of document.querySelectorAll('.jp-Notebook .jp-OutputArea-output')) {
    const text = output.textContent.trim();
    const sticksOut = output.scrollWidth > output.clientWidth + 1;
    if (innerWidth >= 1000 && sticksOut && !text.startsWith('curl')) {
      found.push('has a scrollbar: ' + text.slice(0, 60));
    }
  }
  return found;
}"""


@contextlib.contextmanager
def jupyterlab(home: Path) -> Iterator[subprocess.Popen[str]]:
    """The command that opens JupyterLab, with its output; ended with the block, as by Ctrl-C."""
    with subprocess.Popen(
        [sys.executable, "-m", "workbench.jupyterlab", "open"],
        env={**os.environ, "WORKBENCH_HOME": str(home), "BROWSER": "true"},
        stdout=subprocess.PIPE,
        text=True,
    ) as command:
        try:
            yield command
        finally:
            command.send_signal(signal.SIGINT)
            command.wait(timeout=30)


@contextlib.contextmanager
def lab(home: Path, browser: Any) -> Iterator[Lab]:
    """JupyterLab as a reader has it; it and all that its notebooks start are gone in the end."""
    with jupyterlab(home) as command:
        assert command.stdout is not None
        url = command.stdout.readline().split()[-1]
        yield Lab(url, home / "reader", browser)
