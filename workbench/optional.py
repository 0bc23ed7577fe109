"""Packages that are not needed for most lessons: what is missing, and how to get it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from workbench.state_dir import REPOSITORY, WorkbenchError

__all__ = ["missing", "need_packages"]


def need_packages(requirements: str) -> None:
    """Raise WorkbenchError, saying how to install them, unless the packages of a file are there."""
    if line := missing(requirements):
        raise WorkbenchError(line)


def missing(requirements: str) -> str:
    """What this Python lacks of a requirements file, and the command; empty if nothing."""
    text = (REPOSITORY / requirements).read_text(encoding="utf-8")
    pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==([\w.]+)", text, re.MULTILINE)
    lacking = [f"{name} {pin}" for name, pin in pins if _version(name) != pin]
    if not lacking:
        return ""
    return f"It needs {', '.join(lacking)}: .venv/bin/python -m pip install -r {requirements}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
