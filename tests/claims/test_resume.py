"""What pauses an invocation, and where it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import restate
from restate import Context, InvocationRetryPolicy, Service

from tests.claims.diary import Diary
from tests.claims.lab import Lab
from tests.claims.probe import NotThere, Observation, holds_if, probe
from workbench import new_key, wait_until

ATTEMPTS = 3

_POLICY = InvocationRetryPolicy(
    initial_interval=timedelta(milliseconds=10), max_attempts=ATTEMPTS, on_max_attempts="pause"
)

diary = Diary()
mended: set[str] = set()

Handler = Callable[[Context, str], Awaitable[str]]


async def build(run: str) -> None:
    diary.note(run, "build")


async def broken(ctx: Context, run: str) -> str:
    diary.note(run, "attempt")
    await ctx.run_typed("build", build, run=run)
    if run not in mended:
        raise ValueError("a bug")
    return "out"


async def fixed(ctx: Context, run: str) -> str:
    await ctx.run_typed("build", build, run=run)
    return "out"


async def another_flow(ctx: Context, run: str) -> str:
    await ctx.run_typed("scan", build, run=run)
    return await fixed(ctx, run)


async def told_later(ctx: Context, run: str) -> str:
    error = getattr(restate.exceptions, "RetryableError", None)
    if error is None:
        diary.note(run, "no RetryableError")
        return "out"
    diary.note(run, "attempt")
    if run not in mended:
        raise error("later", retry_after=timedelta(milliseconds=10))
    return "out"


class Release:
    """A service of one probe's own, of which versions are deployed side by side."""

    def __init__(self, lab: Lab, run: str) -> None:
        self._lab = lab
        self.run = run
        self.name = "Claim" + run.title().replace("-", "")

    @contextmanager
    def deployed(self, publish: Handler) -> Iterator[str]:
        """Deploy a version of the handler, which is the latest then; the deployment's id."""
        service = Service(self.name, invocation_retry_policy=_POLICY)
        service.handler("publish")(publish)
        with self._lab.serving(service, name=f"{self.name} {publish.__name__}") as served:
            found = self._lab.admin.get("/deployments")["deployments"]
            yield next(d["id"] for d in found if d["uri"].rstrip("/") == served.uri)

    def stuck(self) -> str:
        """An invocation that has used up its attempts, and is paused."""
        id = self._lab.ingress.send(self.name, "publish", self.run)
        self.wait_pause(id, 1)
        return id

    def wait_pause(self, id: str, number: int) -> None:
        def paused() -> bool:
            return self._lab.pauses(id) >= number or self._lab.row(id)["status"] == "completed"

        wait_until(paused, what=f"pause number {number}, or the end")
        self._lab.admin.wait_for(id, "paused", "completed")

    def pinned(self, id: str) -> str:
        return str(self._lab.row(id)["pinned_deployment_id"])


@probe("paused-after-too-many-retries")
def test_paused(lab: Lab) -> Observation:
    release = Release(lab, new_key("retries"))
    with release.deployed(broken):
        id = release.stuck()
        ordinary = f"{lab.outcome(id)} after {diary.of(release.run).count('attempt')} attempts"
    release = Release(lab, new_key("later"))
    with release.deployed(told_later):
        id = lab.ingress.send(release.name, "publish", release.run)
        more = 3 * ATTEMPTS
        wait_until(
            lambda: (
                len(diary.of(release.run)) >= more
                or lab.row(id)["status"] in ("paused", "completed")
            ),
            what=f"{more} attempts, or the end of them",
        )
        if "no RetryableError" in diary.of(release.run):
            raise NotThere(f"this SDK has no RetryableError; otherwise: {ordinary}")
        paused = lab.row(id)["status"] == "paused"
        mended.add(release.run)
        lab.over_within(id, 5.0)
    count = diary.of(release.run).count("attempt") if paused else f"{more} and more"
    later = f"{'paused' if paused else 'not paused'} after {count} attempts"
    return holds_if(
        ordinary.startswith("paused") and paused,
        f"with {ATTEMPTS} attempts allowed: {ordinary}; where the handler chooses the delay "
        f"(RetryableError), {later}",
    )


@probe("paused-needs-a-manual-resume")
def test_manual(lab: Lab) -> Observation:
    release = Release(lab, new_key("manual"))
    with release.deployed(broken):
        id = release.stuck()
        mended.add(release.run)
        # Its retry interval passes many times over.
        for _ in range(10):
            lab.ingress.call(release.name, "publish", release.run)
        waiting = lab.outcome(id)
        lab.admin.resume(id)
        lab.over_within(id, 5.0)
        resumed = lab.outcome(id)
    return holds_if(
        (waiting, resumed) == ("paused", "success"),
        f"still {waiting} when its code is mended and serves others; {resumed} after a resume",
    )


@probe("resume-on-the-deployment-where-it-started")
def test_same_deployment(lab: Lab) -> Observation:
    release = Release(lab, new_key("same"))
    with release.deployed(broken) as old:
        id = release.stuck()
        with release.deployed(another_flow) as other:
            names = {old: "where it started", other: "where it was moved to"}
            lab.admin.resume(id)
            release.wait_pause(id, 2)
            first = names[release.pinned(id)]
            lab.admin.resume(id, deployment=other)
            release.wait_pause(id, 3)
            lab.admin.resume(id)
            release.wait_pause(id, 4)
            second = names[release.pinned(id)]
            lab.admin.kill(id)
    return holds_if(
        first == second == "where it started",
        f"with a newer deployment beside it, it is resumed {first}; once it was moved by a resume, "
        f"the next one finds it {second}",
    )


@probe("resume-on-another-deployment")
def test_other_deployment(lab: Lab) -> Observation:
    release = Release(lab, new_key("other"))
    with release.deployed(broken):
        id = release.stuck()
        with release.deployed(fixed) as new:
            lab.admin.resume(id, deployment=new)
            lab.over_within(id, 5.0)
            moved = release.pinned(id) == new
            outcome = lab.outcome(id)
    return holds_if(
        moved and outcome == "success",
        f"resumed on {'the other' if moved else 'the same'} deployment: {outcome}, and its step "
        f"ran {diary.of(release.run).count('build')} time",
    )


@probe("another-flow-is-a-non-determinism-error")
def test_another_flow(lab: Lab) -> Observation:
    release = Release(lab, new_key("flow"))
    with release.deployed(broken):
        id = release.stuck()
        with release.deployed(another_flow) as other:
            lab.admin.resume(id, deployment=other)
            release.wait_pause(id, 2)
            (row, *_) = lab.admin.query(
                f"SELECT event_json FROM sys_journal_events WHERE id = '{id}' "
                "AND event_type = 'Paused' AND event_json LIKE '%RT0016%'"
            ) or [{}]
            mismatch = "RT0016" in row.get("event_json", "")
            outcome = lab.outcome(id)
            lab.admin.kill(id)
    return holds_if(
        mismatch, f"{outcome}, {'with' if mismatch else 'without'} RT0016 (journal mismatch)"
    )
