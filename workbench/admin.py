"""Restate's admin API, as it is: every call prints the request that it makes.

A wrapper that hid the requests would teach itself. The methods with names (`cancel`, `kill`, …) are
there to save typing; `get`, `post`, `patch` and `delete` reach whatever they leave out.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx

from workbench.echoed_http import EchoedHttp, parsed
from workbench.id_labels import labels
from workbench.short import one_line, short_ids
from workbench.sql import sql_text
from workbench.state_dir import WorkbenchError
from workbench.wait_for_status import wait_for_status

if TYPE_CHECKING:
    from workbench.restate import Restate

_TIMEOUT = 30.0


class AdminError(WorkbenchError):
    """The admin API refused a request."""

    def __init__(self, request: str, status_code: int, message: str) -> None:
        super().__init__(short_ids(f"{request} answered {status_code}: {message}"))
        self.status_code = status_code
        self.message = message
        """The server's own words."""


class Admin:
    """A client of one server's admin API; a context manager, closed at exit at the latest."""

    def __init__(self, restate: Restate, *, echo: Callable[[str], None] = print) -> None:
        self._http = EchoedHttp(restate.admin_url, server="Restate's admin API", echo=echo)
        labels.ask(self._name_of)

    def __enter__(self) -> Admin:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        labels.ask_no_more(self._name_of)
        self._http.close()

    # Any request

    def get(self, path: str, *, allow: Collection[int] = (), **params: object) -> Any:
        """Send `GET path?params`; see `request`."""
        return self.request("GET", path, allow=allow, params=params)

    def post(
        self, path: str, json: Any = None, *, allow: Collection[int] = (), **params: object
    ) -> Any:
        """Send `POST path?params` with the body `json`; see `request`."""
        return self.request("POST", path, json, allow=allow, params=params)

    def patch(
        self, path: str, json: Any = None, *, allow: Collection[int] = (), **params: object
    ) -> Any:
        """Send `PATCH path?params` with the body `json`; see `request`."""
        return self.request("PATCH", path, json, allow=allow, params=params)

    def delete(self, path: str, *, allow: Collection[int] = (), **params: object) -> Any:
        """Send `DELETE path?params`; see `request`."""
        return self.request("DELETE", path, allow=allow, params=params)

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        allow: Collection[int] = (),
        params: dict[str, object] | None = None,
    ) -> Any:
        """Send one request, print its line, return the response's JSON (None without a body).

        Parameters that are None are left out. Raises AdminError for a status of 400 and more that
        is not among `allow`, and WorkbenchError when the server cannot be reached.
        """
        response = self._http.request(
            method, path, timeout=_TIMEOUT, body=json, params=_query_string(params)
        )
        return _answer(response, f"{method} {path}", allow)

    # SQL

    def query(self, sql: str, *, echo: bool = True) -> list[dict[str, Any]]:
        """The rows that `sql` selects, with the engine's own column names.

        The engine leaves a column out of a row where it is NULL: read such columns with `row.get`.
        Times are texts (`2026-11-22T14:43:38.829Z`), binary columns hex.
        """
        response = self._http.request(
            "POST",
            "/query",
            timeout=_TIMEOUT,
            body={"query": sql},
            headers={"accept": "application/json"},
            echo=echo,
            note=one_line(sql),
        )
        rows: list[dict[str, Any]] = _answer(response, "POST /query", ())["rows"]
        return rows

    def wait_for(self, id: str, *statuses: str, timeout: float = 10.0) -> dict[str, Any]:
        """Wait, without a word, until invocation `id` has one of `statuses`; return its row.

        The statuses are those of `sys_invocation.status`. The columns of the row that are NULL are
        None here. Raises WaitTimeout, with the last row seen, after `timeout` seconds; and
        WorkbenchError at once when the invocation is completed, and so will never have the status.
        """
        return wait_for_status(partial(self.query, echo=False), id, statuses, timeout=timeout)

    # Requests with a name

    def register(self, uri: str, *, force: bool = False) -> dict[str, Any]:
        """Register the deployment at `uri`; return its id, services and their revisions.

        A URI that is known already is not asked again, new code or not, unless `force` is set.
        """
        deployment: dict[str, Any] = self.post("/deployments", {"uri": uri, "force": force})
        name = min((service["name"] for service in deployment["services"]), default="")
        labels.note(deployment["id"], name)
        labels.label(deployment["id"])  # numbered as they are registered
        return deployment

    def cancel(self, id: str) -> None:
        """Ask invocation `id` to stop: answered at once, done when its handler has ended."""
        self.patch(f"/invocations/{id}/cancel")

    def kill(self, id: str) -> None:
        """End invocation `id` and all that it called, without a word to any handler."""
        self.patch(f"/invocations/{id}/kill")

    def pause(self, id: str) -> None:
        """Pause invocation `id` after the step that it is in."""
        self.patch(f"/invocations/{id}/pause")

    def resume(self, id: str, *, deployment: str | None = None) -> None:
        """Resume invocation `id`, on `deployment` (an id, `latest` or `keep`) where given."""
        self.patch(f"/invocations/{id}/resume", deployment=deployment)

    def purge(self, id: str) -> None:
        """Forget the completed invocation `id`: its record, its journal, its idempotency key."""
        self.patch(f"/invocations/{id}/purge")

    def restart_as_new(
        self, id: str, *, from_index: int | None = None, deployment: str | None = None
    ) -> str:
        """Run the completed invocation `id` again, under a new id, which is returned.

        With `from_index`, the journal up to and including that entry is taken over (`?from=`).
        """
        answer = self.request(
            "PATCH",
            f"/invocations/{id}/restart-as-new",
            params={"from": from_index, "deployment": deployment},
        )
        return str(answer["new_invocation_id"])

    def _name_of(self, id: str) -> str | None:
        """What the server calls an invocation; None for what it does not know."""
        try:
            sql = f"SELECT target FROM sys_invocation WHERE id = {sql_text(id)}"
            rows = self.query(sql, echo=False) if id.startswith("inv_") else []
        except WorkbenchError:  # a label is not worth an error
            return None
        return str(rows[0]["target"]) if rows else None


def _query_string(params: dict[str, object] | None) -> dict[str, str]:
    """Booleans as `true` and `false`: Python's own spelling is refused."""
    given = {name: value for name, value in (params or {}).items() if value is not None}
    return {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in given.items()
    }


def _answer(response: httpx.Response, request: str, allow: Collection[int]) -> Any:
    answer = parsed(response)
    if response.status_code < 400 or response.status_code in allow:
        return answer
    message = answer.get("message") if isinstance(answer, dict) else answer
    raise AdminError(request, response.status_code, str(message or response.reason_phrase))
