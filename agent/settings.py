"""The agent's settings: every environment variable that it reads, in one place."""

import ipaddress
from functools import cache
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class SettingsError(ValueError):
    """A setting cannot be used. The message names the variable and the fix."""


def _url(text: str) -> str:
    url = urlsplit(text.strip())  # a space or a line end is easily copied along
    if url.scheme not in ("http", "https") or not url.hostname or url.port == 0:
        raise ValueError("is not a URL; it should look like http://127.0.0.1:9070")
    return url.geturl().rstrip("/")


def _host_and_port(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError("is not host:port; for example 127.0.0.1:9080")
    return text


def _sendable(key: SecretStr) -> SecretStr:
    if not all("!" <= character <= "~" for character in key.get_secret_value()):
        raise ValueError("holds a space, a line end or a letter outside ASCII; copy the key again")
    return key


Url = Annotated[str, AfterValidator(_url)]
Key = Annotated[SecretStr, AfterValidator(_sendable)]
Address = Annotated[str, AfterValidator(_host_and_port)]
Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
Grace = Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1)]


def _env(name: str, default: object, meaning: str) -> Any:
    return Field(default, validation_alias=name, description=meaning)


class Settings(BaseSettings):
    """Settings from the environment; an empty variable counts as not set."""

    model_config = SettingsConfigDict(env_ignore_empty=True, frozen=True, hide_input_in_errors=True)

    api_key: Key = _env("OPENAI_API_KEY", SecretStr(""), "the provider's key")
    base_url: Url | None = _env("OPENAI_BASE_URL", None, "a provider other than OpenAI")
    model: str = _env("AGENT_MODEL", "gpt-5-mini", "the model's name")
    bind: Address = _env("AGENT_BIND", "127.0.0.1:9080", "where the agent listens")
    identity_keys: str = _env(
        "AGENT_IDENTITY_KEYS",
        "",
        "public keys of the Restate servers that may call, separated by commas; required where it "
        "listens beyond this machine",
    )
    max_attempts: Count = _env(
        "AGENT_MAX_ATTEMPTS", 12, "how often a model call or a task is tried before it is paused"
    )
    first_token_timeout: Seconds = _env(
        "AGENT_FIRST_TOKEN_TIMEOUT", 300, "the longest wait for the first token of an answer (s)"
    )
    stall_timeout: Seconds = _env(
        "AGENT_STALL_TIMEOUT", 60, "the longest silence within an answer (s)"
    )
    call_timeout: Seconds = _env(
        "AGENT_CALL_TIMEOUT", 300, "the longest that an answer may take from its first token on (s)"
    )
    parallel_calls: Count | None = _env(
        "AGENT_PARALLEL_CALLS", None, "how many model calls to make at a time; if not set, all"
    )
    cancel_timeout: Seconds = _env(
        "AGENT_CANCEL_TIMEOUT", 120, "how long a cancelled task may take before it is killed (s)"
    )
    approval_timeout: Seconds = _env(
        "AGENT_APPROVAL_TIMEOUT", 86_400, "how long a plan waits for the user's yes (s)"
    )
    drain_timeout: Grace = _env(
        "AGENT_DRAIN_TIMEOUT", 0, "how long SIGTERM waits for model calls under way (s)"
    )
    context_tokens: Count = _env(
        "AGENT_CONTEXT_TOKENS", 24_000, "how much of the conversation the model is given"
    )
    admin_url: Url = _env(
        "RESTATE_ADMIN_URL", "http://127.0.0.1:9070", "Restate's admin API: pause, wake, kill"
    )

    @model_validator(mode="after")
    def _guarded(self) -> "Settings":
        host = self.bind.rpartition(":")[0].strip("[]")
        if not self.identity_keys.strip(", ") and not is_loopback(host):
            raise ValueError(
                f"AGENT_BIND={self.bind} is open to other machines, so AGENT_IDENTITY_KEYS must "
                "say whose requests to accept: give the Restate server's public key"
            )
        return self


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own, where no proxy belongs in between."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def settings() -> Settings:
    """The settings of this process, read once.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        said = first["msg"].removeprefix("Value error, ")
        raise SettingsError(": ".join([*map(str, first["loc"]), said])) from None
