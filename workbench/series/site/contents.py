"""The text of the contents page: what became of each lesson, and of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from workbench.series.about import About
from workbench.series.outcome import Outcome

TITLE = "Controlling durable AI agents"


def contents(lessons: Sequence[tuple[About, Outcome]], facts: Mapping[str, str]) -> str:
    """Markdown, with links to files of the site; `facts` are what else there is to say."""
    failed = sum(bool(outcome.failures) for _, outcome in lessons)
    verdict = (
        f"**{failed} of {len(lessons)} lessons failed.**"
        if failed
        else f"{len(lessons)} of {len(lessons)} lessons passed."
    )
    lines = [
        f"# {TITLE}",
        "",
        f"{verdict} These pages show the lessons as they were run.",
        "",
        "| lesson | this run | time | notebook |",
        "|:---|:---|---:|:---|",
        *(_row(*lesson) for lesson in lessons),
        "",
        "| this run | |",
        "|:---|:---|",
        *(f"| {_cell(name)} | {_cell(fact)} |" for name, fact in facts.items()),
    ]
    return "\n".join(lines)


def _row(lesson: About, outcome: Outcome) -> str:
    name = outcome.lesson.stem
    verdict = f"**✗ {outcome.verdict}**" if outcome.failures else "✓&nbsp;passed"
    return (
        f"| [{_cell(lesson.title)}]({name}.html)<br>{_cell(lesson.description)}"
        f" | {_cell(verdict)} | {outcome.seconds:.1f}&nbsp;s | [as&nbsp;run]({name}.ipynb) |"
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
