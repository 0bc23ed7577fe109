"""Other ways in which readers go through a lesson: slowly, twice, and out of order."""

from __future__ import annotations

import copy
import random
from typing import Any

import nbformat

VARIANTS = ("slow", "twice", "shuffled")


def variant_of(book: Any, variant: str, *, seconds: float, seed: int) -> Any:
    """The notebook as a reader of that kind goes through it.

    `slow`: after each cell that leaves something held, `seconds` pass. `twice`: all cells, and all
    of them again. `shuffled`: all cells, then the scenes again in another order, each after a
    random choice of the cells that define things.
    """
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    if variant == "slow":
        wait = nbformat.v4.new_code_cell(f"import time\n\ntime.sleep({seconds})")
        after = {True: [wait], False: []}
        cells = [cell for one in code for cell in (one, *after["held" in _tags(one)])]
    elif variant == "twice":
        cells = [*code, *code]
    else:
        cells = [*code, *_shuffled(code, random.Random(seed))]
    cells = [{**copy.deepcopy(cell), "id": f"cell-{n}"} for n, cell in enumerate(cells)]
    return nbformat.from_dict({**book, "cells": cells})


def _shuffled(code: list[Any], chance: random.Random) -> list[Any]:
    """The scenes in another order. A scene begins with a cell that acts, and looks at it then."""
    scenes: list[list[Any]] = []
    for cell in code:
        if "do" in _tags(cell):
            scenes.append([])
        if scenes and {"do", "see", "prove"}.intersection(_tags(cell)):
            scenes[-1].append(cell)
    chance.shuffle(scenes)
    again = []
    for scene in scenes:
        again += [cell for cell in code if "set" in _tags(cell) and chance.random() < 0.5]
        again += scene
    return again


def _tags(cell: Any) -> list[str]:
    tags: list[str] = cell.metadata.get("tags", [])
    return tags
