"""Request identity: Restate signs its requests with a private key, and an agent that has the public
one in `AGENT_IDENTITY_KEYS` refuses those that are not signed with it.

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


def _base64(data: object) -> str:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _token(case: str, key_file: Path, path: str) -> str:
    """A JSON web token as Restate makes them, but for one thing."""
    key = load_pem_private_key(key_file.read_bytes(), password=None)
    if case == "another key under our key's name":
        key = Ed25519PrivateKey.generate()
    assert isinstance(key, Ed25519PrivateKey)
    now = int(time.time()) - (90 if case == "expired" else 0)
    audience = "/invoke/CodingAgent/message" if case == "for another path" else path
    algorithm = "none" if case == "not signed at all" else "EdDSA"
    header = {"typ": "JWT", "alg": algorithm, "kid": public_key(key_file)}
    claims = {"aud": audience, "iat": now, "nbf": now - 60, "exp": now + 60}
    body = f"{_base64(header)}.{_base64(claims)}"
    signature = b"" if algorithm == "none" else key.sign(body.encode())
    if case == "tampered with":
        body = f"{_base64(header)}.{_base64({**claims, 'exp': now + 3600})}"
    return f"{body}.{_base64(signature)}"


def _ask(stack: Stack, path: str, headers: dict[str, str]) -> int:
    """The status with which the agent answers a request that does not come from Restate."""
    url = f"{stack.agent.uri}{path}"
    if path.startswith("/invoke/"):
        return httpx.post(url, content=b"{}", headers=headers, timeout=10).status_code
    accept = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}
    return httpx.get(url, headers=accept | headers, timeout=10).status_code


def test_restates_own_calls_work(signed: Stack) -> None:
    session = signed.session()
    session.message()
    assert session.wait_idle()["status"] == "completed"


_V1 = {"x-restate-signature-scheme": "v1"}
_WITHOUT_TOKEN = {
    "nothing": {},
    "no token": _V1,
    "garbage": {**_V1, "x-restate-jwt-v1": "a.b.c"},
}
_WITH_TOKEN = [
    "another key under our key's name",
    "expired",
    "for another path",
    "tampered with",
    "not signed at all",
]


@pytest.mark.parametrize("path", ["/discover", INVOKE])
@pytest.mark.parametrize("case", [*_WITHOUT_TOKEN, *_WITH_TOKEN])
def test_a_request_that_is_refused(signed: Stack, key_file: Path, path: str, case: str) -> None:
    def signed_as(case: str) -> dict[str, str]:
        return {**_V1, "x-restate-jwt-v1": _token(case, key_file, path)}

    headers = _WITHOUT_TOKEN[case] if case in _WITHOUT_TOKEN else signed_as(case)
    assert _ask(signed, path, headers) == 401
    # The same with a good token is no 401: it is the token that is refused.
    assert _ask(signed, path, signed_as("good")) != 401


def test_no_other_path_is_open(signed: Stack) -> None:
    """Where there is nothing, this is not said to strangers either; but health is."""
    for path in ("/", "/nothing", "/health/x", "/invoke/Nobody/nothing"):
        assert _ask(signed, path, {}) == 401, path
    answer = httpx.get(f"{signed.agent.uri}/health")
    assert answer.status_code == 200
    assert "Coding" not in answer.text
