"""Levels 0 to 4: messages become turns, one after the other, whatever happens."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from workbench.clients import sql_text
from workbench.ladder.errors import Broken
from workbench.ladder.play import FILES, Play, Said, Session
from workbench.oracle.snapshot import seconds

CLOCK = 0.03
"""Seconds by which the clocks of server and model may be apart on one machine."""


def speak(play: Play) -> None:
    """One message, answered while the model is held; then its turn ends."""
    session = play.session()
    said = session.write()
    with play.held(f"plan {said.word}"):
        sending = session.send_later(said)
        play.until(
            lambda: sending.done() or session.requests(said),
            "Nobody answered, and the model was not asked.",
            session,
        )
        if sending.done():
            sending.result()
            session.turns()
        session.wait_held(said, "plan")
        play.until(
            sending.done,
            "`message` was not answered while the model was at work.",
            session,
            question="What does `message` wait for? Could another invocation do the work?",
            limit=3.0,
        )
        sending.result()
        turn = session.turn(said)
        if turn is None or turn["status"] != "running" or turn["task_id"] != said.task:
            raise Broken(
                f"While the model was at work, `turns` said {turn} of the message.",
                picture=session.picture(),
                question="When is the turn written down: with the message, or with the answer?",
            )
    turn = session.completed(said)
    if turn["turn"] != 1 or said.answers[0]["turn"] != 1:
        raise Broken(f"The first turn of a session has the number {turn['turn']}.")


def survive(play: Play) -> None:
    """SIGKILL in the second of three model calls: what has finished is not done again."""
    session = play.session()
    said = session.write()
    with play.held(f"write {said.word}", f"write {FILES[0]} {said.word}"):
        session.send(said)
        session.wait_held(said, "write")
        play.settle()
        play.note("SIGKILL, and start again")
        play.contestant.kill()
        play.contestant.start()
    session.completed(said, limit=12.0)
    done = [each.prompt for each in session.requests(said) if each.status == "completed"]
    if twice := sorted({prompt for prompt in done if done.count(prompt) > 1}):
        raise Broken(
            f"`{twice[0]}` was answered {done.count(twice[0])} times.",
            picture=session.picture(),
            question="Which of your model calls are in the journal, and under which name?",
        )
    for step in ("plan", "write", "review"):
        if not any(prompt.startswith(step) for prompt in done):
            raise Broken(
                f"No request `{step} …` was answered.",
                picture=session.picture(),
                question="Does a task ask three times: plan, write, review?",
            )


def stop(play: Play) -> None:
    """A second message while the first is at work: heard in an answer, and between two attempts."""
    session = play.session()
    first, second = session.write(), session.write()
    with play.held(f"plan {first.word}"):
        session.send(first)
        session.wait_held(first, "plan")
        session.send(second)
        row = session.over(first)
    if row.get("completion_failure") != "[409] cancelled":
        raise Broken(
            f"Task 1 ended with {row.get('completion_failure') or 'a result'}, not with "
            "[409] cancelled.",
            picture=session.picture(),
            question="Is the cancellation caught, and not raised again?",
        )
    session.completed(second)
    _over_before_the_next_asks(session, first, second)

    # A task that waits for its next attempt hears late: whoever does not wait for it is found out.
    session = play.session()
    first, second = session.write(), session.write()
    play.model.fail("outage", match=f"plan {first.word}")
    play.note("503 for message 1")
    session.send(first)
    play.until(
        lambda: [each for each in session.requests(first) if each.status == "refused"],
        "Task 1 did not ask the model.",
        session,
    )
    with suppress(Broken):  # a program may well retry by itself, and wait in some other way
        play.until(lambda: play.failures(first.task), "No attempt failed.", limit=0.3)
    session.send(second)
    play.model.mend()
    session.completed(second)
    session.over(first)
    _over_before_the_next_asks(session, first, second)


def first_request_seconds(play: Play) -> float:
    """From sending a message that interrupts a task to the new task's first request."""
    session = play.session()
    first, second = session.write(), session.write()
    with play.held(f"plan {first.word}"):
        session.send(first)
        session.wait_held(first, "plan")
        session.send(second)
        session.completed(second)
    asked = session.requests(second)[0].started_at
    return asked - (second.sent_at or asked)


def _over_before_the_next_asks(session: Session, old: Said, new: Said) -> None:
    ended = seconds(session.over(old)["completed_at"])
    asked = min(each.started_at for each in session.requests(new))
    if ended > asked + CLOCK:
        raise Broken(
            f"Task {new.number} asked the model {ended - asked:.2f} s before task {old.number} "
            "was over.",
            picture=session.picture(),
            question="`cancel_invocation` only asks. What tells you that it has happened?",
        )


def third(play: Play) -> None:
    """Ten messages one by one, ten at once: never are two tasks of a session at work."""
    session = play.session()
    with play.held(f"plan {session.key}."):
        for _ in range(10):
            said = session.send()
            session.wait_held(said, "plan")
            play.until(  # late reports arrive
                lambda: not play.open_calls(session.key),
                "The session's key is not free any more.",
                session,
                question="What does a handler of the session wait for?",
            )
            _only_the_newest(play, session)
    session.completed(session.said[-1])
    for _ in range(3):
        _ends_while_a_message_comes(play)

    session = play.session()
    messages = [session.write() for _ in range(10)]
    with play.held(f"plan {session.key}."):
        play.note("ten messages at once")
        sending = [session.send_later(each) for each in messages]
        for each in sending:
            each.result()
        newest = max(messages, key=lambda each: each.answers[0]["turn"] if each.answers else 0)
        session.wait_held(newest, "plan")
        _only_the_newest(play, session, newest)
        asked = len(session.requests())
    play.star(asked <= 2, f"ten messages at once cost {asked} model calls (★: at most 2)")
    session.completed(newest)


def _ends_while_a_message_comes(play: Play) -> None:
    """The report of a task that is just over must not be taken for one of the next."""
    session = play.session()
    first, second, third = (session.write() for _ in range(3))
    with play.held(f"review {first.word}"):
        session.send(first)
        session.wait_held(first, "review")
    with play.held(f"plan {second.word}", f"plan {third.word}"):
        for said in (second, third):
            session.send(said)
            session.wait_held(said, "plan")
            play.settle()
        _only_the_newest(play, session, third)
    session.completed(third)


def _only_the_newest(play: Play, session: Session, newest: Said | None = None) -> None:
    newest = newest or session.said[-1]
    tasks = {each.task: each for each in session.said if each.accepted}
    ids = ", ".join(map(sql_text, tasks))
    rows = play.admin.query(
        f"SELECT id FROM sys_invocation WHERE id IN ({ids}) AND status <> 'completed'", echo=False
    )
    at_work = sorted(tasks[row["id"]].number for row in rows)
    asking = play.still(lambda: [r.prompt for r in session.requests() if r.ended_at is None], 0.1)
    others = [prompt for prompt in asking if newest.word not in prompt]
    if at_work not in ([], [newest.number]) or others:
        older = [n for n in at_work if n != newest.number]
        what = f"task {older[0]} was still at work" if older else f"`{others[0]}` went on"
        raise Broken(
            f"When task {newest.number} asked the model, {what}.",
            picture=session.picture(),
            question=f"Which id did your session hold when message {newest.number} came in, and "
            "who had written it?",
        )


def crowd(play: Play) -> None:
    """Five clients with four messages each; some are sent twice with their key, one SIGKILL."""
    session = play.session()
    play.note("5 clients × 4 messages, a third sent twice")
    clients = [[session.write() for _ in range(4)] for _ in range(5)]
    order = play.random.sample(range(20), 7)  # whose answer gets lost

    def client(messages: list[Said]) -> None:
        for said in messages:
            _patiently(session, said)
            if said.number - 1 in order:
                _patiently(session, said)

    sending: list[Future[Any]] = [play.pool.submit(client, messages) for messages in clients]
    play.until(
        lambda: sum(bool(each.accepted) for each in session.said) >= 6 or all_done(sending),
        "Six messages were not answered.",
        session,
    )
    play.note("SIGKILL, and start again")
    play.contestant.kill()
    play.contestant.start()
    for each in sending:
        each.result(timeout=20)
    newest = max(session.said, key=lambda each: each.answers[0]["turn"] if each.answers else 0)
    session.completed(newest, limit=12.0)
    running = play.still(
        lambda: [turn["turn"] for turn in session.turns() if turn["status"] == "running"], 1.0
    )
    if running:
        raise Broken(
            f"All is over, and turns {', '.join(map(str, running))} say running.",
            picture=f"{session.ledger()}\n\n{session.picture()}",
            question="Who writes down that a turn was interrupted?",
        )


def all_done(futures: Sequence[Future[Any]]) -> bool:
    """Whether all have ended."""
    return all(each.done() for each in futures)


def _patiently(session: Session, said: Said) -> None:
    """Send, and send again with the same key while nobody answers."""
    for _ in range(3):
        try:
            session.send(said, patience=6.0)
            return
        except Broken:
            continue
    raise Broken(
        f"Message {said.number} was not answered, though it was sent three times.",
        picture=session.picture(),
    )
