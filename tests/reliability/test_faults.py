"""Whatever call of the database fails in a request: nothing is lost, doubled or half done.

The answer is that of success, or 503 or 507 with ``Retry-After``; the next request works.
"""

import pytest
import sqlalchemy as sa

from tests.accounts import add, body, create
from tests.hosts import PREFIX, granted, model, register
from tests.reliability.faults import CUT, ERRORS, TABLES, UNCERTAIN, Faults, state


def arrange(host):
    """Make a model with all that can hang on it, and nothing else; return its id."""
    for table in reversed(TABLES):
        host.execute(sa.delete(getattr(host.registry.tables, table)))
    client = host.client("alice", is_admin=True)
    (row_id,) = register(client, "m", abilities=["chat"], share_with_users=True)
    granted(client, row_id, user=host.user("bob"), can_edit=True)
    granted(client, row_id, group="g")
    host.client("bob").put(f"{PREFIX}/defaults/general", json={"id": row_id})
    client.put(f"{PREFIX}/defaults/compact?scope=app", json={"id": row_id})
    host.account_id = create(client)["id"]
    host.of_it, _ = add(client, host.account_id, "a", "b")
    (host.own_id,) = register(client, "own")
    return row_id


TWO = [{"model_id": each, "model_name": each, "abilities": ["chat"]} for each in "xy"]
NEW, ELSEWHERE = {"api_key": "sk-new"}, "https://b.example.com/v1"
REQUESTS = {
    "register": ("POST", "/register", lambda _: model(model_id="n", abilities=["a", "b"])),
    "patch": ("PATCH", "/{id}", lambda _: {"description": "x", "model_name": "y"}),
    "un-share": ("PATCH", "/by-id/m", lambda _: {"share_with_users": False}),
    "put": ("PUT", "/{id}", lambda _: {**model(model_id="m"), "abilities": ["chat"],
                                       "share_with_users": True}),
    "delete": ("DELETE", "/{id}", None),
    "new key": ("PUT", "/{id}/credential", lambda _: {"api_key": "sk-new"}),
    "no key": ("DELETE", "/{id}/credential", None),
    "grant": ("PUT", "/{id}/grants/groups/h", lambda _: {"can_edit": True}),
    "revoke": ("DELETE", "/{id}/grants/users/{bob}", None),
    "transfer": ("POST", "/{id}/transfer", lambda host: {"user": str(host.user("bob"))}),
    "default": ("PUT", "/defaults/visual", lambda host: {"id": host.row_id}),
    "no default": ("DELETE", "/defaults/compact?scope=app", None),
    "new credential": ("POST", "/credentials", lambda _: body(name="other")),
    "of a model": ("POST", "/credentials", lambda host: {"name": "other", "from_model": host.own_id}),
    "bulk": ("POST", "/credentials/{account}/models", lambda _: {"models": TWO}),
    "attach": ("PUT", "/{own}/credential", lambda host: {"credential": host.account_id}),
    "detach": ("PATCH", "/by-id/a", lambda _: {"api_key": "sk-own"}),
    "take off": ("PATCH", "/by-id/a", lambda _: {"api_key": None}),
    "give away": ("POST", "/{of_it}/transfer", lambda host: {"user": str(host.user("bob")),
                                                            "without_key": True}),
    "move": ("PATCH", "/credentials/{account}", lambda _: {"base_url": ELSEWHERE, "secret": NEW}),
    "new secret": ("PUT", "/credentials/{account}/secret", lambda _: NEW),
    "new header": ("PATCH", "/credentials/{account}/secret", lambda _: {"headers": {"X-Team": "x"}}),
    "delete credential": ("DELETE", "/credentials/{account}?detach=true", None),
    "credentials": ("GET", "/credentials", None),
    "list": ("GET", "/", None),
    "get": ("GET", "/{id}", None),
    "summary": ("GET", "/summary", None),
    "for OpenAI": ("GET", "/v1/models", None),
    "defaults": ("GET", "/defaults", None),
}  # fmt: skip


def send(host, name):
    method, path, body = REQUESTS[name]
    path = path.format(
        id=host.row_id,
        bob=host.user("bob"),
        account=host.account_id,
        own=host.own_id,
        of_it=host.of_it,
    )
    json = body(host) if body else None
    return host.client("alice").open(PREFIX + path, method=method, json=json)


def by_meaning(database):
    """Return the errors of a driver by what they mean to a client."""
    found = {}
    for kind in ERRORS[database]:
        found.setdefault(kind.partition(":")[0], []).append(kind)
    return found


def cases(database, steps):
    """Return kinds and steps: each meaning at each step, and the errors that have it by turns.

    What a driver's error means is looked up in a list, whatever the step.
    """
    found = [
        (kinds[step % len(kinds)], step)
        for kinds in by_meaning(database).values()
        for step in range(1, len(steps) + 1)
    ]
    if database != "sqlite":  # which has no connection that could break
        found += [(CUT, step) for step in range(1, len(steps) + 1)]
    commits = [step for step, call in enumerate(steps, start=1) if call == "do_commit"]
    return found + [(UNCERTAIN, step) for step in commits]


def test_each_error_is_tried_in_many_requests():
    for database, errors in ERRORS.items():
        assert {kind for kind, _ in cases(database, range(3))} - {CUT} == {*errors}


@pytest.mark.forces_errors
@pytest.mark.parametrize("name", REQUESTS)
def test_a_failure_at_any_step_leaves_all_or_nothing(host, database, tally, name):
    with host.app.app_context():
        engine = host.db.engine
    faults = Faults(engine)
    host.row_id = arrange(host)
    before, rows = state(host), host.snapshot(TABLES)
    with faults.at(None):
        expected = send(host, name)
    after, steps = state(host), faults.count
    assert expected.status_code < 300
    tried, stored = 0, after

    for kind, step in cases(database.name, faults.steps):
        if stored != before:
            host.restore(rows)
        with faults.at(step, kind):
            answer = send(host, name)
        stored = state(host)
        told = (name, kind, step, faults.steps, answer.status_code)
        if not faults.has_failed or (kind == UNCERTAIN and faults.steps[step - 1] != "do_commit"):
            continue
        tried += 1
        is_done = answer.status_code == expected.status_code
        assert is_done or answer.status_code == (507 if kind == "full" else 503), told
        if not is_done:
            assert int(answer.headers["Retry-After"]) > 0, told
        if kind.startswith("transient") and step > 1:  # the first is the user loader's
            assert is_done, told
        if kind != UNCERTAIN:
            assert stored == (after if is_done else before), told
        else:
            assert stored in (after, before), told
        assert host.client("alice").get(f"{PREFIX}/").status_code == 200, told
        assert engine.pool.checkedout() == 0, told

    tally("faults", database.name, faults=tried)
    assert tried >= steps * len(by_meaning(database.name))


def test_a_row_count_is_checked_at_all(host):
    """The state that the tests compare tells a model that is there from one that is not."""
    host.row_id = arrange(host)
    before = state(host)
    host.execute(sa.delete(host.registry.tables.grants))

    assert state(host) != before
