"""The workspace: a draft is one turn's, all of its files come through or none, and what comes from
a turn that is over is refused or does nothing.
"""

import time
from functools import partial
from typing import Any

import pytest

from tests.stack import IngressError, Session, Stack
from workbench import wait_until

ONE, TWO = {"turn": 1}, {"turn": 2}
FILE = {"path": "a.py", "content": "x"}


def _ask(session: Session, handler: str, body: dict[str, Any]) -> None:
    session.stack.ingress.call("Workspace", handler, body, key=session.key)


def _refused(session: Session, handler: str, body: dict[str, Any]) -> str:
    with pytest.raises(IngressError) as refused:
        _ask(session, handler, body)
    assert refused.value.status_code == 409
    return refused.value.message


def test_a_draft_becomes_files_once(stack: Stack) -> None:
    session = stack.session()
    assert _refused(session, "commit", ONE) == "Turn 1 has no draft."
    for path in ("a.py", "b.py", "c.py"):
        _ask(session, "write_file", {**ONE, "path": path, "content": path})
    assert session.files() == {}
    _ask(session, "commit", {**ONE, "paths": ["b.py", "a.py"]})
    assert session.files() == {"a.py": "a.py", "b.py": "b.py"}
    assert not session.has_draft()
    assert _refused(session, "commit", ONE) == "Turn 1 has no draft."
    assert _refused(session, "write_file", ONE | FILE) == "Turn 1 is over."
    _ask(session, "rollback", ONE)
    assert set(session.files()) == {"a.py", "b.py"}


def test_a_rollback_comes_ahead_of_all_that_it_takes_back(stack: Stack) -> None:
    """One-way calls may overtake each other, and a turn may be rolled back that has not begun."""
    session = stack.session()
    _ask(session, "rollback", ONE)
    assert _refused(session, "write_file", ONE | FILE) == "Turn 1 is over."
    _ask(session, "rollback", {"turn": 3})
    _ask(session, "write_file", TWO | FILE)
    _ask(session, "rollback", ONE)
    assert session.has_draft()
    assert _refused(session, "commit", ONE) == "Turn 1 has no draft."
    _ask(session, "commit", TWO)
    assert set(session.files()) == {"a.py"}
    assert _refused(session, "write_file", {"turn": 3} | FILE) == "Turn 3 is over."
    _ask(session, "write_file", {"turn": 4} | FILE)


def test_a_session_that_begins_again_is_another(stack: Stack) -> None:
    """An operator has cleared it, and its turns count from 1."""
    session = stack.session()
    old, new = {"turn": 1, "epoch": "a"}, {"turn": 1, "epoch": "b"}
    _ask(session, "write_file", old | FILE)
    _ask(session, "commit", old)
    _ask(session, "write_file", {"turn": 2, "epoch": "a"} | FILE)
    _ask(session, "write_file", new | FILE)
    _ask(session, "rollback", {"turn": 2, "epoch": "a"})
    assert _refused(session, "write_file", {"turn": 3, "epoch": "a"} | FILE) == "Turn 3 is over."
    _ask(session, "commit", new)


def test_the_first_file_of_a_turn_drops_the_draft_of_another(stack: Stack) -> None:
    session = stack.session()
    _ask(session, "write_file", ONE | FILE)
    _ask(session, "write_file", {**TWO, "path": "b.py", "content": ""})
    assert _refused(session, "commit", ONE) == "Turn 1 has no draft."
    _ask(session, "commit", TWO)
    assert set(session.files()) == {"b.py"}


def test_a_commit_killed_at_any_moment_is_whole_or_nothing(stack: Stack) -> None:
    files = {f"file{number}.py" for number in range(8)}
    for number in range(0, 20, 2):
        session = stack.session()
        for path in files:
            _ask(session, "write_file", {**ONE, "path": path, "content": "x" * 60_000})
        commit = stack.ingress.send("Workspace", "commit", ONE, key=session.key)
        until = time.monotonic() + 0.001 * number
        wait_until(partial(_is_past, until), what="the moment", every=0)
        stack.admin.patch(f"/invocations/{commit}/kill", allow=(404, 409))
        _ask(session, "rollback", ONE)
        assert set(session.files()) in (set(), files)
        assert not session.has_draft()


def _is_past(moment: float) -> bool:
    return time.monotonic() >= moment
