"""A model call for the small services of the lessons, with OpenAI's own client."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from workbench.bench import current


async def ask(
    prompt: str,
    *,
    stop: asyncio.Event | None = None,
    on_token: Callable[[str], None] | None = None,
) -> str:
    """Return the model's answer to `prompt`; once `stop` is set, what had come of it by then.

    It streams the answer, and hangs up when stopped or cancelled. The model's record of requests
    has the prompt's beginning as the request's label. Raises `openai.OpenAIError`.
    """
    answer: list[str] = []

    async def stream() -> None:
        from openai import AsyncOpenAI

        model = current().model
        async with (
            AsyncOpenAI(
                base_url=model.base_url,
                api_key="scripted",
                max_retries=0,  # retries are Restate's
            ) as client,
            await client.chat.completions.create(
                model="gpt-5-mini",
                messages=[{"role": "user", "content": prompt}],
                stream=True,
                extra_headers={"X-Client-Request-Id": _label(prompt)},
            ) as chunks,
        ):
            async for chunk in chunks:
                token = chunk.choices[0].delta.content if chunk.choices else None
                answer.append(token or "")
                if token and on_token:
                    on_token(token)

    streaming = asyncio.ensure_future(stream())
    stopping = asyncio.ensure_future((stop or asyncio.Event()).wait())
    try:
        await asyncio.wait({streaming, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if streaming.done():
            streaming.result()
    finally:
        streaming.cancel()
        stopping.cancel()
        await asyncio.gather(streaming, stopping, return_exceptions=True)
    return "".join(answer)


def _label(prompt: str) -> str:
    """The beginning of a prompt as a header can hold it."""
    return prompt.partition("\n")[0][:80].encode("ascii", "replace").decode()
