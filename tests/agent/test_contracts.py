"""The wire contract of each handler, on the happy path."""

import subprocess
import sys
from pathlib import Path

from tests.stack import Stack
from workbench import wait_until


def test_a_message_runs_to_its_answer(stack: Stack, tmp_path: Path) -> None:
    session = stack.session()
    accepted = session.message("Write a to-do CLI with tests")
    assert set(accepted) == {"turn", "task_id", "interrupted"}
    assert (accepted["turn"], accepted["interrupted"]) == (1, None)
    assert accepted["task_id"].startswith("inv_")
    working = {"turn": 1, "status": "working", "task_id": accepted["task_id"]}
    assert session.call("get_status") == working

    turn = session.wait_idle()
    assert session.call("get_status") == {"turn": 1, "status": "idle", "task_id": None}
    assert turn["plan"]
    assert turn["answer"]
    assert turn == {
        **{"turn": 1, "content": "Write a to-do CLI with tests", "status": "completed"},
        **{"task_id": accepted["task_id"], "error": None},
        **{"plan": turn["plan"], "answer": turn["answer"]},
    }
    assert session.call("get_history") == [
        {"role": "user", "content": "Write a to-do CLI with tests", "turn": 1},
        {"role": "assistant", "content": turn["answer"], "turn": 1},
    ]

    # The files are a program that runs, and its own tests pass.
    files = session.files()
    for path, content in files.items():
        (tmp_path / path).write_text(content)
    subprocess.run([sys.executable, "-m", "unittest"], cwd=tmp_path, check=True, timeout=30)
    assert not session.has_draft()

    # 12 invocations for a turn with two files, the message among them; three more for each other.
    task = accepted["task_id"]
    writers = stack.children(task, "CodingTask/write_file")
    assert len(writers) == len(files) >= 2
    of_files = sum(len(stack.children(writer, "%")) for writer in writers)
    wait_until(
        lambda: len(stack.children(task, "%")) + of_files + 2 == 6 + 3 * len(files),
        what="the task to have told all that it has to tell",
    )


def test_a_new_session_is_empty(stack: Stack) -> None:
    session = stack.session()
    assert session.call("get_history") == []
    assert session.turns() == []
    assert session.call("get_status") == {"turn": 0, "status": "idle", "task_id": None}
    assert session.stop() is None
    assert session.files() == {}
    counts = ("calls", "interrupted_calls", "prompt_tokens", "completion_tokens")
    assert session.usage() == dict.fromkeys(counts, 0)
