"""The parameters sent with each call to a model, and facts about the model."""

import json

import pytest

from flask_model_registry import ForbiddenError, NotFoundError, ValidationError, signals
from flask_model_registry.schemas.parameters import (
    CALLER_PARAMETERS,
    CLIENT_PARAMETERS,
    MAX_BYTES,
    MAX_LEVELS,
    SECRETS,
)
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, granted, register

BOTH = {
    "parameters": {
        "max_tokens": 256, "top_p": 0.5, "stop": ["\n\n", "für \U0001f600"], "logit_bias": {"50256": -100},
        "seed": 2**63 - 1, "logprobs": True, "user": None, "nothing": {}, "none": [], "small": 1e-300,
        "response_format": {"type": "json_schema", "schema": {"properties": {"password": {"type": "string"}}}},
    },
    "info": {"context_window": 128_000, "price": {"input": 2.5, "output": 10}, "tags": ["eu", "model"]},
}  # fmt: skip
EMPTY = {"parameters": {}, "info": {}}


def nested(levels):
    value = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def put(client, row_id, body, **headers):
    return client.put(f"{PREFIX}/{row_id}/parameters", json=body, headers=headers)


def test_they_are_stored_and_returned_as_they_were_sent(host, alice):
    (row_id,) = register(alice, "m")
    before = alice.get(f"{PREFIX}/{row_id}/parameters")
    changed = put(alice, row_id, BOTH)
    after = alice.get(f"{PREFIX}/{row_id}/parameters")

    assert (before.status_code, before.json) == (200, EMPTY)
    assert (changed.status_code, changed.json) == (200, BOTH)
    assert json.dumps(after.json, sort_keys=True) == json.dumps(BOTH, sort_keys=True)
    assert (
        put(alice, row_id, EMPTY).json == alice.get(f"{PREFIX}/{row_id}/parameters").json == EMPTY
    )
    assert host.rows("models")[0].parameters is None


def test_a_change_moves_the_tag_and_the_time_and_the_same_again_does_not(alice):
    (row_id,) = register(alice, "m")
    path = f"{PREFIX}/{row_id}"
    tags, times = [], []
    for body in (BOTH, BOTH, {**BOTH, "info": {"a": 1}}, {**BOTH, "info": {"a": True}}):
        response = put(alice, row_id, body)
        one = alice.get(path)
        assert response.headers["ETag"] == one.headers["ETag"]
        tags.append(one.headers["ETag"])
        times.append(one.json["updated_at"])

    assert tags[0] == tags[1]
    assert times[0] == times[1]
    assert len({*tags}) == len({*times}) == 3
    known = alice.get(f"{path}/parameters", headers={"If-None-Match": tags[-1]})
    assert (known.status_code, known.data) == (304, b"")
    assert put(alice, row_id, EMPTY, **{"If-Match": tags[0]}).status_code == 412
    assert put(alice, row_id, EMPTY, **{"If-Match": tags[-1]}).status_code == 200


def test_no_other_change_of_a_model_touches_them(alice):
    (row_id,) = register(alice, "m")
    put(alice, row_id, BOTH)
    whole = {name: each for name, each in alice.get(f"{PREFIX}/{row_id}").json.items()
             if name in {"model_id", "model_provider", "model_name"}}  # fmt: skip

    alice.patch(f"{PREFIX}/{row_id}", json={"temperature": 1})
    assert alice.put(f"{PREFIX}/{row_id}", json=whole).status_code == 200

    assert alice.get(f"{PREFIX}/{row_id}/parameters").json == BOTH
    patched = alice.patch(f"{PREFIX}/{row_id}", json={"parameters": {}})
    assert patched.json["errors"] == [{"field": "parameters", "message": "Unknown field."}]


JSON_ONLY = "Must be an object of JSON values: numbers of up to 64 bits, and valid text."
TOO_DEEP, TOO_LONG = (
    "Must have at most 8 levels of objects and lists.",
    "Must be at most 8192 bytes",
)
NOT_SECRET = "Is not encrypted, so it can't hold API keys, passwords or tokens."
REFUSED = [
    *(
        ({name: 1}, f"parameters.{name}", "The caller sends this.")
        for name in sorted(CALLER_PARAMETERS)
    ),
    *(
        ({name: "x"}, f"parameters.{name}", "Says where or how")
        for name in sorted(CLIENT_PARAMETERS)
    ),
    # Servers in Go ignore case.
    ({"MODEL": "x"}, "parameters.model", "The caller sends this."),
    ({"\u017ftream": 1}, "parameters.stream", "The caller sends this."),
    ({"Extra-Headers": {}}, "parameters.extra_headers", "Says where or how"),
    *(({"a": [{name: "x"}]}, "parameters", NOT_SECRET) for name in sorted(SECRETS)),
    ({"tools": [{"headers": {"Authorization": "Bearer x"}}]}, "parameters", NOT_SECRET),
    ({"api_key": ["x"]}, "parameters", NOT_SECRET),
    ({"a": "\0"}, "parameters", JSON_ONLY),
    ({"a": "\ud800"}, "parameters", JSON_ONLY),
    ({"a": ["\u202e"]}, "parameters", JSON_ONLY),
    ({"\x1b": 1}, "parameters", JSON_ONLY),
    ({"a": {"\udfff": 1}}, "parameters", JSON_ONLY),
    ({"a": 2**63}, "parameters", JSON_ONLY),
    ({"a": -(10**400)}, "parameters", JSON_ONLY),
    (nested(MAX_LEVELS + 1), "parameters", TOO_DEEP),
    ({"a": "é" * (MAX_BYTES // 2)}, "parameters", TOO_LONG),
    ([], "parameters", JSON_ONLY),
    ("x", "parameters", JSON_ONLY),
    (None, "parameters", "Field may not be null."),
]


@pytest.mark.sampled(20)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("parameters", "field", "message"), REFUSED)
def test_an_invalid_parameter_is_refused_with_the_reason(host, alice, parameters, field, message):
    (row_id,) = register(alice, "m")
    before = host.rows("models")

    response = put(alice, row_id, {"parameters": parameters, "info": {}})

    assert response.status_code == 422
    ((error),) = response.json["errors"]
    assert error["field"] == field
    assert error["message"].startswith(message)
    assert host.rows("models") == before


@pytest.mark.databases("sqlite")
def test_info_may_have_the_names_of_parameters_and_no_secret(alice):
    (row_id,) = register(alice, "m")

    assert (
        put(alice, row_id, {"parameters": {}, "info": {"model": "x", "base_url": "y"}}).status_code
        == 200
    )
    response = put(alice, row_id, {"parameters": {}, "info": {"Api-Key": CANARY}})
    assert response.json["errors"] == [{"field": "info", "message": NOT_SECRET}]
    assert traces([response.text]) == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("body", [{}, {"parameters": {}}, {"info": {}}, {**EMPTY, "other": 1}, []])
def test_both_are_replaced_so_both_are_required(alice, body):
    (row_id,) = register(alice, "m")

    assert put(alice, row_id, body).status_code == 422


@pytest.mark.parametrize("value", [nested(MAX_LEVELS), {"a": "x" * (MAX_BYTES - len('{"a":""}'))}])
def test_the_largest_are_stored(alice, value):
    (row_id,) = register(alice, "m")

    assert put(alice, row_id, {"parameters": value, "info": value}).status_code == 200
    assert alice.get(f"{PREFIX}/{row_id}/parameters").json == {"parameters": value, "info": value}


class Odd:
    """A value that JSON lacks."""


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "value",
    [{"a": float("nan")}, {"a": float("inf")}, {1: 2}, {"a": Odd()}, {"a": {1}}, {"a": b"x"}],
)
def test_python_calls_refuse_values_that_json_lacks(host, alice, value):
    register(alice, "m")

    with host.app.app_context(), pytest.raises(ValidationError, match=r"valid"):
        host.registry.set_parameters("m", parameters=value, user=host.load("alice"))


def test_python_calls_keep_omitted_objects_and_copy_given_ones(host, alice):
    (row_id,) = register(alice, "m")
    sent = []
    given = {"stop": ["x"], "pair": (1, 2)}

    def note(sender, **facts):
        sent.append(facts["changed"])

    with signals.updated.connected_to(note), host.app.app_context():
        registry, user = host.registry, host.load("alice")
        registry.set_parameters("m", parameters=given, user=user)
        both = registry.set_parameters(row_id, info={"a": 1}, user=user)
        registry.set_parameters("m", info={"a": 1}, user=user)
        assert registry.parameters("m", user=user) == both
        host.db.session.commit()

    assert both == {"parameters": {"stop": ["x"], "pair": [1, 2]}, "info": {"a": 1}}
    assert given == {"stop": ["x"], "pair": (1, 2)}
    assert sent == [["parameters"], ["info"]]
    assert alice.get(f"{PREFIX}/{row_id}/parameters").json == both


def test_a_resolved_model_has_them_and_calls_send_the_parameters(host, alice, bob):
    (row_id,) = register(alice, "m", temperature=0.5)
    granted(alice, row_id, user=host.user("bob"))
    put(alice, row_id, {"parameters": {"temperature": 2, "seed": 7}, "info": {"a": 1}})

    with host.app.app_context():
        model = host.registry.resolve("m", user=host.load("bob"))

    body = {"temperature": 0.5, "seed": 7}
    assert (model.parameters, model.info) == ({"temperature": 2, "seed": 7}, {"a": 1})
    assert model.call_kwargs() == {"model": model.model_name, "extra_body": body}
    assert model.llamaindex_kwargs()["additional_kwargs"] == {"extra_body": body}
    assert "seed" not in {*model.openai_kwargs(), *model.litellm_kwargs()}


def test_editors_change_them_and_readers_and_strangers_do_not(host, alice):
    (row_id,) = register(alice, "m")
    granted(alice, row_id, user=host.user("reader"))
    granted(alice, row_id, user=host.user("editor"), can_edit=True)
    host.user("stranger")

    with host.app.app_context():
        registry = host.registry
        registry.set_parameters(row_id, user=host.load("editor"), **BOTH)
        for name in ("editor", "reader"):
            assert registry.parameters(row_id, user=host.load(name)) == BOTH
        with pytest.raises(ForbiddenError):
            registry.set_parameters(row_id, user=host.load("reader"), **EMPTY)
        with pytest.raises(NotFoundError):
            registry.parameters(row_id, user=host.load("stranger"))


def test_a_model_that_is_given_away_keeps_them_and_is_not_called_yet(host, alice, bob):
    (row_id,) = register(alice, "m")
    put(alice, row_id, BOTH)

    assert (
        alice.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("bob"))}).status_code
        == 204
    )

    shown = bob.get(f"{PREFIX}/{row_id}/details").json
    assert {name: shown[name] for name in BOTH} == BOTH
    assert shown["model"]["is_active"] is False


def test_a_line_of_an_export_carries_them_and_one_without_leaves_them(host, alice, tmp_path):
    (row_id,) = register(alice, "m")
    put(alice, row_id, BOTH)
    output, _ = host.run("export")
    line = json.loads(output)
    owner = str(host.user("bob"))

    def imported(line):
        path = tmp_path / "in.jsonl"
        path.write_text(json.dumps(line))
        printed, status = host.run("import", "--owner", owner, "--on-conflict", "update", str(path))
        assert status == 0, printed
        ((found),) = host.client("bob").get(f"{PREFIX}/details").json
        return printed.split()[1], {name: found[name] for name in BOTH}

    assert {name: line[name] for name in BOTH} == BOTH
    assert imported(line) == ("create", BOTH)
    assert imported(line) == ("keep", BOTH)
    without = {name: each for name, each in line.items() if name not in BOTH}
    assert imported({**without, "temperature": 1}) == ("update", BOTH)
    assert imported({**line, **EMPTY}) == ("update", EMPTY)
