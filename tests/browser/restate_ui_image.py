"""Makes `notebooks/images/restate_ui_interruption.png`: two tasks, side by side in the Restate UI.

    python -m tests.browser.restate_ui_image

It starts Restate, the scripted model and the agent in a home of their own, sends a message, sends
another one while the files of the first are being written, and photographs the journals of both
tasks. The lessons show the image; it has to be made again when the UI or the agent changes.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from tests.browser.chromium import chromium, missing
from tests.stack import Session, Stack
from workbench.lesson import stop_all
from workbench.state_dir import REPOSITORY, use_state_dir

IMAGE = REPOSITORY / "notebooks" / "images" / "restate_ui_interruption.png"
# In so narrow a window the UI leaves its side bar and the time line away.
_WINDOW = {"width": 760, "height": 1400}
_LEFT, _RIGHT = 22, 640
_KEY = "to-do"
_GAP = 24
_COLOURS = 256


def make(stack: Stack, browser: Any) -> Image.Image:
    """The image, of a fresh session."""
    session = Session(stack, _KEY)
    first = session.message("Write a to-do CLI")
    session.wait_streaming(1, "write", calls=2)
    second = session.message("Write it with Flask instead")
    session.wait_idle()
    tasks = [_photograph(browser, stack, turn["task_id"]) for turn in (first, second)]
    height = max(task.height for task in tasks)
    image = Image.new("RGB", (2 * tasks[0].width + _GAP, height), "white")
    for number, task in enumerate(tasks):
        image.paste(task, (number * (task.width + _GAP), 0))
    return image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _photograph(browser: Any, stack: Stack, task: str) -> Image.Image:
    """An invocation's head and its journal, without what is between them."""
    page = browser.new_page(viewport=_WINDOW)
    page.goto(f"{stack.restate.ui_url}/invocations/{task}")
    page.get_by_text("Compact", exact=True).wait_for()
    page.wait_for_load_state("networkidle")
    page.get_by_text("retention ends in").wait_for()
    title, journal_title, *_ = [
        name.bounding_box()["y"] for name in page.get_by_text("run_task").all()
    ]
    end = page.get_by_text("retention ends in").bounding_box()["y"]
    whole = Image.open(io.BytesIO(page.screenshot()))
    page.close()
    head = whole.crop((_LEFT, round(title) - 16, _RIGHT, round(title) + 36))
    journal = whole.crop((_LEFT, round(journal_title) - 10, _RIGHT, round(end) + 24))
    both = Image.new("RGB", (head.width, head.height + journal.height), "white")
    both.paste(head, (0, 0))
    both.paste(journal, (0, head.height))
    return both


def main() -> int:
    if reason := missing():
        print(reason, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as home, use_state_dir(Path(home)):
        try:
            with chromium() as browser:
                image = make(Stack.start(), browser)
        finally:
            stop_all()
    IMAGE.parent.mkdir(exist_ok=True)
    image.save(IMAGE, optimize=True)
    print(f"{IMAGE.relative_to(REPOSITORY)}: {IMAGE.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
