"""A live view: a tree of invocations while it is at work, and a picture of it when it is over."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from workbench.clients import WaitTimeout
from workbench.ids import short_ids
from workbench.lesson import is_interactive
from workbench.views.picture import show_picture
from workbench.views.watch.picture import caption_of, tree_picture
from workbench.views.watch.text import as_text
from workbench.views.watch.tree_watch import TreeState, TreeWatch

if TYPE_CHECKING:
    from workbench.clients import Admin
    from workbench.model_client import Provider, ScriptedModel

_PAUSE = 0.2


class WatchInterrupted(KeyboardInterrupt):
    """Somebody stopped watching. In a notebook it is one line; elsewhere it is as any Ctrl-C."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def watch_tree(
    admin: Admin,
    root: str,
    *,
    model: ScriptedModel | Provider | None = None,
    timeout: float = 60.0,
) -> None:
    """Show the tree below `root` until every invocation in it is over, one-way ones too.

    With the scripted `model`, the tokens of its calls are shown as they are sent. Where somebody
    looks, the output changes in place, at most five times a second and only when there is news; in
    the end, or nowhere else, it is a picture. An invocation that is scheduled for later is not
    waited for.

    Interrupting the cell ends the watching, and not the task. Raises WaitTimeout, with the last
    state seen, after `timeout` seconds.
    """
    watch = TreeWatch(admin, root, model)
    output = _Output()
    deadline = time.monotonic() + timeout
    state: TreeState | None = None
    try:
        while True:
            last_chance = time.monotonic() >= deadline
            before, state = state, watch.look()
            # A callee is seen in its caller's journal a moment before it has a record of its own.
            if state.at_rest and (not state.unsure or (before and before.rows == state.rows)):
                break
            if last_chance:
                output.finish(
                    watch, state, "The time for watching was over here; the task goes on."
                )
                raise WaitTimeout(
                    f"Waited {timeout:g} s for the tree of {short_ids(root)} to be over, in vain.\n"
                    f"Last state seen:\n{as_text(state)}"
                )
            output.show(state)
            time.sleep(_PAUSE)
    except KeyboardInterrupt:
        if state is not None:
            output.finish(watch, state, "Watching was interrupted here; the task goes on.")
        message = f"Watching was interrupted; {short_ids(root)} and its tree go on."
        raise WatchInterrupted(message) from None
    output.finish(watch, state)


class _Output:
    """One output, which changes in place where somebody sees it change."""

    def __init__(self) -> None:
        self._live = is_interactive()
        self._handle: Any = None
        self._shown: str | None = None

    def show(self, state: TreeState) -> None:
        if not self._live or (text := as_text(state)) == self._shown:
            return
        data = {"text/plain": text}
        if self._handle is None:
            from IPython.display import display  # slow to import, and of no use elsewhere

            self._handle = display(data, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(data, raw=True)
        self._shown = text

    def finish(self, watch: TreeWatch, state: TreeState, remark: str = "") -> None:
        """Show what remains: a picture, or in words alone where there are no tokens to draw."""
        created, cancelled = watch.root_created_at(), watch.cancelled_at()
        begin = created or 0.0
        caption = caption_of(state, created=begin, cancelled=cancelled, remark=remark)
        if state.calls and created is not None:
            picture = tree_picture(state, created=begin, cancelled=cancelled, caption=caption)
            if self._handle is None:
                show_picture(picture)
            else:
                self._handle.update(picture)
            return
        text = f"{as_text(state)}\n\n{caption}\n"
        if self._handle is None:
            print(text)
        else:
            self._handle.update({"text/plain": text}, raw=True)
