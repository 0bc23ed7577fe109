"""This machine's own network: which TCP ports are free, who holds one, and no proxy in between."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import random
import socket

import psutil

# Below the range from which the system serves outgoing connections (32768 and up on Linux, 49152
# elsewhere): a port from that range could be lent out while a killed server is down.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on `port` of `host` now."""
    with socket.socket() as taken, contextlib.suppress(OSError):
        taken.settimeout(0.5)
        taken.connect(("127.0.0.1" if host == "0.0.0.0" else host, port))
        return False  # macOS would let a second server bind beside one that listens on 0.0.0.0
    with socket.socket() as ours:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # lingering connections are fine
        try:
            ours.bind((host, port))
        except OSError:
            return False
        return True


def free_port(preferred: int | None = None, *, host: str = "127.0.0.1") -> int:
    """`preferred` if it is free, else a free port chosen at random, so that two choosers differ."""
    if preferred is not None and is_free(preferred, host):
        return preferred
    while not is_free(port := random.randint(_FIRST, _LAST), host):
        continue
    return port


def port_holder(port: int) -> str:
    """The program on `port`, as `node (pid 123)`; `another program` if the system won't say."""
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.laddr and connection.laddr[1] == port and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return "another program"


def is_loopback(host: str) -> bool:
    """Whether `host`, a name or an address, is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def no_proxy() -> dict[str, str]:
    """The variables `NO_PROXY` and `no_proxy`, with this machine added to what they exclude.

    A program that has them reaches loopback directly, and all else through the user's proxy.
    """
    given = ",".join(os.environ.get(name, "") for name in ("NO_PROXY", "no_proxy"))
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    if "*" in hosts:  # only alone does every program take it for all hosts
        value = "*"
    else:
        value = ",".join(dict.fromkeys([*hosts, "localhost", "127.0.0.1", "::1"]))
    return {"NO_PROXY": value, "no_proxy": value}
