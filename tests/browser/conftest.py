"""A browser and JupyterLab for the tests of this folder.

They end with it: where Playwright is at work, `asyncio.run` of another test would be refused.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import chromium, missing
from tests.browser.lab import Lab, lab
from workbench.state_dir import REPOSITORY


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    if reason := missing():
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def reader(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with copies of the lessons."""
    root = tmp_path_factory.mktemp("reader")
    shutil.copytree(REPOSITORY / "notebooks", root / "notebooks")
    first = min((root / "notebooks").glob("*.ipynb"))
    with lab(root, first, _made(root / "home"), browser) as running:
        yield running


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
