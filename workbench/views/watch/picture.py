"""What remains of a tree that was watched: tokens over time, a band for each model call, above
the tree with its statuses.

The bands are stacked: where three calls stream at once the tokens climb three times as fast, and
where the task was cancelled they stop.
"""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from workbench.ids import without_middle
from workbench.views.figure_style import FONT_SIZE, INK, MARKS, PALE, WIDTH_INCHES, draw_mark
from workbench.views.picture import Picture, as_png
from workbench.views.tree_text import tree_lines
from workbench.views.watch.text import as_text, call_status
from workbench.views.watch.tree_watch import ModelCall, TreeState

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Shades, of which neighbours take different ones, and a hatch.
_BANDS = {
    "plan": (("#f2c46d",), "///"),
    "write": (("#5b9bdf", "#8fbcec"), ""),
    "review": (("#b79ad9",), "..."),
}
_OTHER_BAND = (("#9aa5b1", "#c3c9d1"), "")
_CAPTION_COLUMNS = 125
_X_LABEL = "seconds since the task was created   (● a call is complete   ○ it was broken off)"
# Inches
_LABEL = 0.2
_TREE_LINE = 0.136
_LEAST_CHART, _BELOW_CHART = 2.5, 0.55
_CHART_WIDTH = 6.4


def tree_picture(
    state: TreeState, *, created: float, cancelled: float | None, caption: str
) -> Picture:
    """A picture of a state with model calls; times are Unix seconds, drawn from `created` on."""
    from matplotlib.figure import Figure

    calls = state.calls or []
    lines = tree_lines(state.rows)
    note = textwrap.fill(caption, _CAPTION_COLUMNS)
    chart = max(_LEAST_CHART, len(calls) * _LABEL)
    rest = _BELOW_CHART + (len(lines) + 1) * _TREE_LINE + (note.count("\n") + 2) * _TREE_LINE
    figure = Figure(figsize=(WIDTH_INCHES, chart + rest))
    bottom = rest / (chart + rest)
    axes = figure.add_axes((0, bottom, _CHART_WIDTH / WIDTH_INCHES, 1 - bottom))
    _draw_labels(axes, calls, _draw_bands(axes, calls, created), chart)
    if cancelled is not None:
        _draw_cancel(axes, cancelled - created)

    def write(text: str, lines_down: float, **font: object) -> None:
        y = (rest - _BELOW_CHART - lines_down * _TREE_LINE) / (chart + rest)
        figure.text(-0.05, y, text, va="top", color=INK, **font)  # type: ignore[arg-type]

    write("\n".join(lines), 0.3, family="monospace", fontsize=7.6, linespacing=1.25)
    write(note, len(lines) + 1.3, fontsize=FONT_SIZE)
    return Picture(as_png(figure), as_text(state), caption)


def caption_of(state: TreeState, *, created: float, cancelled: float | None, remark: str) -> str:
    """What there is to see, in full sentences, made of the state's own numbers."""
    target, status, calls = state.rows[0]["target"], state.rows[0]["status"], state.calls or []
    begun = [call.request.first_token_at for call in calls if call.request.first_token_at]
    sent = [call.request.last_token_at for call in calls if call.request.last_token_at]
    sentences = []
    if begun and sent:
        made = f"{len(calls)} model calls, of which up to {_most_at_once(calls)} streamed at once"
        tokens = sum(call.tokens for call in calls)
        sentences = [
            f"{target} made {'one model call' if len(calls) == 1 else made}, and was sent {tokens} "
            f"tokens within {max(sent) - min(begun):.1f} s."
        ]
    if calls and cancelled is not None:
        sentences.append(_on_cancel(calls, cancelled, cancelled - created))
    sentences.append(f"The status of {'the task' if sentences else target} is {status}.")
    return " ".join([*sentences, remark]).rstrip()


def _on_cancel(calls: list[ModelCall], cancelled: float, after: float) -> str:
    hung_up = [call for call in calls if call.request.status == "hung up"]
    said = f"The cancel signal came after {after:.2f} s"
    times = [call.request.last_token_at for call in hung_up if call.request.last_token_at]
    if not times:
        return f"{said}, while the model was sending nothing."
    gap = round((max(times) - cancelled) * 1000)
    when = f"{abs(gap)} ms {'after' if gap >= 0 else 'before'} it"
    many, whose = (f"{len(hung_up)} calls were", "their")
    if len(hung_up) == 1:
        many, whose = "one call was", "its"
    return f"{said}; {many} hung up on, and the last of {whose} tokens was sent {when}."


def _most_at_once(calls: list[ModelCall]) -> int:
    spans = [
        (call.request.first_token_at, call.request.last_token_at or call.request.first_token_at)
        for call in calls
        if call.request.first_token_at
    ]
    return max(sum(first <= at <= last for first, last in spans) for at, _ in spans)


def _draw_bands(axes: Axes, calls: list[ModelCall], created: float) -> list[float]:
    """Stack the calls' tokens, oldest call at the bottom; return how high each one ends."""
    import numpy as np

    times = np.unique([at for call in calls for at, _ in call.samples])
    floor = np.zeros(len(times))
    marks: list[tuple[float, float, str]] = []
    for number, call in enumerate(calls):
        at, tokens = zip(*call.samples, strict=True)
        top = floor + np.interp(times, at, tokens)
        shades, hatch = _BANDS.get(call.request.step, _OTHER_BAND)
        axes.fill_between(
            times - created,
            floor,
            top,
            facecolor=shades[number % len(shades)],
            hatch=hatch,
            edgecolor="white",
            linewidth=0.8,
            zorder=2,
        )
        if call.request.ended_at is not None:
            kind = "completed" if call.request.status == "completed" else "failed"
            marks.append((at[-1] - created, float(np.interp(at[-1], times, top)), kind))
        floor = top
    axes.plot(times - created, floor, color=INK, linewidth=1.2, zorder=3)
    for when, height, kind in marks:
        draw_mark(axes, kind, height, when)
    begin, end = min(0.0, times[0] - created), max(0.1, times[-1] - created)
    axes.set_xlim(begin, end + (end - begin) * 0.03)
    axes.set_ylim(0, max(1.0, floor[-1]) * 1.1)
    axes.set_xlabel(_X_LABEL, fontsize=FONT_SIZE, color=INK)
    axes.set_ylabel("tokens sent, one call upon the other", fontsize=FONT_SIZE, color=INK)
    axes.tick_params(labelsize=FONT_SIZE, colors=INK)
    axes.grid(color="#e4e7eb", linewidth=0.7, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    return [float(height) for height in np.cumsum([call.tokens for call in calls])]


def _draw_labels(axes: Axes, calls: list[ModelCall], tops: list[float], inches: float) -> None:
    """Name each band at the right, beside its end as far as there is room."""
    room = axes.get_ylim()[1] * _LABEL / inches
    left, right = axes.get_xlim()
    middles = [top - call.tokens / 2 for call, top in zip(calls, tops, strict=True)]
    places: list[float] = []
    for middle in middles:
        places.append(max(middle, places[-1] + room) if places else max(middle, room / 2))
    highest = axes.get_ylim()[1]
    for number in reversed(range(len(places))):
        places[number] = min(places[number], highest)
        highest = places[number] - room
    for call, middle, place in zip(calls, middles, places, strict=True):
        status = "" if call.request.status == "completed" else f", {call_status(call)}"
        axes.annotate(
            f"{without_middle(call.step, 28)}: {call.tokens}{status}",
            xy=(right, middle),
            xytext=(right + (right - left) * 0.035, place),
            fontsize=FONT_SIZE,
            color=INK,
            va="center",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": PALE, "lw": 0.6, "shrinkA": 1, "shrinkB": 1},
        )


def _draw_cancel(axes: Axes, at: float) -> None:
    top = axes.get_ylim()[1]
    colour = MARKS["cancel"].face
    axes.axvline(at, color=colour, linestyle="--", linewidth=1, zorder=3)
    draw_mark(axes, "cancel", top, at)
    axes.annotate(
        "cancel signal",
        xy=(at, top),
        xytext=(-8, 0),
        textcoords="offset points",
        ha="right",
        va="center",
        fontsize=FONT_SIZE,
        color=colour,
    )
