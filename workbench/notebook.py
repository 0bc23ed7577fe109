"""The notebook around us, if there is one, and whether anybody looks at it while a cell runs."""

from __future__ import annotations

import sys
from typing import Any


def get_ipython() -> Any:
    """The shell in which this code runs; None outside a notebook.

    Where there is one, IPython is imported already; elsewhere it is not imported to say so, since
    that takes longer than anything else of the workbench.
    """
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython else None


def someone_looks() -> bool:
    """Whether what is displayed now is seen now, by someone who has a browser or an editor open.

    A front end says with every cell whether it could ask a person something: JupyterLab could,
    papermill, nbclient and nbconvert could not. Without a kernel nothing can be shown in place.
    """
    parent = getattr(get_ipython(), "parent_header", None) or {}  # the whole message, by this name
    return bool(parent.get("content", {}).get("allow_stdin"))
