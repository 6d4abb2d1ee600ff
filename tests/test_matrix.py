"""Every route, method, role and form of id, against a table written by hand.

A route that is not in the table fails the test, so a new one cannot be forgotten.
"""

import itertools

import pytest
import sqlalchemy as sa

from flask_model_registry.web.routes import ROUTES
from tests.hosts import PREFIX, grant, model, register

# The roles, in the order of the columns below. Who "share"s may share with everybody, and has no
# other relation to the model.
ROLES = ["owner", "reader", "editor", "deleter", "member", "everyone", "stranger", "sharer", "anonymous"]  # fmt: skip

# What each answers for a model that is there. By its integer id or its model_id, whichever the
# route takes; a foreign id (of a model the role cannot see) and an absent one answer 404 to all
# but the anonymous, who always get 401.
#                                        owner read edit dele memb ever stra shar anon
ONE_MODEL = {
    ("model", "GET"):                   "200  200  200  200  200  200  404  404  401",
    ("model", "HEAD"):                  "200  200  200  200  200  200  404  404  401",
    ("model", "PATCH"):                 "200  403  200  403  403  403  404  404  401",
    ("model", "PUT"):                   "200  403  200  403  403  403  404  404  401",
    ("model", "DELETE"):                "204  403  403  204  403  403  404  404  401",
    ("model_by_handle", "GET"):         "200  200  200  200  200  200  404  404  401",
    ("model_by_handle", "HEAD"):        "200  200  200  200  200  200  404  404  401",
    ("model_by_handle", "PATCH"):       "200  403  200  403  403  403  404  404  401",
    ("model_by_handle", "PUT"):         "200  403  200  403  403  403  404  404  401",
    ("model_by_handle", "DELETE"):      "204  403  403  204  403  403  404  404  401",
    ("credential", "GET"):              "200  200  200  200  200  200  404  404  401",
    ("credential", "HEAD"):             "200  200  200  200  200  200  404  404  401",
    ("credential", "PUT"):              "204  403  204  403  403  403  404  404  401",
    ("credential", "DELETE"):           "204  403  204  403  403  403  404  404  401",
    ("grants", "GET"):                  "200  403  403  403  403  403  404  404  401",
    ("grants", "HEAD"):                 "200  403  403  403  403  403  404  404  401",
    ("user_grant", "PUT"):              "201  403  403  403  403  403  404  404  401",
    ("user_grant", "DELETE"):           "204  403  403  403  403  403  404  404  401",
    ("group_grant", "PUT"):             "201  403  403  403  403  403  404  404  401",
    ("group_grant", "DELETE"):          "204  403  403  403  403  403  404  404  401",
    ("transfer", "POST"):               "204  403  403  403  403  403  404  404  401",
    ("default", "PUT"):                 "200  200  200  200  200  200  404  404  401",
    ("test_model", "POST"):             "200  200  200  200  200  200  404  404  401",
}  # fmt: skip
# Those that name no model: what everybody may do on their own account.
NO_MODEL = {
    ("models", "GET"):                  "200  200  200  200  200  200  200  200  401",
    ("models", "HEAD"):                 "200  200  200  200  200  200  200  200  401",
    ("models", "POST"):                 "201  201  201  201  201  201  201  201  401",
    ("register", "POST"):               "201  201  201  201  201  201  201  201  401",
    ("openapi", "GET"):                 "200  200  200  200  200  200  200  200  200",
    ("openapi", "HEAD"):                "200  200  200  200  200  200  200  200  200",
    ("summary", "GET"):                 "200  200  200  200  200  200  200  200  401",
    ("summary", "HEAD"):                "200  200  200  200  200  200  200  200  401",
    ("openai_models", "GET"):           "200  200  200  200  200  200  200  200  401",
    ("openai_models", "HEAD"):          "200  200  200  200  200  200  200  200  401",
    ("providers", "GET"):               "200  200  200  200  200  200  200  200  401",
    ("providers", "HEAD"):              "200  200  200  200  200  200  200  200  401",
    ("provider_models", "POST"):        "422  422  422  422  422  422  422  422  401",
    ("test_connection", "POST"):        "200  200  200  200  200  200  200  200  401",
    ("defaults", "GET"):                "200  200  200  200  200  200  200  200  401",
    ("defaults", "HEAD"):               "200  200  200  200  200  200  200  200  401",
    ("default", "GET"):                 "404  404  404  404  404  404  404  404  401",
    ("default", "HEAD"):                "404  404  404  404  404  404  404  404  401",
    ("default", "DELETE"):              "404  404  404  404  404  404  404  404  401",
}  # fmt: skip
# What takes the right to share, on top of what the table above says.
SHARING = {
    ("models", "POST", "share"):        "403  403  403  403  403  403  403  201  401",
    ("register", "POST", "share"):      "403  403  403  403  403  403  403  201  401",
    ("model", "PATCH", "share"):        "403  403  403  403  403  403  404  404  401",
    ("model_by_handle", "PATCH", "share"): "403  403  403  403  403  403  404  404  401",
    ("default", "PUT", "app"):          "403  403  403  403  403  403  403  404  401",
    ("default", "DELETE", "app"):       "403  403  403  403  403  403  403  404  401",
}  # fmt: skip


def cases(table):
    return [
        pytest.param(*key, role, int(status), id=f"{'-'.join(key)}-{role}")
        for key, line in table.items()
        for role, status in zip(ROLES, line.split(), strict=True)
    ]


def test_every_route_is_in_the_table():
    served = {
        (name, method)
        for name, (_, views) in ROUTES.items()
        for method in [*views, *(["HEAD"] if "GET" in views else [])]
    }

    assert served == {*ONE_MODEL, *NO_MODEL}
    assert {(name, method) for name, method, _ in SHARING} <= served


class Scene:
    """A model, and somebody in each role to it."""

    def __init__(self, host, role):
        self.host, self.role = host, role
        owner = host.client("owner")
        (self.id,) = register(owner, "m/1", abilities=["chat"])
        (self.foreign,) = register(host.client("somebody else"), "foreign")
        if role == "everyone":
            models = host.registry.tables.models
            host.execute(
                sa.update(models)
                .where(models.c.id == self.id)
                .values(is_shared=True, shared_model_id="m/1")
            )
        grant(host, self.id, user_id=host.user("reader"))
        grant(host, self.id, user_id=host.user("editor"), can_edit=True)
        grant(host, self.id, user_id=host.user("deleter"), can_delete=True)
        grant(host, self.id, group_name="group of member")
        grant(host, self.id, user_id=host.user("old grantee"))
        grant(host, self.id, group_name="old group")
        anonymous = role == "anonymous"
        self.client = host.client(None if anonymous else role, is_admin=role == "sharer")

    def request(self, name, method, *, ref, variant=None):
        rule, _ = ROUTES[name]
        old = method == "DELETE"
        path = (
            rule.replace("<path:model_id>", str(ref))
            .replace("<id>", str(ref))
            .replace("<path:user>", str(self.host.user("old grantee" if old else "new grantee")))
            .replace("<path:group>", "old group" if old else "new group")
            .replace("<config_type>", "general")
            .replace("<provider>", "bedrock")
        )
        query = {"scope": "app"} if variant == "app" else None
        body = self.body(name, method, ref, variant)
        return self.client.open(PREFIX + path, method=method, json=body, query_string=query)

    def body(self, name, method, ref, variant):
        new = model(model_id="new", share_with_users=variant == "share")
        whole = model(model_id="m/1", abilities=["chat"], description="changed")
        if self.role == "everyone":
            whole["share_with_users"] = True
        bodies = {
            ("models", "POST"): new,
            ("register", "POST"): new,
            ("model", "PATCH"): {"share_with_users": True} if variant else {"description": "changed"},
            ("model", "PUT"): whole,
            ("credential", "PUT"): {"api_key": model()["api_key"]},
            ("user_grant", "PUT"): {"can_edit": True},
            ("group_grant", "PUT"): {"can_edit": True},
            ("transfer", "POST"): {"user": str(self.host.user("heir"))},
            ("default", "PUT"): {"id": ref},
            ("provider_models", "POST"): {"api_key": model()["api_key"]},
            ("test_connection", "POST"): {
                name: model()[name] for name in ("model_provider", "model_name", "api_key")
            },
        }  # fmt: skip
        return bodies.get((name.replace("model_by_handle", "model"), method))

    def content(self):
        tables = ("models", "abilities", "grants", "defaults", "app_defaults")
        return {name: self.host.rows(name) for name in tables}


@pytest.mark.parametrize(("name", "method", "role", "status"), cases(ONE_MODEL))
def test_one_model_by_every_form_of_id(host, name, method, role, status):
    scene = Scene(host, role)
    forms = ("m/1", "foreign", "absent") if name == "model_by_handle" else (
        scene.id, scene.foreign, 2_000_000_000)  # fmt: skip
    before, unseen = scene.content(), 401 if role == "anonymous" else 404

    foreign, absent = (scene.request(name, method, ref=ref) for ref in forms[1:])
    assert (foreign.status_code, absent.status_code) == (unseen, unseen)
    assert foreign.data == absent.data
    assert str(foreign.headers) == str(absent.headers)
    assert scene.content() == before

    response = scene.request(name, method, ref=forms[0])
    assert response.status_code == status, response.text
    changes = status < 300 and method not in {"GET", "HEAD"} and name != "test_model"
    assert (scene.content() != before) is changes


@pytest.mark.parametrize(("name", "method", "role", "status"), cases(NO_MODEL))
def test_no_model_in_particular(host, name, method, role, status):
    response = Scene(host, role).request(name, method, ref=None)

    assert response.status_code == status, response.text


@pytest.mark.parametrize(("name", "method", "variant", "role", "status"), cases(SHARING))
def test_what_takes_the_right_to_share(host, name, method, variant, role, status):
    scene = Scene(host, role)
    before = scene.content()

    response = scene.request(
        name, method, ref="m/1" if name == "model_by_handle" else scene.id, variant=variant
    )

    assert response.status_code == status, response.text
    assert (scene.content() != before) is (status < 300)


@pytest.mark.parametrize("role", ROLES[:-1])
def test_a_list_shows_what_one_can_be_read(host, role):
    scene = Scene(host, role)

    listed = {each["id"] for each in scene.client.get(f"{PREFIX}/").json}
    counted = scene.client.get(f"{PREFIX}/summary").json["total"]

    by_id = {
        ref
        for ref in (scene.id, scene.foreign)
        if scene.request("model", "GET", ref=ref).status_code == 200
    }
    handles = {ref for ref, name in ((scene.id, "m/1"), (scene.foreign, "foreign"))
               if scene.request("model_by_handle", "GET", ref=name).status_code == 200}  # fmt: skip
    assert listed == by_id == handles
    assert counted == len(listed)
    expected = (
        200 if role in {"owner", "reader", "editor", "deleter", "member", "everyone"} else 404
    )
    assert by_id == ({scene.id} if expected == 200 else set())


def test_the_roles_are_those_of_the_table():
    lines = itertools.chain(ONE_MODEL.values(), NO_MODEL.values(), SHARING.values())

    assert {len(line.split()) for line in lines} == {len(ROLES)}
