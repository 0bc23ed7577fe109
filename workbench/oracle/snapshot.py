"""What is left of a session when nothing is at work any more, as its wire contract, the admin API
and the model show it. Nothing here depends on how the agent is made.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from workbench.clients import sql_text
from workbench.oracle.log import Log
from workbench.scripted_model.requests import ModelRequest

_PATIENCE = 30.0  # seconds; a server that has just begun may answer 500 for a moment

_COLUMNS = (
    "id, target, target_service_name AS service, target_handler_name AS handler, status, "
    "completion_failure, invoked_by_id, created_at, completed_at"
)


class Server:
    """A Restate server, asked patiently."""

    def __init__(self, ingress_url: str, admin_url: str) -> None:
        self._ingress_url, self._admin_url = ingress_url, admin_url

    def call(self, service: str, key: str, handler: str) -> Any:
        """The answer of a handler without input."""
        return self._post(f"{self._ingress_url}/{service}/{quote(key, safe='')}/{handler}")

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows that an SQL query finds."""
        rows: list[dict[str, Any]] = self._post(f"{self._admin_url}/query", {"query": sql})["rows"]
        return rows

    def _post(self, url: str, body: object = None) -> Any:
        until = time.monotonic() + _PATIENCE
        headers = {"accept": "application/json"}
        while True:
            try:
                answer = httpx.post(url, json=body, headers=headers, timeout=20, trust_env=False)
                return answer.raise_for_status().json()
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)


@dataclass
class Snapshot:
    """What invariants are checked against.

    Attributes:
        session: its key.
        turns, history, status: what `get_turns` and its like answer.
        tasks: the rows of the session's tasks in `sys_invocation`, by id.
        steps: the rows of what tasks have called, and wait for, by id; each with its `task`.
        requests: what the model has seen of the session, oldest first.
    """

    session: str
    log: Log
    turns: list[dict[str, Any]]
    history: list[dict[str, Any]]
    status: dict[str, Any]
    tasks: dict[str, dict[str, Any]]
    steps: dict[str, dict[str, Any]]
    requests: list[ModelRequest]

    @property
    def by_task(self) -> dict[str, dict[str, Any]]:
        """The turns by their tasks' ids."""
        return {turn["task_id"]: turn for turn in self.turns}

    def number(self, task_id: str | None) -> int | None:
        """The number of a task's turn."""
        turn = self.by_task.get(task_id or "")
        return turn["turn"] if turn else None

    def lifetime(self, task_id: str) -> tuple[float, float]:
        """When a task was there."""
        row = self.tasks.get(task_id, {})
        begin, end = row.get("created_at"), row.get("completed_at")
        return seconds(begin) if begin else 0.0, seconds(end) if end else float("inf")

    def has_to_be_approved(self, number: int) -> bool:
        """Whether the message that has begun a turn asked for that. What steered a turn, and came
        too late for it, has begun one like it.
        """
        for turn in self.turns:
            if turn["turn"] == number:
                first = paragraphs(turn["content"])[0]
                message = next((m for m in self.log.messages if m.content == first), None)
                if message and message.expected_task_id:
                    before = self.number(message.expected_task_id) or number
                    return before < number and self.has_to_be_approved(before)
                return bool(message and message.approve)
        return False

    def accepted_before(self, at: float) -> list[int]:
        """The turns of the messages that were answered by then."""
        return [
            message.accepted["turn"]
            for message in self.log.messages
            if message.accepted and (message.answered_at or 0.0) < at
        ]


def turn_of(request: ModelRequest) -> int:
    """The number in a request's label: session/turn/step."""
    return int(request.label.split("/")[1])


def seconds(time: str) -> float:
    """Unix seconds of a time as Restate writes it."""
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()


def paragraphs(text: str) -> list[str]:
    """The messages that a turn's text is made of: what steers it follows behind blank lines."""
    return text.split("\n\n")


def take_snapshot(
    server: Server, session: str, log: Log, requests: Iterable[ModelRequest], agent: str
) -> Snapshot:
    """Look at a session that keeps the whole wire contract."""
    turns: list[dict[str, Any]] = server.call(agent, session, "get_turns")
    history = server.call(agent, session, "get_history")
    status = server.call(agent, session, "get_status")
    return snapshot_of(server, session, log, requests, agent, turns, history, status)


def snapshot_of(
    server: Server,
    session: str,
    log: Log,
    requests: Iterable[ModelRequest],
    agent: str,
    turns: list[dict[str, Any]],
    history: list[dict[str, Any]] | None = None,
    status: dict[str, Any] | None = None,
) -> Snapshot:
    """A session whose turns are known already; not every agent has a history and a status."""
    answers = [answer for message in log.messages for answer in message.answers]
    tasks = _tasks(server, f"{agent}/{session}/", {each["task_id"] for each in [*turns, *answers]})
    return Snapshot(
        session=session,
        log=log,
        turns=turns,
        history=history or [],
        status=status or {},
        tasks=tasks,
        steps=_steps(server, tasks),
        requests=list(requests),
    )


def _tasks(server: Server, handlers: str, known: set[str]) -> dict[str, dict[str, Any]]:
    """The rows of all tasks: those that are known, and what else of their kind the session's
    handlers have sent.
    """
    sent_by = f"invoked_by_target LIKE {sql_text(f'{handlers}%')}"
    where = f"{sent_by} OR id IN ({_list(known)})" if known else sent_by
    rows = server.query(f"SELECT {_COLUMNS} FROM sys_invocation WHERE {where}")
    kinds = {(row["service"], row["handler"]) for row in rows if row["id"] in known}
    return {row["id"]: row for row in rows if (row["service"], row["handler"]) in kinds}


def _steps(server: Server, tasks: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of all calls below tasks. What was sent one-way goes on by itself."""
    steps: dict[str, dict[str, Any]] = {}
    level = {id: id for id in tasks}  # invocations, and for which task they work
    while level:
        calls = server.query(
            "SELECT id, entry_lite_json FROM sys_journal "
            f"WHERE entry_type = 'Command: Call' AND id IN ({_list(level)})"
        )
        below = {
            json.loads(call["entry_lite_json"])["Command"]["Call"]["invocation_id"]: level[
                call["id"]
            ]
            for call in calls
        }
        if below:
            sql = f"SELECT {_COLUMNS} FROM sys_invocation WHERE id IN ({_list(below)})"
            steps |= {row["id"]: {**row, "task": below[row["id"]]} for row in server.query(sql)}
        level = below
    return steps


def _list(ids: Iterable[str]) -> str:
    return ", ".join(map(sql_text, sorted(ids)))
