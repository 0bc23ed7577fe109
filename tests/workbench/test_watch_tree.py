"""The live view: in a kernel that somebody looks at or that nobody does, and in plain Python."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager, start_new_kernel

from tests.stack import Session, Stack
from workbench import tree_rows, watch_tree
from workbench.clients import Admin, Ingress, WaitTimeout
from workbench.scripted_model.requests import ModelRequest
from workbench.views.watch.picture import caption_of
from workbench.views.watch.tree_watch import ModelCall, TreeState, label_prefix


@pytest.fixture
def session(stack: Stack) -> Iterator[Session]:
    session = stack.session()
    yield session
    session.stop()
    session.wait_idle()


# In plain Python


def test_a_task_is_watched_to_its_end(
    stack: Stack, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    task = session.message()["task_id"]
    stack.model.set(tokens_per_second=3000)
    watch_tree(stack.admin, task, model=stack.model)

    rows = tree_rows(stack.admin, task)
    assert {row["status"] for row in rows} == {"completed · success"}
    assert any(row["how"] == "one-way" for row in rows)
    printed = capsys.readouterr().out
    assert printed.count("CodingTask/run_task  ") == 1  # the final picture and nothing before it
    tokens = sum(request.completion_tokens for request in session.requests())
    assert f"{len(rows)} of {len(rows)} invocations over · {tokens} tokens" in printed
    assert "streamed at once" in printed
    assert printed.endswith("The status of the task is completed · success.\n\n")


def test_a_timeout_says_how_it_looked(
    stack: Stack, session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.model.set(tokens_per_second=2)
    with pytest.raises(WaitTimeout, match=r"Waited 0\.1 s(.|\n)*Last state seen:\n") as caught:
        watch_tree(stack.admin, task, model=stack.model, timeout=0.1)
    assert "plan  streaming" in str(caught.value)
    assert "The time for watching was over here" in " ".join(capsys.readouterr().out.split())


def test_what_is_scheduled_is_not_waited_for(
    admin: Admin, ingress: Ingress, capsys: pytest.CaptureFixture[str]
) -> None:
    """And of a service that is no agent of ours, the labels are unknown."""
    root = ingress.send("Probe", "root", 0.01)
    provider: Any = SimpleNamespace(scripted=False)  # it has no record of tokens
    watch_tree(admin, root, model=provider)
    printed = capsys.readouterr().out
    assert "tokens" not in printed
    assert "Probe/note (delayed)" in printed
    assert "5 of 6 invocations over\n" in printed
    assert label_prefix(admin, root) is None


def test_the_caption_tells_what_this_run_has_shown() -> None:
    def call(number: int, step: Any, tokens: int, status: Any = "completed") -> ModelCall:
        began, first, last = 100.0 + number, 100.1 + number, 102.0 + number
        request = ModelRequest(
            number=number,
            label=f"mine/1/{step}",
            step=step,
            status=status,
            http_status=200,
            prompt_tokens=9,
            completion_tokens=tokens,
            started_at=began,
            first_token_at=first,
            last_token_at=last,
            ended_at=last,
        )
        return ModelCall(step, request, ((began, 0), (first, 1), (last, tokens)))

    status = "completed · failure · [409] cancelled"
    root = {"id": "inv_1", "parent": None, "branch": "", "target": "Mine/work", "how": "root"}
    calls = [call(1, "plan", 40), call(2, "write", 60, "hung up")]
    state = TreeState([{**root, "status": status}], calls)
    assert caption_of(state, created=99.0, cancelled=103.75, remark="So.") == (
        "Mine/work made 2 model calls, of which up to 2 streamed at once, and was sent 100 tokens "
        "within 2.9 s. The cancel signal came after 4.75 s; one call was hung up on, and the last "
        "of its tokens was sent 250 ms after it. The status of the task is completed · failure · "
        "[409] cancelled. So."
    )


# In a kernel

IMPORTS = """\
import workbench as wb
restate, model = wb.start_restate("embedded", progress=lambda line: None), wb.start_model()
admin = wb.Admin(restate)
"""


@dataclass
class Kernel:
    """A kernel, and what one cell after the other has made it say."""

    manager: KernelManager
    client: BlockingKernelClient
    messages: list[dict[str, Any]] = field(default_factory=list)

    def run(self, code: str, *, person: bool, interrupt: bool = False) -> None:
        """Run a cell as a front end would that has a `person` at it, or none."""
        self.messages.clear()
        ours = self.client.execute(code, allow_stdin=person)
        deadline = time.monotonic() + 40
        while True:
            message = self.client.get_iopub_msg(timeout=deadline - time.monotonic())
            if message["parent_header"].get("msg_id") != ours:
                continue
            self.messages.append(message)
            if message["content"].get("execution_state") == "idle":
                return
            if interrupt and message["msg_type"] == "display_data":
                interrupt = False
                self.manager.interrupt_kernel()

    def said(self, *types: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["msg_type"] in types]


@pytest.fixture(scope="module")
def kernel(stack: Stack) -> Iterator[Kernel]:
    manager, client = start_new_kernel()
    assert isinstance(client, BlockingKernelClient)
    try:
        kernel = Kernel(manager, client)
        kernel.run(IMPORTS, person=False)
        assert not kernel.said("error")
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


KERNEL_WARNINGS = pytest.mark.filterwarnings("default")  # of jupyter_client, which is not ours


@KERNEL_WARNINGS
def test_a_person_sees_one_output_change_in_place(
    stack: Stack, session: Session, kernel: Kernel
) -> None:
    task = session.message()["task_id"]
    kernel.run(f"wb.watch_tree(admin, {task!r}, model=model)", person=True)

    (shown,) = kernel.said("display_data")
    updates = kernel.said("update_display_data")
    assert not kernel.said("error", "stream")
    assert len(updates) >= 3
    ids = {message["content"]["transient"]["display_id"] for message in [shown, *updates]}
    assert len(ids) == 1
    *live, final = [message["content"]["data"] for message in [shown, *updates]]
    assert all(set(data) == {"text/plain"} for data in live)
    assert len({data["text/plain"] for data in live}) == len(live)  # each one is news
    assert any("streaming" in data["text/plain"] for data in live)
    assert set(final) == {"image/png", "text/plain"}
    assert "The status of the task" in updates[-1]["content"]["metadata"]["image/png"]["alt"]
    times = [datetime.fromisoformat(str(message["header"]["date"])) for message in updates[:-1]]
    gaps = [(after - before).total_seconds() for before, after in pairwise(times)]
    assert min(gaps) >= 0.2


@KERNEL_WARNINGS
def test_an_interrupted_cell_keeps_the_picture(
    stack: Stack, session: Session, kernel: Kernel
) -> None:
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.model.set(tokens_per_second=2)
    kernel.run(f"wb.watch_tree(admin, {task!r}, model=model)", person=True, interrupt=True)

    assert set(kernel.said("update_display_data")[-1]["content"]["data"]) == {
        "image/png",
        "text/plain",
    }
    (error,) = kernel.said("error")
    (line,) = error["content"]["traceback"]
    assert line.startswith("Watching was interrupted; inv_")
    assert stack.admin.wait_for(task, "running")
    kernel.run("print('still here')", person=True)
    assert not kernel.said("error")
