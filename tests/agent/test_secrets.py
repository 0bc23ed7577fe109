"""Rule 9: a canary for a key, through every kind of failure, shows up nowhere."""

from pathlib import Path

from tests.stack import Stack
from workbench import start_agent, wait_until
from workbench.home import logs

CANARY = "sk-canary-7f3e9a51c2"


def test_the_key_is_in_no_journal_state_or_log(own_stack: Stack) -> None:
    stack = own_stack
    stack.agent.stop()
    agent = start_agent(
        stack.restate, stack.model, env={"AGENT_MAX_ATTEMPTS": "1", "OPENAI_API_KEY": CANARY}
    )
    stack.admin.register(agent.uri, force=True)
    for kind in ("unauthorized", "forbidden", "outage", "rate_limit", "bad_request", "cut"):
        session = stack.session()
        stack.model.fail(kind, match=session.key, times=1)
        task = session.message()["task_id"]
        # Each ends: failed, paused after its one attempt, or completed after the retry that 429
        # asks for.
        wait_until(
            lambda task=task: stack.count(  # type: ignore[misc]
                "sys_invocation", f"id = '{task}' AND status IN ('completed', 'paused')"
            ),
            what=f"the task to end after {kind}",
        )

    for table in ("sys_invocation", "sys_journal", "sys_journal_events", "state"):
        rows = stack.admin.query(f"SELECT * FROM {table}")
        assert rows
        assert CANARY not in str(rows), table
    for log in Path(logs()).iterdir():
        assert CANARY not in log.read_text(errors="replace"), log.name
    for record in (Path(logs()).parent / "processes").iterdir():
        assert CANARY not in record.read_text(), record.name
