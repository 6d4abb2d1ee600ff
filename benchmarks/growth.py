"""Whether the cost of a page, a look-up and a register depends on how many models there are.

Wall-clock time of requests, in interleaved rounds over databases of several sizes, for users of
several kinds. On PostgreSQL, once with custom plans and once with the generic ones that it may take
after a few executions.
"""

import json
import statistics
import time
from contextlib import ExitStack, contextmanager

from flask_model_registry.schemas.filters import cursor

from .host import User, body, call, create_app, db, drop_database, empty_database, registry, tables
from .host import tokens as tokens_of
from .population import KINDS, SEE_EVERYTHING, Population

PLANS = {
    "postgresql": {
        f"postgresql, {mode} plans": {
            "connect_args": {
                "prepare_threshold": 0,
                "options": f"-c plan_cache_mode=force_{mode}_plan",
            }
        }
        for mode in ("custom", "generic")
    },
}
PAGE = 10  # models per page, the same at every size
BATCH = 3  # requests for one figure
SLOW, VERY_SLOW = 0.1, 1  # seconds; what takes longer has three rounds, or is timed once
DEPENDS_ON_WHAT_IS_SEEN = {
    "rare ability",
    "category",
    "summary",
    "search",
    "search without a match",
    "by model_id",
    "sorted by name",
    "last changed",
}


def run(name, sizes, rounds, folder):
    """Return the medians in milliseconds by variant, operation, kind of user and size."""
    found = {}
    with ExitStack() as stack:
        urls = {size: stack.enter_context(_filled(name, size, folder)) for size in sizes}
        for variant, options in PLANS.get(name, {name: {}}).items():
            apps = {size: Sized(url, size, options) for size, url in urls.items()}
            found[variant] = _measured(variant, apps, rounds)
            for each in apps.values():
                each.close()
    return found


@contextmanager
def _filled(name, size, folder):
    url = empty_database(name, f"growth_{size}", folder)
    app, start = create_app(url), time.monotonic()
    try:
        with app.app_context():
            db.create_all()
            Population(size).fill(registry._app_services[app].keys.credentials.key_id)
        print(f"{name}: {size} models in {time.monotonic() - start:.0f} s", flush=True)
        yield url
    finally:
        with app.app_context():
            db.engine.dispose()
        drop_database(name, f"growth_{size}")


class Sized:
    """The app on a database of one size, and where in it the users' models are."""

    def __init__(self, url, size, options):
        self.app = create_app(url, **options)
        self.size = size
        # The rows came from elsewhere: their keys are random bytes, but for those looked at here.
        registry._app_services[self.app].keys.are_checked = True
        self.tokens = tokens_of(self.app, KINDS.values())
        with self.app.app_context():
            self.targets = {user: self._target(user) for user in KINDS.values()}
            db.session.commit()
        self.number = time.time_ns()

    def _target(self, user):
        """Return the ids that pages begin after, and a model to look up, with a key that opens."""
        if user in SEE_EVERYTHING:
            ids = range(1, self.size + 1)
            target = db.session.get_one(Row, self.size // 2 + 8)  # an ordinary one
        else:
            shown = registry.list(user=db.session.get(User, user))
            ids = [each["id"] for each in shown]
            usual = [each["id"] for each in shown if each["category"] == "llm"]
            target = db.session.get_one(Row, usual[len(usual) // 2])
        # The same model_id may lead to a nearer one.
        found = registry.get(target.model_id, user=db.session.get(User, user))
        owner = db.session.get(User, db.session.get_one(Row, found["id"]).owner_id)
        registry.update(found["id"], user=owner, api_key="sk-benchmark-0123456789")
        return {
            "middle": ids[len(ids) // 2],
            "last": ids[-PAGE - 1] if len(ids) > PAGE else None,
            "id": target.id,
            "model_id": target.model_id,
        }

    def close(self):
        with self.app.app_context():
            db.session.remove()
            db.engine.dispose()

    def get(self, user, path, query=""):
        status, answer = call(self.app, self.tokens[user], "GET", f"/api/models{path}", query=query)
        assert status == 200, (status, path, query, answer)
        return answer

    def page(self, user, *, after=None, query=""):
        query = f"limit={PAGE}{query}"
        if after and self.targets[user][after]:
            query += f"&after={cursor('id', self.targets[user][after])}"
        return self.get(user, "/", query)

    def register(self, user):
        self.number += 1
        status, answer = call(
            self.app, self.tokens[user], "POST", "/api/models/register",
            content=json.dumps(body(self.number)).encode(),
        )  # fmt: skip
        assert status == 201, answer

    def resolve(self, user):
        with self.app.app_context():
            registry.resolve(self.targets[user]["model_id"], user=db.session.get(User, user))


class Row(db.Model):
    __table__ = tables.models


OPERATIONS = {
    "first page": lambda sized, user: sized.page(user),
    "middle page": lambda sized, user: sized.page(user, after="middle"),
    "last page": lambda sized, user: sized.page(user, after="last"),
    "newest page": lambda sized, user: sized.page(user, query="&sort=-id"),
    "look-up by id": lambda sized, user: sized.get(user, f"/{sized.targets[user]['id']}"),
    "look-up by model_id": lambda sized, user: sized.get(
        user, f"/by-id/{sized.targets[user]['model_id']}"
    ),
    "resolve": lambda sized, user: sized.resolve(user),
    "register": lambda sized, user: sized.register(user),
    "rare ability": lambda sized, user: sized.page(user, query="&ability=rare"),
    "category": lambda sized, user: sized.page(user, query="&category=embedding"),
    "summary": lambda sized, user: sized.get(user, "/summary"),
    "search": lambda sized, user: sized.page(user, query="&q=many+models"),
    "search without a match": lambda sized, user: sized.page(user, query="&q=absent+word"),
    "by model_id": lambda sized, user: sized.page(
        user, query=f"&model_id={sized.targets[user]['model_id']}"
    ),
    "sorted by name": lambda sized, user: sized.page(user, query="&sort=model_id"),
    "last changed": lambda sized, user: sized.page(user, query="&sort=-updated_at"),
}


def _measured(variant, apps, rounds):
    found = {}
    for operation, do in OPERATIONS.items():
        found[operation] = {}
        for kind, user in KINDS.items():
            taken = {size: [] for size in apps}
            first = {size: _time(do, sized, user, 1) for size, sized in apps.items()}
            if max(first.values()) > VERY_SLOW:
                taken = {size: [seconds] for size, seconds in first.items()}
            else:  # the first of each also made what is made once
                is_slow = any(_time(do, sized, user, 1) > SLOW for sized in apps.values())
                for _ in range(3 if is_slow else rounds):
                    for size, sized in apps.items():
                        taken[size].append(_time(do, sized, user, 1 if is_slow else BATCH))
            medians = {size: statistics.median(each) * 1000 for size, each in taken.items()}
            least = taken[min(apps)]
            ratio = statistics.median(a / b for a, b in zip(taken[max(apps)], least, strict=True))
            found[operation][kind] = {
                "ms": {size: round(each, 2) for size, each in medians.items()},
                "ratio": round(ratio, 2),
            }
        ratios = {kind: each["ratio"] for kind, each in found[operation].items()}
        print(variant, operation, ratios, flush=True)
    return found


def _time(do, sized, user, count):
    start = time.perf_counter()
    for _ in range(count):
        do(sized, user)
    return (time.perf_counter() - start) / count
