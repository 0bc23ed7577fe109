"""Level 12: everything at once, for a while; then all is let go, and the laws are looked at."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Callable
from typing import Any

import httpx

from workbench.ladder.errors import Broken
from workbench.ladder.play import FILES, Play, Said, Session, waiting
from workbench.ladder.turns import all_done
from workbench.oracle.log import Fault, Stop, now
from workbench.restate import start_restate
from workbench.state_dir import WorkbenchError

_SESSIONS = 4
_QUIET = 60.0  # seconds until all has come to rest


def storm(play: Play) -> None:
    """Users, an operator and faults, each in a thread of its own."""
    _stop_ends_what_runs(play)
    sessions = [play.session() for _ in range(_SESSIONS)]
    faults: list[Fault] = []
    for session in sessions:
        session.log.faults = faults
    end = time.monotonic() + play.storm_seconds
    play.note(f"{play.storm_seconds:g} s of everything")
    play.model.set(tokens_per_second=2_000)
    actors: list[Callable[[random.Random], None]] = [
        *(lambda chance, it=session: _use(it, chance) for session in sessions),
        lambda chance: _operate(play, sessions, chance),
        lambda chance: _break(play, faults, chance),
    ]

    def act(actor: Callable[[random.Random], None], chance: random.Random) -> None:
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError, WorkbenchError):
                actor(chance)

    running = [
        play.pool.submit(act, actor, random.Random(f"{play.seed}-{number}"))
        for number, actor in enumerate(actors)
    ]
    while not all_done(running):  # somebody always looks after what is paused
        with contextlib.suppress(WorkbenchError):
            _resume(play, play.open_invocations())
        time.sleep(0.5)
    for each in running:
        each.result()
    play.model.mend()
    play.hurry()
    play.contestant.look()
    _come_to_rest(play)
    for session in sessions:
        _no_turn_is_open(session)
        _files_are_of_one_turn(session)


def _stop_ends_what_runs(play: Play) -> None:
    session = play.session()
    said = session.write()
    with play.held(f"plan {said.word}"):
        session.send(said)
        session.wait_held(said, "plan")
        session.call("stop")
        if not session.over_now(said) or session.status(said) != "interrupted":
            raise Broken(
                f"`stop` was answered, and turn 1 says {session.status(said)}.",
                picture=session.picture(),
                question="What does a message do before it starts its task?",
            )


def _use(session: Session, chance: random.Random) -> None:
    """One thing that a user does."""
    time.sleep(chance.uniform(0.05, 0.8))
    if chance.random() < 0.15:
        sent = now()
        answer = session.play.post(session.key, "stop", None, {}, 20.0)
        if answer.is_success:
            session.log.stops.append(Stop(sent, now()))
    else:
        _insist(session.play, session, session.write())


def _insist(play: Play, session: Session, said: Said) -> None:
    """Send a message, with its key, until somebody answers."""
    until = time.monotonic() + 40.0
    while time.monotonic() < until:
        with contextlib.suppress(httpx.TransportError):
            session.post(said, patience=15.0)
            if said.answers or said.ended_by_operator:
                return
            said.refusals.clear()  # the server's own, while it starts
        time.sleep(0.2)
    raise Broken(
        f"Message {said.number} was not answered for 40 s.",
        picture=waiting(session.play),
        question="What does `message` wait for, and has that heard of its cancellation?",
    )


def _operate(play: Play, sessions: list[Session], chance: random.Random) -> None:
    """One thing that an operator does."""
    time.sleep(chance.uniform(0.3, 1.5))
    verb = chance.choice(["cancel", "cancel", "kill"])
    rows = play.open_invocations()
    if not rows:
        return
    victim = chance.choice(rows)["id"]
    tasks = {said.task: session for session in sessions for said in session.said if said.answers}
    session = tasks.get(victim) or sessions[0]
    whole = play.row(victim).get("target", "")
    if "/message" in whole or "/stop" in whole:
        session = next((each for each in sessions if f"/{each.key}/" in whole), session)
    elif victim not in tasks:
        return  # a child: level 8 has killed one
    session.operate(verb, victim, victim if victim in tasks else None)


def _break(play: Play, faults: list[Fault], chance: random.Random) -> None:
    """One thing that breaks, and comes back."""
    time.sleep(chance.uniform(1.0, 3.0))
    kind = chance.choice(["agent", "agent", "model", "model", "server"])
    began = now()
    if kind == "agent":
        play.contestant.kill()
        time.sleep(chance.uniform(0.0, 0.5))
        play.contestant.start()
    elif kind == "server":
        play.restate.kill()
        play.restate = start_restate("embedded", progress=lambda text: None)
    else:
        fault: dict[str, Any] = chance.choice(
            [{"kind": "outage"}, {"kind": "cut", "after_tokens": 5}, {"kind": "server_error"}]
        )
        play.model.fail(**fault)
        time.sleep(chance.uniform(0.2, 1.0))
        play.model.mend()
        kind = str(fault["kind"])
    faults.append(Fault(kind, began, now()))


def _come_to_rest(play: Play) -> None:
    def quiet() -> bool:
        rows = play.open_invocations()
        _resume(play, rows)
        return not rows

    end = time.monotonic() + _QUIET
    while True:
        with contextlib.suppress(WorkbenchError):  # a server that has just begun
            if quiet():
                return
        if time.monotonic() > end:
            raise Broken(
                f"{_QUIET:g} s after the storm something was still open.",
                picture=waiting(play),
                question="What do they wait for, and who has gone?",
            )
        time.sleep(0.1)


def _resume(play: Play, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        if row["status"] == "paused":
            path = f"/invocations/{row['id']}/resume"
            play.admin.request("PATCH", path, allow={404, 409}, echo=False)


def _no_turn_is_open(session: Session) -> None:
    for said in session.said:
        if session.status(said) == "running":
            raise Broken(
                f"Nothing is at work any more, and turn {session.turn(said)} says running.",
                picture=session.picture(),
            )


def _files_are_of_one_turn(session: Session) -> None:
    turns = {turn["content"]: turn for turn in session.turns()}
    files = session.files()
    done = [
        said
        for said in session.said
        if (turn := turns.get(said.content)) and turn["status"] in ("completed", "killed")
    ]
    whole = [{path: session.content(said, path) for path in FILES} for said in done]
    needed = any(turns[said.content]["status"] == "completed" for said in done)
    if files not in whole and (files or needed):
        raise Broken(
            f"The files of session {session.key} are not those of one turn.",
            picture=session.picture(),
        )
