"""`python -m agent`: serve the agent at `AGENT_BIND`, over HTTP/2."""

import argparse
import asyncio
import logging
import os
import signal
import sys

import hypercorn.asyncio
import restate
from hypercorn.config import Config
from restate.extensions import current_context
from restate.server import install_shutdown_hook

from agent.settings import Settings, SettingsError, settings

# Restate keeps one connection and opens a stream on it for each invocation; these are the largest
# values, as https://docs.restate.dev/develop/python/serving has them.
_UNLIMITED = 2_147_483_647


async def serve(*others: restate.Service | restate.VirtualObject) -> None:
    """Serve the agent, and `others` beside it, until SIGINT, or SIGTERM and the end of model calls.

    Raises:
        OSError: the address cannot be bound.
        SettingsError: the model's provider cannot be called with these settings.
    """
    from agent.drain import drain
    from agent.provider import client
    from agent.session import coding_agent
    from agent.task import coding_task
    from agent.usage_meter import usage_meter
    from agent.workspace import workspace

    client()  # what is wrong with proxies or certificates is said now, not by each task
    keys = [key.strip() for key in settings().identity_keys.split(",") if key.strip()]
    services = [coding_agent, coding_task, workspace, usage_meter, *others]
    app = restate.app(services, protocol="bidi", identity_keys=keys)
    config = Config()
    config.bind = [settings().bind]
    config.loglevel = "ERROR"
    config.h2_max_concurrent_streams = config.keep_alive_max_requests = _UNLIMITED
    config.keep_alive_timeout = _UNLIMITED
    # All that matters is in Restate, so SIGINT is honoured as a crash would be: at once. The SDK
    # takes SIGTERM for itself, but shares it; hypercorn would not without this trigger.
    loop = asyncio.get_running_loop()
    ending: list[asyncio.Task[None]] = []  # a task that nobody holds may be collected

    def end() -> None:
        ending.append(loop.create_task(drain(settings().drain_timeout)))

    install_shutdown_hook(loop, end, signal.SIGTERM)
    install_shutdown_hook(loop, lambda: os._exit(0), signal.SIGINT)
    logging.getLogger("agent").info("Serving at %s", settings().bind)
    await hypercorn.asyncio.serve(app, config, shutdown_trigger=asyncio.Event().wait)


def _name_invocation(record: logging.LogRecord) -> bool:
    try:
        context = current_context()
    except LookupError:  # outside an invocation
        context = None
    record.invocation_id = context.request().id if context else "-"
    return True


def main() -> str | None:
    """Serve. What the user can mend comes back as one line."""
    fields = Settings.model_fields.values()
    lines = [f"  {field.validation_alias:<26} {field.description}" for field in fields]
    text = "\n".join([str(__doc__), "", "Its settings are environment variables:", *lines])
    layout = argparse.RawDescriptionHelpFormatter
    argparse.ArgumentParser("agent", description=text, formatter_class=layout).parse_args()
    line = "%(asctime)s %(levelname)s %(invocation_id)s %(message)s"
    logging.basicConfig(format=line)
    logging.getLogger().handlers[0].addFilter(_name_invocation)
    logging.getLogger("agent").setLevel(logging.INFO)
    try:
        settings()
        asyncio.run(serve())
    except SettingsError as error:
        return str(error)
    except OSError as error:
        bind = settings().bind
        return f"cannot listen on {bind}: {error.strerror}. Set AGENT_BIND to a free address."
    return None


if __name__ == "__main__":
    said = main()
    if said:
        print(f"agent: {said}", file=sys.stderr)
    sys.exit(2 if said else 0)
