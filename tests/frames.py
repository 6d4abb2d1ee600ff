"""What an error report could show: the local variables of all frames that an exception passed."""

from __future__ import annotations

import types
from collections import deque
from functools import cache, partial
from pathlib import Path

import flask_model_registry
from tests.conftest import traces

PACKAGE = Path(flask_model_registry.__file__).parent
TESTS = Path(__file__).parent
_DEPTH = 6
# Objects of the host are the host's to hide, and a traceback only shows their repr.
_HOSTS = {"blinker", "flask", "flask_sqlalchemy", "marshmallow", "sqlalchemy", "tests", "werkzeug"}
_CONTAINERS = {dict, list, tuple, set, frozenset, deque}
_LEAVES = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


def frames(error):
    """Yield the frames of an exception and of its causes, hidden or not."""
    seen, waiting = set(), [error]
    while waiting:
        error = waiting.pop()
        if error is None or id(error) in seen:
            continue
        seen.add(id(error))
        waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]
        traceback = error.__traceback__
        while traceback is not None:
            yield traceback.tb_frame
            traceback = traceback.tb_next


@cache
def _folders(path):
    return {*Path(path).parents}


def is_ours(frame):
    return PACKAGE in _folders(frame.f_code.co_filename)


def is_no_test(frame):
    return TESTS not in _folders(frame.f_code.co_filename)


def is_called_by_us(frame):
    """Return whether a frame is ours, or of a library that we call."""
    above = {"flask", "werkzeug"} & {each.name for each in _folders(frame.f_code.co_filename)}
    return is_no_test(frame) and not above


def leaks(error, which=is_ours, *, known=()):
    """Return the local variables that hold an API key, as ``file:function:name``.

    Args:
        known: The ``id`` of long-lived objects that are checked elsewhere.
    """
    found = [
        (f"{Path(frame.f_code.co_filename).name}:{frame.f_code.co_name}:{name}", value)
        for frame in filter(which, frames(error))
        for name, value in dict(frame.f_locals).items()
    ]
    # Together, because frames share most objects, so that each is only checked once.
    if not traces(texts([value for _, value in found], known, depth=_DEPTH + 1)):
        return []
    return [*dict.fromkeys(place for place, value in found if traces(texts(value, known)))]


def texts(value, known=(), depth=_DEPTH):
    """Return everything in a value as text, up to a depth."""
    return [
        text
        for each, further in _walk(value, known, depth)
        # Otherwise its text is that of its parts, which come too.
        if type(each) not in _CONTAINERS or not further
        for text in _spelled(each)
    ]


def objects(value, known=(), depth=_DEPTH):
    """Return the objects in a value, up to a depth."""
    return [each for each, _ in _walk(value, known, depth)]


def _walk(value, known, depth):
    """Return what is in a value, each with the depth up to which its own parts are there."""
    found, waiting = {}, deque([(value, depth)])
    while waiting:
        value, depth = waiting.popleft()
        if id(value) not in found and id(value) not in known:
            found[id(value)] = value, depth
            if depth:
                waiting += [(each, depth - 1) for each in _inside(value)]
    return [*found.values()]


def _spelled(value):
    if isinstance(value, (bytes, bytearray, memoryview)):
        yield bytes(value).decode("latin-1")
    is_its_repr = type(value).__str__ is object.__str__
    for spell in (repr,) if is_its_repr else (repr, str):
        try:
            yield spell(value)
        except Exception as error:
            yield f"cannot be shown: {type(error).__name__}"


def _inside(value):
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple, set, frozenset, deque)):
        return [*value]
    if isinstance(value, partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, types.MethodType):
        return [value.__self__]
    kind = type(value)
    if isinstance(value, _LEAVES) or kind.__module__.partition(".")[0] in _HOSTS:
        return []
    slots = [vars(each).get("__slots__", ()) for each in kind.__mro__]
    names = [name for each in slots for name in ([each] if isinstance(each, str) else each)]
    held = [getattr(value, name) for name in names if hasattr(value, name)]
    return [*held, *getattr(value, "__dict__", {}).values(), *getattr(value, "args", ())]
