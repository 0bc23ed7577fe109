"""A short run of the load, and what its parts must be trusted in."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from tests.sessions.load import AGENT_ENV, Watch, run_load
from tests.sessions.operations import invocations
from tests.sessions.options import FAULTS, parse
from tests.sessions.users import User, steps
from tests.stack import Stack
from workbench import ModelRequest


@pytest.mark.timeout(240)  # it waits for retries that back off
def test_a_short_run(own_stack: Stack) -> None:
    own_stack.restart_agent(**AGENT_ENV)
    outcome = run_load(
        own_stack, seed=1, seconds=8, sessions=3, faults=("agent", "server", "model")
    )
    assert outcome.violations == {}
    assert outcome.counts["messages accepted"].total() >= 3
    assert outcome.counts["faults"]


@pytest.mark.parametrize(
    ("text", "faults"),
    [("all", FAULTS), ("none", ()), ("agent", ("agent",)), ("hang,hang,model", ("hang", "model"))],
)
def test_which_faults_are_made(text: str, faults: tuple[str, ...]) -> None:
    assert parse(["--faults", text]).faults == faults


def test_one_server_unless_a_cluster_is_asked_for() -> None:
    assert [parse(text).cluster for text in ([], ["--cluster"])] == [False, True]


def test_the_same_seed_brings_the_same_steps() -> None:
    def some(seed: str) -> list[tuple[str, float]]:
        return [(act, dice.random()) for act, dice in islice(steps(seed), 500)]

    assert some("7/client/1") == some("7/client/1") != some("7/client/2")
    done = Counter(act for act, _ in some("7/client/1"))
    assert len(done) == 10
    assert all(callable(getattr(User, act)) for act in done)


def test_what_a_task_has_called_is_part_of_its_session() -> None:
    rows = [
        ("m", "CodingAgent/one/message", "", "-"),
        ("t", "CodingTask/run_task", "m", "CodingAgent/one/message"),
        ("s", "CodingTask/write_file", "t", "CodingTask/run_task"),
        ("c", "Workspace/one/commit", "t", "CodingTask/run_task"),
        ("o", "CodingTask/run_task", "m", "CodingAgent/two/message"),
    ]
    names = ("id", "target", "invoked_by_id", "invoked_by_target")
    found = invocations([{**dict(zip(names, row, strict=True)), "status": "-"} for row in rows])
    assert [(each.session, each.part, each.task) for each in found] == [
        ("one", "message", None),
        *(("one", "task", "t"), ("one", "step", "t"), ("one", "step", "t")),
        ("two", "task", "o"),
    ]


def test_what_the_model_forgets_is_kept_or_known_to_be_lost() -> None:
    """A model that keeps three requests; each is read at work, and read again when it has ended."""
    whole = ModelRequest(number=1, label="session/1/plan", ended_at=2.0)
    kept: list[ModelRequest] = []

    class Model:
        def requests(self, *, after: int = 0) -> list[ModelRequest]:
            return [request for request in kept if request.number > after]

    stack: Any = type("Stack", (), {"model": Model()})
    watch = Watch(stack)
    for number in range(1, 8):
        kept = [*kept[-2:], replace(whole, number=number, ended_at=None)]
        watch.collect()
        kept[-1] = replace(whole, number=number)
    kept = [replace(whole, number=number) for number in (8, 9, 10)]
    watch.collect()
    assert [request.number for request in watch.by_session()["session"]] == list(range(1, 11))
    assert watch.lost == [7]  # its end was not seen
    kept = [replace(whole, number=number) for number in (13, 14, 15)]
    watch.collect()
    assert watch.lost == [7, 11, 12]
