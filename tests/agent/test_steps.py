"""What a cancellation does to the steps of a task: those at work, those to come, their order."""

import pytest

from tests.stack import Stack
from workbench import wait_until
from workbench.views.invocation_row import instant


@pytest.mark.parametrize("action", ["cancel", "kill"])
def test_a_step_that_is_ended_from_outside_fails_the_task(stack: Stack, action: str) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    stack.model.set(tokens_per_second=20)  # its siblings would take long
    step = stack.children(task, "CodingTask/write_file")[0]
    getattr(stack.admin, action)(step)

    wait_until(lambda: session.statuses() == ["failed"], what="the task to fail")
    # 409 "cancelled" is the task's own cancellation; this is not one.
    said = {"cancel": "A step was cancelled.", "kill": "A step was killed."}[action]
    assert session.turns()[0]["error"] == said
    session.wait_no_draft()
    assert session.files() == {}
    # Its siblings are not left at work, and were cancelled at once, before any had to be woken.
    writes = [request for request in session.requests() if request.step == "write"]
    assert {request.status for request in writes} == {"hung up"}
    commands = f"SELECT entry_type, name FROM sys_journal WHERE id = '{task}' ORDER BY index"
    later = [(row["entry_type"], row.get("name")) for row in stack.admin.query(commands)]
    cancelled = [kind for kind, _ in later].index("Command: SendSignal")
    assert ("Command: Run", "wake") not in later[:cancelled]


@pytest.mark.parametrize("away", [False, True], ids=["deaf", "away"])
def test_nothing_begins_after_a_cancellation(held: Stack, away: bool) -> None:
    """It has come while the task was deaf, or its agent away: the task hears before the next step
    has any effect, and where it asks what was said.
    """
    sessions = {work: held.session() for work in ("step", "effect")}
    before = [session.hold("before") for session in sessions.values()]
    tasks = [session.message(work)["task_id"] for work, session in sessions.items()]
    for hold in before:
        hold.wait_reached()
    if away:
        held.agent.kill()
        for task in tasks:
            held.admin.cancel(task)
    stops = [held.ingress.send("CodingAgent", "stop", key=each.key) for each in sessions.values()]
    for task, hold in zip(tasks, before, strict=True):
        told = f"id = '{task}' AND entry_type LIKE '%Signal%'"
        wait_until(lambda told=told: held.count("sys_journal", told), what="the task to be told")
        hold.open()
    held.agent.start()
    for stopping, session in zip(stops, sessions.values(), strict=True):
        held.admin.wait_for(stopping, "completed", timeout=20)
        assert session.statuses() == ["interrupted"]
        assert not (held.holds / f"{session.key}.effect").exists()


def test_the_root_leaves_after_its_leaves_however_often_it_is_cancelled(held: Stack) -> None:
    session = held.session()
    task = session.message("leafy")["task_id"]
    wait_until(lambda: len(held.children(task, "%/leaf")) == 2, what="the leaves to be there")
    cleanup = session.hold("cleanup")
    stopping = held.ingress.send("CodingAgent", "stop", key=session.key)
    cleanup.wait_reached()
    # Told again and again, by the session: each time some 0.3 s later, or more.
    told = f"id = '{task}' AND entry_type LIKE '%Signal%'"
    wait_until(lambda: held.count("sys_journal", told) >= 3, what="two more cancellations")
    # Who waits does not do so in one of the server's slots.
    held.admin.wait_for(stopping, "suspended")
    assert session.statuses() == ["running"]
    cleanup.open()
    held.admin.wait_for(stopping, "completed", timeout=20)
    assert session.statuses() == ["interrupted"]
    rows = {
        row["id"]: instant(row["completed_at"])
        for row in held.admin.query(
            "SELECT id, completed_at FROM sys_invocation "
            f"WHERE id = '{task}' OR invoked_by_id = '{task}'"
        )
    }
    assert all(rows[leaf] <= rows[task] for leaf in held.children(task, "%/leaf"))


def test_what_is_committed_is_done(held: Stack) -> None:
    """A cancellation that comes after the commit comes too late."""
    session = held.session()
    commit = session.hold("commit")
    task = session.message()["task_id"]
    held.model.set(tokens_per_second=10_000)
    commit.wait_reached()
    stopping = held.ingress.send("CodingAgent", "stop", key=session.key)
    told = f"id = '{task}' AND entry_type LIKE '%Signal%'"
    wait_until(lambda: held.count("sys_journal", told) >= 2, what="the task to be told twice")
    commit.open()
    held.admin.wait_for(stopping, "completed", timeout=20)
    assert held.ingress.output(stopping) == {"interrupted": None}
    assert session.statuses() == ["completed"]
    assert session.files()
