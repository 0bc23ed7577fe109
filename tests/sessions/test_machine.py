"""No sequence of what can be done to a session leaves it in a state that it must not be in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sessions.machine import ATTEMPTS, Conversation, SessionMachine
from tests.stack import Stack

# The same examples each time; or, with MACHINE_EXAMPLES=200 in the environment, that many other
# ones (with --hypothesis-seed=7, those of that seed).
_EXAMPLES = os.environ.get("MACHINE_EXAMPLES")
_SEED = 5

_SETTINGS = settings(
    max_examples=int(_EXAMPLES or 12),
    stateful_step_count=10,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture
def machines_stack(tmp_path: Path) -> Iterator[Stack]:
    """A stack for all examples of a machine."""
    with Stack.running(tmp_path, max_attempts=ATTEMPTS) as Conversation.stack:
        yield Conversation.stack


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(0 if _EXAMPLES else 600)  # a bad example takes minutes to cut down
def test_any_sequence() -> None:
    machine = SessionMachine if _EXAMPLES else seed(_SEED)(SessionMachine)
    run_state_machine_as_test(machine, settings=_SETTINGS)


TO_WRITING = ("let_the_model_get_to", {"step": "write"})
_ASKED = ("message_to_approve", {"content": "Write a greeter", "how": "interrupt"})
_YES: dict[str, Any] = {"yes": True, "before": 0, "exact": True}
MOMENTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a plan is approved, and then steered: it asks again": [
        _ASKED,
        ("approve", _YES),
        TO_WRITING,
        ("message_when_busy", {"content": "Write it with Flask", "how": "steer"}),
        ("approve", _YES),
    ],
    "a plan waits and is steered, and a crash comes before the yes": [
        _ASKED,
        TO_WRITING,
        ("message_when_busy", {"content": "Write it with Flask", "how": "steer"}),
        ("crash", {"kind": "agent"}),
        ("approve", _YES),
    ],
    "one plan is declined, and the next one approved": [
        _ASKED,
        ("message_to_approve", {"content": "Write it with Flask", "how": "enqueue"}),
        ("approve", {**_YES, "yes": False}),
        ("approve", {**_YES, "before": 1}),
        ("approve", _YES),
    ],
    "a file is cancelled": [("operate_on_a_file", {"action": "cancel", "which": "last"})],
    "the files of the first plan are drafted, and are not to be kept": [
        TO_WRITING,
        ("message_when_busy", {"content": "Write it with Flask", "how": "steer"}),
    ],
    "what is not taken becomes a turn": [
        TO_WRITING,
        ("message_when_busy", {"content": "Write a greeter", "how": "steer"}),
        ("operate_on_a_file", {"action": "kill", "which": "last"}),
    ],
    "a file is stopped": [TO_WRITING, ("stop", {})],
}


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(180)
def test_moments_that_chance_seldom_meets() -> None:
    for acts in MOMENTS.values():
        machine = SessionMachine()
        machine.begin(content="Write a to-do CLI")
        for act, arguments in acts:
            getattr(machine, act)(**arguments)
        machine.teardown()


class _Plain(Conversation):
    agent = "PlainAgent"


class _Naive(Conversation):
    agent = "NaiveAgent"


@pytest.mark.timeout(180)
def test_the_naive_agent_is_found_out(machines_stack: Stack) -> None:
    """A check that cannot fail checks nothing: this one cuts lesson 02's fault down to two
    messages, and finds nothing in the same agent without it.
    """
    machines_stack.add_naive_agent()
    few = settings(_SETTINGS, stateful_step_count=4)
    run_state_machine_as_test(seed(_SEED)(_Plain), settings=few)
    with pytest.raises(AssertionError, match="turn 2 is interrupted, its task") as caught:
        run_state_machine_as_test(seed(_SEED)(_Naive), settings=few)
    story = "\n".join(caught.value.__notes__)
    assert re.findall(r"state\.\w+", story) == ["state.begin", "state.message", "state.teardown"]
