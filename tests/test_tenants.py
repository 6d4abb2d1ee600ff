"""The recipe of the page of tenants, with JWTs and with Flask-Login, attacked from other tenants."""

import tracemalloc

import flask_login
import pytest
from flask_jwt_extended import create_access_token, create_refresh_token
from sqlalchemy.exc import IntegrityError

from flask_model_registry import MissingUserError, NotFoundError
from flask_model_registry.cli import new_key
from tests.doc_runner import ROOT, blocks
from tests.hosts import CANARY, model

pytestmark = pytest.mark.slow

# Alice and Bob are at Acme, Carol is at Globex, and Dave is at both.
MEMBERS = {"acme": ["alice", "bob", "dave"], "globex": ["carol", "dave"]}


class App:
    """The app of the page, with its users."""

    def __init__(self, url, *, sessions):
        self.names = {"__name__": "tenants"}
        jwts, login = blocks(ROOT / "docs" / "hosts.md", section="Tenants")
        exec(compile(jwts, "hosts.md", "exec"), self.names)
        if sessions:
            exec(compile(login, "hosts.md", "exec"), self.names)
            self.names["User"].is_authenticated = True  # as UserMixin has it
        self.db, self.registry = self.names["db"], self.names["registry"]
        self.Membership = self.names["Membership"]
        self.app = self.names["create_app"](
            SQLALCHEMY_DATABASE_URI=url,
            JWT_SECRET_KEY="k" * 48,
            SECRET_KEY="s" * 48,
            MODEL_REGISTRY_ENCRYPTION_KEYS=new_key(),
        )
        manager = flask_login.LoginManager(self.app)
        manager.request_loader(lambda request: self._named(request.headers.get("X-User")))
        self.sessions, self.keys = sessions, {}
        with self.app.app_context():
            self.db.create_all()
            self._fill()

    def _fill(self):
        users = {}
        for tenant, names in MEMBERS.items():
            for name in names:
                users.setdefault(name, self.names["User"](name=name))
                each = self.Membership(tenant=tenant, user=users[name])
                self.db.session.add(each)
                self.db.session.flush()
                self.keys[tenant, name] = each.id
        self.db.session.commit()
        self.users = {name: user.id for name, user in users.items()}

    def _named(self, name):
        return self.db.session.get(self.names["User"], self.users.get(name, 0))

    def client(self, name=None):
        client = self.app.test_client()
        if name is not None and self.sessions:
            client.environ_base["HTTP_X_USER"] = name
        elif name is not None:
            with self.app.app_context():
                token = create_access_token(str(self.users[name]))
            client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        return client

    def membership(self, tenant, name):
        return self.db.session.get(self.Membership, self.keys[tenant, name])

    def rows(self, table):
        with self.app.app_context():
            return self.db.session.execute(getattr(self.registry.tables, table).select()).all()

    def close(self):
        with self.app.app_context():
            self.db.session.remove()
            self.db.engine.dispose()


# How users log in is decided before a database is asked.
@pytest.fixture(params=["tokens", pytest.param("sessions", marks=pytest.mark.databases("sqlite"))])
def world(request, empty_databases):
    world = App(empty_databases().url, sessions=request.param == "sessions")
    yield world
    world.close()


def at(tenant, path=""):
    return f"/{tenant}/api/models{path}"


@pytest.fixture
def row_id(world):
    """A model of Alice's at Acme."""
    return world.client("alice").post(at("acme", "/"), json=model()).json["id"]


def ask(client, row_id, key, how):
    if how == "transfer":
        return client.post(at("acme", f"/{row_id}/transfer"), json={"user": str(key)})
    method = client.put if how == "grant" else client.delete
    options = {"json": {}} if how == "grant" else {}
    return method(at("acme", f"/{row_id}/grants/users/{key}"), **options)


def test_tenants_of_others_look_like_tenants_that_do_not_exist(world, row_id):
    carol, paths = world.client("carol"), ["/", "/1", "/summary", "/by-id/gpt-4o", "/v1/models"]

    for path in paths:
        theirs, none = (carol.get(at(tenant, path)) for tenant in ("acme", "initech"))

        assert (theirs.status_code, theirs.json) == (401, none.json)
        assert {*theirs.headers.items()} == {*none.headers.items()}


@pytest.mark.parametrize("how", ["grant", "transfer", "revoke"])
def test_members_of_other_tenants_look_like_unknown_users(world, row_id, how):
    alice, none = world.client("alice"), ask(world.client("alice"), row_id, 999_999, how)

    for name in ("carol", "dave"):
        theirs = ask(alice, row_id, world.keys["globex", name], how)

        assert (theirs.status_code, theirs.json) == (404, none.json)
    assert world.rows("grants") == []
    assert [row.owner_id for row in world.rows("models")] == [world.keys["acme", "alice"]]


def test_groups_of_other_tenants_are_not_granted_to(world, row_id):
    path, groups = at("acme", f"/{row_id}/grants/groups/"), ["tenant:globex", "globex"]

    refused = [
        world.client("alice").put(path + each, json={}).status_code
        for each in [*groups, "tenant:Acme", "tenant:initech"]
    ]

    assert refused == [404] * 4
    assert world.rows("grants") == []
    assert world.client("alice").put(f"{path}tenant:acme", json={}).status_code == 201


def test_a_tenant_shares_by_its_group(world, row_id):
    world.client("alice").put(at("acme", f"/{row_id}/grants/groups/tenant:acme"), json={})

    assert world.client("bob").get(at("acme", f"/{row_id}")).status_code == 200
    assert world.client("dave").get(at("acme", f"/{row_id}")).status_code == 200
    assert world.client("dave").get(at("globex", f"/{row_id}")).status_code == 404
    assert world.client("carol").get(at("globex", f"/{row_id}")).status_code == 404


def test_nothing_is_shared_with_all_tenants(world, row_id):
    alice, default = world.client("alice"), at("acme", "/defaults/general?scope=app")

    statuses = [
        alice.patch(at("acme", f"/{row_id}"), json={"share_with_users": True}).status_code,
        alice.post(at("acme", "/"), json=model(model_id="b", share_with_users=True)).status_code,
        alice.put(default, json={"id": row_id}).status_code,
    ]

    assert statuses == [403, 403, 403]


def test_one_user_has_models_of_each_tenant_apart(world):
    dave = world.client("dave")
    for tenant in ("acme", "globex"):
        body = model(model_name=f"at-{tenant}")
        assert dave.post(at(tenant, "/"), json=body).status_code == 201

    listed = [dave.get(at(tenant, "/")).json for tenant in ("acme", "globex")]

    assert [[each["model_name"] for each in models] for models in listed] == [
        ["at-acme"],
        ["at-globex"],
    ]
    assert dave.get(at("globex", f"/{listed[0][0]['id']}")).status_code == 404


def resolves(world, tenant, name, ref):
    with world.app.app_context():
        user = world.membership(tenant, name)
        return world.registry.resolve(ref, user=user).api_key.reveal() == CANARY


@pytest.mark.parametrize("how", ["grant", "group", "own"])
def test_a_user_who_moves_to_another_tenant_loses_all_models_at_once(world, row_id, how):
    alice, bob = world.client("alice"), world.client("bob")
    if how == "grant":
        ask(alice, row_id, world.keys["acme", "bob"], "grant")
    elif how == "group":
        alice.put(at("acme", f"/{row_id}/grants/groups/tenant:acme"), json={})
    else:
        row_id = bob.post(at("acme", "/"), json=model(model_id="own")).json["id"]
    ref = "own" if how == "own" else "gpt-4o"
    assert resolves(world, "acme", "bob", ref)
    with world.app.app_context():
        leave(world, "bob")
        moved = world.Membership(tenant="globex", user_id=world.users["bob"])
        world.db.session.add(moved)
        world.db.session.commit()
        world.keys["globex", "bob"] = moved.id

    statuses = [bob.get(at(each, f"/{row_id}")).status_code for each in ("acme", "globex")]

    assert statuses == [401, 404]
    assert bob.get(at("globex", "/")).json == []
    with pytest.raises(NotFoundError):
        resolves(world, "globex", "bob", ref)
    left = [row.group_name for row in world.rows("grants")]
    assert left == (["tenant:acme"] if how == "group" else [])
    owners = {row.owner_id for row in world.rows("models")}
    assert owners == {world.keys["acme", "alice"]}


def test_a_membership_cannot_move(world, row_id):
    with world.app.app_context():
        carol = world.membership("globex", "carol").user
        for field, value in (("tenant", "globex"), ("user_id", carol.id), ("user", carol)):
            with pytest.raises(ValueError, match="add another"):
                setattr(world.membership("acme", "bob"), field, value)


def leave(world, name, **successor):
    world.names["leave"](world.membership("acme", name), **successor)


def test_a_successor_who_is_not_found_deletes_nothing(world, row_id):
    with world.app.app_context():
        gone = world.db.session.get(world.Membership, 999_999)
        with pytest.raises(MissingUserError, match="transfer_to"):
            leave(world, "alice", transfer_to=gone)
        world.db.session.commit()

        assert world.membership("acme", "alice") is not None
    assert [row.id for row in world.rows("models")] == [row_id]


@pytest.mark.parametrize("how", ["ORM", "SQL"])
def test_a_new_user_gets_no_membership_of_a_deleted_one(world, row_id, how):
    User, session, key = world.names["User"], world.db.session, world.users["alice"]
    with world.app.app_context():
        if session.get_bind().dialect.name == "sqlite":  # as with tables from Alembic
            session.execute(world.db.text("DROP TRIGGER model_registry_user_deleted"))
            session.commit()
        refused = False
        try:
            if how == "ORM":
                session.delete(session.get(User, key))
            else:
                session.execute(world.db.delete(User).filter_by(id=key))
            session.commit()
        except IntegrityError:
            session.rollback()
            refused = True
        assert refused == (how == "SQL" and session.get_bind().dialect.name == "sqlite")
        if not refused:
            session.add(User(id=key, name="mallory"))
            session.commit()

    assert world.client("alice").get(at("acme", "/")).status_code == (200 if refused else 401)
    assert len(world.rows("models")) == refused


def test_a_leaving_users_models_go_to_colleagues_only(world, row_id):
    with world.app.app_context():
        with pytest.raises(NotFoundError, match="no such user"):
            leave(world, "alice", transfer_to=world.membership("globex", "dave"))
        world.db.session.rollback()
        assert world.membership("acme", "alice") is not None
        leave(world, "alice", transfer_to=world.membership("acme", "dave"))

    assert [row.owner_id for row in world.rows("models")] == [world.keys["acme", "dave"]]


def test_the_owner_can_revoke_the_grant_of_a_member_who_was_switched_off(world, row_id):
    alice, key = world.client("alice"), world.keys["acme", "bob"]
    ask(alice, row_id, key, "grant")
    with world.app.app_context():
        world.membership("acme", "bob").user.is_active = False
        world.db.session.commit()

    seen = world.client("bob").get(at("acme", f"/{row_id}")).status_code
    again = ask(alice, row_id, key, "grant").status_code

    assert (seen, again) == (401, 404)
    assert ask(alice, row_id, key, "revoke").status_code == 204
    assert world.rows("grants") == []


def test_people_lists_colleagues_only(world):
    told = {
        (name, tenant): world.client(name).get(f"/{tenant}/people")
        for name in ("alice", "carol", "dave")
        for tenant in ("acme", "globex", "initech")
    }

    names = {
        who: sorted(each["name"] for each in answer.json)
        for who, answer in told.items()
        if answer.status_code == 200
    }
    assert names == {
        (name, tenant): MEMBERS[tenant]
        for name in ("alice", "carol", "dave")
        for tenant in MEMBERS
        if name in MEMBERS[tenant]
    }
    assert {answer.status_code for who, answer in told.items() if who not in names} == {401}
    assert world.client().get("/acme/people").status_code == 401
    (key,) = {each["key"] for each in told["alice", "acme"].json if each["name"] == "dave"}
    assert key == str(world.keys["acme", "dave"])


@pytest.mark.databases("sqlite")
def test_a_user_without_a_valid_login_gets_401(world, row_id):
    sent = [{}, {"Authorization": "Bearer x"}, {"X-User": "unknown"}]
    with world.app.app_context():
        tokens = [create_access_token(each) for each in ("999", "unknown")]
        tokens.append(create_refresh_token(str(world.users["alice"])))
    sent += [{"Authorization": f"Bearer {token}"} for token in tokens]
    paths = [f"/{row_id}/grants/users/1", f"/{row_id}/grants/groups/x", f"/{row_id}/transfer"]

    statuses = {
        world.client().put(at("acme", path), json={}, headers=headers).status_code
        for path in paths
        for headers in sent
    }

    assert statuses == {401}


class Endless:
    """A body that counts the bytes read."""

    def __init__(self, size):
        self.size, self.taken = size, 0

    def read(self, size=-1):
        size = self.size - self.taken if size < 0 else min(size, self.size - self.taken)
        self.taken += size
        return b"[" * size


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("name", [None, "bob"])
def test_a_large_body_is_not_read(world, row_id, chunked, name):
    body, size = Endless(60_000_000), {} if chunked else {"CONTENT_LENGTH": "60000000"}
    chunks = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True} if chunked else {}
    tracemalloc.start()

    answer = world.client(name).post(
        at("acme", f"/{row_id}/transfer"),
        content_type="application/json",
        environ_overrides={**size, **chunks, "wsgi.input": body},
    )

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert answer.status_code == (413 if name else 401)
    assert body.taken <= 200_000
    assert peak < 10_000_000
