"""The agent's settings: every environment variable that it reads, in one place."""

import ipaddress
import math
import os
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

__all__ = ["Settings", "SettingsError", "settings"]

_A_DAY = 86_400.0


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
        call_timeout: `AGENT_CALL_TIMEOUT`: the longest that a model call may take, in seconds.
        stall_timeout: `AGENT_STALL_TIMEOUT`: the longest that a model may go without a token, in
            seconds.
        context_tokens: `AGENT_CONTEXT_TOKENS`: how much of the conversation the model is given.
        cancel_timeout: `AGENT_CANCEL_TIMEOUT`: how long a cancelled task may take to end before it
            is killed, in seconds.
        admin_url: `RESTATE_ADMIN_URL`: Restate's admin API, which is asked to kill.
    """

    api_key: str = field(default="", repr=False)
    base_url: str | None = None
    model: str = "gpt-5-mini"
    host: str = "127.0.0.1"
    port: int = 9080
    identity_keys: tuple[str, ...] = ()
    max_attempts: int = 8
    call_timeout: float = 300.0
    stall_timeout: float = 60.0
    context_tokens: int = 24_000
    cancel_timeout: float = 120.0
    admin_url: str = "http://127.0.0.1:9070"


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
        base_url=_url("OPENAI_BASE_URL") or None,
        model=os.environ.get("AGENT_MODEL") or Settings.model,
        host=host,
        port=port,
        identity_keys=identity_keys,
        max_attempts=_positive_integer("AGENT_MAX_ATTEMPTS", Settings.max_attempts),
        call_timeout=_seconds("AGENT_CALL_TIMEOUT", Settings.call_timeout),
        stall_timeout=_seconds("AGENT_STALL_TIMEOUT", Settings.stall_timeout),
        context_tokens=_positive_integer("AGENT_CONTEXT_TOKENS", Settings.context_tokens),
        cancel_timeout=_seconds("AGENT_CANCEL_TIMEOUT", Settings.cancel_timeout),
        admin_url=_url("RESTATE_ADMIN_URL", Settings.admin_url),
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


def _url(name: str, default: str = "") -> str:
    text = os.environ.get(name) or default
    if not text:
        return ""
    try:
        url = urlsplit(text)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:  # and not shown: it may hold a password
        raise SettingsError(f"{name} is no URL; it should look like http://127.0.0.1:9070.")
    return text.rstrip("/")


def _seconds(name: str, default: float) -> float:
    text = os.environ.get(name) or str(default)
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= _A_DAY:  # which nan is not either
        raise SettingsError(
            f"{name}={text!r} is not a number of seconds, up to a day; "
            f"for example {name}={default:g}."
        )
    return seconds


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
