"""A session of the agent as its user sees it: the turns, and the conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.clients import Ingress


def show_turns(ingress: Ingress, session: str) -> None:
    """Print what `CodingAgent.get_turns` answers: one row a turn, with what is left of it."""
    turns: list[dict[str, Any]] = ingress.call("CodingAgent", "get_turns", key=session)
    print_table(
        f"Turns of session {session}",
        [
            {
                "turn": turn["turn"],
                "status": turn["status"],
                "content": turn["content"],
                "task": turn["task_id"],
                "what came of it": _outcome(turn),
            }
            for turn in turns
        ],
        widths={"content": 30},
        right=["turn"],
    )


def show_history(ingress: Ingress, session: str) -> None:
    """Print what `CodingAgent.get_history` answers: what the next model call starts with."""
    messages: list[dict[str, Any]] = ingress.call("CodingAgent", "get_history", key=session)
    print_table(
        f"History of session {session}",
        [{name: message[name] for name in ("turn", "role", "content")} for message in messages],
        right=["turn"],
    )


def _outcome(turn: dict[str, Any]) -> str:
    """The answer, else the error, else the plan: the furthest that the turn got."""
    for name in ("answer", "error", "plan"):
        if turn[name]:
            return f"{name}: {turn[name]}"
    return ""
