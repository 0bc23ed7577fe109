"""The way from a lesson to the server's own web page, to the very invocation that it is about."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from workbench.notebook import get_ipython, someone_looks
from workbench.short import short_ids

if TYPE_CHECKING:
    from workbench.restate import Restate

_HEIGHT = 720


def show_ui(restate: Restate, invocation_id: str | None = None, *, frame: bool = False) -> None:
    """Show a link to the Restate UI, at one invocation if given; outside a notebook, its address.

    With `frame`, the page itself is shown below the link, provided that somebody looks. A run by
    papermill or nbclient leaves the link alone: to whoever reads such a notebook, a page of the
    machine on which it was run would be an empty box.
    """
    url = restate.ui_url + (f"/invocations/{invocation_id}" if invocation_id else "")
    if get_ipython() is None:
        print(url)
        return
    what = short_ids(invocation_id) if invocation_id else restate.ui_url
    html = f'<a href="{escape(url)}" target="_blank" rel="noopener">Restate UI: {escape(what)}</a>'
    if frame and someone_looks():
        html += (
            f'<iframe src="{escape(url)}" title="Restate UI: {escape(what)}" '
            f'style="width: 100%; height: {_HEIGHT}px; border: 1px solid #9aa5b1"></iframe>'
        )
    from IPython.display import display  # slow to import, and of no use outside a notebook

    display({"text/html": html, "text/plain": url}, raw=True)  # type: ignore[no-untyped-call]
