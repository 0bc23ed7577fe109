"""Levels 10 and 11: a human who is asked, and a second version of the program."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress

import httpx

from workbench.clients import sql_text
from workbench.ladder.cancelling import CLEANUP
from workbench.ladder.errors import Broken
from workbench.ladder.play import ANSWER_SECONDS, FILES, Play, Said, Session

ACT, CHECK = "send", "check"
"""What a task asks when it was approved; and what its second version asks after the review."""


def approve(play: Play) -> None:
    """Yes, no, too late, for another turn; and both orders of a yes and an interruption."""
    session, said = _asking(play)
    play.note("SIGKILL, and start again")
    play.contestant.kill()
    play.contestant.start()
    _answer(session, said, yes=True)
    session.completed(said, limit=12.0)
    _sent(session, said, 1, "after a yes")

    session, said = _asking(play)
    _answer(session, said, yes=False)
    play.until(
        lambda: session.status(said) == "failed",
        "The answer was no, and the turn did not fail.",
        session,
        question="What does the task do with an answer that is no?",
    )
    _sent(session, said, 0, "after a no")

    session, first = _asking(play)
    second = session.write()
    session.send(second, approve=True)
    session.wait_asking(second)
    _answer(session, first, yes=True)
    play.settle()
    _sent(session, first, 0, "after a yes that came too late")
    _sent(session, second, 0, "after a yes for turn 1")
    _answer(session, second, yes=True)
    session.completed(second)
    _sent(session, second, 1, "after a yes")

    session, first = _asking(play)
    second = session.write()
    with play.held(f"{ACT} {first.word}"):
        _answer(session, first, yes=True)
        session.wait_held(first, ACT)
        sending = session.send_later(second)
        _told(play, session, first, sending)
    sending.result()
    _sent(session, first, 1, "when the interruption came after the yes")
    if (status := session.status(first)) != "completed":
        raise Broken(
            f"It was sent, and the turn says {status}.",
            picture=session.picture(),
            question="From which line on is it too late to be interrupted, and what does your "
            "task do with a cancel behind that line?",
        )
    session.completed(second)

    session, first = _asking(play)
    second = session.write()
    with play.held(f"{CLEANUP} {first.word}"):
        sending = session.send_later(second)
        session.wait_held(first, CLEANUP)
        answering = play.pool.submit(_answer, session, first, yes=True)  # it may have to wait
        play.settle()
    answering.result()
    sending.result()
    session.completed(second)
    _sent(session, first, 0, "when the yes came after the interruption")


def _asking(play: Play) -> tuple[Session, Said]:
    """A session whose task waits for an answer."""
    session = play.session()
    said = session.send(approve=True)
    session.wait_asking(said)
    return session, said


def _answer(session: Session, said: Said, *, yes: bool) -> None:
    session.play.note(f"{'yes' if yes else 'no'} to turn {said.answers[0]['turn']}")
    body = {"turn": said.answers[0]["turn"], "yes": yes}
    try:
        answer = session.play.post(session.key, "approve", body, {}, ANSWER_SECONDS)
    except httpx.TimeoutException:
        raise Broken(
            f"`approve` was not answered within {ANSWER_SECONDS:g} s.", picture=session.picture()
        ) from None
    if answer.status_code >= 500 or answer.status_code == 404:
        raise Broken(
            f"`approve` was answered {answer.status_code}: {answer.text[:120]}.",
            picture=session.picture(),
        )


def _told(play: Play, session: Session, said: Said, sending: Future[Said]) -> None:
    """Wait until a task was told of its cancellation, if somebody wants to tell it that."""
    with suppress(Broken):
        play.until(
            lambda: play.cancels(said.task) or session.over_now(said) or sending.done(),
            "The task was not told.",
            limit=2.0,
        )
    play.settle()


def _sent(session: Session, said: Said, times: int, when: str) -> None:
    acts = session.requests(said, ACT)
    done = [each for each in acts if each.status == "completed"]
    if len(done) != times or len(acts) != times:
        raise Broken(
            f"`{ACT} …` was asked {len(acts)} times and done {len(done)} times {when}; "
            f"it must be {times}.",
            picture=session.picture(),
            question="Who looks whether a yes is still wanted, and can an act be cut in two?",
        )


def upgrade(play: Play) -> None:
    """A second version beside the first, while tasks of the first are at work."""
    session, other = play.session(), play.session()
    first, moved = session.write(), other.write()
    with play.held(f"write {FILES[0]} {first.word}", f"plan {moved.word}"):
        session.send(first)
        other.send(moved)
        session.wait_held(first, f"write {FILES[0]}")
        other.wait_held(moved, "plan")
        play.settle()
        play.note("version 2 is registered")
        play.contestant.start(version=2)
        later = other.write()
        other.send(later)  # interrupts what the first version runs
        other.completed(later)
    session.completed(first)
    _on_version(session, first, 1)
    _on_version(other, later, 2)
    if other.status(moved) != "interrupted":
        raise Broken(f"Turn 1 of the other session says {other.status(moved)}.")

    play.until(lambda: not _pinned(play, 1), "Version 1 is never done.", session, limit=15.0)
    play.note("version 1 is stopped")
    play.contestant.stop(version=1)
    last = session.send()
    session.completed(last)
    _on_version(session, last, 2)
    play.contestant.start()  # for the levels that follow
    play.contestant.register()
    play.contestant.stop(version=2)


def _pinned(play: Play, version: int) -> list[str]:
    id = play.contestant.deployments[version]
    rows = play.admin.query(
        "SELECT id, status FROM sys_invocation WHERE status <> 'completed' "
        f"AND pinned_deployment_id = {sql_text(id)}",
        echo=False,
    )
    if any(row["status"] == "paused" for row in rows):
        raise Broken(
            "The upgrade has paused an invocation.",
            question="What did the new code do otherwise before the point where the task stood?",
        )
    return [row["id"] for row in rows]


def _on_version(session: Session, said: Said, version: int) -> None:
    checks = len(session.requests(said, CHECK))
    pinned = session.play.row(said.task).get("pinned_deployment_id")
    if checks != version - 1 or pinned != session.play.contestant.deployments[version]:
        raise Broken(
            f"Task {said.number} began on version {version}, and asked `{CHECK} …` "
            f"{checks} times; it must be {version - 1}.",
            picture=session.picture(),
            question="A call of a task goes to the newest version, whatever the caller runs on. "
            "What of a task must not be a call, and where does AGENT_VERSION decide?",
        )
