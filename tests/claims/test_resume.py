"""What pauses an invocation, and where it goes on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
import restate
from restate import Context, Service

from tests.claims.conftest import Observed
from tests.claims.lab import HOUR, Lab, Notes, not_there, retries
from workbench import new_key, wait_until

ATTEMPTS = 3

Handler = Callable[[Context], Awaitable[str]]


class Release:
    """A service of which versions are deployed side by side, and their handlers."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self.name = "Claim" + new_key("release").title().replace("-", "")
        self.notes = Notes()
        self.mended = False

    async def broken(self, ctx: Context) -> str:
        self.notes.append("attempt")
        await ctx.run_typed("build", self.notes.add("build"))
        if not self.mended:
            raise ValueError("a bug")
        return "out"

    async def slow(self, ctx: Context) -> str:
        if not self.mended:
            raise ValueError("a bug")
        await ctx.sleep(HOUR)
        return "out"

    async def fixed(self, ctx: Context) -> str:
        await ctx.run_typed("build", self.notes.add("build"))
        return "out"

    async def another_flow(self, ctx: Context) -> str:
        await ctx.run_typed("scan", self.notes.add("scan"))
        return await self.fixed(ctx)

    async def told_later(self, ctx: Context) -> str:
        self.notes.append("attempt")
        if not self.mended:
            raise restate.exceptions.RetryableError("later", retry_after=timedelta(milliseconds=10))
        return "out"

    @contextmanager
    def deployed(self, publish: Handler) -> Iterator[str]:
        """Deploy a version of the handler, which is the latest then; the deployment's id."""
        service = Service(self.name, invocation_retry_policy=retries(ATTEMPTS))

        @service.handler("publish")
        async def handler(ctx: Context) -> str:
            return await publish(ctx)

        with self._lab.serving(service, name=f"{self.name} {publish.__name__}") as served:
            found = self._lab.admin.get("/deployments")["deployments"]
            yield next(d["id"] for d in found if d["uri"].rstrip("/") == served.uri)

    def send(self) -> str:
        return self._lab.ingress.send(self.name, "publish")

    def stuck(self) -> str:
        """An invocation that has used up its attempts, and is paused."""
        id = self.send()
        self._lab.wait_pause(id)
        return id

    def pinned(self, id: str) -> str:
        return str(self._lab.row(id)["pinned_deployment_id"])


@pytest.fixture
def release(lab: Lab) -> Release:
    return Release(lab)


@pytest.mark.claims("paused-after-too-many-retries")
def test_paused(lab: Lab, release: Release, observed: Observed) -> None:
    with release.deployed(release.broken):
        id = release.stuck()
        ordinary = f"{lab.outcome(id)} after {release.notes.count('attempt')} attempts"
    if not hasattr(restate.exceptions, "RetryableError"):
        not_there(f"this SDK has no RetryableError; otherwise: {ordinary}")
    release.notes.clear()
    more = 3 * ATTEMPTS
    with release.deployed(release.told_later):
        id = release.send()
        wait_until(
            lambda: len(release.notes) >= more or lab.row(id)["status"] in ("paused", "completed"),
            what=f"{more} attempts, or the end of them",
        )
        paused = lab.row(id)["status"] == "paused"
        count = str(len(release.notes)) if paused else f"{more} and more"
        release.mended = True
        lab.over_within(5.0, id)
    later = f"{'paused' if paused else 'not paused'} after {count} attempts"
    observed(
        "paused-after-too-many-retries",
        ordinary.startswith("paused") and paused,
        f"with {ATTEMPTS} attempts allowed: {ordinary}; where the handler chooses the delay "
        f"(RetryableError), {later}",
    )


@pytest.mark.claims("paused-needs-a-manual-resume")
def test_manual(lab: Lab, release: Release, observed: Observed) -> None:
    with release.deployed(release.broken):
        id = release.stuck()
        release.mended = True
        # Its retry interval passes many times over.
        for _ in range(10):
            lab.ingress.call(release.name, "publish")
        waiting = lab.outcome(id)
        lab.admin.resume(id)
        lab.over_within(5.0, id)
        resumed = lab.outcome(id)
    release.mended = False
    with release.deployed(release.slow):
        id = release.stuck()
        release.mended = True
        lab.admin.cancel(id)
        lab.over_within(5.0, id)
        cancelled = lab.outcome(id)
    observed(
        "paused-needs-a-manual-resume",
        (waiting, resumed, cancelled) == ("paused", "success", "paused"),
        f"still {waiting} when its code is mended and serves others; {resumed} after a resume; "
        f"after a cancel in its place: {cancelled}",
    )


@pytest.mark.claims(
    "resume-on-the-deployment-where-it-started",
    "resume-on-another-deployment",
    "another-flow-is-a-non-determinism-error",
)
def test_deployments(lab: Lab, release: Release, observed: Observed) -> None:
    """A stuck invocation is resumed where it is, where the code takes another path, and at last
    where the bug is fixed.
    """
    with release.deployed(release.broken) as old:
        id = release.stuck()
        with release.deployed(release.another_flow) as other:
            names = {old: "where it started", other: "where it was moved to"}
            lab.admin.resume(id)
            lab.wait_pause(id, 2)
            first = names[release.pinned(id)]
            lab.admin.resume(id, deployment=other)
            lab.wait_pause(id, 3)
            rows = lab.admin.query(
                f"SELECT event_json FROM sys_journal_events WHERE id = '{id}' "
                "AND event_type = 'Paused' AND event_json LIKE '%RT0016%'"
            )
            stands = lab.outcome(id)
            lab.admin.resume(id)
            lab.wait_pause(id, 4)
            second = names[release.pinned(id)]
            with release.deployed(release.fixed) as new:
                lab.admin.resume(id, deployment=new)
                lab.over_within(5.0, id)
                moved = release.pinned(id) == new
                outcome = lab.outcome(id)
    observed(
        "resume-on-the-deployment-where-it-started",
        first == second == "where it started",
        f"with a newer deployment beside it, it is resumed {first}; once it was moved by a resume, "
        f"the next one finds it {second}",
    )
    observed(
        "another-flow-is-a-non-determinism-error",
        bool(rows),
        f"{stands}, {'with' if rows else 'without'} RT0016 (journal mismatch)",
    )
    observed(
        "resume-on-another-deployment",
        moved and outcome == "success",
        f"resumed on {'the other' if moved else 'the same'} deployment: {outcome}, and its step "
        f"ran {release.notes.count('build')} time",
    )
