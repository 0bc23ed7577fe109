"""Clients of Restate's admin API and ingress that show every request that they make.

`admin.cancel(id)` prints `PATCH /invocations/inv_…/cancel → 202`, and `admin.curl()` gives that
request as a command for a shell. The lessons teach the APIs, not these clients.
"""

from __future__ import annotations

import re
import shlex
import textwrap
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from workbench.ids import (
    WIDTH,
    clipped,
    compact_json,
    get_ipython,
    labels,
    one_line,
    short_ids,
)
from workbench.state_dir import WorkbenchError

if TYPE_CHECKING:
    from typing_extensions import Self

    from workbench.restate import Restate

T = TypeVar("T")

# Every status that sys_invocation knows (Restate 1.7); there is none for "cancelled" or "killed".
_STATUSES = "scheduled, pending, ready, running, backing-off, suspended, paused, completed"
# The columns of a row that `wait_for` returns.
_ROW = (
    "id, target, status, completion_result, completion_failure, retry_count, "
    "last_failure_error_code, last_failure_related_command_name, pinned_deployment_id, "
    "invoked_by_id, restarted_from"
)
_TIMEOUT, _CONNECT_TIMEOUT = 30.0, 2.0
_BODY_WIDTH = 90
_JSON = {"accept": "application/json"}
# A string or a quoted name, kept as it is; or what stands between words: whitespace and comments.
_SQL_SPACE = re.compile(r"""('(?:[^']|'')*'|"[^"]*")|(?:\s|--[^\n]*)+""")


class _RefusedError(WorkbenchError):
    """A request was answered with a status of 400 or more."""

    def __init__(self, request: str, status_code: int, message: str, metadata: Any = None) -> None:
        super().__init__(short_ids(f"{request} answered {status_code}: {message}"))
        self.status_code = status_code
        self.message = message
        """The server's own words."""
        self.metadata: dict[str, str] = dict(metadata or {})
        """The metadata of the handler's `TerminalError`; empty if it has none."""


class AdminError(_RefusedError):
    """The admin API refused a request."""


class IngressError(_RefusedError):
    """A call was refused by the ingress, or failed with the handler's terminal error."""


class WaitTimeout(WorkbenchError):
    """A condition did not become true in time."""


def wait_until(
    check: Callable[[], T],
    *,
    what: str,
    timeout: float = 10.0,
    every: float = 0.02,
    last: Callable[[], str] | None = None,
) -> T:
    """Call `check` every `every` seconds until it returns something true, and return that.

    It is called at least once; less often as the wait grows, but at least ten times a second.
    Raises WaitTimeout after `timeout` seconds, naming `what` was waited for and the last value
    seen, or what `last` says of it. What `check` raises is passed on.
    """
    began = time.monotonic()
    while True:
        waited = time.monotonic() - began
        value = check()
        if value:
            return value
        if waited >= timeout:
            seen = last() if last else f"Last value seen: {clipped(repr(value), 400)}"
            raise WaitTimeout(f"Waited {timeout:g} s for {what}, in vain.\n{seen}")
        time.sleep(max(every, min(waited / 10, 0.1)))


def sql_text(value: str) -> str:
    """Write `value` as an SQL string literal."""
    return "'" + value.replace("'", "''") + "'"


class _Client:
    """An HTTP client of one server, safe to use from several threads; a context manager."""

    _server: str
    """The other side's name in errors, such as "Restate's admin API"."""
    _error: type[_RefusedError]

    def __init__(self, base_url: str, echo: Callable[[str], None]) -> None:
        self._base_url = base_url
        self._echo = echo
        self._requests: deque[httpx.Request] = deque(maxlen=1000)
        # A proxy from the environment is for the world outside, never for this machine.
        self._local = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        # No connection is used twice. On one that is, this machine holds back its acknowledgements
        # for 40 ms, and Restate the rest of its answer until they come: many a query takes that.
        self._http = httpx.Client(
            base_url=base_url,
            trust_env=not self._local,
            timeout=httpx.Timeout(_TIMEOUT, connect=_CONNECT_TIMEOUT),
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the client. In a notebook nobody does, and no connection is kept."""
        self._http.close()

    def curl(self, text: str = "") -> None:
        """Print the last request as a command to paste into a shell, whole ids and all.

        With a `text`, it is the last request with this text in its printed line or its command.
        The requests that a view has made without a word are among them.
        """
        for request in reversed(self._requests):
            command = self._command(request)
            if text in command or text in request.extensions["printed"]:
                self._echo(command)
                return
        wanted = f" with {text!r} in it" if text else ""
        raise WorkbenchError(f"No request{wanted} has been made with this client yet.")

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        params: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float = _TIMEOUT,
        allow: Collection[int] = (),
        note: str | None = None,
        echo: bool = True,
    ) -> Any:
        """Send one request, print its line, return the response's JSON (None without a body).

        `path` is already percent-encoded. Parameters that are None are left out. `note` is printed
        in place of headers and body. A status of 400 and more is an error unless `allow` has it;
        raises WorkbenchError when nothing listens, or nothing is said for `timeout` seconds.
        """
        query = _query_string(params or {})
        url = f"{path}?{query}" if query else path
        request = self._http.build_request(
            method,
            url,
            json=json,
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=_CONNECT_TIMEOUT),
        )
        self._remember(request)
        response = self._send(request)
        if echo:
            said = _shown(headers, json) if note is None else [note]
            line = short_ids(" · ".join([f"{method} {url} → {response.status_code}", *said]))
            request.extensions["printed"] = line
            self._echo(_wrapped(line))
        self._look_at(response)
        answer = _parsed(response)
        if response.status_code < 400 or response.status_code in allow:
            return answer
        fields = answer if isinstance(answer, dict) else {"message": answer}
        message = str(fields.get("message") or response.reason_phrase)
        raise self._error(f"{method} {path}", response.status_code, message, fields.get("metadata"))

    def _send(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._http.send(request)
        except httpx.TransportError as error:
            raise WorkbenchError(self._unanswered(request, error)) from error

    def _look_at(self, response: httpx.Response) -> None:
        """See a response before its status is judged."""

    def _remember(self, request: httpx.Request) -> None:
        """Keep a request for `curl`; of a poll, the last one."""
        request.extensions["printed"] = ""
        last = self._requests[-1] if self._requests else None
        if last and (last.url, last.content) == (request.url, request.content):
            self._requests[-1] = request
        else:
            self._requests.append(request)

    def _command(self, request: httpx.Request) -> str:
        words = ["curl", "-X", request.method, str(request.url)]
        if self._local:
            words += ["--noproxy", "*"]
        for name, value in request.headers.items():
            if name not in {"host", "content-length"} and self._http.headers.get(name) != value:
                words += ["-H", f"{name}: {value}"]
        if request.content:
            words += ["--data-raw", request.content.decode()]
        return shlex.join(words).replace("'\"'\"'", r"'\''")  # a quote in quotes, shorter

    def _unanswered(self, request: httpx.Request, error: httpx.TransportError) -> str:
        place = f"{self._server} at {self._base_url}"
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return f"{place} cannot be reached ({error}).\nstart_restate() starts it."
        asked = short_ids(f"{request.method} {request.url.raw_path.decode()}")
        if isinstance(error, httpx.TimeoutException):
            seconds = request.extensions["timeout"]["read"]
            return (
                f"{place} did not answer {asked} within {seconds:g} s; what it began goes on.\n"
                "show_invocations(admin) shows it; give a longer timeout= to wait for it."
            )
        return (
            f"{place} broke off {asked} ({str(error) or type(error).__name__}); "
            "it may have been heard.\n"
            "start_restate() starts the server again if it has ended."
        )


class Admin(_Client):
    """A client of one server's admin API.

    The methods with names (`cancel`, `kill`, …) are there to save typing; `get`, `post`, `patch`
    and `delete` reach whatever they leave out.
    """

    _server, _error = "Restate's admin API", AdminError

    def __init__(self, restate: Restate, *, echo: Callable[[str], None] = print) -> None:
        super().__init__(restate.admin_url, echo)
        labels.add_source(self._name_of)

    def close(self) -> None:
        """Close the client; labels are no longer looked up with it."""
        labels.remove_source(self._name_of)
        super().close()

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

    def query(self, sql: str, *, echo: bool = True) -> list[dict[str, Any]]:
        """Return the rows that `sql` selects, with the engine's own column names.

        It is sent in one line, without comments, which is what is printed. The engine leaves a
        column out of a row where it is NULL: read such columns with `row.get`. Times are texts
        (`2026-11-22T14:43:38.829Z`), binary columns hex.
        """
        sql = _SQL_SPACE.sub(lambda found: found[1] or " ", sql).strip()
        answer = self.request("POST", "/query", {"query": sql}, headers=_JSON, note=sql, echo=echo)
        rows: list[dict[str, Any]] = answer["rows"]
        return rows

    def wait_for(self, id: str, *statuses: str, timeout: float = 10.0) -> dict[str, Any]:
        """Wait, without a word, until invocation `id` has one of `statuses`; return its row.

        The statuses are those of `sys_invocation.status`. The columns of the row that are NULL are
        None here. Raises WaitTimeout, with the last row seen, after `timeout` seconds; and
        WorkbenchError at once when the invocation is completed, and so will never have the status.
        """
        if not statuses or not set(statuses) <= set(_STATUSES.split(", ")):
            raise WorkbenchError(
                f"wait_for cannot wait for {', '.join(statuses) or 'no status'}: "
                f"sys_invocation knows {_STATUSES}.\n"
                "A cancelled or killed invocation is completed; completion_failure says the rest."
            )
        sql = f"SELECT {_ROW} FROM sys_invocation WHERE id = {sql_text(id)}"
        row: dict[str, Any] = {}

        def _arrived() -> bool:
            nonlocal row
            row = next(iter(self.query(sql, echo=False)), {})
            return row.get("status") in {*statuses, "completed"}

        def _seen() -> str:
            shown = short_ids(compact_json(row))
            return f"Last row seen: {shown if row else 'none: the server knows no such invocation'}"

        wanted = f"{short_ids(id)} to be {' or '.join(statuses)}"
        wait_until(_arrived, what=wanted, timeout=timeout, last=_seen)
        if row["status"] not in statuses:
            raise WorkbenchError(f"Waited for {wanted}; it has completed.\n{_seen()}")
        return dict.fromkeys(_ROW.split(", ")) | row

    def wait_idle(self, service: str, key: str, *, timeout: float = 10.0) -> None:
        """Wait, without a word, until no call of this virtual object is open or queued.

        Raises WaitTimeout, with the calls that are, after `timeout` seconds.
        """
        sql = (
            "SELECT target, status FROM sys_invocation WHERE status <> 'completed' "
            f"AND target_service_name = {sql_text(service)} "
            f"AND target_service_key = {sql_text(key)}"
        )
        rows: list[dict[str, Any]] = []

        def _idle() -> bool:
            rows[:] = self.query(sql, echo=False)
            return not rows

        what = f"{service}/{key} to be idle"
        wait_until(
            _idle, what=what, timeout=timeout, last=lambda: f"Still open: {compact_json(rows)}"
        )

    def register(
        self, uri: str, *, force: bool = False, metadata: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Register the deployment at `uri`; return its id, services and their revisions.

        A URI that is known already is not asked again, new code or not, unless `force` is set.
        `metadata` stays with the deployment; it is sent, but not printed.
        """
        body = {"uri": uri, "force": force}
        (note,) = _shown(None, body)
        more = {"metadata": metadata} if metadata else {}
        deployment: dict[str, Any] = self.request(
            "POST", "/deployments", {**body, **more}, note=note
        )
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

    def end(self, ids: Iterable[str]) -> None:
        """Kill those of these invocations that are open, without a word."""
        for id in ids:
            self.request("PATCH", f"/invocations/{id}/kill", allow={404, 409}, echo=False)

    def pause(self, id: str) -> None:
        """Pause invocation `id` after the step that it is in."""
        self.patch(f"/invocations/{id}/pause")

    def resume(self, id: str, *, deployment: str | None = None) -> None:
        """Resume invocation `id`, on `deployment` (an id, `latest` or `keep`) where given."""
        self.patch(f"/invocations/{id}/resume", deployment=deployment)

    def restart_as_new(
        self, id: str, *, from_index: int | None = None, deployment: str | None = None
    ) -> str:
        """Run the completed invocation `id` again, under a new id, which is returned.

        With `from_index`, the journal up to and including that entry is taken over (`?from=`).
        """
        params = {"from": from_index, "deployment": deployment}
        answer = self.request("PATCH", f"/invocations/{id}/restart-as-new", params=params)
        return str(answer["new_invocation_id"])

    def _name_of(self, id: str) -> str | None:
        """Look up what the server calls an invocation; None for what it does not know."""
        if not id.startswith("inv_"):
            return None
        sql = f"SELECT target FROM sys_invocation WHERE id = {sql_text(id)}"
        try:
            request = self._http.build_request("POST", "/query", json={"query": sql}, headers=_JSON)
            rows = self._send(request).json()["rows"]
        except (WorkbenchError, ValueError, KeyError):  # a label is not worth an error
            return None
        return str(rows[0]["target"]) if rows else None


class Ingress(_Client):
    """A client of one server's ingress: how any client calls services."""

    _server, _error = "Restate's ingress", IngressError

    def __init__(self, restate: Restate, *, echo: Callable[[str], None] = print) -> None:
        super().__init__(restate.ingress_url, echo)
        self.last_invocation_id: str | None = None
        """From the `x-restate-id` header of the last answer that had one."""

    def call(
        self,
        service: str,
        handler: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        timeout: float = _TIMEOUT,
    ) -> Any:
        """Call a handler, wait for its end, and return what it returned.

        `key` is the virtual object's; without a `body`, none is sent. Raises IngressError for the
        handler's terminal error or a refusal (400 and more), and WorkbenchError after `timeout`
        seconds, which does not stop the invocation.
        """
        path, headers = _path(service, key, handler), _headers(idempotency_key)
        return self.request("POST", path, body, headers=headers, timeout=timeout)

    def send(
        self,
        service: str,
        handler: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        delay: float | None = None,
    ) -> str:
        """Send to a handler without waiting for its end; return the invocation id.

        It starts after `delay` seconds. With an idempotency key that was used before, it is the id
        of the invocation of then.
        """
        path, headers = f"{_path(service, key, handler)}/send", _headers(idempotency_key)
        params = {"delay": None if delay is None else f"{round(delay * 1000)}ms"}
        answer = self.request("POST", path, body, headers=headers, params=params)
        invocation_id = str(answer["invocationId"])
        labels.note(invocation_id, handler)
        return invocation_id

    def attach(self, id: str, *, timeout: float = _TIMEOUT) -> Any:
        """Wait for the end of invocation `id` and return its result; raises what `call` raises."""
        return self.request("GET", f"/restate/invocation/{id}/attach", timeout=timeout)

    def output(self, id: str) -> Any:
        """Return the result of invocation `id`, at once; IngressError 470 while it has none."""
        return self.request("GET", f"/restate/invocation/{id}/output")

    def resolve(self, awakeable_id: str, value: Any) -> None:
        """Resolve an awakeable; 202 also where nobody waits for it any more."""
        self.request("POST", f"/restate/awakeables/{awakeable_id}/resolve", value)

    def _look_at(self, response: httpx.Response) -> None:
        self.last_invocation_id = response.headers.get("x-restate-id", self.last_invocation_id)


def _query_string(params: Mapping[str, object]) -> str:
    """Encode parameters; booleans as `true` and `false`: Python's own spelling is refused."""
    texts = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in params.items()
        if value is not None
    }
    return str(httpx.QueryParams(texts))


def _parsed(response: httpx.Response) -> Any:
    """Return the JSON of a response, or its text where it is not JSON, or None without a body."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _shown(headers: Mapping[str, str] | None, body: Any) -> list[str]:
    shown = [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body is not None:
        shown.append(clipped(short_ids(compact_json(body)), _BODY_WIDTH))
    return [one_line(text) for text in shown]


def _wrapped(line: str) -> str:
    """The line, in a notebook in as many as fit on the page."""
    if get_ipython() is None:
        return line
    return textwrap.fill(
        line, WIDTH, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False
    )


def _headers(idempotency_key: str | None) -> dict[str, str] | None:
    return None if idempotency_key is None else {"idempotency-key": idempotency_key}


def _path(service: str, key: str | None, handler: str) -> str:
    parts = [service, handler] if key is None else [service, key, handler]
    return "".join(f"/{_encoded(part)}" for part in parts)


def _encoded(part: str) -> str:
    """Percent-encode, slashes too; and dots, where they would else mean a step upwards."""
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="")
