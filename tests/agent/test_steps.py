"""What an operator does to a step of a task, rather than to the task."""

import pytest

from tests.stack import Stack


@pytest.mark.parametrize("action", ["cancel", "kill"])
def test_a_step_that_is_ended_from_outside_fails_the_task(stack: Stack, action: str) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=2)
    step = stack.children(task, "CodingTask/write_file")[0]
    getattr(stack.admin, action)(step)

    turn = session.wait_idle()
    said = {"cancel": "cancelled", "kill": "killed"}[action]
    # 409 "cancelled" is the task's own cancellation; this is not one.
    assert (turn["status"], turn["error"]) == ("failed", f"A step of the task was {said}.")
    session.wait_no_draft()
    assert session.files() == {}
    # Its siblings are not left at work.
    assert all(request.status in ("completed", "hung up") for request in session.requests())
