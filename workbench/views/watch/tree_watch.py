"""What is seen of a tree that is at work: its invocations, and the tokens that the model sends."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from workbench.clients import sql_text
from workbench.scripted_model.requests import ModelRequest
from workbench.views.clock import instant
from workbench.views.journal_entry import decoded, entry_parts
from workbench.views.model_requests import in_order
from workbench.views.tree import tree_rows

if TYPE_CHECKING:
    from workbench.clients import Admin
    from workbench.model_client import Provider, ScriptedModel

_OVER = ("completed", "no record")
_NOT_AWAITED = (*_OVER, "scheduled")


@dataclass(frozen=True)
class ModelCall:
    """A request to the model: its step, such as `write todo.py`, and how many tokens it had when.

    Attributes:
        samples: pairs of Unix seconds and tokens, from the request's arrival to the newest look.
    """

    step: str
    request: ModelRequest
    samples: tuple[tuple[float, int], ...]

    @property
    def tokens(self) -> int:
        return self.request.completion_tokens


@dataclass(frozen=True)
class TreeState:
    """A tree at one moment.

    Attributes:
        rows: those of `tree_rows`.
        calls: oldest first; None where the model shows nobody its record.
    """

    rows: list[dict[str, Any]]
    calls: list[ModelCall] | None

    @property
    def over(self) -> int:
        """How many of the invocations are over."""
        return sum(row["status"].startswith(_OVER) for row in self.rows)

    @property
    def at_rest(self) -> bool:
        """Whether nothing is at work or in line any more; what is scheduled for later may be."""
        return all(row["status"].startswith(_NOT_AWAITED) for row in self.rows)

    @property
    def unsure(self) -> bool:
        """Whether an invocation without a record may be one that the server has yet to record."""
        return any(row["status"] == "no record" for row in self.rows)


class TreeWatch:
    """Looks at one tree again and again, and remembers how the tokens grew."""

    def __init__(self, admin: Admin, root: str, model: ScriptedModel | Provider | None) -> None:
        self._admin = admin
        self._root = root
        self._model = model if model is not None and model.scripted else None
        self._prefix: str | None = None
        self._requests: dict[int, ModelRequest] = {}
        self._samples: dict[int, list[tuple[float, int]]] = {}

    def look(self) -> TreeState:
        """The tree as it is now. Raises WorkbenchError when the server or the model is gone."""
        rows = tree_rows(self._admin, self._root)
        return TreeState(rows, None if self._model is None else self._calls(self._model))

    def root_created_at(self) -> float | None:
        """When the root was created, in Unix seconds by the server's clock."""
        return self._unix_seconds(
            f"SELECT created_at AS at FROM sys_invocation WHERE id = {sql_text(self._root)}"
        )

    def cancelled_at(self) -> float | None:
        """When the first cancel signal came to the root, in Unix seconds by the server's clock."""
        return self._unix_seconds(
            "SELECT min(appended_at) AS at FROM sys_journal "
            f"WHERE id = {sql_text(self._root)} AND entry_type = 'Notification: Signal' "
            "AND entry_lite_json LIKE '%\"SignalIndex\":1}%'"
        )

    def _unix_seconds(self, sql: str) -> float | None:
        rows = self._admin.query(sql, echo=False)
        return instant(rows[0]["at"]).timestamp() if rows and rows[0].get("at") else None

    def _calls(self, model: ScriptedModel | Provider) -> list[ModelCall]:
        self._prefix = self._prefix or label_prefix(self._admin, self._root)
        if self._prefix is None:
            return []
        unfinished = [n for n, request in self._requests.items() if request.ended_at is None]
        finished = min(unfinished) - 1 if unfinished else max(self._requests, default=0)
        now = time.time()
        for request in model.requests(self._prefix, after=finished):
            self._requests[request.number] = request
            samples = self._samples.setdefault(request.number, [])
            samples.append((now, request.completion_tokens))
        return [
            ModelCall(
                unquote(request.label[len(self._prefix) :]),
                request,
                tuple(_curve(request, self._samples[request.number])),
            )
            for request in in_order(self._requests.values())
        ]


def label_prefix(admin: Admin, root: str) -> str | None:
    """How the labels of a task's model requests begin, or None for what is no task.

    A task of the agent, and of the lessons, has `session` and `turn` in its input, and its labels
    are `session/turn/step`.
    """
    entries = admin.query(
        "SELECT entry_json FROM sys_journal "
        f"WHERE id = {sql_text(root)} AND entry_type = 'Command: Input'",
        echo=False,
    )
    for entry in entries:
        _, _, fields = entry_parts(entry)
        try:
            task = json.loads(decoded(fields["payload"]))
            return f"{quote(task['session'], safe='')[:300]}/{task['turn']}/"
        except (ValueError, KeyError, TypeError):
            return None
    return None


def _curve(request: ModelRequest, seen: list[tuple[float, int]]) -> list[tuple[float, int]]:
    """The samples, between the two ends that the model itself has recorded."""
    points = [(request.started_at, 0)]
    if request.first_token_at is not None and request.last_token_at is not None:
        points.append((request.first_token_at, 1))
        first, last = request.first_token_at, request.last_token_at
        points += [(at, tokens) for at, tokens in seen if tokens > 1 and first < at < last]
        points.append((last, request.completion_tokens))
    return points
