"""What of a cell's output may vary from run to run, as the cell's tags say.

| tag | what may vary |
|---|---|
| `varies: times` | durations, moments, and the columns of tables that hold them |
| `varies: 0..5000` | numbers, from 0 to 5000, and with them the spaces that align columns |
| `varies: ids` | ids in full, such as `inv_1gvxU0G1kYuH5fxmpD58BhRUpfhhWsxChe` |
| `varies: place` | where the servers run: URLs, pids, the mode, and what is registered already |
| `varies: /\\d+ tokens?/` | whatever matches this regular expression, which must match as often |
| `varies: lines /^ *!/` | how many lines match this expression, if there are any |
| `varies: bars` | the bars of a timeline in text, and its legend |
| `varies: order` | the order of the lines |

All else has to be as committed. A tag cannot hold a comma; `\\x2c` is one in an expression.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from workbench.series.check.times import without_times
from workbench.state_dir import WorkbenchError
from workbench.views.figure_style import BARS, MARKS

__all__ = ["TAG", "Variation"]

TAG = "varies:"
_NAMED = {
    "ids": [r"\b(inv|dp|sub)_\w{20,}"],
    "place": [
        r"https?://[\w.-]+:\d+",
        r"\bpid \d+",
        r"\((embedded|docker)\)",
        r"POST /deployments → 20[01]",
    ],
}
_LINES = re.compile(r"lines /(.+)/")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")
# Neither a part of a name (write_file-2, v3), nor of a version or an address (1.7.12).
_NUMBER = re.compile(r"(?<![\w.…-])\d[\d,]*(?:\.\d+)?(?!\w|[.-]\w)")
_SIGNS = re.escape(
    "".join(
        {*(bar.character for bar in BARS.values()), *(mark.character for mark in MARKS.values())}
    )
)
_BAR = re.compile(f"[·{_SIGNS}]{{24,}}")
# Where a row's marks are cut off depends on how long their times are.
_CUT_OFF = re.compile(f"( [{_SIGNS}][^ \n]*)* ?…$", re.MULTILINE)
# Which signs there are to be explained depends on the bars; the words do not.
_EXPLAINED = [f"{bar.character} {bar.meaning}" for bar in BARS.values()]
_EXPLAINED += [f"{mark.character} {mark.meaning}" for mark in MARKS.values()]
_LEGEND = re.compile(
    "|".join(rf"(?:(?<= · )|^){re.escape(what)}(?: · |\n|$)" for what in _EXPLAINED), re.MULTILINE
)
_RULE = re.compile(r"-{2,}")  # below a table's header
_SPACES = re.compile(r" +")


@dataclass(frozen=True)
class Variation:
    """What may vary."""

    numbers: tuple[float, float] | None = None
    """From where to where; None for not at all."""
    patterns: tuple[re.Pattern[str], ...] = ()
    repeated: tuple[re.Pattern[str], ...] = ()
    """Of the lines that match, one stands for all."""
    times: bool = False
    bars: bool = False
    order: bool = False

    @classmethod
    def of(cls, tags: Sequence[str]) -> Variation:
        """What a cell's tags say. Raises WorkbenchError for one that says nothing known."""
        numbers: tuple[float, float] | None = None
        patterns, repeated = [], []
        words = set()
        for tag in tags:
            if not tag.startswith(TAG):
                continue
            what = tag.removeprefix(TAG).strip()
            if span := _RANGE.fullmatch(what):
                numbers = (float(span[1]), float(span[2]))
            elif len(what) > 2 and what[0] == what[-1] == "/":
                patterns.append(_pattern(tag, what[1:-1]))
            elif what in _NAMED:
                patterns += [_pattern(tag, expression) for expression in _NAMED[what]]
            elif lines := _LINES.fullmatch(what):
                repeated.append(_pattern(tag, lines[1]))
            elif what in ("times", "bars", "order"):
                words.add(what)
            else:
                raise WorkbenchError(
                    f"The tag {tag!r} says nothing known. After {TAG!r} there may be: 0..5000, "
                    "/expression/, lines /expression/, times, ids, place, bars, order."
                )
        return cls(
            numbers,
            tuple(patterns),
            tuple(repeated),
            times="times" in words,
            bars="bars" in words,
            order="order" in words,
        )

    def lines(self, text: str) -> list[str]:
        """The lines of `text` with a sign in place of all that may vary."""
        for pattern in self.repeated:
            text = _once(text, pattern)
        if self.times:
            text = without_times(text)
        for pattern in self.patterns:
            text = pattern.sub(f"«{pattern.pattern}»".replace("\\", "\\\\"), text)
        if self.bars:
            text = _CUT_OFF.sub("…", _LEGEND.sub("", _BAR.sub("«bar»", text)))
        if self.numbers:
            text = _NUMBER.sub("«number»", text)
        if self.numbers or self.times or self.bars or self.patterns:
            text = _RULE.sub("--", _SPACES.sub(" ", text))
        lines = [line.strip() for line in text.splitlines()]
        return sorted(lines) if self.order else lines

    def strange_numbers(self, text: str, committed: str) -> list[str]:
        """The numbers of `text` that are neither in the range nor in the committed text."""
        if not self.numbers:
            return []
        least, most = self.numbers
        if self.times:
            text = without_times(text)
        for pattern in self.patterns:
            text = pattern.sub("", text)
        known = set(_NUMBER.findall(committed))
        return [
            number
            for number in dict.fromkeys(_NUMBER.findall(text))
            if number not in known and not least <= float(number.replace(",", "")) <= most
        ]


def _once(text: str, pattern: re.Pattern[str]) -> str:
    """`text` without the lines that match, but for a sign in the place of the first."""
    lines, sign = [], f"«{pattern.pattern}»"
    for line in text.splitlines():
        if not pattern.search(line):
            lines.append(line)
        elif sign not in lines:
            lines.append(sign)
    return "\n".join(lines)


def _pattern(tag: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression, re.MULTILINE)
    except re.error as error:
        raise WorkbenchError(f"The tag {tag!r} is no regular expression: {error}.") from error
