"""Runs clients and faults side by side for a while, then checks every session."""

import contextlib
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from tests.stack import Stack
from tests.stress.client import Client
from tests.stress.faults import Faults
from tests.stress.invariants import resume_all, violations, wait_quiet
from workbench.errors import WorkbenchError


def _look_after(stack: Stack, clients: list[Future[None]]) -> None:
    """Be the operator who resumes, a second or so later, what was paused, until all are done."""
    while not all(client.done() for client in clients):
        time.sleep(1.0)
        with contextlib.suppress(WorkbenchError):  # the server is away
            resume_all(stack, ("paused",))


@dataclass(frozen=True)
class Outcome:
    """What a run has done and found; `violations` by session."""

    messages: int
    statuses: dict[str, int]
    faults: list[str]
    violations: dict[str, list[str]]


def stress(
    stack: Stack, *, seed: int, seconds: float, sessions: int, faults: tuple[str, ...]
) -> Outcome:
    """Let `sessions` clients act for `seconds`, with these `faults`, and check what is left."""
    stack.model.set(tokens_per_second=600)
    clients = [Client(stack, seed * 1000 + number) for number in range(sessions)]
    trouble = Faults(stack, seed, faults)
    deadline = time.monotonic() + seconds
    with ThreadPoolExecutor(sessions + 2) as pool:
        work = [pool.submit(client.run, deadline) for client in clients]
        work.append(pool.submit(trouble.run, deadline))
        work.append(pool.submit(_look_after, stack, work[:-1]))
        for each in work:
            each.result()
    stack.model.mend()
    stack.model.set(tokens_per_second=10_000)
    wait_quiet(stack)

    statuses: dict[str, int] = {}
    for client in clients:
        for status in client.session.statuses():
            statuses[status] = statuses.get(status, 0) + 1
    found = {client.session.key: violations(client) for client in clients}
    return Outcome(
        messages=sum(len(client.accepted) for client in clients),
        statuses=statuses,
        faults=trouble.made,
        violations={key: each for key, each in found.items() if each},
    )
