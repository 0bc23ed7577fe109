"""Levels 8 and 9: operators who kill, and a provider that fails."""

from __future__ import annotations

from workbench.ladder.cancelling import CLEANUP, files_are
from workbench.ladder.errors import Broken
from workbench.ladder.play import FILES, Play, Said, Session

_FAST_ENOUGH = 5.0
"""Seconds in which an interruption is answered, though the task waits for its next attempt."""


def kill(play: Play) -> None:
    """The task, a child, `message`: afterwards no turn says running, and the session goes on."""
    for what in ("the task", "a child"):
        session, first = _at_work(play)
        with play.held(f"write {FILES[0]} {first.word}"):
            victim = first.task
            if what == "a child":
                victim = next(
                    row["id"]
                    for row in session.tree(first)
                    if row["id"] != first.task and row["status"].startswith("running")
                )
            session.operate("kill", victim, first.task)
        _goes_on(session, first, f"{what} was killed")

    session, first = _at_work(play)
    second = session.write()
    with play.held(f"write {FILES[0]} {first.word}", f"{CLEANUP} {first.word}"):
        sending = session.send_later(second)
        session.wait_held(first, CLEANUP)
        session.operate("kill", session.message_at_work())
        play.until(sending.done, "A `message` that was killed still waits.", session)
    sending.result()
    _goes_on(session, first, "`message` was killed while it waited")


def _at_work(play: Play) -> tuple[Session, Said]:
    """A session whose task is held in a file."""
    session = play.session()
    first = session.write()
    play.model.hold(f"write {FILES[0]} {first.word}")
    session.send(first)
    session.wait_held(first, f"write {FILES[0]}")
    play.settle()
    return session, first


def _goes_on(session: Session, first: Said, when: str) -> None:
    session.over(first)
    session.play.until(
        lambda: session.status(first) not in ("running", ""),
        f"Task 1 is over, and turn 1 says {session.status(first)}, after {when}.",
        session,
        question="A kill runs no code of yours in the task. Who else could see that it is over: "
        "somebody who waits for it, or somebody who looks?",
    )
    last = session.send(session.write(("menu.txt",)))
    session.completed(last)
    files_are(session, [last], f"when {when}")


def outage(play: Play) -> None:
    """503, 429, 401 and 400; each has its own right outcome."""
    model = play.model

    session = play.session()
    said = session.write()
    play.note("503 twice")
    model.fail("outage", match=f"plan {said.word}", times=2)
    session.send(said)
    session.completed(said, limit=12.0)

    session = play.session()
    said = session.write()
    play.note("429 with Retry-After: 1")
    model.fail("rate_limit", match=f"plan {said.word}", times=1, retry_after=1.0)
    session.send(said)
    session.completed(said, limit=12.0)
    refused, again = session.requests(said, "plan")[:2]
    waited = again.started_at - refused.started_at
    if waited < 0.95:
        raise Broken(
            f"The provider asked for a second, and was asked again after {waited:.2f} s.",
            picture=session.picture(),
            question="Where does the provider say when it may be asked again, and who has to know?",
        )

    session = play.session()
    said = session.write()
    play.note("400")
    model.fail("bad_request", match=f"plan {said.word}")
    session.send(said)
    play.until(
        lambda: session.status(said) == "failed",
        "The provider refused the request itself (400), and the turn did not fail.",
        session,
        question="Which errors can never succeed, however often they are tried?",
    )
    model.mend()
    if len(asked := session.requests(said, "plan")) > 1:
        raise Broken(f"A request that was refused with 400 was sent {len(asked)} times.")

    session, said = _paused(play)
    model.mend()
    session.operate("resume", said.task, said.task)
    session.completed(said)

    session, first = _paused(play)
    _interrupted_soon(session, first, "paused")

    session = play.session()
    first = session.write()
    play.note("503, and no end of it")
    model.fail("outage", match=f"plan {first.word}")
    session.send(first)
    play.until(
        lambda: len(session.requests(first, "plan")) >= 3, "No third attempt was made.", session
    )
    _interrupted_soon(session, first, "waiting for its next attempt")


def _paused(play: Play) -> tuple[Session, Said]:
    """A session whose task met a key that is refused, and waits for somebody to mend that."""
    session = play.session()
    said = session.write()
    play.note("401")
    play.model.fail("unauthorized", match=f"plan {said.word}")
    session.send(said)
    play.until(
        lambda: play.row(said.task).get("status") in ("paused", "completed"),
        "The model answered 401 for 15 s, and the task was not paused.",
        session,
        question="How many attempts does your retry policy allow, and what happens after them?",
        limit=15.0,
    )
    row = play.row(said.task)
    if row["status"] != "paused":
        raise Broken(
            f"A refused key ended the task: {row.get('completion_failure') or 'with a result'}.",
            picture=session.picture(),
            question="An operator can mend the key. What should the task do until then?",
        )
    if (status := session.status(said)) != "running":
        raise Broken(f"The task is paused, and its turn says {status}.", picture=session.picture())
    return session, said


def _interrupted_soon(session: Session, first: Said, state: str) -> None:
    second = session.write()
    try:
        session.send(second, patience=_FAST_ENOUGH)
    except Broken as error:
        raise Broken(
            f"A task that was {state} was not interrupted within {_FAST_ENOUGH:g} s.",
            picture=error.picture,
            question="When does a task that waits hear of its cancellation, and what makes its "
            "next attempt come sooner?",
        ) from None
    session.play.model.mend()
    session.over(first)
    session.completed(second)
