"""Whether anybody looks at this cell's output while it runs."""

from __future__ import annotations

from IPython.core.getipython import get_ipython


def someone_looks() -> bool:
    """Whether what is displayed now is seen now, by someone who has a browser or an editor open.

    A front end says with every cell whether it could ask a person something: JupyterLab could,
    papermill, nbclient and nbconvert could not. Without a kernel nothing can be shown in place.
    """
    parent = getattr(get_ipython(), "parent_header", None) or {}  # the whole message, by this name
    return bool(parent.get("content", {}).get("allow_stdin"))
