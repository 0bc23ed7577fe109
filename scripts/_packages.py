"""Installs the packages: with uv, which is ten times as fast as pip, or else with pip.

uv does not read pip's configuration, and a machine behind a proxy or with an index of its own may
have nothing but that. What pip is told about where packages come from is therefore handed to uv in
uv's words, and where there is something that has none, pip does the work. So it does if uv fails.
"""

from __future__ import annotations

import ast
import os
import subprocess
from pathlib import Path

from _steps import StepFailed, step

_UV = "uv==0.13.9"
_HINT = (
    "It needs the network once; proxy, index and certificates are as pip's configuration has them."
)

# pip's options for where packages come from, and uv's variables for them.
_WORDS_FOR_UV = {
    "cert": "SSL_CERT_FILE",
    "default-timeout": "UV_HTTP_TIMEOUT",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "index-url": "UV_DEFAULT_INDEX",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "trusted-host": "UV_INSECURE_HOST",
}
# Those that say how pip goes about its own work.
_PIPS_OWN = {
    "break-system-packages", "cache-dir", "disable-pip-version-check", "no-cache-dir", "no-color",
    "no-input", "no-warn-script-location", "progress-bar", "quiet", "require-virtualenv",
    "root-user-action", "verbose",
}  # fmt: skip


def install(python: Path, requirements: Path, *, cache: Path, log: Path) -> None:
    """Install `requirements` into the environment of `python`; `cache` is a folder for uv's.

    Raises StepFailed with pip's last lines if pip cannot do it either.
    """
    folder = requirements.parent  # to both, a path in it (`-e .`) is one of the current folder
    quiet = ["--disable-pip-version-check", "--no-input"]
    pip: list[str | Path] = [python, "-m", "pip", "install", *quiet]
    uv: list[str | Path] = [python, "-m", "uv", "pip", "install", "--python", python]
    environment = _environment_for_uv(_pip_configuration(python), cache)
    if environment is not None:
        try:
            get_uv = [*pip, "--retries=1", "--only-binary=:all:", _UV]
            step("uv, which installs packages", get_uv, log=log)
            step("packages", [*uv, "-r", requirements], env=environment, cwd=folder, log=log)
            return
        except StepFailed:
            print("  uv could not do it, so pip does; that takes about half a minute.")
    # What is imported is compiled then; compiling all of it takes ten seconds more.
    command = [*pip, "--no-compile", "-r", requirements]
    step("packages", command, cwd=folder, log=log, hint=_HINT)


def _pip_configuration(python: Path) -> dict[str, str]:
    """pip's options as files and environment set them, by name."""
    answer = subprocess.run(
        [python, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    )
    options: dict[str, dict[str, str]] = {"global": {}, "install": {}, ":env:": {}}
    for line in answer.stdout.splitlines():
        name, _, value = line.partition("=")
        section, _, option = name.partition(".")
        if section in options:
            options[section][option] = str(ast.literal_eval(value))
    return options["global"] | options["install"] | options[":env:"]  # the last has the last word


def _environment_for_uv(options: dict[str, str], cache: Path) -> dict[str, str] | None:
    """What uv must find in its environment to do as pip would; None where that cannot be said."""
    environment = {
        "UV_CACHE_DIR": str(cache),
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # pip's: all indexes are equal
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_SYSTEM_CERTS": "true",
    }
    for option, value in options.items():
        if option in _WORDS_FOR_UV:
            values = value.split()  # pip's separator; uv's is a comma for this one
            environment[_WORDS_FOR_UV[option]] = ("," if option == "find-links" else " ").join(
                values
            )
        elif option not in _PIPS_OWN:
            return None
    return {name: value for name, value in environment.items() if name not in os.environ}
