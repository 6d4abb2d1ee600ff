"""The checker of histories finds every wrong history, and no right one."""

import math

import pytest

from tests.reliability.history import Operation, is_linearizable


def done(text):
    """Parse operations such as ``0-2 register a 201``; without a status, it may have been done."""
    for line in text.split(","):
        times, kind, value, *status = line.split()
        start, _, end = times.partition("-")
        answered = {"status": int(status[0])} if status else {}
        value = None if value == "-" else value
        yield Operation(kind, value, float(start), float(end or math.inf), **answered)


RIGHT = """
0-1 register a 201, 2-3 read a 200, 4-5 change b 200, 6-7 read b 200, 8-9 delete - 204, 10-11 read - 404
0-9 register a 201, 1-8 register b 409, 10-11 read a 200
0-9 register a 409, 1-8 register b 201, 10-11 read b 200
0-1 register a 201, 2-9 change b 200, 3-8 change c 200, 10-11 read b 200
0-1 register a 201, 2-9 change b 200, 3-4 read a 200, 5-6 read b 200
0-1 register a 201, 2-9 delete - 204, 3-4 register b 201, 10-11 read b 200
0- register a, 2-3 read - 404, 4-5 read a 200
0- register a, 2-3 read - 404, 4-5 register b 201
0-1 register a 201, 2- delete -, 3-4 read a 200, 5-6 read - 404, 7-8 register b 201
0-1 register a 201, 2- change b, 3- change c, 4-5 read c 200, 6-7 read b 200
0-1 read - 404
0-1 register a 201, 2- read b, 3- read -, 4-5 read a 200
0-1 register a 201, 2- read a, 3-4 read a 200
0- read -, 1-2 read - 404
0-1 register a 201, 2-3 delete -, 4-5 read - 404
0-1 register a 201, 2-3 delete -, 4-5 read a 200
0-1 register a 201, 2-5 delete -, 3-4 read a 200, 6-7 read - 404
0-1 register a 201, 2-3 change b, 4-5 change c 200, 6-7 read c 200
0-2 register a, 1-3 register b, 4-5 read b 200
"""
WRONG = """
0-1 register a 201, 2-3 read - 404
0-1 register a 201, 2-3 register b 201
0-9 register a 201, 1-8 register b 201
0-1 register a 409
0-9 register a 409, 1-8 register b 409
0-1 register a 201, 2-3 change b 200, 4-5 read a 200
0-1 register a 201, 2-3 delete - 204, 4-5 read a 200
0-1 register a 201, 2-3 delete - 204, 4-5 delete - 204
0-1 register a 201, 2-9 delete - 204, 3-8 delete - 204
0-1 register a 201, 2-9 change b 200, 3-4 read b 200, 5-6 read a 200
0-1 register a 201, 2- change b, 4-5 read b 200, 6-7 read a 200
0- register a, 2-3 read b 200
0- register a, 1-2 read a 200, 3-4 read - 404
0-1 change a 200
5- register a, 2-3 read a 200
0-1 register a 201, 2-3 delete -, 4-5 read a 200, 6-7 read - 404
0-1 register a 201, 2-3 change b, 4-5 read a 200, 6-7 read b 200
0-1 register a, 2-3 read - 404, 4-5 read a 200
0-2 register a, 1-3 register b, 4-5 read b 200, 6-7 read a 200
"""


@pytest.mark.parametrize("text", RIGHT.strip().splitlines())
def test_what_one_order_explains_is_right(text):
    assert is_linearizable(done(text))


@pytest.mark.parametrize("text", WRONG.strip().splitlines())
def test_what_no_order_explains_is_wrong(text):
    assert not is_linearizable(done(text))


def test_many_at_once_do_not_take_forever():
    writes = [Operation("change", str(i), 2.0, 100.0, 200) for i in range(12)]
    lost = [Operation("change", f"lost {i}", 2.0) for i in range(6)]
    begin = Operation("register", "a", 0.0, 1.0, 201)
    read = Operation("read", "7", 101.0, 102.0, 200)

    assert is_linearizable([begin, *writes, *lost, read])
    assert not is_linearizable([begin, *writes[:6], *lost[:2], read])


def test_many_that_were_not_answered_do_not_take_forever():
    kinds = ("register", "change", "delete")
    unanswered = [Operation(kinds[i % 3], f"lost {i}", float(i)) for i in range(60)]
    refused = [Operation(kinds[i % 3], f"no {i}", float(i), i + 0.5) for i in range(300)]
    reads = [Operation("read", None, 2.0 * i, 2.0 * i + 1, 404) for i in range(150)]
    read = Operation("read", "never written", 400.0, 401.0, 200)

    assert is_linearizable([*unanswered, *refused, *reads])
    assert not is_linearizable([*unanswered, *refused, *reads, read])


def test_long_histories_do_not_take_forever():
    operations = [Operation("register", "0", 0.0, 1.0, 201)]
    operations += [Operation("change", f"{i}", 2.0 * i, 2.0 * i + 3, 200) for i in range(1, 5_000)]

    assert is_linearizable(operations)
    assert not is_linearizable([*operations, Operation("read", "2", 20_000.0, 20_001.0, 200)])
