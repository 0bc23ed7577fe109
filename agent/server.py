"""Serves the four services over HTTP/2."""

import asyncio
import os
import signal

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate.server import install_shutdown_hook

from agent.coding_agent import coding_agent
from agent.coding_task import coding_task
from agent.log import logger
from agent.settings import settings
from agent.usage_meter import usage_meter
from agent.workspace import workspace

__all__ = ["app", "serve"]

# Restate keeps one connection for long and opens a stream on it for each invocation; these are the
# largest values, as https://docs.restate.dev/develop/python/serving has them.
_UNLIMITED = 2_147_483_647

app = restate.app(
    [coding_agent, coding_task, workspace, usage_meter],
    protocol="bidi",
    identity_keys=list(settings().identity_keys),
)


async def serve() -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        OSError: the address cannot be bound.
    """
    config = Config()
    config.bind = [f"{settings().host}:{settings().port}"]
    config.h2_max_concurrent_streams = _UNLIMITED
    config.keep_alive_max_requests = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    # Below that it says at each start that the SDK's app takes no lifespan events.
    config.loglevel = "ERROR"

    # Everything that matters is in Restate, and an attempt that is cut off is made again, so there
    # is nothing to wait for or to save: a request to end is honoured as a crash would be, at once.
    # The SDK takes SIGTERM for itself, but shares it; hypercorn would, unless it has a trigger.
    for signum in (signal.SIGTERM, signal.SIGINT):
        install_shutdown_hook(asyncio.get_running_loop(), lambda: os._exit(0), signum)
    logger.info("Serving at %s", config.bind[0])
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)
