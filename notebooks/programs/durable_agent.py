"""The same three model calls as a durable handler. Serve it: hypercorn durable_agent:app"""

import os

import restate
from openai import AsyncOpenAI
from restate import Context, Service

durable_agent = Service("DurableAgent")


async def ask(step: str, request: str) -> str:
    async with AsyncOpenAI(max_retries=0) as client:  # Restate retries
        answer = await client.chat.completions.create(
            model="gpt-5-mini",
            messages=[{"role": "user", "content": f"{step} {request}"}],
            extra_headers={"X-Client-Request-Id": f"durable/{step}"},
        )
    return answer.choices[0].message.content or ""


@durable_agent.handler()
async def run(ctx: Context, request: str) -> str:
    for step in ("plan", "write", "review"):
        answer = await ctx.run_typed(step, ask, step=step, request=request)
    return answer


keys = os.environ.get("RESTATE_IDENTITY_KEYS")  # whose requests to accept
app = restate.app([durable_agent], identity_keys=keys.split(",") if keys else None)
