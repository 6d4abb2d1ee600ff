"""The policy, its SQL and the API do what docs/share.md says: the tables are read from the page."""

import re

import pytest
import sqlalchemy as sa

from flask_model_registry import policy
from flask_model_registry.db.access import parameters_of
from flask_model_registry.policy import ALLOWED, Action, Actor, Relation, allowed_actions
from flask_model_registry.schemas.requests import ModelParameters, ModelUpdate
from tests.doc_runner import ROOT, text_of
from tests.hosts import CANARY, PREFIX, granted, model, register

PAGE = text_of(ROOT / "docs" / "share.md", "Who sees what")


def tables():
    """Return the tables of the page: each a list of rows, the head first."""
    found = re.findall(r"^((?:\|.*\n)+)", PAGE, re.MULTILINE)
    return [
        [
            [cell.strip() for cell in line.strip("|").split("|")]
            for line in table.splitlines()
            if not line.startswith("|---")
        ]
        for table in found
    ]


RELATIONS, RIGHTS, SHARED = tables()
COLUMNS = RIGHTS[0][1:]
ROWS = {row[0]: dict(zip(COLUMNS, row[1:], strict=True)) for row in RIGHTS[1:]}

# The meaning of each column on the page: a relation, and the flag of a grant.
RELATION_OF = {
    "owner": [(Relation.OWNER, None)],
    "everyone": [(Relation.EVERYONE, None)],
    **{
        f"grant{text}": [(Relation.GRANTEE, flag), (Relation.GROUP, flag)]
        for text, flag in (
            ("", None),
            (" with `can_edit`", "can_edit"),
            (" with `can_delete`", "can_delete"),
        )
    },
}
NEW_KEY = {"api_key": f"{CANARY}-new"}
MOVES = [
    {"model_provider": "anthropic", **NEW_KEY},
    {"base_url": "https://b.example.com/v1", **NEW_KEY},
    {"base_url": "https://a.example.com:8443/v1", **NEW_KEY},
]
# The meaning of each row on the page: an action of the policy, and the requests that need it.
MEANING = {
    "see, list, choose as default": (
        Action.USE,
        [
            ("GET", "/{id}", None),
            ("GET", "/by-id/m", None),
            ("PUT", "/defaults/general", {"id": "{id}"}),
        ],
    ),
    "resolve, test": (Action.USE, [("POST", "/{id}/test", None)]),
    "test another model name, test with a billed call": (
        Action.EDIT,
        [
            ("POST", "/{id}/test", {"model_name": "n"}),
            ("POST", "/{id}/test", {"billed_call": True}),
        ],
    ),
    "see whether there is a readable API key, the parameters and the details": (
        Action.USE,
        [("GET", f"/{{id}}/{each}", None) for each in ("credential", "parameters", "details")],
    ),
    "edit, switch on and off, set the API key and the parameters": (
        Action.EDIT,
        [
            ("PATCH", "/{id}", {"description": "x"}),
            ("PATCH", "/{id}", {"base_url": "https://a.example.com/v2"}),
            ("PATCH", "/by-id/m", {"is_active": False}),
            ("PATCH", "/by-id/m", {"is_active": True}),
            ("PUT", "/{id}/parameters", {"parameters": {"seed": 1}, "info": {}}),
            ("PUT", "/{id}/credential", NEW_KEY),
            ("DELETE", "/{id}/credential", None),
        ],
    ),
    "delete": (Action.DELETE, [("DELETE", "/{id}", None)]),
    "rename, share, change the provider, host or port": (
        Action.SHARE,
        [
            ("PATCH", "/{id}", {"model_id": "n"}),
            ("PATCH", "/{id}", {"share_with_users": "{toggle}"}),
            *(("PATCH", "/{id}", move) for move in MOVES),
        ],
    ),
    "see, give and revoke grants; transfer": (
        Action.SHARE,
        [
            ("GET", "/{id}/grants", None),
            ("PUT", "/{id}/grants/users/{other}", {}),
            ("DELETE", "/{id}/grants/users/{other}", None),
            ("PUT", "/{id}/grants/groups/g", {"can_edit": True}),
            ("DELETE", "/{id}/grants/groups/g", None),
            ("POST", "/{id}/transfer", {"user": "{other}"}),
        ],
    ),
}
CASES = [
    pytest.param(row, column, relation, flag, id=f"{row}-{relation.name}-{flag}")
    for row in ROWS
    for column in COLUMNS
    for relation, flag in RELATION_OF.get(column, [])
]


def test_the_page_has_every_action_relation_and_flag():
    assert {*ROWS} == {*MEANING}
    assert {*COLUMNS} == {*RELATION_OF}
    assert {action for action, _ in MEANING.values()} == {*Action}
    flags = {flag for allowed in ALLOWED.values() for flag in allowed.values()}
    columns = {each for relations in RELATION_OF.values() for each in relations}
    assert columns >= {(each, None) for each in Relation}
    assert {flag for _, flag in columns} == flags
    assert {cell for row in ROWS.values() for cell in row.values()} <= {"yes", ""}


def test_the_page_has_the_relations_in_the_order_of_names():
    names = {"owner": Relation.OWNER, "everyone": Relation.EVERYONE,
             "grantee": Relation.GRANTEE, "group": Relation.GROUP}  # fmt: skip

    assert [names[row[0]] for row in RELATIONS[1:]] == [*ALLOWED[Action.USE]]


def facts(relation, flag, actor):
    """Return a model and its grants, as the policy takes them, that make this relation alone."""
    rights = {"can_edit": flag == "can_edit", "can_delete": flag == "can_delete"}
    grants = {
        Relation.GRANTEE: [{"user_id": actor.key, "group_name": None, **rights}],
        Relation.GROUP: [{"user_id": None, "group_name": actor.groups[0], **rights}],
    }
    owner = actor.key if relation is Relation.OWNER else "another user"
    model = {"owner_id": owner, "is_shared": relation is Relation.EVERYONE}
    return model, grants.get(relation, [])


@pytest.mark.parametrize(("row", "column", "relation", "flag"), CASES)
def test_the_policy_allows_what_the_page_says(row, column, relation, flag):
    action, _ = MEANING[row]
    actor = Actor("me", ("g",))
    others = [{"user_id": "you", "group_name": None, "can_edit": True, "can_delete": True},
              {"user_id": None, "group_name": "h", "can_edit": True, "can_delete": True}]  # fmt: skip

    model, grants = facts(relation, flag, actor)

    allowed = action in allowed_actions(actor, model, [*grants, *others])
    assert allowed is (ROWS[row][column] == "yes")


# What the columns and rows of the first page's table are on this one.
SUMMARY = {
    "sees and calls it": ["see, list, choose as default", "resolve, test"],
    "edits it": ["edit, switch on and off, set the API key and the parameters"],
    "deletes it": ["delete"],
    "renames it, grants it, gives it away": [
        "rename, share, change the provider, host or port",
        "see, give and revoke grants; transfer",
    ],
}
GRANTS = ["grant", "grant with `can_edit`", "grant with `can_delete`"]


def test_the_first_page_says_the_same_in_short():
    text = (ROOT / "docs" / "index.md").read_text().partition("## Who sees what\n\n")[2]
    (_, *columns), _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.partition("\n\n")[0].splitlines()
    ]

    def cell(column, relations):
        """Return which of these relations allow everything that a column stands for."""
        found = [
            each for each in relations if all(ROWS[row][each] == "yes" for row in SUMMARY[column])
        ]
        return "yes" if found == relations else found[0].removeprefix("grant ") if found else "no"

    relations = [["owner"], GRANTS, GRANTS, ["everyone"]]
    said = [each[1:] for each in rows]

    assert columns == [*SUMMARY]
    assert said[:-1] == [[cell(column, each) for column in columns] for each in relations]
    assert said[-1] == ["no"] * len(columns)  # admins, whom the matrix of roles has as "sharer"


def arrange(host, relation, flag):
    """Make a model to which bob has only this relation; return its id and its owner's."""
    owner = "bob" if relation is Relation.OWNER else "owner"
    client = host.client(owner, is_admin=True)
    fields = {"base_url": "https://a.example.com/v1", "abilities": ["chat"]}
    shared = relation is Relation.EVERYONE
    (row_id,) = register(client, "m", share_with_users=shared, **fields)
    grantee = {
        Relation.GRANTEE: {"user": host.user("bob", is_admin=True)},
        Relation.GROUP: {"group": "group of bob"},
    }.get(relation)
    if grantee:
        granted(client, row_id, **grantee, **({flag: True} if flag else {}))
    return row_id


@pytest.mark.sampled(21)
@pytest.mark.parametrize(("row", "column", "relation", "flag"), CASES)
def test_the_sql_and_the_api_allow_what_the_page_says(host, row, column, relation, flag):
    action, requests = MEANING[row]
    row_id, says_yes = arrange(host, relation, flag), ROWS[row][column] == "yes"
    client, other = host.client("bob"), str(host.user("other"))
    values = {"{id}": row_id, "{other}": other, "{toggle}": relation is not Relation.EVERYONE}
    actor = Actor(host.user("bob"), ("group of bob",))

    access = host.services.rows.queries.access
    statement = sa.select(access.tables.models.c.id).where(access.where(action))
    with host.app.app_context():
        in_sql = [*host.db.session.scalars(statement, parameters_of(actor))]
    before = host.rows("models")
    responses = [
        client.open(
            PREFIX + path.format(id=row_id, other=other),
            method=method,
            json=body and {name: values.get(each, each) if isinstance(each, str) else each
                           for name, each in body.items()},
        )
        for method, path, body in requests
    ]  # fmt: skip

    if row == "resolve, test":
        with host.app.app_context():
            assert host.registry.resolve("m", user=host.load("bob")).id == row_id
    assert in_sql == ([row_id] if says_yes else [])
    statuses = [each.status_code for each in responses]
    if says_yes:
        assert max(statuses) < 300, [each.text for each in responses]
    else:
        assert {*statuses} == {403}
        assert host.rows("models") == before


def test_the_api_allows_nothing_without_a_relation(host):
    row_id = arrange(host, Relation.GRANTEE, "can_edit")
    stranger = host.client("stranger", is_admin=True)

    for _, requests in MEANING.values():
        for method, path, body in requests:
            address = PREFIX + path.format(id=row_id, other=host.user("other"))
            sent = body and {name: row_id if each == "{id}" else
                             True if each == "{toggle}" else each for name, each in body.items()}  # fmt: skip
            assert stranger.open(address, method=method, json=sent).status_code == 404


# --- what everyone relies on

FIELD = re.compile(r"`(\w+)`(?: to (true|false))?")
# For each field, its old and new value, and other fields that the change needs.
CHANGES = {
    "model_id": ({}, {"model_id": "n"}),
    "model_name": ({}, {"model_name": "other"}),
    "model_provider": ({}, MOVES[0]),
    "base_url": ({}, {"base_url": "https://a.example.com/v2"}),
    "api_key": ({}, NEW_KEY),
    "category": ({}, {"category": "rerank", "abilities": None}),
    "abilities": ({}, {"abilities": ["chat", "vision"]}),
    "description": ({}, {"description": "x"}),
    "temperature": ({}, {"temperature": 1}),
    "dimension": ({"category": "embedding", "abilities": None}, {"dimension": 5}),
    "parameters": ({}, {"parameters": {"seed": 1}, "info": {}}),
    "info": ({}, {"parameters": {}, "info": {"a": 1}}),
    "is_active to true": ({}, {"is_active": True}),
    "is_active to false": ({}, {"is_active": False}),
    "share_with_users to false": ({}, {"share_with_users": False}),
    "DELETE": ({}, None),
}
SHARED_CASES = [
    (f"{field} to {value}" if value else field, may_share, cell)
    for row in SHARED[1:]
    for field, value in FIELD.findall(row[0])
    for may_share, cell in zip((False, True), row[1:], strict=True)
]


def fields_in(*cells):
    """Return the fields of the rows with these cells."""
    return {
        field for row in SHARED[1:] if row[1:] == [*cells] for field, _ in FIELD.findall(row[0])
    }


def test_the_page_has_every_field_of_a_shared_model():
    named = {field.partition(" ")[0] for field, *_ in SHARED_CASES}

    assert named == {*ModelUpdate().fields, *ModelParameters().fields} | {"DELETE"}
    assert {field for field, *_ in SHARED_CASES} == {*CHANGES}
    assert fields_in("403", "yes") - {"is_active"} == policy.SHARER_ONLY
    assert fields_in("409", "409") == policy.FIXED_WHILE_SHARED


@pytest.mark.sampled(21)
@pytest.mark.databases("sqlite")  # `policy.py` decides; its SQL is tried above
@pytest.mark.parametrize("who", ["owner", "editor"])
@pytest.mark.parametrize(("field", "may_share", "cell"), SHARED_CASES)
def test_a_shared_model_changes_as_the_page_says(host, field, may_share, cell, who):
    owner, (fields, change) = host.client("owner", is_admin=True), CHANGES[field]
    fields = {"base_url": "https://a.example.com/v1", "abilities": ["chat"], **fields}
    (row_id,) = register(owner, "m", share_with_users=True, **fields)
    granted(owner, row_id, user=host.user("editor"), can_edit=True, can_delete=True)
    if field == "is_active to true":
        owner.patch(f"{PREFIX}/{row_id}", json={"is_active": False})
    host.execute(
        sa.update(host.User)
        .where(host.User.id.in_([host.user("owner"), host.user("editor")]))
        .values(is_admin=may_share)
    )
    client, before = host.client(who), host.rows("models")

    path, method = f"{PREFIX}/{row_id}", "PATCH" if change else "DELETE"
    if field in {"parameters", "info"}:
        path, method = f"{path}/parameters", "PUT"
    response = client.open(path, method=method, json=change)

    is_owners = field in {"model_id", "model_provider", "share_with_users to false"}
    expected = "403" if is_owners and who == "editor" else cell
    status = {"yes": 200 if change else 204}.get(expected) or int(expected)
    assert response.status_code == status, response.text
    assert (host.rows("models") == before) is (status >= 400)


def test_a_change_of_nothing_is_refused_to_no_editor(host):
    owner = host.client("owner", is_admin=True)
    (row_id,) = register(owner, "m", share_with_users=True)
    host.execute(sa.update(host.User).values(is_admin=False))
    whole = {name: each for name, each in model(model_id="m").items() if name != "api_key"}

    assert (
        owner.put(f"{PREFIX}/{row_id}", json={**whole, "share_with_users": True}).status_code == 200
    )
