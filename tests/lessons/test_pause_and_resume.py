"""Lesson 05: what pauses, what resumes it, and what it does then."""

import json
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from restate import Context, InvocationRetryPolicy, Service
from restate.exceptions import RetryableError

from tests.stack import Stack
from workbench import AdminError, Served, journal_rows, serve_here, tree_rows, wait_until

ATTEMPTS = 3  # of the agent in `stack`, and of the releases below


@pytest.fixture(autouse=True)
def _mended(stack: Stack) -> Iterator[None]:
    yield
    stack.model.mend()


def _events(stack: Stack, invocation: str) -> list[dict[str, Any]]:
    """The failures and pauses of an invocation, oldest first; a pause with its last failure."""
    rows = stack.admin.query(
        "SELECT event_type, event_json FROM sys_journal_events "
        f"WHERE id = '{invocation}' ORDER BY appended_at"
    )
    events = []
    for row in rows:
        said = json.loads(row["event_json"])
        events.append({**said.get("last_failure", said), "ty": row["event_type"]})
    return events


def _wait_pause(stack: Stack, invocation: str, number: int) -> dict[str, Any]:
    """Wait for the invocation's pause of that number; its row comes back."""

    def paused() -> bool:
        return [e["ty"] for e in _events(stack, invocation)].count("Paused") == number

    wait_until(paused, what=f"pause number {number}")
    return stack.admin.wait_for(invocation, "paused")


def _writes(stack: Stack, task: str) -> dict[str, str]:
    """The statuses of a task's calls of `write_file`, by id."""
    rows = tree_rows(stack.admin, task)
    return {row["id"]: row["status"] for row in rows if row["target"] == "CodingTask/write_file"}


def _one_write_paused(stack: Stack, task: str) -> str:
    """Wait until one file's call is paused and the others are completed; its id comes back."""
    _hurry(stack)
    expected = ["completed · success"] * 3 + ["paused"]
    wait_until(lambda: sorted(_writes(stack, task).values()) == expected, what="3 files, 1 pause")
    return next(id for id, status in _writes(stack, task).items() if status == "paused")


def _hurry(stack: Stack) -> None:
    """There is nothing left to interrupt: let the model write as fast as it can."""
    stack.model.set(tokens_per_second=10_000)


# 1: an outage


def test_a_child_pauses_alone_and_goes_on_where_it_stood(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("outage", match=f"{session.key}/1/write%20store")
    task = session.message()["task_id"]
    child = _one_write_paused(stack, task)
    stack.admin.wait_for(task, "running")  # it waits for the child

    # Why it is paused is in sys_journal_events, and no more in sys_invocation.
    row = stack.admin.wait_for(child, "paused")
    assert row["retry_count"] is None
    assert row["last_failure_error_code"] is None
    assert row["last_failure_related_command_name"] is None
    events = _events(stack, child)
    # Two attempts are in the journal with what they brought; only the last failed for Restate.
    assert [event["ty"] for event in events].count("Paused") == 1
    assert events[-1]["ty"] == "Paused"
    assert [name for entry, name in _journal(stack, child) if entry == "Run"] == [
        "write store.py"
    ] * ATTEMPTS
    for event in events:
        assert event["restate_doc_error_code"] == "RT0007"
        assert event["related_command_name"] == "write store.py"
        assert "503" in event["error_message"]
    assert _asked(session.requests())["write%20store.py"] == ATTEMPTS
    waiting = session.call("get_status")["waiting"]
    assert waiting["state"] == "paused"
    assert "503" in waiting["reason"]

    # Resumed, it makes the last attempt once more.
    stack.admin.resume(child)
    _wait_pause(stack, child, 2)
    assert _asked(session.requests())["write%20store.py"] == ATTEMPTS + 1

    stack.model.mend()
    stack.admin.resume(child)
    assert session.wait_idle()["status"] == "completed"
    asked = _asked(session.requests())
    assert asked.pop("write%20store.py") == ATTEMPTS + 2
    assert set(asked.values()) == {1}
    assert len(session.files()) == 4


# 2: backing off


class Limited:
    """A service that is told to come back later, and hands that on to Restate, until it is not."""

    def __init__(self, stack: Stack, retry_after: timedelta) -> None:
        self.stack, self.retry_after = stack, retry_after
        self.name = f"Limited_{uuid.uuid4().hex[:12]}"
        self.asked, self.limited = 0, True

    @contextmanager
    def sent(self) -> Iterator[str]:
        """The id of a call of it."""
        policy = InvocationRetryPolicy(
            initial_interval=timedelta(milliseconds=20),
            max_attempts=ATTEMPTS,
            on_max_attempts="pause",
        )
        service = Service(self.name, invocation_retry_policy=policy)
        service.handler("get")(self._get)
        with serve_here(service) as served:
            deployment = self.stack.admin.register(served.uri, force=True)["id"]
            id = self.stack.ingress.send(self.name, "get")
            yield id
            self.stack.admin.patch(f"/invocations/{id}/kill", allow=(409,))
            self.stack.admin.delete(f"/deployments/{deployment}", force=True)

    async def _get(self, ctx: Context) -> str:
        async def request() -> str:
            self.asked += 1
            if self.limited:
                raise RetryableError("429, come back later", retry_after=self.retry_after)
            return "the answer"

        return await ctx.run_typed("request", request)


def test_an_attempt_that_is_due_later_can_start_now(stack: Stack) -> None:
    limited = Limited(stack, timedelta(minutes=1))
    with limited.sent() as id:
        row = stack.admin.wait_for(id, "backing-off")
        assert row["last_failure_error_code"] == "RT0007"
        assert row["last_failure_related_command_name"] == "request"
        limited.limited = False
        began = time.monotonic()
        stack.admin.resume(id)
        assert stack.ingress.attach(id) == "the answer"
        assert time.monotonic() - began < 20.0
    assert limited.asked == 2


def test_a_delay_that_the_handler_chose_is_not_counted(stack: Stack) -> None:
    """Restate 1.7.12: with `RetryableError(retry_after=…)` the attempts do not run out."""
    limited = Limited(stack, timedelta(seconds=0.05))
    with limited.sent() as id:
        wait_until(lambda: limited.asked > ATTEMPTS + 2, what="more attempts than allowed")
        assert "Paused" not in [event["ty"] for event in _events(stack, id)]
        limited.limited = False
        assert stack.ingress.attach(id) == "the answer"


def test_the_agent_is_told_while_it_waits_for_its_next_attempt(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("rate_limit", retry_after=60.0, match=session.key)
    task = session.message()["task_id"]
    waiting = wait_until(
        lambda: session.call("get_status").get("waiting"), what="the status to say why it waits"
    )
    assert waiting["state"] == "backing-off"
    assert "429" in waiting["reason"]
    began = time.monotonic()
    assert session.stop() == task
    assert time.monotonic() - began < 20.0
    assert session.statuses() == ["interrupted"]
    assert len(session.requests()) == 1


# 3 and 4: deployments


class Releases:
    """A service of one test's own, of which versions are deployed side by side."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.name = f"Release_{uuid.uuid4().hex[:12]}"
        self.built: list[str] = []
        self.scanned: list[str] = []
        self.deployments: dict[str, Served] = {}

    def deploy(self, publish: Callable[[Context, str], Awaitable[str]]) -> str:
        """Deploy a version of the handler, which becomes the latest; the deployment's id."""
        policy = InvocationRetryPolicy(
            initial_interval=timedelta(milliseconds=20),
            max_attempts=ATTEMPTS,
            on_max_attempts="pause",
        )
        service = Service(self.name, invocation_retry_policy=policy)
        service.handler("publish")(publish)
        served = serve_here(service, name=f"{self.name} {len(self.deployments) + 1}")
        deployment: str = self.stack.admin.register(served.uri, force=True)["id"]
        self.deployments[deployment] = served
        return deployment

    def stuck(self) -> str:
        """The id of a release that version 1 has brought as far as its bug, and paused."""
        release = self.stack.ingress.send(self.name, "publish", "todo-cli-1.0")
        _wait_pause(self.stack, release, 1)
        return release

    def remove(self) -> None:
        rows = self.stack.admin.query(
            "SELECT id FROM sys_invocation "
            f"WHERE target_service_name = '{self.name}' AND status != 'completed'"
        )
        for row in rows:
            self.stack.admin.kill(row["id"])
        for deployment, served in self.deployments.items():
            self.stack.admin.delete(f"/deployments/{deployment}", force=True)
            served.stop()

    # The versions of the handler

    async def with_a_bug(self, ctx: Context, tag: str) -> str:
        archive = await ctx.run_typed("build", self._build, tag=tag)
        name, version = tag.split("-")
        return f"{name} {version}: {archive}"

    async def fixed(self, ctx: Context, tag: str) -> str:
        archive = await ctx.run_typed("build", self._build, tag=tag)
        name, version = tag.rsplit("-", 1)
        return f"{name} {version}: {archive}"

    async def with_a_step_before(self, ctx: Context, tag: str) -> str:
        await ctx.run_typed("scan", self._scan, tag=tag)
        return await self.fixed(ctx, tag)

    async def _build(self, tag: str) -> str:
        self.built.append(tag)
        return f"{tag}.tar.gz"

    async def _scan(self, tag: str) -> str:
        self.scanned.append(tag)
        return "nothing found"


@pytest.fixture
def releases(stack: Stack) -> Iterator[Releases]:
    releases = Releases(stack)
    try:
        yield releases
    finally:
        releases.remove()


OUT = "todo-cli 1.0: todo-cli-1.0.tar.gz"


def test_a_bug_is_left_behind_on_a_new_deployment(stack: Stack, releases: Releases) -> None:
    old = releases.deploy(releases.with_a_bug)
    release = releases.stuck()
    new = releases.deploy(releases.fixed)

    stack.admin.resume(release)  # stays where it began, and meets the bug again
    assert _wait_pause(stack, release, 2)["pinned_deployment_id"] == old
    last = _events(stack, release)[-1]
    assert last["error_message"] == "ValueError('too many values to unpack (expected 2)')"
    assert "related_command_name" not in last  # the code between the steps failed

    stack.admin.resume(release, deployment=new)
    assert stack.ingress.attach(release) == OUT
    assert stack.admin.wait_for(release, "completed")["pinned_deployment_id"] == new
    assert len(releases.built) == 1


def test_another_flow_is_refused_and_does_no_harm(stack: Stack, releases: Releases) -> None:
    releases.deploy(releases.with_a_bug)
    release = releases.stuck()
    fitting = releases.deploy(releases.fixed)
    other = releases.deploy(releases.with_a_step_before)
    before = _journal(stack, release)

    stack.admin.resume(release, deployment=other)
    assert _wait_pause(stack, release, 2)["pinned_deployment_id"] == other
    last = _events(stack, release)[-1]
    assert (last["restate_doc_error_code"], last["error_code"]) == ("RT0016", 570)
    assert "Found a mismatch between the code paths" in last["error_message"]
    assert "name: build != scan" in last["error_message"]

    # It stays there: a plain resume does not go back to where it began.
    stack.admin.resume(release)
    assert _wait_pause(stack, release, 3)["pinned_deployment_id"] == other
    assert _events(stack, release)[-1]["restate_doc_error_code"] == "RT0016"
    assert _journal(stack, release) == before

    stack.admin.resume(release, deployment=fitting)
    assert stack.ingress.attach(release) == OUT
    assert (len(releases.built), releases.scanned) == (1, [])


def test_a_cancel_does_not_reach_code_that_cannot_replay(stack: Stack, releases: Releases) -> None:
    """Restate 1.7.12. The documentation: "You can cancel an invocation at any point"."""
    releases.deploy(releases.with_a_bug)
    release = releases.stuck()
    other = releases.deploy(releases.with_a_step_before)
    stack.admin.resume(release, deployment=other)
    _wait_pause(stack, release, 2)
    stack.admin.cancel(release)
    _wait_pause(stack, release, 3)
    assert _journal(stack, release)[-1] == ("← Signal", "cancel")
    stack.admin.kill(release)
    assert stack.admin.wait_for(release, "completed")["completion_failure"] == "[409] killed"


def test_restarting_as_new_is_for_what_is_over(stack: Stack, releases: Releases) -> None:
    releases.deploy(releases.with_a_bug)
    release = releases.stuck()
    fitting = releases.deploy(releases.fixed)
    releases.deploy(releases.with_a_step_before)
    with pytest.raises(AdminError) as error:
        stack.admin.restart_as_new(release)
    assert error.value.status_code == 409
    stack.admin.kill(release)
    stack.admin.wait_for(release, "completed")

    # From the journal's first step on, where that fits: the step is not run again.
    kept = stack.admin.restart_as_new(release, from_index=1, deployment=fitting)
    assert stack.ingress.attach(kept) == OUT
    assert (len(releases.built), releases.scanned) == (1, [])
    assert stack.admin.wait_for(kept, "completed")["restarted_from"] == release

    # From its input, on the latest deployment: everything is run again.
    again = stack.admin.restart_as_new(release)
    assert stack.ingress.attach(again) == OUT
    assert (len(releases.built), len(releases.scanned)) == (2, 1)


# 5: a pause by hand


def test_a_pause_lets_the_running_step_end(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "plan")
    stack.admin.pause(task)
    _hurry(stack)
    stack.admin.wait_for(task, "paused")
    assert [(r.step, r.status) for r in session.requests()] == [("plan", "completed")]
    (event,) = _events(stack, task)
    assert event == {"ty": "Paused"}  # no failure
    assert session.call("get_status")["status"] == "working"

    stack.admin.resume(task)
    assert session.wait_idle()["status"] == "completed"
    assert set(_asked(session.requests()).values()) == {1}


def test_a_pause_holds_one_invocation_and_not_its_tree(stack: Stack) -> None:
    session = stack.session()
    task = session.message()["task_id"]
    session.wait_streaming(1, "write", calls=3)
    stack.admin.pause(task)
    stack.admin.wait_for(task, "paused")
    assert "running" in _writes(stack, task).values()
    _hurry(stack)
    wait_until(
        lambda: set(_writes(stack, task).values()) == {"completed · success"},
        what="the files to be written while their parent is paused",
    )
    assert "review" not in _asked(session.requests())
    stack.admin.wait_for(task, "paused")

    stack.admin.resume(task)
    assert session.wait_idle()["status"] == "completed"
    assert set(_asked(session.requests()).values()) == {1}


# 6: interrupted while paused


def test_an_interruption_wakes_a_paused_child_to_clean_up(stack: Stack) -> None:
    session = stack.session()
    stack.model.fail("outage", match=f"{session.key}/1/write%20store")  # and stays down
    first = session.message()["task_id"]
    child = _one_write_paused(stack, first)
    before = len(session.requests(1))

    second = session.message("Write it with Flask")
    assert second["interrupted"] == first
    for invocation in (first, child):
        row = stack.admin.wait_for(invocation, "completed")
        assert row["completion_failure"] == "[409] cancelled"
    (times,) = stack.admin.query(
        "SELECT child.completed_at <= parent.completed_at AS leaf_first, "
        "parent.completed_at <= next.created_at AS clean_first "
        "FROM sys_invocation child, sys_invocation parent, sys_invocation next "
        f"WHERE child.id = '{child}' AND parent.id = '{first}' AND next.id = '{second['task_id']}'"
    )
    assert times == {"leaf_first": True, "clean_first": True}

    assert session.wait_idle()["status"] == "completed"
    assert session.statuses() == ["interrupted", "completed"]
    assert len(session.requests(1)) == before  # the failed step was not tried again
    session.wait_no_draft()
    assert sorted(session.files()) == ["app.py", "store.py", "test_app.py"]


def _asked(requests: list[Any]) -> Counter[str]:
    """How often the model was asked for each step, by the last part of the label."""
    return Counter(request.label.rsplit("/", 1)[1] for request in requests)


def _journal(stack: Stack, invocation: str) -> list[tuple[str, str]]:
    """The journal's entries and their names, without the events beside it."""
    rows = journal_rows(stack.admin, invocation)
    return [(row["entry"], row["name"]) for row in rows if row["index"] is not None]
