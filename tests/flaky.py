"""An invocation that is paused because its provider is down, and goes on once that is mended."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from workbench.clients import Admin, Ingress


@dataclass(frozen=True)
class Flaky:
    """An invocation of `flaky`, of `probe_service.py`."""

    id: str
    flag: Path
    admin: Admin

    @classmethod
    def paused(cls, admin: Admin, ingress: Ingress, folder: Path) -> Flaky:
        """Send it, and wait until its attempts are used up."""
        flag = folder / "broken"
        flag.touch()
        id = ingress.send("Probe", "flaky", str(flag))
        admin.wait_for(id, "paused")
        return cls(id, flag, admin)

    def mend(self) -> None:
        """Mend what it needs, resume it, and wait for its end."""
        self.flag.unlink()
        self.admin.resume(self.id)
        self.admin.wait_for(self.id, "completed")
