"""What requests cost, in process, in interleaved rounds: the library, the floor, the ordinary stack.

Figures are microseconds of this process's CPU a request; the work of a database server is not in them.
"""

import json
import statistics
import time

from flask_model_registry import configure_sqlite

from . import floor, ordinary
from .host import User, body, call, create_app, db, registry, tokens

REPEAT = {"register": 10, "get-one": 20, "list-100": 5, "patch": 10, "summary": 10, "resolve": 40}
SIDES = {"library": "/api/models", "floor": "/floor", "ordinary": "/ordinary"}


class Bench:
    """An app with a hundred models of one user, and a second user who registers more."""

    def __init__(self, url, *, is_configured):
        self.app = app = create_app(url)
        app.register_blueprint(floor.blueprint, url_prefix="/floor")
        app.register_blueprint(ordinary.blueprint, url_prefix="/ordinary")
        with app.app_context():
            if is_configured:
                configure_sqlite(db.engine)
            db.create_all()
            db.session.add_all([User(id=1), User(id=2)])
            db.session.commit()
        self.tokens = tokens(app, (1, 2))
        self.number = 0
        for _ in range(100):
            self.register("/api/models", user=1)

    def call(self, method, path, *, status=200, user=1, query="", content=b""):
        told, answer = call(self.app, self.tokens[user], method, path, query=query, content=content)
        assert told == status, (method, path, told, answer)
        return answer

    def register(self, prefix, user=2):
        self.number += 1
        content = json.dumps(body(self.number)).encode()
        self.call("POST", f"{prefix}/register", status=201, user=user, content=content)

    def get(self, prefix):
        self.call("GET", f"{prefix}/50")

    def list(self, prefix):
        answer = self.call("GET", f"{prefix}/", query="limit=100" * ("api" in prefix))
        assert answer.count(b'"model_id"') == 100

    def patch(self, prefix):
        self.number += 1
        content = json.dumps({"description": f"changed {self.number}"}).encode()
        self.call("PATCH", f"{prefix}/51", content=content)

    def summary(self, prefix):
        assert json.loads(self.call("GET", f"{prefix}/summary"))["total"] == 100


def measure(job, side, repeat):
    start = time.process_time_ns()
    for _ in range(repeat):
        job(side)
    return (time.process_time_ns() - start) / 1000 / repeat


def compare(jobs, repeat, rounds):
    """Return the median of each side, and the median ratio of the library to each of the others."""
    taken = {side: [] for side in jobs}
    for side, job in jobs.items():  # nothing of what is made once counts
        measure(job, SIDES[side], 10)
    for _ in range(rounds):
        for side, job in jobs.items():
            taken[side].append(measure(job, SIDES[side], repeat))
    found = {side: round(statistics.median(each)) for side, each in taken.items()}
    for other in [side for side in jobs if side != "library"]:
        ratios = (a / b for a, b in zip(taken["library"], taken[other], strict=True))
        found[f"library/{other}"] = round(statistics.median(ratios), 2)
    return found


def run(name, url, rounds, *, is_configured=False):
    """Return the figures of each kind of request, on one database."""
    bench = Bench(url, is_configured=is_configured)
    jobs = {
        "register": bench.register,
        "get-one": bench.get,
        "list-100": bench.list,
        "patch": bench.patch,
        "summary": bench.summary,
    }
    found = {}
    for kind, job in jobs.items():
        found[kind] = compare(dict.fromkeys(SIDES, job), REPEAT[kind], rounds)
        print(name, kind, found[kind], flush=True)
    with bench.app.app_context():
        found["resolve"] = _resolve(bench, rounds)
        print(name, "resolve", found["resolve"], flush=True)
        db.session.remove()
        db.engine.dispose()
    return found


def _resolve(bench, rounds):
    user = db.session.get(User, 1)
    mine = registry._app_services[bench.app]
    by_hand = floor.Resolver(mine, mine.keys.credentials._secret_box, 1)
    assert by_hand("model-50")[1] == registry.resolve("model-50", user=user).api_key.reveal()
    jobs = {
        "library": lambda _side: registry.resolve("model-50", user=user),
        "floor": lambda _side: by_hand("model-50"),
    }
    return compare(jobs, REPEAT["resolve"], rounds)
