"""Explanations for the host's developer: why a reference leads a user to a model, or doesn't."""

import json

import pytest

from flask_model_registry.cli import new_key
from tests.conftest import traces
from tests.hosts import PREFIX, granted, register


@pytest.fixture
def explain(host):
    def explain(ref, name="alice"):
        with host.app.app_context():
            explanation = host.registry.explain(ref, user=host.load(name))
        assert traces([str(explanation), repr(explanation)]) == []
        return explanation

    return explain


@pytest.mark.parametrize("by", ["id", "model_id"])
def test_a_model_of_ones_own_resolves(host, explain, alice, by):
    (row_id,) = register(alice, "m")

    explanation = explain(row_id if by == "id" else "m")

    assert (explanation.id, explanation.model_id) == (row_id, "m")
    assert explanation.owner == str(host.user("alice"))
    assert explanation.relations == ("owner",)
    assert {*explanation.actions} == {"use", "edit", "delete", "share"}
    assert explanation.base_url == "https://api.openai.com/v1"
    assert explanation.key_id.startswith("test#")
    assert (explanation.same_model_id, explanation.problems) == ((), ())
    assert str(explanation).splitlines()[:2] == [f"ref: {explanation.ref!r}", f"id: {row_id}"]


def test_every_reason_for_seeing_a_model_is_explained(host, explain, admin, bob):
    (row_id,) = register(admin, "m", share_with_users=True)
    granted(admin, row_id, user=host.user("bob"), can_edit=True)
    granted(admin, row_id, group="group of bob", can_delete=True)

    explanation = explain("m", "bob")

    assert explanation.relations == (
        "shared with everyone",
        "granted to the user",
        "granted to a group of the user",
    )
    assert explanation.actions == ("use", "edit", "delete")


def test_a_missing_model_is_explained_unlike_a_hidden_one(explain, alice, bob):
    (row_id,) = register(alice, "m")

    unseen, by_id, absent = (explain(ref, "bob") for ref in ("m", row_id, "nothing"))

    assert unseen.id is None
    assert f"does not see model {row_id};" in unseen.problems[0]
    assert f"does not see model {row_id};" in by_id.problems[0]
    assert absent.problems == ("There is no such model; register it.",)


def test_an_impossible_reference_is_explained_as_missing(explain, alice):
    assert explain(0).problems == explain("-").problems == explain(2**70).problems
    assert "no such model" in str(explain("\x00"))


def test_a_nearer_model_of_the_same_name_is_explained(explain, alice, admin):
    (shared,) = register(admin, "m", share_with_users=True)
    (own,) = register(alice, "m")

    explanation = explain("m")

    assert explanation.id == own
    assert explanation.same_model_id == explanation.namesakes == (shared,)
    assert explain(shared).same_model_id == (own,)
    assert explain("m", "admin").same_model_id == ()


def test_an_inactive_model_is_passed_over(explain, alice, admin):
    (shared,) = register(admin, "m", share_with_users=True)
    (own,) = register(alice, "m")
    alice.patch(f"{PREFIX}/{own}", json={"is_active": False})

    explanation = explain("m")

    assert (explanation.id, explanation.same_model_id, explanation.problems) == (shared, (own,), ())


def test_everything_that_keeps_a_model_from_resolving_is_explained(host, explain, alice):
    (row_id,) = register(alice, "m", base_url="https://a.example.com/v1")
    alice.patch(f"{PREFIX}/{row_id}", json={"is_active": False})
    host.execute(host.registry.tables.models.update().values(ciphertext=b"broken"))

    inactive, unreadable = explain("m").problems

    assert "inactive" in inactive
    assert "can't be decrypted" in unreadable


def test_an_unknown_provider_is_explained(host, explain, alice):
    register(alice, "m")
    host.execute(host.registry.tables.models.update().values(model_provider="gone"))

    (problem,) = explain("m").problems

    assert "Give the model a base_url" in problem


def test_an_explanation_is_plain_values(explain, alice):
    register(alice, "m")

    assert json.dumps(vars(explain("m")))


def test_more_models_that_are_not_seen_than_fit_are_cut(host, explain):
    ids = [register(host.client(f"user {i}"), "m")[0] for i in range(12)]

    (problem,) = explain("m", "bob").problems

    assert f"does not see model {', '.join(map(str, ids[:10]))};" in problem


def test_text_written_in_sql_cannot_control_a_terminal(host, explain, alice):
    register(alice, "m")
    escape = "\x1b[2J\r"
    columns = {"model_provider": escape, "base_url": escape, "key_id": escape}
    host.execute(host.registry.tables.models.update().values(**columns))

    assert {"\x1b", "\r"} & {*str(explain("m"))} == set()


def test_a_missing_encryption_key_is_explained(hosts):
    host = hosts()
    register(host.client("alice"), "m")
    later = host.again(MODEL_REGISTRY_ENCRYPTION_KEYS=new_key("another"))

    with later.app.app_context():
        explanation = later.registry.explain("m", user=later.load("alice"))
    later.close()

    assert "not configured" in explanation.problems[0]
