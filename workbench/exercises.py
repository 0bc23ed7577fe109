"""Exercises: `check` looks at an answer from outside, `hint` asks, `solution` shows.

An exercise is a folder `notebooks/exercises/02/three_messages/`:

| file | holds |
|---|---|
| `stub.py` | the cell as the lesson has it |
| `check.py` | `check(answer, bench)`: it returns what the answer bought, or raises `Wrong` |
| `hints.md` | three questions, each narrower than the one before, a line each |
| `solution.py` | the answer |
| `wrong_*.py` | wrong answers; the first line is `# ✗ ` and the verdict |
"""

from __future__ import annotations

import difflib
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import checks, progress
from workbench.bench import Bench, current
from workbench.lesson import quiet
from workbench.state_dir import REPOSITORY, WorkbenchError

_FOLDER = REPOSITORY / "notebooks" / "exercises"

NOT_TRIED, PASSED, FAILED = "–", "✓", "✗"


class Wrong(Exception):
    """An answer breaks the law.

    Attributes:
        law: the law, or what was seen instead of it, in one sentence.
        picture: what the learner's own run looked like; may be empty.
        question: what to think about next.
    """

    def __init__(self, law: str, *, picture: str = "", question: str = "") -> None:
        super().__init__(law)
        self.law, self.picture, self.question = law, picture, question

    def __str__(self) -> str:
        return "\n\n".join(filter(None, [self.law, self.picture, self.question]))


def check(name: str, answer: object) -> None:
    """Try an answer and print the verdict: – not tried, ✓ right, ✗ wrong.

    What an answer raises is a verdict, too. Raises WorkbenchError for an unknown exercise.
    """
    folder = _find(name)
    sign, words = _judge(folder, answer, current())
    if progress.read().get(f"exercise {name}", {}).get("outcome") != PASSED:
        progress.record(f"exercise {name}", outcome=sign)
    print(f"{sign} {words}")


def hint(name: str, number: int = 1) -> None:
    """Print one of an exercise's hints; they are questions, each narrower than the one before."""
    hints = hints_of(_find(name))
    number = min(max(number, 1), len(hints))
    more = f'\nStill stuck? wb.hint("{name}", {number + 1})' if number < len(hints) else ""
    print(f"{hints[number - 1]}{more}")


def solution(name: str) -> None:
    """Print how the solution differs from what the exercise begins with."""
    stub, solved = (
        (_find(name) / file).read_text(encoding="utf-8").splitlines()
        for file in ("stub.py", "solution.py")
    )
    changes = list(difflib.unified_diff(stub, solved, n=99, lineterm=""))[3:]
    print("\n".join(changes))


def hints_of(folder: Path) -> list[str]:
    """The hints of an exercise."""
    text = (folder / "hints.md").read_text(encoding="utf-8")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _find(name: str) -> Path:
    found = sorted(_FOLDER.glob(f"*/{name}/check.py"))
    if not found:
        raise WorkbenchError(f"There is no exercise {name!r} in notebooks/exercises.")
    return found[0].parent


def _judge(folder: Path, answer: object, bench: Bench) -> tuple[str, str]:
    if _untouched(folder, answer):
        return NOT_TRIED, "not tried yet: change the cell above, run it, then run this one"
    services = folder.name.title().replace("_", "")  # how the names of its services begin
    earlier = set(checks.ids_of(bench.admin, services))
    try:
        with quiet():  # its requests are not the lesson's
            return PASSED, _loaded(folder)(answer, bench)
    except Wrong as wrong:
        return FAILED, str(wrong)
    except Exception as error:  # the learner's own mistake; never a traceback
        if isinstance(error, WorkbenchError):
            ids = [id for id in checks.ids_of(bench.admin, services) if id not in earlier]
            if raised := checks.last_error(bench.admin, ids):
                return FAILED, str(your_error(raised))
        return FAILED, f"The check could not finish. {type(error).__name__}: {error}"
    finally:
        bench.admin.end(checks.ids_of(bench.admin, services, only_open=True))


def your_error(raised: str) -> Wrong:
    """The verdict on an answer whose attempts fail with this error."""
    question = (
        "A call of an `async def` makes a coroutine, and a lambda does not await it. What if the "
        "step were given the function itself, and its arguments by name?"
    )
    return Wrong(
        f"Your code raises an error: {raised}",
        question=question if "coroutine" in raised else "",
    )


def _untouched(folder: Path, answer: object) -> bool:
    """Whether the answer is still what the lesson has."""
    stub = (folder / "stub.py").read_text(encoding="utf-8")
    if not callable(answer):
        names: dict[str, Any] = {}
        exec(compile(stub, str(folder / "stub.py"), "exec"), names)
        return answer in [value for name, value in names.items() if not name.startswith("__")]
    try:
        return inspect.getsource(answer).strip() in stub
    except OSError:
        return False


def _loaded(folder: Path) -> Callable[[object, Bench], str]:
    path = folder / "check.py"
    spec = importlib.util.spec_from_file_location(f"check_{folder.name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: Callable[[object, Bench], str] = module.check
    return found
