"""Long things in short: ids, values, SQL. For print only: what a function returns is whole."""

from __future__ import annotations

import json
import re

from workbench.id_labels import labels
from workbench.notebook import get_ipython

# Of invocations, deployments, awakeables and their like: a prefix, then twenty characters and more.
_ID = re.compile(r"\b(inv|dp|sub|sign|prom)_([\w-]{5})[\w-]{8,}([\w-]{4})(?![\w-])", re.ASCII)


def short_ids(text: str) -> str:
    """`text` with each id in it in short: in a notebook its label, else `inv_16GZZ…onZX`.

    Outside a notebook, in a test or a stress run, there are thousands of ids, and a person looks
    for one of them in a log. Its end is what tells two invocations of one object apart: they share
    their first characters, which stand for the partition.
    """
    in_notebook = get_ipython() is not None

    def _short(id: re.Match[str]) -> str:
        label = labels.label(id[0]) if in_notebook else None
        return label or f"{id[1]}_{id[2]}…{id[3]}"

    return _ID.sub(_short, text)


def one_line(text: str) -> str:
    """`text` with every run of whitespace folded into one space."""
    return " ".join(text.split())


def clipped(text: str, width: int) -> str:
    """`text` in one line of at most `width` characters, saying how many were left out."""
    line = one_line(text)
    if len(line) <= width:
        return line
    kept = max(width - len(f"… (+{len(line)})"), 1)
    return f"{line[:kept]}… (+{len(line) - kept})"


def without_middle(text: str, width: int) -> str:
    """`text` in at most `width` characters, both of its ends kept.

    It is for a target, `Object/key/handler`, where the key says least.
    """
    if len(text) <= width:
        return text
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def compact_json(value: object) -> str:
    """`value` as JSON in one line, with letters and emoji as themselves."""
    return json.dumps(value, ensure_ascii=False)
