"""Every message that was accepted is there once, and nothing else is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

from tests.stress.ledger import Sent
from tests.stress.picture import Picture, pieces

# What may be refused where a session is busy: 409 is what was asked for, 429 too much of it.
_REFUSALS = {("reject", 409), ("steer", 409), ("steer", 429), ("enqueue", 429)}


def each_message_is_one_turn(picture: Picture) -> Iterator[str]:
    """None lost, none doubled; the turn is the one that was answered. What has steered a turn is
    part of that, or has begun one behind it. What was refused is nowhere, unless an operator ended
    the message: then it may be.
    """
    turns = {turn["turn"]: turn for turn in picture.turns}
    said = Counter(piece for turn in picture.turns for piece in pieces(turn["content"]))
    for sent in picture.ledger.sent:
        times = said.pop(sent.content, 0)
        answer = sent.accepted
        if answer is None:
            if times > int(sent.may_have_been_heard):
                yield f"{sent.content!r} was not accepted, and is {times} turn(s)"
            continue
        if any(other != answer for other in sent.answers):
            yield f"{sent.content!r} was answered differently when repeated: {sent.answers}"
        turn = turns.get(answer["turn"])
        if turn is None or turn["task_id"] != answer["task_id"]:
            yield f"{sent.content!r}: turn {answer['turn']} is not the one that was answered"
        if times > 1 or (times == 0 and not steered(sent)):
            yield f"{sent.content!r} was accepted, and is {times} turns"
        elif turn and not steered(sent) and turn["content"] != sent.content:
            yield f"{sent.content!r} was accepted as a turn that holds {turn['content']!r}"
        interrupted = picture.by_task.get(answer["interrupted"] or "")
        if answer["interrupted"] and (
            interrupted is None
            or interrupted["status"] not in ("interrupted", "killed")  # what does not end is killed
            or interrupted["turn"] >= answer["turn"]
        ):
            yield f"{sent.content!r} is said to have interrupted what is {interrupted}"
    for content in said:
        yield f"{content!r} is a turn, and nobody sent it"


def in_the_order_of_acceptance(picture: Picture) -> Iterator[str]:
    """A message that was answered before another was sent is the earlier turn; where both steered
    one turn, it comes first in that.
    """
    accepted = {sent.content: sent for sent in picture.ledger.sent if sent.accepted}
    begun = [accepted.get(turn["content"]) for turn in picture.turns]
    yield from _in_order([sent for sent in begun if sent and not steered(sent)])
    for entry in picture.history:
        if entry["role"] == "user":
            found = [accepted.get(piece) for piece in pieces(entry["content"])]
            yield from _in_order([sent for sent in found if sent])


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
    """The history has each turn's message, together with those that steered it, and an answer; but
    not the turns that were rolled back.
    """
    said = Counter(
        (entry["turn"], piece)
        for entry in picture.history
        if entry["role"] == "user"
        for piece in pieces(entry["content"])
    )
    answers = Counter(entry["turn"] for entry in picture.history if entry["role"] == "assistant")
    gone = _rolled_back(picture)
    out = gone.surely | gone.perhaps
    for turn in picture.turns:
        number = turn["turn"]
        if number in gone.surely:
            if answers.pop(number, 0):
                yield f"turn {number} was rolled back, and its answer is in the history"
            continue
        if number in gone.perhaps and not answers[number]:
            continue
        if any(said.pop((number, piece), 0) != 1 for piece in pieces(turn["content"])):
            yield f"turn {number} is not in the history once"
        if turn["status"] != "running" and answers.pop(number, 0) != 1:
            yield f"turn {number} has not one answer in the history"
    begun = {piece: turn["turn"] for turn in picture.turns for piece in pieces(turn["content"])}
    for sent in picture.ledger.sent:
        if not (sent.accepted and steered(sent)):
            continue
        number = sent.accepted["turn"]
        times = said.pop((number, sent.content), 0)
        later = begun.get(sent.content, 0)
        if later and (times or later <= number):
            yield f"{sent.content!r} steered turn {number}, and is turn {later}"
        if not later and times != 1 and not (number in out and times == 0):
            yield f"{sent.content!r} steered a turn, and is {times} times in the history"
    unknown = {sent.content for sent in picture.ledger.sent if sent.may_have_been_heard}
    for (number, content), times in said.items():
        if content not in unknown or times > 1:
            yield f"{content!r} is in the history of turn {number}, and should not be"
    for number in answers:
        yield f"the history has an answer too many in turn {number}"


def user_and_assistant_alternate(picture: Picture) -> Iterator[str]:
    """A strict provider takes the history as it is, with the next message behind it."""
    roles = ["assistant", *(entry["role"] for entry in picture.history), "user"]
    for place, (one, next_one) in enumerate(pairwise(roles)):
        if one == next_one:
            yield f"the history has two {one} entries in a row, from the {place}th on"


def steered(sent: Sent) -> bool:
    """Whether an accepted message was said to a turn that was there."""
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
            first, last = 1, len(picture.turns) + 1
            if sent.accepted:
                last = sent.accepted["turn"]
                first = numbers.get(sent.accepted["interrupted"] or "", last)
            gone.perhaps |= {
                turn["turn"]
                for turn in picture.turns
                if first <= turn["turn"] < last and turn["status"] in ("interrupted", "killed")
            }
    return gone
