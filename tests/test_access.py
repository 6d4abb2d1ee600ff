"""The policy says the same in SQL and in Python."""

import datetime
import itertools
import uuid

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_model_registry.db.access import AccessConditions, parameters_of, paths_for
from flask_model_registry.db.queries import Queries
from flask_model_registry.db.representation import ACCESS_FLAGS
from flask_model_registry.policy import Action, Actor, allowed_actions
from flask_model_registry.schemas.filters import Filters, query_key
from tests.hosts import PREFIX, grant, model, register

PEOPLE, GROUPS = ["ann", "ben", "cid"], ["g", "h", "G"]
RIGHTS = {"can_edit": st.booleans(), "can_delete": st.booleans()}
USERS_GRANTS = st.dictionaries(st.sampled_from(PEOPLE), st.fixed_dictionaries(RIGHTS))
GROUPS_GRANTS = st.dictionaries(st.sampled_from(GROUPS), st.fixed_dictionaries(RIGHTS))
MODELS = st.lists(
    st.tuples(st.sampled_from(PEOPLE), st.booleans(), USERS_GRANTS, GROUPS_GRANTS), max_size=6
)


def insert(host, drawn):
    """Write the drawn models without the library's rules; return the policy's facts for each id."""
    tables, facts = host.registry.tables, {}
    host.execute(sa.delete(tables.grants))
    host.execute(sa.delete(tables.models))
    for number, (owner, is_shared, to_users, to_groups) in enumerate(drawn):
        grants = [
            *({"user_id": host.user(name), **rights} for name, rights in to_users.items()),
            *({"group_name": name, **rights} for name, rights in to_groups.items()),
        ]
        name = f"m{number}"
        values = {**COLUMNS, "uuid": uuid.uuid4().hex, "owner_id": host.user(owner), "model_id": name,
                  "is_shared": is_shared, "shared_model_id": name if is_shared else None}  # fmt: skip
        host.execute(sa.insert(tables.models), values)
        (row_id,) = [row.id for row in host.rows("models") if row.model_id == name]
        for each in grants:
            grant(host, row_id, **each)
        grantees = {"user_id": None, "group_name": None}
        owned = {"owner_id": host.user(owner), "is_shared": is_shared}
        facts[row_id] = (owned, [{**grantees, **each} for each in grants])
    return facts


def flagged(host, queries, actor):
    """Return for actions the ids of the models in a page that say that the actor may do them."""
    connection = host.db.session.connection()
    key, parameters = query_key(Filters(), 100)
    group_paths, of_actor = paths_for(actor, connection.dialect, key)
    statement = queries.page(key, group_paths)
    rows = connection.execute(statement, {**parameters, **of_actor}).all()
    return {
        action: {row.id for row in rows if getattr(row, flag)}
        for flag, action in ACCESS_FLAGS.items()
    }


def allowed(action, actor, facts):
    return {row for row, each in facts.items() if action in allowed_actions(actor, *each)}


COLUMNS = {"category": "llm", "model_provider": "openai", "model_name": "x", "is_active": True,
           "version": 1, "created_at": datetime.datetime(2026, 1, 1)}  # noqa: DTZ001  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("with_groups", [True, False])
def test_the_policy_says_the_same_in_sql_and_in_python(host, database, with_groups):
    policy = AccessConditions(host.registry.tables, with_groups=with_groups)
    groups = [(), ("g",), ("g", "h"), ("G",)] if with_groups else [()]
    queries, models = Queries(policy), host.registry.tables.models
    statements = {each: sa.select(models.c.id).where(policy.where(each)) for each in Action}

    @settings(
        max_examples=40 if database.name == "sqlite" else 20,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    @given(drawn=MODELS)
    def agree(drawn):
        facts = insert(host, drawn)
        for name, in_groups in itertools.product([*PEOPLE, "stranger"], groups):
            actor = Actor(host.user(name), in_groups)
            in_python = {action: allowed(action, actor, facts) for action in Action}
            with host.app.app_context():
                for action, statement in statements.items():
                    in_sql = set(host.db.session.scalars(statement, parameters_of(actor)))
                    assert in_sql == in_python[action], (action, name, in_groups)
                for action, ids in flagged(host, queries, actor).items():
                    assert ids == in_python[action] & in_python[Action.USE]

    agree()


def test_an_actor_without_a_key_is_no_grantee_of_a_groups_models():
    grant = {"user_id": None, "group_name": "g", "can_edit": True, "can_delete": True}

    assert allowed_actions(Actor(None, ()), {"owner_id": 1, "is_shared": False}, [grant]) == set()


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
    """Mistakes for ``is_admin`` that Python always takes as true."""

    @staticmethod
    def method():
        return False

    @staticmethod
    async def coroutine():
        return False


@pytest.mark.databases("sqlite")
@pytest.mark.forces_errors
@pytest.mark.parametrize("answer", ["false", Admin.method, Admin(), [False]])
def test_a_result_that_is_not_a_boolean_lets_no_user_share(hosts, answer, caplog):
    host = hosts(can_share=lambda user: answer)

    response = host.client("alice").post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == 500
    assert "must be a boolean" in caplog.text
    assert host.rows("models") == []


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(("answer", "status"), [(True, 201), (1, 201), (0, 403), (None, 403)])
def test_who_may_share_is_a_boolean_or_its_number(hosts, answer, status):
    host = hosts(can_share=lambda user: answer)

    response = host.client("alice").post(f"{PREFIX}/register", json=model(share_with_users=True))

    assert response.status_code == status


@pytest.mark.databases("sqlite")
@pytest.mark.forces_errors
@pytest.mark.parametrize("groups", ["team", [0], [5], [None], ["g", b"h"]])
def test_groups_are_strings(hosts, groups, caplog):
    host = hosts(groups=lambda user: groups)

    assert host.client("alice").get(f"{PREFIX}/").status_code == 500
    assert "groups must return the names" in caplog.text


def test_groups_that_can_have_no_grants_are_ignored(hosts):
    names = ["team ", "", "a\0", "g" * 256, "g"]
    host = hosts(groups=lambda user: names if user.name == "reader" else ())
    (row_id,) = register(host.client("owner"), "m")
    grant(host, row_id, group_name="g")
    grant(host, row_id, group_name="team")

    assert len(host.client("reader").get(f"{PREFIX}/").json) == 1


@pytest.mark.sampled(2)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("groups", [list, tuple, set, iter, dict.fromkeys])
def test_groups_come_from_any_iterable(hosts, groups):
    host = hosts(groups=lambda user: groups(["g", "h"]) if user.name == "reader" else None)
    (row_id,) = register(host.client("owner"), "m")
    grant(host, row_id, group_name="h")

    assert len(host.client("reader").get(f"{PREFIX}/").json) == 1
    assert len(host.client("in no group").get(f"{PREFIX}/").json) == 0
