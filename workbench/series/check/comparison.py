"""Compares what a lesson printed with what is committed, cell by cell."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

import nbformat

from workbench.series.check.blocks import Block, blocks_of
from workbench.series.check.variation import Variation

__all__ = ["Difference", "differences"]

_CONTEXT = 1


@dataclass(frozen=True)
class Difference:
    """A cell whose output is not as committed."""

    cell: int
    """Its place among all of the notebook's cells, from 1."""
    source: str
    diff: str
    """Lines that begin with `-` are expected, with `+` seen."""


def differences(committed: nbformat.NotebookNode, seen: nbformat.NotebookNode) -> list[Difference]:
    """The cells of `seen`, an executed copy of `committed`, whose outputs differ.

    Raises WorkbenchError for a tag that says nothing known.
    """
    found = []
    for number, (old, new) in enumerate(zip(committed.cells, seen.cells, strict=True), start=1):
        if old.cell_type == "code":
            variation = Variation.of(old.metadata.get("tags", []))
            diff = _diff(blocks_of(old.outputs), blocks_of(new.outputs), variation)
            if diff:
                found.append(Difference(number, old.source, diff))
    return found


def _diff(committed: list[Block], seen: list[Block], variation: Variation) -> str:
    kinds = [[block.kind for block in blocks] for blocks in (committed, seen)]
    if kinds[0] != kinds[1]:
        texts = [
            [f"({block.kind}) {line}" for block in blocks for line in _whole(block)]
            for blocks in (committed, seen)
        ]
        return "\n".join(_changes(*texts, *texts))
    elastic = variation.numbers or variation.times
    lines: list[str] = []
    for old, new in zip(committed, seen, strict=True):
        masked = [variation.lines(block.text) for block in (old, new)]
        if masked[0] != masked[1] and not (elastic and _same_words(*masked)):
            lines += [f"({new.kind})", *_changes(*masked, *_shown(masked, old, new, variation))]
        lines += [
            f"({new.kind}) {number} is out of the range that the tag allows"
            for number in variation.strange_numbers(new.text, old.text)
        ]
    return "\n".join(lines)


def _same_words(old: list[str], new: list[str]) -> bool:
    """Whether only the ends of lines differ: numbers may be longer, and break lines elsewhere."""
    return "".join("".join(old).split()) == "".join("".join(new).split())


def _shown(
    masked: list[list[str]], old: Block, new: Block, variation: Variation
) -> list[list[str]]:
    """The lines as they are, where each stands for its counterpart in `masked`."""
    whole = [_whole(block) for block in (old, new)]
    return masked if variation.order or [*map(len, whole)] != [*map(len, masked)] else whole


def _whole(block: Block) -> list[str]:
    return block.text.splitlines()


def _changes(
    old: list[str], new: list[str], shown_old: list[str], shown_new: list[str]
) -> Iterator[str]:
    """The difference of two texts, in lines of their counterparts."""
    groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(_CONTEXT)
    for position, group in enumerate(groups):
        if position:
            yield "  …"
        for what, old_from, old_to, new_from, new_to in group:
            if what == "equal":
                yield from (f"  {line}" for line in shown_new[new_from:new_to])
            else:
                yield from (f"- {line}" for line in shown_old[old_from:old_to])
                yield from (f"+ {line}" for line in shown_new[new_from:new_to])
