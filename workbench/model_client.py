"""The chat model behind the lessons: the scripted one, started here, or a real provider.

Most lessons need what no provider offers: answers that can be held, faults on demand, a record of
each request. The agent of lesson 00 talks to a provider where there is a key.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import httpx

from workbench import process
from workbench.clients import wait_until
from workbench.scripted_model.requests import ModelRequest
from workbench.state_dir import WorkbenchError, exclusive, state_dir

__all__ = ["ModelRequest", "Provider", "ScriptedModel", "start_model"]

_NAME = "model"
_STILL = 0.05  # seconds, at 250 tokens a second
_OPENAI_URL = "https://api.openai.com/v1"  # where the OpenAI client goes unless told otherwise


class ScriptedModel:
    """A handle on the running scripted model. Every method but `stop` is one call to it, and raises
    WorkbenchError if the model is gone or refuses the arguments."""

    scripted = True

    def __init__(self, running: process.Running, port: int) -> None:
        self._running = running
        self.base_url = f"http://127.0.0.1:{port}/v1"
        # No connection is kept, so that nothing has to be closed in the end.
        self._http = httpx.Client(
            base_url=f"http://127.0.0.1:{port}/control/",
            trust_env=False,
            timeout=30.0,  # one that is gone refuses at once; one on a busy machine may be slow
            limits=httpx.Limits(max_keepalive_connections=0),
        )

    def __str__(self) -> str:
        return f"scripted model · {self.base_url}"

    def set(
        self, *, tokens_per_second: float | None = None, first_token_seconds: float | None = None
    ) -> None:
        """Change the rate, for streams under way from their next token on. None changes nothing."""
        settings = {
            "tokens_per_second": tokens_per_second,
            "first_token_seconds": first_token_seconds,
        }
        self._call("PATCH", "settings", {k: v for k, v in settings.items() if v is not None})

    def fail(
        self,
        kind: str,
        *,
        times: int | None = None,
        retry_after: float | None = None,
        match: str | None = None,
        after_tokens: int | None = None,
        echo_key: bool = False,
    ) -> None:
        """Make requests fail from now on, in place of any earlier fault.

        `kind`: outage (503), server_error (500), rate_limit (429), unauthorized (401), forbidden
        (403), not_found (404), bad_request (400), unprocessable (422), cut (the stream breaks off
        after `after_tokens`), empty, hang, or refuse (the connection is closed unanswered).
        `times`: how many requests; None means until `mend()`. `match`: only requests with this text
        in their label or in their last user message. `retry_after`: seconds, for a rate_limit.
        `echo_key`: the refusal quotes the key that came with the request.
        """
        fault = {
            "kind": kind,
            "times": times,
            "retry_after": retry_after,
            "match": match,
            "after_tokens": after_tokens,
            "echo_key": echo_key,
        }
        self._call("PUT", "fault", fault)

    def mend(self) -> None:
        """Answer again."""
        self._call("DELETE", "fault")

    def answer(self, match: str, text: str) -> None:
        """Answer requests with the text `match` in them with `text`; the newest word counts."""
        self._call("POST", "answers", {"match": match, "text": text})

    def hold(self, match: str = "", *, at: int = 3) -> None:
        """Stop answers after `at` tokens until `release()`, however long that takes.

        It holds requests with the text `match` in their label or their last user message, those
        under way included; without one, all.
        """
        self._call("POST", "gates", {"match": match, "at": at})

    def wait_held(self, label: str = "", *, count: int = 1, timeout: float = 10.0) -> None:
        """Wait until `count` requests with `label` in their label are held: silent for a moment.

        Raises WaitTimeout, with those that there are, after `timeout` seconds.
        """

        def held() -> list[ModelRequest]:
            return [
                request
                for request in self.requests()
                if label in request.label and request.status == "streaming" and _is_still(request)
            ]

        wait_until(lambda: len(held()) >= count, what=f"{count} held {label!r}", timeout=timeout)

    def release(self, match: str = "") -> None:
        """Let held answers go on: those with `match` in their request, or all."""
        self._call("DELETE", "gates", match=match)

    def mark(self) -> int:
        """The number of the newest request, for `requests(after=…)`."""
        return max((request.number for request in self.requests()), default=0)

    def requests(self, label_prefix: str = "", *, after: int = 0) -> list[ModelRequest]:
        """The requests so far whose label begins so (`"my-session/3/"`), in order of arrival.

        The model keeps the latest 10,000. `after` leaves out those with a number up to it.
        """
        found = self._call("GET", "requests", prefix=label_prefix, after=str(after)).json()
        return [ModelRequest(**request) for request in found]

    def stop(self) -> None:
        """End the model's process."""
        self._running.stop()

    def _call(
        self, method: str, what: str, json: dict[str, Any] | None = None, **params: str
    ) -> httpx.Response:
        try:
            response = self._http.request(method, what, json=json, params=params)
        except httpx.HTTPError as error:
            raise WorkbenchError(
                f"The scripted model at {self.base_url} does not answer ({type(error).__name__}). "
                "Start it again with wb.up()."
            ) from error
        if response.is_error:
            raise WorkbenchError(f"Scripted model: {response.json()['error']['message']}")
        return response


def _is_still(request: ModelRequest) -> bool:
    return bool(request.last_token_at) and time.time() - float(request.last_token_at or 0) > _STILL


class Provider:
    """A real model, reached with the environment's OPENAI_API_KEY and OPENAI_BASE_URL."""

    scripted = False

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    def __str__(self) -> str:
        return f"model provider · {self.base_url}"


def start_model() -> ScriptedModel | Provider:
    """The provider that OPENAI_API_KEY or OPENAI_BASE_URL name; without one, the scripted model.

    Raises WorkbenchError, with the end of the log, if that does not come up.
    """
    if os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        return Provider(os.environ.get("OPENAI_BASE_URL") or _OPENAI_URL)
    return start_scripted_model()


def start_scripted_model(
    *, tokens_per_second: float = 250.0, first_token_seconds: float = 0.05
) -> ScriptedModel:
    """Start the scripted model, or find it running; it then has these settings and no fault.

    Raises WorkbenchError, with the end of the log, if it does not come up.
    """
    with exclusive(_NAME):
        running = process.find(_NAME) or _start()
        port_file = Path(running.extra["port_file"])
        # It listens before it writes the file, so a reader of the port can connect.
        running.wait_ready(port_file.exists)
    model = ScriptedModel(running, int(port_file.read_text()))
    # An earlier lesson may have left it slow, held, or broken in the middle of a scenario.
    model.mend()
    model.release()
    model.set(tokens_per_second=tokens_per_second, first_token_seconds=first_token_seconds)
    return model


def _start() -> process.Running:
    port_file = state_dir() / "model.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "workbench.scripted_model", "--port-file", str(port_file)]
    return process.start(_NAME, command, env={}, extra={"port_file": str(port_file)})
