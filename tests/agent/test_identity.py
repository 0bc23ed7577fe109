"""Request identity: Restate signs its requests with a private key, and an agent that has the public
one in `AGENT_IDENTITY_KEYS` refuses those that are not signed with it.

An agent that listens beyond this machine does not start without one (`test_settings.py`); here it
listens on loopback and has one all the same.
"""

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.stack import Stack
from workbench.restate.docker import private_key_file, public_key

_VARIABLE = "RESTATE_WORKER__INVOKER__REQUEST_IDENTITY_PRIVATE_KEY_PEM_FILE"


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return private_key_file(tmp_path_factory.mktemp("key"))


@pytest.fixture(scope="module")
def agent(key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an agent that checks, once a Restate that signs has had a turn done."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_VARIABLE, str(key_file))
        env = {"AGENT_IDENTITY_KEYS": public_key(key_file)}
        with Stack.running(tmp_path_factory.mktemp("home"), env=env) as stack:
            session = stack.session()
            session.message()
            assert session.wait_idle()["status"] == "completed"
            yield stack.agent.uri


def _token(key_file: Path, path: str, *, forged: bool = False, expired: bool = False) -> str:
    """A JSON web token as Restate makes them; or signed with another key in the name of ours."""

    def encoded(data: object) -> str:
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    key = load_pem_private_key(key_file.read_bytes(), password=None)
    key = Ed25519PrivateKey.generate() if forged else key
    assert isinstance(key, Ed25519PrivateKey)
    now = int(time.time()) - 90 * expired
    header = {"typ": "JWT", "alg": "EdDSA", "kid": public_key(key_file)}
    claims = {"aud": path, "iat": now, "nbf": now - 60, "exp": now + 60}
    body = f"{encoded(header)}.{encoded(claims)}"
    return f"{body}.{encoded(key.sign(body.encode()))}"


def _status(url: str, token: str | None = None) -> int:
    """The status with which the agent answers a request that does not come from Restate."""
    headers = {"accept": "application/vnd.restate.endpointmanifest.v4+json"}
    if token:
        headers |= {"x-restate-signature-scheme": "v1", "x-restate-jwt-v1": token}
    method = "POST" if "/invoke/" in url else "GET"
    return httpx.request(method, url, headers=headers, timeout=10).status_code


@pytest.mark.parametrize("path", ["/discover", "/invoke/CodingTask/run_task"])
def test_a_request_that_is_not_signed_is_refused(agent: str, key_file: Path, path: str) -> None:
    forged = _token(key_file, path, forged=True)
    expired = _token(key_file, path, expired=True)
    for token in (None, "a.b.c", forged, expired, _token(key_file, "/invoke/CodingAgent/stop")):
        assert _status(f"{agent}{path}", token) == 401
    # With a good token it is no 401: it is the token that is refused.
    assert _status(f"{agent}{path}", _token(key_file, path)) != 401


def test_no_other_path_is_open(agent: str) -> None:
    """Where there is nothing, this is not said to strangers either; but health is."""
    for path in ("/", "/nothing", "/health/x", "/invoke/Nobody/nothing"):
        assert _status(f"{agent}{path}") == 401, path
    answer = httpx.get(f"{agent}/health")
    assert answer.status_code == 200
    assert "Coding" not in answer.text
