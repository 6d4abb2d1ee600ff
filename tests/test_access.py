"""The policy: its SQL face and its Python face say the same."""

import itertools

import pytest
import sqlalchemy as sa

from flask_model_registry.core import access
from flask_model_registry.core.access import Access, Action, Actor, Facts, Grant
from tests.hosts import PREFIX, grant, model, register


@pytest.fixture
def rows(host):
    """Models in every constellation: shared or not, granted to users and groups with any flags."""
    owner = host.client("owner", is_admin=True)
    reader = host.user("reader")
    grantees = [{"user_id": reader}, {"group_name": "g"}, {"group_name": "h"}]
    constellations = []
    for shared, grantee, edit, delete in itertools.product(
        [False, True], [None, *grantees], [False, True], [False, True]
    ):
        constellations.append(
            (shared, grantee and {**grantee, "can_edit": edit, "can_delete": delete})
        )
    facts = {}
    for number, (shared, columns) in enumerate(constellations):
        (row_id,) = register(owner, f"m{number}", share_with_users=shared)
        if columns:
            grant(host, row_id, **columns)
        grants = [Grant(**columns)] if columns else []
        facts[row_id] = Facts(host.user("owner"), shared, grants)
    return facts


@pytest.mark.parametrize("with_groups", [True, False])
def test_where_and_allows_agree(host, rows, with_groups):
    policy = Access(host.registry.tables, with_groups=with_groups)
    people = itertools.product(["owner", "reader", "stranger"], [(), ("g",), ("g", "h"), ("G",)])

    for action, (name, groups) in itertools.product(Action, people):
        actor = Actor(host.user(name), groups)
        statement = sa.select(host.registry.tables.models.c.id).where(policy.where(action))
        with host.app.app_context():
            in_sql = set(host.db.session.scalars(statement, actor.parameters))
        in_python = {row for row, facts in rows.items() if policy.allows(action, actor, facts)}
        assert in_sql == in_python, (action, name, groups)


def test_the_policy_is_what_the_documentation_says():
    allowed = {
        action: {name for name in ("OWNER", "GRANTEE", "GROUP", "EVERYONE")
                 if getattr(access, name) in access.POLICY[action]}
        for action in Action
    }  # fmt: skip

    assert allowed == {
        Action.USE: {"OWNER", "GRANTEE", "GROUP", "EVERYONE"},
        Action.EDIT: {"OWNER", "GRANTEE", "GROUP"},
        Action.DELETE: {"OWNER", "GRANTEE", "GROUP"},
        Action.OWN: {"OWNER"},
    }


def test_an_actor_without_a_key_of_that_kind_is_no_grantee():
    actor = Actor(None, ())

    assert not access.GRANTEE.in_python(actor, Grant(group_name="g"))


ROLES = {
    "owner": {"status": 200, "is_owner": True, "can_edit": True, "can_delete": True},
    "grantee": {"status": 200, "is_owner": False, "can_edit": False, "can_delete": False},
    "editor": {"status": 200, "is_owner": False, "can_edit": True, "can_delete": False},
    "deleter": {"status": 200, "is_owner": False, "can_edit": False, "can_delete": True},
    "stranger": {"status": 404},
    "sharer": {"status": 404},  # an administrator of the host sees no more than others
    "anonymous": {"status": 401},
}


@pytest.mark.parametrize("address", ["/{id}", "/by-id/m", "/?q=m"])
@pytest.mark.parametrize("role", ROLES)
def test_each_role_sees_the_same_by_every_address(host, role, address):
    (row_id,) = register(host.client("owner"), "m")
    grant(host, row_id, user_id=host.user("grantee"))
    grant(host, row_id, user_id=host.user("editor"), can_edit=True)
    grant(host, row_id, group_name="group of deleter", can_delete=True)
    client = host.client(None if role == "anonymous" else role, is_admin=role == "sharer")

    response = client.get(PREFIX + address.format(id=row_id))

    expected = dict(ROLES[role])
    status = expected.pop("status")
    if "?" in address and status == 404:
        assert response.json == []
        return
    assert response.status_code == status
    seen = response.json[0] if "?" in address and status == 200 else response.json
    assert {name: seen[name] for name in expected} == expected


class Admin:
    """What people write for ``is_admin`` that is always true to Python."""

    @staticmethod
    def method():
        return False

    @staticmethod
    async def coroutine():
        return False


@pytest.mark.forces_errors
@pytest.mark.parametrize("answer", ["false", Admin.method, Admin(), [False]])
def test_an_answer_that_is_no_boolean_lets_nobody_share(hosts, answer, caplog):
    host = hosts(can_share=lambda user: answer)

    response = host.client("alice").post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == 500
    assert "must be a boolean" in caplog.text
    assert host.rows("models") == []


@pytest.mark.parametrize(("answer", "status"), [(True, 201), (1, 201), (0, 403), (None, 403)])
def test_who_may_share_is_a_boolean_or_its_number(hosts, answer, status):
    host = hosts(can_share=lambda user: answer)

    response = host.client("alice").post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == status


@pytest.mark.forces_errors
@pytest.mark.parametrize(
    "groups", ["team", [0], [5], ["team "], [""], ["a\0"], [None], ["g" * 256]]
)
def test_groups_are_names_that_every_database_compares_alike(hosts, groups, caplog):
    host = hosts(groups=lambda user: groups)

    assert host.client("alice").get(f"{PREFIX}/").status_code == 500
    assert "groups must return names" in caplog.text


@pytest.mark.parametrize("groups", [list, tuple, set, iter, dict.fromkeys])
def test_groups_come_from_any_iterable(hosts, groups):
    host = hosts(groups=lambda user: groups(["g", "h"]) if user.name == "reader" else None)
    (row_id,) = register(host.client("owner"), "m")
    grant(host, row_id, group_name="h")

    assert len(host.client("reader").get(f"{PREFIX}/").json) == 1
    assert len(host.client("in no group").get(f"{PREFIX}/").json) == 0
