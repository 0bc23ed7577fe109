"""What a drawing is in the end: an image, the same in text, and a sentence on what to see in it.

A notebook shows the image, also on GitHub and in static pages; a terminal shows the text.
"""

from __future__ import annotations

import io
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.ids import get_ipython

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Picture", "show_picture"]

_DOTS_PER_INCH = 110
_CAPTION_COLUMNS = 100


@dataclass(frozen=True)
class Picture:
    """A drawing.

    Attributes:
        png: the image.
        text: the same for a terminal, several lines.
        caption: one or two full sentences; it stands below the image and below the text, and is the
            image's alternative text.
    """

    png: bytes
    text: str
    caption: str

    def __str__(self) -> str:
        return f"{self.text.rstrip()}\n\n{textwrap.fill(self.caption, _CAPTION_COLUMNS)}\n"

    def _repr_mimebundle_(self, **_: object) -> tuple[dict[str, Any], dict[str, Any]]:
        data = {"image/png": self.png, "text/plain": str(self)}
        return data, {"image/png": {"alt": self.caption}}


def show_picture(picture: Picture) -> None:
    """Display a picture in a notebook; elsewhere, print its text."""
    if get_ipython() is None:
        print(picture)
    else:
        from IPython.display import display  # slow to import, and of no use outside a notebook

        display(picture)  # type: ignore[no-untyped-call]


def as_png(figure: Figure, *, cut: bool = True) -> bytes:
    """A figure as a PNG with a white ground, which reads on dark pages too.

    `cut` it to what is drawn, for which it is drawn twice; else it is as large as the figure.
    """
    buffer = io.BytesIO()
    bounds = "tight" if cut else None
    figure.savefig(buffer, format="png", dpi=_DOTS_PER_INCH, facecolor="white", bbox_inches=bounds)
    return buffer.getvalue()
