"""Which server the lessons of a home have used last, for the reports of a run."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from workbench.home import home
from workbench.restate.server import Restate


@dataclass(frozen=True)
class Seen:
    """A server that answered, as `1.7.12 (embedded)`."""

    version: str
    mode: str

    def __str__(self) -> str:
        return f"{self.version} ({self.mode})"


def remember(restate: Restate) -> None:
    """Note that this home has used `restate`."""
    path = _path(home())
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(asdict(Seen(restate.version, restate.mode))))


def last_seen(folder: Path) -> Seen | None:
    """The server that the home `folder` has used last, if it has used one."""
    try:
        return Seen(**json.loads(_path(folder).read_text()))
    except (FileNotFoundError, ValueError):
        return None


def _path(folder: Path) -> Path:
    return folder / "restate" / "seen.json"
