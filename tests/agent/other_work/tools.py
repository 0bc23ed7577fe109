"""An agent with tools: the model calls them until it answers. Try it in place of `agent/work.py`.

A call is JSON in the model's text, and what the tool says the user's next message: roles alternate.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial

from restate import Context

from agent.contracts import ChatMessage, Result, Task, checked
from agent.task import Job, coding_task, perform

_SYSTEM = """You have two tools: "count" counts the words of a text, "wait" waits for some seconds.
To call one, answer with {"tool": "count", "argument": "…"} and nothing else. Else answer."""

_MOST_CALLS = 10


async def count(text: str) -> str:
    return f"{len(text.split())} words"


async def wait(seconds: str) -> str:
    await asyncio.sleep(float(seconds))  # stopped at once when the task is cancelled
    return "done"


TOOLS: dict[str, Callable[[str], Awaitable[str]]] = {"count": count, "wait": wait}


@coding_task.handler(invocation_context_managers=checked(Task))
async def run_task(ctx: Context, task: Task) -> Result:
    return await perform(ctx, task, work)


async def work(job: Job, conversation: list[ChatMessage]) -> str:
    messages = [ChatMessage(role="system", content=_SYSTEM), *conversation]
    for number in range(_MOST_CALLS):
        answer = await job.ask(f"answer {number}", messages)
        try:
            call = json.loads(answer)
            step = partial(run, call["tool"], call["argument"])
        except (ValueError, TypeError, KeyError):
            return answer
        job.plan = f"called {call['tool']}"  # what the next turn hears of an interrupted one
        result = await job.step(f"tool {number}", step)
        heard = "\n\n".join([result, *await job.said()])
        messages.append(ChatMessage(role="assistant", content=answer))
        messages.append(ChatMessage(role="user", content=heard))
    return "I have called my tools too often."


async def run(tool: str, argument: str) -> str:
    try:
        return await TOOLS[tool](argument)
    except Exception as error:  # the model is told, and may do better
        return f"{type(error).__name__}: {error}"
