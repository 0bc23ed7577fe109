"""Shows code as it runs: what a lesson prints of the agent is read from the agent's own files."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import ModuleType
from typing import Any

__all__ = ["show_source"]


class _Source:
    """Python source, highlighted where Markdown is shown, and plain text elsewhere."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self._text}\n```"


def show_source(*objects: Callable[..., Any] | type | ModuleType) -> None:
    """Display the source of functions, classes or modules, one after the other."""
    from IPython.display import display  # slow to import, and of no use outside a notebook

    display(_Source("\n\n\n".join(inspect.getsource(each).rstrip() for each in objects)))  # type: ignore[no-untyped-call]
