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
    CredentialNameTakenError,
    InactiveModelError,
    ModelIdTakenError,
    NotFoundError,
    UnreadableCredentialError,
)
from tests import databases
from tests.accounts import ACCOUNTS, attach, body, state
from tests.hosts import CANARY, NEW, OLD, PREFIX, key_id, keys, model
from tests.reference_model import CATEGORY, GROUPS, PEOPLE, ReferenceModel

pytestmark = pytest.mark.slow

# As many runs of as many steps, fewer where a server answers slower; .ci/run asks for more.
RUNS, STEPS = map(int, os.environ.get("TEST_STATE_MACHINE", "2x60").split("x"))

people = st.sampled_from(PEOPLE)
actors = st.one_of(st.none(), st.none(), people)  # none: the owner
numbers = st.integers(0, 11)
names = st.sampled_from(["m", "n", "ö/п", "q"])
urls = st.sampled_from(
    [None, "https://a.example.com", "https://a.example.com/v2", "https://b.example.com"]
)
api_keys = st.integers(0, 999).map(lambda number: f"{CANARY}-{number}")
categories = st.sampled_from(["llm", "embedding", "rerank"])
config_types = st.sampled_from(list(CATEGORY))
scopes = st.sampled_from(["user", "user", "app"])
rights = st.fixed_dictionaries({"can_edit": st.booleans(), "can_delete": st.booleans()})
grantees = st.one_of(
    st.tuples(st.just("users"), people), st.tuples(st.just("groups"), st.sampled_from(["g", "h"]))
)
new_models = st.fixed_dictionaries(
    {"model_id": names, "key": api_keys},
    optional={"category": categories, "base_url": urls, "share_with_users": st.booleans()},
)
changes = st.fixed_dictionaries(
    {},
    optional={
        "model_id": names,
        "key": st.one_of(st.none(), api_keys),
        "category": categories,
        "base_url": urls,
        "description": st.sampled_from([None, "x", "y"]),
        "is_active": st.booleans(),
    },
)
account_names = st.sampled_from(["team", "spare"])
headers = st.dictionaries(st.sampled_from(["X-Team", "X-Cost"]), api_keys)
new_accounts = st.fixed_dictionaries(
    {"name": account_names, "key": api_keys}, optional={"base_url": urls, "headers": headers}
)
account_changes = st.fixed_dictionaries(
    {}, optional={"name": account_names, "base_url": urls, "key": api_keys}
)
secret_changes = st.one_of(
    st.fixed_dictionaries({"key": api_keys}),
    st.fixed_dictionaries(
        {
            "headers": st.dictionaries(
                st.sampled_from(["X-Team", "X-Cost"]), st.one_of(st.none(), api_keys), min_size=1
            )
        },
        optional={"key": api_keys},
    ),
)
several_models = st.lists(
    st.fixed_dictionaries(
        {"model_id": names},
        optional={
            "category": categories,
            "base_url": urls.filter(bool),
            "share_with_users": st.booleans(),
        },
    ),
    min_size=1,
    max_size=3,
)


def sent(fields):
    """Return the fields under their names in requests."""
    return {("api_key" if name == "key" else name): value for name, value in fields.items()}


def sent_of_account(fields):
    """Return the same of a credential, whose secret is one object."""
    names = {"key": "api_key", "headers": "headers"}
    secret = {names[name]: value for name, value in fields.items() if name in names}
    others = {name: value for name, value in fields.items() if name not in names}
    return {**others, **({"secret": secret} if secret else {})}


def machine(processes):
    """Return the state machine's class for a host in two processes with two encryption keys.

    Each encrypts with a key of its own, and decrypts with both.
    """
    host = processes[NEW]

    class Machine(RuleBasedStateMachine):
        @initialize()
        def begin(self):
            host.empty()
            self.reference, self.clients = ReferenceModel(), {}
            self.compared, self.turns = None, itertools.cycle(PEOPLE)
            for name in PEOPLE:
                self.arrive(name)
            for name, model_id in (("ann", "m"), ("ben", "n"), ("cid", "m")):
                self.make(name, {"model_id": model_id, "key": CANARY})
            at = "https://a.example.com"
            for name, base_url, fields in (
                ("ann", None, {"model_id": "n", "share_with_users": True}),
                ("cid", at, {"model_id": "q", "base_url": f"{at}/v2"}),  # at another path
            ):
                self.make_account(name, {"name": "team", "key": CANARY, "base_url": base_url})
                self.make_several(name, max(self.reference.accounts), [fields])

        def arrive(self, name):
            self.clients[name] = host.client(name, is_admin=name in self.reference.admins)

        @rule(user=people)
        def gain_or_lose_the_right_to_share(self, user):
            self.reference.admins ^= {user}
            is_admin = user in self.reference.admins
            is_them = host.User.id == host.user(user)
            host.execute(sa.update(host.User).where(is_them).values(is_admin=is_admin))
            self.compare()

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
        @rule(user=actors, number=numbers, to=people, without_key=st.booleans())
        def transfer(self, user, number, to, without_key):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status = self.reference.transfer(user, row_id, to, without_key=without_key)
            body = {"user": str(host.user(to)), **({"without_key": True} if without_key else {})}
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
            """Delete a user, and add another with the same name, and maybe the same key."""
            has_heir = way == "heir" and new_owner != user
            leaves = self.reference.leave(user, new_owner if has_heir else None, **kept)
            with host.app.app_context():
                gone, session = host.load(user), host.db.session
                if has_heir:
                    try:
                        host.registry.user_deleted(gone, transfer_to=host.load(new_owner), **kept)
                        assert leaves
                    except (ModelIdTakenError, CredentialNameTakenError):
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

        # --- credentials

        def account_id(self, number, user=None):
            """Return the id of some credential, of the user's if they have one; or of none."""
            accounts = self.reference.accounts
            owned = [each for each in sorted(accounts) if accounts[each]["owner"] == user]
            ids = owned or sorted(accounts)
            return ids[number % len(ids)] if ids else 999_999

        def holder(self, number):
            return self.reference.accounts.get(number, {"owner": "ann"})["owner"]

        @rule(user=people, fields=new_accounts)
        def create_credential(self, user, fields):
            self.make_account(user, fields)
            self.compare()

        def make_account(self, user, fields):
            status, expected = self.reference.create_account(user, fields)
            self.created(user, body(**sent_of_account(fields)), status, expected)

        @precondition(lambda self: self.reference.models)
        @rule(user=actors, number=numbers, name=account_names)
        def make_credential_of_a_model(self, user, number, name):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status, expected = self.reference.make_account_of(user, row_id, name)
            made = self.created(user, {"name": name, "from_model": row_id}, status, expected)
            if made:
                self.reference.use_account(row_id, made)
            self.compare()

        def created(self, user, sent, status, expected):
            response = self.clients[user].post(ACCOUNTS, json=sent)
            assert response.status_code == status, response.text
            if status != 201:
                return None
            self.reference.accounts[response.json["id"]] = expected
            return response.json["id"]

        @precondition(lambda self: self.reference.models and self.reference.accounts)
        @rule(user=actors, number=numbers, other=numbers, own=st.sampled_from([1, 1, 1, 0]))
        def attach(self, user, number, other, own):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            account_id = self.account_id(other, user if own else None)
            status = self.reference.attach(user, row_id, account_id)
            response = attach(self.clients[user], row_id, account_id)
            assert response.status_code == status, response.text
            self.compare()

        @precondition(lambda self: self.reference.models)
        @rule(user=st.one_of(people, actors), number=numbers, key=st.one_of(st.none(), api_keys))
        def give_a_key_of_its_own(self, user, number, key):
            row_id = self.row_id(number)
            user = user or self.owner(row_id)
            status = self.reference.patch(user, row_id, {"key": key})
            client, url = self.clients[user], f"{PREFIX}/{row_id}/credential"
            response = client.put(url, json={"api_key": key}) if key else client.delete(url)
            assert response.status_code == (204 if status == 200 else status), response.text
            self.compare()

        @precondition(lambda self: self.reference.accounts and len(self.reference.models) < 10)
        @rule(user=actors, number=numbers, models=several_models)
        def register_several(self, user, number, models):
            account_id = self.account_id(number)
            self.make_several(user or self.holder(account_id), account_id, models)
            self.compare()

        def make_several(self, user, account_id, models):
            status, expected = self.reference.register_all(user, account_id, models)
            sent = {"models": [{"model_name": "m", **each} for each in models]}
            response = self.clients[user].post(f"{ACCOUNTS}/{account_id}/models", json=sent)
            assert response.status_code == status, response.text
            if status == 201:
                ids = [each["id"] for each in response.json]
                self.reference.models.update(zip(ids, expected, strict=True))

        @precondition(lambda self: self.reference.accounts)
        @rule(user=actors, number=numbers, fields=account_changes)
        def patch_credential(self, user, number, fields):
            self.change_account(user, number, fields)

        @precondition(lambda self: self.reference.accounts)
        @rule(number=numbers, base_url=urls, key=api_keys)
        def move_credential(self, number, base_url, key):
            self.change_account(None, number, {"base_url": base_url, "key": key})

        def change_account(self, user, number, fields):
            account_id = self.account_id(number)
            user = user or self.holder(account_id)
            status = self.reference.patch_account(user, account_id, fields)
            url = f"{ACCOUNTS}/{account_id}"
            response = self.clients[user].patch(url, json=sent_of_account(fields))
            assert response.status_code == status, response.text
            self.compare()

        @precondition(lambda self: self.reference.accounts)
        @rule(user=actors, number=numbers, key=api_keys, headers=headers)
        def replace_the_secret(self, user, number, key, headers):
            account_id = self.account_id(number)
            user = user or self.holder(account_id)
            status = self.reference.set_secret(user, account_id, key, headers)
            sent = {"api_key": key, "headers": headers}
            response = self.clients[user].put(f"{ACCOUNTS}/{account_id}/secret", json=sent)
            assert response.status_code == status, response.text
            self.compare()

        @precondition(lambda self: self.reference.accounts)
        @rule(user=actors, number=numbers, changes=secret_changes)
        def merge_into_the_secret(self, user, number, changes):
            account_id = self.account_id(number)
            user = user or self.holder(account_id)
            status = self.reference.merge_secret(user, account_id, changes)
            url = f"{ACCOUNTS}/{account_id}/secret"
            response = self.clients[user].patch(url, json=sent(changes))
            assert response.status_code == status, response.text
            self.compare()

        @precondition(lambda self: self.reference.accounts)
        @rule(user=actors, number=numbers, detach=st.booleans())
        def delete_credential(self, user, number, detach):
            account_id = self.account_id(number)
            user = user or self.holder(account_id)
            status = self.reference.delete_account(user, account_id, detach=detach)
            url = f"{ACCOUNTS}/{account_id}" + ("?detach=true" if detach else "")
            response = self.clients[user].delete(url)
            assert response.status_code == status, response.text
            self.compare()

        @rule(entry=st.sampled_from([OLD, NEW]))
        def rotate(self, entry):
            output, status = processes[entry].run("rotate-keys")
            assert status == 0, output
            rows = host.rows("models") + host.rows("credentials")
            assert {row.key_id for row in rows} <= {None, key_id(entry)}
            for row_id, each in self.reference.models.items():
                self.resolve(each["owner"], row_id, row_id)
            self.compare()

        # --- what they read

        @precondition(lambda self: self.reference.models)
        @rule(user=people, model_id=names)
        def find_and_resolve(self, user, model_id):
            row_id = self.reference.nearest(user, model_id)
            response = self.clients[user].get(f"{PREFIX}/by-id/{model_id}")
            assert (response.json["id"] if response.status_code == 200 else None) == row_id
            self.resolve(user, model_id, row_id)
            if row_id:
                found, told = self.reference.models[row_id], state(self.clients[user], row_id)
                assert told["is_set"] == (self.reference.secret(found) is not None)
                assert told["status"] == ("readable" if told["is_set"] else "unreadable")
                seen = found["credential"] if found["owner"] == user else None
                assert told["credential"] == seen

        def resolve(self, user, ref, row_id):
            found = self.reference.models.get(row_id)
            with host.app.app_context():
                try:
                    resolved = host.registry.resolve(ref, user=host.load(user))
                    headers = {name: each.reveal() for name, each in resolved.headers.items()}
                    secret = (resolved.api_key.reveal(), headers)
                    assert (resolved.id, secret) == (row_id, self.reference.secret(found))
                    assert found["is_active"]
                except NotFoundError:
                    assert found is None
                except InactiveModelError:
                    assert not found["is_active"]
                except UnreadableCredentialError:
                    assert found["is_active"]
                    assert self.reference.secret(found) is None

        def compare(self):
            """Read as each user, or only as the next one if nothing has changed."""
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
            return {name: host.rows(name) for name in [*names, "credentials"]}

        def compare_rows(self, stored):
            # No orphans, whatever the foreign keys say.
            with host.app.app_context():
                users = {*host.db.session.scalars(sa.select(host.User.id))}
            ids = {row.id for row in stored["models"]}
            assert {row.owner_id for row in stored["models"]} <= users
            assert {row.user_id for row in stored["grants"]} <= users | {None}
            assert {row.user_id for row in stored["defaults"]} <= users
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
            for name in stored.keys() - {"models", "credentials"}:
                assert {row.model_row_id for row in stored[name]} <= ids
            found = {
                row.id: (row.version, row.ciphertext is not None, row.credential_id)
                for row in stored["models"]
            }
            assert found == {
                row_id: (each["version"], each["key"] is not None, each["credential"])
                for row_id, each in self.reference.models.items()
            }
            found = {
                row.id: (name_of[row.owner_id], row.version, sorted(row.secret_names["headers"]))
                for row in stored["credentials"]
            }
            assert found == {
                number: (each["owner"], each["version"], sorted(each["headers"]))
                for number, each in self.reference.accounts.items()
            }

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
            accounts = {
                each["id"]: (each["name"], each["base_url"]) for each in client.get(ACCOUNTS).json
            }
            assert accounts == {
                number: (each["name"], each["base_url"])
                for number, each in self.reference.accounts.items()
                if each["owner"] == user
            }

    return Machine


@pytest.fixture
def four(hosts, canary):
    """A host whose four users are in the groups that the reference knows."""
    host = hosts(groups=lambda user: GROUPS[user.name], config=keys(NEW, OLD))
    other = host.again(**keys(OLD, NEW))
    for each in (host, other):
        with each.app.app_context():
            databases.do_not_wait_for_the_disk(each.db.engine)
    yield {NEW: host, OLD: other}
    canary(other.app)
    other.close()


@pytest.mark.parametrize("half", ["one half", "the other half"])  # for two processes
def test_whatever_users_do_they_see_what_the_rules_say(four, database, half):
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
