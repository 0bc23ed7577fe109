"""What a run does follows from its seed."""

from collections import Counter
from itertools import islice
from random import Random

from tests.stress.faults import FAULTS, plan
from tests.stress.script import ACTIONS, Operate, Say, actions


def test_the_same_seed_brings_the_same_actions() -> None:
    first, second = (list(islice(actions(Random("7/client/1")), 500)) for _ in range(2))
    assert first == second
    assert first != list(islice(actions(Random("7/client/2")), 500))


def test_every_action_comes() -> None:
    done = list(islice(actions(Random(1)), 1000))
    assert len(Counter(type(action) for action in done)) == 6
    assert {(a.verb, a.target) for a in done if isinstance(a, Operate)} == {
        (verb, target)
        for verb in ("cancel", "kill", "pause", "resume")
        for target in ("task", "step", "message")
    }
    said = [action for action in done if isinstance(action, Say)]
    assert any(action.at_once and len(action.drafts) > 1 for action in said)
    assert any(action.at_once and action.sends > 1 for action in said)
    assert {draft.when_busy for action in said for draft in action.drafts} == {
        *(None, "interrupt", "rollback", "enqueue", "reject", "steer")
    }
    assert all(weight > 0 for _, weight in ACTIONS)


def test_the_same_seed_brings_the_same_faults() -> None:
    first, second = (list(islice(plan(Random("7/faults"), FAULTS), 200)) for _ in range(2))
    assert first == second
    assert {fault.kind for fault in first} == {
        *("agent", "server", "hang", "outage", "server_error", "rate_limit", "cut", "empty"),
        "refuse",
    }
    assert {fault.kind for fault in islice(plan(Random(1), ("agent",)), 50)} == {"agent"}
    assert list(plan(Random(1), ())) == []
