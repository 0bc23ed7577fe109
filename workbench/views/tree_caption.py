"""What a call tree comes to, in full sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

__all__ = ["counted", "joined", "tree_caption"]

_NAMES = 4
# How a status is said, of one and of several.
_VERBS = {
    "completed · success": ("completed", "completed"),
    "completed · failure · [409] cancelled": ("was cancelled", "were cancelled"),
    "completed · failure · [409] killed": ("was killed", "were killed"),
    "backing-off": ("is backing off", "are backing off"),
    "no record": ("left no record", "left no record"),
}


def tree_caption(rows: Sequence[dict[str, Any]]) -> str:
    """A few sentences on rows of `tree_rows`: the root, its calls, its sends."""
    root, *below = rows
    sentences = [f"{_handler(root)} {_verb(root['status'], 1)}."]
    kinds = {"call": "call", "one-way": "one-way send", "delayed": "delayed send"}
    for how, noun in {**kinds, "unknown": "other child"}.items():
        group = [row for row in below if row["how"] == how]
        if group:
            sentences.append(_sentence(group, noun))
    if not below:
        sentences.append("It called no other invocation.")
    if any(row["how"] in {"one-way", "delayed"} for row in below):
        sentences.append("Solid lines lead to calls, dotted ones to sends.")
    return " ".join(sentences)


def counted(names: Sequence[str]) -> str:
    """`write_file ×4, begin and commit`; of many names, the most frequent."""
    counts = Counter(names).most_common()
    parts = [name if count == 1 else f"{name} ×{count}" for name, count in counts]
    if len(parts) > _NAMES:
        rest = sum(count for _, count in counts[_NAMES - 1 :])
        parts = [*parts[: _NAMES - 1], f"{rest} more"]
    return joined(parts)


def joined(parts: Sequence[str]) -> str:
    """`a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _sentence(group: Sequence[dict[str, Any]], noun: str) -> str:
    """Of one kind of invocations: how many there are, and what became of which."""
    many = len(group)
    plural = {"other child": "other children"}.get(noun, f"{noun}s")
    outcomes: dict[str, list[str]] = {}
    for row in group:
        outcomes.setdefault(row["status"], []).append(_handler(row))
    # What did not simply complete is what there is to see.
    ends = sorted(outcomes.items(), key=lambda item: item[0] == "completed · success")
    if len(ends) == 1:
        ((status, names),) = ends
        whose = f"The {noun}" if many == 1 else f"The {many} {plural}"
        return f"{whose} in its tree ({counted(names)}) {_verb(status, many)}."
    clauses = [
        f"{len(names)} {_verb(status, len(names))} ({counted(names)})" for status, names in ends
    ]
    return f"Of the {many} {plural} in its tree, {joined(clauses)}."


def _handler(row: dict[str, Any]) -> str:
    return str(row["target"].rsplit("/", 1)[-1])


def _verb(status: str, many: int) -> str:
    """`was cancelled` of `completed · failure · [409] cancelled`."""
    one, several = _VERBS.get(status, ("", ""))
    if not one:
        if status.startswith("completed · failure · "):
            failure = status.split(" · ", 2)[-1]
            failure = failure if len(failure) <= 60 else f"{failure[:59]}…"
            one = several = f"failed with {failure}"
        else:
            one, several = f"is {status}", f"are {status}"
    return one if many == 1 else several
