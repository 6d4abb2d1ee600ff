"""Counts connections in Python's class of sockets, which all libraries here use.

Not by an audit hook. Python 3.11 calls these while it sets the trace function of a thread, and
refuses to set that of another thread meanwhile: under coverage, threads that start together fail.
"""

import socket
from contextlib import contextmanager

import pytest


@contextmanager
def watch_connections():
    """Yield the addresses that sockets are connected to from now on."""
    connected = []

    def watched(connect):
        def connect_and_tell(self, address):
            connected.append(address)
            return connect(self, address)

        return connect_and_tell

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, watched(getattr(socket.socket, name)))
        yield connected
