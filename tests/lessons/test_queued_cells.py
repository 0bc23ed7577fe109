"""Run All in JupyterLab sends all cells at once; papermill sends the next when one is done.

`import workbench` makes `asyncio.run` work in cells. It does so also when further cells are queued:
with all, the round of the loop in which it is applied goes on unpatched, and what is ready in that
round must not be gone when a nested run returns, or the kernel hangs.
"""

import time

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

# The next cell begins in a round in which more than that is ready.
CROWDED = """\
import asyncio

loop = asyncio.get_running_loop()
asyncio.current_task().add_done_callback(lambda _: loop.call_soon(lambda: None))
await asyncio.sleep(0)"""

NESTED = """\
print(asyncio.run(asyncio.sleep(0.2, "{0}")))"""

AWAITED = """\
print(await asyncio.sleep(0.1, "{0}"))"""

CELLS = [
    CROWDED,
    "import workbench",
    NESTED.format("one"),
    "print('two')",
    NESTED.format("three"),
    AWAITED.format("four"),
]


@pytest.mark.filterwarnings("default")  # of jupyter_client and the kernel, which are not ours
def test_cells_that_are_queued_all_run() -> None:
    manager, client = start_new_kernel()
    assert isinstance(client, BlockingKernelClient)
    try:
        queued = {client.execute(cell) for cell in CELLS}
        printed: list[tuple[str, str]] = []
        deadline = time.monotonic() + 30
        while queued:
            message = client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["msg_type"] == "stream":
                printed.append((message["content"]["name"], message["content"]["text"]))
            elif message["content"].get("execution_state") == "idle":
                queued.discard(message["parent_header"]["msg_id"])
        client.kernel_info(reply=True, timeout=20)  # it is alive
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert printed == [("stdout", f"{word}\n") for word in ("one", "two", "three", "four")]
