"""The pattern of the guide: one message interrupts the task of another."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from tests.browser.chromium import chromium, missing
from tests.claims.conftest import Observed
from tests.claims.guide import Guide
from tests.claims.lab import CANCELLED, SOON, Lab
from workbench import WaitTimeout, journal_rows, process, wait_until
from workbench.restate import VERSION, install_server
from workbench.state_dir import use_state_dir


@pytest.fixture
def guide(lab: Lab) -> Iterator[Guide]:
    with Guide(lab).served() as guide:
        yield guide


@pytest.mark.claims(
    "pattern-uses-two-services",
    "session-is-a-virtual-object",
    "session-holds-history-and-task-id",
    "task-is-a-long-running-service",
    "happy-path-gives-one-response",
)
def test_one_message(lab: Lab, guide: Guide, observed: Observed) -> None:
    kinds = {s.name: lab.admin.get(f"/services/{s.name}")["ty"] for s in guide.services}
    words = ", ".join(f"{name} is a {kind}" for name, kind in kinds.items())
    two = kinds == {"CodingAgent": "VirtualObject", "CodingTask": "Service"}
    observed("pattern-uses-two-services", two, words)
    said = guide.say("Write a to-do CLI")
    task, state = str(said["task_id"]), guide.state()
    has_text, has_id = "Write a to-do CLI" in state["history"], task in state["current_task_id"]
    observed(
        "session-holds-history-and-task-id",
        has_text and has_id,
        f"in the state while the task runs: {'the message' if has_text else 'no message'}, "
        f"{'the ID of its task' if has_id else 'no ID'}",
    )
    at_work = lab.row(task)["status"]
    guide.model.open()
    lab.wait(task, "completed")
    after = "in the task's output" if "the answer" in str(journal_rows(lab.admin, task)) else "no"
    observed(
        "task-is-a-long-running-service",
        two and at_work == "running" and after != "no",
        f"a {kinds['CodingTask']}, {at_work} after the reply to the message; the work's result is "
        f"{after}",
    )
    guide.wait_reports(1)
    roles = [each["role"] for each in json.loads(guide.state()["history"])]
    words = f"one message: the history has {', '.join(roles)}"
    observed("happy-path-gives-one-response", roles == ["user", "assistant"], words)
    other = Guide(lab)
    keys = sorted(
        (row["service_key"] == guide.key, row["key"])
        for row in lab.admin.query("SELECT * FROM state WHERE service_name = 'CodingAgent'")
        if row["service_key"] in (guide.key, other.key)
    )
    observed(
        "session-is-a-virtual-object",
        two and keys == [(True, "history")],
        f"a {kinds['CodingAgent']}; of two sessions one is sent a message, and has state: "
        f"{', '.join(key for mine, key in keys if mine)}; the other has "
        f"{', '.join(key for mine, key in keys if not mine) or 'none'}",
    )


@pytest.mark.claims(
    "message-loads-history",
    "new-message-cancels-the-running-task",
    "new-message-waits-for-cleanup",
    "new-task-is-sent",
    "new-task-id-is-persisted",
    "task-catches-notifies-and-re-raises",
    "recorded-as-cancelled",
    "second-message-interrupts-the-first",
)
def test_interruption(lab: Lab, guide: Guide, observed: Observed) -> None:
    """The second message comes while the model is asked; the first task's cleanup is held."""
    first = str(guide.say("Write a to-do CLI")["task_id"])
    kept = first in guide.state()["current_task_id"]
    message = guide.send("With Flask")
    wait_until(
        lambda: "cleanup begins" in guide.notes or lab.over(first), what="the cleanup, or the end"
    )
    waits = not lab.over_within(SOON, message)
    sent_meanwhile = lab.entries(message).count("Command: OneWayCall")
    guide.cleanup.open()
    lab.wait(message, "completed")
    reply = lab.ingress.attach(message)
    second = str(reply["task_id"])
    in_order = guide.notes[-2:] == ["cleanup is over", "message ends"]
    guide.wait_reports(1)
    asked = journal_rows(lab.admin, second)[0]["result"]
    guide.model.open()
    lab.wait(second, "completed")
    outcome, interrupts = lab.outcome(first), reply["interrupted"] == first

    steps = ("GetState", "SendSignal", "AttachInvocation", "OneWayCall", "SetState")
    commands = [re.sub("Command: |Eager|Lazy", "", entry) for entry in lab.entries(message)]
    path = list(dict.fromkeys(each for each in commands if each in steps))
    whole = "Write a to-do CLI" in str(asked) and "With Flask" in str(asked)
    observed(
        "message-loads-history",
        path == list(steps) and whole,
        f"message does {', '.join(path)}; the task is given "
        f"{'both messages' if whole else 'less than both messages'}",
    )
    observed(
        "new-message-cancels-the-running-task",
        interrupts and outcome == CANCELLED,
        f"the task of the message before: {outcome}; the reply "
        f"{'names' if interrupts else 'does not name'} it",
    )
    attached = "AttachInvocation" in path
    late = "(interrupted)" not in str(asked)
    observed(
        "new-message-waits-for-cleanup",
        attached and waits and not sent_meanwhile and in_order and not late,
        f"the task's cleanup is held: message {'attaches' if attached else 'does not attach'} to "
        f"it, {'waits' if waits else 'does not wait'} and sends {sent_meanwhile or 'nothing'}; the "
        "cleanup that the task asks of the session, by a one-way call, "
        f"comes {'after' if late else 'before'} the new task",
    )
    targets = sorted({lab.row(id)["target"] for id in (first, second)})
    observed(
        "new-task-is-sent",
        first != second and targets == ["CodingTask/run_task"],
        f"two messages, {len({first, second})} invocations of {', '.join(targets)}",
    )
    observed(
        "new-task-id-is-persisted",
        kept and interrupts,
        f"the first task's ID is {'in the state' if kept else 'not in the state'}, and the second "
        f"message {'interrupts' if interrupts else 'does not interrupt'} that task",
    )
    entries = lab.entries(first)
    after = [e.removeprefix("Command: ") for e in entries[entries.index("Notification: Signal") :]]
    after = [each for each in after if each in ("Run", "OneWayCall", "Output")]
    observed(
        "task-catches-notifies-and-re-raises",
        after == ["OneWayCall", "Run", "Output"] and outcome == CANCELLED,
        f"after the signal {', '.join(after)}; then the task ends {outcome}",
    )
    row = lab.row(first)
    columns = row["status"], row["completion_result"], row["completion_failure"]
    words = f"in sys_invocation: {' · '.join(columns)}"
    observed("recorded-as-cancelled", row["status"] == "cancelled", words)
    ends = outcome, lab.outcome(second)
    words = f"two messages, the second before the task of the first is done: {', '.join(ends)}"
    observed("second-message-interrupts-the-first", ends == (CANCELLED, "success"), words)


@pytest.mark.claims("keys-queue-concurrent-requests", "interruptions-one-at-a-time")
def test_queue(lab: Lab, guide: Guide, observed: Observed) -> None:
    """Five messages are in the queue of one key before the first of them begins."""
    guide.cleanup.open()
    holder = lab.ingress.send("CodingAgent", "hold", key=guide.key)
    guide.queue.wait_reached()
    messages = [guide.send(f"Version {number}") for number in range(5)]
    waiting = [lab.wait(id, "pending") for id in messages]
    other = Guide(lab)
    lab.wait(lab.ingress.send("CodingAgent", "message", "Hello", key=other.key), "completed")
    still = [lab.row(id)["status"] for id in messages]
    guide.queue.open()
    for id in [holder, *messages]:
        lab.wait(id, "completed")
    replies = [lab.ingress.attach(id) for id in messages]
    guide.model.open()
    at_once, most = 0, 0
    for note in [note for note in guide.notes if note.startswith("message")][2:]:
        at_once += 1 if note == "message begins" else -1
        most = max(most, at_once)
    queued = waiting == still == ["pending"] * 5
    observed(
        "keys-queue-concurrent-requests",
        queued and most == 1,
        f"a request is at work: five more of its key are {'pending' if queued else 'not pending'}, "
        f"one of another key is answered meanwhile; later, of the five at work at once: {most}",
    )
    chain = [reply["interrupted"] for reply in replies]
    each = chain == [None, *(reply["task_id"] for reply in replies[:-1])]
    words = f"five messages: {'each' if each else 'not each'} interrupts the task of the one before"
    observed("interruptions-one-at-a-time", each and most == 1, words)


@pytest.mark.claims("pattern-has-no-races")
def test_races(guide: Guide, observed: Observed) -> None:
    guide.cleanup.open()
    found = []
    for number in (1, 2, 3):
        found.append("a task" if guide.say(f"Version {number}")["interrupted"] else "nothing")
        if number == 2:
            guide.wait_reports(1)
    guide.model.open()
    observed(
        "pattern-has-no-races",
        found == ["nothing", "a task", "a task"],
        "where a task's report clears the session's one current task ID, three messages interrupt: "
        f"{', '.join(found)}",
    )


# The page of all invocations has a row for each: its ID without the middle, and before the time
# since when it is so, a word for its status.
_ROW_STATUS = re.compile(r"^([A-Za-z]\w*)$(?=\n\s*[\d.]+\w* ago)", re.MULTILINE)


@pytest.mark.claims(
    "id-on-the-invocations-page",
    "ui-shows-both-side-by-side",
    "ui-shows-cancelled",
    "ui-shows-completed",
)
@pytest.mark.timeout(150)  # a browser on a busy machine
def test_ui(lab: Lab, guide: Guide, observed: Observed) -> None:
    if reason := missing():
        pytest.skip(reason)
    guide.cleanup.open()
    ids = [str(guide.say(content)["task_id"]) for content in ("Write a CLI", "With Flask")]
    guide.model.open()
    for id in ids:
        lab.wait(id, "completed")
    only = quote(json.dumps({"operation": "IN", "value": ["run_task"]}))
    url = f"{lab.restate.ui_url}/invocations?filter_target_handler_name={only}"
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1400, "height": 900}, reduced_motion="reduce")
        # The editor for queries takes a busy machine half a minute, and the rows wait for it.
        page.route("**/*MonacoEditor*", lambda route: route.abort())
        page.goto(f"{url}&sort_field=created_at&sort_order=DESC", wait_until="commit")
        # Waited for in the browser: each look from here has it lay out the page.
        page.get_by_text("inv_").nth(1).wait_for(state="attached", timeout=90_000)
        text = page.inner_text("body")
    rows = text.split("inv_")[1:]
    shown = [next((id for id in ids if row.startswith(short(id)[4:])), "") for row in rows]
    status = dict.fromkeys(ids, "no status")
    for id, row in zip(shown, rows, strict=True):
        if id and (found := _ROW_STATUS.findall(row)):
            status[id] = found[-1]
    there = ids[1] in shown
    words = "shows the ID, without its middle" if there else "does not show the ID"
    observed("id-on-the-invocations-page", there, f"the page /ui/invocations {words}")
    beside = ids[::-1] in [shown[n : n + 2] for n in range(len(shown))]
    words = f"on the page /ui/invocations the two are {'' if beside else 'not '}in adjacent rows"
    observed("ui-shows-both-side-by-side", beside, words)
    cancelled, completed = (status[id] for id in ids)
    words = f"the UI calls the first task {cancelled!r}"
    observed("ui-shows-cancelled", cancelled.lower() == "cancelled", words)
    words = f"the UI calls the second task {completed!r}"
    observed("ui-shows-completed", completed.lower() == "completed", words)


def short(id: str) -> str:
    """An ID as the page has it."""
    return f"{id[:8]}…{id[-5:]}"


@pytest.mark.claims("ui-is-on-port-9070")
def test_port(tmp_path: Path, lab: Lab, observed: Observed) -> None:
    """A server with the ports that it takes unless told otherwise, on an address of its own."""
    address = f"127.{random.randint(10, 250)}.{random.randint(1, 250)}.{random.randint(2, 250)}"
    env = {
        "RESTATE_BIND_IP": address,
        "RESTATE_ADVERTISED_ADDRESS": f"http://{address}:5122",
        "RESTATE_DEFAULT_NUM_PARTITIONS": "4",
        "RESTATE_DISABLE_TELEMETRY": "true",
        "TMPDIR": str(tmp_path),
    }
    binary = install_server(lambda line: None, version=lab.version or VERSION)
    options = ["--no-logo", "--listen-mode", "tcp", "--base-dir", tmp_path / "data"]

    def there() -> bool:
        try:
            answer = httpx.get(f"http://{address}:9070/ui/", trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and "html" in answer.headers["content-type"]

    with use_state_dir(tmp_path):
        server = process.start("restate-defaults", [binary, *options], env=env)
    try:
        with suppress(WaitTimeout):
            wait_until(lambda: there() or not server.alive, what="the UI")
        assert server.alive, f"the server has ended:\n{server.log_tail(5)}"
        found = there()
    finally:
        server.kill()
    words = f"with no port set, the UI {'is' if found else 'is not'} at port 9070"
    observed("ui-is-on-port-9070", found, words)
