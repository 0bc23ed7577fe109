"""Levels 5 to 7: an interruption is heard at once, leaves nothing behind, and is finished."""

from __future__ import annotations

from functools import partial

from workbench.ladder.errors import Broken
from workbench.ladder.play import FILES, Play, Said, Session
from workbench.ladder.turns import CLOCK
from workbench.model_client import ModelRequest
from workbench.views.tree import tree_rows

CLEANUP = "sum up"
"""What a task asks the model when it is interrupted, before it ends."""


def silence(play: Play) -> None:
    """The cleanup's first call is held: nothing else of the old task speaks meanwhile."""
    session = play.session()
    first, second = session.write(), session.write()
    with play.held(f"{CLEANUP} {first.word}"):
        play.slow_down()
        session.send(first)
        session.wait_held(first, "write")
        sending = session.send_later(second)
        cleanup = session.wait_held(first, CLEANUP)
        old = _others(session, first)
        late = [each for each in old if each.ended_at is None or each.ended_at > cleanup.started_at]
        if late and (late[0].ended_at or cleanup.started_at + 1) > cleanup.started_at + CLOCK:
            before = late[0].completion_tokens
            after = play.still(lambda: len(_others(session, first)), 0.5) and max(
                each.completion_tokens for each in _others(session, first)
            )
            raise Broken(
                f"When the cleanup asked the model, `{_words(late[0])} …` was still being "
                f"answered: {max(0, after - before)} more tokens in the next half second.",
                picture=session.picture(),
                question="What stops a step that is under way, and do you wait for it to stop?",
            )
        if sending.done() or session.requests(second):
            raise Broken(
                "Message 2 went on before the cleanup of task 1 was over.",
                picture=session.picture(),
                question="What does `message` wait for: the cancel, or the end of the task?",
            )
    play.hurry()
    sending.result()
    answered = second.answered_at or 0.0
    if loud := [r for r in session.requests(first) if (r.last_token_at or 0.0) > answered + CLOCK]:
        raise Broken(
            f"`{_words(loud[0])} …` got a token after message 2 had been answered.",
            picture=session.picture(),
        )
    session.completed(second)


def all_or_none(play: Play) -> None:
    """An interruption with one file written and one held; then one just when all is done."""
    session = play.session()
    first, second = session.write(), session.write()
    late = play.random.choice(FILES)
    with play.held(f"write {late} {first.word}"):
        session.send(first)
        session.wait_held(first, f"write {late}")
        for path in FILES:
            play.until(
                partial(session.requests, first, f"write {path} "),
                f"While `write {late} …` was held, the model was not asked `write {path} …`.",
                session,
                question="Are the files written side by side, each by an invocation of its own?",
            )
        play.until(
            lambda: sum(r.status == "completed" for r in session.requests(first, "write")) == 2,
            "Two of three files were not written.",
            session,
        )
        play.settle()
        files_are(session, [], "with one file still to be written")
        sending = session.send_later(second)
        sending.result()
        session.completed(second)
    files_are(session, [second], "when turn 2 was completed")
    play.settle()
    files_are(session, [second], "when everything had come to rest")
    other = session.write(("menu.txt",))
    session.send(other)
    session.completed(other)
    files_are(session, [second, other], "when turn 3 was completed")
    for _ in range(4):
        _in_the_last_moment(play)
    session = play.session()
    said = session.send(session.write(FILES[:2]))
    session.completed(said)
    made = len(tree_rows(play.admin, said.id))
    play.star(made <= 12, f"a turn with two files took {made} invocations (★: at most 12)")


def _in_the_last_moment(play: Play) -> None:
    """Interrupted while the files are put down: the turn and the files have to agree."""
    session = play.session()
    first, second = session.write(), session.write(("menu.txt",))
    with play.held(f"review {first.word}"):
        session.send(first)
        session.wait_held(first, "review")
    session.send(second)
    session.completed(second)
    done = [said for said in (first, second) if session.status(said) == "completed"]
    files_are(session, done, "after an interruption in the last moment")


def files_are(session: Session, done: list[Said], when: str) -> None:
    wanted = {
        path: session.content(said, path)
        for said in done
        for path in ([*FILES] if session.requests(said, f"write {FILES[0]} ") else ["menu.txt"])
    }
    files = session.files()
    if files == wanted:
        return
    lines = []
    for path in sorted(files.keys() | wanted.keys()):
        has, should = (_whose(session, each.get(path)) for each in (files, wanted))
        lines.append(f"{path:<10} {has:<12} {'' if has == should else f'◀ should be {should}'}")
    raise Broken(
        f"The files are not those of the completed turns, {when}.",
        picture="\n".join([line.rstrip() for line in lines] + ["", session.picture()]),
        question="Who puts a file where `files` finds it, and can that happen before, or after, "
        "all the others?",
    )


def _whose(session: Session, text: str | None) -> str:
    if text is None:
        return "not there"
    return next((f"of turn {s.number}" for s in session.said if s.word in text), "other text")


def twice(play: Play) -> None:
    """Cancelled again and again in its cleanup; and `message`, too, while it waits."""
    session = play.session()
    first = session.write()
    with play.held(f"{CLEANUP} {first.word}", f"write {FILES[0]} {first.word}"):
        session.send(first)
        session.wait_held(first, "write")
        session.operate("cancel", first.task, first.task)
        session.wait_held(first, CLEANUP)
        for again in (2, 3):
            session.operate("cancel", first.task, first.task)
            play.until(
                partial(_cancelled, session, first, again),
                "A further cancel did not reach the task.",
                session,
            )
            play.still(lambda: [r.status for r in session.requests(first, CLEANUP)], 0.3)
    _finished(session, first)

    session = play.session()
    first, second = session.write(), session.write()
    with play.held(f"{CLEANUP} {first.word}", f"write {FILES[0]} {first.word}"):
        session.send(first)
        session.wait_held(first, "write")
        sending = session.send_later(second)
        session.wait_held(first, CLEANUP)
        id = session.message_at_work()
        session.operate("cancel", id)
        play.until(
            lambda: play.cancels(id) or not play.row(id) or sending.done(),
            "The cancel did not reach message 2.",
            session,
        )
        third = session.write()
        waiting = session.send_later(third)
        play.settle()
        if session.requests(third):
            raise Broken(
                "Task 3 asked the model while task 1 was still cleaning up.",
                picture=session.picture(),
                question="Message 2 was cancelled while it waited. What does the session know of "
                "task 1 from then on?",
            )
    sending.result()
    _finished(session, first)
    waiting.result()
    session.completed(third)


def _cancelled(session: Session, said: Said, times: int) -> bool:
    return session.play.cancels(said.task) >= times or session.over_now(said)


def _finished(session: Session, said: Said) -> None:
    session.over(said)
    cleanups = session.requests(said, CLEANUP)
    if not any(each.status == "completed" for each in cleanups):
        raise Broken(
            f"The cleanup of task {said.number} was cut short: "
            f"`{CLEANUP} …` {cleanups[-1].status if cleanups else 'was never asked'}.",
            picture=session.picture(),
            question="A second cancel surfaces at the next await, also in an `except` block. "
            "Which waiting raises it, and can you wait again?",
        )
    session.play.until(
        lambda: session.status(said) == "interrupted",
        f"Turn {said.number} does not say interrupted.",
        session,
        question="Who writes down that a task was cancelled, and when?",
    )


def _others(session: Session, said: Said) -> list[ModelRequest]:
    """The requests of a task but those of its cleanup."""
    return [r for r in session.requests(said) if not r.prompt.startswith(CLEANUP)]


def _words(request: ModelRequest) -> str:
    return request.prompt.split(":")[0].rsplit(" ", 1)[0]
