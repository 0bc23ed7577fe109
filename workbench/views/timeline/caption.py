"""What the picture of a timeline shows, in full sentences with the numbers of this very run."""

from __future__ import annotations

from collections.abc import Sequence

from workbench.views.timeline.spans import Lane

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def timeline_caption(trees: Sequence[Sequence[Lane]]) -> str:
    """How each tree came to its end, and how long after one the next began."""
    sentences = []
    before: Lane | None = None
    for root, *below in trees:
        if root.created is None:
            sentences.append(f"Of {root.target} the engine has no record.")
            continue
        if before and before.ended is not None:
            gap = root.created - before.ended
            side = "after" if gap >= 0 else "before"
            sentences.append(f"The next tree began {_ms(abs(gap))} {side} that.")
        sentences += _story(root, below)
        before = root
    return " ".join(sentences)


def _story(root: Lane, below: Sequence[Lane]) -> list[str]:
    told = [_told(root, below)] if root.times("cancel") else []
    if root.times("kill"):
        return [*told, *_killed(root, below)]
    if told:
        return [*_waits([root]), *told, _cleaned_up(root, below)]
    return [*_cut_short(below), *_waits([root, *below]), _ended(root, below)]


def _told(root: Lane, below: Sequence[Lane]) -> str:
    """Who heard of the cancel when."""
    first = root.times("cancel")[0]
    text = f"The cancel reached {root.handler} at {_ms(first)}"
    delays = [lane.times("cancel")[0] - first for lane in below if lane.times("cancel")]
    if not delays:
        return f"{text}."
    few, many = min(delays), max(delays)
    later = _ms(few) if few == many else f"{few:,} to {_ms(many)}"
    return f"{text}, and {_named(_told_ones(below))} {later} later."


def _cleaned_up(root: Lane, below: Sequence[Lane]) -> str:
    """In which order the tree came down."""
    told = _told_ones(below)
    ends = [lane.ended for lane in told if lane.ended is not None]
    last = max(ends, default=0)
    those = "that call" if len(told) == 1 else "all of those calls"
    undo = root.life.compensations[0] if root.life and root.life.compensations else None
    end = f"ended at {_ms(root.ended)}" if root.ended is not None else f"is {root.outcome} now"
    root_did = f"{root.handler} {end}"
    if undo:
        did = f"began to clean up ({_without_key(undo.name)}) at {_ms(undo.begin)}"
        root_did = f"{root.handler} {did} and {end}"
    if not told:
        return f"{root_did}."
    if len(ends) < len(told):
        return f"{root_did}, while {_count(len(told) - len(ends))} of the calls had not ended."
    if undo and undo.begin < last:
        return f"{root_did}; not before {_ms(last)} had {those} ended."
    if root.ended is not None and root.ended < last:
        return f"{root_did}; by {_ms(last)} {those} had ended too."
    return f"By {_ms(last)} {those} had ended; {'then ' if undo else ''}{root_did}."


def _without_key(name: str) -> str:
    service, _, rest = name.partition("/")
    return f"{service}/{rest.rpartition('/')[2]}" if rest else name


def _killed(root: Lane, below: Sequence[Lane]) -> list[str]:
    with_it = [lane for lane in below if lane.times("kill")]
    at = _ms(root.times("kill")[0])
    others = f", and {_named(with_it)} with it" if with_it else ""
    quiet = not any(lane.times("cancel") or lane.times("compensation") for lane in (root, *below))
    left = (
        "No signal told them, and none of them cleaned up."
        if with_it
        else ("No signal told it, and it did not clean up.")
    )
    return [f"{root.handler} was killed at {at}{others}.", *([left] if quiet else [])]


def _cut_short(below: Sequence[Lane]) -> list[str]:
    """What was cancelled or killed below a root that was not."""
    said = []
    for kind, done in (("cancel", "cancelled"), ("kill", "killed")):
        lanes = [lane for lane in below if lane.times(kind)]
        if lanes:
            first = min(lane.times(kind)[0] for lane in lanes)
            was = "was" if len(lanes) == 1 else "were"
            said.append(f"{_named(lanes)} {was} {done}, from {_ms(first)} on.".capitalize())
    return said


def _waits(lanes: Sequence[Lane]) -> list[str]:
    """Pauses and failures. What the engine does not record of them is not told either."""
    said = []
    for kind, was, were in (
        ("paused", "was paused", "were paused"),
        ("backing off", "failed", "failed"),
    ):
        ones = [
            (lane, span)
            for lane in lanes
            if lane.life
            for span in lane.life.states
            if span.kind == kind
        ]
        if not ones:
            continue
        begin = _ms(min(span.begin for _, span in ones))
        lane, span = ones[0]
        who = list({lane.id: lane for lane, _ in ones}.values())
        text = f"{lane.handler} {was}" if len(who) == 1 else f"{_named(who)} {were}".capitalize()
        text += f" at {begin}" if len(ones) == 1 else f" from {begin} on"
        ends = [span.end for lane, span in ones if lane.life and span != lane.life.states[-1]]
        if len(ends) < len(ones):
            said.append(f"{text}.")
        elif len(ones) == 1 and span.end in lane.times("cancel"):
            said.append(f"{text}, until the cancel woke it.")
        else:
            its = "its first" if len(ones) == 1 else "the last"
            text += f"; {its} sign of life after that came at {_ms(max(ends))}"
            note = " (the engine does not record a resume)" if kind == "paused" else ""
            said.append(f"{text}{note}.")
    return said


def _ended(root: Lane, below: Sequence[Lane]) -> str:
    assert root.life is not None
    if root.ended is None:
        now = _ms(root.life.states[-1].end)
        at_work = [lane for lane in below if lane.life and lane.outcome == "running"]
        verb = "was" if len(at_work) == 1 else "were"
        others = f", and {_named(at_work)} below it {verb} at work" if at_work else ""
        return f"At {now}, when this picture was made, {root.handler} was {root.outcome}{others}."
    steps = [span for lane in (root, *below) if lane.life for span in lane.life.steps]
    most = max((sum(o.begin <= s.begin < o.end for o in steps) for s in steps), default=0)
    at_once = f"; up to {_count(most)} durable steps were at work at once" if most > 1 else ""
    return f"{root.handler} ended at {_ms(root.ended)} ({root.outcome}){at_once}."


def _told_ones(below: Sequence[Lane]) -> list[Lane]:
    return [lane for lane in below if lane.times("cancel")]


def _named(lanes: Sequence[Lane]) -> str:
    """`four write_file calls`, or `six calls` where they are of several kinds."""
    kinds = {lane.handler for lane in lanes}
    kind = f" {lanes[0].handler}" if len(kinds) == 1 else ""
    return f"{_count(len(lanes))}{kind} call{'' if len(lanes) == 1 else 's'}"


def _count(number: int) -> str:
    return _WORDS[number] if number < len(_WORDS) else str(number)


def _ms(time: int) -> str:
    return f"{time:,} ms"
