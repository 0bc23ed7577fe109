"""A running Restate server with the scripted model and the agent, and a session of the agent, as
tests see them.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workbench import (
    Admin,
    AgentProcess,
    Cluster,
    Ingress,
    IngressError,
    ModelRequest,
    Restate,
    ScriptedModel,
    start_agent,
    start_cluster,
    start_restate,
    start_scripted_model,
    stop_all,
    wait_until,
)
from workbench.state_dir import state_dir, use_state_dir

# Tokens per second: slow enough to interrupt in the middle of an answer, and as fast as can be when
# there is nothing to do but wait.
_SLOW, _FAST = 300.0, 10_000.0


def _silent(*_: object) -> None:
    pass


def start_other(
    work: str, restate: Restate, model: Any, *, name: str = "agent", **env: str
) -> AgentProcess:
    """Start the agent with other work than its own, a module in `tests/agent/other_work`."""
    module = ["tests.agent.other_agent", work]
    env = {"HOLDS": str(state_dir()), **env}
    return start_agent(restate, model, name=name, env=env, module=module)


@dataclass
class Hold:
    """A place in the work of a session where it waits, deaf, until the hold is opened."""

    file: Path

    def __post_init__(self) -> None:
        self.file.touch()

    def wait_reached(self) -> None:
        reached = self.file.with_name(f"{self.file.name}.reached")
        wait_until(reached.exists, what=f"{reached.name}")

    def open(self) -> None:
        self.file.unlink()


@dataclass
class Stack:
    restate: Restate
    model: ScriptedModel
    agent: AgentProcess
    admin: Admin
    ingress: Ingress
    work: str | None = None
    """What the agent does in place of its own work: a module in `tests/agent/other_work`."""
    holds: Path = field(default_factory=state_dir)
    """The folder of the holds of its sessions."""

    @staticmethod
    @contextmanager
    def running(folder: Path, **options: Any) -> Iterator[Stack]:
        """A stack with a home of its own, which is started with these `options` and ends with the
        block.
        """
        with use_state_dir(folder):
            try:
                yield Stack.start(**options)
            finally:
                stop_all()

    @staticmethod
    def start(
        *,
        max_attempts: int | None = None,
        work: str | None = None,
        env: dict[str, str] | None = None,
        model: Any = None,
        cluster: bool = False,
    ) -> Stack:
        """Start all of it; `max_attempts`, `work` and `env` are the agent's, where its own will not
        do. A `model` that is there already is not started.
        """
        restate: Restate = start_cluster(progress=_silent) if cluster else start_restate("embedded")
        model = model or start_scripted_model(tokens_per_second=_SLOW, first_token_seconds=0.02)
        attempts = {} if max_attempts is None else {"AGENT_MAX_ATTEMPTS": str(max_attempts)}
        env = {**attempts, **(env or {})}
        admin, ingress = Admin(restate, echo=_silent), Ingress(restate, echo=_silent)
        if work:
            agent = start_other(work, restate, model, **env)
        else:
            agent = start_agent(restate, model, env=env)
        admin.register(agent.uri)
        return Stack(restate, model, agent, admin, ingress, work)

    def kill_server(self, number: int = 0) -> None:
        """SIGKILL the server; of a cluster one node, in turn by this number."""
        if isinstance(self.restate, Cluster):
            self.restate.kill(1 + number % 3)
        else:
            self.restate.kill()

    def start_server(self) -> None:
        """Start the server again after it was killed. The handle is one of a process: only the new
        one can kill what runs now.
        """
        if isinstance(self.restate, Cluster):
            self.restate.start()
        else:
            self.restate = start_restate("embedded", progress=_silent)

    def restart_agent(self, **env: str) -> None:
        """Replace the agent by one with these settings."""
        self.agent.stop()
        if self.work:
            self.agent = start_other(self.work, self.restate, self.model, **env)
        else:
            self.agent = start_agent(self.restate, self.model, env=env)
        self.admin.register(self.agent.uri, force=True)

    def add_naive_agent(self) -> None:
        """Serve `NaiveAgent` and `PlainAgent` as well; see `tests/naive_agent.py`."""
        module = ["tests.naive_agent"]
        other = start_agent(self.restate, self.model, name="naive", module=module)
        self.admin.register(other.uri)

    def session(self) -> Session:
        return Session(self, f"test-{uuid.uuid4().hex[:12]}")

    def count(self, table: str, where: str) -> int:
        """How many rows of an SQL table there are."""
        return int(self.admin.query(f"SELECT count(*) AS n FROM {table} WHERE {where}")[0]["n"])

    def open_invocations(self) -> list[dict[str, Any]]:
        """Every invocation of an agent that is not over, oldest first."""
        return self.admin.query(
            "SELECT id, target, status, invoked_by_id, invoked_by_target FROM sys_invocation "
            "WHERE status != 'completed' AND target_service_name IN ('CodingAgent', 'CodingTask', "
            "'Workspace', 'UsageMeter', 'NaiveAgent', 'NaiveTask', 'PlainAgent', 'PlainTask') "
            "ORDER BY created_at, id"
        )

    def children(self, invocation_id: str, target: str) -> list[str]:
        """The ids of the calls of an invocation to a target (`service/handler`), oldest first."""
        rows = self.admin.query(
            "SELECT id FROM sys_invocation "
            f"WHERE invoked_by_id = '{invocation_id}' AND target LIKE '{target}' "
            "ORDER BY created_at, id"
        )
        return [row["id"] for row in rows]


@dataclass
class Session:
    stack: Stack
    key: str
    agent: str = "CodingAgent"

    def call(self, handler: str, body: Any = None, **options: Any) -> Any:
        return self.stack.ingress.call(self.agent, handler, body, key=self.key, **options)

    def message(self, content: str = "Write a to-do CLI", **options: Any) -> dict[str, Any]:
        """Send a message; `turn`, `task_id` and `interrupted` come back."""
        self.stack.model.set(tokens_per_second=_SLOW)
        accepted: dict[str, Any] = self.call("message", {"content": content}, **options)
        return accepted

    def stop(self) -> str | None:
        interrupted: str | None = self.call("stop")["interrupted"]
        return interrupted

    def turns(self) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = self.call("get_turns")
        return turns

    def statuses(self) -> list[str]:
        return [turn["status"] for turn in self.turns()]

    def files(self) -> dict[str, str]:
        files: dict[str, str] = self.stack.ingress.call("Workspace", "read_files", key=self.key)
        return files

    def usage(self) -> dict[str, int]:
        usage: dict[str, int] = self.stack.ingress.call("UsageMeter", "get_usage", key=self.key)
        return usage

    def requests(self, turn: int | None = None) -> list[ModelRequest]:
        """The calls of this session that the model has seen, oldest first."""
        return self.stack.model.requests(f"{self.key}/" if turn is None else f"{self.key}/{turn}/")

    def wait_idle(self, timeout: float = 20.0) -> dict[str, Any]:
        """Let the model hurry, and wait until no task is at work; the newest turn comes back."""
        self.stack.model.set(tokens_per_second=_FAST)

        def idle() -> bool:
            return bool(self.call("get_status")["status"] == "idle")

        wait_until(idle, what=f"session {self.key} to be idle", timeout=timeout)
        return self.turns()[-1]

    def wait_streaming(self, turn: int, step: str, tokens: int = 3, calls: int = 1) -> None:
        """Wait until the model is in the middle of `calls` answers to steps of a kind (plan, write,
        review).
        """

        def streaming() -> bool:
            return (
                sum(
                    r.step == step and r.status == "streaming" and r.completion_tokens >= tokens
                    for r in self.requests(turn)
                )
                >= calls
            )

        wait_until(streaming, what=f"{calls} {step} call(s) of turn {turn} to stream")

    def hold(self, place: str) -> Hold:
        """Have this session's work wait at a place of `tests/agent/other_work/held.py`."""
        return Hold(self.stack.holds / f"{self.key}.{place}")

    def wait_no_draft(self) -> None:
        """Wait until the workspace holds no draft."""
        wait_until(
            lambda: not self.stack.count("state", self._workspace("draft")),
            what=f"the draft of {self.key} to be gone",
        )

    def has_draft(self) -> bool:
        return bool(self.stack.count("state", self._workspace("draft")))

    def _workspace(self, key: str) -> str:
        return f"service_name = 'Workspace' AND service_key = '{self.key}' AND key = '{key}'"


__all__ = ["IngressError", "Session", "Stack", "start_other"]
