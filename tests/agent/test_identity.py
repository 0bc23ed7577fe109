"""Request identity, over the wire: Restate signs its requests with a private key, and an agent that
has the public one in `AGENT_IDENTITY_KEYS` answers nobody else.

An agent that listens beyond this machine does not start without one (`test_settings.py`); here it
listens on loopback and has one all the same.
"""

import base64
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.stack import Stack
from workbench import start_restate
from workbench.lesson import stop_all
from workbench.restate.docker import private_key_file, public_key
from workbench.state_dir import use_state_dir

_VARIABLE = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"

INVOKE = "/invoke/CodingTask/run_task"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_key_file(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def signed(key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose Restate signs and whose agent checks."""
    with pytest.MonkeyPatch.context() as patch, use_state_dir(tmp_path_factory.mktemp("home")):
        patch.setenv(_VARIABLE, str(key_file))
        try:
            restate = replace(start_restate("embedded"), identity_keys=(public_key(key_file),))
            yield Stack.start(restate=restate)
        finally:
            stop_all()


def token(
    key: Path | Ed25519PrivateKey,
    audience: str,
    *,
    kid: str = "",
    issued: float = 0.0,
    lasts: float = 60.0,
    algorithm: str = "EdDSA",
) -> str:
    """A JSON web token as Restate makes them, `issued` seconds from now."""
    if isinstance(key, Path):
        kid = kid or public_key(key)
        loaded = load_pem_private_key(key.read_bytes(), password=None)
        assert isinstance(loaded, Ed25519PrivateKey)
        key = loaded
    now = int(time.time() + issued)
    header = {"typ": "JWT", "alg": algorithm, "kid": kid}
    claims = {"aud": audience, "iat": now, "nbf": now - 60, "exp": int(now + lasts)}
    body = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
    signature = b"" if algorithm == "none" else key.sign(body.encode())
    return f"{body}.{_base64(signature)}"


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def with_token(text: str) -> dict[str, str]:
    return {"x-restate-signature-scheme": "v1", "x-restate-jwt-v1": text}


def ask(stack: Stack, path: str, headers: dict[str, str]) -> int:
    """The status with which the agent answers a request that does not come from Restate."""
    url = f"{stack.agent.uri}{path}"
    if path.startswith("/invoke/"):
        return httpx.post(url, content=b"{}", headers=headers, timeout=10).status_code
    accept = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}
    return httpx.get(url, headers=accept | headers, timeout=10).status_code


def tampered(text: str) -> str:
    """The same signature under another claim: valid for an hour longer."""
    header, claims, signature = text.split(".")
    decoded = json.loads(base64.urlsafe_b64decode(claims + "=="))
    decoded["exp"] += 3600
    return f"{header}.{_base64(json.dumps(decoded).encode())}.{signature}"


def test_restates_own_calls_work(signed: Stack) -> None:
    session = signed.session()
    session.message()
    assert session.wait_idle()["status"] == "completed"


REFUSED = [
    "nothing",
    "no token",
    "garbage",
    "another key under our key's name",
    "expired",
    "for another path",
    "tampered with",
    "not signed at all",
]


def headers_of(case: str, key: Path, path: str) -> dict[str, str]:
    match case:
        case "nothing":
            return {}
        case "no token":
            return {"x-restate-signature-scheme": "v1"}
        case "garbage":
            return with_token("a.b.c")
        case "another key under our key's name":
            other = Ed25519PrivateKey.generate()
            return with_token(token(other, path, kid=public_key(key)))
        case "expired":
            return with_token(token(key, path, issued=-90))
        case "for another path":
            return with_token(token(key, "/invoke/CodingAgent/message"))
        case "tampered with":
            return with_token(tampered(token(key, path)))
        case "not signed at all":
            return with_token(token(key, path, algorithm="none"))
    raise AssertionError(case)


@pytest.mark.parametrize("path", ["/discover", INVOKE])
@pytest.mark.parametrize("case", REFUSED)
def test_a_request_that_is_refused(signed: Stack, key_file: Path, path: str, case: str) -> None:
    assert ask(signed, path, headers_of(case, key_file, path)) == 401
    # The same with a good token is no 401: it is the token that is refused.
    assert ask(signed, path, with_token(token(key_file, path))) != 401


def test_no_other_path_is_open(signed: Stack) -> None:
    """Where there is nothing, this is not said to strangers either; but health is."""
    for path in ("/", "/nothing", "/health/x", "/invoke/Nobody/nothing"):
        assert ask(signed, path, {}) == 401, path
    answer = httpx.get(f"{signed.agent.uri}/health")
    assert answer.status_code == 200
    assert "Coding" not in answer.text
