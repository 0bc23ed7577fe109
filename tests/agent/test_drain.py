"""SIGTERM with `AGENT_DRAIN_TIMEOUT`: model calls under way are finished, no other begins."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import httpx

from tests.stack import Stack
from workbench import wait_until


def test_a_call_under_way_is_finished_and_not_made_again(restarted: Callable[..., Stack]) -> None:
    stack = restarted(AGENT_DRAIN_TIMEOUT="20")
    session = stack.session()
    stack.model.hold(session.key)
    session.message()
    stack.model.wait_held(f"{session.key}/1/plan")
    os.kill(stack.agent.pid, signal.SIGTERM)
    assert httpx.get(f"{stack.agent.uri}/health").status_code == 200  # it drains
    stack.model.release(session.key)
    wait_until(lambda: not stack.agent.alive, what="the agent to end")
    assert [(request.step, request.status) for request in session.requests()] == [
        ("plan", "completed")
    ]
    stack.agent.start()
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert [request.step for request in session.requests()].count("plan") == 1


def test_a_call_that_lasts_too_long_is_made_again(restarted: Callable[..., Stack]) -> None:
    stack = restarted(AGENT_DRAIN_TIMEOUT="0.2")
    session = stack.session()
    stack.model.hold(session.key)
    session.message()
    stack.model.wait_held(f"{session.key}/1/plan")
    os.kill(stack.agent.pid, signal.SIGTERM)
    wait_until(lambda: not stack.agent.alive, what="the agent to end")
    stack.model.release(session.key)
    stack.agent.start()
    assert session.wait_idle(timeout=40)["status"] == "completed"
    assert [request.step for request in session.requests()].count("plan") == 2
