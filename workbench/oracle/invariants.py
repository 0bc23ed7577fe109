"""What must hold of a session when nothing is at work any more. Each check yields what is wrong, in
a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise

from workbench.oracle.log import Message, Paused
from workbench.oracle.snapshot import Snapshot, paragraphs, seconds, turn_of

# Seconds. The clocks of server and test are read one after the other.
CLOCK = 0.1

# How long the model may take to notice that its caller has hung up, and send a token meanwhile, if
# the machine has more to do than it can: 0.5 s were seen. (`over_when_that_is_answered` asks the
# server, which knows to the millisecond.)
_NOTICED = 1.0

# How long an answer may take on a busy machine, and how long it is until what was away is asked
# again.
_SOON, _RECOVERY = 8.0, 15.0

# How long after its call the kill of a handler may take along what it has just sent.
_IN_PASSING = 5.0

# What may be refused where a session is busy: 409 is what was asked for, 429 too much of it.
_REFUSALS = {("reject", 409), ("steer", 409), ("steer", 429), ("enqueue", 429)}

# What the model says once and for all; every other fault is tried again.
_LASTING = ("bad_request", "unprocessable")

_STATUS = {
    "[409] cancelled": "interrupted",
    "[409] canceled": "interrupted",
    "[409] killed": "killed",
}


# Messages: every one that was accepted is there once, and nothing else is.


def each_message_is_one_turn(snapshot: Snapshot) -> Iterator[str]:
    """None lost, none doubled; the turn is the one that was answered. What has steered a turn is
    part of that, or has begun one behind it. What was refused is nowhere, unless an operator ended
    the message: then it may be.
    """
    turns = {turn["turn"]: turn for turn in snapshot.turns}
    said = Counter(part for turn in snapshot.turns for part in paragraphs(turn["content"]))
    for message in snapshot.log.messages:
        times = said.pop(message.content, 0)
        answer = message.accepted
        if answer is None:
            if times > int(message.may_have_been_heard):
                yield f"{message.content!r} was not accepted, and is {times} turn(s)"
            continue
        if any(other != answer for other in message.answers):
            yield f"{message.content!r} was answered differently when repeated: {message.answers}"
        turn = turns.get(answer["turn"])
        if turn is None or turn["task_id"] != answer["task_id"]:
            yield f"{message.content!r}: turn {answer['turn']} is not the one that was answered"
        if times > 1 or (times == 0 and not _steered(message)):
            yield f"{message.content!r} was accepted, and is {times} turns"
        elif turn and not _steered(message) and turn["content"] != message.content:
            yield f"{message.content!r} was accepted as a turn that holds {turn['content']!r}"
        interrupted = snapshot.by_task.get(answer.get("interrupted") or "")
        if answer.get("interrupted") and (
            interrupted is None
            or interrupted["status"] not in ("interrupted", "killed")  # what does not end is killed
            or interrupted["turn"] >= answer["turn"]
        ):
            yield f"{message.content!r} is said to have interrupted what is {interrupted}"
    for content in said:
        yield f"{content!r} is a turn, and nobody sent it"


def in_the_order_of_acceptance(snapshot: Snapshot) -> Iterator[str]:
    """A message that was answered before another was sent is the earlier turn; where both steered
    one turn, it comes first in that.
    """
    accepted = {each.content: each for each in snapshot.log.messages if each.accepted}
    begun = [accepted.get(turn["content"]) for turn in snapshot.turns]
    yield from _in_order([each for each in begun if each and not _steered(each)])
    for entry in snapshot.history:
        if entry["role"] == "user":
            found = [accepted.get(part) for part in paragraphs(entry["content"])]
            yield from _in_order([each for each in found if each])


def _in_order(messages: list[Message]) -> Iterator[str]:
    latest: Message | None = None  # of those that came first, the one that was sent last
    for message in messages:
        assert message.sent_at is not None
        assert message.answered_at is not None
        if latest and message.answered_at < (latest.sent_at or 0.0):
            yield f"{message.content!r} was accepted before {latest.content!r}, which is before it"
        if latest is None or message.sent_at > (latest.sent_at or 0.0):
            latest = message


def errors_are_answers(snapshot: Snapshot) -> Iterator[str]:
    """A message is refused by an operator, or because it asked for that where the session is busy;
    never for anything else.
    """
    for message in snapshot.log.messages:
        for code, said in message.refusals:
            if not message.ended_by_operator and (message.when_busy, code) not in _REFUSALS:
                yield f"{message.content!r} was answered {code}: {said}"


def _steered(message: Message) -> bool:
    """Whether an accepted message was said to a turn that was there."""
    return bool(message.accepted) and message.when_busy == "steer"


# The history


def all_is_in_the_history(snapshot: Snapshot) -> Iterator[str]:
    """The history has each turn's message, together with those that steered it, and an answer; but
    not the turns that were rolled back.
    """
    said = Counter(
        (entry["turn"], part)
        for entry in snapshot.history
        if entry["role"] == "user"
        for part in paragraphs(entry["content"])
    )
    answers = Counter(entry["turn"] for entry in snapshot.history if entry["role"] == "assistant")
    surely, perhaps = _rolled_back(snapshot)
    for turn in snapshot.turns:
        number = turn["turn"]
        if number in surely:
            if answers.pop(number, 0):
                yield f"turn {number} was rolled back, and its answer is in the history"
            continue
        if number in perhaps and not answers[number]:
            continue
        if any(said.pop((number, part), 0) != 1 for part in paragraphs(turn["content"])):
            yield f"turn {number} is not in the history once"
        if turn["status"] != "running" and answers.pop(number, 0) != 1:
            yield f"turn {number} has not one answer in the history"
    begun = {part: turn["turn"] for turn in snapshot.turns for part in paragraphs(turn["content"])}
    for message in snapshot.log.messages:
        if not (message.accepted and _steered(message)):
            continue
        number = message.accepted["turn"]
        times = said.pop((number, message.content), 0)
        later = begun.get(message.content, 0)
        if later and (times or later <= number):
            yield f"{message.content!r} steered turn {number}, and is turn {later}"
        if not later and times != 1 and not (number in surely | perhaps and times == 0):
            yield f"{message.content!r} steered a turn, and is {times} times in the history"
    unknown = {each.content for each in snapshot.log.messages if each.may_have_been_heard}
    for (number, content), times in said.items():
        if content not in unknown or times > 1:
            yield f"{content!r} is in the history of turn {number}, and should not be"
    for number in answers:
        yield f"the history has an answer too many in turn {number}"


def _rolled_back(snapshot: Snapshot) -> tuple[set[int], set[int]]:
    """The turns that rollbacks have ended, and those that they may have: an interrupted turn that
    the rollback's answer does not name may have been ended by it too, or before it by something
    else.
    """
    surely: set[int] = set()
    perhaps: set[int] = set()
    for message in snapshot.log.messages:
        if message.when_busy != "rollback":
            continue
        answer = message.accepted
        if answer and answer["interrupted"]:
            surely |= {snapshot.number(answer["interrupted"]) or 0}
        if answer or message.may_have_been_heard:
            first, last = 1, len(snapshot.turns) + 1
            if answer:
                last = answer["turn"]
                first = snapshot.number(answer["interrupted"]) or last
            perhaps |= {
                turn["turn"]
                for turn in snapshot.turns
                if first <= turn["turn"] < last and turn["status"] in ("interrupted", "killed")
            }
    return surely, perhaps


def user_and_assistant_alternate(snapshot: Snapshot) -> Iterator[str]:
    """A strict provider takes the history as it is, with the next message behind it."""
    roles = ["assistant", *(entry["role"] for entry in snapshot.history), "user"]
    for place, (one, next_one) in enumerate(pairwise(roles)):
        if one == next_one:
            yield f"the history has two {one} entries in a row, from the {place}th on"


def the_history_says_what_came_of_a_turn(snapshot: Snapshot) -> Iterator[str]:
    """The answer of a completed turn, word by word, and what an interrupted one had planned."""
    turns = {turn["turn"]: turn for turn in snapshot.turns}
    for entry in snapshot.history:
        turn = turns.get(entry["turn"], {})
        if entry["role"] != "assistant":
            continue
        if turn.get("status") == "completed" and entry["content"] != turn["answer"]:
            yield f"turn {entry['turn']} has another answer in the history: {entry['content']!r}"
        if turn.get("status") == "interrupted" and (turn["plan"] or "") not in entry["content"]:
            yield f"what turn {entry['turn']} had planned is not in the history"


# Turns: each over, as its task says, when it must be, and for good.


def numbered_without_gaps(snapshot: Snapshot) -> Iterator[str]:
    numbers = [turn["turn"] for turn in snapshot.turns]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"turns are numbered {numbers}"


def over_as_their_tasks_are(snapshot: Snapshot) -> Iterator[str]:
    """Each turn has the status that its task's invocation says; each task is one of a turn."""
    for turn in snapshot.turns:
        row = snapshot.tasks.get(turn["task_id"])
        if row is None:
            begun = any(turn_of(request) == turn["turn"] for request in snapshot.requests)
            # Restate keeps no record of an invocation that was cancelled before it got a slot.
            if begun or turn["status"] != "interrupted":
                yield f"turn {turn['turn']} has a task that is not there"
            continue
        failure = row.get("completion_failure")
        expected = _STATUS.get(failure, "failed") if failure else "completed"
        if row["status"] != "completed":
            expected = "running"
        if turn["status"] != expected:
            yield (
                f"turn {turn['turn']} is {turn['status']}, its task {turn['task_id']} is "
                f"{row['status']}, {failure or 'without a failure'}"
            )
    # The kill of a message may have met it between sending a task and noting it; then it has met
    # the task too.
    killed = any(each.verb == "kill" and each.task is None for each in snapshot.log.actions)
    for id in snapshot.tasks.keys() - snapshot.by_task.keys():
        if not (killed and snapshot.tasks[id].get("completion_failure") == "[409] killed"):
            yield f"task {id} belongs to no turn"


def over_is_over(snapshot: Snapshot) -> Iterator[str]:
    """A turn that was seen over has not changed since."""
    turns = {turn["turn"]: turn for turn in snapshot.turns}
    for number, seen in snapshot.log.seen.items():
        if turns.get(number) != seen:
            yield f"turn {number} was over as {seen}, and is now {turns.get(number)}"


def over_when_that_is_answered(snapshot: Snapshot) -> Iterator[str]:
    """Whoever is answered that all before was interrupted finds it over, down to the last step."""
    answered: dict[int, float] = {}  # by turn, when all before it was over
    for message in snapshot.log.messages:
        if message.accepted and message.answered_at and message.interrupts:
            answered[message.accepted["turn"]] = message.answered_at
    for stop in snapshot.log.stops:
        before = snapshot.accepted_before(stop.sent_at)
        if stop.answered_at and before:
            number = max(before) + 1
            answered[number] = min(stop.answered_at, answered.get(number, stop.answered_at))
    for task, turn in snapshot.by_task.items():
        limit = min((at for number, at in answered.items() if number > turn["turn"]), default=None)
        if limit is None:
            continue
        rows = [snapshot.tasks.get(task, {})]
        rows += [  # a kill goes down a tree step by step
            row
            for row in snapshot.steps.values()
            if row["task"] == task and row.get("completion_failure") != "[409] killed"
        ]
        for row in rows[: 1 if turn["status"] == "killed" else None]:
            end = row.get("completed_at")
            late = seconds(end) - limit if end else 0.0
            if late > CLOCK:
                yield (
                    f"{row['target']} of turn {turn['turn']} ended {late:.3f} s after it was "
                    "answered that it was over"
                )


def answered_soon(snapshot: Snapshot) -> Iterator[str]:
    """Nobody is kept waiting, however much is to be interrupted, as long as server and agent are
    there and nobody has paused what is to hear of it.
    """
    log = snapshot.log
    asked = [(repr(each.content), each.sent_at, each.answered_at) for each in log.messages]
    asked += [("a stop", stop.sent_at, stop.answered_at) for stop in log.stops]
    pauses = [(action.at, action.at) for action in log.actions if action.verb == "pause"]
    for what, sent, answered in asked:
        if sent is None or answered is None or answered - sent <= _SOON:
            continue
        if not any(
            begin <= answered and sent <= end + _RECOVERY for begin, end in [*log.outages, *pauses]
        ):
            yield f"{what} was answered after {answered - sent:.1f} s"


def idle_in_the_end(snapshot: Snapshot) -> Iterator[str]:
    status = {name: snapshot.status[name] for name in ("turn", "status", "task_id")}
    if status != {"turn": len(snapshot.turns), "status": "idle", "task_id": None}:
        yield f"get_status says {snapshot.status}"


# Causes: nothing ends before it is done, and nothing pauses, unless somebody or something made it.


def ends_have_a_cause(snapshot: Snapshot) -> Iterator[str]:
    """A turn that was not completed was interrupted, operated on, or refused by the model."""
    causes = {"interrupted": _interrupted, "killed": _killed, "failed": _failed}
    for turn in snapshot.turns:
        caused = causes.get(turn["status"])
        if caused and not caused(snapshot, turn["task_id"]):
            yield f"turn {turn['turn']} is {turn['status']} without a cause: {turn['error']}"


def _interrupted(snapshot: Snapshot, task: str) -> bool:
    return bool(cut_off_by(snapshot, task)) or any(
        action.verb == "cancel" and action.id == task for action in snapshot.log.actions
    )


def _killed(snapshot: Snapshot, task: str) -> bool:
    begin, end = snapshot.lifetime(task)
    limit = snapshot.log.cancel_timeout - CLOCK
    if any(over - sent >= limit for sent, over in cut_off_by(snapshot, task)):
        return True
    return any(
        action.verb == "kill"
        and (
            action.id == task
            or (action.task is None and begin - _IN_PASSING <= action.at <= end + CLOCK)
        )
        for action in snapshot.log.actions
    )


def _failed(snapshot: Snapshot, task: str) -> bool:
    begin, end = snapshot.lifetime(task)
    number = snapshot.number(task) or 0
    if any(each.turn == number and not each.yes for each in snapshot.log.verdicts):
        return True
    if snapshot.has_to_be_approved(number) and end - begin > snapshot.log.approval_timeout:
        return True
    return any(
        action.task == task and action.verb in ("cancel", "kill") and not action.on_task
        for action in snapshot.log.actions
    ) or any(
        fault.kind in _LASTING and fault.began_at < end and begin < fault.ended_at
        for fault in snapshot.log.faults
    )


def cut_off_by(snapshot: Snapshot, task: str) -> list[tuple[float, float]]:
    """The messages and stops that may have interrupted a task: when they were sent and answered."""
    found = []
    number, (begin, end) = snapshot.number(task) or 0, snapshot.lifetime(task)
    for each in snapshot.log.interruptions:
        assert each.sent_at is not None
        answered = each.answered_at or float("inf")
        if isinstance(each, Message) and each.accepted:
            first, last = snapshot.number(each.accepted["interrupted"]), each.accepted["turn"]
            mine = first is not None and first <= number < last
        elif isinstance(each, Message):
            mine = each.may_have_been_heard
        else:
            first = snapshot.number(each.interrupted)
            mine = each.answered_at is None or (first is not None and first <= number)
        if mine and each.sent_at - CLOCK <= end and begin <= answered + CLOCK:
            found.append((each.sent_at, answered))
    return found


def pauses_have_a_cause(snapshot: Snapshot) -> Iterator[str]:
    """What was paused was so by an operator, or it is a task whose attempts were all in vain.
    Nothing else pauses: it would hold the key of a session.
    """
    for paused in snapshot.log.paused:
        step = snapshot.steps.get(paused.id, {})
        task = paused.id if paused.id in snapshot.tasks else step.get("task")
        mine = task is not None or f"/{snapshot.session}/" in paused.target
        if mine and not _may_pause(snapshot, paused, task):
            yield f"{paused.target} {paused.id} was paused without a cause"


def _may_pause(snapshot: Snapshot, paused: Paused, task: str | None) -> bool:
    for action in snapshot.log.actions:
        if action.verb == "pause" and action.id == paused.id and action.at <= paused.at + CLOCK:
            return True
    if task is None or (paused.id != task and f"/{snapshot.session}/" in paused.target):
        return False
    # An interruption that has to wait may pause a task, to have it woken elsewhere.
    if any(sent <= paused.at <= over for sent, over in cut_off_by(snapshot, task)):
        return True
    attempts = snapshot.log.attempts
    failed = Counter(
        request.label
        for request in snapshot.requests
        if turn_of(request) == snapshot.number(task)
        and (request.status != "completed" or not request.completion_tokens)
    )
    if max(failed.values(), default=0) >= attempts:
        return True
    patience = min(60.0, 0.25 * (2 ** (attempts - 1) - 1))
    begin, _ = snapshot.lifetime(task)
    return any(
        fault.kind == "agent"
        and fault.ended_at - fault.began_at >= patience
        and fault.ended_at > begin
        for fault in snapshot.log.faults
    )


# Approval: a plan waits for a yes, and the first answer to it counts.


def nothing_is_done_without_a_yes(snapshot: Snapshot) -> Iterator[str]:
    """After each plan, the model is asked for more only if a yes has come since."""
    for turn in snapshot.turns:
        number, planned_at = turn["turn"], 0.0
        if not snapshot.has_to_be_approved(number):
            continue
        yes = [each for each in snapshot.log.verdicts if each.turn == number and each.yes]
        requests = [request for request in snapshot.requests if turn_of(request) == number]
        for request in sorted(requests, key=lambda request: request.started_at):
            began_at = request.started_at
            if request.step == "plan":
                planned_at = request.ended_at or began_at
            elif not any(
                each.sent_at - CLOCK <= began_at and planned_at <= each.answered_at + CLOCK
                for each in yes
            ):
                yield f"{request.label} was asked for, and nobody has approved its plan"
        if turn["status"] == "completed" and not yes:
            yield f"turn {number} is completed, and nobody has approved it"


def the_first_verdict_counts(snapshot: Snapshot) -> Iterator[str]:
    """Only one is taken for each plan, while its task is there; and the turn ends accordingly."""
    turns = {turn["turn"]: turn for turn in snapshot.turns}
    taken = [each for each in snapshot.log.verdicts if each.plan]
    for (number, plan), times in Counter((each.turn, each.plan) for each in taken).items():
        if times > 1:
            yield f"{times} verdicts were taken for plan {plan} of turn {number}"
    for verdict in taken:
        turn = turns.get(verdict.turn)
        if turn is None or not snapshot.has_to_be_approved(verdict.turn):
            yield f"a verdict was taken for turn {verdict.turn}, which did not ask for one"
            continue
        # A task that an operator has ended tells nobody.
        _, end = snapshot.lifetime(turn["task_id"])
        if turn["status"] in ("completed", "failed") and end < verdict.sent_at - CLOCK:
            yield f"a verdict was taken for turn {verdict.turn}, which was over"
        if not verdict.yes and turn["status"] == "completed":
            yield f"a no was taken for turn {verdict.turn}, which is completed"
        # What is said to a task makes it ask again, and that may be what has failed.
        task, later = turn["task_id"], 1
        later += sum(message.expected_task_id == task for message in snapshot.log.messages)
        said = turn["error"] or ""
        if verdict.yes and verdict.plan == later and said.startswith("The plan was"):
            yield f"a yes was taken for turn {verdict.turn}, which failed: {said}"


# The model: one task of a session at a time, and none that was interrupted.


def one_task_at_a_time(snapshot: Snapshot) -> Iterator[str]:
    """Never are two turns of a session generating at once."""
    spans: dict[int, tuple[float, float]] = {}
    for request in snapshot.requests:
        number = turn_of(request)
        ended = request.started_at if request.ended_at is None else request.ended_at
        begin, end = spans.get(number, (request.started_at, ended))
        spans[number] = (min(begin, request.started_at), max(end, ended))
        if request.ended_at is None:
            yield f"the model is still answering {request.label}"
    for (old, (_, end)), (new, (begin, _)) in pairwise(sorted(spans.items())):
        if end - begin > _NOTICED:
            yield f"turns {old} and {new} generated at once, for {end - begin:.3f} s"


def no_token_after_an_interruption(snapshot: Snapshot) -> Iterator[str]:
    """Once it is answered that something was interrupted, nothing more is sent for it."""
    last_token: dict[int, float] = {}
    for request in snapshot.requests:
        number = turn_of(request)
        last_token[number] = max(last_token.get(number, 0.0), request.last_token_at or 0.0)
    for message in snapshot.log.messages:
        number = snapshot.number((message.accepted or {}).get("interrupted")) or 0
        late = last_token.get(number, 0.0) - (message.answered_at or 0.0)
        if number and late > _NOTICED:
            yield f"turn {number} went on for {late:.3f} s after its interruption"
    for stop in snapshot.log.stops:
        for number in snapshot.accepted_before(stop.sent_at) if stop.answered_at else []:
            late = last_token.get(number, 0.0) - (stop.answered_at or 0.0)
            if late > _NOTICED:
                yield f"turn {number} went on for {late:.3f} s after a stop"


CHECKS: tuple[Callable[[Snapshot], Iterator[str]], ...] = (
    each_message_is_one_turn,
    in_the_order_of_acceptance,
    errors_are_answers,
    all_is_in_the_history,
    user_and_assistant_alternate,
    the_history_says_what_came_of_a_turn,
    numbered_without_gaps,
    over_as_their_tasks_are,
    over_is_over,
    over_when_that_is_answered,
    answered_soon,
    idle_in_the_end,
    ends_have_a_cause,
    pauses_have_a_cause,
    nothing_is_done_without_a_yes,
    the_first_verdict_counts,
    one_task_at_a_time,
    no_token_after_an_interruption,
)
