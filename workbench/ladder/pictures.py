"""Pictures of what no invocation shows: the model's answers, on an axis that counts events."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.scripted_model.requests import ModelRequest

_ROOM = 48
_WIDEST = 36
_ENDS = {"hung up": "✕", "cut": "✕", "refused": "!", "completed": "█"}


def streams(requests: Sequence[ModelRequest]) -> str:
    """A lane for each request: when it was answered, and how that ended; empty without any."""
    if not requests:
        return ""
    times = sorted(
        {each.started_at for each in requests}
        | {each.ended_at for each in requests if each.ended_at is not None}
    )
    step = max(1, min(4, _ROOM // len(times)))
    names = [_short(each.prompt) for each in requests]
    width = max(map(len, names))
    lines = ["the model's answers"]
    for name, each in zip(names, requests, strict=True):
        begin = times.index(each.started_at)
        end = len(times) if each.ended_at is None else times.index(each.ended_at)
        bar = "·" * begin * step + "█" * max(1, (end - begin) * step)
        bar += "▶" if each.ended_at is None else _ENDS.get(each.status, "█")
        state = "held" if each.ended_at is None else each.status
        lines.append(f"{name:<{width}}  {bar}  {each.completion_tokens} tokens, {state}")
    return "\n".join(lines)


def _short(prompt: str) -> str:
    return prompt if len(prompt) <= _WIDEST else f"{prompt[: _WIDEST - 1]}…"
