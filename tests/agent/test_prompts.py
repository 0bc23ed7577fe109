"""Reading a model's plan: real models wrap it, decorate it and get it wrong."""

import pytest

from agent.model import ModelError
from agent.prompts import read_plan, without_fence

PLAN = '{"summary": "A clock.", "files": [{"path": "clock.py", "purpose": "Tells the time."}]}'


@pytest.mark.parametrize("text", [PLAN, f"```json\n{PLAN}\n```", f"\n```\n{PLAN}```\n"])
def test_a_plan_is_read(text: str) -> None:
    plan = read_plan(text)
    assert plan.summary == "A clock."
    assert str(plan) == "A clock.\n- clock.py: Tells the time."


def test_what_a_model_adds_is_ignored() -> None:
    assert read_plan(PLAN[:-1] + ', "notes": "none"}').files[0].path == "clock.py"


@pytest.mark.parametrize(
    "text",
    [
        "I cannot plan that.",
        PLAN[:-1],
        "[]",
        '{"summary": "Nothing.", "files": []}',
        PLAN.replace("clock.py", "../clock.py"),
        PLAN.replace("clock.py", "/etc/passwd"),
        PLAN.replace("clock.py", "a\\\\b.py"),
        PLAN.replace("A clock", "\\ud800"),
        PLAN.replace("A clock", "\ud800"),
        PLAN.replace('"A clock."', "9" * 5_000),
        "[" * 100_000,
    ],
)
def test_what_is_no_plan_is_asked_for_again(text: str) -> None:
    with pytest.raises(ModelError, match="not the JSON object that it was asked for"):
        read_plan(text)


def test_only_a_fence_around_everything_is_taken_off() -> None:
    text = "Run it:\n```\npython clock.py\n```\n"
    assert without_fence(text) == text
