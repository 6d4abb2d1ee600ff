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
TARGETS = {
    "register": 1.2,
    "get-one": 1.1,
    "list-100": 1.1,
    "patch": 1.25,
    "summary": 1.2,
    "resolve": 1.15,
}


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
        *_proxy(_of(results, "proxy"), results["cost-postgresql"]["resolve"]["library"]),
        *_growth(_of(results, "growth")),
        *_startup(results.get("startup", {})),
    ]
    (DOCS / "performance.md").write_text("\n".join(parts), encoding="utf-8")


def _of(results, part):
    start = f"{part}-"
    return {n.removeprefix(start): each for n, each in results.items() if n.startswith(start)}


HEAD = """\
# Performance

For anyone who wants to know how much time the registry takes.

`make bench` writes this page, with tables and pictures of the results on your machine. Compare the ratios, because times differ from
machine to machine. To measure only a part, set `BENCH_ARGS`, such as `BENCH_ARGS="cost --rounds 10"` or
`BENCH_ARGS="growth --sizes 1000,100000"`.
"""

COST = """\
## What a request costs

The table compares the CPU time of a request to the registry with the CPU time of the same request to two other implementations. These are
called the *floor* and the *ordinary* stack. All three run in one process, without an HTTP server. Rounds of the three alternate, and each
figure is the median of the rounds' ratios. The *floor*, `benchmarks/floor.py`, is code that is written by hand for just these requests. It
has the same `@jwt_required()` and user loader, SQLAlchemy Core statements that are built once, the same encryption, and `json.dumps`. The
floor leaves out work that a real app needs: validation and errors, groups, the check of who may change a model, `ETag` and other headers,
and the column for searches. The floor locks no rows, so one of two simultaneous changes can be lost. On SQLite, the floor doesn't check
that the user still exists. The *ordinary* stack, `benchmarks/ordinary.py`, uses ORM entities and Marshmallow. `resolve` is a Python call,
not a request. The floor of `resolve` is the same SELECT and decryption, written by hand.
"""


# Counted once with Valgrind's callgrind, on SQLite; what is under 1 percent is left out.
BEYOND_THE_FLOOR = """\
### What it does beyond the floor

In three runs in a row on a quiet machine, the following operations missed their targets at least once: register (1.34 to 1.36 on SQLite,
1.26 to 1.29 with `configure_sqlite`, 1.20 to 1.27 on servers), get-one on SQLite (1.14 to 1.24), list-100 (1.11 to 1.23), PATCH without
`configure_sqlite` (1.25 to 1.33), a summary on servers (1.16 to 1.27), and `resolve` on SQLite (1.38 to 1.51) and PostgreSQL (1.18 to
1.26). The other operations reached their targets each time.

The registry takes longer than the floor because it does work that the floor leaves out. The table shows this work in percent of the CPU
instructions that the registry executes on SQLite, counted with Valgrind's callgrind. For register, validation is about a third of the
difference. For `resolve`, the floor does little more than a SELECT and a decryption.

| operation | what | percent |
|---|---|---|
| register | validation by Marshmallow | 7.4 |
| | `Location`, `ETag` and other headers | 3.3 |
| register, PATCH | SQLite: whether the user still exists, as foreign keys are off there by default | 3.0 |
| | SQLite: `BEGIN IMMEDIATE`, so that two writers don't deadlock | 1.4 |
| PATCH | validation | 1.9 |
| | old and new values merged, and the text that searches read | 1.5 |
| get-one | the user's key, flags and groups | 2.3 |
| | SQLite: whether the triggers that follow deleted users are there | 1.1 |
| list-100 | a statement with a branch for each way of seeing a model | 7.1 |
| | the representation of each model, whose JSON may have been changed in SQL | 2.3 |
| | validation of the query | 1.5 |
| resolve | the base URL, and the model that is returned | 10.0 |
| | the user's key, flags and groups | 7.3 |
| | SQLite: whether the triggers that follow deleted users are there | 5.9 |
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
            axis.bar(spots, heights, 0.27, label=side, color=COLORS[side])
        axis.set_title(name)
        axis.set_xticks(range(len(kinds)), kinds, rotation=40, ha="right")
        axis.grid(axis="y", alpha=0.3)
    _listed(axes)[0].set_ylabel("times the floor")
    _listed(axes)[0].legend()
    _save("cost")
    yield BEYOND_THE_FLOOR


SERVED = """\
## Under Gunicorn

Eight connections from the same machine each send one request at a time to `gthread` workers with four threads. The table shows how many
requests a second the registry serves. This rate is given in percent of the floor's rate, and as a multiple of the ordinary stack's rate.
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
    for kind in kinds:
        cells = (f"{each[kind]['library']['p99 ms']:.0f}" for each in results.values())
        yield f"| {kind}: 99 of 100 take less, in ms | " + " | ".join(cells) + " |"
    yield "\n![Requests a second, as a part of the floor's](performance/served.png)\n"
    _, axes = plt.subplots(1, len(results), figsize=(4 * len(results), 4), sharey=True)
    for axis, (name, each) in zip(_listed(axes), results.items(), strict=True):
        for place, side in enumerate(("floor", "library", "ordinary")):
            rates = [
                each[kind][side]["a second"] / each[kind]["floor"]["a second"] for kind in kinds
            ]
            spots = [spot + (place - 1) * 0.27 for spot in range(len(kinds))]
            axis.bar(spots, rates, 0.27, label=side, color=COLORS[side])
        axis.set_title(name)
        axis.set_xticks(range(len(kinds)), kinds, rotation=40, ha="right")
        axis.grid(axis="y", alpha=0.3)
    _listed(axes)[0].set_ylabel("requests a second, floor = 1")
    _listed(axes)[0].legend()
    _save("served")


PROXY = """\
## Next to LiteLLM's proxy

The registry and the proxy each serve the same 100 models in OpenAI's format, from one process, to eight connections. The proxy keeps its
models and its API key in memory. The registry reads the user and the models from the database for each request. The proxy can also keep
models in a database, but this page doesn't measure that. The proxy then needs Prisma, which downloads its engine from a server of its own.

Other published figures measure something else. LiteLLM's benchmarks count the chats that its proxy forwards. Two instances, with four CPUs
each, together forward 1,036 chats a second. The proxy adds a median of 12 ms to a chat. The registry forwards no chats. For each chat, your
process calls `resolve` once, which takes {resolve} ms of CPU on PostgreSQL. xagent, where the contract of `POST /register` comes from,
publishes no figures for that route.
"""


def _proxy(results, resolve):
    if not results:
        return
    yield PROXY.format(resolve=resolve / 1000)
    yield "| measure | " + " | ".join(results) + " |"
    yield "|---|" + "---|" * len(results)
    for measure, units in next(iter(results.values())).items():
        for unit in units:
            cells = (f"{each[measure][unit]:,}" for each in results.values())
            yield f"| {measure}, {UNITS[unit]} | " + " | ".join(cells) + " |"
    yield ""


UNITS = {"a second": "requests a second", "p99 ms": "99 of 100 take less, in ms", "MiB": "MiB"}

GROWTH = """\
## How it grows

The databases hold 100,000 users and four grants for each model. One of the four is a grant to a group that sees all models. One model in a
hundred is shared. The tables compare the time of a request at the largest size with its time at the smallest size: 2.00 means twice as
long. The request gets ten models, gets one model, or registers one model. Times are medians of wall-clock time in interleaved rounds. At
1,000 models there are only 50 small groups, so the user in 500 groups finds models in only 50 of these groups. `tests/test_plans.py` bounds
the rows that each statement reads. MariaDB has a buffer pool of 2 GiB here. The default size of 128 MiB holds an eighth of a million
models, so MariaDB would read the rest again and again.
"""

EXCEPTION = """\
The ratios are at most {ratio}, except for the user in 500 groups, who sees more models at the largest size. The slowest page, look-up or
register of this user took {slowest:.0f} ms.
"""


def _growth(results):
    variants = {name: each for found in results.values() for name, each in found.items()}
    if not variants:
        return
    kinds = list(next(iter(next(iter(variants.values())).values())))
    in_many = "in 500 groups"
    independent = [
        (kind, found)
        for operations in variants.values()
        for operation, each in operations.items()
        if operation not in DEPENDS_ON_WHAT_IS_SEEN
        for kind, found in each.items()
    ]
    yield GROWTH
    yield EXCEPTION.format(
        ratio=max(found["ratio"] for kind, found in independent if kind != in_many),
        slowest=max(max(found["ms"].values()) for kind, found in independent if kind == in_many),
    )
    for name, operations in variants.items():
        sizes = [int(size) for size in operations["register"][kinds[0]]["ms"]]
        yield f"### {name}, {min(sizes):,} to {max(sizes):,} models\n"
        yield "| operation | " + " | ".join(kinds) + " |"
        yield "|---|" + "---|" * len(kinds)
        for operation, each in operations.items():
            if operation not in DEPENDS_ON_WHAT_IS_SEEN:
                cells = (f"{each[kind]['ratio']:.2f}" for kind in kinds)
                yield f"| {operation} | " + " | ".join(cells) + " |"
        file = name.replace(", ", "-").replace(" ", "-")
        yield f"\n![Milliseconds by the number of models](performance/growth-{file}.png)\n"
        _plot_growth(file, operations)
    first = [
        each["first page"][kind]["ms"][str(min(sizes))]
        for each in variants.values()
        for kind in kinds
    ]
    first = f"{min(first):.0f} to {max(first):.0f} ms"
    yield DEPENDING.format(first=first, smallest=f"{min(sizes):,}")
    yield "| operation | " + " | ".join(kinds) + " |"
    yield "|---|" + "---|" * len(kinds)
    for name, operations in variants.items():
        for operation in sorted(DEPENDS_ON_WHAT_IS_SEEN):
            each = operations[operation]
            cells = (_from_to(each[kind]["ms"]) for kind in kinds)
            yield f"| {name}: {operation} | " + " | ".join(cells) + " |"
    yield ""


DEPENDING = """\
### What depends on what the user sees

A page of a list is read with one SQL statement. The statement has a branch for each way in which a user can see a model. Each branch
follows an index in the order of ids and stops at the limit. On PostgreSQL, one `LATERAL` join reads the models that are granted to groups.
On the other databases, the statement has a branch for each of up to 64 groups, or of up to 8 if there are filters.

The requests below read more rows if the user sees more models. The table shows the milliseconds of a page of ten, or of a summary, at the
smallest and at the largest size. Compare these times with that of a first page, which took {first} at {smallest} models. Requests that take
longer than a second are timed once.

- A summary counts all models that the user sees. One model in a hundred is shared. So even the user who owns no models sees 10 of 1,000
  models, and 10,000 of 1,000,000 models.
- If few models match a filter or a search, the database reads on until it has found enough models for a page. Here, only one of five teams
  and five of fifty units have models of the category, so the models of the other teams and units are read to the end. A large group that
  has hardly any models that are switched on has the same effect.
- For a list that isn't sorted by `id`, the database sorts all models that the user sees. No index supports another order, because each
  write would have to update that index.
- On SQLite and MariaDB, if a user is in more than 64 groups, each page reads all models that are granted to these groups. With a filter,
  this already happens if the user is in more than 8 groups.
- For a list filtered by a `model_id`, the database can read each model with that `model_id` in the user's groups, if it expects few such
  models. Once the database has statistics, a look-up by a `model_id` reads a few rows, however many users have a model with that
  `model_id`.
"""


def _from_to(times):
    least, most = times[min(times, key=int)], times[max(times, key=int)]
    return f"{least:.0f} → {most:,.0f}"


def _plot_growth(file, operations):
    _, axes = plt.subplots(4, 4, figsize=(14, 12), sharex=True)
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


COLORS = {"floor": "#9aa5b1", "library": "#2f6f4f", "ordinary": "#d08c60"}


def _listed(axes):
    return [axes] if hasattr(axes, "plot") else list(axes)


def _save(name):
    plt.tight_layout()
    plt.savefig(DOCS / "performance" / f"{name}.png", dpi=80)
    plt.close()
