"""A tree that is watched, in text: what it is while it grows, and what remains of it in the end."""

from __future__ import annotations

from workbench.ids import without_middle
from workbench.views.tree_text import tree_lines
from workbench.views.watch.tree_watch import ModelCall, TreeState

_STEP_WIDTH = 28
_BAR_WIDTH = 40
_MOST_CALLS = 30


def as_text(state: TreeState) -> str:
    """The tree with statuses, below it the model's calls with a bar each, below it the sums."""
    parts = ["\n".join(tree_lines(state.rows))]
    if state.calls:
        parts.append("\n".join(_call_lines(state.calls)))
    return "\n\n".join([*parts, _sums(state)])


def call_status(call: ModelCall) -> str:
    """What the model says of a request, with the HTTP status where that is an error."""
    http = call.request.http_status
    return f"{call.request.status} ({http})" if http and http >= 400 else call.request.status


def _call_lines(calls: list[ModelCall]) -> list[str]:
    shown = calls[-_MOST_CALLS:]
    most = max(1, *(call.tokens for call in shown))
    steps = [without_middle(call.step, _STEP_WIDTH) for call in shown]
    step_width = max(map(len, steps))
    status_width = max(len(call_status(call)) for call in shown)
    head = "Model calls, with the tokens sent"
    if len(calls) > len(shown):
        head += f" (the first {len(calls) - len(shown)} of {len(calls)} are left out)"
    return [
        head,
        *(
            f"{step:<{step_width}}  {call_status(call):<{status_width}}  {call.tokens:>5}  "
            f"{'█' * round(call.tokens * _BAR_WIDTH / most)}".rstrip()
            for step, call in zip(steps, shown, strict=True)
        ),
    ]


def _sums(state: TreeState) -> str:
    many = len(state.rows)
    sums = [f"{state.over} of {many} invocation{'' if many == 1 else 's'} over"]
    if state.calls:
        sums.append(f"{sum(call.tokens for call in state.calls)} tokens")
    return " · ".join(sums)
