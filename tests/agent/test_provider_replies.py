"""What becomes of a turn when the model's provider answers as real ones do.

The cases are in `provider_replies.json`, half of them from public reports: `right` says in words
what a user expects, and `expect` in fields what is checked. All of them are at work at once, each
in a session of its own, and each test waits for one. The fields of `expect`:

* `status`: "completed", "failed", "paused"; or "open": neither of these, `after` seconds from the
  first request on.
* `says`: expressions that are found in what the user is told: the error of a turn that failed, the
  reason why one waits, the answer of one that completed.
* `files` and `answer`: what a turn leaves; by default those of a good answer. `$FILE` stands for
  the file of a good answer; `answer` may be null, for any.
* `max_calls` and `min_calls`: how often a step asks the model. `min_seconds`: the shortest time
  between two such calls. `delays_grow`: the longer it takes, the more seldom it is tried.
* `asks_again`: an expression that is found in the last message of the second request for a plan.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest

from tests.agent.replaying_provider import FILE, REVIEW, Case, ReplayingProvider, Request, load
from tests.stack import Session, Stack
from workbench import wait_until

CASES, ENVS = load()
KEY = "sk-canary-0b5f2d"

_LIMIT = 40.0  # seconds until a turn is over; on a busy machine, all of them together

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("provider replies"),  # one worker sends all of them
]


@dataclass
class Running:
    """A case at work: the session and its one turn."""

    case: Case
    session: Session
    task_id: str
    sent_at: float
    provider: ReplayingProvider

    def steps(self) -> dict[str, list[Request]]:
        """What was asked of the model, by step."""
        return self.provider.by_step(self.session.key)

    def end(self) -> tuple[str, str]:
        """Wait until the turn has ended, is paused, or is as old as it should be: which of it, and
        what its user is told.
        """
        age = max(float(expect.get("after", 0)) for expect in self.case["expect"])

        def settled() -> str | None:
            status = self._status()
            asked = [request.at for requests in self.steps().values() for request in requests]
            is_old = age and asked and time.monotonic() >= min(asked) + age
            return status if status != "open" or is_old else None

        left = self.sent_at + _LIMIT + age - time.monotonic()
        status = str(wait_until(settled, what="the end", timeout=max(0.0, left)))
        (turn,) = self.session.turns()
        said = {"completed": turn["answer"], "failed": turn["error"]}.get(status)
        if status in ("paused", "open"):
            state = {"paused": "paused", "open": "backing-off"}[status]
            said = wait_until(lambda: self._reason(state), what=f"why it is {status}", timeout=5)
        return status, str(said or "")

    def _status(self) -> str:
        """completed, failed, …; or, for one that is at work, paused or open."""
        (status,) = self.session.statuses()
        if status != "running":
            return status
        steps = f"SELECT id FROM sys_invocation WHERE invoked_by_id = '{self.task_id}'"
        ours = f"id = '{self.task_id}' OR id IN ({steps}) OR invoked_by_id IN ({steps})"
        paused = f"status = 'paused' AND ({ours})"
        return "paused" if self.session.stack.count("sys_invocation", paused) else "open"

    def _reason(self, state: str) -> str | None:
        waiting = self.session.call("get_status")["waiting"] or {}
        return waiting["reason"] if waiting.get("state") == state else None

    def faults(self, expect: dict[str, Any], status: str, said: str) -> Iterator[str]:
        """What is not as it is expected to be."""
        steps, completed = self.steps(), expect["status"] == "completed"
        for step, requests in steps.items():
            yield from (f"{step}: {fault}" for fault in _paced(expect, requests))
        if status != expect["status"]:
            yield f"it is {status}, not {expect['status']}"
        for words in expect.get("says", []):
            if not re.search(words, said, re.IGNORECASE | re.DOTALL):
                yield f"it does not say {words!r}"
        files = expect.get("files", {"clock.py": "$FILE"} if completed else {})
        files = {path: content.replace("$FILE", FILE).strip() for path, content in files.items()}
        found = {path: content.strip() for path, content in self.session.files().items()}
        if found != files:
            yield f"its files are {found}, not {files}"
        answer = expect.get("answer", REVIEW if completed else None)
        if answer is not None and said != answer:
            yield f"its answer is not {answer!r}"
        plans = [str(request.body["messages"][-1]["content"]) for request in steps.get("plan", [])]
        again, wanted = plans[1] if len(plans) > 1 else "", expect.get("asks_again")
        if wanted and not re.search(wanted, again, re.IGNORECASE):
            yield f"it does not ask again with {wanted!r}, but {again!r}"
        elif "plan" in self.case.get("answers", {}) and again == plans[0]:
            yield "it asks again without a reason"


def _paced(expect: dict[str, Any], requests: list[Request]) -> Iterator[str]:
    """What is wrong with the number and the times of the calls of a step."""
    calls, delays = len(requests), [after.at - before.at for before, after in pairwise(requests)]
    if calls > expect.get("max_calls", calls) or calls < expect.get("min_calls", calls):
        yield f"{calls} calls"
    if any(delay < expect.get("min_seconds", 0) for delay in delays):
        yield f"again after {delays} s"
    if expect.get("delays_grow") and len(delays) > 1 and delays[-1] < 2 * delays[0]:
        yield f"the delays do not grow: {delays}"


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """The cases that were asked for, all at work, by name; each environment has a stack."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    names = [str(i.callspec.params["name"]) for i in items if i.module is request.module]
    chosen = {name: CASES[name] for name in names}
    provider = ReplayingProvider(CASES)
    with provider, ExitStack() as stacks:
        found = {}
        # Those with short limits first, while the machine has little else to do.
        for env in sorted({case.get("env", "default") for case in chosen.values()}, reverse=True):
            settings = {"OPENAI_API_KEY": KEY, **ENVS[env]}
            home = tmp_path_factory.mktemp("home")
            stack = stacks.enter_context(Stack.running(home, model=provider, env=settings))
            for name, case in chosen.items():
                if case.get("env", "default") == env:
                    session = Session(stack, f"{name}.{uuid.uuid4().hex[:8]}")
                    task = session.call("message", {"content": "Write a clock"})["task_id"]
                    found[name] = Running(case, session, task, time.monotonic(), provider)
        yield found


@pytest.mark.parametrize("name", CASES)
def test_a_turn_ends_as_its_user_expects(running: dict[str, Running], name: str) -> None:
    turn = running[name]
    status, said = turn.end()
    for request in (each for steps in turn.steps().values() for each in steps):
        _assert_alternates(request.body["messages"])
    assert KEY not in said
    faults = [list(turn.faults(expect, status, said)) for expect in turn.case["expect"]]
    if [] not in faults:
        right = f"right: {turn.case['right']}"
        pytest.fail("\n".join([right, f"{status}: {said}", *map(str, faults)]))


def _assert_alternates(messages: list[dict[str, str]]) -> None:
    """Any model takes the chat: perhaps a system message, then user, assistant, …, user."""
    assert all(message["content"] for message in messages)
    roles = [message["role"] for message in messages]
    roles = roles[1:] if roles[0] == "system" else roles
    assert roles == [*["user", "assistant"] * (len(roles) // 2), "user"]
