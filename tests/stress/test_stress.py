"""A short run: random messages, stops, operators and faults leave every session whole."""

import pytest

from tests.stack import Stack
from tests.stress.harness import stress


@pytest.mark.timeout(240)  # it waits for retries that back off
def test_a_short_run(own_stack: Stack) -> None:
    outcome = stress(own_stack, seed=1, seconds=8, sessions=3, faults=("agent", "server", "model"))
    assert outcome.violations == {}
    assert sum(outcome.accepted.values()) >= 3
    assert outcome.faults
