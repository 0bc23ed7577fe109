"""A browser and JupyterLab for the tests of this folder.

They end with it: where Playwright is at work, `asyncio.run` of another test would be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.chromium import chromium, missing
from tests.browser.lab import Lab, lab


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    if reason := missing():
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="package")
def reader(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab with a reader's copies of the lessons."""
    with lab(tmp_path_factory.mktemp("home"), browser) as running:
        yield running
