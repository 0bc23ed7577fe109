"""No sequence of what can be done to a session leaves it in a state that it must not be in."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.machine.conversation import ATTEMPTS, Conversation
from tests.machine.machine import SessionMachine
from tests.machine.naive_agent import serve_instead
from tests.stack import Stack
from workbench.state_dir import use_state_dir
from workbench.stop_all import stop_all

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
    with use_state_dir(tmp_path):
        try:
            Conversation.stack = Stack.start(max_attempts=ATTEMPTS)
            yield Conversation.stack
        finally:
            stop_all()


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(0 if _EXAMPLES else 600)  # a bad example takes minutes to cut down
def test_any_sequence() -> None:
    machine = SessionMachine if _EXAMPLES else seed(_SEED)(SessionMachine)
    run_state_machine_as_test(machine, settings=_SETTINGS)


def _cancel_a_file(machine: SessionMachine) -> None:
    machine.operate_on_a_file(action="cancel", which="last")


def _steer_elsewhere(machine: SessionMachine) -> None:
    """The files of the first plan are drafted, and are not to be kept."""
    machine.let_the_model_get_to(step="write")
    machine.message_when_busy(content="Write it with Flask", how="steer")


def _steer_what_fails(machine: SessionMachine) -> None:
    """What is not taken becomes a turn."""
    machine.let_the_model_get_to(step="write")
    machine.message_when_busy(content="Write a greeter", how="steer")
    machine.operate_on_a_file(action="kill", which="last")


def _stop_a_file(machine: SessionMachine) -> None:
    machine.let_the_model_get_to(step="write")
    machine.stop()


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(180)
def test_moments_that_chance_seldom_meets() -> None:
    for moment in (_cancel_a_file, _steer_elsewhere, _steer_what_fails, _stop_a_file):
        machine = SessionMachine()
        machine.begin(content="Write a to-do CLI")
        moment(machine)
        machine.teardown()


@pytest.mark.timeout(180)
def test_the_naive_pattern_is_found_out(machines_stack: Stack) -> None:
    """A check that cannot fail checks nothing: this one cuts lesson 02's fault down to two
    messages.
    """
    serve_instead(machines_stack)
    with pytest.raises(AssertionError, match="turn 2 is interrupted, its task") as caught:
        run_state_machine_as_test(
            seed(_SEED)(Conversation), settings=settings(_SETTINGS, stateful_step_count=4)
        )
    story = "\n".join(caught.value.__notes__)
    assert re.findall(r"state\.\w+", story) == ["state.begin", "state.message", "state.teardown"]
