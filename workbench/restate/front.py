"""`python -m workbench.restate.front 8080=21001,21002,21003 …`: what stands in front of a cluster.

It gives each TCP connection to the first server of the list that takes it, as a load balancer does
that finds out about dead servers by trying.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def serve(port: int, servers: list[int]) -> None:
    """Pass on the connections to `port` of this machine, for ever."""

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for server in servers:
            with contextlib.suppress(OSError):
                there = await asyncio.open_connection("127.0.0.1", server)
                await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
                return
        writer.close()  # nobody is there

    async with await asyncio.start_server(forward, "127.0.0.1", port) as listener:
        await listener.serve_forever()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on what comes, until one side closes or breaks; then close the other."""
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _main(doors: list[str]) -> None:
    ports = [door.split("=") for door in doors]
    await asyncio.gather(
        *(serve(int(port), [int(one) for one in servers.split(",")]) for port, servers in ports)
    )


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main(sys.argv[1:]))
