"""A reader's predictions and progress, in one local file, `progress.json`.

{"02.third": {"said": "3", "seen": "2"}, "exercise three_messages": {"outcome": "✓"}, …}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from filelock import FileLock

from workbench.state_dir import REPOSITORY, state_dir

_FILE = "progress.json"


def predict(question: str, guess: str) -> None:
    """Note a prediction. `question` names lesson and question, such as `02.third`."""
    said = str(guess).strip()
    record(question, said=said)
    print(f"noted: {said}" if said else "no prediction yet: guess first, it costs nothing")


def reveal(question: str, seen: object) -> None:
    """Print what was seen beside what was predicted."""
    said = read().get(question, {}).get("said", "")
    record(question, seen=str(seen))
    verdict = "✓" if _same(said, str(seen)) else "not this time: read on"
    print(f"the server says: {seen}" + (f" · you said: {said} · {verdict}" if said else ""))


def done(lesson: str) -> None:
    """Note that a lesson was worked through to its end, and print what became of it."""
    record(f"lesson {lesson}", done=True)
    print("\n".join([*_lines(lesson), "./scripts/tutorial status shows all lessons"]))


def show_status() -> None:
    """Print the lessons that are done, the exercises, and what surprised the reader."""
    for lesson in lessons():
        print("\n".join(_lines(lesson)))
    surprises = [
        f"  {question}: you said {facts['said']}, the server said {facts['seen']}"
        for question, facts in sorted(read().items())
        if facts.get("said") and "seen" in facts and not _same(facts["said"], facts["seen"])
    ]
    if surprises:
        print("\n".join(["", "What surprised you:", *surprises]))


def next_lesson() -> str:
    """The stem of the first lesson that is not done; of the first one if all are."""
    found = lessons()
    noted = read()
    return next(
        (stem for number, stem in found.items() if f"lesson {number}" not in noted),
        next(iter(found.values())),
    )


def lessons() -> dict[str, str]:
    """The lessons' notebooks, by number."""
    found = sorted((REPOSITORY / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path.stem[:2]: path.stem for path in found}


def read() -> dict[str, dict[str, Any]]:
    """What is noted so far. A file that was damaged counts as empty."""
    try:
        noted = json.loads((state_dir() / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return noted if isinstance(noted, dict) else {}


def record(name: str, **facts: object) -> None:
    """Note facts under a name, beside those that are there."""
    path = state_dir() / _FILE
    with FileLock(path.with_suffix(".lock")):
        noted = read()
        noted[name] = {**noted.get(name, {}), **facts}
        written = path.with_suffix(".new")
        written.write_text(json.dumps(noted, indent=1, ensure_ascii=False), encoding="utf-8")
        written.replace(path)


def _lines(lesson: str) -> Iterator[str]:
    noted = read()
    title = lessons().get(lesson, lesson)
    yield f"{'✓' if f'lesson {lesson}' in noted else '·'} {title}"
    folder = REPOSITORY / "notebooks" / "exercises" / lesson
    for exercise in sorted(path.name for path in folder.glob("[!_]*") if path.is_dir()):
        outcome = noted.get(f"exercise {exercise}", {}).get("outcome", "–")
        yield f"    {outcome} {exercise}"


def _same(said: str, seen: str) -> bool:
    return said.casefold() == seen.casefold()
