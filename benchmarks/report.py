"""Tables and plots of what the benchmarks found: ``docs/performance.md``, and pictures beside it."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path

from matplotlib import pyplot as plt

from .growth import DEPENDS_ON_WHAT_IS_SEEN

DOCS = Path(__file__).parent.parent / "docs"
LIBRARIES = "flask flask-sqlalchemy sqlalchemy marshmallow psycopg pymysql".split()
# What was to be reached: times the floor.
TARGETS = {"register": 1.3, "get-one": 1.3, "list-100": 1.2, "resolve": 1.3}


def machine():
    """Describe the machine and what runs on it."""
    model = "unknown processor"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
        model = next(names, model)
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {libraries}"


def write(folder):
    """Write the page and its pictures from the results in a folder."""
    found = {
        file.stem: json.loads(file.read_text(encoding="utf-8"))
        for file in sorted(folder.glob("*.json"))
    }
    results = {name: each["found"] for name, each in found.items()}
    machines = sorted({each["machine"] for each in found.values()})
    (DOCS / "performance").mkdir(exist_ok=True)
    parts = [
        HEAD,
        "Measured on: " + "; ".join(machines) + ".\n",
        *_cost(_of(results, "cost")),
        *_served(_of(results, "served")),
        *_growth(_of(results, "growth")),
        *_startup(results.get("startup", {})),
    ]
    (DOCS / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def _of(results, part):
    start = f"{part}-"
    return {n.removeprefix(start): each for n, each in results.items() if n.startswith(start)}


HEAD = """\
# Performance

For anyone who asks what the registry costs.

`make bench` writes this page: tables and pictures of what it finds on your machine. Take the ratios: the
times of one machine are not those of another one. `BENCH_ARGS` narrows it, such as
`BENCH_ARGS="cost --rounds 10"` or `BENCH_ARGS="growth --sizes 1000,100000"`.
"""

COST = """\
## What a request costs

CPU of the app's process, in process, medians of interleaved rounds. The *floor* is the same job by hand, in
`benchmarks/floor.py`: the same `@jwt_required()` and user loader, SQLAlchemy Core statements built once, the
same encryption, `json.dumps`; no validation, no errors, no groups. The *ordinary* stack is
`benchmarks/ordinary.py`: ORM entities and Marshmallow. `resolve` is a call from Python, next to the same SELECT
and decryption by hand.
"""


def _cost(results):
    yield COST
    yield "| measure | " + " | ".join(results) + " |"
    yield "|---|" + "---|" * len(results)
    kinds = list(next(iter(results.values()), {}))
    for kind in kinds:
        target = f" (target {TARGETS[kind]})" if kind in TARGETS else ""
        cells = (f"{each[kind]['library/floor']:.2f}" for each in results.values())
        yield f"| {kind}: times the floor{target} | " + " | ".join(cells) + " |"
    for kind in kinds[:-1]:
        cells = (f"{1 / each[kind]['library/ordinary']:.1f}" for each in results.values())
        yield f"| {kind}: times faster than the ordinary stack | " + " | ".join(cells) + " |"
    yield "\n![Times of the library, next to the floor and the ordinary stack](performance/cost.png)\n"
    _, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 4), sharey=True)
    for axis, (name, each) in zip(_listed(axes), results.items(), strict=True):
        for place, side in enumerate(("floor", "library", "ordinary")):
            shown = [kind for kind in kinds if side in each[kind]]
            heights = [each[kind][side] / each[kind]["floor"] for kind in shown]
            spots = [kinds.index(kind) + (place - 1) * 0.27 for kind in shown]
            axis.bar(spots, heights, 0.27, label=side, color=COLOURS[side])
        axis.set_title(name)
        axis.set_xticks(range(len(kinds)), kinds, rotation=40, ha="right")
        axis.grid(axis="y", alpha=0.3)
    _listed(axes)[0].set_ylabel("times the floor")
    _listed(axes)[0].legend()
    _save("cost")


SERVED = """\
## Under Gunicorn

Eight connections, each with one request at a time, from the same machine; `gthread` workers with four threads.
Requests a second of the library, as a part of the floor's, and how many times those of the ordinary stack.
"""


def _served(results):
    yield SERVED
    yield "| measure | " + " | ".join(results) + " |"
    yield "|---|" + "---|" * len(results)
    kinds = list(next(iter(results.values()), {}))
    for other, text in (("floor", "of the floor's"), ("ordinary", "times the ordinary stack's")):
        for kind in kinds:
            ratios = (1 / each[kind][f"library/{other}"] for each in results.values())
            cells = (f"{r:.0%}" if other == "floor" else f"{r:.1f}" for r in ratios)
            yield f"| {kind}: {text} | " + " | ".join(cells) + " |"
    yield "\n![Requests a second, as a part of the floor's](performance/served.png)\n"
    _, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 4), sharey=True)
    for axis, (name, each) in zip(_listed(axes), results.items(), strict=True):
        for place, side in enumerate(("floor", "library", "ordinary")):
            rates = [
                each[kind][side]["a second"] / each[kind]["floor"]["a second"] for kind in kinds
            ]
            spots = [spot + (place - 1) * 0.27 for spot in range(len(kinds))]
            axis.bar(spots, rates, 0.27, label=side, color=COLOURS[side])
        axis.set_title(name)
        axis.set_xticks(range(len(kinds)), kinds, rotation=40, ha="right")
        axis.grid(axis="y", alpha=0.3)
    _listed(axes)[0].set_ylabel("requests a second, floor = 1")
    _listed(axes)[0].legend()
    _save("served")


GROWTH = """\
## How it grows

Over 100,000 users and four grants for each model, one of them to a group that sees everything; one model in a
hundred is shared. Wall-clock time of a request for ten models, for one model, or to register one, at {largest}
models, as times that at {smallest}: medians of interleaved rounds. The plans of the statements are in
`benchmarks/results`.
"""


def _growth(results):
    variants = {name: each for found in results.values() for name, each in found.items()}
    if not variants:
        return
    kinds = list(next(iter(next(iter(variants.values())).values())))
    sizes = [int(size) for size in variants[next(iter(variants))]["register"][kinds[0]]["ms"]]
    yield GROWTH.format(largest=f"{max(sizes):,}", smallest=f"{min(sizes):,}")
    for name, operations in variants.items():
        yield f"### {name}\n"
        yield "| operation | " + " | ".join(kinds) + " |"
        yield "|---|" + "---|" * len(kinds)
        for operation, each in operations.items():
            if operation not in DEPENDS_ON_WHAT_IS_SEEN:
                cells = (f"{each[kind]['ratio']:.2f}" for kind in kinds)
                yield f"| {operation} | " + " | ".join(cells) + " |"
        file = name.replace(", ", "-").replace(" ", "-")
        yield f"\n![Milliseconds by the number of models](performance/growth-{file}.png)\n"
        _plot_growth(file, operations)
    yield DEPENDING
    yield "| operation | " + " | ".join(kinds) + " |"
    yield "|---|" + "---|" * len(kinds)
    for name, operations in variants.items():
        for operation in sorted(DEPENDS_ON_WHAT_IS_SEEN):
            each = operations[operation]
            cells = (f"{each[kind]['ratio']:.1f}" for kind in kinds)
            yield f"| {name}: {operation} | " + " | ".join(cells) + " |"
    yield ""


DEPENDING = """\
### What depends on what the user sees

A page of a list is one statement. It has a branch for each way of seeing a model. Each branch follows an index in the order of ids
and stops at the limit. PostgreSQL reads what groups are granted with one `LATERAL` join. The other databases have a branch for each
of up to 64 groups, or 8 if there are filters.

A filter and a summary look at what the user sees, and no further. That grows here as the table does: the user
who owns none sees ten models at 1,000 and ten thousand at 1,000,000, as one in a hundred is shared.

A filter that few models match reads on until it has a page. With 100,000 models in the user's groups, a page of ten of an ability
that none has took 0.3 to 0.8 s on PostgreSQL, 0.5 to 0.8 s on MariaDB and 0.1 to 0.3 s on SQLite, on a busy machine. Switched-off
models are such a filter too, where a large group has little else. On SQLite and MariaDB, a page for a user in more than 64 groups
reads all that is granted to them; with a filter, in more than 8. In 500 groups that took 0.2 to 0.4 s on MariaDB.

A look-up by `model_id` reads a few rows, however many users have a model of that name, once the database has statistics. A list filtered by one can read each model of
that name in your user's groups, where the database expects few.

A list that isn't sorted by `id` sorts all that the user sees. With 100,000 models of one user, a page of ten took 50 to 100 ms on
SQLite, 70 to 130 ms on PostgreSQL and 30 to 470 ms on MariaDB, on a busy machine. No index serves a sort, because writes would pay for it.
"""


def _plot_growth(file, operations):
    _, axes = plt.subplots(3, 4, figsize=(14, 9), sharex=True)
    for axis, (operation, each) in zip(axes.flat, operations.items(), strict=False):
        for kind, found in each.items():
            axis.plot(
                [int(size) for size in found["ms"]], [*found["ms"].values()], "o-", label=kind
            )
        axis.set_title(operation, fontsize=10)
        axis.set_xscale("log")
        axis.set_ylim(bottom=0)
        axis.grid(alpha=0.3)
    axes.flat[0].legend(fontsize=7)
    axes.flat[-1].axis("off")
    for axis in axes[-1]:
        axis.set_xlabel("models")
    for axis in axes[:, 0]:
        axis.set_ylabel("ms")
    _save(f"growth-{file}")


STARTUP = """\
## Starting

| measure | value |
|---|---|
"""


def _startup(found):
    if found:
        yield STARTUP + "\n".join(f"| {name} | {value} |" for name, value in found.items()) + "\n"


COLOURS = {"floor": "#9aa5b1", "library": "#2f6f4f", "ordinary": "#d08c60"}


def _listed(axes):
    return [axes] if hasattr(axes, "plot") else list(axes)


def _save(name):
    plt.tight_layout()
    plt.savefig(DOCS / "performance" / f"{name}.png", dpi=80)
    plt.close()
