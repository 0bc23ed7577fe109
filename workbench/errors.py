"""The one kind of error that the workbench shows to a person.

Its message is what the person reads: what happened, to what, and what to do. A traceback through
the workbench's own files would bury those lines, so IPython is told to show the message alone.
"""

from __future__ import annotations


class WorkbenchError(RuntimeError):
    """Something on this machine is not as the workbench needs it; the message names the fix."""

    def _render_traceback_(self) -> list[str]:
        """What IPython prints in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]
