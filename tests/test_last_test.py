"""The last test of a saved model is kept in its row, until the model or its key changes."""

import pytest
import sqlalchemy as sa

from flask_model_registry import signals
from tests.accounts import ACCOUNTS, add, attach, create
from tests.hosts import CANARY, PREFIX, granted, register
from tests.reliability.faults import ERRORS, Faults
from tests.upstream import LISTING, Upstream, answers

LISTS = answers(LISTING)


@pytest.fixture
def serve():
    started = []

    def serve(handler=LISTS):
        started.append(Upstream(handler))
        return f"http://localhost:{started[-1].port}/v1"

    yield serve
    for upstream in started:
        upstream.close()


def test(client, row_id):
    return client.post(f"{PREFIX}/{row_id}/test")


test.__test__ = False


def row_of(host, row_id):
    models = host.registry.tables.models
    with host.app.app_context():
        return dict(
            host.db.session.execute(sa.select(models).where(models.c.id == row_id)).mappings().one()
        )


def kept(host, row_id):
    row = row_of(host, row_id)
    return row["test_result"], row["test_latency_ms"], row["tested_at"]


NOTHING = (None, None, None)


def test_a_test_is_kept_and_changes_nothing_else(host, alice, serve):
    (row_id,) = register(alice, "m", base_url=serve())
    before, tag = row_of(host, row_id), alice.get(f"{PREFIX}/{row_id}").headers["ETag"]
    told = []

    def hear(app, **facts):
        told.append(facts["event"])

    with signals.updated.connected_to(hear):
        answer = test(alice, row_id).json

    after = row_of(host, row_id)
    result, latency_ms, at = kept(host, row_id)
    assert (result, latency_ms) == ("ok", answer["latency_ms"])
    assert at >= before["created_at"]
    of_test = {"test_result", "test_latency_ms", "tested_at"}
    assert {name for name in after if after[name] != before[name]} <= of_test
    assert alice.get(f"{PREFIX}/{row_id}").headers["ETag"] == tag
    assert told == []


def test_the_next_test_takes_the_place_of_the_last(host, alice, bob, serve):
    statuses = iter(["200 OK", "200 OK", "401 No"])
    url = serve(lambda *both: answers(LISTING, status=next(statuses))(*both))
    (row_id,) = register(alice, "m", base_url=url)
    granted(alice, row_id, user=host.user("bob"))

    test(alice, row_id)
    first = kept(host, row_id)
    answer = test(bob, row_id).json

    assert (first[0], answer["result"]) == ("ok", "auth_failed")
    assert kept(host, row_id)[:2] == ("auth_failed", None)
    assert kept(host, row_id)[2] > first[2]


CHANGES = {
    "provider": ("PATCH", "", lambda url: {"model_provider": "vllm", "api_key": CANARY}),
    "path": ("PATCH", "", lambda url: {"base_url": f"{url}/more"}),
    "name": ("PATCH", "", lambda url: {"model_name": "other"}),
    "key": ("PATCH", "", lambda url: {"api_key": f"{CANARY}-new"}),
    "no key": ("PATCH", "", lambda url: {"api_key": None}),
    "key by its route": ("PUT", "/credential", lambda url: {"api_key": f"{CANARY}-new"}),
    "no key by its route": ("DELETE", "/credential", lambda url: None),
    "owner": ("POST", "/transfer", None),
    "category": ("PATCH", "", lambda url: {"category": "rerank"}),
    "parameters": ("PUT", "/parameters", lambda url: {"parameters": {"seed": 1}, "info": {}}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changing_the_tested_model_clears_the_test(host, alice, serve, name):
    url, bob = serve(), host.user("bob")
    (row_id,) = register(alice, "m", base_url=url)
    test(alice, row_id)
    assert kept(host, row_id)[0] == "ok"

    method, path, fields = CHANGES[name]
    sent = {"user": str(bob)} if fields is None else fields(url)
    answer = alice.open(f"{PREFIX}/{row_id}{path}", method=method, json=sent)

    assert answer.status_code < 300, answer.text
    assert kept(host, row_id) == NOTHING


@pytest.mark.parametrize(
    "fields", [{"description": "x"}, {"is_active": False}, {"temperature": 0.5}], ids=str
)
def test_any_other_change_keeps_the_test(host, alice, serve, fields):
    (row_id,) = register(alice, "m", base_url=serve())
    test(alice, row_id)
    before = kept(host, row_id)

    alice.patch(f"{PREFIX}/{row_id}", json=fields)

    assert kept(host, row_id) == before != NOTHING


@pytest.mark.parametrize("parameters", [{}, {"seed": 1}], ids=str)
def test_changing_facts_about_a_model_keeps_the_test(host, alice, serve, parameters):
    (row_id,) = register(alice, "m", base_url=serve())
    path = f"{PREFIX}/{row_id}/parameters"
    alice.put(path, json={"parameters": parameters, "info": {}})
    test(alice, row_id)
    before = kept(host, row_id)

    alice.put(path, json={"parameters": parameters, "info": {"price": 1}})

    assert kept(host, row_id) == before != NOTHING


def test_attaching_and_detaching_clear_the_test(host, alice, serve):
    url = serve()
    (row_id,) = register(alice, "m", model_provider="vllm", base_url=url)
    account = create(alice, model_provider="vllm", base_url=url)
    other = create(alice, name="other", model_provider="vllm", base_url=url)
    steps = [
        lambda: attach(alice, row_id, account["id"]),
        lambda: attach(alice, row_id, other["id"]),
        lambda: alice.delete(f"{ACCOUNTS}/{other['id']}?detach=true"),
        lambda: alice.put(f"{PREFIX}/{row_id}/credential", json={"api_key": CANARY}),
        lambda: alice.post(ACCOUNTS, json={"name": "third", "from_model": row_id}),
    ]
    for step in steps:
        test(alice, row_id)

        assert step().status_code < 300
        assert kept(host, row_id) == NOTHING


def test_a_credential_that_moves_clears_the_tests_of_its_models(host, alice, serve):
    url = serve()
    account = create(alice, model_provider="vllm", base_url=url)
    here, there = (
        add(alice, account["id"], "m"),
        add(alice, account["id"], "n", base_url=f"{url}/n"),
    )
    for row_id in (*here, *there):
        test(alice, row_id)

    moved = alice.patch(f"{ACCOUNTS}/{account['id']}", json={"base_url": f"{url}/v2"})

    assert moved.status_code == 200
    assert kept(host, *here) == NOTHING
    assert kept(host, *there) != NOTHING  # which stayed at its own path


def test_a_change_of_settings_forgets_the_tests_of_all_models_of_a_credential(host, alice, serve):
    url = serve()
    changed, other = (
        create(alice, name=name, model_provider="openai", base_url=url) for name in "ab"
    )
    here = add(alice, changed["id"], "m")
    here += add(alice, changed["id"], "n", base_url=f"{url}/n")
    there = add(alice, other["id"], "o") + register(alice, "p", base_url=url)
    tags = [alice.get(f"{PREFIX}/{row_id}").headers["ETag"] for row_id in here]
    for row_id in (*here, *there):
        test(alice, row_id)

    path = f"{ACCOUNTS}/{changed['id']}"
    for fields in ({"name": "c"}, {"expires_at": "2099-01-01T00:00:00Z"}, {"settings": {}}):
        assert alice.patch(path, json=fields).status_code == 200
        assert all(kept(host, row_id) != NOTHING for row_id in here), fields
    assert alice.patch(path, json={"settings": {"organization": "org-1"}}).status_code == 200

    assert [kept(host, row_id) for row_id in here] == [NOTHING, NOTHING]
    assert all(kept(host, row_id) != NOTHING for row_id in there)
    assert [alice.get(f"{PREFIX}/{row_id}").headers["ETag"] for row_id in here] == tags
    assert alice.get(f"{PREFIX}/{here[0]}/details").json["test"] is None


def test_settings_that_changed_during_a_test_keep_none(host, alice, serve):
    def changes(upstream, connection):
        if not changed:
            settings = {"settings": {"organization": "org-1"}}
            path = f"{ACCOUNTS}/{account['id']}"
            changed.append(host.client("alice").patch(path, json=settings))
        answers(LISTING)(upstream, connection)

    changed, url = [], serve(changes)
    account = create(alice, model_provider="openai", base_url=url)
    (row_id,) = add(alice, account["id"], "m")

    answer = test(alice, row_id)

    assert [each.status_code for each in changed] == [200]
    assert answer.status_code == 200
    assert kept(host, row_id) == NOTHING
    test(alice, row_id)
    assert kept(host, row_id)[0] == answer.json["result"]


def test_a_test_of_a_secret_that_was_replaced_meanwhile_is_older_than_the_new_one(
    host, alice, serve
):
    def replaces(upstream, connection):
        if not replaced:
            path = f"{ACCOUNTS}/{account['id']}/secret"
            replaced.append(host.client("alice").put(path, json={"api_key": f"{CANARY}-new"}))
        answers(LISTING)(upstream, connection)

    replaced, url = [], serve(replaces)
    account = create(alice, model_provider="vllm", base_url=url)
    (row_id,) = add(alice, account["id"], "m")

    test(alice, row_id)

    assert [each.status_code for each in replaced] == [204]
    credentials = host.registry.tables.credentials
    with host.app.app_context():
        (changed_at,) = host.db.session.scalars(sa.select(credentials.c.secret_updated_at))
    assert kept(host, row_id)[2] < changed_at


def test_a_model_that_changed_during_its_test_keeps_none(host, alice, serve):
    def changes(upstream, connection):
        if not changed:
            path = f"{PREFIX}/{row_id}"
            changed.append(host.client("alice").patch(path, json={"model_name": "other"}))
        answers(LISTING)(upstream, connection)

    changed = []
    (row_id,) = register(alice, "m", base_url=serve(changes))

    answer = test(alice, row_id)

    assert [each.status_code for each in changed] == [200]
    assert (answer.status_code, answer.json["result"]) == (200, "ok")
    assert kept(host, row_id) == NOTHING
    assert row_of(host, row_id)["model_name"] == "other"


def test_a_model_that_is_gone_after_its_test_stays_gone(host, alice, serve):
    def deletes(upstream, connection):
        host.client("alice").delete(f"{PREFIX}/{row_id}")
        answers(LISTING)(upstream, connection)

    (row_id,) = register(alice, "m", base_url=serve(deletes))

    assert test(alice, row_id).json["result"] == "ok"
    assert host.rows("models") == []


@pytest.mark.databases("postgresql", "mariadb")
def test_keeping_a_test_does_not_wait_for_a_locked_row(host, alice, serve):
    (row_id,) = register(alice, "m", base_url=serve())
    models = host.registry.tables.models
    with host.app.app_context(), host.db.engine.connect() as other, other.begin():
        other.execute(sa.select(models).where(models.c.id == row_id).with_for_update())
        answer = test(alice, row_id)

    assert answer.json["result"] == "ok"
    assert kept(host, row_id) == NOTHING


@pytest.mark.forces_errors
def test_a_result_that_cannot_be_kept_is_still_returned(host, database, alice, serve, caplog):
    (row_id,) = register(alice, "m", base_url=serve())
    with host.app.app_context():
        faults = Faults(host.db.engine)
    with faults.at(None):
        usual = test(alice, row_id).json
    steps = faults.count
    host.execute(host.registry.tables.models.update().values(test_result=None, tested_at=None))

    def first_of_keeping():
        """Return the first step after the commit that ends the look-up."""
        return faults.steps.index("do_commit") + 2

    first = first_of_keeping()
    for fault in ERRORS[database.name]:
        for step in range(first, steps + 1):
            caplog.clear()
            with faults.at(step, fault):
                answer = test(alice, row_id)

            assert faults.has_failed
            assert (answer.status_code, answer.json["result"]) == (200, usual["result"]), fault
            kinds = [getattr(each, "model_registry_kind", None) for each in caplog.records]
            assert kinds.count("test-not-kept") == 1, (fault, step)

    test(alice, row_id)
    assert kept(host, row_id)[0] == "ok"


@pytest.mark.forces_errors
@pytest.mark.databases("postgresql")
def test_a_standby_answers_tests(hosts, serve):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    alice = host.client("alice")
    (row_id,) = register(alice, "m", base_url=serve())
    with host.app.app_context():
        sa.event.listen(
            host.db.engine,
            "begin",
            lambda connection: connection.exec_driver_sql("SET TRANSACTION READ ONLY"),
        )

    answer = test(alice, row_id)

    assert (answer.status_code, answer.json["result"]) == (200, "ok")
    assert kept(host, row_id) == NOTHING


def test_tests_of_unsaved_models_and_credentials_keep_nothing(host, alice, serve):
    url = serve()
    account = create(alice, model_provider="vllm", base_url=url)
    (row_id,) = add(alice, account["id"], "m")
    before = host.rows("credentials"), row_of(host, row_id)

    alice.post(f"{ACCOUNTS}/{account['id']}/test", json={"model_name": "m"})

    assert (host.rows("credentials"), row_of(host, row_id)) == before
