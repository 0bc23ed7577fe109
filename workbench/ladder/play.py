"""What the judge has in its hands in a level: sessions, the model, the server, and a clock."""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any, TypeVar
from urllib.parse import quote

import httpx

from workbench.clients import Admin, sql_text
from workbench.ladder.contestant import AGENT, Contestant
from workbench.ladder.errors import Broken, Unplayable
from workbench.ladder.pictures import streams
from workbench.model_client import ModelRequest, ScriptedModel
from workbench.oracle.log import Action, Log, Message, now
from workbench.restate import Restate
from workbench.views.lanes import is_cancel, lanes
from workbench.views.tree import tree_rows

T = TypeVar("T")

ANSWER_SECONDS = 8.0
"""How long the judge waits for any one thing."""

FILES = ("cart.txt", "shop.txt", "till.txt")
"""What the model plans, from level 6 on."""

_NAMES = ("kiwi", "plum", "pear", "lime", "fig", "date", "nut", "pea")
_FAST, _SLOW = 5_000.0, 100.0
_LONG = " ".join(f"word {n}" for n in range(1, 101))


@dataclass
class Said(Message):
    """A message as it was sent; `id` is the invocation of its `message`."""

    word: str = ""
    number: int = 0
    id: str = ""

    @property
    def task(self) -> str:
        """The id of its task. Raises Broken where it was not accepted."""
        if not self.accepted:
            raise Broken(f"Message {self.number} was not accepted: {self.refusals or 'no answer'}.")
        return str(self.accepted["task_id"])


@dataclass
class Session:
    """One session of the program. Each message has a word in it by which the model knows it."""

    play: Play
    key: str
    log: Log = field(default_factory=Log)
    said: list[Said] = field(default_factory=list)

    def write(self, files: Sequence[str] = FILES) -> Said:
        """Make the next message, and let the model know what to answer to it."""
        number = len(self.said) + 1
        word = f"{self.key}.{number}:"
        said = Said(f"{word} a small shop", word=word, number=number)
        self.said.append(said)
        self.log.messages.append(said)
        model = self.play.model
        model.answer(word, _LONG)
        model.answer(f"plan {word}", "[" + ", ".join(f'"{path}"' for path in files) + "]")
        for path in files:
            model.answer(f"write {path} {word}", self.content(said, path))
        return said

    def content(self, said: Said, path: str) -> str:
        """What the model writes into a file."""
        return f"{path} for {said.word} {_LONG}"

    def send(
        self, said: Said | None = None, *, patience: float = ANSWER_SECONDS, **more: Any
    ) -> Said:
        """Send a message and wait for its answer. Raises Broken if none comes in time."""
        said = said or self.write()
        self.play.note(f"message {said.number}")
        try:
            self.post(said, patience=patience, **more)
        except httpx.TimeoutException:
            raise Broken(
                f"Message {said.number} was not answered within {patience:g} s.",
                picture=self.picture(),
                question="What does `message` wait for, and who has to let it go on?",
            ) from None
        return said

    def post(self, said: Said, *, patience: float, **more: Any) -> None:
        """Send a message, with its own idempotency key, and note what is answered.

        Raises httpx.TransportError where nobody answers.
        """
        said.sent_at = said.sent_at or now()
        body = {"content": said.content, **more}
        headers = {"idempotency-key": f"{self.key}-{said.number}"}
        answer = self.play.post(self.key, "message", body, headers, patience)
        said.answered_at = said.answered_at or now()
        said.id = answer.headers.get("x-restate-id", "")
        if answer.is_error:
            said.refusals.append((answer.status_code, _said_by(answer)))
        else:
            said.answers.append(_reply(answer))

    def send_later(self, said: Said | None = None, **more: Any) -> Future[Said]:
        """Send a message without waiting; `.result()` is the answer."""
        said = said or self.write()
        return self.play.pool.submit(self.send, said, **more)

    def call(self, handler: str, body: Any = None, patience: float = ANSWER_SECONDS) -> Any:
        """Call another handler of the session. Raises Unplayable where it fails."""
        try:
            answer = self.play.post(self.key, handler, body, {}, patience)
        except httpx.TimeoutException:
            raise Broken(
                f"`{handler}` was not answered within {patience:g} s.",
                picture=self.picture(),
                question=f"Does `{handler}` wait for the session's key? Make it a shared handler.",
            ) from None
        if answer.is_error:
            raise Broken(
                f"`{handler}` was answered {answer.status_code}: {_said_by(answer)}.",
                picture=self.picture(),
            )
        return answer.json() if answer.content else None

    def turns(self) -> list[dict[str, Any]]:
        """What `turns` answers. Raises Unplayable where it is not as the contract has it."""
        turns = self.call("turns")
        wanted = {"turn", "content", "status", "task_id", "answer"}
        if not isinstance(turns, list) or not all(
            isinstance(turn, dict) and wanted <= turn.keys() for turn in turns
        ):
            raise Unplayable(
                f"`turns` answered {str(turns)[:120]}. The contract asks for a list of "
                f"{{{', '.join(sorted(wanted))}}}."
            )
        turns = [{"plan": None, "error": None, **turn} for turn in turns]
        self.log.look(turns)
        return turns

    def turn(self, said: Said) -> dict[str, Any] | None:
        """The turn of a message, if there is one."""
        return next((turn for turn in self.turns() if turn["content"] == said.content), None)

    def status(self, said: Said) -> str:
        """The status of a message's turn; empty if there is no turn."""
        return str((self.turn(said) or {}).get("status", ""))

    def files(self) -> dict[str, str]:
        """What `files` answers."""
        files = self.call("files")
        if not isinstance(files, dict):
            raise Unplayable(f"`files` answered {str(files)[:120]}; it must be {{path: text}}.")
        return files

    def requests(self, said: Said | None = None, begins: str = "") -> list[ModelRequest]:
        """The model's record of the session, or of one message, oldest first."""
        word = said.word if said else f"{self.key}."
        return [
            each
            for each in self.play.model.requests(after=self.play.mark)
            if word in each.prompt and each.prompt.startswith(begins)
        ]

    def wait_held(self, said: Said, begins: str, *, limit: float = ANSWER_SECONDS) -> ModelRequest:
        """Wait until the model is held in an answer to a request that begins so."""

        def held() -> ModelRequest | None:
            found = self.requests(said, begins)
            ready = [r for r in found if r.status == "streaming" and r.completion_tokens]
            return ready[-1] if ready else None

        return self.play.until(
            held,
            f"The task of message {said.number} did not ask the model `{begins} …`.",
            self,
            question="Which requests does a task make, and what are their first words?",
            limit=limit,
        )

    def wait_asking(self, said: Said) -> None:
        """Wait until a task has had its review, and does nothing more: it waits for an answer."""
        self.play.until(
            lambda: [r for r in self.requests(said, "review") if r.status == "completed"],
            f"The task of message {said.number} did not come to its review.",
            self,
        )
        self.play.settle()
        if self.over_now(said) or self.status(said) != "running":
            raise Broken(
                f"Nobody has answered, and turn {said.number} says {self.status(said)}.",
                picture=self.picture(),
                question="What does the task wait for, between its review and its end?",
            )

    def completed(self, said: Said, *, limit: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Wait until a message's turn is completed; return the turn."""

        def over() -> dict[str, Any] | None:
            turn = self.turn(said)
            return turn if turn and turn["status"] == "completed" and turn["answer"] else None

        try:
            return self.play.until(over, "", limit=limit)
        except Broken:
            turn = self.turn(said)
            says = f"{turn['status']}, answer {turn['answer']!r}" if turn else "of no such content"
        raise Broken(
            f"The turn of message {said.number} was not completed, with an answer, within "
            f"{limit:g} s: `turns` says {says}.",
            picture=self.picture(),
            question="Who writes the turn's end down, and what if that happens late, or never?",
        )

    def over(self, said: Said, *, limit: float = ANSWER_SECONDS) -> dict[str, Any]:
        """Wait until a message's task has ended; return its row."""
        return self.play.until(
            lambda: self._ended(said.task),
            f"Task {said.number} did not end.",
            self,
            question="Who tells a task that it is not wanted any more, and does it listen?",
            limit=limit,
        )

    def over_now(self, said: Said) -> bool:
        """Whether a message's task has ended."""
        return self._ended(said.task) is not None

    def _ended(self, id: str) -> dict[str, Any] | None:
        row = self.play.row(id)
        return row if row.get("status") == "completed" else None

    def operate(self, verb: str, id: str, task: str | None = None) -> None:
        """Cancel, kill, pause or resume an invocation, as an operator does."""
        target = str(self.play.row(id).get("target", id))
        self.log.actions.append(Action(verb, id, target, task, now()))
        self.play.note(f"{verb} {target.rsplit('/', 1)[-1]}")
        allowed = {404, 409}
        self.play.admin.request("PATCH", f"/invocations/{id}/{verb}", allow=allowed, echo=False)

    def picture(self) -> str:
        """Who was at work when: messages and tasks, and below them the model's answers."""
        named = []
        for said in sorted(self.said, key=lambda each: each.sent_at or 0.0):
            if said.id:
                named.append((f"message {said.number}", said.id))
            if said.accepted:
                named.append((f"task {said.number}", said.task))
        drawn = [lanes(self.play.admin, named[-8:])] if named else []
        return "\n\n".join([*drawn, *filter(None, [streams(self.requests()[-8:])])])

    def named(self, sentence: str) -> str:
        """A sentence of the oracle, with messages by their numbers."""
        for said in self.said:
            sentence = sentence.replace(repr(said.content), f"message {said.number}")
            if said.accepted:
                sentence = sentence.replace(said.task, f"task {said.number}")
        return sentence

    def message_at_work(self) -> str:
        """The id of the `message` that holds the session's key."""

        def found() -> str | None:
            rows = self.play.admin.query(
                "SELECT id FROM sys_invocation WHERE status <> 'completed' "
                f"AND target_service_name = '{AGENT}' AND target_handler_name = 'message' "
                f"AND target_service_key = {sql_text(self.key)} ORDER BY created_at",
                echo=False,
            )
            return str(rows[0]["id"]) if rows else None

        return self.play.until(found, "No `message` is at work.", self)

    def story_of(self, id: str) -> str:
        """An invocation and whoever has sent it."""
        sql = f"SELECT invoked_by_id AS it FROM sys_invocation WHERE id = {sql_text(id)}"
        rows = self.play.admin.query(sql, echo=False)
        sender = [("who has sent it", str(rows[0]["it"]))] if rows and rows[0].get("it") else []
        return lanes(self.play.admin, [*sender, ("the task", id)])

    def ledger(self) -> str:
        """What was answered beside what `turns` says; where they agree, only how often."""
        turns = {turn["content"]: turn for turn in self.turns()}
        lines, alike = [], 0
        for said in self.said:
            turn, reply = turns.get(said.content), said.accepted
            is_same = reply and turn and all(reply[it] == turn[it] for it in ("turn", "task_id"))
            alike += bool(is_same)
            if not is_same:
                has = f"turn {turn['turn']}, {turn['status']}" if turn else "no turn"
                answered = f"turn {reply['turn']}" if reply else "no answer"
                lines.append(f"message {said.number:<3} answered: {answered:<10} in turns: {has}")
        more = [f"… and {len(lines) - 6} more"] if len(lines) > 6 else []
        return "\n".join([*lines[:6], *more, f"{alike} messages are the turns that were answered"])

    def tree(self, said: Said) -> list[dict[str, Any]]:
        """The invocations below a message's task, its own first."""
        return tree_rows(self.play.admin, said.task)


class Play:
    """One run of one level."""

    def __init__(
        self,
        restate: Restate,
        model: ScriptedModel,
        admin: Admin,
        contestant: Contestant,
        *,
        seed: int,
        seconds: float,
        storm_seconds: float,
    ) -> None:
        self.restate, self.model, self.admin = restate, model, admin
        self.contestant = contestant
        self.seed, self.storm_seconds = seed, storm_seconds
        self.random = random.Random(seed)
        self.pool = ThreadPoolExecutor(24, thread_name_prefix="client")
        self.sessions: list[Session] = []
        self.did: list[str] = []
        self.mark = model.mark()
        self.stars: list[tuple[bool, str]] = []
        self._until = time.monotonic() + seconds
        self._seconds = seconds
        self._numbers = count(1)
        self._http = httpx.Client(
            base_url=restate.ingress_url, trust_env=False, limits=httpx.Limits(max_connections=64)
        )
        self.hurry()

    def close(self) -> None:
        """Let everything go on, and wait for nobody."""
        self.model.mend()
        self.model.release()
        self.pool.shutdown(wait=False, cancel_futures=True)
        self._http.close()

    def session(self) -> Session:
        """A session that nobody has used."""
        key = f"{self.random.choice(_NAMES)}-{self.seed}-{next(self._numbers)}"
        if self.sessions:
            self.note("another session")
        self.sessions.append(Session(self, key))
        return self.sessions[-1]

    def note(self, what: str) -> None:
        """Remember what the judge does, for the sequence that a verdict shows."""
        self.did.append(what)

    def hurry(self) -> None:
        """Let the model answer as fast as it can."""
        self.model.set(tokens_per_second=_FAST, first_token_seconds=0.0)

    def slow_down(self) -> None:
        """Let the model speak at 100 tokens a second."""
        self.model.set(tokens_per_second=_SLOW)

    @contextmanager
    def held(self, *matches: str, at: int = 3) -> Iterator[None]:
        """Within the block, answers to requests with these texts stop after a few tokens."""
        for match in matches:
            self.model.hold(match, at=at)
        try:
            yield
        finally:
            for match in matches:
                self.model.release(match)

    def post(
        self, key: str, handler: str, body: Any, headers: dict[str, str], patience: float
    ) -> httpx.Response:
        """Call a handler of the session `key`."""
        self._check_time()
        path = f"/{AGENT}/{quote(key, safe='')}/{handler}"
        return self._http.post(path, json=body, headers=headers, timeout=patience)

    def row(self, id: str) -> dict[str, Any]:
        """An invocation's row in `sys_invocation`; empty where there is none."""
        sql = (
            "SELECT id, target, status, completion_failure, completed_at, pinned_deployment_id "
            f"FROM sys_invocation WHERE id = {sql_text(id)}"
        )
        return next(iter(self.admin.query(sql, echo=False)), {})

    def failures(self, id: str) -> int:
        """How many attempts of an invocation have failed."""
        sql = (
            "SELECT count(*) AS n FROM sys_journal_events "
            f"WHERE id = {sql_text(id)} AND event_type = 'TransientError'"
        )
        return int(self.admin.query(sql, echo=False)[0]["n"])

    def cancels(self, id: str) -> int:
        """How many cancellations the journal of an invocation holds."""
        sql = f"SELECT entry_lite_json AS it FROM sys_journal WHERE id = {sql_text(id)}"
        rows = self.admin.query(sql, echo=False)
        return sum(is_cancel(json.loads(row["it"])) for row in rows)

    def open_calls(self, key: str) -> int:
        """How many calls of a session are open or queued."""
        sql = (
            "SELECT count(*) AS n FROM sys_invocation WHERE status <> 'completed' "
            f"AND target_service_name = '{AGENT}' AND target_service_key = {sql_text(key)}"
        )
        return int(self.admin.query(sql, echo=False)[0]["n"])

    def open_invocations(self) -> list[dict[str, Any]]:
        """What the program still has to do, the oldest first."""
        where = " OR ".join(
            f"pinned_deployment_id = {sql_text(id)}" for id in self.contestant.deployments.values()
        )
        return self.admin.query(
            "SELECT id, target, status, last_failure, retry_count FROM sys_invocation "
            f"WHERE status <> 'completed' AND ({where} OR target_service_name = '{AGENT}') "
            "ORDER BY created_at",
            echo=False,
        )

    def until(
        self,
        fact: Callable[[], T | None],
        otherwise: str,
        session: Session | None = None,
        *,
        question: str = "",
        limit: float = ANSWER_SECONDS,
    ) -> T:
        """Wait until `fact()` is true, and return it; raise Broken with `otherwise` if it is not.

        Raises Unplayable if the program has ended meanwhile.
        """
        end = time.monotonic() + limit
        while not (found := fact()):
            self._check_time()
            if time.monotonic() > end:
                picture = session.picture() if session else ""
                raise Broken(
                    f"{otherwise} The judge waited {limit:g} s.",
                    picture=picture,
                    question=question,
                )
            time.sleep(0.03)
        return found

    def still(self, look: Callable[[], T], seconds: float = 0.4) -> T:
        """Wait until `look()` gives the same for some time, and return that."""
        seen, since = look(), time.monotonic()
        while time.monotonic() - since < seconds:
            self._check_time()
            time.sleep(0.05)
            if (found := look()) != seen:
                seen, since = found, time.monotonic()
        return seen

    def settle(self) -> None:
        """Wait until nothing moves any more: what is held or sleeps may still be open."""
        services = (
            "SELECT count(*) AS entries, count(DISTINCT j.id) AS calls FROM sys_journal j "
            "JOIN sys_invocation i ON i.id = j.id WHERE i.status <> 'completed'"
        )

        def seen() -> list[object]:
            answers = [(r.number, r.status) for r in self.model.requests(after=self.mark)]
            return [self.admin.query(services, echo=False), self.open_invocations(), answers]

        self.still(seen, 0.3)

    def star(self, earned: bool, text: str) -> None:
        """Note what was measured."""
        self.stars.append((earned, text))

    def _check_time(self) -> None:
        if time.monotonic() > self._until:
            raise Broken(f"The level was not over after {self._seconds:g} s.")


def waiting(play: Play) -> str:
    """What is open, with its status and its last error."""
    rows = play.open_invocations()
    lines = [
        f"{row['target']} {row['id']} {row['status']}, attempt {row.get('retry_count') or 1}\n"
        f"    {row.get('last_failure') or 'no failure'}"[:200]
        for row in rows[-12:]
    ]
    return "\n".join(lines)


def _reply(answer: httpx.Response) -> dict[str, Any]:
    try:
        reply = answer.json()
    except ValueError:
        reply = answer.text
    if (
        not isinstance(reply, dict)
        or not isinstance(reply.get("turn"), int)
        or not re.fullmatch("inv_[0-9A-Za-z]{20,}", str(reply.get("task_id")))
    ):
        raise Unplayable(
            f"`message` answered {str(reply)[:120]}. The contract asks for "
            '{"turn": 1, "task_id": "inv_…"}.'
        )
    return {**reply, "interrupted": reply.get("interrupted")}


def _said_by(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]
