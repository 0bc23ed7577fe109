"""A life made of made-up rows: what is drawn from them, and what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from workbench.views.timeline.lifeline import Entry, Life, Record, Span, life_of

OVER = Record("completed", None, created=0, running=10, completed=500, last_start=None, now=9000)
OPEN = replace(OVER, status="running", completed=None, now=800)

INPUT = Entry(0, "Command", "Input", 0)
RUN = Entry(1, "Command", "Run", 20, "plan", 1)
DONE = Entry(2, "Notification", "Run", 300, "", 1)
CANCEL = Entry(3, "Notification", "Signal", 350, "cancel")


def _states(life: Life) -> list[tuple[str, int, int]]:
    return [(span.kind, span.begin, span.end) for span in life.states]


def _marks(life: Life) -> list[tuple[str, int]]:
    return [(mark.kind, mark.at) for mark in life.marks]


def test_queued_then_running_then_over() -> None:
    life = life_of(OVER, [INPUT, RUN, DONE])
    assert _states(life) == [("queued", 0, 10), ("running", 10, 500)]
    assert life.steps == (Span("step", 20, 300, "plan"),)
    assert _marks(life) == [("completed", 500)]


def test_what_is_not_over_lasts_until_now() -> None:
    life = life_of(OPEN, [INPUT, RUN])
    assert _states(life)[-1] == ("running", 10, 800)
    assert life.steps == (Span("step", 20, 800, "plan"),)
    assert life.marks == ()
    queued = replace(OPEN, status="pending", running=None)
    assert _states(life_of(queued, [INPUT])) == [("queued", 0, 800)]


def test_from_the_first_cancel_on_it_is_cleanup() -> None:
    late = Entry(5, "Notification", "Signal", 420, "cancel")
    undo = Entry(4, "Command", "Call", 400, "Box/key/put", 2)
    undone = Entry(6, "Notification", "Call", 450, "", 2)
    record = replace(OVER, failure="[409] cancelled")
    life = life_of(record, [INPUT, RUN, DONE, CANCEL, undo, late, undone])
    assert _states(life)[1:] == [("running", 10, 350), ("cleanup", 350, 500)]
    assert life.compensations == (Span("compensation", 400, 450, "Box/key/put"),)
    assert _marks(life) == [
        ("cancel", 350),
        ("compensation", 400),
        ("cancel", 420),
        ("failed", 500),
    ]


@pytest.mark.parametrize("form", ["Call", "OneWayCall"])
def test_a_rollback_after_a_failure_is_a_compensation_without_a_cancel(form: str) -> None:
    rollback = Entry(3, "Command", form, 400, "Workspace/key/rollback", 2)
    life = life_of(replace(OVER, failure="[422] no"), [INPUT, RUN, DONE, rollback])
    assert life.compensations == (Span("compensation", 400, 500, "Workspace/key/rollback"),)
    assert [span.kind for span in life.states] == ["queued", "running"]


def test_a_kill_is_seen_in_the_record_only() -> None:
    life = life_of(replace(OVER, failure="[409] killed"), [INPUT, RUN])
    assert _marks(life) == [("kill", 500)]
    assert life.steps == (Span("step", 20, 500, "plan"),)


def test_a_failure_lasts_up_to_the_next_sign_of_life() -> None:
    failed = Entry(1, "Event", "TransientError", 50)
    life = life_of(OVER, [INPUT, RUN, failed, DONE])
    assert _states(life)[1:] == [
        ("running", 10, 50),
        ("backing off", 50, 300),
        ("running", 300, 500),
    ]
    assert life.steps == (Span("step", 20, 50, "plan"),)  # of the attempt that failed


def test_a_result_that_comes_in_is_no_sign_that_a_paused_one_is_at_work() -> None:
    call = Entry(3, "Command", "Call", 310, "Probe/leaf", 2)
    paused = Entry(3, "Event", "Paused", 320)
    result = Entry(4, "Notification", "Call", 400, "", 2)
    output = Entry(5, "Command", "Output", 480)
    life = life_of(OVER, [INPUT, RUN, DONE, call, paused, result, output])
    assert _states(life)[2:] == [("paused", 320, 480), ("running", 480, 500)]
    assert _marks(life) == [("resume", 480), ("completed", 500)]


def test_a_cancel_wakes_a_paused_one() -> None:
    paused = Entry(2, "Event", "Paused", 320)
    life = life_of(replace(OVER, failure="[409] cancelled"), [INPUT, RUN, DONE, paused, CANCEL])
    assert _states(life)[2:] == [("paused", 320, 350), ("cleanup", 350, 500)]
    assert ("resume", 350) not in _marks(life)


def test_the_attempt_under_way_tells_when_a_resume_was() -> None:
    paused = Entry(2, "Event", "Paused", 320)
    life = life_of(replace(OPEN, last_start=700), [INPUT, RUN, DONE, paused])
    assert _states(life)[2:] == [("paused", 320, 700), ("running", 700, 800)]
    assert _marks(life) == [("resume", 700)]
    before = life_of(replace(OPEN, last_start=15), [INPUT, RUN, DONE, paused])
    assert _states(before)[-1] == ("paused", 320, 800)


def test_suspended_is_known_for_the_present_only() -> None:
    life = life_of(replace(OPEN, status="suspended"), [INPUT, RUN, DONE])
    assert _states(life)[1:] == [("running", 10, 300), ("suspended", 300, 800)]
    assert "suspended" not in {kind for kind, _, _ in _states(life_of(OVER, [INPUT, RUN, DONE]))}


def test_what_a_restart_took_over_is_not_its_own_life() -> None:
    copied = replace(RUN, at=-4000)
    life = life_of(OVER, [replace(INPUT, at=-5000), copied, replace(DONE, at=-3000)])
    assert life.steps == ()


def test_a_life_without_length() -> None:
    record = replace(OVER, running=0, completed=0)
    life = life_of(record, [INPUT])
    assert _states(life)[-1][1:] == (0, 0)
    assert _marks(life) == [("completed", 0)]
