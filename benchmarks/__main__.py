"""Run the benchmarks, and write what they found to ``docs/performance``."""

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

import click

from . import cost, growth, proxy, report, served, startup
from .host import DATABASES, answers, drop_database, empty_database

RESULTS = Path(__file__).parent / "results"
PARTS = ("cost", "served", "proxy", "growth", "startup")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice([*PARTS, "report"]))
@click.option("--database", "names", multiple=True, type=click.Choice([*DATABASES]))
@click.option("--rounds", default=30, show_default=True, help="How often each figure is taken.")
@click.option("--sizes", default="1000,10000,100000,1000000", show_default=True, help="Of growth.")
@click.option(
    "--seconds", default=10, show_default=True, help="Of load, for each figure of served."
)
def main(parts, names, rounds, sizes, seconds):
    """Run PARTS, or all of them, on the databases that answer."""
    names = [name for name in names or DATABASES if answers(name)]
    print(f"on {', '.join(names)}")
    RESULTS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="model-registry-bench-") as folder:
        for part in parts or (*PARTS, "report"):
            if part == "startup":
                save(part, startup.run(rounds))
            elif part == "report":
                report.write(RESULTS)
            else:
                for name in names:
                    run_part(part, name, Path(folder), rounds, sizes, seconds)


def run_part(part, name, folder, rounds, sizes, seconds):
    if part == "proxy":
        if not proxy.LITELLM.exists():
            print("LiteLLM's proxy is not there: `make .venv-servers/done` installs it")
            return
        with emptied(name, part, folder) as url:
            save(f"proxy-{name}", proxy.run(name, url, seconds, folder))
        return
    if part == "growth":
        save(f"growth-{name}", growth.run(name, [*map(int, sizes.split(","))], rounds, folder))
        return
    for is_configured in (False, True) if name == "sqlite" else (False,):
        label = f"{name} with configure_sqlite" if is_configured else name
        run, amount = (served.run, seconds) if part == "served" else (cost.run, rounds)
        with emptied(name, part, folder) as url:
            found = run(label, url, amount, is_configured=is_configured)
        save(f"{part}-{label.replace(' ', '-')}", found)


@contextmanager
def emptied(name, word, folder):
    yield empty_database(name, word, folder)
    drop_database(name, word)


def save(name, found):
    text = json.dumps({"machine": report.machine(), "found": found}, indent=1)
    (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


main()
