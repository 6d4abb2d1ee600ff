"""Histories of what clients did at once, and whether one after another explains them.

A history is linearizable (Herlihy and Wing, 1990) if all that was acknowledged can be put in one
order, each operation at some moment between its request and its answer, in which every answer is
right. The search is the one of Wing and Gong (1993), which remembers where it has been (Lowe, 2017).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

ABSENT, IMPOSSIBLE = None, object()


def _if_absent(after):
    return lambda before, value: after(before, value) if before is ABSENT else IMPOSSIBLE


def _if_present(after):
    return lambda before, value: IMPOSSIBLE if before is ABSENT else after(before, value)


def _same(before, _value):
    return before


def _value(_before, value):
    return value


def _absent(_before, _value):
    return ABSENT


#: What an answer tells of what was stored before, and leaves behind.
EFFECTS = {
    "register": {201: _if_absent(_value), 409: _if_present(_same)},
    "change": {200: _if_present(_value), 409: _if_present(_same), 404: _if_absent(_absent)},
    # 409: the model is a user's own default.
    "delete": {204: _if_present(_absent), 409: _if_present(_same), 404: _if_absent(_absent)},
    "read": {
        200: lambda before, value: before if before == value else IMPOSSIBLE,
        404: _if_absent(_absent),
    },
}
MOST_STATES = 50_000
# The answer that its client would have had, if it was done at all.
DONE = {"register": 201, "change": 200, "delete": 204}


@dataclass(frozen=True)
class Operation:
    """What a client did to one model. Without a status, it may have taken effect or not.

    Attributes:
        value: What was written, or was read.
        start: When it was sent, in seconds of one clock for all clients.
        end: When it was over; never, if it was not answered.
    """

    kind: str
    value: str | None
    start: float
    end: float = math.inf
    status: int | None = None

    def after(self, before):
        """Return what is stored after it, given what was before, or ``IMPOSSIBLE``."""
        status = DONE[self.kind] if self.status is None else self.status
        return EFFECTS[self.kind][status](before, self.value)


def is_linearizable(operations):
    """Return whether some order explains the operations on one model, which is absent at first.

    A search that takes too long returns false. Only wrong histories were seen to do that.
    """
    operations = sorted(_telling([*operations]), key=lambda each: each.start)
    # Where the search is: all before the first are done, of the others those with a bit set.
    first, done, stored = 0, 0, ABSENT
    left = sum(each.status is not None for each in operations)
    seen, waiting = set(), [(left, first, done, stored)]
    while waiting and len(seen) < MOST_STATES:
        left, first, done, stored = waiting.pop()
        if not left:
            return True
        if (first, done, stored) not in seen:
            seen.add((first, done, stored))
            waiting += _next(operations, left, first, done, stored)
    return False


def _telling(operations):
    """Drop operations that explain nothing, and treat all values that no client read as one."""
    read = {each.value for each in operations if each.kind == "read" and each.status}
    for each in operations:
        if not each.status and (
            each.kind == "read" or (each.kind == "change" and each.value not in read)
        ):
            continue
        yield each if each.value in read else replace(each, value="unread")


def _next(operations, left, first, done, stored):
    """Yield where the search may go on; at last, as the likeliest, to what ended first."""
    for i, each in sorted(_ready(operations, first, done), key=lambda each: -each[1].end):
        after = each.after(stored)
        if after is not IMPOSSIBLE:
            is_acknowledged = each.status is not None
            yield left - is_acknowledged, *_passed(operations, first, done | 1 << i - first), after


def _ready(operations, first, done):
    """Return what may have happened next: what began before any that is left had ended."""
    ready, first_end, unacknowledged = [], math.inf, set()
    latest = _latest(operations, first, done)
    for i in range(first, len(operations)):
        each = operations[i]
        if each.start > first_end:
            break
        if done >> i - first & 1:
            continue
        if each.status is None:
            # Of those that are alike, any is as good as the others.
            alike = each.kind, each.value, each.end
            if each.end < latest or alike in unacknowledged:
                continue
            unacknowledged.add(alike)
        else:
            first_end = min(first_end, each.end)
        ready.append((i, each))
    return ready


def _latest(operations, first, done):
    """Return the last start of what is done."""
    return operations[max(first + done.bit_length() - 1, 0)].start


def _passed(operations, first, done):
    """Leave behind what is done, or was over when something that is done began."""
    latest = _latest(operations, first, done)
    while done & 1 or (done and operations[first].end < latest):
        first, done = first + 1, done >> 1
    return first, done
