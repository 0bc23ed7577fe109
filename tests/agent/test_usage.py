"""Every token that the model has sent is counted, also those of attempts that came to nothing."""

from typing import Any

import pytest

from tests.stack import Session, Stack
from workbench import ModelRequest, wait_until


def _sent(session: Session) -> int:
    return sum(request.completion_tokens for request in session.requests())


@pytest.mark.parametrize(("kind", "times"), [("cut", 2), ("empty", 1), ("server_error", 2)])
def test_failed_attempts_are_counted(stack: Stack, kind: str, times: int) -> None:
    session = stack.session()
    options: dict[str, Any] = {"after_tokens": 7} if kind == "cut" else {}
    stack.model.fail(kind, times=times, match=session.key, **options)
    session.message()
    session.wait_idle()
    answered = [request for request in session.requests() if request.status == "completed"]
    if kind == "cut":
        wasted = [r.completion_tokens for r in session.requests() if r.status == "cut"]
        assert wasted == [7] * times
    wait_until(
        lambda: session.usage()["completion_tokens"] == _sent(session),
        what="all tokens to be counted",
    )
    assert session.usage()["calls"] == len(answered) - (kind == "empty")


def test_what_was_lost_with_the_server_is_counted(held: Stack) -> None:
    session = held.session()
    held.model.set(tokens_per_second=20)  # so that it is still at work when all is back
    session.call("message", {"content": "Write a to-do CLI"})
    session.wait_streaming(1, "plan", tokens=10)
    held.restate.kill()
    held.start_server()

    def hung_up() -> list[ModelRequest]:
        return [request for request in session.requests() if request.status == "hung up"]

    wait_until(hung_up, what="the agent to hang up")  # what is asked next is answered fast
    session.wait_idle(timeout=40)
    lost = hung_up()
    assert lost
    wait_until(
        lambda: session.usage()["calls"] == len(session.requests()) - len(lost),
        what="the usage to be told",
    )
    finished = sum(r.completion_tokens for r in session.requests() if r.status == "completed")
    assert finished + 10 <= session.usage()["completion_tokens"] <= _sent(session)
