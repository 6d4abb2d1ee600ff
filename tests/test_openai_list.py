"""The list that OpenAI clients read: what a model_id leads to, for whoever asks."""

import itertools
import threading
import time
from datetime import datetime, timezone

import pytest
import waitress

from flask_model_registry import InactiveModelError, NotFoundError
from tests.hosts import PREFIX, model, register

LIST = f"{PREFIX}/v1/models"


@pytest.fixture
def served(host):
    """The address of the host, on a real socket."""
    server = waitress.create_server(host.app, host="127.0.0.1", port=0, threads=2)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}{PREFIX}"
    server.close()
    thread.join(10)


def test_the_openai_sdk_lists_what_the_bearer_of_a_token_may_use(served, host, alice, bob):
    openai = pytest.importorskip("openai", reason="the SDK is not installed")
    register(alice, "mine", "mine/too")
    register(bob, "of-bob")

    with openai.OpenAI(base_url=f"{served}/v1", api_key=host.token("alice")) as client:
        listed = client.models.list().data

    assert [each.id for each in listed] == ["mine", "mine/too"]
    assert {(each.object, each.owned_by) for each in listed} == {("model", "openai")}
    nobody = openai.OpenAI(base_url=f"{served}/v1", api_key="nobody", max_retries=0)
    with nobody, pytest.raises(openai.AuthenticationError):
        nobody.models.list()


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
RELATIONS = ("owner", "grantee", "group", "everyone")


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
                user=owner, **model(model_id=model_id, share_with_users=relation == "everyone")
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
                resolved.add(host.registry.resolve(f"m{each}", user=bob).model_id)
            except (NotFoundError, InactiveModelError):
                continue

    listed = [each["id"] for each in host.client("bob").get(LIST).json["data"]]

    assert len(listed) == len({*listed})
    assert {*listed} == resolved
    assert "maiii" in resolved
    assert "miaaa" not in resolved
    assert len(resolved) == 27 + 9 + 3 + 1  # the nearest that is there is active


def test_what_has_no_key_cannot_be_used(alice):
    ids = register(alice, "a", "b")
    alice.delete(f"{PREFIX}/{ids[0]}/credential")

    assert [each["id"] for each in alice.get(LIST).json["data"]] == ["b"]


def test_without_groups_there_is_no_such_branch(hosts):
    host = hosts()
    register(host.client("alice"), "m")

    assert [each["id"] for each in host.client("alice").get(LIST).json["data"]] == ["m"]
