"""A message interrupts the task before it, wherever that is, and the old tree
leaves nothing.
"""

import time

import pytest

from tests.stack import Stack
from workbench import wait_until
from workbench.views.invocation_row import instant


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_a_message_interrupts_the_task_in_any_step(stack: Stack, step: str) -> None:
    session = stack.session()
    first = session.message("Write a to-do CLI")
    session.wait_streaming(1, step)
    asked = time.time()
    second = session.message("Write it with Flask")
    assert second["interrupted"] == first["task_id"]
    # The old tree is over when the message is accepted, and so are its streams.
    old = session.requests(1)
    assert all(request.status in ("completed", "hung up") for request in old)
    assert session.wait_idle()["status"] == "completed"

    # Not a token more is generated for it.
    assert session.requests(1) == old
    last = max(request.last_token_at or 0 for request in old)
    assert last - asked < 1  # some 20 ms where the machine has nothing else to do
    assert last <= min(request.started_at for request in session.requests(2))

    assert session.statuses() == ["interrupted", "completed"]
    assert "app.py" in session.files()
    assert "todo.py" not in session.files()
    assert not session.has_draft()
    row = stack.admin.wait_for(first["task_id"], "completed")
    assert row["completion_failure"] == "[409] cancelled"
    # What the interrupted turn had planned is known to the next one.
    plan = session.turns()[0]["plan"]
    assert plan
    said = session.call("get_history")[1]
    assert (said["role"], said["turn"]) == ("assistant", 1)
    assert said["content"].startswith("[Interrupted")
    assert plan in said["content"]


def test_the_whole_tree_is_over_before_the_next_begins(stack: Stack) -> None:
    session = stack.session()
    first = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    second = session.message("Write it with Flask")["task_id"]
    rows = {
        row["id"]: row
        for row in stack.admin.query(
            "SELECT id, invoked_by_id, target, created_at, completed_at FROM sys_invocation "
            f"WHERE id IN ('{first}', '{second}') OR invoked_by_id = '{first}'"
        )
    }
    writers = [row for row in rows.values() if row["target"] == "CodingTask/write_file"]
    assert len(writers) >= 2
    # Leaves first, then the root, then the new task.
    over = instant(rows[first]["completed_at"])
    assert all(instant(row["completed_at"]) <= over for row in writers)
    assert over <= instant(rows[second]["created_at"])
    assert len(stack.children(first, "Workspace/%/rollback")) == 1
    # The message attaches before it cancels: of a task that has no slot yet (`pending`, with the
    # queues of the next release), nothing is left to attach to (1.7.12).
    message = f"(SELECT invoked_by_id FROM sys_invocation WHERE id = '{second}')"
    journal = f"SELECT entry_type FROM sys_journal WHERE id IN {message} ORDER BY index"
    types = [row["entry_type"] for row in stack.admin.query(journal)]
    assert types.index("Command: AttachInvocation") < types.index("Command: SendSignal")
    session.wait_idle()


@pytest.mark.parametrize("entries", range(1, 16, 2))
def test_a_message_may_itself_be_cancelled_anywhere(stack: Stack, entries: int) -> None:
    session = stack.session()
    first = session.message()["task_id"]
    session.wait_streaming(1, "plan", tokens=1)
    stack.model.set(tokens_per_second=10)  # it is at work until the third message comes
    second = stack.ingress.send("CodingAgent", "message", {"content": "two"}, key=session.key)

    def far_enough() -> bool:
        where = f"id = '{second}' AND (journal_size >= {entries} OR status = 'completed')"
        return bool(stack.count("sys_invocation", where))

    wait_until(far_enough, what=f"the second message to have {entries} journal entries", every=0)
    stack.admin.patch(f"/invocations/{second}/cancel", allow=(409,))
    stack.admin.wait_for(second, "completed")

    # Whether it came through or not: the session is whole, and the next message finds it so.
    third = session.message("Write it with Flask")
    assert session.wait_idle()["status"] == "completed"
    turns = session.turns()
    assert [turn["turn"] for turn in turns] == list(range(1, third["turn"] + 1))
    assert turns[0]["task_id"] == first
    assert {turn["status"] for turn in turns[:-1]} == {"interrupted"}
    tasks = stack.count(
        "sys_invocation",
        f"target = 'CodingTask/run_task' AND invoked_by_target LIKE 'CodingAgent/{session.key}/%'",
    )
    assert tasks == third["turn"], "a task without a turn"
