"""All requests that the model has seen, read as the run goes: the model forgets, after 10,000."""

from __future__ import annotations

from collections import defaultdict
from typing import Protocol

from workbench import ModelRequest


class _Model(Protocol):
    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]: ...


class ModelLog:
    """Keeps what `collect` has read. Numbers go up by one, so nothing is lost unnoticed.

    Attributes:
        lost: numbers of requests that the model forgot before they were read to their end.
    """

    def __init__(self, model: _Model) -> None:
        self._model = model
        self._requests: dict[int, ModelRequest] = {}
        self._settled = 0  # up to here all have ended
        self.lost: list[int] = []

    def collect(self) -> None:
        """Read what is new, and again what had not ended."""
        found = self._model.requests(after=self._settled)
        if not found:
            return
        if self._settled + 1 < found[0].number:
            self.lost += [
                number
                for number in range(self._settled + 1, found[0].number)
                if number not in self._requests or self._requests[number].ended_at is None
            ]
            self._settled = found[0].number - 1
        for request in found:
            self._requests[request.number] = request
            if request.ended_at is not None and request.number == self._settled + 1:
                self._settled = request.number

    def by_session(self) -> dict[str, list[ModelRequest]]:
        """The requests by session, oldest first; a label is session/turn/step."""
        sessions = defaultdict(list)
        for _, request in sorted(self._requests.items()):
            sessions[request.label.partition("/")[0]].append(request)
        return sessions

    def __len__(self) -> int:
        return len(self._requests)
