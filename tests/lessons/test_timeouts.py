"""Lesson 05: what Restate does to a step that takes longer than its service's time limits."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from restate import Context, Service

from tests.stack import Stack
from workbench import serve_here, wait_until

_STEP_SECONDS = 1.5


@dataclass
class Steps:
    """How often the step has begun, and how often it came to its end."""

    begun: dict[str, int] = field(default_factory=dict)
    ended: dict[str, int] = field(default_factory=dict)


@pytest.fixture(scope="module")
def steps(stack: Stack) -> Iterator[Steps]:
    """Three services with the same slow step and other time limits."""
    seen = Steps()
    served_services = []
    for name, inactivity, abort in (
        ("ShortOfTime", 0.2, 0.2),
        ("Deaf", 0.2, 60.0),
        ("WithTime", 10.0, 60.0),
    ):
        service = Service(
            name,
            inactivity_timeout=timedelta(seconds=inactivity),
            abort_timeout=timedelta(seconds=abort),
        )
        served_services.append(service)

        @service.handler()
        async def work(ctx: Context, name: str) -> str:
            async def step() -> str:
                seen.begun[name] = seen.begun.get(name, 0) + 1
                await asyncio.sleep(_STEP_SECONDS)  # the model call
                seen.ended[name] = seen.ended.get(name, 0) + 1
                return "done"

            return await ctx.run_typed("step", step)

    with serve_here(*served_services, restate=stack.restate) as served:
        deployment = stack.admin.register(served.uri)["id"]
        yield seen
        stack.admin.delete(f"/deployments/{deployment}", force=True)


def test_a_step_longer_than_both_limits_is_cut_off_and_begun_again(
    stack: Stack, steps: Steps
) -> None:
    task = stack.ingress.send("ShortOfTime", "work", "ShortOfTime")
    wait_until(lambda: steps.begun.get("ShortOfTime", 0) >= 2, what="a second attempt")
    stack.admin.kill(task)
    assert steps.ended.get("ShortOfTime", 0) < steps.begun["ShortOfTime"]


@pytest.mark.parametrize(("service", "told_at_once"), [("Deaf", False), ("WithTime", True)])
def test_who_was_asked_to_suspend_hears_no_cancellation(
    stack: Stack, steps: Steps, service: str, told_at_once: bool
) -> None:
    name = f"{service}, cancelled"
    task = stack.ingress.send(service, "work", name)
    wait_until(lambda: name in steps.begun, what="the step to begin")
    began = time.monotonic()
    # Longer than Deaf's limit, and in the middle of the step.
    wait_until(lambda: time.monotonic() > began + _STEP_SECONDS / 2, what="half of the step")
    stack.admin.cancel(task)
    row = stack.admin.wait_for(task, "completed")
    assert row["completion_failure"] == "[409] cancelled"
    assert (name in steps.ended) is not told_at_once


def test_a_step_within_the_limit_runs_once(stack: Stack, steps: Steps) -> None:
    assert stack.ingress.call("WithTime", "work", "WithTime") == "done"
    assert (steps.begun["WithTime"], steps.ended["WithTime"]) == (1, 1)
