"""Ports that stay free until a server takes them."""

from __future__ import annotations

import itertools
import os
import random
import socket

# Below Linux's range for outgoing connections, and for `port=0`: those would take a port between its choice and its
# use, at one of the loopback addresses or at all.
_FIRST, _LAST = 20_000, 32_000
_offsets = itertools.count(random.SystemRandom().randrange(_LAST - _FIRST))


def free_port():
    """A port that is free at every IPv4 address of this machine, and that this process hasn't returned before."""
    while True:
        # Each worker of a run takes its own ports, by their remainder.
        workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 1))
        worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
        port = _FIRST + (next(_offsets) * workers + worker) % (_LAST - _FIRST)
        with socket.socket() as free:
            try:
                free.bind(("", port))
            except OSError:
                continue
            return port
