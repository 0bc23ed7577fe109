"""Closing a connection under a request that has not been answered.

ASGI has no message for it: an app that returns without an answer makes the server answer 500. So
the connection's socket is looked up by the client's address and shut down beneath the server.
"""

from __future__ import annotations

import os
import socket

import psutil
from starlette.types import Scope


def drop_connection(scope: Scope) -> None:
    client = tuple(scope["client"])
    for connection in psutil.Process().net_connections("tcp"):
        if connection.raddr and tuple(connection.raddr) == client:
            with socket.socket(fileno=os.dup(connection.fd)) as same_socket:
                same_socket.shutdown(socket.SHUT_RDWR)
