"""A short run of the load, and what its parts must be trusted in."""

from collections import defaultdict
from dataclasses import replace
from itertools import islice
from random import Random

import pytest

from tests.sessions.load import AGENT_ENV, ModelRecord, planned_faults, run_load
from tests.sessions.operations import invocations, without_the_paused
from tests.sessions.options import FAULTS, parse
from tests.sessions.users import STEPS, steps
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


# What is done follows from the seed.


def test_the_same_seed_brings_the_same_steps() -> None:
    first, second = (list(islice(steps(Random("7/client/1")), 500)) for _ in range(2))
    assert first == second
    assert first != list(islice(steps(Random("7/client/2")), 500))


def test_the_same_seed_brings_the_same_faults() -> None:
    first, second = (
        list(islice(planned_faults(Random("7/faults"), FAULTS), 200)) for _ in range(2)
    )
    assert first == second
    assert {fault.kind for fault in first} == {
        *("agent", "server", "hang", "outage", "server_error", "rate_limit", "cut", "empty"),
        "refuse",
    }
    assert {fault.kind for fault in islice(planned_faults(Random(1), ("agent",)), 50)} == {"agent"}
    assert list(planned_faults(Random(1), ())) == []


def test_every_step_comes() -> None:
    done = defaultdict(list)
    for step in islice(steps(Random(1)), 1000):
        done[step.act].append(step.arguments)
    assert done.keys() == {act for _, act, _ in STEPS}
    assert {(each["verb"], each["target"]) for each in done["meddle"]} == {
        (verb, target)
        for verb in ("cancel", "kill", "pause", "resume")
        for target in ("task", "step", "message")
    }
    at_once = [each for each in done["say"] if each.get("at_once")]
    assert any(len(each["drafts"]) > 1 for each in at_once)
    assert any(each["sends"] > 1 for each in at_once)
    assert {when_busy for each in done["say"] for _, when_busy, _ in each["drafts"]} == {
        *(None, "interrupt", "rollback", "enqueue", "reject", "steer")
    }


# Where nobody helps, a task may stay paused; nothing may hold the key of a session.


Row = dict[str, str]


def _row(id: str, target: str, status: str, by: str = "m", by_target: str = "-") -> Row:
    return {
        **{"id": id, "target": target, "status": status},
        **{"invoked_by_id": by, "invoked_by_target": by_target},
    }


RUN, ONE, TWO = "CodingTask/run_task", "CodingAgent/one/message", "CodingAgent/two/message"
TASK = _row("t", RUN, "suspended", by_target=ONE)
STEP = _row("s", "CodingTask/write_file", "paused", by="t", by_target=RUN)
QUEUED = _row("q", RUN, "suspended", by_target=ONE)
OTHER = _row("o", RUN, "suspended", by_target=TWO)
LATER = _row("l", "CodingAgent/one/task_finished", "scheduled", by="t", by_target=RUN)
HOLDERS = [
    _row("h", f"{service}/one/message", status)
    for status in ("paused", "backing-off", "suspended")
    for service in ("CodingAgent", "Workspace", "UsageMeter")
]


@pytest.mark.parametrize(
    ("rows", "left"),
    [
        ([TASK, STEP, QUEUED, LATER], []),
        ([TASK, STEP, OTHER], [OTHER]),
        ([TASK, QUEUED], [TASK, QUEUED]),
        *(([TASK, STEP, holder], [holder]) for holder in HOLDERS),
    ],
)
def test_what_may_wait_for_what_is_paused(rows: list[Row], left: list[Row]) -> None:
    ids = [each.id for each in without_the_paused(invocations(rows))]
    assert ids == [row["id"] for row in left]


def test_what_a_task_has_called_is_part_of_its_session() -> None:
    message = _row("m", ONE, "suspended", by="")
    commit = _row("c", "Workspace/one/commit", "running", by="t", by_target=RUN)
    found = invocations([message, TASK, STEP, commit, OTHER])
    assert [(each.session, each.part, each.task) for each in found] == [
        ("one", "message", None),
        *(("one", "task", "t"), ("one", "step", "t"), ("one", "step", "t")),
        ("two", "task", "o"),
    ]


# The model forgets: nothing of that goes unnoticed.

REQUEST = ModelRequest(
    number=1,
    label="session/1/plan",
    step="plan",
    status="completed",
    http_status=200,
    prompt_tokens=10,
    completion_tokens=20,
    started_at=1.0,
    first_token_at=1.1,
    last_token_at=1.9,
    ended_at=2.0,
)


class _Model:
    """Keeps the last three requests."""

    def __init__(self) -> None:
        self.kept: list[ModelRequest] = []

    def sees(self, *numbers: int, at_work: int = 0) -> None:
        requests = [replace(REQUEST, number=number) for number in numbers]
        self.kept = [
            replace(each, ended_at=None) if each.number == at_work else each
            for each in [*self.kept, *requests][-3:]
        ]

    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]:
        return [request for request in self.kept if request.number > after]


def test_what_the_model_forgets_is_kept_or_known_to_be_lost() -> None:
    model = _Model()
    record = ModelRecord(model)
    for number in range(1, 8):
        model.sees(number, at_work=number)
        record.collect()
        model.kept[-1] = replace(REQUEST, number=number)  # its end is read the next time
    model.sees(8, 9, 10, at_work=9)
    record.collect()
    assert [request.number for request in record.by_session()["session"]] == list(range(1, 11))
    model.sees(*range(11, 16))
    record.collect()
    assert record.lost == [7, 9, 11, 12]  # the ends of 7 and 9 were not seen
