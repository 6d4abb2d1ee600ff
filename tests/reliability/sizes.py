"""How much is tried: in minutes by ``.ci/run``, longer before a release, for about an hour by ``make soak``."""

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """What a run of the harness holds.

    Attributes:
        examples: Generated requests for each operation, at most.
        cases: Generated requests for each database, at least.
        kills: Processes killed for each database.
        steps: Requests of each client in a history.
        seconds: Length of the load, and as much of it as is warming up.
    """

    examples: int
    cases: int
    kills: int
    steps: int
    seconds: tuple[float, float]


SEEDS = 40  # models that are there before requests are generated
SIZES = {
    "ci": Size(examples=10, cases=3_000, kills=8, steps=60, seconds=(40, 15)),
    "release": Size(examples=25, cases=4_000, kills=24, steps=150, seconds=(60, 15)),
    "soak": Size(examples=2_000, cases=50_000, kills=200, steps=3_000, seconds=(1_800, 120)),
}
SIZE = SIZES[os.environ["TEST_RELIABILITY"]]
