"""Small helpers of a lesson: its keys, the code that it shows, the Restate UI, the end."""

from __future__ import annotations

import contextlib
import inspect
import io
import itertools
import os
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator
from html import escape
from types import ModuleType
from typing import TYPE_CHECKING, Any

from workbench import process
from workbench.ids import display, get_ipython, short_ids
from workbench.restate.docker import stop_docker
from workbench.state_dir import REPOSITORY

if TYPE_CHECKING:
    from workbench.restate import Restate

# Without letters and digits that look alike.
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_FRAME_HEIGHT = 720

_numbers: defaultdict[str, Iterator[int]] = defaultdict(lambda: itertools.count(1))


def is_interactive() -> bool:
    """Tell whether a person at a front end sees at once what a cell displays.

    A front end says with every cell whether it could ask a person something: JupyterLab could,
    papermill, nbclient and nbconvert could not. Without a kernel nothing can be shown in place.
    """
    parent = getattr(get_ipython(), "parent_header", None) or {}  # the whole message, by this name
    return bool(parent.get("content", {}).get("allow_stdin"))


def new_key(prefix: str) -> str:
    """Return `prefix` and four random characters, as in `lesson-02-k7ma`.

    So a lesson can be run again, and beside others, on the same server. Where a run of lessons has
    a new server to itself, it sets `WORKBENCH_KEYS=counted` for the same keys in every run:
    `lesson-02-1`.
    """
    if os.environ.get("WORKBENCH_KEYS") == "counted":
        return f"{prefix}-{next(_numbers[prefix])}"
    return f"{prefix}-{''.join(secrets.choice(_ALPHABET) for _ in range(4))}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Print nothing meanwhile, where many requests are sent at once."""
    with contextlib.redirect_stdout(io.StringIO()):
        yield


def show_source(*objects: Callable[..., Any] | type | ModuleType) -> None:
    """Display the source of functions, classes or modules, read from the files that run."""
    _show_code("\n\n\n".join(inspect.getsource(each).rstrip() for each in objects))


def show_file(path: str) -> None:
    """Display a file of Python; `path` is relative to the notebooks."""
    _show_code((REPOSITORY / "notebooks" / path).read_text(encoding="utf-8").rstrip())


def _show_code(text: str) -> None:
    display({"text/markdown": f"```python\n{text}\n```", "text/plain": text})


def show_ui(restate: Restate, invocation_id: str | None = None, *, frame: bool = False) -> None:
    """Show a link to the Restate UI, at one invocation if given; outside a notebook, its address.

    With `frame`, the page itself is shown below the link, but only to a person at a front end. In
    an executed notebook it would be an empty box: the page is on the machine that ran it.
    """
    url = restate.ui_url + (f"/invocations/{invocation_id}" if invocation_id else "")
    if get_ipython() is None:
        print(url)
        return
    what = escape(short_ids(invocation_id) if invocation_id else restate.ui_url)
    html = f'<a href="{escape(url)}" target="_blank" rel="noopener">Restate UI: {what}</a>'
    if frame and is_interactive():
        html += (
            f'<iframe src="{escape(url)}" title="Restate UI: {what}" '
            f'style="width: 100%; height: {_FRAME_HEIGHT}px; border: 1px solid #9aa5b1"></iframe>'
        )
    display({"text/html": html, "text/plain": url})


def stop_all(*, remove_volume: bool = False) -> list[str]:
    """Stop everything that was started in this home, the last started first; return the names.

    A Restate in Docker is stopped too. Its data stay in a volume, as those of the embedded server
    stay in the home, unless `remove_volume` says that the home is done with.
    """
    names = process.stop_recorded()
    return [*names, "restate (docker)"] if stop_docker(remove_volume=remove_volume) else names
