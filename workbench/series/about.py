"""What a lesson says of itself in its opening: its title, and what one does in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import nbformat

_LABEL = re.compile(r"^\*\*[^*]+\*\*\s*[—–:-]?\s*")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s")


@dataclass(frozen=True)
class About:
    """A lesson's title, and one sentence on it, which may be empty."""

    title: str
    description: str


def about(lesson: Path) -> About:
    """Read the opening of a notebook: a heading, then a paragraph, which may have a bold label."""
    cells = nbformat.read(lesson, as_version=4).cells
    opening = cells[0].source if cells and cells[0].cell_type == "markdown" else ""
    blocks = [block.strip() for block in opening.split("\n\n") if block.strip()]
    title, description = lesson.stem, ""
    if blocks and blocks[0].startswith("# "):
        title = blocks[0].splitlines()[0].removeprefix("# ").strip()
        if len(blocks) > 1 and not blocks[1].startswith(("#", "```", "-", "|")):
            text = _LABEL.sub("", " ".join(blocks[1].split()))
            description = _SENTENCE_END.split(text)[0]
    return About(title, description[:1].upper() + description[1:])
