"""What becomes of a turn when the model's provider answers as real ones do.

The cases are in `provider_replies.json`, half of them from public reports: `right` says in words
what a user expects, and `expect` in fields what is checked. All of them are at work at once, each
in a session of its own, and each test waits for one. The fields of `expect`:

* `status`: "completed", "failed", "paused"; or "open": neither of these, `after` seconds from the
  first request on (`slow_after`, with PROVIDER_REPLIES_FULL_SIZE set).
* `says`: expressions that are found in what the user is told: the error of a turn that failed, the
  reason why one waits, the answer of one that completed.
* `files` and `answer`: what a turn leaves; by default those of a good answer. `$FILE` stands for
  the file of a good answer; `answer` may be null, for any.
* `max_calls` and `min_calls`: how often a step asks the model. `min_seconds`: the shortest time
  between two such calls. `delays_grow`: the longer it takes, the more seldom it is tried.
* `asks_again`: an expression that is found in the last message of the second request for a plan.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import pytest

from tests.agent.replaying_provider import FILE, REVIEW, Case, ReplayingProvider, Request, load
from workbench import Admin, Ingress, start_agent, start_restate, wait_until
from workbench.clients import sql_text
from workbench.lesson import stop_all
from workbench.state_dir import use_state_dir

FULL_SIZE = bool(os.environ.get("PROVIDER_REPLIES_FULL_SIZE"))
CASES, ENVS = load()
KEY = "sk-canary-0b5f2d"

pytestmark = [
    pytest.mark.timeout(400 if FULL_SIZE else 240),
    pytest.mark.xdist_group("provider replies"),  # one worker sends all of them
]


@dataclass
class Outcome:
    """What became of a turn, as its user sees it."""

    status: str
    said: str
    files: dict[str, str]
    answer: str | None


@dataclass
class Running:
    """A case at work: the session and its one turn."""

    case: Case
    session: str
    task_id: str
    sent_at: float
    admin: Admin
    ingress: Ingress
    provider: ReplayingProvider

    def outcome(self) -> Outcome:
        """Wait until the turn has ended, is paused, or is as old as it should be; then look."""
        limit = self.sent_at + self.case.limit + self._open_for()
        status = str(
            wait_until(
                self._settled,
                what=f"the end of {self.case.name}",
                timeout=max(0.0, limit - time.monotonic()),
            )
        )
        turn = self._turn()
        said = {"completed": turn["answer"], "failed": turn["error"]}.get(status) or ""
        if status in ("paused", "open"):
            said = self._reason(status)
        files = self.ingress.call("Workspace", "read_files", key=self.session)
        return Outcome(status, said, files, turn["answer"])

    def _settled(self) -> str | None:
        """The status of the turn, once it is the last that is waited for."""
        status = self._status()
        return status if status != "open" or self._is_old() else None

    def _open_for(self) -> float:
        """How many seconds it is expected to be open; 0 where it is to end."""
        after = "slow_after" if FULL_SIZE else "after"
        return max(float(expect.get(after, 0)) for expect in self.case.expect)

    def _is_old(self) -> bool:
        """Whether it has been open for as long as is expected."""
        requests, age = self.provider.requests(self.session), self._open_for()
        return bool(age and requests and time.monotonic() >= requests[0].at + age)

    def _turn(self) -> dict[str, Any]:
        turn: dict[str, Any] = self.ingress.call("CodingAgent", "get_turns", key=self.session)[0]
        return turn

    def _status(self) -> str:
        """completed, failed, …; or, for one that is at work, paused or open."""
        status = str(self._turn()["status"])
        if status != "running":
            return status
        return "paused" if any(row["status"] == "paused" for row in self._tree()) else "open"

    def _tree(self) -> list[dict[str, Any]]:
        """The task and what it has called that is not over."""
        task = sql_text(self.task_id)
        steps = f"SELECT id FROM sys_invocation WHERE invoked_by_id = {task}"
        return self.admin.query(
            "SELECT id, status FROM sys_invocation WHERE status != 'completed' AND "
            f"(id = {task} OR invoked_by_id = {task} OR invoked_by_id IN ({steps}))"
        )

    def _reason(self, status: str) -> str:
        """Why the turn waits, in the words of `get_status`."""
        state = {"paused": "paused", "open": "backing-off"}[status]

        def reason() -> str | None:
            answer = self.ingress.call("CodingAgent", "get_status", key=self.session)
            waiting = answer["waiting"] or {}
            return waiting["reason"] if waiting.get("state") == state else None

        return str(wait_until(reason, what=f"the reason why {self.case.name} waits", timeout=5))


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Running]]:
    """The cases that were asked for, all at work, by name; each environment has an agent and a
    server.
    """
    names = [
        str(item.callspec.params["name"])
        for item in request.session.items
        if isinstance(item, pytest.Function)
        and item.module is request.module
        and not any(item.iter_markers("skip"))
    ]
    chosen = [CASES[name] for name in names]
    with ReplayingProvider(CASES) as provider, ExitStack() as homes:
        found = {}
        # Those with short limits first, while the machine has little else to do.
        for env in sorted({case.env for case in chosen}, key=list(ENVS).index, reverse=True):
            home = tmp_path_factory.mktemp("home")
            homes.callback(partial(_stop, home))
            with use_state_dir(home):
                restate = start_restate("embedded")
                agent = start_agent(restate, provider, env={"OPENAI_API_KEY": KEY, **ENVS[env]})
            admin, ingress = Admin(restate, echo=_silent), Ingress(restate, echo=_silent)
            homes.enter_context(admin)
            homes.enter_context(ingress)
            admin.register(agent.uri)
            for case in chosen:
                if case.env == env:
                    session = f"{case.name}.{uuid.uuid4().hex[:8]}"
                    message = {"content": "Write a clock"}
                    accepted = ingress.call("CodingAgent", "message", message, key=session)
                    task_id, now = accepted["task_id"], time.monotonic()
                    found[case.name] = Running(
                        case, session, task_id, now, admin, ingress, provider
                    )
        yield found


def _silent(*_: object) -> None:
    pass


def _stop(home: Any) -> None:
    with use_state_dir(home):
        stop_all()


_SKIPPED = pytest.mark.skip(reason="takes 100 s: set PROVIDER_REPLIES_FULL_SIZE")
_PARAMS = [
    pytest.param(name, marks=_SKIPPED if case.env == "full size" and not FULL_SIZE else ())
    for name, case in CASES.items()
]


@pytest.mark.parametrize("name", _PARAMS)
def test_a_turn_ends_as_its_user_expects(running: dict[str, Running], name: str) -> None:
    turn = running[name]
    outcome = turn.outcome()
    steps = turn.provider.by_step(turn.session)

    for request in turn.provider.requests(turn.session):
        assert _alternate(request), f"{request.step}: {request.body['messages']}"
    assert KEY not in outcome.said
    faults = [faults_of(turn.case, expect, outcome, steps) for expect in turn.case.expect]
    if [] not in faults:
        pytest.fail("\n".join([f"right: {turn.case.right}", str(outcome), *map(str, faults)]))


def faults_of(
    case: Case, expect: dict[str, Any], outcome: Outcome, steps: dict[str, list[Request]]
) -> list[str]:
    """What is not as it is expected to be."""
    faults = []
    if outcome.status != expect["status"]:
        faults.append(f"it is {outcome.status}, not {expect['status']}")
    for said in expect.get("says", []):
        if not re.search(said, outcome.said, re.IGNORECASE | re.DOTALL):
            faults.append(f"it does not say {said!r}")

    completed = expect["status"] == "completed"
    files = expect.get("files", {"clock.py": "$FILE"} if completed else {})
    files = {path: content.replace("$FILE", FILE).strip() for path, content in files.items()}
    if {path: content.strip() for path, content in outcome.files.items()} != files:
        faults.append(f"its files are not {files}")
    answer = expect.get("answer", REVIEW if completed else None)
    if answer is not None and outcome.answer != answer:
        faults.append(f"its answer is not {answer!r}")

    for step, requests in steps.items():
        faults += [f"{step}: {fault}" for fault in _wrong_pace(expect, requests)]
    plans = steps.get("plan", [])
    said_again = plans[1].last_words if len(plans) > 1 else ""
    if "asks_again" in expect and not re.search(expect["asks_again"], said_again, re.IGNORECASE):
        faults.append(f"it does not ask again with {expect['asks_again']!r}, but {said_again!r}")
    elif "plan" in case.answers and said_again == plans[0].last_words:
        faults.append("it asks again without a reason")
    return faults


def _wrong_pace(expect: dict[str, Any], requests: list[Request]) -> list[str]:
    """What is wrong with the number and the times of the calls of a step."""
    faults = []
    calls, delays = len(requests), [after.at - before.at for before, after in pairwise(requests)]
    if calls > expect.get("max_calls", calls) or calls < expect.get("min_calls", calls):
        faults.append(f"{calls} calls")
    if any(delay < expect.get("min_seconds", 0) for delay in delays):
        faults.append(f"again after {delays} s")
    if expect.get("delays_grow") and len(delays) > 1 and delays[-1] < 2 * delays[0]:
        faults.append(f"the delays do not grow: {delays}")
    return faults


def _alternate(request: Request) -> bool:
    """Whether the chat is one that any model takes: perhaps a system message, then user, assistant,
    …, user, none of them empty.
    """
    messages = request.body["messages"]
    roles = [message["role"] for message in messages]
    roles = roles[1:] if roles[0] == "system" else roles
    wanted = ["user", "assistant"] * len(roles)
    return (
        roles == wanted[: len(roles)]
        and len(roles) % 2 == 1
        and all(m["content"] for m in messages)
    )
