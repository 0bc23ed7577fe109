"""An HTTP client that prints every request as the line that a person would type.

The admin API and the ingress are what the lessons teach, so no call may hide behind a Python name:
`admin.cancel(id)` prints `PATCH /invocations/inv_…/cancel → 202`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from workbench.short import clipped, compact_json, one_line, short_ids
from workbench.state_dir import WorkbenchError

CONNECT_SECONDS = 2.0
_BODY_WIDTH = 90


class EchoedHttp:
    """A client of one base URL; safe to use from several threads."""

    def __init__(self, base_url: str, *, server: str, echo: Callable[[str], None]) -> None:
        """`server` is what an error calls the other side, such as "Restate's admin API"."""
        self._base_url = base_url
        self._server = server
        self._echo = echo
        # A proxy from the environment is for the world outside, never for this machine.
        local = urlsplit(base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        # No connection is used twice. On one that is, this machine holds back its acknowledgements
        # for 40 ms, and Restate the rest of its answer until they come: many a query takes that.
        self._client = httpx.Client(
            base_url=base_url,
            trust_env=not local,
            limits=httpx.Limits(max_keepalive_connections=0),
        )
        # At the latest when the interpreter exits: nobody closes a client in a notebook.
        self.close = weakref.finalize(self, self._client.close)

    def request(
        self,
        method: str,
        path: str,
        *,
        timeout: float,
        body: Any = None,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        echo: bool = True,
        note: str | None = None,
    ) -> httpx.Response:
        """Send one request, print its line, and return the response, whatever its status.

        `path` is already percent-encoded. `note` is printed in place of the body. Raises
        WorkbenchError when no response comes: nothing listens, or nothing is said for `timeout`
        seconds.
        """
        url = f"{path}?{httpx.QueryParams(params)}" if params else path
        try:
            response = self._client.request(
                method,
                url,
                json=body,
                headers=headers,
                timeout=httpx.Timeout(timeout, connect=CONNECT_SECONDS),
            )
        except httpx.TransportError as error:
            raise WorkbenchError(self._unanswered(f"{method} {url}", error, timeout)) from error
        if echo:
            shown = [note] if note else _shown(headers, body)
            line = " · ".join([f"{method} {url} → {response.status_code}", *shown])
            self._echo(short_ids(one_line(line)))
        return response

    def _unanswered(self, request: str, error: httpx.TransportError, timeout: float) -> str:
        place = f"{self._server} at {self._base_url}"
        if isinstance(error, (httpx.ConnectError, httpx.ConnectTimeout)):
            return f"{place} cannot be reached ({error}).\nstart_restate() starts it."
        request = short_ids(request)
        if isinstance(error, httpx.TimeoutException):
            return (
                f"{place} did not answer {request} within {timeout:g} s; what it began goes on.\n"
                "show_invocations(admin) shows it; give a longer timeout= to wait for it."
            )
        return (
            f"{place} broke off {request} ({str(error) or type(error).__name__}); "
            "it may have been heard.\n"
            "start_restate() starts the server again if it has ended."
        )


def parsed(response: httpx.Response) -> Any:
    """The response's JSON, or its text where it is not JSON, or None where it is empty."""
    if not response.content:
        return None
    try:
        return response.json()
    except ValueError:
        return response.text


def _shown(headers: Mapping[str, str] | None, body: Any) -> list[str]:
    shown = [f"{name}: {value}" for name, value in (headers or {}).items()]
    return shown if body is None else [*shown, clipped(short_ids(compact_json(body)), _BODY_WIDTH)]
