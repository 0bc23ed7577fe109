"""Package sources as pip was told, for pip, uv and npm.

Where pip was told to install *to* (PIP_USER, `target` in pip.conf) is left out: that is `.venv`.
"""

import configparser
import os
import re
import sys
from pathlib import Path

# pip's options for sources, and the variables in which other tools want them.
_SOURCES = {
    "cert": ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"],
    "client-cert": ["SSL_CLIENT_CERT"],
    "constraint": ["UV_CONSTRAINT"],
    "default-timeout": ["UV_HTTP_TIMEOUT"],
    "extra-index-url": ["UV_INDEX"],
    "find-links": ["UV_FIND_LINKS"],
    "index-url": ["UV_DEFAULT_INDEX"],
    "keyring-provider": ["UV_KEYRING_PROVIDER"],
    "no-index": [],  # for uv it is an argument
    "proxy": ["HTTPS_PROXY", "HTTP_PROXY"],
    "timeout": ["UV_HTTP_TIMEOUT"],
    "trusted-host": ["UV_INSECURE_HOST"],
}
_CERTIFICATES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_FOREIGN = re.compile(r"PIP_|PYTHON(HOME|PATH|USERBASE)$|VIRTUAL_ENV$|__PYVENV_LAUNCHER__$")
_DESTINATIONS = re.compile(
    r"UV_(?!\w*INDEX|FIND_LINKS|INSECURE_HOST|HTTP_|NATIVE_TLS|SYSTEM_CERTS|KEYRING)"
    r"|PYTHON(?!IOENCODING|UTF8)|CONDA_PREFIX$|(?i:npm_config_(global|prefix|location)$)"
)


def for_python(venv: Path) -> dict[str, str]:
    """Variables for the Python of `venv`: none leads to packages of another place."""
    kept = {name: text for name, text in os.environ.items() if not _FOREIGN.match(name)}
    for option, text in _pip_options(venv).items():
        kept[_variable(option)] = text
    return {**kept, "PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def for_set_up(venv: Path, cache: Path) -> dict[str, str]:
    """Variables for pip, uv and npm to install into `venv`; `cache` is a folder for uv.

    Exits where they name a certificate that does not exist.
    """
    kept = {n: text for n, text in for_python(venv).items() if not _DESTINATIONS.match(n)}
    for name in _CERTIFICATES:
        if kept.get(name) and not os.path.exists(kept[name]):
            known = f"The variable {name}" if name in os.environ else "pip's option `cert`"
            sys.exit(f"{known} names {kept[name]}, which does not exist. Correct or unset it.")
    certificate = next((kept[name] for name in _CERTIFICATES if kept.get(name)), None)
    if certificate:
        kept["PIP_CERT"] = certificate
    for option, names in _SOURCES.items():
        text = kept.get(_variable(option), "")
        if option == "find-links":
            text = ",".join(text.split())
        elif option == "proxy" and text:
            text = text if "://" in text else "http://" + text
            names = [name for name in names if name.lower() not in kept]
        if text:
            kept.update({name: text for name in names if name not in kept})
    return {
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # pip's: all indexes are equal
        "UV_SYSTEM_CERTS": "true",
        **kept,
        "UV_CACHE_DIR": str(cache),
        "UV_PYTHON_DOWNLOADS": "never",
    }


def _pip_options(venv: Path) -> dict[str, str]:
    """pip's options for sources: from its files, then from the environment, as pip reads them."""
    home, given = Path.home(), os.environ.get("PIP_CONFIG_FILE")
    files = [Path(folder, "pip/pip.conf") for folder in _folders("XDG_CONFIG_DIRS", "/etc/xdg")]
    files += [Path("/Library/Application Support/pip/pip.conf"), Path("/etc/pip.conf")]
    if not given:
        files += [home / ".pip/pip.conf", home / "Library/Application Support/pip/pip.conf"]
        files += [Path(f, "pip/pip.conf") for f in _folders("XDG_CONFIG_HOME", f"{home}/.config")]
    parser = configparser.RawConfigParser()
    try:
        parser.read([] if given == os.devnull else [*files, venv / "pip.conf", given or ""])
    except (configparser.Error, UnicodeDecodeError) as error:
        sys.exit(f"pip's configuration cannot be read: {error}")
    options = {}
    for section in filter(parser.has_section, ("global", "install")):
        options.update({name.replace("_", "-"): text for name, text in parser.items(section)})
    for name in _SOURCES:
        options[name] = os.environ.get(_variable(name)) or options.get(name, "")
    return {name: " ".join(options[name].split()) for name in _SOURCES if options[name]}


def _folders(variable: str, otherwise: str) -> list[str]:
    return (os.environ.get(variable) or otherwise).split(":")


def _variable(option: str) -> str:
    return "PIP_" + option.upper().replace("-", "_")
