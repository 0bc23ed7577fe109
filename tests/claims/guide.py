"""The guide's agent, written small, with gates where the tests hold it.

It keeps "the conversation history and the invocation ID of any running task" in two state keys. A
task that is cancelled "notifies the orchestrator" by a one-way call: the session's key is held by
the `message` that waits for the task, so a call whose answer is awaited would wait for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from restate import Context, ObjectContext, Service, TerminalError, VirtualObject

from tests.claims.lab import Lab, Notes
from tests.gate import Gate
from workbench import new_key, wait_until

Said = dict[str, str]


class Guide:
    """The pattern's two services, and one session of the agent."""

    def __init__(self, lab: Lab) -> None:
        self.lab, self.key, self.notes = lab, new_key("guide"), Notes()
        self.model, self.cleanup, self.queue = Gate(), Gate(), Gate()
        self.services = VirtualObject("CodingAgent"), Service("CodingTask")
        agent, task = self.services

        @agent.handler()
        async def message(ctx: ObjectContext, content: str) -> dict[str, str | None]:
            self.notes.append("message begins")
            history = await ctx.get("history", type_hint=list[Said]) or []
            current = await ctx.get("current_task_id", type_hint=str)
            if current:
                ctx.cancel_invocation(current)
                with suppress(TerminalError):  # 409 cancelled, as expected
                    await ctx.attach_invocation(current)
            history.append({"role": "user", "content": content})
            order = {"session": ctx.key(), "history": history}
            task_id = await ctx.service_send(run_task, order).invocation_id()
            ctx.set("history", history)
            ctx.set("current_task_id", task_id)
            self.notes.append("message ends")
            return {"task_id": task_id, "interrupted": current}

        @agent.handler()
        async def append_message(ctx: ObjectContext, said: Said) -> None:
            history = await ctx.get("history", type_hint=list[Said]) or []
            ctx.set("history", [*history, said])
            ctx.clear("current_task_id")

        @agent.handler()
        async def hold(ctx: ObjectContext) -> None:
            await self.queue.passed()

        async def clean_up() -> None:
            self.notes.append("cleanup begins")
            await self.cleanup.passed()

        @task.handler()
        async def run_task(ctx: Context, order: dict[str, Any]) -> str:
            try:
                await ctx.run_typed("call the model", self.model.passed)
            except TerminalError:
                note = {"role": "assistant", "content": "(interrupted)"}
                ctx.object_send(append_message, key=order["session"], arg=note)
                await ctx.run_typed("clean up", clean_up)
                self.notes.append("cleanup is over")
                raise
            answer = {"role": "assistant", "content": "the answer"}
            ctx.object_send(append_message, key=order["session"], arg=answer)
            return "the answer"

    @contextmanager
    def served(self) -> Iterator[Guide]:
        with self.lab.serving(*self.services):
            yield self

    def send(self, content: str) -> str:
        """Send a message; the ID of its invocation."""
        return self.lab.ingress.send("CodingAgent", "message", content, key=self.key)

    def say(self, content: str) -> dict[str, str | None]:
        """Send a message, and wait for the reply and for the model to be asked."""
        said: dict[str, str | None] = self.lab.ingress.call(
            "CodingAgent", "message", content, key=self.key
        )
        self.lab.wait(str(said["task_id"]), "running")
        return said

    def state(self) -> dict[str, str]:
        return self.lab.state("CodingAgent", self.key)

    def wait_reports(self, count: int) -> None:
        """Wait until the reports of so many tasks are in the history."""
        wait_until(
            lambda: self.state().get("history", "").count('"assistant"') == count,
            what=f"{count} reports in the history",
        )
