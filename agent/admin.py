"""Calls Restate's admin API: pause, wake and kill a task, and find out why it waits. None of it
is needed where nothing goes wrong.
"""

import json
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import httpx
import restate

from agent.contracts import Waiting
from agent.settings import is_loopback, settings

logger = restate.getLogger("agent")  # type: ignore[no-untyped-call]

_LIMIT = 5.0  # seconds for a request


async def pause(invocation_id: str) -> None:
    """Have an invocation pause as soon as its attempt fails, ahead of its retry policy."""
    await _patch(invocation_id, "pause")


async def kill(invocation_id: str) -> str | None:
    """Kill an invocation and its tree. Returns why that was not possible."""
    return await _patch(invocation_id, "kill")


async def wake(invocation_id: str) -> None:
    """Have an invocation that is paused, or waits for its next attempt, make it now: until then it
    is not told of a cancellation.
    """
    await _patch(invocation_id, "resume")


async def why_waiting(invocation_id: str) -> Waiting | None:
    """Why a task waits: one of its tree is paused, or will try again after a failure."""
    rows = await _tree(invocation_id)
    for row in rows:
        if row["status"] == "paused":
            return Waiting(state="paused", reason=await _why_paused(row["id"]))
    for row in rows:
        if row["status"] == "backing-off":
            return Waiting(state="backing-off", reason=_plain(row.get("last_failure") or ""))
    for timer in await _timers_after_failures([row["id"] for row in rows]):
        millis = json.loads(timer["entry_lite_json"])["Command"]["Sleep"]["wake_up_time"]
        until = datetime.fromtimestamp(millis / 1000, timezone.utc)
        if until > datetime.now(timezone.utc):
            return Waiting(
                state="backing-off", reason=timer["name"], until=until.isoformat(timespec="seconds")
            )
    return None


async def _why_paused(invocation_id: str) -> str:
    """The failure after which an invocation was paused. The queues of the next release keep none;
    then it is the last one that a timer was named by.
    """
    found = await _query(
        "SELECT event_json FROM sys_journal_events WHERE event_type = 'Paused' "
        f"AND id = '{invocation_id}' ORDER BY appended_at DESC LIMIT 1"
    )
    failure = json.loads(found[0]["event_json"]).get("last_failure") if found else None
    if failure:
        return _plain(failure["error_message"])
    timers = await _timers_after_failures([invocation_id])
    return timers[0]["name"] if timers else "Paused by hand, or for a reason that is not recorded."


async def _timers_after_failures(ids: list[str]) -> list[dict[str, Any]]:
    """The newest timers that are named by a failure; see `agent.model`."""
    if not ids:
        return []
    listed = ", ".join(f"'{id}'" for id in ids)
    return await _query(
        f"SELECT name, entry_lite_json FROM sys_journal WHERE id IN ({listed}) AND name != '' "
        "AND entry_type = 'Command: Sleep' ORDER BY appended_at DESC LIMIT 10"
    )


def _plain(failure: str) -> str:
    """A failure without the name of its exception, which the SDK puts around it."""
    kind, _, rest = failure.partition("(")
    return rest[1:-2] if kind.isidentifier() and rest.endswith(("')", '")')) else failure


async def _tree(invocation_id: str) -> list[dict[str, Any]]:
    """The rows of an invocation and of the open calls below it."""
    rows: list[dict[str, Any]] = []
    where = f"id = '{invocation_id}'"
    while where:
        level = await _query(
            f"SELECT id, status, last_failure FROM sys_invocation WHERE {where} "
            "AND status != 'completed'"
        )
        rows += level
        ids = ", ".join(f"'{row['id']}'" for row in level)
        where = f"invoked_by_id IN ({ids})" if ids else ""
    return rows


async def _query(sql: str) -> list[dict[str, Any]]:
    """The rows; none where the admin API cannot be asked, which is logged."""
    said = await _request("POST", "/query", {"query": sql})
    if not isinstance(said, httpx.Response):
        return []
    return list(said.json()["rows"])


async def _patch(invocation_id: str, act: str) -> str | None:
    said = await _request("PATCH", f"/invocations/{invocation_id}/{act}")
    return None if isinstance(said, httpx.Response) else said


async def _request(method: str, path: str, body: object = None) -> httpx.Response | str:
    url = settings().admin_url
    host = urlsplit(url).hostname or ""
    try:
        async with httpx.AsyncClient(
            timeout=_LIMIT,
            trust_env=not is_loopback(host),  # no proxy between two processes of one machine
            verify=url.startswith("https:"),  # else certificates are read, for nothing
        ) as http:
            headers = {"accept": "application/json"}
            response = await http.request(method, f"{url}{path}", json=body, headers=headers)
        if response.is_success or response.status_code in (404, 409, 425):  # over, or not there yet
            return response
        fault = f"{response.status_code} {response.text[:200]}"
    except (httpx.HTTPError, OSError, ImportError) as error:
        fault = f"{type(error).__name__}: {error}"
    logger.warning("%s %s failed: %s. Is RESTATE_ADMIN_URL right?", method, path, fault)
    return fault
