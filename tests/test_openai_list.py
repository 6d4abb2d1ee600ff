"""The list that OpenAI clients read: what each model_id leads to for the user who asks."""

import itertools
import time
from datetime import datetime, timezone

import pytest

from flask_model_registry import InactiveModelError, NotFoundError
from tests.accounts import add, create
from tests.hosts import PREFIX, model, register
from tests.upstream import served

LIST = f"{PREFIX}/v1/models"


@pytest.fixture
def address(host):
    """The address of the host, on a real socket."""
    with served(host.app) as port:
        yield f"http://127.0.0.1:{port}{PREFIX}"


def test_the_openai_sdk_lists_what_the_bearer_of_a_token_may_use(address, host, alice, bob):
    openai = pytest.importorskip("openai", reason="the SDK is not installed")
    register(alice, "mine", "mine/too")
    register(bob, "of-bob")

    with openai.OpenAI(base_url=f"{address}/v1", api_key=host.token("alice")) as client:
        listed = client.models.list().data

    assert [each.id for each in listed] == ["mine", "mine/too"]
    assert {(each.object, each.owned_by) for each in listed} == {("model", "openai")}
    visitor = openai.OpenAI(base_url=f"{address}/v1", api_key="invalid", max_retries=0)
    with visitor, pytest.raises(openai.AuthenticationError):
        visitor.models.list()


def test_the_answer_has_the_shape_of_openais(alice, monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Kathmandu")
    time.tzset()
    created = alice.post(f"{PREFIX}/", json=model(model_id="m")).json["created_at"]

    answer = alice.get(LIST).json

    (listed,) = answer.pop("data")
    assert answer == {"object": "list"}
    assert {**listed, "created": None} == {
        "id": "m",
        "object": "model",
        "created": None,
        "owned_by": "openai",
        "category": "llm",
    }
    assert isinstance(listed["created"], int)
    moment = datetime.fromtimestamp(listed["created"], timezone.utc)
    assert created.startswith(moment.strftime("%Y-%m-%dT%H:%M:%S"))
    monkeypatch.undo()
    time.tzset()


def test_it_is_in_the_order_of_ids(alice, admin):
    for number in range(4):
        register(alice, f"mine{number}")
        register(admin, f"shared{number}", share_with_users=True)
    expected = [each["model_id"] for each in alice.get(f"{PREFIX}/").json]

    assert [each["id"] for each in alice.get(LIST).json["data"]] == expected


ABSENT, ACTIVE, INACTIVE = STATES = ("-", "a", "i")
RELATIONS = ("owner", "everyone", "grantee", "group")


def arrange(host, by_relation):
    """Make models of these ids that bob has such relations to, active or not."""
    registry, session = host.registry, host.db.session
    bob = host.load("bob")
    # The farthest first, so that the nearest does not have the lowest id.
    for relation, models in reversed([*zip(RELATIONS, by_relation, strict=True)]):
        owner = bob if relation == "owner" else host.load(f"owner for {relation}")
        for model_id, state in models:
            if state == ABSENT:
                continue
            created = registry.create(
                user=owner,
                **model(
                    model_id=model_id,
                    model_name=f"of {relation}",
                    share_with_users=relation == "everyone",
                ),
            )
            if relation == "grantee":
                registry.grant(created["id"], to=bob, user=owner)
            if relation == "group":
                registry.grant(created["id"], group="group of bob", user=owner)
            if state == INACTIVE:
                registry.update(created["id"], user=owner, is_active=False)
    session.commit()


def test_it_lists_just_what_resolves(host):
    host.user("bob")
    for relation in RELATIONS[1:]:
        host.user(f"owner for {relation}", is_admin=True)
    combinations = ["".join(each) for each in itertools.product(STATES, repeat=4)]
    with host.app.app_context():
        arrange(
            host,
            [[(f"m{each}", each[place]) for each in combinations] for place in range(4)],
        )
        bob = host.load("bob")
        resolved = set()
        for each in combinations:
            try:
                found = host.registry.resolve(f"m{each}", user=bob)
            except (NotFoundError, InactiveModelError):
                continue
            resolved.add(found.model_id)
            relation = RELATIONS[each.index(ACTIVE)]  # the nearest of the active ones
            assert found.model_name == f"of {relation}"
            seen = host.registry.get(f"m{each}", user=bob)
            explained = host.registry.explain(f"m{each}", user=bob)
            assert seen["id"] == explained.id == found.id
    client = host.client("bob")

    listed = [each["id"] for each in client.get(LIST).json["data"]]
    gotten = {
        f"m{each}" for each in combinations if client.get(f"{LIST}/m{each}").status_code == 200
    }

    assert len(listed) == len({*listed})
    assert {*listed} == resolved == gotten
    assert {"maiii", "miiia"} <= resolved
    assert resolved == {f"m{each}" for each in combinations if ACTIVE in each}


def test_a_model_without_a_key_is_not_listed(alice):
    ids = register(alice, "a", "b")
    alice.delete(f"{PREFIX}/{ids[0]}/credential")

    assert [each["id"] for each in alice.get(LIST).json["data"]] == ["b"]
    assert [alice.get(f"{LIST}/{each}").status_code for each in "ab"] == [404, 200]


def test_a_credential_without_a_secret_does_not_count_as_a_key(host, alice, bob):
    accounts = {name: create(alice, name=name)["id"] for name in ("whole", "empty", "elsewhere")}
    of_bob = create(bob)["id"]
    for name, each in accounts.items():
        add(alice, each, name)
    (own,) = register(alice, "own")
    (foreign,) = register(alice, "foreign")
    models, credentials = host.registry.tables.models, host.registry.tables.credentials
    without_secret = {"ciphertext": None, "key_id": None}
    for name, columns in (("empty", {}), ("elsewhere", {"reference": "a"})):
        changed = credentials.update().where(credentials.c.id == accounts[name])
        host.execute(changed.values(**without_secret, **columns))
    host.execute(models.update().where(models.c.id == own).values(credential_id=accounts["empty"]))
    uses = {**without_secret, "credential_id": of_bob}
    host.execute(models.update().where(models.c.id == foreign).values(uses))

    listed = [each["id"] for each in alice.get(LIST).json["data"]]

    assert listed == ["whole", "elsewhere", "own"]
    statuses = [alice.get(f"{LIST}/{each}").status_code for each in (*listed, "empty", "foreign")]
    assert statuses == [200, 200, 200, 404, 404]
    assert "warning  2 models have no API key" in host.run("doctor")[0]


def test_without_groups_there_is_no_such_branch(hosts):
    host = hosts()
    register(host.client("alice"), "m")

    assert [each["id"] for each in host.client("alice").get(LIST).json["data"]] == ["m"]
