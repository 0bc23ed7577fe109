"""A canary for a key, through every kind of failure, shows up nowhere."""

import json
import os
from pathlib import Path
from typing import Any, get_args

import nbformat
import papermill
import pytest

from tests.stack import Session, Stack
from workbench import wait_until
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

_SETTINGS = {
    "OPENAI_API_KEY": CANARY,
    "AGENT_MAX_ATTEMPTS": "1",
    "AGENT_FIRST_TOKEN_TIMEOUT": "1",
    "AGENT_STALL_TIMEOUT": "1",
}


def test_the_key_is_in_no_journal_state_log_or_file(own_stack: Stack) -> None:
    stack = own_stack
    stack.restart_agent(**_SETTINGS)
    faults: list[tuple[str, dict[str, Any]]] = [(kind, {}) for kind in get_args(FaultKind)]
    faults += [(kind, {"echo_key": True}) for kind in REFUSALS]
    said = []
    for kind, options in faults:
        session = stack.session()
        stack.model.fail(kind, match=session.key, **_OPTIONS.get(kind, {}), **options)
        said.append(_errors_of(session))
        stack.model.mend()
    # In the words of the provider, but for the key.
    assert any("You sent 'Bearer [key]'" in text for text in said)

    stack.restart_agent(**_SETTINGS, OPENAI_BASE_URL=f"http://127.0.0.1:1/{CANARY}/v1")
    said.append(_errors_of(stack.session()))
    assert CANARY not in str(said)

    found = {table: str(stack.admin.query(f"SELECT * FROM {table}")) for table in _TABLES}
    assert all(found.values())
    assert [table for table, text in found.items() if _holds(text, CANARY)] == []
    assert _holds(found["sys_journal"], MARKER)
    assert _holds(found["state"], MARKER)

    stack.agent.stop()
    stack.restate.stop()  # and what was in memory is in files
    kept = {path: path.read_bytes() for path in state_dir().rglob("*") if path.is_file()}
    assert any(MARKER.encode() in content for content in kept.values())
    assert [path for path, content in kept.items() if CANARY.encode() in content] == []


def _errors_of(session: Session) -> str:
    """Send a message, wait until its task is over or paused, return all that it said of faults."""
    stack = session.stack
    task = session.message(f"Write a to-do CLI {MARKER}")["task_id"]
    ours = f"(id = '{task}' OR invoked_by_id = '{task}')"
    where = f"(id = '{task}' AND status = 'completed') OR ({ours} AND status = 'paused')"
    wait_until(lambda: stack.count("sys_invocation", where), what="the task to end or to pause")
    said = str(session.turns())
    try:
        stack.ingress.output(task)
    except IngressError as error:
        said += f"{error} {error.message} {json.dumps(error.metadata)}"
    return said


def _holds(text: str, word: str) -> bool:
    """Whether the word is in it: as it is, in hex, or as a list of bytes."""
    as_list = ",".join(str(byte) for byte in word.encode())
    return word in text or word.encode().hex() in text.lower() or as_list in text.replace(", ", ",")


def test_what_finds_the_key_finds_it_in_every_guise() -> None:
    as_bytes = json.dumps({"a": [{"value": list(CANARY.encode())}]})
    for value in (CANARY, f"00{CANARY.encode().hex()}00", as_bytes):
        assert _holds(str([{"column": value}]), CANARY)


LESSON = """
from workbench import *
restate, model = start_restate('embedded'), start_model()
agent = start_agent(restate, model)
print(restate, model, agent, repr(restate), repr(model), repr(agent))
admin, ingress = Admin(restate), Ingress(restate)
admin.register(agent.uri, force=True)

content = {'content': 'Write a to-do CLI MARKER'}
task = ingress.call('CodingAgent', 'message', content, key='lesson')['task_id']
admin.wait_for(task, 'completed')

show_tree(admin, task)
show_journal(admin, task)
show_state(admin, 'CodingAgent', 'lesson')
show_turns(ingress, 'lesson')
print(agent.log_tail(100), admin.query('SELECT * FROM sys_invocation'))

try:
    ingress.attach(task)
except WorkbenchError as error:
    print(error)
"""


@pytest.mark.filterwarnings("default")  # of jupyter_client and the kernel, which are not ours
def test_the_key_is_in_no_executed_notebook(
    own_stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a real provider, which refuses a request and quotes the key."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.setenv("OPENAI_BASE_URL", own_stack.model.base_url)
    own_stack.model.fail("bad_request", echo_key=True)
    cells = LESSON.replace("MARKER", MARKER).strip().split("\n\n")
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata=kernel
    )
    source, executed = tmp_path / "lesson.ipynb", tmp_path / "executed.ipynb"
    nbformat.write(notebook, source)
    papermill.execute_notebook(source, executed, cwd=os.getcwd(), progress_bar=False)
    text = executed.read_text()
    assert "You sent 'Bearer [key]'" in text
    assert MARKER in text
    assert "Listing the model" not in text
    assert CANARY not in text
