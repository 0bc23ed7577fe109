"""What lesson 04 says of a kill: with the code gone and with the code there, what it leaves behind,
how that is mended, and what becomes of calls that were sent.
"""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from restate import Context, Service, TerminalError

from tests.stack import Session, Stack
from workbench import (
    AdminError,
    journal_rows,
    new_key,
    serve_here,
    start_agent,
    state_rows,
    tree_rows,
    wait_until,
)

OK = "completed · success"
CANCELLED = "completed · failure · [409] cancelled"
KILLED = "completed · failure · [409] killed"


def state(session: Session, service: str) -> dict[str, Any]:
    """The values of a session's object, from the SQL table: its code need not be there."""
    rows = state_rows(session.stack.admin, service, session.key)
    return {row["key"]: json.loads(row["value"]) for row in rows}


def values(stack: Stack, session: Session) -> dict[str, str]:
    """The state of a session's workspace."""
    return {row["key"]: row["value"] for row in state_rows(stack.admin, "Workspace", session.key)}


def begin_writing(session: Session, turn: int = 1) -> str:
    """Send a message and wait until its draft holds a file; another hangs in the middle.

    The id of the task comes back.
    """
    hanging = f"{session.key}/{turn}/write%20test_"
    session.stack.model.fail("hang", match=hanging)
    task: str = session.message()["task_id"]

    def wrote() -> bool:
        draft = state(session, "Workspace").get("draft")
        return bool(draft and draft["turn"] == turn and draft["files"])

    wait_until(wrote, what=f"a file in the draft of turn {turn}")
    wait_until(lambda: session.stack.model.requests(hanging), what="the file that hangs")
    session.stack.model.mend()
    return task


def open_turns(session: Session) -> dict[int, str]:
    """What the session takes to be its open turns, with their statuses; nobody is asked."""
    return {
        turn["turn"]: turn["status"] for turn in state(session, "CodingAgent")["session"]["open"]
    }


def attempts(stack: Stack, id: str, more_than: int = 0) -> int:
    """How often an invocation was tried, once that is more often than so."""

    def tried() -> int:
        count: int = stack.admin.wait_for(id, "backing-off")["retry_count"]
        return count if count > more_than else 0

    return wait_until(tried, what=f"more than {more_than} attempts")


def statuses(stack: Stack, root: str) -> list[str]:
    """How the invocations of a tree stand, in the order of the calls."""
    return [row["status"] for row in tree_rows(stack.admin, root)]


def entries(stack: Stack, id: str) -> list[tuple[str, str]]:
    return [(row["entry"], row["name"]) for row in journal_rows(stack.admin, id)]


# The deployment is gone.


def test_a_cancel_waits_until_the_deployment_is_back(own_stack: Stack) -> None:
    session = own_stack.session()
    task = begin_writing(session)
    own_stack.agent.kill()
    before = attempts(own_stack, task)
    own_stack.admin.cancel(task)
    attempts(own_stack, task, more_than=before + 1)
    assert ("← Signal", "cancel") in entries(own_stack, task)
    # Handing it on is the work of the task's code.
    steps = own_stack.children(task, "CodingTask/write_file")
    assert steps
    assert not [id for id in steps if ("← Signal", "cancel") in entries(own_stack, id)]
    assert open_turns(session) == {1: "running"}

    own_stack.agent.start()
    row = own_stack.admin.wait_for(task, "completed", timeout=30)
    assert row["completion_failure"] == "[409] cancelled"
    assert session.wait_idle()["status"] == "interrupted"
    session.wait_no_draft()


def test_a_cancel_wakes_a_paused_task_that_is_then_paused_again(own_stack: Stack) -> None:
    env = {"AGENT_MAX_ATTEMPTS": "2"}
    own_stack.agent = start_agent(own_stack.restate, own_stack.model, env=env)
    own_stack.admin.register(own_stack.agent.uri, force=True)
    session = own_stack.session()
    task = begin_writing(session)
    own_stack.agent.kill()
    own_stack.admin.wait_for(task, "paused")
    own_stack.admin.cancel(task)
    wait_until(
        lambda: [entry for entry, _ in entries(own_stack, task)].count("! Paused") == 2,
        what="the task to be paused again",
    )
    own_stack.admin.kill(task)
    row = own_stack.admin.wait_for(task, "completed", timeout=2)
    assert row["completion_failure"] == "[409] killed"


def test_a_kill_does_not_wait(own_stack: Stack) -> None:
    session = own_stack.session()
    task = begin_writing(session)
    own_stack.agent.kill()
    attempts(own_stack, task)
    own_stack.admin.kill(task)
    row = own_stack.admin.wait_for(task, "completed", timeout=2)
    assert row["completion_failure"] == "[409] killed"

    # And all that was open below it.
    over = {OK, KILLED, "no record"}
    wait_until(lambda: set(statuses(own_stack, task)) <= over, what="the tree to be over")
    tree = tree_rows(own_stack.admin, task)
    assert KILLED in [row["status"] for row in tree if row["target"] == "CodingTask/write_file"]
    assert not [row for row in tree if row["target"].endswith("/rollback")]
    # It goes by the journal as it was: neither a signal nor an output is in there.
    assert not {"← Signal", "Output"} & {entry for entry, _ in entries(own_stack, task)}
    assert state(session, "Workspace")["draft"]["files"]
    assert open_turns(session) == {1: "running"}

    # Nobody was told. Whoever looks has the session find out, and clean up.
    own_stack.agent.start()
    assert session.has_draft()
    assert session.wait_idle()["status"] == "killed"
    session.wait_no_draft()
    wait_until(lambda: not open_turns(session), what="the turn to be closed")
    session.message("Write it with Flask")
    assert session.wait_idle()["status"] == "completed"


def test_state_is_mended_with_the_code_gone(own_stack: Stack) -> None:
    session = own_stack.session()
    session.message()
    session.wait_idle()
    task = begin_writing(session, turn=2)
    own_stack.agent.kill()
    own_stack.admin.kill(task)

    before = state_rows(own_stack.admin, "Workspace", session.key)
    kept = [row for row in before if row["key"] != "draft"]
    assert "files" in [row["key"] for row in kept]
    new_state = {row["key"]: row["value"] for row in kept}
    own_stack.admin.post(
        "/services/Workspace/state", {"object_key": session.key, "new_state": new_state}
    )
    session.wait_no_draft()
    assert values(own_stack, session) == new_state
    # Accepted as well, and without effect: nothing has this version.
    own_stack.admin.post(
        "/services/Workspace/state",
        {"object_key": session.key, "new_state": {}, "version": "another"},
    )

    own_stack.agent.start()
    assert values(own_stack, session) == new_state
    assert session.wait_idle(timeout=30)["status"] == "killed"
    session.message("Write it with Flask")
    assert session.wait_idle()["status"] == "completed"


def test_new_state_waits_for_the_key(own_stack: Stack) -> None:
    session = own_stack.session()
    task = begin_writing(session)
    own_stack.agent.kill()
    own_stack.admin.kill(task)
    holder = own_stack.ingress.send("Workspace", "rollback", {"turn": 1}, key=session.key)
    before = attempts(own_stack, holder)
    own_stack.admin.post(
        "/services/Workspace/state", {"object_key": session.key, "new_state": {"mended": "1"}}
    )
    attempts(own_stack, holder, more_than=before)
    assert session.has_draft()
    own_stack.admin.kill(holder)
    wait_until(lambda: state(session, "Workspace") == {"mended": 1}, what="the new state")


# The code is there.


def test_rollback_by_hand_is_fenced_and_idempotent(stack: Stack) -> None:
    session = stack.session()
    session.message()
    session.wait_idle()
    task = begin_writing(session, turn=2)
    stack.admin.kill(task)
    before = state(session, "Workspace")
    assert before["draft"]["turn"] == 2

    def rolled_back(turn: int) -> dict[str, Any]:
        stack.ingress.call("Workspace", "rollback", {"turn": turn}, key=session.key)
        return state(session, "Workspace")

    assert rolled_back(1) == before
    once = rolled_back(2)
    assert "draft" not in once
    assert once["files"] == before["files"]
    assert rolled_back(2) == once

    # Nobody told the session; the next message finds out.
    assert open_turns(session) == {2: "running"}
    assert session.message("Write it with Flask")["interrupted"] is None
    session.wait_idle()
    assert session.statuses() == ["completed", "killed", "completed"]


# Calls that were sent; handlers that are killed.

errands = Service("KillErrands")


@errands.handler()
async def errand(ctx: Context, seconds: float) -> str:
    await ctx.sleep(timedelta(seconds=seconds))
    return "done"


@errands.handler()
async def hand_over(ctx: Context, seconds: float) -> str:
    ctx.service_send(errand, seconds)
    ctx.service_send(errand, 0.0, send_delay=timedelta(seconds=seconds))
    return "handed over"


@errands.handler()
async def boss(ctx: Context, seconds: float) -> str:
    ctx.service_send(errand, seconds)
    ctx.service_send(errand, 0.0, send_delay=timedelta(seconds=seconds))
    await ctx.service_call(hand_over, seconds)
    return await ctx.service_call(errand, 3600.0)


# What the handlers did outside Restate's knowledge, by the key that they were given.
caught: dict[str, list[str]] = {}
left: set[str] = set()


@errands.handler()
async def careless(ctx: Context, key: str) -> None:
    try:
        await ctx.sleep(timedelta(hours=1))
    except Exception as error:
        caught.setdefault(key, []).append(type(error).__name__)
        try:
            await ctx.service_call(errand, 0.0)
        except Exception as second:
            caught[key].append(type(second).__name__)
        raise
    finally:
        left.add(key)


@errands.handler()
async def careful(ctx: Context, key: str) -> None:
    try:
        await ctx.sleep(timedelta(hours=1))
    except TerminalError as error:
        caught.setdefault(key, []).append(type(error).__name__)
        await ctx.service_call(errand, 0.0)
        raise
    finally:
        left.add(key)


@pytest.fixture(scope="module")
def served(stack: Stack) -> Iterator[Stack]:
    """The stack, with the services of this file."""
    with serve_here(errands) as here:
        deployment = stack.admin.register(here.uri)["id"]
        yield stack
        stack.admin.delete(f"/deployments/{deployment}", force=True)


def begin_errands(stack: Stack) -> str:
    root = stack.ingress.send("KillErrands", "boss", 3.0)
    at_work = ["running", "running", "scheduled", OK, "running", "scheduled", "running"]
    wait_until(lambda: statuses(stack, root) == at_work, what="the whole tree to be at work")
    return root


def test_a_cancel_lets_sent_calls_go_on_and_a_kill_takes_its_own(served: Stack) -> None:
    cancelled, killed = begin_errands(served), begin_errands(served)
    served.admin.cancel(cancelled)
    served.admin.kill(killed)
    by_cancel = [CANCELLED, OK, OK, OK, OK, OK, CANCELLED]
    # The running one-way call ends, the scheduled one leaves no record. What a completed child has
    # sent goes on.
    by_kill = [KILLED, KILLED, "no record", OK, OK, OK, KILLED]
    wait_until(lambda: statuses(served, cancelled) == by_cancel, what="the end after the cancel")
    wait_until(lambda: statuses(served, killed) == by_kill, what="the end after the kill")


def test_a_completed_parent_cannot_be_killed(served: Stack) -> None:
    parent = served.ingress.send("KillErrands", "hand_over", 1.0)
    served.admin.wait_for(parent, "completed")
    with pytest.raises(AdminError, match="already completed") as refusal:
        served.admin.kill(parent)
    assert refusal.value.status_code == 409
    wait_until(lambda: statuses(served, parent) == [OK, OK, OK], what="what it has sent to end")


@pytest.mark.parametrize(
    ("handler", "act", "expected"),
    [
        ("careless", "kill", ["DisconnectedException", "DisconnectedException"]),
        ("careful", "kill", []),
        ("careless", "cancel", ["TerminalError"]),
        ("careful", "cancel", ["TerminalError"]),
    ],
)
def test_except_exception_takes_a_kill_for_a_failure(
    served: Stack, handler: str, act: str, expected: list[str]
) -> None:
    key = new_key(f"{handler}-{act}")
    id = served.ingress.send("KillErrands", handler, key)
    wait_until(lambda: ("Sleep", "") in entries(served, id), what="the handler to be at work")
    getattr(served.admin, act)(id)
    served.admin.wait_for(id, "completed")
    wait_until(lambda: key in left, what="the handler to be left")
    assert caught.get(key, []) == expected
    # A compensation that is a call reaches Restate after a cancel only.
    assert len(served.children(id, "KillErrands/errand")) == (1 if act == "cancel" else 0)
