"""What the Restate UI shows. Looked at with a browser, where there is one."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.browser.chromium import chromium, missing
from tests.claims.lab import Lab
from tests.claims.probe import Observation, holds_if, probe
from tests.stack import Stack
from workbench import WaitTimeout, process, wait_until
from workbench.restate import VERSION, install_server
from workbench.state_dir import use_state_dir

_STATUS = re.compile(r"^(\w+)$(?=\n\s*[\d.]+\w* ago)", re.MULTILINE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    if reason := missing():
        pytest.skip(reason)
    with chromium() as browser:
        yield browser


@dataclass
class Listed:
    """The page of all invocations, and the ids of two tasks on it: one that was interrupted, and
    the one that replaced it.
    """

    text: str
    url: str
    cancelled: str
    new: str

    def where(self, id: str) -> int:
        """Where on the page an invocation is; -1 where it is not."""
        return self.text.find(_short(id))

    def status(self, id: str) -> str:
        """The word in its row that stands before the time since when it is so."""
        row = self.text[self.where(id) :].partition("inv_")[2].partition("inv_")[0]
        found = [word for word in _STATUS.findall(row) if not word.isdecimal()]
        return found[-1] if found else "no status"


def _short(id: str) -> str:
    return f"{id[:8]}…{id[-5:]}"


@pytest.fixture(scope="module")
def listed(lab: Lab, pattern: Stack, browser: Any) -> Listed:
    session = pattern.session()
    cancelled = session.message()["task_id"]
    new = session.message("Write it with Flask")["task_id"]
    session.wait_idle()
    lab.wait(new, "completed")
    page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
    only = quote(json.dumps({"operation": "IN", "value": ["run_task"]}))
    url = (
        f"{lab.restate.ui_url}/invocations?filter_target_handler_name={only}&sort_field=created_at"
    )
    url += "&sort_order=DESC"
    page.goto(url, wait_until="domcontentloaded")
    listed = Listed("", page.url, cancelled, new)

    def shown() -> bool:
        listed.text = page.inner_text("body")
        return all(listed.where(id) >= 0 and _STATUS.search(listed.text) for id in (cancelled, new))

    with suppress(WaitTimeout):  # what the page shows instead is for the probes to say
        wait_until(shown, what="both tasks", every=0.1, timeout=30.0)
    page.close()
    assert "inv_" in listed.text, f"{url} shows no invocation at all: {listed.text[-200:]!r}"
    return listed


@probe("id-on-the-invocations-page")
def test_id(listed: Listed) -> Observation:
    there = listed.where(listed.new) >= 0
    return holds_if(
        there,
        "the page /ui/invocations shows the ID, without its middle"
        if there
        else "the page /ui/invocations does not show the ID",
    )


@probe("ui-shows-both-side-by-side")
def test_both(listed: Listed) -> Observation:
    both = [id for id in (listed.cancelled, listed.new) if listed.where(id) >= 0]
    return holds_if(len(both) == 2, f"{len(both)} of the two are on one page, /ui/invocations")


@probe("ui-shows-cancelled")
def test_cancelled(listed: Listed) -> Observation:
    status = listed.status(listed.cancelled)
    return holds_if(status.lower() == "cancelled", f"the UI calls the first task {status!r}")


@probe("ui-shows-completed")
def test_completed(listed: Listed) -> Observation:
    status = listed.status(listed.new)
    return holds_if(status.lower() == "completed", f"the UI calls the second task {status!r}")


@probe("ui-is-on-port-9070")
def test_port(tmp_path: Path, lab: Lab) -> Observation:
    """A server with the ports that it takes unless told otherwise, on an address of its own."""
    address = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
    binary = install_server(lambda line: None, version=lab.version or VERSION)
    env = {
        "RESTATE_BIND_IP": address,
        "RESTATE_ADVERTISED_ADDRESS": f"http://{address}:5122",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(tmp_path),
    }
    command: list[str | Path] = [
        binary,
        "--no-logo",
        "--listen-mode",
        "tcp",
        "--base-dir",
        tmp_path / "data",
    ]

    def there() -> bool:
        try:
            answer = httpx.get(f"http://{address}:9070/ui/", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and "html" in answer.headers["content-type"]

    with use_state_dir(tmp_path):
        server = process.start("restate-defaults", command, env=env)
    try:
        with suppress(WaitTimeout):
            wait_until(lambda: there() or not server.alive, what="the UI")
        if not server.alive:
            raise AssertionError(f"the server has ended:\n{server.log_tail(5)}")
        found = there()
    finally:
        server.kill()
    return holds_if(found, f"with no port set, the UI {'is' if found else 'is not'} at port 9070")
