"""The one thing that a handler cannot ask for through its context: to kill an invocation."""

import httpx

from agent.log import logger
from agent.settings import settings

__all__ = ["kill_invocation"]

_TIMEOUT_SECONDS = 5.0


async def kill_invocation(invocation_id: str) -> bool:
    """Kill an invocation and what it has called; whether the server has done so.

    False is also the answer when it was over already or the admin API cannot be reached: whoever
    waits for its end goes on waiting, and asks again.

    Source: https://docs.restate.dev/services/invocation/managing-invocations#kill
    """
    url = f"{settings().admin_url}/invocations/{invocation_id}/kill"
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS) as client:
            response = await client.patch(url)
    except httpx.HTTPError as error:
        logger.warning(
            "Cannot kill %s: no answer from %s (%s). Is RESTATE_ADMIN_URL right?",
            invocation_id,
            settings().admin_url,
            type(error).__name__,
        )
        return False
    return response.is_success
