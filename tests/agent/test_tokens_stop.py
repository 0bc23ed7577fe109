"""Rule 7: once a message interrupts it, a task generates nothing more, wherever it is."""

import time

import pytest

from tests.stack import Session, Stack
from workbench import wait_until

# What an interruption may take to reach the model, in seconds: ingress, `message`, the signal, the
# hang-up. It takes some 20 ms on a machine with nothing else to do.
_AT_ONCE = 1.0


def _last_token(session: Session, turn: int = 1) -> float:
    return max(request.last_token_at or 0 for request in session.requests(turn))


def _streaming(session: Session, turn: int = 1) -> bool:
    return any(request.status == "streaming" for request in session.requests(turn))


@pytest.mark.parametrize(("step", "calls"), [("plan", 1), ("write", 3), ("review", 1)])
def test_tokens_stop_at_once(stack: Stack, step: str, calls: int) -> None:
    session = stack.session()
    session.message()
    session.wait_streaming(1, step, calls=calls)
    asked = time.time()
    session.message("Write it with Flask")
    accepted = time.time()
    assert not _streaming(session)
    assert _last_token(session) <= accepted
    assert _last_token(session) - asked < _AT_ONCE
    session.stop()


def test_tokens_stop_though_the_cleanup_takes_long(own_stack: Stack) -> None:
    stack, session = own_stack, own_stack.session()
    session.message()
    session.wait_streaming(1, "plan")
    # The rollback will have to wait behind this one.
    blocker = session.block_workspace()
    wait_until(lambda: _streaming(session), what="the task to be back", timeout=20)

    asked = time.time()
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    wait_until(lambda: not _streaming(session), what="the stream to end", every=0.01)
    assert _last_token(session) - asked < _AT_ONCE
    asked_so_far = len(session.requests())
    # A second cancellation, in the middle of the cleanup.
    task = session.call("get_status")["task_id"]
    assert task, "the task is over, but its cleanup cannot be"
    stack.admin.cancel(task)
    stack.admin.resume(blocker)
    stack.admin.wait_for(stopping, "completed", timeout=20)
    assert stack.ingress.output(stopping) == {"interrupted": task}
    assert len(session.requests()) == asked_so_far
    assert session.statuses() == ["interrupted"]
    session.wait_no_draft()


@pytest.mark.parametrize("step", ["plan", "write", "review"])
def test_a_step_does_not_begin_once_its_task_is_cancelled(own_stack: Stack, step: str) -> None:
    """The cancellation comes while the agent is away, so it is there before any step can begin."""
    stack, session = own_stack, own_stack.session()
    session.message()
    session.wait_streaming(1, step)
    stack.agent.kill()
    wait_until(lambda: not _streaming(session), what="the model to notice the crash")
    asked_so_far = len(session.requests())
    stopping = stack.ingress.send("CodingAgent", "stop", key=session.key)
    task = session.stack.admin.query(
        "SELECT id FROM sys_invocation WHERE target = 'CodingTask/run_task'"
    )[0]["id"]
    stack.admin.cancel(task)
    stack.agent.start()
    stack.admin.wait_for(stopping, "completed", timeout=20)
    assert session.statuses() == ["interrupted"]
    wait_until(lambda: not _streaming(session), what="the model to notice who has hung up")
    again = session.requests()[asked_so_far:]
    if step == "write":
        # Steps that had begun are invocations of their own, which are tried again side by side with
        # the task that is to tell them; they hear of it at once.
        assert {request.status for request in again} <= {"hung up"}
        assert all((r.ended_at or 0) - r.started_at < _AT_ONCE for r in again)
    else:
        assert again == []
