"""What SQL wrote into columns of JSON: shown as empty, named by `doctor`, and never called with."""

import json

import pytest
import sqlalchemy as sa

from flask_model_registry import ConflictError
from flask_model_registry.db.columns import UnreadableDict, UnreadableList
from tests.accounts import ACCOUNTS, add, create, resolved
from tests.hosts import PREFIX, granted, register

NO_JSON = ["", "{", "x", "'", "[" * 100_000, b"\xff"]
OF_MODELS = ("abilities", "parameters", "info")
EMPTY = {"abilities": [], "parameters": {}, "info": {}, "settings": {}}
# JSON that the registry doesn't write there.
OTHERS = {
    "abilities": [7, "chat", {}, [1], [["chat"]], {"chat": True}, True],
    "parameters": [7, "x", ["x"], True],
    "info": [7, "x", [], True],
    "settings": [7, "x", [], None, {"organization": 7}, {"organization": None}],
}


def write(host, name, stored, *, is_text):
    """Write to a column of all rows, past the type of the column."""
    tables = host.registry.tables
    table = tables.credentials if name == "settings" else tables.models
    if is_text:
        statement = sa.text(f"UPDATE {table.name} SET {name} = :it").bindparams(it=stored)
    else:
        statement = table.update().values({name: sa.JSON.NULL if stored is None else stored})
    host.execute(statement)


@pytest.fixture
def models(host, alice):
    """A model with an API key of its own, and one that uses a credential."""
    key, account = "key", create(alice, settings={"organization": "org"})
    (row_id,) = register(alice, key, abilities=["chat"])
    add(alice, account["id"], "account", abilities=["chat"])
    parameters = {"parameters": {"seed": 1}, "info": {"price": 1}}
    assert alice.put(f"{PREFIX}/{row_id}/parameters", json=parameters).status_code == 200
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    return row_id, account["id"]


def check(host, client, models, name, path):
    """Check that everything works but what calls the models."""
    row_id, account_id = models
    bob = host.client("bob")
    affected = "account" if name == "settings" else "key"
    model, account = f"/{row_id}", f"/credentials/{account_id}"
    urls = ["/", "/details", model, f"{model}/details", f"{model}/parameters", "/by-id/key"]
    urls += ["/?sort=model_id&q=key", "/v1/models", "/summary", "/defaults", f"{model}/credential"]
    urls += ["/credentials", account, f"{account}/secret"]
    for reader in (client, bob):
        found = [reader.get(f"{PREFIX}{url}").status_code for url in urls]
        assert {*found} <= ({200} if reader is client else {200, 404}), found

    shown = client.get(f"{PREFIX}/{row_id}/details").json
    assert shown["model"]["abilities"] == ([] if name == "abilities" else ["chat"])
    assert {each: shown[each] for each in ("parameters", "info")} == {
        each: {} if each == name else kept
        for each, kept in (("parameters", {"seed": 1}), ("info", {"price": 1}))
    }
    listed = client.get(f"{PREFIX}/?model_id=key").json
    assert listed == [shown["model"]]
    settings = client.get(f"{ACCOUNTS}/{account_id}").json["settings"]
    assert settings == ({} if name == "settings" else {"organization": "org"})

    for reader in ("alice", "bob") if affected == "key" else ("alice",):
        with pytest.raises(ConflictError, match=name):
            resolved(host, affected, reader)
    with host.app.app_context():
        assert name in str(host.registry.explain(affected, user=host.load("alice")).problems)
    affected_id = client.get(f"{PREFIX}/by-id/{affected}").json["id"]
    tested = client.post(f"{PREFIX}/{affected_id}/test")
    assert (tested.status_code, name in tested.text) == (409, True)
    (of_both,) = [line for line in host.run("doctor")[0].splitlines() if "can't be read" in line]
    assert f"the {name} of " in of_both
    assert of_both.startswith("error")
    assert host.run("doctor")[1] == 1
    output, status = host.run("export", "--output", str(path))
    assert (status, "The stored " + name in output) == (1, True)
    written = [*map(json.loads, path.read_text().splitlines())]
    assert len(written) == 3
    assert all(each[name] == EMPTY[name] for each in written if name in each)


@pytest.mark.sampled(1)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("name", EMPTY)
def test_what_is_no_json_is_shown_as_empty_and_not_called_with(host, alice, models, tmp_path, name):
    for number, stored in enumerate(NO_JSON):
        write(host, name, stored, is_text=True)

        check(host, alice, models, name, tmp_path / f"{number}.jsonl")


@pytest.mark.sampled(1)
@pytest.mark.parametrize("name", EMPTY)
def test_other_json_is_shown_as_empty_and_not_called_with(host, alice, models, tmp_path, name):
    for number, stored in enumerate(OTHERS[name]):
        write(host, name, stored, is_text=False)

        check(host, alice, models, name, tmp_path / f"{number}.jsonl")


RESTORED = {
    "abilities": ("PATCH", "/{}", {"abilities": ["chat"]}),
    "parameters": ("PUT", "/{}/parameters", {"parameters": {}, "info": {"price": 1}}),
    "info": ("PUT", "/{}/parameters", {"parameters": {"seed": 1}, "info": {}}),
    "settings": ("PATCH", "/credentials/{}", {"settings": {"organization": "org"}}),
}


@pytest.mark.parametrize("name", EMPTY)
def test_a_change_of_something_else_leaves_it_and_one_of_it_restores_it(host, alice, models, name):
    row_id, account_id = models
    method, path, fields = RESTORED[name]
    url = PREFIX + path.format(account_id if name == "settings" else row_id)
    affected = "account" if name == "settings" else "key"
    for number, stored in enumerate(OTHERS[name]):
        write(host, name, stored, is_text=False)

        about = {"description": f"new {number}"}
        assert alice.patch(f"{PREFIX}/{row_id}", json=about).status_code == 200
        renamed = alice.patch(f"{ACCOUNTS}/{account_id}", json={"name": f"new {number}"})
        assert renamed.status_code == 200
        granted(alice, row_id, user=host.user("carol"))
        with pytest.raises(ConflictError, match=name):
            resolved(host, affected)
        answer = alice.open(url, method=method, json=fields)

        assert answer.status_code == 200, answer.text
        assert resolved(host, affected).model_id == affected
        abilities = {row.ability for row in host.rows("abilities") if row.model_row_id == row_id}
        assert abilities == {"chat"}


@pytest.mark.parametrize("kind", [UnreadableList, UnreadableDict])
def test_what_cannot_be_read_equals_itself_only(kind):
    value = kind()

    assert value in [value]
    assert kind.__mro__[2]() not in [value]  # an ordinary empty one
    assert kind() not in [value]


@pytest.mark.parametrize("name", EMPTY)
def test_such_a_default_is_passed_over_and_its_model_can_be_given_away(host, alice, models, name):
    affected = "account" if name == "settings" else "key"
    with host.app.app_context():
        host.registry.set_default("general", affected, user=host.load("alice"))
        host.db.session.commit()
    write(host, name, OTHERS[name][0], is_text=False)

    assert alice.get(f"{PREFIX}/defaults").json == []
    with host.app.app_context():
        host.registry.user_deleted(host.load("alice"), transfer_to=host.load("bob"))
        host.db.session.commit()
    assert len(host.client("bob").get(f"{PREFIX}/?is_active=all").json) == 2
