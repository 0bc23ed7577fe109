"""Compares what a cell put out with what is committed; the cell's tags say what may vary.

| tag | what may vary |
|---|---|
| `varies: ids` | ids in full, such as `inv_1gvxU0G1kYuH5fxmpD58BhRUpfhhWsxChe` |
| `varies: place` | where the servers run: URLs, pids, the mode, and what is registered already |
| `varies: /\\d+ tokens?/` | what matches this regular expression |
| `varies: lines /^ *!/` | how many lines match this expression, if there are any |
| `varies: order` | the order of the lines |
| `varies: vqueues` | all of it, on a server with `RESTATE_EXPERIMENTAL_ENABLE_VQUEUES=true` |

All else has to be as committed. A tag cannot hold a comma; `\\x2c` is one in an expression.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

_PREFIX = "varies:"

_NAMED = {
    "ids": [(r"\b(inv|dp|sub)_\w{20,}", "«id»")],
    "place": [
        (r"https?://[\w.-]+:\d+", "«url»"),
        (r"\bpid \d+", "«pid»"),
        (r"\((embedded|docker)\)", "«mode»"),
        (r"POST /deployments → 20[01]", "«registered»"),
    ],
    "order": [],
    "vqueues": [],
}
_VQUEUES = os.environ.get("RESTATE_EXPERIMENTAL_ENABLE_VQUEUES") == "true"


def difference(committed: Sequence[Any], seen: Sequence[Any], tags: Sequence[str]) -> str:
    """The difference of a cell's outputs, as lines of a diff; empty if there is none.

    Raises ValueError for a tag that says nothing known.
    """
    variations = variations_of(tags)
    if "vqueues" in variations and _VQUEUES:  # the lesson says there what the next release does
        return ""
    before, after = _blocks(committed), _blocks(seen)
    if [kind for kind, _ in before] != [kind for kind, _ in after]:
        texts = [
            [f"({kind}) {line}" for kind, text in blocks for line in text.splitlines()]
            for blocks in (before, after)
        ]
        return "\n".join(_changes(*texts, *texts))
    found: list[str] = []
    for (kind, old), (_, new) in zip(before, after, strict=True):
        masked = [_masked(text, variations) for text in (old, new)]
        if masked[0] != masked[1]:
            found += [f"({kind})", *_changes(*masked, *_shown(old, new, masked, variations))]
    return "\n".join(found)


def variations_of(tags: Sequence[str]) -> list[str]:
    """Reads the tags. Raises ValueError for an unknown one."""
    found = []
    for tag in tags:
        if not tag.startswith(_PREFIX):
            continue
        variation = tag.removeprefix(_PREFIX).strip()
        if expression := _expression(variation):
            try:
                re.compile(expression)
            except re.error as error:
                raise ValueError(f"The tag {tag!r} is not a regular expression: {error}.") from None
        elif variation not in _NAMED:
            raise ValueError(
                f"The tag {tag!r} says nothing known. After {_PREFIX!r} there may be: "
                f"/expression/, lines /expression/, {', '.join(_NAMED)}."
            )
        found.append(variation)
    return found


def _expression(variation: str) -> str:
    """The regular expression in `/…/` or `lines /…/`; empty for anything else."""
    found = re.fullmatch(r"(?:lines )?/(.+)/", variation)
    return found[1] if found else ""


def _blocks(outputs: Sequence[Any]) -> list[tuple[str, str]]:
    """Kind and text of all that a reader sees. A stream in pieces is one."""
    blocks: list[tuple[str, str]] = []
    for output in outputs:
        if output["output_type"] == "stream":
            joined = blocks.pop()[1] if blocks and blocks[-1][0] == output["name"] else ""
            blocks.append((output["name"], joined + output["text"]))
        elif output["output_type"] == "error":
            blocks.append(("error", f"{output['ename']}: {output['evalue']}"))
        else:
            for kind, data in sorted(output["data"].items()):
                blocks.append((kind, str(data)))
    return blocks


def _masked(text: str, variations: Sequence[str]) -> list[str]:
    """The lines of `text`, with a sign in place of all that may vary."""
    for variation in variations:
        if variation.startswith("lines "):
            text = _once(text, _expression(variation))
    text = _without(text, variations)
    kept = ("order", "vqueues", "lines ")
    if any(not what.startswith(kept) for what in variations):
        text = re.sub("-{2,}", "--", re.sub(" +", " ", text))  # what aligns columns
    lines = [line.strip() for line in text.splitlines()]
    return sorted(lines) if "order" in variations else lines


def _without(text: str, variations: Sequence[str]) -> str:
    """`text` with signs in place of what is named, and of what matches an expression."""
    patterns = [pattern for name in _NAMED if name in variations for pattern in _NAMED[name]]
    expressions = [_expression(variation) for variation in variations if variation[0] == "/"]
    quoted = [(one, f"«{one}»".replace("\\", r"\\")) for one in expressions]
    for pattern, sign in [*patterns, *quoted]:
        text = re.sub(pattern, sign, text, flags=re.MULTILINE)
    return text


def _once(text: str, expression: str) -> str:
    """`text` without the lines that match, but for a sign in the place of the first."""
    lines, sign = list[str](), f"«{expression}»"
    for line in text.splitlines():
        if not re.search(expression, line):
            lines.append(line)
        elif sign not in lines:
            lines.append(sign)
    return "\n".join(lines)


def _shown(
    old: str, new: str, masked: list[list[str]], variations: Sequence[str]
) -> list[list[str]]:
    """The lines as they are, where each stands for its counterpart in `masked`."""
    whole = [old.splitlines(), new.splitlines()]
    same_lines = [*map(len, whole)] == [*map(len, masked)] and "order" not in variations
    return whole if same_lines else masked


def _changes(
    old: list[str], new: list[str], shown_old: list[str], shown_new: list[str]
) -> Iterator[str]:
    """The difference of two texts, in the lines shown for theirs."""
    groups = difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(1)
    for position, group in enumerate(groups):
        if position:
            yield "  …"
        for what, old_from, old_to, new_from, new_to in group:
            if what == "equal":
                yield from (f"  {line}" for line in shown_new[new_from:new_to])
            else:
                yield from (f"- {line}" for line in shown_old[old_from:old_to])
                yield from (f"+ {line}" for line in shown_new[new_from:new_to])
