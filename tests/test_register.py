"""POST /register: the published contract."""

import pytest

from flask_model_registry.schemas.responses import ModelRepresentation
from tests.hosts import PREFIX, model

EVERYTHING = {
    "model_id": "team/chat:8b@v1",
    "model_provider": "deepseek",
    "model_name": "Chat 8B – 模型",
    "category": "llm",
    "base_url": "https://llm.example.com:8443/v1",
    "temperature": 0.7,
    "abilities": ["chat", "tool_calling"],
    "description": "First line\n\tsecond line, with \U0001f600",
    "share_with_users": False,
}


def test_a_registered_model_has_the_seventeen_fields(alice):
    response = alice.post(f"{PREFIX}/register", json=model(**EVERYTHING))

    assert response.status_code == 201
    assert list(response.json) == list(ModelRepresentation().fields)
    assert len(response.json) == 17


def test_a_registered_model_holds_what_was_sent(alice):
    response = alice.post(f"{PREFIX}/register", json=model(**EVERYTHING))

    expected = {**EVERYTHING, "dimension": None, "is_active": True, "updated_at": None}
    expected |= {"is_owner": True, "can_edit": True, "can_delete": True, "is_shared": False}
    del expected["share_with_users"]
    assert expected.items() <= response.json.items()


def test_a_registered_model_is_valid_by_the_response_schema(alice):
    response = alice.post(f"{PREFIX}/register", json=model(**EVERYTHING))

    assert ModelRepresentation().validate(response.json) == {}
    assert response.json["created_at"].endswith("Z")


def test_fields_left_out_have_the_published_defaults(alice):
    response = alice.post(f"{PREFIX}/register", json=model())

    nothing = dict.fromkeys(["base_url", "temperature", "dimension", "abilities", "description"])
    assert nothing.items() <= response.json.items()
    assert response.json["category"] == "llm"
    assert response.json["is_shared"] is False


def test_the_answer_names_the_address_and_the_version(alice):
    response = alice.post(f"{PREFIX}/register", json=model())

    by_location = alice.get(response.headers["Location"])
    assert by_location.json == response.json
    assert by_location.headers["ETag"] == response.headers["ETag"]


@pytest.mark.parametrize("path", ["", "/", "/register", "/register/"])
def test_a_model_can_be_registered_with_and_without_a_slash(alice, path):
    response = alice.post(PREFIX + path, json=model())

    assert response.status_code == 201


def test_the_body_of_register_and_of_get_are_the_same_bytes(alice):
    created = alice.post(
        f"{PREFIX}/register",
        json=model(
            **EVERYTHING,
        )
        | {"temperature": 1},
    )

    assert alice.get(f"{PREFIX}/{created.json['id']}").data == created.data


def test_an_alias_of_a_provider_is_saved_as_its_id(alice):
    response = alice.post(f"{PREFIX}/register", json=model(model_provider="Claude"))

    assert response.json["model_provider"] == "anthropic"


def test_an_unknown_provider_is_taken_with_an_address(alice):
    body = model(model_provider="Acme", base_url="https://ai.acme.example/v1")

    assert alice.post(f"{PREFIX}/register", json=body).json["model_provider"] == "acme"


def test_an_id_of_the_users_own_model_is_a_conflict_and_changes_nothing(host, alice):
    alice.post(f"{PREFIX}/register", json=model(abilities=["chat"]))
    before = host.rows("models"), host.rows("abilities")

    response = alice.post(f"{PREFIX}/register", json=model(model_name="other", abilities=["x"]))

    assert response.status_code == 409
    assert response.json["type"].endswith(":model-id-taken")
    assert (host.rows("models"), host.rows("abilities")) == before


def test_an_id_taken_by_another_user_is_free(alice, bob):
    alice.post(f"{PREFIX}/register", json=model())

    assert bob.post(f"{PREFIX}/register", json=model()).status_code == 201


def test_ids_differ_by_case(alice):
    alice.post(f"{PREFIX}/register", json=model(model_id="gpt-4"))

    assert alice.post(f"{PREFIX}/register", json=model(model_id="GPT-4")).status_code == 201


def test_models_shared_with_everyone_have_unique_ids_among_themselves(host, admin):
    admin.post(f"{PREFIX}/register", json=model(share_with_users=True))
    other = host.client("other admin", is_admin=True)

    response = other.post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == 409
    assert "shared" in response.json["detail"]


def test_registering_a_shared_model_without_the_right_leaves_no_row(host, alice):
    response = alice.post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == 403
    assert host.rows("models") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "field",
    [
        "owner_id",
        "is_owner",
        "is_active",
        "is_shared",
        "version",
        "id",
        "created_at",
        "updated_at",
        "uuid",
        "can_edit",
        "can_delete",
        "user",
        "ciphertext",
        "key_id",
    ],
)
def test_fields_outside_the_contract_are_refused(host, alice, field):
    response = alice.post(f"{PREFIX}/register", json=model(**{field: 1}))

    assert response.status_code == 422
    assert {"field": field, "message": "Unknown field."} in response.json["errors"]
    assert host.rows("models") == []


def test_a_row_is_inserted_with_its_owner(host, alice):
    alice.post(f"{PREFIX}/register", json=model(abilities=["chat", "vision"]))

    (row,) = host.rows("models")
    assert row.owner_id == host.user("alice")
    assert {ability.ability for ability in host.rows("abilities")} == {"chat", "vision"}
