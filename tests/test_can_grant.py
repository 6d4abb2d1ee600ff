"""The host decides with whom a user may share: ``can_grant``, for users, groups and transfers."""

import pytest
import sqlalchemy as sa

from flask_model_registry import ConfigError, NotFoundError
from tests.hosts import PREFIX, granted, register

pytestmark = pytest.mark.databases("sqlite")

UNKNOWN = 999_999
# Requests that name a user: a refused user and one who doesn't exist get the same response.
ASKS = {
    "grant": lambda client, row_id, key: client.put(
        f"{PREFIX}/{row_id}/grants/users/{key}", json={"can_edit": True}
    ),
    "transfer": lambda client, row_id, key: client.post(
        f"{PREFIX}/{row_id}/transfer", json={"user": str(key)}
    ),
    "revoke": lambda client, row_id, key: client.delete(f"{PREFIX}/{row_id}/grants/users/{key}"),
}


class Rule:
    """Lets users of one team share among themselves, and records its calls."""

    def __init__(self):
        self.asked = []

    def __call__(self, owner, grantee):
        name = grantee if isinstance(grantee, str) else grantee.name
        self.asked.append((owner.name, name))
        return owner.name.partition("-")[0] == name.partition("-")[0]


@pytest.fixture
def rule():
    return Rule()


@pytest.fixture
def host(hosts, rule):
    """Red and blue users, whose groups are red and blue."""
    host = hosts(can_grant=rule, groups=lambda user: [user.name.partition("-")[0]])
    for name in ("red-1", "red-2", "blue-1"):
        host.user(name)
    return host


@pytest.fixture
def row_id(host):
    return register(host.client("red-1"), "m")[0]


@pytest.mark.parametrize("ask", ASKS)
def test_a_refused_user_looks_like_one_who_does_not_exist(host, row_id, ask):
    red = host.client("red-1")

    refused, unknown = (ASKS[ask](red, row_id, key) for key in (host.user("blue-1"), UNKNOWN))

    assert (refused.status_code, refused.json) == (404, unknown.json)
    headers = [{*answer.headers.keys()} for answer in (refused, unknown)]
    assert headers[0] == headers[1]
    assert host.rows("grants") == []
    assert [row.owner_id for row in host.rows("models")] == [host.user("red-1")]


def test_a_group_that_is_refused_is_not_found(host, row_id):
    red = host.client("red-1")

    answers = [
        red.put(f"{PREFIX}/{row_id}/grants/groups/{name}", json={}).status_code
        for name in ("red", "blue", "green", "Red")
    ]

    assert answers == [201, 404, 404, 404]
    assert [row.group_name for row in host.rows("grants")] == ["red"]
    assert host.client("red-2").get(f"{PREFIX}/{row_id}").status_code == 200
    assert host.client("blue-1").get(f"{PREFIX}/{row_id}").status_code == 404


def test_users_who_may_share_with_each_other_do(host, row_id):
    red = host.client("red-1")

    granted(red, row_id, user=host.user("red-2"))
    given = red.post(f"{PREFIX}/{row_id}/transfer", json={"user": str(host.user("red-2"))})

    assert given.status_code == 204


def test_python_calls_are_checked_too(host, row_id):
    with host.app.app_context():
        red, blue = host.load("red-1"), host.load("blue-1")
        for call in (
            lambda: host.registry.grant("m", to=blue, user=red),
            lambda: host.registry.grant("m", group="blue", user=red),
            lambda: host.registry.transfer("m", blue, user=red),
            lambda: host.registry.user_deleted(red, transfer_to=blue),
        ):
            with pytest.raises(NotFoundError):
                call()
        host.registry.grant("m", to=host.load("red-2"), user=red)
        host.registry.grant("m", group="red", user=red)
        host.db.session.commit()

    assert len(host.rows("grants")) == 2


def test_the_owner_can_revoke_a_grant_that_would_be_refused_now(host, row_id):
    red, moved = host.client("red-1"), host.user("red-2")
    granted(red, row_id, user=moved)
    granted(red, row_id, group="red")
    with host.app.app_context():
        host.load("red-2").name = "blue-2"
        host.db.session.commit()

    again = ASKS["grant"](red, row_id, moved).status_code
    left = [each["user"] for each in red.get(f"{PREFIX}/{row_id}/grants").json["users"]]
    revoked = ASKS["revoke"](red, row_id, moved).status_code

    assert (again, left, revoked) == (404, [str(moved)], 204)
    assert red.delete(f"{PREFIX}/{row_id}/grants/groups/red").status_code == 204
    assert host.rows("grants") == []


def test_the_rule_is_asked_after_all_other_checks(host, rule, row_id):
    blue = host.client("blue-1")

    answers = [
        host.client().put(f"{PREFIX}/{row_id}/grants/users/{UNKNOWN}", json={}).status_code,
        ASKS["grant"](blue, row_id, host.user("blue-1")).status_code,
        ASKS["grant"](host.client("red-1"), row_id, UNKNOWN).status_code,
        ASKS["transfer"](host.client("red-1"), row_id, UNKNOWN).status_code,
    ]

    assert answers == [401, 404, 404, 404]
    assert rule.asked == []


@pytest.mark.parametrize("answer", [None, 0, False])
def test_any_false_answer_refuses(hosts, answer):
    host = hosts(can_grant=lambda owner, grantee: answer)
    (row_id,) = register(host.client("alice"), "m")

    assert ASKS["grant"](host.client("alice"), row_id, host.user("bob")).status_code == 404


@pytest.mark.parametrize("answer", ["no", [], object()])
def test_an_answer_that_is_not_a_boolean_is_an_error_of_the_host(hosts, answer):
    host = hosts(can_grant=lambda owner, grantee: answer)
    register(host.client("alice"), "m")
    host.user("bob")

    with host.app.app_context(), pytest.raises(ConfigError, match="can_grant"):
        host.registry.grant("m", to=host.load("bob"), user=host.load("alice"))


def test_a_refused_grant_leaves_the_existing_grant_alone(host, row_id):
    red, moved = host.client("red-1"), host.user("red-2")
    granted(red, row_id, user=moved)
    with host.app.app_context():
        host.load("red-2").name = "blue-2"
        host.db.session.commit()

    assert ASKS["grant"](red, row_id, moved).status_code == 404
    assert [row.can_edit for row in host.rows("grants")] == [False]


def test_the_rule_gets_an_object_of_the_registrys_user_class(hosts):
    """Not as a key or a string, so that a rule needs no query."""
    asked = []
    host = hosts(can_grant=lambda *each: asked.append(each) or True)
    (row_id,) = register(host.client("alice"), "m")
    granted(host.client("alice"), row_id, user=host.user("bob"))

    ((owner, grantee),) = asked
    assert isinstance(owner, host.User)
    assert isinstance(grantee, host.User)
    keys = [sa.inspect(each).identity[0] for each in (owner, grantee)]
    assert keys == [host.user("alice"), host.user("bob")]


def test_without_a_rule_anyone_may_be_granted_a_model(hosts):
    host = hosts()
    (row_id,) = register(host.client("alice"), "m")

    assert granted(host.client("alice"), row_id, user=host.user("bob"))
