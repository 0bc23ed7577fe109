"""What an id is called in a notebook: `inv_…run_task-1`, the first run_task that it shows.

An id says nothing to a person, and no two runs have the same. A label says which handler was
invoked, or which service a deployment serves, and is the same in every run that does the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

__all__ = ["IdLabels", "labels"]

_NameSource = Callable[[str], str | None]


class IdLabels:
    """Labels, given as they are asked for."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._labels: dict[str, str] = {}
        self._given: Counter[str] = Counter()
        self._sources: list[_NameSource] = []

    def note(self, id: str, name: str) -> None:
        """`name` is what the id belongs to: an invocation's target, a deployment's service."""
        self._names.setdefault(id, name)

    def ask(self, source: _NameSource) -> None:
        """Ask `source` from now on for the names that nobody has noted; None where unknown."""
        self._sources.append(source)

    def ask_no_more(self, source: _NameSource) -> None:
        """`source` cannot be asked any more."""
        if source in self._sources:
            self._sources.remove(source)

    def label(self, id: str) -> str | None:
        """The label of an id, always the same; None for one that has no name."""
        if id not in self._labels:
            name = self._names.get(id) or self._asked(id)
            if name is None:
                return None
            kind = f"{id.partition('_')[0]}_…{name.rpartition('/')[2]}"
            self._given[kind] += 1
            self._labels[id] = f"{kind}-{self._given[kind]}"
        return self._labels[id]

    def _asked(self, id: str) -> str | None:
        newest_first = reversed(self._sources)
        return next((name for source in newest_first if (name := source(id))), None)


labels = IdLabels()
"""Those of this process."""
