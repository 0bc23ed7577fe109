"""What must hold of a session when all is quiet, seen through ingress, admin API and model."""

from itertools import pairwise

from tests.stack import Stack
from tests.stress.client import Client
from workbench import wait_until

OURS = "target_service_name IN ('CodingAgent', 'CodingTask', 'Workspace', 'UsageMeter')"

_STATUS = {
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
}


def wait_quiet(stack: Stack, timeout: float = 120.0) -> None:
    """Resume whatever is paused until no invocation is left that is not over."""

    wait_until(
        lambda: not resume_all(stack, ("paused", "backing-off")),
        what="every invocation to be over",
        timeout=timeout,
        every=0.25,
    )


def resume_all(stack: Stack, statuses: tuple[str, ...]) -> list[str]:
    """Resume every invocation with one of these statuses; the ids of all that are not over."""
    open_ones = stack.admin.query(
        f"SELECT id, status FROM sys_invocation WHERE status != 'completed' AND {OURS}"
    )
    for row in open_ones:
        if row["status"] in statuses:
            stack.admin.patch(f"/invocations/{row['id']}/resume", allow=(404, 409, 425))
    return [row["id"] for row in open_ones]


def violations(client: Client) -> list[str]:
    """What is wrong with a client's session; empty if nothing is."""
    stack, session = client.stack, client.session
    turns = session.turns()
    found = []

    said = [content for content, _ in client.accepted]
    if [turn["content"] for turn in turns] != said:
        found.append(f"turns hold {[t['content'] for t in turns]}, but accepted were {said}")
    if [turn["turn"] for turn in turns] != list(range(1, len(turns) + 1)):
        found.append(f"turns are numbered {[turn['turn'] for turn in turns]}")
    for turn, (_, answer) in zip(turns, client.accepted, strict=False):
        if turn["task_id"] != answer["task_id"]:
            found.append(f"turn {turn['turn']} has another task than was answered")

    for turn in turns:
        (row,) = stack.admin.query(
            f"SELECT completion_failure FROM sys_invocation WHERE id = '{turn['task_id']}'"
        )
        failure = row.get("completion_failure")
        expected = _STATUS.get(failure, "failed") if failure else "completed"
        if turn["status"] != expected:
            found.append(f"turn {turn['turn']} is {turn['status']}, its task ended {failure}")
        if turn["status"] == "completed" and not (turn["answer"] and turn["plan"]):
            found.append(f"turn {turn['turn']} is completed without an answer")

    completed = [turn for turn in turns if turn["status"] == "completed"]
    if completed and not session.files():
        found.append("a turn is completed, but the workspace holds no file")
    if session.has_draft():
        found.append("a draft is left over")

    spans = [
        (turn["turn"], min(r.started_at for r in requests), max(r.ended_at or 0 for r in requests))
        for turn in turns
        if (requests := session.requests(turn["turn"]))
    ]
    for (old, _, end), (new, begin, _) in pairwise(spans):
        if end > begin:
            found.append(f"turns {old} and {new} generated at once, for {end - begin:.3f} s")
    return found
