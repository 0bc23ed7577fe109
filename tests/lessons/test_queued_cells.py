"""Run All in JupyterLab sends all cells at once; papermill sends the next when one is done.

`nest_asyncio` with some versions of ipykernel survives the second and hangs in the first.
"""

import time

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

NESTED = """\
import asyncio
import nest_asyncio

nest_asyncio.apply()
print(asyncio.run(asyncio.sleep(0.2, "{0}")))"""

CELLS = [NESTED.format("one"), "print('two')", NESTED.format("three"), "print('four')"]


@pytest.mark.filterwarnings("default")  # of jupyter_client and the kernel, which are not ours
def test_cells_that_are_queued_all_run() -> None:
    manager, client = start_new_kernel()
    assert isinstance(client, BlockingKernelClient)
    try:
        queued = {client.execute(cell) for cell in CELLS}
        printed: list[tuple[str, str]] = []
        deadline = time.monotonic() + 20
        while queued:
            message = client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["msg_type"] == "stream":
                printed.append((message["content"]["name"], message["content"]["text"]))
            elif message["content"].get("execution_state") == "idle":
                queued.discard(message["parent_header"]["msg_id"])
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert printed == [("stdout", f"{word}\n") for word in ("one", "two", "three", "four")]
