"""The levels: each adds one law to those before it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

from workbench.ladder import cancelling, further, operating, storm, turns
from workbench.ladder.play import Play
from workbench.oracle import invariants as laws
from workbench.oracle.snapshot import Snapshot
from workbench.state_dir import REPOSITORY

FOLDER = REPOSITORY / "notebooks" / "ladder"


@dataclass(frozen=True)
class Level:
    """A level. Its page, in `notebooks/ladder`, has the law in words.

    Attributes:
        seconds: the longest that it may take, whatever the program does.
        play: what the judge does; raises Broken.
        laws: what else must hold from here on of every session when all is quiet, each with a
            question for whoever breaks it.
    """

    number: int
    name: str
    seconds: float
    play: Callable[[Play], None]
    laws: tuple[tuple[Callable[[Snapshot], Iterator[str]], str], ...] = ()

    @cached_property
    def page(self) -> str:
        """What a learner reads."""
        file = f"{self.number:02d}_{self.name.lower().replace(' ', '_')}.md"
        return (FOLDER / file).read_text(encoding="utf-8")

    @property
    def law(self) -> str:
        """The law, in a sentence."""
        return self._part("Law")

    @property
    def lesson(self) -> str:
        """Where it is taught."""
        return re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", self._part("Taught in"))

    def _part(self, name: str) -> str:
        found = re.search(rf"\*\*{name}\.\*\* (.+?)(?:\n\n|\Z)", self.page, re.DOTALL)
        assert found, f"level {self.number} has no {name}"
        return " ".join(found[1].split())


_AT_WORK = "Who makes sure that the task before is over, and when is that asked?"
_WRITTEN = "Where is a turn written down, and what if your program dies just before, or just after?"
_NUMBERED = "Who gives a turn its number, and can two messages be given one at the same time?"
_CLOSED = "Who writes to a turn that is over, and what should it look at first?"
_ENDED = "Who looks at how a task has ended, and what does that write into its turn?"

LEVELS = (
    Level(0, "Speak", 20, turns.speak),
    Level(1, "Survive", 30, turns.survive),
    Level(2, "Stop", 40, turns.stop),
    Level(3, "Third", 40, turns.third, ((laws.one_task_at_a_time, _AT_WORK),)),
    Level(
        4,
        "Crowd",
        90,
        turns.crowd,
        (
            (laws.each_message_is_one_turn, _WRITTEN),
            (laws.in_the_order_of_acceptance, _NUMBERED),
            (laws.numbered_without_gaps, _NUMBERED),
            (laws.over_is_over, _CLOSED),
        ),
    ),
    Level(5, "Silence", 40, cancelling.silence, ((laws.no_token_after_an_interruption, _AT_WORK),)),
    Level(
        6, "All or none", 60, cancelling.all_or_none, ((laws.over_when_that_is_answered, _AT_WORK),)
    ),
    Level(7, "Twice", 40, cancelling.twice),
    Level(8, "Kill", 60, operating.kill, ((laws.over_as_their_tasks_are, _ENDED),)),
    Level(9, "Outage", 90, operating.outage),
    Level(10, "Approve", 90, further.approve),
    Level(11, "Upgrade", 60, further.upgrade),
    Level(12, "Storm", 240, storm.storm),
)
