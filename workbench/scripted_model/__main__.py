"""A model that speaks OpenAI's chat-completions wire format and answers from a script.

    python -m workbench.scripted_model [--port N] [--port-file PATH]

A learner needs no key and no money, the answers are the same on every run, and what no provider
offers can be had: faults on demand, a settable rate, and a count, kept by the model itself, of the
tokens that it sent to each request before the client hung up. It listens on loopback only;
`server.py` lists what it serves.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from hypercorn.asyncio import serve
from hypercorn.config import Config

from workbench.scripted_model.server import create_app


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m workbench.scripted_model")
    parser.add_argument("--port", type=int, default=0, help="0, the default, takes a free one")
    parser.add_argument("--port-file", type=Path, help="file to write the port to")
    args = parser.parse_args()
    if not 0 <= args.port <= 65535:
        parser.error("--port goes from 0 to 65535")
    try:
        listener = socket.create_server(("127.0.0.1", args.port))
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        print(f"Cannot listen on 127.0.0.1:{args.port}: {reason}. Try --port 0.", file=sys.stderr)
        return 1
    port = listener.getsockname()[1]
    if args.port_file:
        # Renamed into place: a reader of the file never finds half a number.
        draft = args.port_file.with_suffix(".tmp")
        draft.write_text(str(port))
        os.replace(draft, args.port_file)
    print(f"Scripted model: http://127.0.0.1:{port}/v1", flush=True)

    # Nothing here needs a farewell, and a stream under way must not delay the end: signals kill.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "WARNING"
    # A thousand clients may come at once. One that finds no place in the queue is not refused but
    # waits for seconds before it knocks again.
    config.backlog = 4096
    # Longer than clients keep an idle connection (5 s), so that none is closed under a request.
    # hypercorn keeps the socket of a client that has gone for as long: not too long.
    config.keep_alive_timeout = 15
    asyncio.run(serve(create_app(), config, shutdown_trigger=_never))  # type: ignore[arg-type]
    return 0


async def _never() -> None:
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
