"""The key pair by which a service tells its own Restate server from everyone else.

A server in a container reaches this machine through an address that others may reach too, so it
signs its requests, and the service refuses those without a signature.
Format: https://docs.restate.dev/services/security#request-identity
"""

from __future__ import annotations

from pathlib import Path

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def key_path(folder: Path) -> Path:
    """Where the private key of the server whose files are in `folder` is kept."""
    return folder / "identity.pem"


def private_key_file(folder: Path) -> Path:
    """The file of the private key (ed25519, PKCS8, PEM), made when missing.

    Only this user can enter its folder; the file itself is readable by this user only.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = key_path(folder)
    if not path.exists():
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import (
            Encoding,
            NoEncryption,
            PrivateFormat,
        )

        key = Ed25519PrivateKey.generate()
        path.touch(mode=0o600)
        path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path


def public_key(private_key: Path) -> str:
    """The public half, as Restate writes it: `publickeyv1_…`."""
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    key = load_pem_private_key(private_key.read_bytes(), password=None)
    raw = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"publickeyv1_{_base58(raw)}"


def _base58(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    zeros = len(data) - len(data.lstrip(b"\0"))
    return _BASE58[0] * zeros + digits
