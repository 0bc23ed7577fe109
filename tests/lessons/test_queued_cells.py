"""Run All in JupyterLab sends all cells at once; papermill sends the next when one is done.

`import workbench` makes `asyncio.run` work in cells. It has to do so with more cells in the queue,
too. With Run All, the round of the event loop that applies the patch finishes unpatched; a callback
that was ready in it must not be lost when a nested run returns, or the kernel hangs.
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


def _printed(cells: list[str]) -> list[tuple[str, str]]:
    """What a kernel prints for cells that are sent to it all at once."""
    manager, client = start_new_kernel()
    assert isinstance(client, BlockingKernelClient)
    try:
        queued = {client.execute(cell) for cell in cells}
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
    return printed


@pytest.mark.filterwarnings("default")  # of jupyter_client and the kernel, which are not ours
def test_cells_that_are_queued_all_run() -> None:
    words = ("one", "two", "three", "four")
    assert _printed(CELLS) == [("stdout", f"{word}\n") for word in words]


@pytest.mark.filterwarnings("default")
def test_the_thread_that_serves_is_nobodys_child() -> None:
    """ipykernel would follow the numbers of threads in circles, once they are used again."""
    serving = "import restate, sys\nfrom workbench.serve import serve_here\n"
    serving += "served = serve_here(restate.Service('Nothing'))\n"
    asked = "print(served._thread.ident in sys.stdout._thread_to_parent)"
    assert _printed([serving, asked]) == [("stdout", "False\n")]
