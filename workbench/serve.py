"""Serves services that are defined in a notebook, from the notebook's own kernel.

They run in a thread with an event loop of its own. In the kernel's loop they could not answer while
a cell waits for them: a synchronous call from a cell would wait for itself.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import socket
import sys
import threading
import warnings
from typing import TYPE_CHECKING, Any

from workbench import loopback
from workbench.state_dir import WorkbenchError

if TYPE_CHECKING:
    from restate import Service, VirtualObject, Workflow

    from workbench.restate import Restate

# Restate keeps one connection for long and opens a stream on it for each invocation; the values
# that https://docs.restate.dev/develop/python/serving gives.
_UNLIMITED = 2_147_483_647

_served: dict[str, Served] = {}


class Served(contextlib.AbstractContextManager["Served"]):
    """Services that this kernel serves. A context manager: it stops serving when left."""

    def __init__(self, name: str, app: Any, listener: socket.socket, host: str) -> None:
        self.name = name
        self.port = int(listener.getsockname()[1])
        self.uri = f"http://{host}:{self.port}"
        """The URL under which Restate reaches the services, to register."""
        self._app = app
        self._listener = listener
        self._loop = asyncio.new_event_loop()
        self._stopping = asyncio.Event()
        self._attempts: set[asyncio.Future[None]] = set()
        self._thread = threading.Thread(target=self._run, name=f"serve {name}", daemon=True)
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still serves."""
        return self._thread.is_alive()

    def stop(self, grace: float = 10.0) -> None:
        """Stop serving; the port is free when this returns. Nothing happens the second time.

        Raises WorkbenchError when a handler has not let go of its thread after `grace` seconds.
        """
        if self._thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop has just closed
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(grace)
            if self._thread.is_alive():
                raise WorkbenchError(
                    f"{self.name} does not stop: a handler blocks its event loop, or hides its "
                    "cancellation.\nRestart the kernel, and mend the handler."
                )
        if _served.get(self.name) is self:
            del _served[self.name]

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __str__(self) -> str:
        return f"{self.name} · {self.uri} · served from this kernel"

    def _run(self) -> None:
        _forget_parents()
        asyncio.set_event_loop(self._loop)
        # It starts this timer of a connection even when its tasks are being ended.
        warnings.filterwarnings("ignore", "coroutine 'TCPServer._idle_timeout'", RuntimeWarning)
        self._loop.set_exception_handler(self._complain)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            rest = asyncio.all_tasks(self._loop)  # of connections made while it was closing
            for task in rest:
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.close()

    async def _serve(self) -> None:
        import hypercorn.asyncio
        from hypercorn.config import Config

        config = Config()
        config.bind = [f"fd://{self._listener.detach()}"]
        config.loglevel = "ERROR"  # below that it says that the SDK takes no lifespan events
        config.h2_max_concurrent_streams = _UNLIMITED
        config.keep_alive_max_requests = _UNLIMITED
        config.keep_alive_timeout = _UNLIMITED
        # When it is asked to end, no request is left; but hypercorn never again takes a connection
        # for idle on which the server broke off a request, as a kill does, and would wait for it.
        config.graceful_timeout = 0.1
        try:
            await hypercorn.asyncio.serve(self._answer, config, shutdown_trigger=self._stopped)
        except Exception:
            # It fails on what still arrives for a request that was cut off.
            if not self._stopping.is_set():
                raise

    async def _stopped(self) -> None:
        await self._stopping.wait()
        # hypercorn breaks down noisily if it is closed with requests under way.
        while self._attempts:
            for attempt in self._attempts:
                attempt.cancel()  # the SDK takes the first one for the handler's end
            await asyncio.wait(self._attempts, timeout=0.05)

    def _complain(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Print what goes wrong in the loop, but for connections that break while it stops."""
        if not self._stopping.is_set():
            loop.default_exception_handler(context)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        """The ASGI app: the SDK's, but each request can be cut off without hypercorn's knowledge.

        Restate then takes the attempt for failed, and makes another one.
        """
        if self._stopping.is_set():
            return

        async def send_while_serving(message: Any) -> None:
            # A process that has died sends nothing more; a `finally` in a handler here would.
            if not self._stopping.is_set():
                await send(message)

        attempt = asyncio.ensure_future(self._app(scope, receive, send_while_serving))
        self._attempts.add(attempt)
        try:
            await asyncio.wait({attempt})
        finally:
            attempt.cancel()
            self._attempts.discard(attempt)
        if not attempt.cancelled():
            attempt.result()


def _forget_parents() -> None:
    """Let ipykernel not look for the cell that started this thread.

    It goes from thread to parent by numbers that are used again, so after a while in circles: the
    first warning that is printed here would never return (ipykernel 6.31, `iostream.py`).
    """
    for stream in (sys.stdout, sys.stderr):
        getattr(stream, "_thread_to_parent", {}).pop(threading.get_ident(), None)


def serve_here(
    *services: Service | VirtualObject | Workflow,
    port: int | None = None,
    name: str | None = None,
    restate: Restate | None = None,
) -> Served:
    """Serve `services` until `stop()`, or the end of the kernel.

    What this kernel already serves under that `name` (the services' names, unless given), or on
    that `port`, is stopped first, and a name keeps its port: a cell may be changed and run again.
    Another version beside the first needs another `name`. Pass `restate` when its server may be in
    a container, for the address and the identity key. Raises WorkbenchError if the port is taken.
    """
    import restate as sdk  # a quarter of a second, which most lessons need not wait for

    keys = list(restate.identity_keys) if restate else None
    app = sdk.app(services, identity_keys=keys)
    name = name or ", ".join(service.name for service in services)
    return serve_app(app, name=name, port=port, restate=restate)


def serve_app(
    app: Any, *, name: str, port: int | None = None, restate: Restate | None = None
) -> Served:
    """Serve an ASGI app as `serve_here` does services."""
    former = _served.get(name)
    port = port or (former.port if former else None)
    for served in list(_served.values()):
        if served is former or served.port == port:
            served.stop()
    listener = _listen(port, restate.agent_bind if restate else "127.0.0.1")
    host = restate.agent_host if restate else "127.0.0.1"
    _served[name] = Served(name, app, listener, host)
    return _served[name]


def _listen(port: int | None, host: str) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port or loopback.free_port(host=host)))
    except OSError as error:
        listener.close()
        raise WorkbenchError(
            f"Cannot serve on port {port}: it is taken by {loopback.port_holder(port or 0)}.\n"
            "Leave `port` out to get a free one."
        ) from error
    listener.listen()  # from here on callers can connect, and wait until the loop accepts
    return listener


@atexit.register
def _stop_all() -> None:
    for served in list(_served.values()):
        served.stop()
