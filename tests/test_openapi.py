"""The description of the API is valid, complete, and matches the responses."""

import json
import re
from urllib.parse import quote

import pytest
from flask import Blueprint
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator, validate

from flask_model_registry import __version__
from flask_model_registry.schemas import credentials, details, requests, responses, secrets
from flask_model_registry.web.openapi import schema_name
from flask_model_registry.web.openapi_examples import EXAMPLES, REQUESTS, RESPONSES
from flask_model_registry.web.views import ROUTES
from tests.hosts import CANARY, PREFIX, create_app, declare, granted, model, register
from tests.roles import account

pytestmark = pytest.mark.databases("sqlite")

ADDRESS = f"{PREFIX}/openapi.json"


@pytest.fixture
def description(host):
    """What a client without a token gets."""
    answer = host.client().get(ADDRESS)
    assert answer.status_code == 200
    return answer.json


def operations(description):
    return {
        (path, method): operation
        for path, item in description["paths"].items()
        for method, operation in item.items()
        if method != "parameters"
    }


def test_it_is_valid_and_names_each_address_and_method(description):
    validate(description, cls=OpenAPIV31SpecValidator)

    served = {
        (re.sub(r"<(?:path:)?(\w+)>", r"{\1}", rule), method.lower())
        for rule, views in ROUTES.values()
        for method in views
    }
    assert {*operations(description)} == served
    ids = [each["operationId"] for each in operations(description).values()]
    assert len({*ids}) == len(ids)
    assert [each for each in ids if not re.fullmatch(r"[a-z]+([A-Z][A-Za-z]+)?", each)] == []
    assert all(each["summary"] for each in operations(description).values())


def test_all_but_the_description_takes_a_token(description):
    assert description["security"] == [{"token": []}]
    public = [path for (path, _), each in operations(description).items() if "security" in each]
    assert public == ["/openapi.json"]


def test_it_names_its_base_path(host, description, hosts):
    assert description["servers"] == [{"url": PREFIX}]
    elsewhere = hosts(config={"MODEL_REGISTRY_URL_PREFIX": "/ai"})
    assert elsewhere.client().get("/ai/openapi.json").json["servers"] == [{"url": "/ai"}]
    mounted = host.client().get(ADDRESS, environ_overrides={"SCRIPT_NAME": "/app"})
    assert mounted.json["servers"] == [{"url": f"/app{PREFIX}"}]


def test_a_command_prints_it(host, description):
    output, status = host.run("openapi")

    assert (json.loads(output), status) == (description, 0)


SHAPES = {
    name: shape
    for name, shape in [
        *vars(requests).items(),
        *vars(credentials).items(),
        *vars(secrets).items(),
        *vars(responses).items(),
        *vars(details).items(),
    ]
    if isinstance(shape, type) and issubclass(shape, requests.Schema)
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_each_example_is_valid(name):
    partial = name.endswith("Changes")
    shape = SHAPES[name.removesuffix("Changes")](partial=partial)

    assert shape.validate(EXAMPLES[name]) == {}
    assert schema_name(shape) == name


def test_each_body_has_an_example(description):
    answered = set()
    for each in operations(description).values():
        if "requestBody" in each:
            assert "example" in each["requestBody"]["content"]["application/json"]
        for answer in each["responses"].values():
            for media in answer.get("content", {}).values():
                shape = media["schema"].get("items", media["schema"])["$ref"].rpartition("/")[2]
                answered.add(shape)
                assert ("example" in media) == (shape != "OpenAPIDocument")

    assert answered == {*RESPONSES, "OpenAPIDocument"}


def test_each_pattern_is_one_of_ecma_262(description):
    patterns = re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', json.dumps(description))

    assert len(patterns) > 10
    assert [each for each in patterns if "\\\\Z" in each or "\\\\U" in each] == []
    assert all(re.compile(json.loads(f'"{each}"')) for each in patterns)
    # Without its flag `u`, JavaScript takes these for two characters.
    begin_ranges = [
        each for each in patterns if re.search("[^\\0-\uffff]-", json.loads(f'"{each}"'))
    ]
    assert begin_ranges == []


ANSWERS = [
    ("GET", "/", "/", 200),
    ("GET", "/{id}", "/1", 200),
    ("GET", "/summary", "/summary", 200),
    ("GET", "/v1/models", "/v1/models", 200),
    ("GET", "/providers", "/providers", 200),
    ("GET", "/{id}/credential", "/1/credential", 200),
    ("GET", "/{id}/grants", "/1/grants", 200),
    ("GET", "/credentials", "/credentials", 200),
    ("GET", "/credentials/{credential}", "/credentials/1", 200),
    ("GET", "/credentials/{credential}/secret", "/credentials/1/secret", 200),
    ("GET", "/defaults", "/defaults", 200),
    ("GET", "/defaults/{config_type}", "/defaults/general", 200),
    ("POST", "/{id}/test", "/1/test", 200),
    ("GET", "/openapi.json", "/openapi.json", 200),
    ("GET", "/openapi.json", "/openapi.json?x=1", 422),
    ("GET", "/{id}", "/999999", 404),
    ("POST", "/", "/", 422),
    ("POST", "/{id}/test", "/defaults/test", 405),
]


@pytest.mark.parametrize(("method", "path", "sent", "status"), ANSWERS)
def test_each_answer_has_its_shape(host, alice, description, method, path, sent, status):
    (row_id,) = register(alice, "m", abilities=["chat"])
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    granted(alice, row_id, group="a group")
    alice.put(f"{PREFIX}/defaults/general", json={"id": row_id})
    sent = re.sub(r"^(/credentials)/1\b", rf"\1/{account(alice)}", sent)

    answer = alice.open(
        PREFIX + re.sub(r"^/1\b", f"/{row_id}", sent),
        method=method,
        json={"model_id": 5} if (method, sent) == ("POST", "/") else None,
    )

    assert answer.status_code == status
    told = description["paths"][path][method.lower()]["responses"][str(status)]
    if "$ref" in told:
        told = description["components"]["responses"][told["$ref"].rpartition("/")[2]]
    ((media, content),) = told["content"].items()
    assert answer.mimetype == media
    # More may come in later versions, and is to be described then.
    shape = {**content["schema"], "components": closed(description["components"])}
    assert [*Draft202012Validator(shape).iter_errors(answer.json)] == []
    assert {*told.get("headers", {})} - {*answer.headers.keys()} <= {"Link"}


def closed(components):
    """Return shapes that take no other fields than those they name."""
    shapes = components["schemas"].items()
    open_ones = "OpenAPIDocument"  # of which it names a few
    closed = {
        name: {**each, "additionalProperties": False} for name, each in shapes if name != open_ones
    }
    return {"schemas": {**dict(shapes), **closed}}


def test_requests_are_strict_and_responses_may_grow(description):
    shapes = description["components"]["schemas"]
    strict = {name for name, each in shapes.items() if each.get("additionalProperties") is False}

    nested = {"Settings", "NewModelOfAccount", "AccountSecretFields"}
    assert strict == {*REQUESTS, *nested}
    assert shapes.keys() - strict >= {
        "ModelRepresentation",
        "Problem",
        "FieldError",
        "OpenAPIDocument",
    }


def test_a_new_model_alone_has_a_location(alice, description):
    (row_id,) = register(alice, "m")
    told = sorted(
        each["operationId"]
        for each in operations(description).values()
        if "Location" in each["responses"].get("201", {}).get("headers", {})
    )

    answer = alice.put(f"{PREFIX}/{row_id}/grants/groups/g", json={})

    assert told == ["createCredential", "createModel", "registerModel"]
    assert (answer.status_code, "Location" in answer.headers) == (201, False)


def test_each_operation_has_a_tag_that_is_described_and_the_status_405(description):
    tags = {each["name"] for each in description["tags"] if each["description"]}

    assert {tag for each in operations(description).values() for tag in each["tags"]} == tags
    assert {len(each["tags"]) for each in operations(description).values()} == {1}
    assert all("405" in each["responses"] for each in operations(description).values())


def test_its_version_is_that_of_the_package(description):
    assert description["info"]["version"] == __version__


@pytest.mark.sampled(20)
@pytest.mark.parametrize("name", ["NewModel", "ModelUpdateChanges", "ModelUpdate"])
@pytest.mark.parametrize(
    ("field", "value", "is_right"),
    [
        ("model_id", "org/gpt-4o:x@1", True),
        ("model_id", "a/../b", False),
        ("model_id", "a b", False),
        ("model_id", "团队/模型-7", True),
        ("model_id", "\U00020bb7", True),
        ("model_id", "é/../x", False),
        ("model_id", "a\u200db", False),
        ("model_id", "a\u202eb", False),
        ("model_id", "模型、7\u3000", False),
        ("model_name", "Ünï cødé", True),
        ("model_name", " outer", False),
        ("model_name", "a\u202eb", False),
        ("model_name", "a\U000e0041b", False),
        ("model_name", "a\U0001f600b", True),
        ("description", "two\nlines\t.", True),
        ("description", "bell\x07", False),
        ("api_key", "sk-" + "x" * 40, True),
        ("api_key", "sk-***", False),
        ("api_key", "", False),
        ("api_key", "a b", False),
        ("model_provider", "azure-openai", True),
        ("model_provider", "-", False),
        ("temperature", 2.5, False),
        ("dimension", 3.7, False),
        ("share_with_users", "yes", False),
        ("unknown", 1, False),
    ],
    ids=range(26),
)
def test_the_described_limits_of_a_field_are_those_that_are_checked(
    description, name, field, value, is_right
):
    partial = name.endswith("Changes")
    shape = SHAPES[name.removesuffix("Changes")](partial=partial)
    body = {**model(), field: value}
    described_shape = {
        "$ref": f"#/components/schemas/{name}",
        "components": description["components"],
    }

    assert (shape.validate(body) == {}) is is_right
    assert Draft202012Validator(described_shape).is_valid(body) is is_right
    assert CANARY not in json.dumps(description)


def test_a_new_model_is_linked_to_its_operations(description):
    by_id = {each["operationId"]: each for each in operations(description).values()}

    answers = [("registerModel", "201"), ("createModel", "201"), ("updateModel", "200")]
    for operation_id, status in answers:
        links = by_id[operation_id]["responses"][status]["links"]
        assert {"getModel", "updateModel", "testModel", "deleteModel"} <= {*links}
        assert "getModelByModelId" not in links
        assert {each["operationId"] for each in links.values()} <= {*by_id}
        assert all(each["parameters"] == {"id": "$response.body#/id"} for each in links.values())


@pytest.mark.parametrize(
    ("group", "is_right"), [("a group", True), (" a", False), ("a\x07", False), ("é", True)]
)
def test_the_described_limits_of_a_group_are_those_that_are_checked(
    host, alice, description, group, is_right
):
    (row_id,) = register(alice, "m")
    (_, parameter) = description["paths"]["/{id}/grants/groups/{group}"]["parameters"]

    answer = alice.put(f"{PREFIX}/{row_id}/grants/groups/{quote(group)}", json={})

    assert answer.status_code == (201 if is_right else 422)
    assert bool(re.match(parameter["schema"]["pattern"], group)) is is_right


def test_a_command_finds_a_nested_blueprint(tmp_path, monkeypatch):
    declared = declare()
    parent = Blueprint("parent", __name__, url_prefix="/parent")
    registry, init_app = declared[3], declared[3].init_app
    monkeypatch.setattr(registry, "init_app", lambda app: init_app(app, parent=parent))
    host = create_app(declared, f"sqlite:///{tmp_path / 'x'}")
    host.app.register_blueprint(parent)

    output, _ = host.run("openapi")

    assert json.loads(output)["servers"] == [{"url": f"/parent{PREFIX}"}]
    assert host.client().get(f"/parent{ADDRESS}").json == json.loads(output)
    host.close()


def test_omitted_fields_of_a_change_have_no_default(description):
    shapes = description["components"]["schemas"]

    assert shapes["NewModel"]["properties"]["category"]["default"] == "llm"
    assert [
        name
        for name, each in shapes["ModelUpdateChanges"]["properties"].items()
        if "default" in each
    ] == []


def test_a_read_that_may_be_304_describes_its_header(description):
    operations = description["paths"]["/{id}"]

    named = {
        method: [each["name"] for each in operations[method].get("parameters", ())]
        for method in ("get", "patch")
    }
    assert named == {"get": ["If-None-Match"], "patch": ["If-Match", "If-None-Match"]}


def test_every_parameter_and_header_is_described(description):
    items = description["paths"].values()
    operations = [each for item in items for name, each in item.items() if name != "parameters"]
    parameters = [each for item in items for each in item.get("parameters", ())]
    parameters += [each for operation in operations for each in operation["parameters"]]
    answers = [each for operation in operations for each in operation["responses"].values()]
    answers += description["components"]["responses"].values()
    headers = {name: each for answer in answers for name, each in answer.get("headers", {}).items()}

    assert {each["in"] for each in parameters} == {"path", "query", "header"}
    assert [each["name"] for each in parameters if not each.get("description")] == []
    assert {*headers} == {
        "Allow", "ETag", "Link", "Location", "Retry-After", "WWW-Authenticate"
    }  # fmt: skip
    assert [name for name, each in headers.items() if not each.get("description")] == []


def test_every_field_of_a_body_and_of_a_model_is_described(description):
    shapes = description["components"]["schemas"]
    bodies = {
        each["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for each in operations(description).values()
        if "requestBody" in each
    }
    undescribed = [
        (shape, name)
        for shape in {*bodies, "ModelRepresentation"}
        for name, each in shapes[shape]["properties"].items()
        if not each.get("description")
    ]

    assert bodies == {*REQUESTS}
    assert undescribed == []


@pytest.mark.parametrize(("largest", "default"), [(100, 50), (20, 20)])
def test_the_bounds_and_the_default_of_a_limit_are_true(hosts, largest, default):
    host = hosts(config={"MODEL_REGISTRY_MAX_PAGE_SIZE": largest})
    alice = host.client("alice")
    register(alice, *(f"m-{number}" for number in range(51)))
    told = alice.get(ADDRESS).json["paths"]["/"]["get"]["parameters"]
    (limit,) = [each["schema"] for each in told if each["name"] == "limit"]

    assert limit == {"type": "integer", "minimum": 1, "maximum": largest, "default": default}
    assert len(alice.get(f"{PREFIX}/").json) == default
    assert alice.get(f"{PREFIX}/?limit={largest}").status_code == 200
    assert alice.get(f"{PREFIX}/?limit={largest + 1}").status_code == 422


def test_what_is_below_a_summary_is_the_description_of_an_operation(description):
    patch, get = (description["paths"]["/{id}"][method] for method in ("patch", "get"))

    assert patch["summary"] == "Change some fields of a model."
    assert "send the `api_key` in the same request" in patch["description"]
    assert "\n" not in patch["description"]
    assert "description" not in get


def test_no_query_parameter_may_be_null(description):
    schemas = [
        each["schema"]
        for operation in operations(description).values()
        for each in operation["parameters"]
    ]

    assert {each["type"] for each in schemas} == {"string", "integer"}
