"""All that is known of one session when all is quiet: what its client was told, and what ingress,
admin API and model show.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.stack import Session
from tests.stress.faults import Outage
from tests.stress.ledger import Ledger
from workbench import ModelRequest


@dataclass
class Picture:
    """What invariants are checked against.

    Attributes:
        turns, history, status, files, usage: what `get_turns` and its like answer.
        draft: whether the workspace holds one.
        tasks: the rows of the session's tasks in `sys_invocation`, by id.
        requests: what the model has seen of the session, oldest first.
        outages: when the agent or the server was away.
    """

    ledger: Ledger
    turns: list[dict[str, Any]]
    history: list[dict[str, Any]]
    status: dict[str, Any]
    files: dict[str, str]
    usage: dict[str, int]
    draft: bool
    tasks: dict[str, dict[str, Any]]
    requests: list[ModelRequest]
    outages: list[Outage] = field(default_factory=list)

    @property
    def by_task(self) -> dict[str, dict[str, Any]]:
        """The turns by their tasks' ids."""
        return {turn["task_id"]: turn for turn in self.turns}

    def turn_of(self, request: ModelRequest) -> int:
        """The number in a request's label: session/turn/step."""
        return int(request.label.split("/")[1])


def take_picture(
    session: Session, ledger: Ledger, requests: list[ModelRequest], outages: list[Outage]
) -> Picture:
    """Look at a session."""
    rows = session.stack.admin.query(
        "SELECT id, status, completion_failure, invoked_by_id, created_at, completed_at "
        "FROM sys_invocation WHERE target = 'CodingTask/run_task' "
        f"AND invoked_by_target = 'CodingAgent/{session.key}/start_task'"
    )
    return Picture(
        ledger=ledger,
        turns=session.turns(),
        history=session.call("get_history"),
        status=session.call("get_status"),
        files=session.files(),
        usage=session.usage(),
        draft=session.has_draft(),
        tasks={row["id"]: row for row in rows},
        requests=requests,
        outages=outages,
    )
