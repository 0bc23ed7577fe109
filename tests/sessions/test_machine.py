"""No sequence of what can be done to a session leaves it in a state that it must not be in."""

import os
from collections.abc import Iterator
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
    max_examples=int(_EXAMPLES or 8),
    stateful_step_count=10,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    print_blob=True,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.fixture(scope="module")
def machines_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack for all examples of a machine."""
    home = tmp_path_factory.mktemp("home")
    with Stack.running(home, max_attempts=ATTEMPTS) as Conversation.stack:
        yield Conversation.stack


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(0 if _EXAMPLES else 600)  # a bad example takes minutes to cut down
def test_any_sequence() -> None:
    machine = SessionMachine if _EXAMPLES else seed(_SEED)(SessionMachine)
    run_state_machine_as_test(machine, settings=_SETTINGS)


STEER = ("message_when_busy", {"content": "Write it with Flask", "how": "steer"})
ASKED: dict[str, Any] = {"content": "Write a greeter", "how": "interrupt"}
YES: dict[str, Any] = {"yes": True, "before": 0, "exact": True}
MOMENTS: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "a plan is approved, and then steered: it asks again": [("approve", YES), STEER],
    "a plan is steered, and a crash comes before the yes": [STEER, ("crash", {"kind": "agent"})],
    "one plan is declined, and the next one approved": [
        ("message_to_approve", {**ASKED, "how": "enqueue"}),
        ("approve", {**YES, "yes": False}),
        ("approve", {**YES, "before": 1}),
    ],
}


@pytest.mark.usefixtures("machines_stack")
@pytest.mark.timeout(180)
@pytest.mark.parametrize("acts", MOMENTS.values(), ids=MOMENTS.keys())
def test_plans_that_wait(acts: list[tuple[str, dict[str, Any]]]) -> None:
    machine = SessionMachine()
    machine.begin(content="Write a to-do CLI")
    for act, arguments in [("message_to_approve", ASKED), *acts, ("approve", YES)]:
        getattr(machine, act)(**arguments)
    machine.teardown()


@pytest.mark.timeout(180)
def test_the_naive_agent_is_found_out(
    machines_stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check that cannot fail checks nothing: this one finds lesson 02's fault, and finds nothing
    in the same agent without it.
    """
    machines_stack.add_naive_agent()
    for agent in ("PlainAgent", "NaiveAgent"):
        monkeypatch.setattr(Conversation, "agent", agent)
        machine = Conversation()
        machine.begin(content="Write a greeter")
        machine.message(content="Write a greeter")
        if agent == "PlainAgent":
            machine.teardown()
    with pytest.raises(AssertionError, match="turn 2 is interrupted, its task"):
        machine.teardown()
