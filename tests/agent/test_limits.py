"""How long a model call may take, how long it may be silent, and how much it is told."""

import pytest

from agent.contracts import ChatMessage
from agent.history import as_conversation
from agent.turns import TurnRecord
from tests.stack import Stack


def test_a_stalled_stream_is_tried_again(own_stack: Stack) -> None:
    stack = own_stack
    stack.restart_agent(AGENT_STALL_TIMEOUT="1")
    session = stack.session()
    stack.model.fail("hang", times=1)
    session.message()
    assert session.wait_idle()["status"] == "completed"
    stalled, again = session.requests()[:2]
    assert (stalled.status, stalled.completion_tokens) == ("hung up", 0)
    assert again.step == stalled.step
    # The agent's clock starts a little before the model's: the connection is made first.
    assert 0.5 < (stalled.ended_at or 0) - stalled.started_at < 2.0


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("AGENT_CALL_TIMEOUT", "The model call took longer than 0.5 s (AGENT_CALL_TIMEOUT)."),
        ("AGENT_STALL_TIMEOUT", "The model has sent nothing for 0.5 s (AGENT_STALL_TIMEOUT)."),
    ],
)
def test_a_call_that_never_ends_pauses_its_task(own_stack: Stack, setting: str, said: str) -> None:
    stack = own_stack
    stack.restart_agent(**{setting: "0.5", "AGENT_MAX_ATTEMPTS": "2"})
    session = stack.session()
    rate = {"AGENT_CALL_TIMEOUT": 5.0, "AGENT_STALL_TIMEOUT": 1.0}[setting]
    session.message()
    stack.model.set(tokens_per_second=rate)
    task = session.call("get_status")["task_id"]
    stack.admin.wait_for(task, "paused")
    assert len(session.requests()) == 2
    events = stack.admin.query(f"SELECT event_json FROM sys_journal_events WHERE id = '{task}'")
    assert said in str(events)
    stack.admin.resume(task)
    assert session.wait_idle()["status"] == "completed"


def test_restate_waits_for_longer_than_any_model_call(stack: Stack) -> None:
    service = stack.admin.get("/services/CodingTask")
    assert service["inactivity_timeout"] == "6m"  # AGENT_CALL_TIMEOUT and a minute
    assert service["abort_timeout"] == "1m"


def _turn(number: int, content: str, answer: str, **more: object) -> TurnRecord:
    return TurnRecord.model_validate(
        {
            "turn": number,
            "content": content,
            "status": "completed",
            "task_id": "inv_1",
            "answer": answer,
            **more,
        }
    )


def _contents(messages: list[ChatMessage]) -> list[str]:
    return [message.content for message in messages]


def test_the_newest_turns_that_fit_are_given_to_the_model() -> None:
    turns = [_turn(n, f"{n}" * 300, "a" * 300) for n in range(1, 5)]
    # Three bytes are estimated to be a token: some 200 for a turn.
    assert _contents(as_conversation(turns, budget=1_000)) == _contents(
        as_conversation(turns, budget=10_000)
    )
    kept = _contents(as_conversation(turns, budget=500))
    assert [content[0] for content in kept] == ["3", "a", "4", "a"]
    # There is no hole in what is kept, and the last turn is in it however long it is.
    turns[2] = _turn(3, "3" * 3_000, "a")
    assert [content[0] for content in _contents(as_conversation(turns, budget=500))] == ["4", "a"]
    assert [content[0] for content in _contents(as_conversation(turns, budget=1))] == ["4", "a"]


def test_a_turn_that_was_rolled_back_takes_no_room() -> None:
    turns = [_turn(1, "1", "a"), _turn(2, "2" * 9_000, "b", rolled_back=True), _turn(3, "3", "c")]
    assert _contents(as_conversation(turns, budget=100)) == ["1", "a", "3", "c"]
