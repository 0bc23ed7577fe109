"""What one invocation went through, moment by moment, as far as its journal and its record tell.

What the engine does not record is not made up:

- When a paused invocation was resumed. It counts as paused up to its next sign of life: a journal
  entry of its own, a failure, or a cancel signal, which wakes it. Results that come in are no such
  sign, since the engine takes them in for a paused invocation too.
- When an attempt after a failure began, and how many there were. From its first failure up to its
  next sign of life an invocation counts as backing off, attempts included.
- That an invocation was suspended, once it is not any more. That time counts as running.

Only of an attempt under way is the beginning known (`last_start_at`), and is made use of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NOT_RUNNING = {"paused": "paused", "backing-off": "backing off", "suspended": "suspended"}
_UNDOING = ("rollback", "undo", "compensate")


@dataclass(frozen=True)
class Record:
    """The row of sys_invocation; all times are milliseconds on one axis, None for not yet."""

    status: str
    failure: str | None
    created: int
    running: int | None
    completed: int | None
    last_start: int | None
    now: int


@dataclass(frozen=True)
class Entry:
    """A journal entry, or an event that came after the entry `index`.

    `form` is as in `entry_parts`, or the type of an event; `number` joins a command with its
    result; `name` is that of a step, a target or a signal.
    """

    index: int
    side: str
    form: str
    at: int
    name: str = ""
    number: int | None = None


@dataclass(frozen=True)
class Span:
    """Something that lasted; `kind` is one of `figure_style.BARS`, or `compensation`."""

    kind: str
    begin: int
    end: int
    name: str = ""


@dataclass(frozen=True)
class Mark:
    """Something that happened at one moment; `kind` is one of `figure_style.MARKS`."""

    kind: str
    at: int
    name: str = ""


@dataclass(frozen=True)
class Life:
    """`states` follow each other without a gap; `steps` and `compensations` lie within them."""

    states: tuple[Span, ...]
    steps: tuple[Span, ...]
    compensations: tuple[Span, ...]
    marks: tuple[Mark, ...]


def life_of(record: Record, entries: Sequence[Entry]) -> Life:
    """The life of an invocation, from its creation to its end, or to now if it is not over.

    From its first cancel signal on, running is `cleanup`. A compensation is a step or a call that
    was begun after that, or one that is named so, sent one-way included. A kill leaves nothing but
    the record's failure.
    """
    # A restarted invocation's journal begins with what it took over from another.
    own = sorted(
        (entry for entry in entries if entry.at >= record.created),
        key=lambda entry: (entry.index, entry.side == "Event"),
    )
    end = record.now if record.completed is None else record.completed
    changes, resumed = _changes(record, own)
    cancels = [entry.at for entry in own if _is_cancel(entry)]
    lasting = [
        Span(kind, begin, next_begin)
        for (begin, kind), (next_begin, _) in zip(changes, [*changes[1:], (end, "")], strict=True)
        if next_begin > begin
    ]
    states = lasting or [Span(changes[-1][1], record.created, end)]
    steps = [
        Span("step", entry.at, _end_of(entry, own, end, cut=True), entry.name)
        for entry in own
        if (entry.side, entry.form) == ("Command", "Run")
    ]
    compensations = [
        Span("compensation", entry.at, _end_of(entry, own, end, cut=False), entry.name)
        for position, entry in enumerate(own)
        if entry.side == "Command"
        and (
            (entry.form in {"Run", "Call"} and any(map(_is_cancel, own[:position])))
            or (entry.form in {"Run", "Call", "OneWayCall"} and _undoes(entry.name))
        )
    ]
    marks = [
        *(Mark("cancel", at) for at in cancels),
        *(Mark("resume", at) for at in resumed),
        *(Mark("compensation", span.begin, span.name) for span in compensations),
    ]
    if record.completed is not None:
        killed = record.failure == "[409] killed"
        kind = "kill" if killed else "failed" if record.failure else "completed"
        marks.append(Mark(kind, end, record.failure or "completed"))
    return Life(
        states=tuple(_with_cleanup(states, cancels)),
        steps=tuple(steps),
        compensations=tuple(compensations),
        marks=tuple(sorted(marks, key=lambda mark: mark.at)),
    )


def _changes(record: Record, own: list[Entry]) -> tuple[list[tuple[int, str]], list[int]]:
    """When which state began, and when a paused invocation was at work again."""
    changes = [(record.created, "queued")]
    resumed = []
    if record.running is not None:
        changes.append((max(record.running, record.created), "running"))
    for entry in own:
        state = changes[-1][1]
        at = max(entry.at, changes[-1][0])
        if entry.form == "TransientError" and state != "backing off":
            changes.append((at, "backing off"))
        elif entry.form == "Paused" and state != "paused":
            changes.append((at, "paused"))
        elif (state == "paused" and (_is_cancel(entry) or _shows_life(entry))) or (
            state == "backing off" and _shows_life(entry)
        ):
            changes.append((at, "running"))
            if state == "paused" and not _is_cancel(entry):
                resumed.append(at)
    began, state = changes[-1]
    if record.status == "running" and state in {"paused", "backing off"}:
        if record.last_start is not None and record.last_start > began:
            changes.append((record.last_start, "running"))
            resumed += [record.last_start] if state == "paused" else []
    elif (present := _NOT_RUNNING.get(record.status)) and present != state:
        changes.append((max([began, *(entry.at for entry in own)]), present))
    return changes, resumed


def _with_cleanup(states: list[Span], cancels: list[int]) -> list[Span]:
    if not cancels:
        return states
    split = []
    for span in states:
        if span.kind == "running" and span.begin < cancels[0] < span.end:
            split.append(Span("running", span.begin, cancels[0]))
            split.append(Span("cleanup", cancels[0], span.end))
        elif span.kind == "running" and span.begin >= cancels[0]:
            split.append(Span("cleanup", span.begin, span.end))
        else:
            split.append(span)
    return split


def _end_of(command: Entry, own: list[Entry], end: int, *, cut: bool) -> int:
    """When a command's result came; with `cut`, or the failure or pause that ended its attempt."""
    for entry in own[own.index(command) + 1 :]:
        if entry.side == "Notification" and entry.number == command.number is not None:
            return entry.at
        if cut and entry.side == "Event":
            return max(entry.at, command.at)
    return end


def _is_cancel(entry: Entry) -> bool:
    return (entry.side, entry.form, entry.name) == ("Notification", "Signal", "cancel")


def _shows_life(entry: Entry) -> bool:
    return entry.side == "Command" or (entry.side, entry.form) == ("Notification", "Run")


def _undoes(name: str) -> bool:
    return name.rpartition("/")[2].startswith(_UNDOING)
