"""Reading what models write: they wrap it, decorate it and get it wrong. What becomes of a turn
with such a plan is in `test_provider_replies.py`.
"""

import pytest
from pydantic import ValidationError

from agent.provider import spoken
from agent.work import read_file, read_plan

PLAN = '{"summary": "A clock.", "files": [{"path": "clock.py", "purpose": "Tells the time."}]}'


@pytest.mark.parametrize(
    "text",
    [
        PLAN,
        f"```json\n{PLAN}\n```",
        f"Here it is:\n```\n{PLAN}```\nThat is all.",
        f'{{"summary": "Another.", "files": null}} {PLAN}',
        f'{{"plan": {PLAN}}}',
        f"[{PLAN}]",
        PLAN.replace("]}", "],}").replace('"', "'"),
        PLAN.replace("clock.py", " ./clock.py"),
        PLAN.replace("}]", '}, {"path": "clock.py", "purpose": "Tells the time."}]'),
        PLAN[:-1] + ', "notes": "none", "steps": null}',
    ],
)
def test_a_plan_is_read(text: str) -> None:
    plan = read_plan(text)
    assert str(plan) == "A clock.\n- clock.py: Tells the time."


@pytest.mark.parametrize("path", [".gitignore", "my app.py", "größe.py", "a/b/c.py", "..a/b..py"])
def test_a_path_that_is_taken(path: str) -> None:
    assert read_plan(PLAN.replace("clock.py", path)).files[0].path == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "/etc/passwd", "../clock.py", "a/../../b.py", "a//b.py", "app/", ".", "C:clock.py"),
        *("a\\\\b.py", "a\\nb.py", "a\\u202eb.py", "a/ ../b.py", "x" * 201, "x/" * 250 + "x"),
    ],
)
def test_a_path_that_is_refused(path: str) -> None:
    with pytest.raises(ValidationError, match=r"files\.0\.path"):
        read_plan(PLAN.replace("clock.py", path))


@pytest.mark.parametrize(
    "text",
    [
        "I cannot plan that.",
        "[]",
        "5",
        '"x"',
        '{"files": 5}',
        PLAN.replace("}]", '}, {"path": "Clock.py"}]'),
        PLAN.replace("}]", '}, {"path": "clock.py/x.py"}]'),
        PLAN.replace('"files": [', '"files": [5,'),
        f'{{"files": {[{"path": f"{n}.py"} for n in range(9)]}}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_plan(text: str) -> None:
    with pytest.raises(ValidationError):
        read_plan(text)


FENCED = "Run it:\n```\npython clock.py\n```\n"


@pytest.mark.parametrize(
    ("path", "reply", "content"),
    [
        ("a.py", "x = 1\n", "x = 1\n"),
        ("a.py", "```python\nx = 1\n```", "x = 1\n"),
        ("a.py", "Here:\n~~~\nx = 1\n~~~\nDone.", "x = 1\n"),
        ("a.py", "```\nx = 1", "x = 1\n"),
        ("a.py", 's = """\n```\nno\n```\n"""\n', 's = """\n```\nno\n```\n"""\n'),
        ("a.html", "```html\n<p>\n```", "<p>\n"),
        ("a.md", FENCED, FENCED),
        ("a.md", f"````\n{FENCED}````", FENCED),
    ],
)
def test_a_file_is_read(path: str, reply: str, content: str) -> None:
    assert read_file(reply, path) == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>Well.</think>\nA", "A"),
        ("<THINKING>\n<think></THINKING>A", "A"),
        ("Well.</think>A", "A"),
        ("<think>Well", ""),
        ("<|channel|>analysis<|message|>Well<|end|><|channel|>final<|message|>A<|return|>", "A"),
        ("Say <think>Well.</think>", "Say <think>Well.</think>"),
    ],
)
def test_what_is_thought_is_not_said(text: str, said: str) -> None:
    assert spoken(text) == said
