"""Anything that any user may do, in any order, checked against a reference model over plain dicts."""

import copy
import itertools
import os
from collections import Counter

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from flask_model_registry import (
    InactiveModelError,
    ModelIdTakenError,
    NotFoundError,
    UnreadableCredentialError,
)
from tests import databases
from tests.hosts import CANARY, PREFIX, model
from tests.reference_model import ADMINS, CATEGORY, GROUPS, PEOPLE, ReferenceModel

pytestmark = pytest.mark.slow

# As many runs of as many steps, fewer where a server answers slower; .ci/run asks for more.
RUNS, STEPS = map(int, os.environ.get("TEST_STATE_MACHINE", "2x60").split("x"))

people = st.sampled_from(PEOPLE)
actors = st.one_of(st.none(), st.none(), people)  # none: the owner
numbers = st.integers(0, 11)
names = st.sampled_from(["m", "n", "o/p", "q"])
urls = st.sampled_from(
    [None, "https://a.example.com", "https://a.example.com/v2", "https://b.example.com"]
)
keys = st.integers(0, 999).map(lambda number: f"{CANARY}-{number}")
categories = st.sampled_from(["llm", "embedding", "rerank"])
config_types = st.sampled_from(list(CATEGORY))
scopes = st.sampled_from(["user", "user", "app"])
rights = st.fixed_dictionaries({"can_edit": st.booleans(), "can_delete": st.booleans()})
grantees = st.one_of(
    st.tuples(st.just("users"), people), st.tuples(st.just("groups"), st.sampled_from(["g", "h"]))
)
new_models = st.fixed_dictionaries(
    {"model_id": names, "key": keys},
    optional={"category": categories, "base_url": urls, "share_with_users": st.booleans()},
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "model_id": names,
        "key": st.one_of(st.none(), keys),
        "category": categories,
        "base_url": urls,
        "description": st.sampled_from([None, "x", "y"]),
        "is_active": st.booleans(),
    },
)


def sent(fields):
    """Return the fields under the names of the wire."""
    return {("api_key" if name == "key" else name): value for name, value in fields.items()}


def machine(host):
    """Return the state machine's class for a host."""

    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            host.empty()
            self.reference, self.clients = ReferenceModel(), {}
            self.compared, self.turns = None, itertools.cycle(PEOPLE)
            for name in PEOPLE:
                self.arrive(name)
            for name, model_id in (("ann", "m"), ("ben", "n"), ("cid", "m"), ("cid", "q")):
                self.make(name, {"model_id": model_id, "key": CANARY})

        def arrive(self, name):
            self.clients[name] = host.client(name, is_admin=name in ADMINS)

        def row_id(self, number):
            """Return the id of some model; or of none."""
            ids = sorted(self.reference.models)
            return ids[number % len(ids)] if ids else 999_999

        def name(self, kind, name):
            return str(host.user(name)) if kind == "users" else name

        @precondition(lambda self: len(self.reference.models) < 10)
        @rule(user=people, fields=new_models)
        def register(self, user, fields):
            self.make(user, fields)
            self.compare()

        def make(self, user, fields):
            status, expected = self.reference.register(user, fields)
            response = self.clients[user].post(f"{PREFIX}/register", json=model(**sent(fields)))
            assert response.status_code == status, response.text
            if status == 201:
                self.reference.models[response.json["id"]] = expected

        @precondition(lambda self: self.reference.models)
        @rule(user=actors, number=numbers, fields=changes)
        def patch(self, user, number, fields):
            self.change(user, number, fields)

        @precondition(lambda self: self.reference.models)
        @rule(user=actors, number=numbers, shared=st.booleans())
        def share(self, user, number, shared):
            self.change(user, number, {"share_with_users": shared})

        @precondition(lambda self: self.editors())
        @rule(number=st.integers(0, 99), fields=changes)
        def patch_as_a_grantee(self, number, fields):
            editors = self.editors()
            user, row_number = editors[number % len(editors)]
            self.change(user, row_number, fields)

        def editors(self):
            """Return pairs of a user and the number of another user's model that they may edit."""
            models = [self.reference.models[row_id] for row_id in sorted(self.reference.models)]
            return [(user, number) for number, each in enumerate(models) for user in PEOPLE
                    if each["owner"] != user and self.reference.may(user, each, "can_edit")]  # fmt: skip

        def change(self, user, number, fields):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status = self.reference.patch(user, row_id, fields)
            self.changed(user, row_id, status, f"/{row_id}", fields)

        @precondition(lambda self: self.reference.models)
        @rule(user=people, model_id=names, fields=changes)
        def patch_by_name(self, user, model_id, fields):
            row_id, status = self.reference.to_change(user, model_id)
            status = status or self.reference.patch(user, row_id, fields)
            self.changed(user, row_id, status, f"/by-id/{model_id}", fields)

        def changed(self, user, row_id, status, address, fields):
            response = self.clients[user].patch(PREFIX + address, json=sent(fields))
            assert response.status_code == status, response.text
            if status == 200:
                changed = self.reference.models[row_id]
                flags = "".join(str(int(flag)) for flag in self.reference.flags(user, changed))
                assert response.headers["ETag"] == f'"{row_id}-{changed["version"]}-{flags}"'
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(user=st.one_of(people, actors), number=numbers)
        def delete(self, user, number):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status = self.reference.delete(user, row_id)
            assert self.clients[user].delete(f"{PREFIX}/{row_id}").status_code == status
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(user=people, model_id=names)
        def delete_by_name(self, user, model_id):
            row_id, status = self.reference.to_change(user, model_id)
            status = status or self.reference.delete(user, row_id)
            assert self.clients[user].delete(f"{PREFIX}/by-id/{model_id}").status_code == status
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(number=numbers, grantee=grantees, rights=rights, user=actors)
        def grant(self, number, grantee, rights, user):
            row_id, (kind, name) = self.row_id(number), grantee
            user = user or self.owner(row_id)
            status = self.reference.grant(user, row_id, kind, name, rights)
            address = f"{PREFIX}/{row_id}/grants/{kind}/{self.name(kind, name)}"
            assert self.clients[user].put(address, json=rights).status_code == status
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(number=numbers, grantee=grantees, user=actors)
        def revoke(self, number, grantee, user):
            self.take_back(number, grantee, user)

        @precondition(lambda self: self.grants())
        @rule(number=st.integers(0, 99))
        def revoke_what_was_granted(self, number):
            granted = self.grants()
            self.take_back(*granted[number % len(granted)], None)

        @precondition(lambda self: self.grants())
        @rule(number=st.integers(0, 99))
        def decline_what_was_granted(self, number):
            granted = [each for each in self.grants() if each[1][0] == "users"]
            if granted:
                row_number, grantee = granted[number % len(granted)]
                self.take_back(row_number, grantee, grantee[1])

        def grants(self):
            """Return each grant there is: the number of its model, and whom it is to."""
            models = (self.reference.models[row_id] for row_id in sorted(self.reference.models))
            return [(number, (kind, name)) for number, each in enumerate(models)
                    for kind in ("users", "groups") for name in each[kind]]  # fmt: skip

        def take_back(self, number, grantee, user):
            row_id, (kind, name) = self.row_id(number), grantee
            user = user or self.owner(row_id)
            status = self.reference.revoke(user, row_id, kind, name)
            address = f"{PREFIX}/{row_id}/grants/{kind}/{self.name(kind, name)}"
            assert self.clients[user].delete(address).status_code == status
            self.compare()

        def owner(self, row_id):
            return self.reference.models.get(row_id, {"owner": "ann"})["owner"]

        @precondition(lambda self: self.reference.models)
        @rule(user=actors, number=numbers, to=people)
        def transfer(self, user, number, to):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status = self.reference.transfer(user, row_id, to)
            body = {"user": str(host.user(to))}
            response = self.clients[user].post(f"{PREFIX}/{row_id}/transfer", json=body)
            assert response.status_code == status, response.text
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(user=people, config_type=config_types, number=numbers, scope=scopes)
        def set_default(self, user, config_type, number, scope):
            self.choose(user, config_type, self.row_id(number), scope)

        @rule(user=people, number=numbers, scope=scopes)
        def set_default_to_what_one_sees(self, user, number, scope):
            seen = sorted(self.reference.listed(user))
            row_id = seen[number % len(seen)] if seen else 999_999
            category = self.reference.models[row_id]["category"] if seen else "llm"
            (config_type, *_) = [name for name, each in CATEGORY.items() if each == category]
            self.choose(user, config_type, row_id, scope)

        def choose(self, user, config_type, row_id, scope):
            status = self.reference.set_default(user, config_type, row_id, scope)
            address = f"{PREFIX}/defaults/{config_type}?scope={scope}"
            response = self.clients[user].put(address, json={"id": row_id})
            assert response.status_code == status, response.text
            self.compare()

        @rule(user=people, config_type=config_types, scope=scopes)
        def clear_default(self, user, config_type, scope):
            status = self.reference.clear_default(user, config_type, scope)
            address = f"{PREFIX}/defaults/{config_type}?scope={scope}"
            assert self.clients[user].delete(address).status_code == status
            self.compare()

        @precondition(lambda self: len(self.reference.models) > 3)
        @rule(
            user=people,
            way=st.sampled_from(["orm", "sql", "registry", "heir"]),
            new_owner=people,
            kept=st.fixed_dictionaries(
                {"keep_grants": st.booleans(), "keep_active": st.booleans()}
            ),
        )
        def leave(self, user, way, new_owner, kept):
            """Delete a user; another one of the same name, and maybe the same key, comes."""
            has_heir = way == "heir" and new_owner != user
            leaves = self.reference.leave(user, new_owner if has_heir else None, **kept)
            with host.app.app_context():
                gone, session = host.load(user), host.db.session
                if has_heir:
                    try:
                        host.registry.user_deleted(gone, transfer_to=host.load(new_owner), **kept)
                        assert leaves
                    except ModelIdTakenError:
                        assert not leaves
                elif way == "registry":
                    host.registry.user_deleted(gone)
                if leaves and way == "sql":
                    session.execute(sa.delete(host.User).where(host.User.id == host.user(user)))
                elif leaves:
                    session.delete(gone)
                session.commit()
            if leaves:
                del host.users[user]
                self.arrive(user)
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(user=people, model_id=names)
        def find_and_resolve(self, user, model_id):
            row_id = self.reference.nearest(user, model_id)
            response = self.clients[user].get(f"{PREFIX}/by-id/{model_id}")
            assert (response.json["id"] if response.status_code == 200 else None) == row_id
            found = self.reference.models.get(row_id)
            with host.app.app_context():
                try:
                    resolved = host.registry.resolve(model_id, user=host.load(user))
                    assert (resolved.id, resolved.api_key.reveal()) == (row_id, found["key"])
                    assert found["is_active"]
                except NotFoundError:
                    assert found is None
                except InactiveModelError:
                    assert not found["is_active"]
                except UnreadableCredentialError:
                    assert found["is_active"]
                    assert found["key"] is None

        def compare(self):
            """Read as each user; as one of them in turn where nothing has changed since."""
            stored = self.stored()
            known = stored, {**host.users}, copy.deepcopy(vars(self.reference))
            if known == self.compared:
                self.compare_for(next(self.turns))
                return
            for user in PEOPLE:
                self.compare_for(user)
            self.compare_rows(stored)
            self.compared = known

        def stored(self):
            """Return all rows of all tables of the registry."""
            tables = [table for table, _ in host.registry.tables.by_model()]
            names = [table.name.removeprefix("model_registry_") for table in tables]
            return {name: host.rows(name) for name in names}

        def compare_rows(self, stored):
            # No orphans, whatever the foreign keys say.
            with host.app.app_context():
                keys = {*host.db.session.scalars(sa.select(host.User.id))}
            ids = {row.id for row in stored["models"]}
            assert {row.owner_id for row in stored["models"]} <= keys
            assert {row.user_id for row in stored["grants"]} <= keys | {None}
            assert {row.user_id for row in stored["defaults"]} <= keys
            name_of = {key: name for name, key in host.users.items()}
            chosen = {
                (name_of[row.user_id], row.config_type): row.model_row_id
                for row in stored["defaults"]
            }
            assert chosen == self.reference.defaults
            chosen = {row.config_type: row.model_row_id for row in stored["app_defaults"]}
            assert chosen == self.reference.app_defaults
            grants = sum(
                len(each["users"]) + len(each["groups"]) for each in self.reference.models.values()
            )
            assert len(stored["grants"]) == grants
            for name in stored.keys() - {"models"}:
                assert {row.model_row_id for row in stored[name]} <= ids

        def compare_for(self, user):
            client, expected = self.clients[user], self.reference.listed(user)
            shown = client.get(f"{PREFIX}/?is_active=all&limit=100").json
            assert [each["id"] for each in shown] == sorted(expected)
            for each in shown:
                wanted = expected[each["id"]]
                for name in ("model_id", "category", "base_url", "description", "is_active"):
                    assert each[name] == wanted[name]
                assert each["is_shared"] == wanted["share_with_users"]
                flags = tuple(each[name] for name in ("is_owner", "can_edit", "can_delete"))
                assert flags == self.reference.flags(user, wanted)
            counted = client.get(f"{PREFIX}/summary?is_active=all").json["by_category"]
            assert counted == Counter(each["category"] for each in expected.values())
            defaults = client.get(f"{PREFIX}/defaults").json
            found = {
                each["config_type"]: (each["source"], each["model"]["id"]) for each in defaults
            }
            assert found == self.reference.effective(user)

    return Machine


@pytest.fixture
def four(hosts):
    """A host whose four users are in the groups that the reference knows."""
    host = hosts(groups=lambda user: GROUPS[user.name])
    with host.app.app_context():
        databases.do_not_wait_for_the_disk(host.db.engine)
    return host


@pytest.mark.parametrize("half", ["one half", "the other half"])  # for two processes
def test_whatever_people_do_they_see_what_the_rules_say(four, database, half):
    # The first of Hypothesis is the simplest: the same step again and again.
    runs = max(2, RUNS // (2 if database.name == "sqlite" else 10))

    run_state_machine_as_test(
        machine(four),
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
        ),
    )
