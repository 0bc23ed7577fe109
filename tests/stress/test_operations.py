"""Where nobody helps, a task may stay paused; nothing may hold the key of a session."""

from typing import Any

from tests.stress.operations import _without_the_paused


def _row(id: str, target: str, status: str, by: str = "", by_target: str = "") -> dict[str, Any]:
    return {
        **{"id": id, "target": target, "status": status},
        **{"invoked_by_id": by, "invoked_by_target": by_target},
    }


TASK = _row("t", "CodingTask/run_task", "suspended", "m", "CodingAgent/one/message")
STEP = _row("s", "CodingTask/write_file", "paused", "t", "CodingTask/run_task")
QUEUED = _row("q", "CodingTask/run_task", "suspended", "n", "CodingAgent/one/message")
OTHER = _row("o", "CodingTask/run_task", "suspended", "p", "CodingAgent/two/message")
LATER = _row("l", "CodingAgent/one/task_finished", "scheduled", "t", "CodingTask/run_task")


def test_tasks_may_wait_for_what_is_paused() -> None:
    assert _without_the_paused([TASK, STEP, QUEUED, LATER]) == []
    assert _without_the_paused([TASK, STEP, OTHER]) == [OTHER]
    assert _without_the_paused([TASK, QUEUED]) == [TASK, QUEUED]


def test_no_key_may_be_held() -> None:
    for status in ("paused", "backing-off", "suspended"):
        for service in ("CodingAgent", "Workspace", "UsageMeter"):
            holder = _row("h", f"{service}/one/message", status)
            assert _without_the_paused([TASK, STEP, holder]) == [holder]
