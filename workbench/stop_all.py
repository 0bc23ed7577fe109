"""Ends what the lessons have started."""

from __future__ import annotations

from workbench import process
from workbench.restate.docker import stop_docker

__all__ = ["stop_all"]


def stop_all(*, remove_volume: bool = False) -> list[str]:
    """Stop everything that was started in this home, the last started first; return the names.

    A Restate in Docker is stopped too. Its data stay in a volume, as those of the embedded server
    stay in the home, unless `remove_volume` says that the home is done with.
    """
    names = process.stop_recorded()
    return [*names, "restate (docker)"] if stop_docker(remove_volume=remove_volume) else names
