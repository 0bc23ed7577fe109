"""What every way of running Restate has in common: addresses, and when the server is ready."""

from __future__ import annotations

from dataclasses import dataclass

import httpx

from workbench.errors import WorkbenchError


@dataclass(frozen=True, kw_only=True)
class Restate:
    """A Restate server that answers. `print(restate)` shows where it is."""

    mode: str
    """`embedded`, `docker` or `external`."""
    version: str
    ingress_url: str
    """Where services are called, such as `http://127.0.0.1:8080`."""
    admin_url: str
    """Where the server is managed, and queried with SQL."""
    agent_host: str = "127.0.0.1"
    """The name under which the server reaches this machine."""
    agent_bind: str = "127.0.0.1"
    """The address that a service on this machine listens on, to be reached under `agent_host`."""
    identity_keys: tuple[str, ...] = ()
    """The server's public keys (`publickeyv1_…`), for a service to refuse everyone else's calls.

    Empty where services listen on loopback.
    """

    @property
    def ui_url(self) -> str:
        """The web page that shows services and invocations."""
        return f"{self.admin_url}/ui"

    def stop(self) -> None:
        """Stop the server, if the workbench started it. Its data stay for the next start."""
        raise NotImplementedError

    def kill(self) -> None:
        """End the server as a crash would.

        `start_restate()` brings it back on the same ports and data.
        """
        raise NotImplementedError

    def __str__(self) -> str:
        return (
            f"Restate {self.version} ({self.mode}) · ingress {self.ingress_url} · "
            f"admin and UI {self.admin_url}"
        )


class Probe:
    """Asks a server whether it is ready, and which version it is."""

    def __init__(self, ingress_url: str, admin_url: str, *, trust_env: bool = False) -> None:
        """`trust_env`: go through the proxy that the environment names, if it names one."""
        self._ingress_url = ingress_url
        self._admin_url = admin_url
        self._client = httpx.Client(timeout=5.0, trust_env=trust_env)

    def __enter__(self) -> Probe:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def healthy(self) -> bool:
        """Whether the ingress answers as Restate's does."""
        try:
            answer = self._client.get(f"{self._ingress_url}/restate/health")
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and "services" in answer.text

    def ready(self) -> bool:
        """Whether a call would be answered now.

        Both health endpoints say 200 before the partitions have leaders, and calls wait until then.
        A query of `sys_invocation` visits every partition, and fails as long as one has no leader.
        """
        try:
            answer = self._client.post(
                f"{self._admin_url}/query",
                json={"query": "SELECT count(*) FROM sys_invocation"},
                headers={"accept": "application/json"},
            )
        except httpx.HTTPError:
            return False
        return answer.status_code == 200 and self.healthy()

    def version(self) -> str:
        """The server's version. Raises WorkbenchError if the admin URL is not Restate's."""
        url = f"{self._admin_url}/version"
        try:
            answer = self._client.get(url)
        except httpx.HTTPError as error:
            raise WorkbenchError(
                f"Nobody answers at {self._admin_url}: {str(error) or type(error).__name__}.\n"
                "Start that server, or correct RESTATE_ADMIN_URL."
            ) from error
        try:
            return str(answer.raise_for_status().json()["version"])
        except (httpx.HTTPStatusError, ValueError, KeyError, TypeError) as error:
            raise WorkbenchError(
                f"{self._admin_url} is not a Restate server's admin API: GET /version gave "
                f"{answer.status_code} and no version.\nCorrect RESTATE_ADMIN_URL (port 9070)."
            ) from error
