"""All that is known of one session when all is quiet: what its client was told, and what ingress,
admin API and model show. Nothing in it depends on how the agent is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.stress.faults import Trouble
from tests.stress.ledger import Ledger
from tests.stress.operations import Paused, patiently
from workbench import Admin, Ingress, ModelRequest
from workbench.views.clock import instant


@dataclass
class Around:
    """What went on around the sessions.

    Attributes:
        troubles: what was broken, and when.
        paused: the invocations that were seen paused.
        attempts: how often a model call is tried before its task pauses.
        cancel_timeout: how many seconds a cancelled task may take before it is killed.
    """

    troubles: list[Trouble] = field(default_factory=list)
    paused: list[Paused] = field(default_factory=list)
    attempts: int = 12
    cancel_timeout: float = 120.0


@dataclass
class Picture:
    """What invariants are checked against.

    Attributes:
        turns, history, status, files, usage: what `get_turns` and its like answer.
        draft: whether the workspace holds one.
        tasks: the rows of the session's tasks in `sys_invocation`, by id.
        steps: the rows of what the tasks have called, by id.
        requests: what the model has seen of the session, oldest first.
    """

    key: str
    ledger: Ledger
    turns: list[dict[str, Any]]
    history: list[dict[str, Any]]
    status: dict[str, Any]
    files: dict[str, str]
    usage: dict[str, int]
    draft: bool
    tasks: dict[str, dict[str, Any]]
    steps: dict[str, dict[str, Any]]
    requests: list[ModelRequest]
    around: Around = field(default_factory=Around)

    @property
    def by_task(self) -> dict[str, dict[str, Any]]:
        """The turns by their tasks' ids."""
        return {turn["task_id"]: turn for turn in self.turns}

    def turn_of(self, request: ModelRequest) -> int:
        """The number in a request's label: session/turn/step."""
        return int(request.label.split("/")[1])

    def number(self, task_id: str | None) -> int | None:
        """The number of a task's turn."""
        turn = self.by_task.get(task_id or "")
        return turn["turn"] if turn else None

    def span(self, task_id: str) -> tuple[float, float]:
        """When a task was there, in unix seconds."""
        row = self.tasks.get(task_id, {})
        begin, end = (row.get(name) for name in ("created_at", "completed_at"))
        return (
            instant(begin).timestamp() if begin else 0.0,
            instant(end).timestamp() if end else float("inf"),
        )


def pieces(text: str) -> list[str]:
    """The messages that a turn's text is made of: what steers it follows behind blank lines."""
    return text.split("\n\n")


def take_picture(
    ingress: Ingress,
    admin: Admin,
    key: str,
    ledger: Ledger,
    requests: Iterable[ModelRequest],
    around: Around,
) -> Picture:
    """Look at a session."""

    def ask(service: str, handler: str) -> Any:
        return patiently(lambda: ingress.call(service, handler, key=key))

    rows = patiently(
        lambda: admin.query(
            "SELECT id, target, status, completion_failure, invoked_by_id, invoked_by_target, "
            "created_at, completed_at FROM sys_invocation WHERE target_service_name = 'CodingTask' "
            f"OR target LIKE 'Workspace/{key}/%'"
        )
    )
    tasks = {
        row["id"]: row
        for row in rows
        if str(row.get("invoked_by_target")).startswith(f"CodingAgent/{key}/")
        and row["target"] == "CodingTask/run_task"
    }
    draft = f"service_name = 'Workspace' AND service_key = '{key}' AND key = 'draft'"
    return Picture(
        key=key,
        ledger=ledger,
        turns=ask("CodingAgent", "get_turns"),
        history=ask("CodingAgent", "get_history"),
        status=ask("CodingAgent", "get_status"),
        files=ask("Workspace", "read_files"),
        usage=ask("UsageMeter", "get_usage"),
        draft=bool(patiently(lambda: admin.query(f"SELECT key FROM state WHERE {draft}"))),
        tasks=tasks,
        steps={row["id"]: row for row in rows if row.get("invoked_by_id") in tasks},
        requests=list(requests),
        around=around,
    )
