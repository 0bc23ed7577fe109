"""Plays a turn for each reply of `provider_replies.json` without a server and without waiting.

`test_provider_replies.py` proves the same with everything running. This one takes seconds, so it is
what a mutation tester can run, and it names the kind of reply that is misread.
"""

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from restate import TerminalError

from agent import provider
from agent.contracts import ChatMessage
from agent.provider import Failure, Reply, ask
from agent.settings import settings
from agent.work import Plan, _make_plan, _review_prompt, read_file
from tests.agent.replaying_provider import Case, ReplayingProvider, load
from tests.agent.test_provider_replies import Outcome, faults_of

pytestmark = pytest.mark.anyio

CASES, _ = load()
ATTEMPTS = 6


def _is_quick(case: Case) -> bool:
    """Whether the case is about what is said, and not about how long it takes."""
    slow = [
        {"wait", "pace"} & response.keys() or "sleep" in str(response.get("body"))
        for response in case.responses
    ]
    is_open = any(expect["status"] == "open" for expect in case.expect)
    return case.env == "default" and not is_open and not any(slow)


class Paused(Exception):
    """The task pauses: no attempt is left, or somebody has to mend something."""


class Job:
    """Asks the model as `agent.task.Job` does, and tries again at once."""

    def __init__(self, session: str) -> None:
        self.session = session

    async def ask(self, step: str, prompt: list[ChatMessage], *, schema: Any = None) -> str:
        failure: Failure | None = None
        for _ in range(ATTEMPTS):
            reply = Reply()
            await ask(prompt, reply, label=f"{self.session}/1/{quote(step)}", schema=schema)
            failure = reply.failure
            if failure is None:
                assert reply.finished
                assert 0 <= reply.completion_tokens < 2**31
                return reply.text
            if failure.kind == "final":
                raise TerminalError(failure.says)
            if failure.kind == "mendable":
                break
        raise Paused(failure.says if failure else "")


async def _turn(job: Any) -> Outcome:
    files: dict[str, str] = {}
    try:
        plan: Plan = await _make_plan(job, [ChatMessage(role="user", content="Write a clock")])
        for path in [file.path for file in plan.files]:
            prompt = [ChatMessage(role="user", content=f"File: {path}")]
            files[path] = read_file(await job.ask(f"write {path}", prompt), path)
        answer = await job.ask("review", _review_prompt("Write a clock", plan, files))
    except TerminalError as error:
        return Outcome("failed", error.message, {}, None)
    except Paused as error:
        return Outcome("paused", str(error), {}, None)
    return Outcome("completed", answer, files, answer)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def replaying() -> Iterator[ReplayingProvider]:
    with ReplayingProvider(CASES) as server:
        yield server


def _forget() -> None:
    for cached in (settings, provider.client, provider._turnstile):
        cached.cache_clear()
    provider._refused.clear()


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch, replaying: ReplayingProvider) -> Iterator[None]:
    monkeypatch.setenv("OPENAI_BASE_URL", replaying.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0b5f2d")
    _forget()
    yield
    _forget()


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if _is_quick(case)])
async def test_a_turn_without_a_server(replaying: ReplayingProvider, name: str) -> None:
    case = CASES[name]
    session = f"{name}.{time.monotonic_ns()}"
    outcome = await _turn(Job(session))
    await provider.client().close()
    steps = replaying.by_step(session)
    wanted = [{**expect, "min_seconds": 0, "delays_grow": False} for expect in case.expect]
    faults = [faults_of(case, expect, outcome, steps) for expect in wanted]
    if [] not in faults:
        pytest.fail("\n".join([f"right: {case.right}", str(outcome), *map(str, faults)]))
