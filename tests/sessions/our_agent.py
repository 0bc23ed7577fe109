"""What only this agent has, and a session of it must leave in order: its files, its plans and
answers, and its usage.

The scripted model answers a request always alike, so what it has said can be worked out.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

from workbench import ModelRequest
from workbench.clients import sql_text
from workbench.oracle import wrong_with
from workbench.oracle.log import Log
from workbench.oracle.snapshot import Server, Snapshot, paragraphs, seconds, take_snapshot, turn_of
from workbench.scripted_model.answers import Message, answer_to

# How many seconds after the end of a task its session may not know of that yet.
_JUST = 5.0

# What the model has sent of a call and its caller has not read when it hangs up: 5 tokens at most
# of the 200 per second were seen, with other programs on the machine.
_SLACK = 20

# What was done this long before a SIGKILL may not be on record yet.
_UNSAVED_SECONDS = 1.0

FileSet = frozenset[tuple[str, str]]


@dataclass
class AgentSnapshot(Snapshot):
    """What is left of a session of this agent.

    Attributes:
        files, usage: what `read_files` and `get_usage` answer.
        draft: whether the workspace holds one.
    """

    files: dict[str, str]
    usage: dict[str, int]
    draft: bool


def violations_of_our_agent(
    ingress_url: str, admin_url: str, session: str, log: Log, requests: Iterable[ModelRequest]
) -> list[str]:
    """What is wrong with a session: what the oracle finds, and what is wrong with its files and its
    usage.
    """
    server = Server(ingress_url, admin_url)
    draft = "service_name = 'Workspace' AND key = 'draft' AND service_key ="
    return all_wrong_with(
        AgentSnapshot(
            **vars(take_snapshot(server, session, log, requests, "CodingAgent")),
            files=server.call("Workspace", session, "read_files"),
            usage=server.call("UsageMeter", session, "get_usage"),
            draft=bool(server.query(f"SELECT key FROM state WHERE {draft} {sql_text(session)}")),
        )
    )


def all_wrong_with(snapshot: AgentSnapshot) -> list[str]:
    """What is wrong with a session of this agent that was looked at."""
    return [*wrong_with(snapshot), *(wrong for check in CHECKS for wrong in check(snapshot))]


# Plans, answers and files


class _Program(NamedTuple):
    """What the model says to a request."""

    summary: str
    files: FileSet
    answer: str


@cache
def _program(request: str) -> _Program:
    plan = json.loads(_answer("plan", request))
    task = f"Request: {request}\n\nPlan: {plan['summary']}"
    paths = [file["path"] for file in plan["files"]]
    files = {(path, _answer("write one file of", f"{task}\n\nFile: {path}")) for path in paths}
    return _Program(plan["summary"], frozenset(files), _answer("review", task))


def _answer(step: str, prompt: str) -> str:
    system = f"You {step} a small Python program."
    return answer_to([Message(role="system", content=system), Message(role="user", content=prompt)])


def _programs(snapshot: AgentSnapshot, turn: dict[str, Any]) -> list[_Program]:
    """What a turn may have been asked for at its end, the likeliest first: all that was said to it,
    or, where it did not live to take all of it, less.
    """
    content = turn["content"]
    for entry in snapshot.history:
        if (entry["turn"], entry["role"]) == (turn["turn"], "user"):
            content = entry["content"]
    said, least = paragraphs(content), len(paragraphs(turn["content"]))
    if turn["status"] == "completed" and not _interrupted_at_the_end(snapshot, turn):
        least = len(said)
    return [_program("\n\n".join(said[:count])) for count in range(len(said), least - 1, -1)]


def _interrupted_at_the_end(snapshot: Snapshot, turn: dict[str, Any]) -> bool:
    """Whether an interruption has met a task that had just come to its end."""
    _, end = snapshot.lifetime(turn["task_id"])
    return any(
        (each.sent_at or 0.0) - _JUST <= end <= (each.answered_at or float("inf"))
        for each in snapshot.log.interruptions
    )


def completed_as_the_model_answered(snapshot: AgentSnapshot) -> Iterator[str]:
    """A completed turn has the plan and the answer that the model gives to what was said to it."""
    for turn in snapshot.turns:
        if turn["status"] != "completed":
            continue
        plan, answer = turn["plan"] or "", turn["answer"] or ""
        if not any(
            program.summary in plan
            and program.answer == answer
            and all(path in plan for path, _ in program.files)
            for program in _programs(snapshot, turn)
        ):
            yield (
                f"turn {turn['turn']} is completed with a plan or an answer of something else than "
                f"was said to it: {plan!r}, {answer!r}"
            )


def files_of_completed_turns(snapshot: AgentSnapshot) -> Iterator[str]:
    """The workspace holds the files of the completed turns, word by word, the later over the
    earlier. A turn that was killed has left all of its files or none.
    """
    killed = {action.task for action in snapshot.log.actions if action.verb == "kill"}
    possible: set[FileSet] = {frozenset()}
    for turn in snapshot.turns:
        after: set[FileSet] = set()
        if turn["status"] == "completed":
            programs = _programs(snapshot, turn)
        elif turn["status"] == "killed" or turn["task_id"] in killed:
            programs, after = _programs(snapshot, turn), set(possible)
        else:
            continue
        for before in possible:
            for program in programs:
                after.add(frozenset((dict(before) | dict(program.files)).items()))
        possible = after
    found = frozenset(snapshot.files.items())
    if found not in possible:
        nearest = min(possible, key=lambda files: len(files ^ found))
        more, less = (
            sorted(path for path, _ in files) for files in (found - nearest, nearest - found)
        )
        yield (
            "the workspace does not hold what the completed turns have left: "
            f"{more or 'nothing'} should not be as it is, {less or 'nothing'} is missing"
        )


def no_draft_is_left(snapshot: AgentSnapshot) -> Iterator[str]:
    rollback = f"Workspace/{snapshot.session}/rollback"
    killed = any(a.verb == "kill" and a.target == rollback for a in snapshot.log.actions)
    if snapshot.draft and not killed:
        yield "a draft is left over"


# Usage: what is counted is what the model has sent, as far as anyone can know.


class _Call(NamedTuple):
    """A call whose tokens must be counted.

    Attributes:
        failed: it was an attempt that another one followed.
        in_full: caller and model agree on it to the last token. Of a call that was stopped in its
            last instant they may not, though the model takes it for completed.
    """

    request: ModelRequest
    failed: bool
    in_full: bool


def tokens_are_counted(snapshot: AgentSnapshot) -> Iterator[str]:
    """Between what surely was counted and all that was sent."""
    least, most = Counter[str](), Counter[str]()
    for request, failed, in_full in _certain_calls(snapshot):
        least["calls"] += not failed
        least["prompt_tokens"] += in_full * request.prompt_tokens
        least["completion_tokens"] += request.completion_tokens - _SLACK * (not in_full)
    for request in snapshot.requests:
        most["prompt_tokens"] += request.prompt_tokens
        most["completion_tokens"] += request.completion_tokens
    for name in ("completion_tokens", "prompt_tokens"):
        counted, what = snapshot.usage[name], name.replace("_", " ")
        if not least[name] <= counted <= most[name]:
            yield f"{counted} {what} are counted; {least[name]} to {most[name]} were sent"
    calls = snapshot.usage["calls"]
    if calls < least["calls"]:  # more there may be: one that was stopped on its way to the model
        yield f"{calls} calls are counted; {least['calls']} were made"


def _certain_calls(snapshot: AgentSnapshot) -> Iterator[_Call]:
    """Calls that brought tokens, and no SIGKILL came in between, and no operator."""
    doubtful, gaps = _doubtful_turns(snapshot), _gaps(snapshot)
    completed = {turn["turn"] for turn in snapshot.turns if turn["status"] == "completed"}
    followers: dict[str, ModelRequest] = {}
    for request in reversed(snapshot.requests):
        follower = followers.get(request.label)
        followers[request.label] = request
        number, counted_at = turn_of(request), request.ended_at
        failed = request.status == "cut" or (request.status == "hung up" and follower is not None)
        if failed:  # counted with what follows, if that comes to an end in the same process
            counted_at = (follower.ended_at or counted_at) if follower else None
        if number in doubtful or not request.completion_tokens or counted_at is None:
            continue
        if not any(
            request.started_at < end and begin < counted_at + _UNSAVED_SECONDS
            for begin, end in gaps
        ):
            in_full = request.status == "completed" and number in completed
            yield _Call(request, failed, in_full)


def _gaps(snapshot: Snapshot) -> list[tuple[float, float]]:
    """When the agent or the server was away; and when a task was at work that was killed with the
    message that had just sent it, and so is none of any turn.
    """
    gaps = snapshot.log.outages
    for id in snapshot.tasks.keys() - snapshot.by_task.keys():
        row = snapshot.tasks[id]
        if row.get("completed_at"):
            gaps.append((seconds(row["created_at"]), seconds(row["completed_at"])))
    return gaps


def _doubtful_turns(snapshot: Snapshot) -> set[int]:
    """Turns of which something was killed, or the note of their tokens was cancelled."""
    doubtful = {turn["turn"] for turn in snapshot.turns if turn["status"] == "killed"}
    for action in snapshot.log.actions:
        if action.verb == "kill" or (action.verb == "cancel" and "UsageMeter" in action.target):
            doubtful |= {snapshot.number(action.task) or 0}
    return doubtful


CHECKS: tuple[Callable[[AgentSnapshot], Iterator[str]], ...] = (
    completed_as_the_model_answered,
    files_of_completed_turns,
    no_draft_is_left,
    tokens_are_counted,
)
