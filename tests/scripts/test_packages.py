"""What pip's configuration becomes for uv, which does not read it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import _packages

    yield _packages
    for name in ("_packages", "_steps", "_command"):
        sys.modules.pop(name, None)


def test_indexes_and_certificates_are_said_in_uvs_words(
    packages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SSL_CERT_FILE", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_CACHE_DIR"):
        monkeypatch.delenv(name, raising=False)
    options = {
        "index-url": "https://index.test/simple",
        "extra-index-url": "https://one.test/simple\nhttps://two.test/simple",
        "find-links": "/a /b",
        "cert": "/etc/ca.pem",
        "no-cache-dir": "true",
    }

    environment = packages._environment_for_uv(options, Path("/cache"))

    assert environment.items() >= {
        ("UV_DEFAULT_INDEX", "https://index.test/simple"),
        ("UV_INDEX", "https://one.test/simple https://two.test/simple"),
        ("UV_FIND_LINKS", "/a,/b"),
        ("SSL_CERT_FILE", "/etc/ca.pem"),
        ("UV_CACHE_DIR", "/cache"),
    }


@pytest.mark.parametrize("option", ["no-index", "client-cert", "constraint", "index-of-the-future"])
def test_what_uv_has_no_word_for_is_left_to_pip(packages: ModuleType, option: str) -> None:
    assert packages._environment_for_uv({option: "1"}, Path("/cache")) is None


def test_what_the_environment_says_stays(
    packages: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.test/simple")

    environment = packages._environment_for_uv({"index-url": "https://pips.test"}, Path("/cache"))

    assert "UV_DEFAULT_INDEX" not in environment
