"""A journal entry in the words of the code that made it: `call CodingTask/write_file`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workbench.views.journal_entry import name_of, result_of

__all__ = ["arrival", "step", "waits_for"]

# What a command waits for whose result arrives later.
_WAITS_FOR = {
    "Run": "the step",
    "Call": "the callee",
    "Sleep": "the clock",
    "AttachInvocation": "its end",
    "GetInvocationOutput": "an answer",
    "GetPromise": "the promise",
    "PeekPromise": "the promise",
    "CompletePromise": "the promise",
}
# Commands that read as they are called; others have their own lines in `step`.
_VERBS = {
    "Input": "called with",
    "Call": "call",
    "GetLazyState": "get",
    "GetEagerState": "get",
    "GetLazyStateKeys": "get the keys",
    "GetEagerStateKeys": "get the keys",
    "SetState": "set",
    "ClearState": "clear",
    "ClearAllState": "clear all",
    "AttachInvocation": "attach to",
    "GetInvocationOutput": "look at the output of",
    "GetPromise": "await promise",
    "PeekPromise": "peek at promise",
    "CompletePromise": "complete promise",
    "CompleteAwakeable": "complete awakeable",
}


def step(form: str, fields: dict[str, Any], targets: Mapping[str, str], *, appended_ms: int) -> str:
    """What a command did; `targets` are those of the invocations that this journal calls, by id."""
    name = name_of(form, fields)
    if form == "Run":
        return f'run "{name}"'
    if form == "OneWayCall":
        delay = max(0, fields["invoke_time"] - appended_ms) if fields["invoke_time"] else None
        return f"send {name}" if delay is None else f"send {name} in {delay} ms"
    if form == "Sleep":
        lasts = (result_of(form, fields, appended_ms=appended_ms) or "").removeprefix("for ")
        return f"sleep {lasts}" + (f' "{name}"' if name else "")
    if form == "SendSignal":
        told = targets.get(fields["target_invocation_id"], fields["target_invocation_id"])
        return f"cancel {told}" if name == "cancel" else f"signal {name} to {told}"
    if form == "Output":
        return "raise" if "Failure" in fields["result"] else "return"
    if form == "AttachInvocation" and name.startswith("inv_"):
        return f"attach to {targets.get(name, name)}"
    return f"{_VERBS.get(form, form)} {name}".strip()


def waits_for(form: str) -> str:
    """What a command waits for, such as `the callee`."""
    return _WAITS_FOR.get(form, "the state")


def arrival(form: str, fields: dict[str, Any]) -> str | None:
    """A signal that came in; None for the results, which stand with their commands."""
    if form != "Signal":
        return None
    name = name_of(form, fields)
    return "✕ cancelled here" if name == "cancel" else f"← signal {name}"
