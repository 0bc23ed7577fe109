"""Which fields of a JSON value differ from those of another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from workbench.short import compact_json

__all__ = ["changed_fields"]

_ABSENT = object()


def changed_fields(before: str, after: str) -> list[tuple[str, str | None, str | None]]:
    """Each field that differs, with its JSON before and after; None where it was not there.

    A field is named by its way, such as `files.todo.py` or `steering[0]`; it is the whole value,
    and its name empty, where one of the two is no object and no list, or no JSON. Lists are
    compared by position: an element put in front of the others changes them all.
    """
    old, new = _parsed(before), _parsed(after)
    return [
        (path.removeprefix("."), _text(left), _text(right))
        for path, left, right in _changes("", old, new)
    ]


def _changes(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in [*old, *(name for name in new if name not in old)]:
            yield from _changes(f"{path}.{name}", old.get(name, _ABSENT), new.get(name, _ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and old and new:
        for position in range(max(len(old), len(new))):
            left, right = ([*some[position : position + 1], _ABSENT][0] for some in (old, new))
            yield from _changes(f"{path}[{position}]", left, right)
    elif type(old) is not type(new) or old != new:  # 1, 1.0 and true are equal to Python
        yield path, old, new


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _text(value: Any) -> str | None:
    return None if value is _ABSENT else compact_json(value)
