"""What must hold of a session when all is quiet. Each check yields what is wrong, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.stress.invariants import messages, model, turns, usage
from tests.stress.picture import Picture

CHECKS: tuple[Callable[[Picture], Iterator[str]], ...] = (
    messages.each_message_is_one_turn,
    messages.in_the_order_of_acceptance,
    messages.errors_are_answers,
    messages.all_is_in_the_history,
    turns.numbered_without_gaps,
    turns.over_as_their_tasks_are,
    turns.over_is_over,
    turns.completed_with_plan_answer_and_files,
    turns.nothing_left_open,
    model.one_task_at_a_time,
    model.no_token_after_an_interruption,
    usage.tokens_are_counted,
)


def violations(picture: Picture) -> list[str]:
    """What is wrong with a session; empty if nothing is."""
    return [*picture.ledger.wrong, *(wrong for check in CHECKS for wrong in check(picture))]
