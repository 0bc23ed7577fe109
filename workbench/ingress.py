"""Calling services the way any client does: over HTTP, through Restate's ingress."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from workbench.echoed_http import EchoedHttp, parsed
from workbench.id_labels import labels
from workbench.short import short_ids
from workbench.state_dir import WorkbenchError

if TYPE_CHECKING:
    from workbench.restate import Restate

_SHORT_TIMEOUT = 30.0


class IngressError(WorkbenchError):
    """A call was refused by the ingress, or failed with the handler's terminal error."""

    def __init__(
        self, request: str, status_code: int, message: str, metadata: dict[str, str]
    ) -> None:
        super().__init__(short_ids(f"{request} answered {status_code}: {message}"))
        self.status_code = status_code
        self.message = message
        self.metadata = metadata
        """What the handler put into its `TerminalError(metadata=…)`; empty when nothing."""


class Ingress:
    """A client of one server's ingress; a context manager, closed at exit at the latest."""

    def __init__(self, restate: Restate, *, echo: Callable[[str], None] = print) -> None:
        self._http = EchoedHttp(restate.ingress_url, server="Restate's ingress", echo=echo)
        self.last_invocation_id: str | None = None
        """From the `x-restate-id` header of the last answer that had one."""

    def __enter__(self) -> Ingress:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def call(
        self,
        service: str,
        handler: str,
        body: Any = None,
        *,
        key: str | None = None,
        idempotency_key: str | None = None,
        timeout: float = _SHORT_TIMEOUT,
    ) -> Any:
        """Call a handler, wait for its end, and return what it returned.

        `key` is the virtual object's; without a `body`, none is sent. Raises IngressError for the
        handler's terminal error or a refusal (400 and more), and WorkbenchError after `timeout`
        seconds, which does not stop the invocation.
        """
        return self._request(
            "POST",
            _path(service, key, handler),
            body=body,
            idempotency_key=idempotency_key,
            timeout=timeout,
        )

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
        answer = self._request(
            "POST",
            f"{_path(service, key, handler)}/send",
            body=body,
            idempotency_key=idempotency_key,
            params=None if delay is None else {"delay": f"{round(delay * 1000)}ms"},
        )
        invocation_id = str(answer["invocationId"])
        labels.note(invocation_id, handler)
        return invocation_id

    def attach(self, id: str, *, timeout: float = _SHORT_TIMEOUT) -> Any:
        """Wait for the end of invocation `id` and return its result; raises what `call` raises."""
        return self._request("GET", f"/restate/invocation/{id}/attach", timeout=timeout)

    def output(self, id: str) -> Any:
        """The result of invocation `id`, at once; raises IngressError 470 while it has none."""
        return self._request("GET", f"/restate/invocation/{id}/output")

    def _request(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        idempotency_key: str | None = None,
        params: dict[str, str] | None = None,
        timeout: float = _SHORT_TIMEOUT,
    ) -> Any:
        headers = {"idempotency-key": idempotency_key} if idempotency_key is not None else None
        response = self._http.request(
            method, path, timeout=timeout, body=body, headers=headers, params=params
        )
        self.last_invocation_id = response.headers.get("x-restate-id", self.last_invocation_id)
        answer = parsed(response)
        if response.status_code >= 400:
            raise _error(f"{method} {path}", response, answer)
        return answer


def _path(service: str, key: str | None, handler: str) -> str:
    parts = [service, handler] if key is None else [service, key, handler]
    return "".join(f"/{_encoded(part)}" for part in parts)


def _encoded(part: str) -> str:
    """Percent-encoded, slashes too; and dots, where they would else mean a step upwards."""
    return part.replace(".", "%2E") if part in {".", ".."} else quote(part, safe="")


def _error(request: str, response: httpx.Response, answer: Any) -> IngressError:
    fields = answer if isinstance(answer, dict) else {"message": answer}
    return IngressError(
        request,
        response.status_code,
        str(fields.get("message") or response.reason_phrase),
        dict(fields.get("metadata") or {}),
    )
