"""Counts connections where Python makes them, by an audit hook: whatever the code does."""

import sys
from contextlib import contextmanager
from functools import cache

_watching: list[list] = []


def _hook(event, args):
    if event == "socket.connect" and _watching:
        _watching[-1].append(args[1])


@cache
def _watch_all():
    sys.addaudithook(_hook)  # for the life of the process: there is no way to remove one


@contextmanager
def watch_connections():
    """Yield the addresses that sockets are connected to from now on."""
    _watch_all()
    _watching.append([])
    yield _watching[-1]
    _watching.pop()
