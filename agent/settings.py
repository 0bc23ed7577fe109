"""The agent's settings: every environment variable that it reads, in one place."""

import ipaddress
import os
from dataclasses import dataclass, field
from functools import cache

__all__ = ["Settings", "SettingsError", "settings"]


class SettingsError(ValueError):
    """A setting cannot be used. The message names the variable and the fix."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the environment says.

    Attributes:
        api_key: `OPENAI_API_KEY`. Never printed: it is left out of this object's `repr`.
        base_url: `OPENAI_BASE_URL`; None is OpenAI's own.
        model: `AGENT_MODEL`.
        host, port: `AGENT_BIND`, as `host:port`.
        identity_keys: `AGENT_IDENTITY_KEYS`, comma-separated public keys (`publickeyv1_…`) of the
            Restate servers that may call this agent. Empty: anyone who reaches the port may call
            it.
        max_attempts: `AGENT_MAX_ATTEMPTS`: how often a task is tried before Restate pauses it.
    """

    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    model: str = "gpt-5-mini"
    host: str = "127.0.0.1"
    port: int = 9080
    identity_keys: tuple[str, ...] = ()
    max_attempts: int = 8


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    host, port = _host_and_port(os.environ.get("AGENT_BIND") or "127.0.0.1:9080")
    identity_keys = tuple(
        key.strip() for key in os.environ.get("AGENT_IDENTITY_KEYS", "").split(",") if key.strip()
    )
    if not identity_keys and not _is_loopback(host):
        raise SettingsError(
            f"AGENT_BIND={host}:{port} is open to other machines, so AGENT_IDENTITY_KEYS must say "
            "whose requests to accept: give the Restate server's public key, or bind to 127.0.0.1."
        )
    return Settings(
        api_key=os.environ.get("OPENAI_API_KEY", ""),
        base_url=os.environ.get("OPENAI_BASE_URL") or None,
        model=os.environ.get("AGENT_MODEL") or Settings.model,
        host=host,
        port=port,
        identity_keys=identity_keys,
        max_attempts=_positive_integer("AGENT_MAX_ATTEMPTS", Settings.max_attempts),
    )


def _host_and_port(bind: str) -> tuple[str, int]:
    host, separator, port = bind.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise SettingsError(
            f"AGENT_BIND={bind!r} is not host:port; for example AGENT_BIND=127.0.0.1:9080."
        )
    return host.strip("[]"), int(port)


def _positive_integer(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal() or int(text) < 1:
        raise SettingsError(
            f"{name}={text!r} is not a whole number from 1; for example {name}={default}."
        )
    return int(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
