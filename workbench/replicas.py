"""Several processes of the agent behind one address, as a load balancer puts them.

It works on connections, as a service of Kubernetes does, and knows nothing of HTTP. Restate keeps a
connection for each of its partitions, and opens another one when that breaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from urllib.parse import urlsplit

from workbench import loopback
from workbench.bench import LESSON, current
from workbench.deploy import PATIENT, Deployment
from workbench.program import AgentProcess, start_agent

_CHUNK = 65_536


class Replicas(dict[str, AgentProcess]):
    """The processes by name, and their common address.

    Attributes:
        uri: the URL under which Restate reaches one or the other.
        deployment: the deployment's id; several processes are one deployment.
    """

    def __init__(self, processes: dict[str, AgentProcess]) -> None:
        super().__init__(processes)
        restate = current().restate
        port = loopback.free_port(host=restate.agent_bind)
        self.uri = f"http://{restate.agent_host}:{port}"
        balancer = _Balancer([urlsplit(process.uri).port or 0 for process in processes.values()])
        balancer.listen(restate.agent_bind, port)
        self.deployment = Deployment(current().admin.register(self.uri, metadata=LESSON)["id"])

    def stop(self) -> None:
        """Ask the processes to end, and wait until they have."""
        for process in self.values():
            process.stop()


def serve_replicas(*names: str) -> Replicas:
    """Start a process of the agent for each name, put them behind one address and register that.

    Each asks for a model of its own name, so that `model.requests` tells who has asked.
    """
    restate, model, *_ = current()
    processes = {
        name: start_agent(
            restate, model, name=f"agent-{name}", env={**PATIENT, "AGENT_MODEL": name}
        )
        for name in names
    }
    return Replicas(processes)


class _Balancer:
    """Passes each new connection on to the next process that takes it, until the kernel ends."""

    def __init__(self, ports: list[int]) -> None:
        self._ports, self._turns = ports, itertools.count()

    def listen(self, host: str, port: int) -> None:
        self._host = "127.0.0.1" if host == "0.0.0.0" else host
        loop = asyncio.new_event_loop()

        def run() -> None:
            asyncio.set_event_loop(loop)
            loop.run_forever()

        threading.Thread(target=run, name="balancer", daemon=True).start()
        started = asyncio.start_server(self._pass_on, host, port)
        asyncio.run_coroutine_threadsafe(started, loop).result()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = next(self._turns)
        for turn in range(first, first + len(self._ports)):
            with contextlib.suppress(OSError):
                port = self._ports[turn % len(self._ports)]
                there, answer = await asyncio.open_connection(self._host, port)
                break
        else:
            writer.close()
            return
        both = [asyncio.create_task(_copy(*pair)) for pair in ((reader, answer), (there, writer))]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        for each in (answer, writer):  # where one side has gone, so has the connection
            each.close()
        await asyncio.gather(*both)


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
