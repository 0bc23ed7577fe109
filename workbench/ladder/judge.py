"""Runs a program through the levels, and says what came of each."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from workbench.clients import Admin, sql_text
from workbench.ladder import turns
from workbench.ladder.contestant import AGENT, Contestant
from workbench.ladder.errors import Broken, Unplayable
from workbench.ladder.levels import FOLDER, LEVELS, Level
from workbench.ladder.play import Play
from workbench.model_client import ScriptedModel, start_scripted_model
from workbench.oracle.snapshot import Server, snapshot_of
from workbench.restate import Restate, start_restate
from workbench.state_dir import REPOSITORY
from workbench.views.journal import journal_rows
from workbench.views.lanes import colored
from workbench.views.tree import tree_rows

PASSED, FAILED = "✓", "✗"
_PLAIN = (sys.executable, str(FOLDER / "solutions" / "level_02.py"))
_SAMPLES = 5
_ORPHAN = re.compile("task (inv_[0-9A-Za-z]+) belongs to no turn")
_SENT = "What if `message` is ended after it has started a task, and before it writes the turn?"


@dataclass
class Verdict:
    """What came of a level.

    Attributes:
        what: the broken law as it was seen, in a sentence; empty where it was kept.
        stars: what was measured beside the law.
    """

    level: Level
    seed: int
    seconds: float
    broken: Broken | None = None
    did: Sequence[str] = ()
    stars: Sequence[tuple[bool, str]] = ()
    evidence: Path | None = None

    @property
    def passed(self) -> bool:
        return self.broken is None

    def text(self, program: str) -> str:
        """The verdict as it is printed; `program` is how it was given."""
        head = f"Level {self.level.number} · {self.level.name}"
        if self.broken is None:
            stars = [f"  {'★' if earned else '☆'} {text}" for earned, text in self.stars]
            return "\n".join([f"{PASSED} {head} · {self.seconds:.1f} s", *stars])
        again = f"./scripts/judge {program} --level {self.level.number} --seed {self.seed}"
        parts = [
            f"{FAILED} {head} · law broken after: {_in_short(self.did)}",
            f"Law {self.level.number}: {self.level.law}",
            _indented(self.broken.picture),
            self.broken.what,
            f"Ask yourself: {self.broken.question}" if self.broken.question else "",
            f"Taught in: {self.level.lesson}\nAgain: {again}"
            + (f"\nEvidence: {_in_repository(self.evidence)}" if self.evidence else ""),
        ]
        return "\n\n".join(filter(None, parts))


@dataclass
class Judge:
    """A server, a model, and a program between them."""

    restate: Restate
    model: ScriptedModel
    admin: Admin
    contestant: Contestant
    seed: int = 1
    evidence: Path | None = None
    storm_seconds: float = 60.0
    compares_speed: bool = False
    played: list[Verdict] = field(default_factory=list)

    def climb(
        self, last: int, *, first: int = 0, tell: Callable[[Verdict], None] = lambda verdict: None
    ) -> list[Verdict]:
        """Play the levels up to `last`, until one is lost; `tell` hears of each.

        Raises Unplayable where the program cannot be judged.
        """
        self.contestant.start()
        for level in LEVELS[first : last + 1]:
            verdict = self._play(level)
            if self.compares_speed and verdict.passed and level.number == 2:
                verdict.stars = [self._speed()]
            self.played.append(verdict)
            tell(verdict)
            if not verdict.passed:
                break
        return self.played

    def _speed(self) -> tuple[bool, str]:
        """How long an interruption takes to the new task's first request, beside the plain pattern
        in the same minutes on the same machine.
        """
        mine = self._first_request(self.contestant, 1)
        plain = Contestant("plain", _PLAIN, FOLDER, self.restate, self.model, self.admin)
        try:
            plain.start()
            theirs = self._first_request(plain, 2)
        finally:
            plain.stop()
            self.contestant.register()
        text = f"first request of the new task after {mine * 1000:.0f} ms, {mine / theirs:.1f} × "
        return mine <= 2 * theirs, f"{text}the plain pattern (★: at most 2 ×)"

    def _first_request(self, contestant: Contestant, run: int) -> float:
        play = self._begin(LEVELS[2], contestant, self.seed * 100 + 50 + run)
        try:
            return median(turns.first_request_seconds(play) for _ in range(_SAMPLES))
        finally:
            self._end(play)

    def _begin(self, level: Level, contestant: Contestant, seed: int) -> Play:
        return Play(
            self.restate,
            self.model,
            self.admin,
            contestant,
            seed=seed,
            seconds=level.seconds,
            storm_seconds=self.storm_seconds,
        )

    def _end(self, play: Play) -> None:
        play.close()
        self.admin.end(row["id"] for row in play.open_invocations())

    def _play(self, level: Level) -> Verdict:
        play = self._begin(level, self.contestant, self.seed * 100 + level.number)
        began = time.monotonic()
        broken = None
        try:
            try:
                level.play(play)
                self._look(play, level)
            except Broken as error:
                self.contestant.look()  # one that is gone breaks no law
                broken = error
            seconds = time.monotonic() - began
            verdict = Verdict(level, self.seed, seconds, broken, play.did, play.stars)
            if broken and self.evidence:
                verdict.evidence = self.evidence / f"{level.number}-seed-{self.seed}"
                _keep(verdict, play)
            return verdict
        finally:
            self._end(play)

    def _look(self, play: Play, level: Level) -> None:
        """Ask the oracle, when all is quiet."""
        checks = [check for each in LEVELS[: level.number + 1] for check in each.laws]
        server = Server(self.restate.ingress_url, self.restate.admin_url)
        if not checks:
            return
        for session in play.sessions:
            words = {said.word: said for said in session.said}
            requests = [
                dataclasses.replace(each, label=f"{session.key}/{said.answers[0]['turn']}/step")
                for each in session.requests()
                for word, said in words.items()
                if word in each.prompt and said.answers
            ]
            snapshot = snapshot_of(
                server, session.key, session.log, requests, AGENT, session.turns()
            )
            for check, question in checks:
                for wrong in check(snapshot):
                    picture = f"{session.ledger()}\n\n{session.picture()}"
                    if orphan := _ORPHAN.fullmatch(wrong):
                        picture, question = session.story_of(orphan[1]), _SENT
                    what = f"{session.named(wrong).capitalize()}."
                    raise Broken(what, picture=picture, question=question)


@contextmanager
def judge_of(
    program: str, command: Sequence[str], folder: Path, seed: int, evidence: Path | None = None
) -> Iterator[Judge]:
    """A judge with a server and a model of its own; it ends with the block.

    The state folder is the caller's to choose, and `stop_all()` ends all that is in it.
    """
    restate = start_restate("embedded", progress=lambda line: print(line, file=sys.stderr))
    model = start_scripted_model()
    with Admin(restate, echo=lambda text: None) as admin:
        contestant = Contestant(program, command, folder, restate, model, admin)
        try:
            yield Judge(restate, model, admin, contestant, seed, evidence)
        finally:
            contestant.stop()


def _keep(verdict: Verdict, play: Play) -> None:
    """Write down what the verdict stands on."""
    folder = verdict.evidence
    assert folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "verdict.txt").write_text(verdict.text(play.contestant.name), encoding="utf-8")
    if verdict.broken and verdict.broken.picture:
        page = f"<!doctype html><meta charset=utf-8><pre>{colored(verdict.broken.picture)}</pre>"
        (folder / "picture.html").write_text(page, encoding="utf-8")
    (folder / "program.log").write_text(play.contestant.log, encoding="utf-8")
    for session in play.sessions:
        _write(folder / f"{session.key}-model.json", [vars(r) for r in session.requests()])
        _write(folder / f"{session.key}-messages.json", [vars(said) for said in session.said])
        ids = [said.task for said in session.said if said.accepted]
        rows = [row for id in ids for row in tree_rows(play.admin, id)]
        calls = play.admin.query(
            f"SELECT * FROM sys_invocation WHERE target_service_key = {sql_text(session.key)}",
            echo=False,
        )
        _write(folder / f"{session.key}-calls.json", calls)
        _write(folder / f"{session.key}-invocations.json", rows)
        journals = {row["id"]: journal_rows(play.admin, row["id"]) for row in rows[-200:]}
        _write(folder / f"{session.key}-journals.json", journals)


def _write(path: Path, what: object) -> None:
    path.write_text(json.dumps(what, indent=1, default=str, ensure_ascii=False), encoding="utf-8")


def _in_repository(path: Path) -> Path:
    return path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path


def _in_short(did: Sequence[str]) -> str:
    shown = list(did[-6:])
    return " → ".join((["…"] if len(did) > len(shown) else []) + shown) or "nothing yet"


def _indented(text: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in text.splitlines())


__all__ = ["Judge", "Unplayable", "Verdict", "judge_of"]
