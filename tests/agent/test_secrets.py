"""A canary for a key, through every kind of failure, shows up nowhere."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import nbformat
import papermill
import pytest

from tests.stack import Session, Stack
from workbench import start_agent, wait_until
from workbench.clients import IngressError
from workbench.scripted_model.faults import REFUSALS, FaultKind
from workbench.state_dir import state_dir

CANARY = "sk-canary-7f3e9a51c2"
# Said in a message, and so in every place where a message goes: whoever looks for the canary there
# must find this, or has not looked.
MARKER = "marker-64c0d8be17"

_TABLES = ("sys_invocation", "sys_journal", "sys_journal_events", "state", "sys_deployment")

# A task that is told to wait is never paused, so it is told so once.
_OPTIONS: dict[str, dict[str, Any]] = {"rate_limit": {"retry_after": 0.1, "times": 1}}


@pytest.fixture
def restarted(own_stack: Stack) -> Callable[..., Stack]:
    """Restart the agent with the canary and other settings."""

    def restart(**env: str) -> Stack:
        own_stack.agent.stop()
        settings = {"AGENT_MAX_ATTEMPTS": "1", "OPENAI_API_KEY": CANARY}
        settings |= {"AGENT_FIRST_TOKEN_TIMEOUT": "1", "AGENT_STALL_TIMEOUT": "1"}
        own_stack.agent = start_agent(own_stack.restate, own_stack.model, env=settings | env)
        own_stack.admin.register(own_stack.agent.uri, force=True)
        return own_stack

    return restart


def test_the_key_is_in_no_journal_state_log_or_file(restarted: Callable[..., Stack]) -> None:
    stack = restarted()
    faults: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in get_args(FaultKind)]
    faults += [(kind, {"echo_key": True}) for kind in REFUSALS]
    said = []
    for kind, options in faults:
        session = stack.session()
        stack.model.fail(kind, match=session.key, **_OPTIONS.get(kind, {}), **options)
        said += errors_of(session)
        stack.model.mend()
    # In the words of the provider, but for the key.
    assert any("You sent 'Bearer [key]'" in text for text in said)

    bad_url = restarted(OPENAI_BASE_URL=f"http://127.0.0.1:1/{CANARY}/v1")
    said += errors_of(bad_url.session())
    assert CANARY not in str(said)

    found = {table: everything(stack.admin.query(f"SELECT * FROM {table}")) for table in _TABLES}
    for table, text in found.items():
        assert text
        assert CANARY not in text, table
    assert MARKER in found["sys_journal"]
    assert MARKER in found["state"]

    stack.agent.stop()
    stack.restate.stop()  # and what was in memory is in files
    holders = [path for path in files() if MARKER.encode() in path.read_bytes()]
    assert holders
    assert [path for path in files() if CANARY.encode() in path.read_bytes()] == []


def errors_of(session: Session) -> list[str]:
    """Send a message, wait until its task is over or paused, return all that it said of faults."""
    stack = session.stack
    task = session.message(f"Write a to-do CLI {MARKER}")["task_id"]
    ours = f"(id = '{task}' OR invoked_by_id = '{task}')"
    wait_until(
        lambda: (
            stack.count("sys_invocation", f"id = '{task}' AND status = 'completed'")
            or stack.count("sys_invocation", f"{ours} AND status = 'paused'")
        ),
        what="the task to end or to pause",
    )
    try:
        stack.ingress.output(task)
    except IngressError as error:
        return [str(error), error.message, json.dumps(error.metadata), str(session.turns())]
    return [str(session.turns())]


def everything(rows: list[dict[str, Any]]) -> str:
    """All that rows hold, read: some columns are hex, and JSON has lists of bytes for values."""
    texts = []
    for value in (value for row in rows for value in row.values()):
        texts.append(str(value))
        if isinstance(value, str):
            try:
                texts.append(bytes.fromhex(value).decode(errors="replace"))
            except ValueError:
                texts.append(_bytes_in(value))
    return "\n".join(texts)


def _bytes_in(text: str) -> str:
    """The values in JSON that are written as lists of bytes, as text."""
    found: list[str] = []

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for item in value.values():
                collect(item)
        elif isinstance(value, list):
            if value and all(isinstance(item, int) and 0 <= item < 256 for item in value):
                found.append(bytes(value).decode(errors="replace"))
            else:
                for item in value:
                    collect(item)

    try:
        collect(json.loads(text))
    except ValueError:
        return ""
    return "\n".join(found)


def files() -> list[Path]:
    """The server's data, the logs, the records of processes: all that the workbench keeps."""
    return [path for path in state_dir().rglob("*") if path.is_file()]


def test_what_finds_the_key_finds_it_in_every_guise() -> None:
    as_bytes = json.dumps({"a": [{"value": list(CANARY.encode())}]})
    for value in (CANARY, CANARY.encode().hex(), as_bytes):
        assert CANARY in everything([{"column": value}])


LESSON = [
    "from workbench import *\n"
    "restate, model = start_restate('embedded'), start_model()\n"
    "agent = start_agent(restate, model)\n"
    "print(restate, model, agent, repr(restate), repr(model), repr(agent))",
    "admin, ingress = Admin(restate), Ingress(restate)\nadmin.register(agent.uri, force=True)",
    "content = {'content': 'Write a to-do CLI MARKER'}\n"
    "accepted = ingress.call('CodingAgent', 'message', content, key='lesson')\n"
    "task = accepted['task_id']\n"
    "admin.wait_for(task, 'completed')\n"
    "show_tree(admin, task, caption='The task.')\n"
    "show_journal(admin, task)\n"
    "show_state(admin, 'CodingAgent', 'lesson')\n"
    "show_turns(ingress, 'lesson')",
    "print(agent.log_tail(100), admin.query('SELECT * FROM sys_invocation'))",
    "try:\n    ingress.attach(task)\nexcept WorkbenchError as error:\n    print(error)",
    "try:\n    model.fail('outage')\nexcept WorkbenchError as error:\n    print(error)",
]


@pytest.mark.filterwarnings("default")  # of jupyter_client and the kernel, which are not ours
def test_the_key_is_in_no_executed_notebook(
    own_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a real provider, which refuses a request and quotes the key."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", own_stack.model.base_url)
    own_stack.model.fail("bad_request", echo_key=True)
    cells = [nbformat.v4.new_code_cell(cell.replace("MARKER", MARKER)) for cell in LESSON]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    source, executed = tmp_path / "lesson.ipynb", tmp_path / "executed.ipynb"
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=kernel), source)
    papermill.execute_notebook(source, executed, cwd=os.getcwd(), progress_bar=False)
    text = executed.read_text()
    assert "You sent 'Bearer [key]'" in text
    assert MARKER in text
    assert "Listing the model" not in text
    assert CANARY not in text
