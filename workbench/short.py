"""Long things in short: ids, values, SQL. For print only: what a function returns is whole."""

from __future__ import annotations

import json
import re

# Of invocations, deployments, awakeables and their like: a prefix, then twenty characters and more.
_ID = re.compile(r"\b(inv|dp|sub|sign|prom)_([\w-]{5})[\w-]{8,}([\w-]{4})(?![\w-])", re.ASCII)


def short_ids(text: str) -> str:
    """`text` with each id in it cut to its ends: `inv_16GZZ…onZX`.

    The end is what tells two invocations of one object apart: they share their first characters,
    which stand for the partition.
    """
    return _ID.sub(r"\1_\2…\3", text)


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
