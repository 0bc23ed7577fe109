"""Every message that was accepted is there once, and nothing else is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from tests.stress.ledger import Sent
from tests.stress.picture import Picture

# What may be refused where a session is busy: 409 is what was asked for, 429 too much of it.
_REFUSALS = {("reject", 409), ("steer", 409), ("steer", 429), ("enqueue", 429)}


def each_message_is_one_turn(picture: Picture) -> Iterator[str]:
    """None lost, none doubled; the turn is the one that was answered. What was refused is none,
    unless an operator ended the message: then it may have become one.
    """
    turns = {turn["turn"]: turn for turn in picture.turns}
    contents = Counter(turn["content"] for turn in picture.turns)
    for sent in picture.ledger.sent:
        times = contents.pop(sent.content, 0)
        answer = sent.accepted
        if answer is None:
            most = int(sent.may_have_been_heard)
            if times > most:
                yield f"{sent.content!r} was not accepted, and is {times} turn(s)"
            continue
        if any(other != answer for other in sent.answers):
            yield f"{sent.content!r} was answered differently when repeated: {sent.answers}"
        turn = turns.get(answer["turn"])
        if turn is None or turn["task_id"] != answer["task_id"]:
            yield f"{sent.content!r}: turn {answer['turn']} is not the one that was answered"
        if times != (0 if steered(sent) else 1):
            yield f"{sent.content!r} was accepted, and is {times} turns"
        interrupted = picture.by_task.get(answer["interrupted"] or "")
        if answer["interrupted"] and (
            interrupted is None
            or interrupted["status"] not in ("interrupted", "killed")  # what does not end is killed
            or interrupted["turn"] >= answer["turn"]
        ):
            yield f"{sent.content!r} is said to have interrupted what is {interrupted}"
    for content in contents:
        yield f"{content!r} is a turn, and nobody sent it"


def in_the_order_of_acceptance(picture: Picture) -> Iterator[str]:
    """A message that was answered before another was sent is the earlier turn; where both steered
    one turn, the earlier entry in its history.
    """
    accepted = {sent.content: sent for sent in picture.ledger.sent if sent.accepted}
    begun = [accepted.get(turn["content"]) for turn in picture.turns]
    yield from _in_order([sent for sent in begun if sent])
    steering = defaultdict(list)
    for entry in picture.history:
        sent = accepted.get(entry["content"]) if entry["role"] == "user" else None
        if sent:
            steering[entry["turn"]].append(sent)
    for messages in steering.values():
        yield from _in_order(messages)


def _in_order(messages: list[Sent]) -> Iterator[str]:
    latest: Sent | None = None  # of those that came first, the one that was sent last
    for sent in messages:
        assert sent.began_at is not None
        assert sent.answered_at is not None
        if latest and sent.answered_at < (latest.began_at or 0.0):
            yield f"{sent.content!r} was accepted before {latest.content!r}, which is before it"
        if latest is None or sent.began_at > (latest.began_at or 0.0):
            latest = sent


def errors_are_answers(picture: Picture) -> Iterator[str]:
    """A message is refused by an operator, or because it asked for that where the session is busy;
    never for anything else.
    """
    for sent in picture.ledger.sent:
        for code, said in sent.refusals:
            if not sent.ended_by_operator and (sent.when_busy, code) not in _REFUSALS:
                yield f"{sent.content!r} was answered {code}: {said}"


def all_is_in_the_history(picture: Picture) -> Iterator[str]:
    """The history has each turn's message, those that steered it behind it, and an answer; but not
    the turns that were rolled back.
    """
    said = Counter(
        (entry["turn"], entry["content"]) for entry in picture.history if entry["role"] == "user"
    )
    answers = Counter(entry["turn"] for entry in picture.history if entry["role"] == "assistant")
    gone = _rolled_back(picture)
    for turn in picture.turns:
        number = turn["turn"]
        if number in gone.surely:
            if answers.pop(number, 0):
                yield f"turn {number} was rolled back, and its answer is in the history"
            continue
        if number in gone.perhaps and not answers[number]:
            continue
        if said.pop((number, turn["content"]), 0) != 1:
            yield f"turn {number} is not in the history once"
        if turn["status"] != "running" and answers.pop(number, 0) != 1:
            yield f"turn {number} has not one answer in the history"
    for sent in picture.ledger.sent:
        if sent.accepted and steered(sent):
            times = said.pop((sent.accepted["turn"], sent.content), 0)
            out = sent.accepted["turn"] in gone.surely | gone.perhaps
            if times != 1 and not (out and times == 0):
                yield f"{sent.content!r} steered a turn, and is {times} times in the history"
    unknown = {sent.content for sent in picture.ledger.sent if sent.may_have_been_heard}
    for (number, content), times in said.items():
        if content not in unknown or times > 1:
            yield f"{content!r} is in the history of turn {number}, and should not be"
    for number in answers:
        yield f"the history has an answer too many in turn {number}"


def steered(sent: Sent) -> bool:
    """Whether an accepted message has become part of a turn that was there."""
    return bool(sent.accepted) and sent.when_busy == "steer"


class _RolledBack:
    def __init__(self) -> None:
        self.surely: set[int] = set()
        self.perhaps: set[int] = set()


def _rolled_back(picture: Picture) -> _RolledBack:
    """The turns that rollbacks have ended. An interrupted turn that the rollback's answer does not
    name may have been ended by it too, or before it by something else.
    """
    gone = _RolledBack()
    numbers = {turn["task_id"]: turn["turn"] for turn in picture.turns}
    for sent in picture.ledger.sent:
        if sent.when_busy == "rollback" and sent.accepted and sent.accepted["interrupted"]:
            gone.surely |= {numbers.get(sent.accepted["interrupted"], 0)}
        if sent.when_busy == "rollback" and (sent.accepted or sent.may_have_been_heard):
            last = sent.accepted["turn"] if sent.accepted else len(picture.turns) + 1
            gone.perhaps |= {
                turn["turn"]
                for turn in picture.turns
                if turn["turn"] < last and turn["status"] in ("interrupted", "killed")
            }
    return gone
