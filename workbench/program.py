"""Programs of the lessons, as processes of their own: they can be killed and started again."""

from __future__ import annotations

import sys

from workbench import loopback, process
from workbench.bench import current
from workbench.clients import wait_until
from workbench.process import Running
from workbench.state_dir import REPOSITORY, WorkbenchError

_FOLDER = REPOSITORY / "notebooks" / "programs"


class Program:
    """A program in `notebooks/programs`, such as `plain_agent.py`, which talks to the model.

    One that `serves` has an ASGI `app`, which hypercorn serves at `uri`, an address to register.
    """

    def __init__(self, file: str, *, serves: bool = False) -> None:
        if not (_FOLDER / file).exists():
            raise WorkbenchError(f"There is no program {file!r} in {_FOLDER}.")
        bench = current()
        self.name = file.removesuffix(".py")
        self._command = [sys.executable, file]
        self._port = 0
        self.uri = ""
        self._running: Running | None = None
        self._env = {
            "OPENAI_BASE_URL": bench.model.base_url,
            "OPENAI_API_KEY": "scripted",
            "RESTATE_IDENTITY_KEYS": ",".join(bench.restate.identity_keys),
        }
        if serves:
            self._port = loopback.free_port(host=bench.restate.agent_bind)
            self.uri = f"http://{bench.restate.agent_host}:{self._port}"
            address = f"{bench.restate.agent_bind}:{self._port}"
            self._command = [
                sys.executable, "-m", "hypercorn", f"{self.name}:app", "--bind", address
            ]  # fmt: skip

    def start(self) -> None:
        """Start the program; return when it listens, if it is one that serves.

        Raises WorkbenchError, with the end of its log, if it does not come up.
        """
        if former := process.find(self.name):  # of a cell that is run again
            former.kill()
        self._running = process.start(self.name, self._command, env=self._env, cwd=_FOLDER)
        if self._port:
            host = current().restate.agent_bind
            self._running.wait_ready(lambda: not loopback.is_free(self._port, host))
        print(f"{self.name}: started, pid {self._running.pid}")

    def kill(self) -> None:
        """SIGKILL the program: it ends as in a crash, in the middle of whatever it does."""
        if self._running is None or not self._running.alive:
            raise WorkbenchError(f"{self.name} does not run. Start it with its start().")
        self._running.kill()
        print(f"{self.name}: killed with SIGKILL")

    def wait(self, timeout: float = 20.0) -> str:
        """Wait until the program has ended by itself; return what it printed."""
        assert self._running is not None
        running = self._running
        wait_until(lambda: not running.alive, what=f"{self.name} to end", timeout=timeout)
        return running.log_tail()
