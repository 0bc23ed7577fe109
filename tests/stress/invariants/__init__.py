"""What must hold of a session when all is quiet. Each check yields what is wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.stress.invariants import causes, files, messages, model, turns, usage
from tests.stress.picture import Picture

CHECKS: tuple[Callable[[Picture], Iterator[str]], ...] = (
    messages.each_message_is_one_turn,
    messages.in_the_order_of_acceptance,
    messages.errors_are_answers,
    messages.all_is_in_the_history,
    messages.user_and_assistant_alternate,
    turns.numbered_without_gaps,
    turns.over_as_their_tasks_are,
    turns.over_is_over,
    turns.over_when_that_is_answered,
    turns.answered_soon,
    turns.nothing_left_open,
    causes.ends_have_a_cause,
    causes.pauses_have_a_cause,
    files.completed_as_the_model_answered,
    files.those_of_completed_turns,
    model.one_task_at_a_time,
    model.no_token_after_an_interruption,
    usage.tokens_are_counted,
)


def violations(picture: Picture) -> list[str]:
    """What is wrong with a session; empty if nothing is."""
    return [*picture.ledger.wrong, *(wrong for check in CHECKS for wrong in check(picture))]
