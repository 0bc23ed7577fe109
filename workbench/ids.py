"""Ids and long values in short, for print only: what a function returns is whole.

An id says nothing to a person, and no two runs have the same. In a notebook it gets a label such as
`inv_…run_task-1`, the first run_task that the notebook shows. A label says which handler was
invoked, or which service a deployment serves, and is the same in every run that does the same.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

WIDTH = 100  # what a notebook's output shows without scrolling sideways

# Of invocations, deployments, awakeables and their like: a prefix, then twenty characters and more.
_ID = re.compile(r"\b(inv|dp|sub|sign|prom)_([\w-]{5})[\w-]{8,}([\w-]{4})(?![\w-])", re.ASCII)

_NameSource = Callable[[str], "str | None"]


class IdLabels:
    """Gives labels to ids, in the order in which they are first shown."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._given: Counter[str] = Counter()
        self._sources: list[_NameSource] = []

    def note(self, id: str, name: str) -> None:
        """Remember what the id belongs to: an invocation's target, a deployment's service."""
        self._names.setdefault(id, name)

    def add_source(self, source: _NameSource) -> None:
        """Look up names that nobody has noted in `source`; it returns None for unknown ids."""
        self._sources.append(source)

    def remove_source(self, source: _NameSource) -> None:
        """Stop looking names up in `source`."""
        if source in self._sources:
            self._sources.remove(source)

    def label(self, id: str) -> str | None:
        """Return the label of an id, always the same; None for one that has no name."""
        if id not in self._labels:
            name = self._names.get(id) or self._looked_up(id)
            if name is None and id.startswith(("sign_", "prom_")):
                name = "awakeable"
            if name is None:
                return None
            kind = f"{id.partition('_')[0]}_…{name.rpartition('/')[2]}"
            self._given[kind] += 1
            self._labels[id] = f"{kind}-{self._given[kind]}"
        return self._labels[id]

    def _looked_up(self, id: str) -> str | None:
        newest_first = reversed(self._sources)
        return next((name for source in newest_first if (name := source(id))), None)


labels = IdLabels()
"""The labels of this process."""


def get_ipython() -> Any:
    """Return the IPython shell that runs this code; None outside a notebook.

    A notebook has imported IPython already. Elsewhere it stays unimported: that takes longer than
    anything else of the workbench.
    """
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def display(data: dict[str, str]) -> None:
    """Display one thing in several formats; outside a notebook, its plain text is printed."""
    if get_ipython() is None:
        print(data["text/plain"])
        return
    from IPython.display import display as show  # slow to import

    show(data, raw=True)  # type: ignore[no-untyped-call]


def short_ids(text: str) -> str:
    """Shorten each id in `text`: to its label in a notebook, else to `inv_16GZZ…onZX`.

    Outside a notebook, in a test or a stress run, there are thousands of ids, and a person looks
    for one of them in a log. The end tells two invocations of one object apart: they share their
    first characters, which stand for the partition.
    """
    in_notebook = get_ipython() is not None

    def _short(id: re.Match[str]) -> str:
        label = labels.label(id[0]) if in_notebook else None
        return label or f"{id[1]}_{id[2]}…{id[3]}"

    return _ID.sub(_short, text)


def one_line(text: str) -> str:
    """Fold every run of whitespace into one space."""
    return " ".join(text.split())


def clipped(text: str, width: int) -> str:
    """Cut `text` to one line of at most `width` characters, saying how many were left out."""
    line = one_line(text)
    if len(line) <= width:
        return line
    kept = max(width - len(f"… (+{len(line)})"), 1)
    return f"{line[:kept]}… (+{len(line) - kept})"


def without_middle(text: str, width: int) -> str:
    """Cut `text` to at most `width` characters, and keep both ends.

    It is for a target, `Object/key/handler`, where the key says least.
    """
    if len(text) <= width:
        return text
    tail = width // 2
    return f"{text[: width - tail - 1]}…{text[-tail:]}"


def compact_json(value: object) -> str:
    """Write `value` as JSON in one line, with letters and emoji as themselves."""
    return json.dumps(value, ensure_ascii=False)
