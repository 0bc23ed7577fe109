"""One journal entry in words: which step it is about, and what came of it.

The engine's `entry_json` is whole but made for machines (values are lists of bytes, a result names
its command by number only). This file knows its forms, as of Restate 1.7.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from workbench.ids import compact_json
from workbench.views.tree import target_name

# Restate's built-in signals have numbers below 16; the others belong to awakeables.
CANCEL_SIGNAL = 1


def entry_parts(row: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Of a journal row: `Command` or `Notification`, its form such as `Run`, and its fields."""
    ((side, content),) = json.loads(row["entry_json"]).items()
    if "Completion" in content:
        content = content["Completion"]
    ((form, fields),) = content.items()
    return side, form, fields


def name_of(form: str, fields: dict[str, Any]) -> str:
    """What a person would call the entry: its own name, a target, a state key, a signal."""
    if "request" in fields:
        return target_name(fields["request"]["invocation_target"])
    if form in {"SendSignal", "Signal"}:
        return _signal_name(fields.get("signal_id") or fields["id"])
    if "target" in fields:
        return " ".join(str(part) for part in fields["target"].values())
    return str(fields.get("name") or fields.get("key") or fields.get("id") or "")


def result_of(form: str, fields: dict[str, Any], *, appended: datetime) -> str | None:
    """The value that the entry carries, decoded, or `[409] cancelled` for a failure.

    A wake-up time is told from when the entry was `appended`.
    """
    appended_ms = round(appended.timestamp() * 1000)
    if form == "Input":
        return decoded(fields["payload"])
    if form == "SetState":
        return decoded(fields["value"])
    if form == "Sleep" and "wake_up_time" in fields:
        return f"for {max(0, fields['wake_up_time'] - appended_ms)} ms"  # two machines' clocks
    if form == "OneWayCall" and fields["invoke_time"]:
        delay = max(0, fields["invoke_time"] - appended_ms)
        return f"{fields['request']['invocation_id']} in {delay} ms"
    if "request" in fields:
        return str(fields["request"]["invocation_id"])
    if form == "SendSignal":
        return str(fields["target_invocation_id"])
    if form == "CallInvocationId":
        return str(fields["invocation_id"])
    return _outcome(fields.get("result"))


def decoded(data: bytes | list[int]) -> str:
    """The bytes of a value as JSON, else as text, else as hex."""
    raw = bytes(data)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return f"0x{raw.hex()}"
    try:
        return compact_json(json.loads(text))
    except ValueError:
        return text


def _outcome(result: Any) -> str | None:
    if isinstance(result, dict):
        ((kind, value),) = result.items()
        if kind == "Failure":
            return f"[{value['code']}] {value['message']}"  # as in completion_failure
        return decoded(value) if isinstance(value, list) else compact_json(value)
    return None if result in {None, "Void"} else str(result)


def _signal_name(signal: dict[str, Any]) -> str:
    ((kind, value),) = signal.items()
    if kind == "Name":
        return str(value)
    return "cancel" if value == CANCEL_SIGNAL else f"awakeable {value}"
