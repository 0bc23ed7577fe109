"""The requests that the scripted model has had: how many tokens each got, and who hung up."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from workbench.views.table import print_table

if TYPE_CHECKING:
    from workbench.model_client import Provider, ScriptedModel
    from workbench.scripted_model.requests import ModelRequest


def show_model_requests(model: ScriptedModel | Provider, prefix: str = "") -> None:
    """Print the rows of `model_request_rows`; of a provider, that it shows no such record."""
    if not model.scripted:
        print(f"({model} lets nobody see its record of requests)\n")
        return
    print_table(
        f"Requests to the model, label {prefix}…",
        model_request_rows(model, prefix),
        widths={"label": 40},
        targets=["label"],
        right=["tokens", "began", "first token", "ended"],
    )


def model_request_rows(model: ScriptedModel | Provider, prefix: str = "") -> list[dict[str, Any]]:
    """Rows of `label`, `status`, `http`, `tokens`, `began`, `first token`, `ended`, `in_order`.

    The requests are those whose label begins with `prefix`, decoded in the rows; `tokens` are those
    sent, the last three are milliseconds since the first of these requests came, None for what has
    not happened. Raises WorkbenchError for a provider.
    """
    requests = in_order(model.requests(prefix))
    begin = min((request.started_at for request in requests), default=0.0)

    def _since(time: float | None) -> int | None:
        return None if time is None else round((time - begin) * 1000)

    return [
        {
            "label": unquote(request.label),
            "status": request.status,
            "http": request.http_status,
            "tokens": request.completion_tokens,
            "began": _since(request.started_at),
            "first token": _since(request.first_token_at),
            "ended": _since(request.ended_at),
        }
        for request in requests
    ]


def in_order(requests: Iterable[ModelRequest]) -> list[ModelRequest]:
    """The requests, oldest first; those of one kind in a row, such as the files of a plan, by name.

    Which of several that are made at once comes first is chance.
    """
    by_age = sorted(requests, key=lambda request: request.number)
    return [
        request
        for _, row in groupby(by_age, key=lambda request: request.step)
        for request in sorted(row, key=lambda request: (request.label, request.number))
    ]
