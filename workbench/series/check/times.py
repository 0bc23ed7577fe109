"""Takes the times out of a text, and no other number: durations, moments, columns of them."""

from __future__ import annotations

import re

from workbench.views.figure_style import MARKS

__all__ = ["without_times"]

_TIME = "«time»"
_COLUMNS = {"ms", "began", "ended", "first token", "waited (ms)"}
_VALUE = r"\d[\d,]*(?:\.\d+)?"
_UNIT = r" ?(?:ms|s|seconds?)\b"
_MARKS = "".join(re.escape(mark.character) for mark in MARKS.values())
_PATTERNS = [
    # 813 ms, 2.9 s; and before them 1688, 1702, 1725 ms, or from 1,668 to 2,115 ms.
    re.compile(rf"(?<![\w.])(?:{_VALUE}(?:, | to | and ))*{_VALUE}(?={_UNIT})"),
    # ✕697, ◆1045: a mark's moment; ● completed 1204: an end's.
    re.compile(rf"(?<=[{_MARKS}]){_VALUE}"),
    re.compile(rf"(?<=[{_MARKS}] )(?P<outcome>[a-z -]+ ){_VALUE}"),
]
_RULE = re.compile(r"-+(?:  -+)+")


def without_times(text: str) -> str:
    """`text` with a sign in place of each time."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if _RULE.fullmatch(line) and number:
            _blank_columns(lines, number)
    text = "\n".join(lines)
    for pattern in _PATTERNS:
        text = pattern.sub(lambda found: f"{found.groupdict().get('outcome', '')}{_TIME}", text)
    return text


def _blank_columns(lines: list[str], rule: int) -> None:
    """Put signs into the columns of times of the table whose header stands above `rule`."""
    spans = [found.span() for found in re.finditer("-+", lines[rule])]
    names = [lines[rule - 1][start:end].strip() for start, end in spans]
    for row in range(rule + 1, len(lines)):
        if not lines[row].strip():
            return
        cells = [lines[row][start:end].strip() for start, end in spans]
        lines[row] = "  ".join(
            _TIME if name in _COLUMNS and cell else cell
            for name, cell in zip(names, cells, strict=True)
        )
