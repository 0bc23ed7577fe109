"""Other work in place of the agent's own, and how much of the conversation the model is given."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import agent
from tests.agent.stub import HEAD, Answer, Part, Request, Stub, event, says
from tests.stack import Session, Stack, start_other
from workbench import wait_until


@contextmanager
def _served(held: Stack, work: str, answer: Answer, **env: str) -> Iterator[Stub]:
    """Another work in place of the stack's, with a provider of its own."""
    with Stub(answer) as provider:
        held.agent.stop()
        agent = start_other(work, held.restate, provider, **env)
        held.admin.register(agent.uri, force=True)
        try:
            yield provider
        finally:
            agent.stop()
            held.restart_agent()


def _asked(provider: Stub, number: int = -1) -> list[str]:
    """What a request to the model holds."""
    return [message["content"] for message in provider.requests[number].body["messages"]]


def _said(session: Session, content: str) -> dict[str, Any]:
    """The turn of a message, once it is over."""
    session.call("message", {"content": content})
    wait_until(lambda: session.call("get_status")["status"] == "idle", what="the end of the turn")
    return session.turns()[-1]


def _for_ever() -> Iterator[Part]:
    yield HEAD
    while True:
        yield event("A")
        yield 0.02


def test_the_work_of_the_docstring(held: Stack) -> None:
    def answer(request: Request) -> Any:
        return _for_ever() if request.body["messages"][-1]["content"] == "slow" else says("Hello.")

    with _served(held, "docstring", answer) as provider:
        session = held.session()
        assert _said(session, "Hi")["answer"] == "Hello."
        session.call("message", {"content": "slow"})
        wait_until(lambda: len(provider.requests) == 2, what="the model to be asked")
        assert _said(session, "Again")["status"] == "completed"
        assert session.statuses() == ["completed", "interrupted", "completed"]
        said = _asked(provider)
        assert said[:3] + said[4:] == ["Hi", "Hello.", "slow", "Again"]
        assert said[3].startswith("[Interrupted before it was ")


def test_it_is_as_short_as_the_docstring_says() -> None:
    text = (agent.__doc__ or "").partition("from restate import")[2].partition("\n\n\n")[0]
    lines = [line for line in text.splitlines() if line.strip() and line.startswith("    ")]
    assert len(lines) <= 10
    tools = Path(__file__).with_name("other_work") / "tools.py"
    assert len(tools.read_text().splitlines()) <= 60


def test_an_agent_with_tools_is_interrupted_in_the_middle_of_one(held: Stack) -> None:
    calls = {
        "How long is this?": {"tool": "count", "argument": "one two three"},
        "Wait": {"tool": "wait", "argument": "600"},
        "Wait for it": {"tool": "wait", "argument": "soon"},
    }

    def answer(request: Request) -> bytes:
        said = request.body["messages"][-1]["content"]
        return says(json.dumps(calls[said]) if said in calls else f"It says: {said}")

    with _served(held, "tools", answer) as provider:
        session = held.session()
        assert _said(session, "How long is this?")["answer"] == "It says: 3 words"
        assert "could not convert string to float" in _said(session, "Wait for it")["answer"]

        task = session.call("message", {"content": "Wait"})["task_id"]
        at_work = f"id = '{task}' AND entry_type = 'Command: Run' AND name = 'tool 0'"
        wait_until(lambda: held.count("sys_journal", at_work), what="the tool to be at work")
        assert _said(session, "How long?")["answer"] == "It says: How long?"
        assert session.statuses() == ["completed", "completed", "interrupted", "completed"]
        for request in provider.requests:
            roles = [message["role"] for message in request.body["messages"]]
            assert roles[0] == "system"
            assert all(one != other for one, other in pairwise(roles))
        assert "called wait" in _asked(provider)[-2]


def test_the_model_is_given_the_newest_turns_that_fit(held: Stack) -> None:
    """Three bytes count as a token."""
    with _served(held, "docstring", lambda _: says("A"), AGENT_CONTEXT_TOKENS="210") as provider:
        session = held.session()
        for number in range(1, 5):
            _said(session, f"{number}" * 300)
        assert [said[0] for said in _asked(provider, 0)] == ["1"]
        assert [said[0] for said in _asked(provider)] == ["3", "A", "4"]
        # And the state that each message reads does not grow.
        _said(session, "5" * 3000)
        assert _asked(provider) == ["5" * 3000]
        where = f"service_key = '{session.key}' AND key = 'session'"
        state = held.admin.query(f"SELECT value_utf8 FROM state WHERE {where}")[0]["value_utf8"]
        assert [entry["turn"] for entry in json.loads(state)["recent"]] == [5, 5]
        _said(session, "6")
        assert _asked(provider) == ["6"]
