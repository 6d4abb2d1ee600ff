"""Calls of the host's own code, from create to resolve, never commit or lose the host's rows."""

import copy
import dataclasses
import inspect
import json
import pickle

import pytest
import sqlalchemy as sa
from flask import Flask

from flask_model_registry import (
    AuthenticationError,
    BlockedAddressError,
    ConfigError,
    ConflictError,
    Filters,
    InactiveModelError,
    ModelIdTakenError,
    ModelRegistry,
    NoAddressError,
    NotFoundError,
    Provider,
    RegistryError,
    UnreadableCredentialError,
    ValidationError,
)
from tests.hosts import CANARY, PREFIX, model, register


@pytest.fixture
def inside(host):
    """The host, in an app context."""
    host.user("alice")
    with host.app.app_context():
        yield host


def test_a_model_made_in_python_is_the_same_over_http(inside, alice):
    created = inside.registry.create(user=inside.load("alice"), **model(temperature=1))
    inside.db.session.commit()

    assert alice.get(f"{PREFIX}/{created['id']}").json == created
    assert inside.registry.get(created["id"], user=inside.load("alice")) == created
    assert inside.registry.get("gpt-4o", user=inside.load("alice")) == created
    assert inside.registry.list(user=inside.load("alice")) == [created]


def test_nothing_is_committed(inside):
    inside.registry.create(user=inside.load("alice"), **model(abilities=["chat"]))
    inside.db.session.rollback()

    assert inside.registry.list(user=inside.load("alice"), is_active=None) == []
    assert inside.rows("abilities") == []


def test_nothing_is_committed_when_the_savepoint_comes_first(inside):
    key = inside.user("alice")
    inside.db.session.rollback()
    user = inside.User(name="transient")
    setattr(user, sa.inspect(inside.User).primary_key[0].key, key)
    sa.orm.make_transient_to_detached(user)

    inside.registry.create(user=user, **model())
    inside.db.session.rollback()

    assert inside.rows("models") == []


def test_a_conflict_leaves_the_hosts_pending_rows(inside):
    alice = inside.load("alice")
    inside.registry.create(user=alice, **model())
    inside.db.session.add(inside.User(name="pending"))

    with pytest.raises(ModelIdTakenError):
        inside.registry.create(user=alice, **model())
    inside.db.session.commit()

    names = inside.db.session.scalars(sa.select(inside.User.name)).all()
    assert sorted(names) == ["alice", "pending"]
    assert len(inside.rows("models")) == 1


@pytest.mark.parametrize("error", [ValidationError, ModelIdTakenError])
def test_a_conflict_works_with_a_pool_of_one(hosts, error):
    host = hosts(config={"SQLALCHEMY_ENGINE_OPTIONS": {"pool_size": 1, "max_overflow": 0}})
    host.user("alice")
    fields = model() if error is ModelIdTakenError else model(model_id="")
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **model())
        host.db.session.add(host.User(name="pending"))
        with pytest.raises(error):
            host.registry.create(user=host.load("alice"), **fields)
        host.db.session.commit()

    with host.app.app_context():
        assert host.db.session.scalar(sa.select(sa.func.count()).select_from(host.User)) == 2


def test_a_user_who_was_only_added_is_flushed(inside):
    user = inside.User(name="new")
    inside.db.session.add(user)

    created = inside.registry.create(user=user, **model())

    assert inside.registry.get(created["id"], user=user)["is_owner"]


def test_a_user_who_is_not_in_the_database_is_an_error_that_names_the_fix(inside):
    with pytest.raises(ConfigError, match="add it to the session first"):
        inside.registry.create(user=inside.User(name="nowhere"), **model())


def test_a_user_of_another_class_is_an_error(inside):
    with pytest.raises(ConfigError, match="must be a User object, not of type int"):
        inside.registry.list(user=inside.user("alice"))


def test_an_owner_who_is_gone_is_a_conflict(inside):
    alice = inside.load("alice")
    inside.db.session.expunge(alice)
    inside.execute(sa.delete(inside.User))

    with pytest.raises(ConflictError, match="its owner may be gone"):
        inside.registry.create(user=alice, **model())


def test_without_a_request_there_must_be_a_user(inside):
    with pytest.raises(AuthenticationError, match="pass 'user'"):
        inside.registry.list()


@pytest.mark.databases("sqlite")
def test_in_a_request_the_user_is_the_requests(hosts):
    host = hosts()

    @host.app.get("/count")
    def count():
        return {"models": len(host.registry.list())}

    client = host.client("alice")
    client.post(f"{PREFIX}/register", json=model())

    assert client.get("/count").json == {"models": 1}


def test_an_app_without_the_registry_is_an_error_that_names_the_fix(host):
    host.user("alice")
    app = Flask("without")
    app.config.update(host.app.config)
    host.db.init_app(app)
    with app.app_context():
        alice = host.load("alice")
        with pytest.raises(ConfigError, match=r"registry.init_app\(app\)"):
            host.registry.create(user=alice, **model())
        host.db.session.remove()
        host.db.engine.dispose()


def test_the_registry_of_another_app_is_not_this_ones(hosts):
    host, other = hosts(), hosts()
    host.user("alice")
    with host.app.app_context(), pytest.raises(ConfigError, match="does not have this registry"):
        other.registry.list(user=host.load("alice"))


def test_fields_are_validated_as_over_http(inside):
    with pytest.raises(ValidationError) as caught:
        inside.registry.create(user=inside.load("alice"), model_id="", colour=CANARY)

    fields = {field for field, _ in caught.value.errors}
    assert fields == {"model_id", "model_provider", "model_name", "api_key", "colour"}


@pytest.mark.parametrize("ref", [0, -1, 2**31, True, "", "a b", "ä", None, 1.0])
def test_a_reference_that_cannot_be_is_not_found(inside, ref):
    with pytest.raises(NotFoundError):
        inside.registry.get(ref, user=inside.load("alice"))


def test_lists_go_on_after_the_last_one(inside):
    alice = inside.load("alice")
    for number in range(5):
        inside.registry.create(user=alice, **model(model_id=f"m{number}"))

    first = inside.registry.list(user=alice, limit=2)
    rest = inside.registry.list(user=alice, after=first[-1]["id"])
    back = inside.registry.list(user=alice, descending=True, after=first[-1]["id"])

    assert [each["model_id"] for each in first + rest] == ["m0", "m1", "m2", "m3", "m4"]
    assert [each["model_id"] for each in back] == ["m0"]


# For every call, its arguments beside users, and other values that it may get.
ARGUMENTS = {
    "create": {**model(), **dict.fromkeys(["category", "base_url", "temperature", "dimension"])},
    "get": {"ref": "m"},
    "list": dict.fromkeys([*vars(Filters()), "colour"]),
    "summary": dict.fromkeys([*vars(Filters()), "colour"]),
    "update": {"ref": "m", **dict.fromkeys(["abilities", "description", "is_active", "colour"])},
    "delete": {"ref": "m"},
    "grant": {"ref": "m", "group": "g", "can_edit": True},
    "revoke": {"ref": "m", "group": "g"},
    "grants": {"ref": "m"},
    "transfer": {"ref": "m", "to": None},
    "user_deleted": {"transfer_to": None},
    "set_default": {"config_type": "general", "ref": "m", "scope": "user"},
    "default": {"config_type": "general"},
    "resolve": {"ref": "m"},
    "explain": {"ref": "m"},
    "create_credential": {
        "name": "new", "model_provider": "openai", "secret": {"api_key": CANARY}, "settings": {},
        **dict.fromkeys(
            ["base_url", "kind", "expires_at", "from_model", "reference", "colour"]
        ),
    },
    "credentials": {},
    "credential": {"credential_id": 1},
    "update_credential": {
        "credential_id": 1, "name": "renamed",
        **dict.fromkeys(["model_provider", "base_url", "secret", "settings", "expires_at"]),
        **dict.fromkeys(["reference", "colour"]),
    },
    "set_secret": {"credential_id": 1, "api_key": CANARY, **dict.fromkeys(["headers", "reference", "colour"])},
    "update_secret": {"credential_id": 1, "api_key": CANARY, **dict.fromkeys(["headers", "reference", "colour"])},
    "delete_credential": {"credential_id": 1, "detach": True},
    "use_credential": {"ref": "m", "credential_id": 1},
    "create_models": {"credential_id": 1, "models": [{"model_id": "n", "model_name": "n"}]},
    "details": {"ref": "m"},
    "parameters": {"ref": "m"},
    "set_parameters": {"ref": "m", "parameters": {}, "info": {}},
}  # fmt: skip
ODD = [
    -1,
    2**70,
    1.5,
    float("nan"),
    True,
    "",
    "\ud800",
    "a\0",
    b"m",
    ["a", "a"],
    {"a": 1},
    object(),
]


def test_one_except_is_enough_whatever_a_call_is_given(hosts):
    """An object that is not a user is the exception, because that is a bug in the app."""
    host = hosts(groups=lambda user: ["g"])
    host.user("alice"), host.user("bob")
    others = {}
    with host.app.app_context():
        alice, bob, session = host.load("alice"), host.load("bob"), host.db.session
        host.registry.create(user=alice, **model(model_id="m"))
        account = {"name": "team", "model_provider": "openai", "secret": {"api_key": CANARY}}
        assert host.registry.create_credential(user=alice, **account)["id"] == 1
        for call, arguments in ARGUMENTS.items():
            usual = {name: value for name, value in arguments.items() if value is not None}
            usual |= {name: bob for name in ("to", "transfer_to") if name in arguments}
            for name in {*arguments} - {"to", "transfer_to"}:
                for odd in ODD:
                    savepoint = session.begin_nested()
                    try:
                        getattr(host.registry, call)(**{"user": alice, **usual, name: odd})
                    except RegistryError:
                        pass
                    except Exception as error:  # whichever it is
                        others[call, name, repr(odd)] = error
                    savepoint.rollback()

    public = {
        name for name, _ in inspect.getmembers(ModelRegistry, inspect.isfunction) if name[0] != "_"
    }
    assert public - {"init_app", "check_keys"} == {*ARGUMENTS}
    assert others == {}


@pytest.fixture
def resolved(inside):
    alice = inside.load("alice")
    inside.registry.create(user=alice, **model(abilities=["chat"], temperature=0.5))
    return inside.registry.resolve("gpt-4o", user=alice)


def test_a_resolved_model_can_be_called(resolved):
    assert resolved.model_name == "gpt-4o-2024-11-20"
    assert resolved.abilities == ("chat",)
    assert resolved.openai_kwargs() == {
        "api_key": CANARY,
        "base_url": "https://api.openai.com/v1",
    }


def test_a_resolved_model_has_its_own_address_before_the_providers(inside):
    body = model(base_url="https://llm.example.com/v1")
    created = inside.registry.create(user=inside.load("alice"), **body)

    resolved = inside.registry.resolve(created["id"], user=inside.load("alice"))

    assert resolved.base_url == "https://llm.example.com/v1"


def test_a_resolved_model_does_not_show_its_key(resolved, caplog):
    texts = [
        repr(resolved),
        str(resolved),
        f"{resolved}",
        f"{resolved.api_key}",
        "%s" % resolved.api_key,
    ]
    texts += [
        repr(dataclasses.asdict(resolved)),
        repr(vars(resolved)),
        repr(copy.deepcopy(resolved)),
    ]
    texts += [
        repr(copy.copy(resolved.api_key)),
        json.dumps(dataclasses.asdict(resolved), default=str),
    ]

    assert all("canary" not in text for text in texts)
    with pytest.raises(TypeError):
        json.dumps(resolved.api_key)
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(resolved)


def test_a_resolved_model_cannot_be_changed(resolved):
    with pytest.raises(dataclasses.FrozenInstanceError):
        resolved.base_url = "https://evil.example.com"


class Counting:
    """A secret box that counts what it opens."""

    def __init__(self):
        self.opened = 0

    def seal(self, plaintext, context):
        return f"{context}|{plaintext[::-1]}".encode()

    def open(self, blob, context):
        self.opened += 1
        return blob.decode().removeprefix(f"{context}|")[::-1]


@pytest.fixture
def counting(hosts):
    box = Counting()
    host = hosts(secret_box=box, config={"MODEL_REGISTRY_ENCRYPTION_KEYS": None})
    host.user("alice")
    host.user("bob")
    with host.app.app_context():
        yield host, box


@pytest.mark.databases("sqlite")
def test_a_secret_box_of_the_hosts_own_needs_two_methods(counting):
    host, box = counting
    host.registry.create(user=host.load("alice"), **model())

    resolved = host.registry.resolve("gpt-4o", user=host.load("alice"))

    assert resolved.api_key.reveal() == CANARY
    host.db.session.commit()
    (row,) = host.rows("models")
    assert row.key_id is None


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("ref", ["gpt-4o", "id"])
def test_a_stranger_opens_nothing(counting, ref):
    host, box = counting
    created = host.registry.create(user=host.load("alice"), **model())

    with pytest.raises(NotFoundError):
        host.registry.resolve(created["id"] if ref == "id" else ref, user=host.load("bob"))

    assert box.opened == 0


@pytest.mark.databases("sqlite")
def test_lists_and_reads_open_nothing(counting):
    host, box = counting
    host.registry.create(user=host.load("alice"), **model())

    host.registry.list(user=host.load("alice"))
    host.registry.get("gpt-4o", user=host.load("alice"))

    assert box.opened == 0


@pytest.mark.sampled(6)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("provider", "base_url", "called", "root"),
    [
        ("openai", None, "https://api.openai.com/v1", "https://api.openai.com"),
        ("claude", None, "https://api.anthropic.com/v1", "https://api.anthropic.com"),
        ("claude", "https://a.example/v1/", "https://a.example/v1/", "https://a.example"),
        ("claude", "https://a.example", "https://a.example/v1", "https://a.example"),
        ("openai", "https://v1", "https://v1", "https://v1"),
        ("vllm", "https://v1/v1", "https://v1/v1", "https://v1"),
        ("bedrock", "https://a.example/v1", "https://a.example/v1", "https://a.example"),
        ("azure", "https://a.example", "https://a.example/openai/v1", "https://a.example"),
        ("azure", "https://openai/openai", "https://openai/openai/v1", "https://openai"),
        (
            "gemini",
            None,
            "https://generativelanguage.googleapis.com/v1beta/openai",
            "https://generativelanguage.googleapis.com",
        ),
        (
            "gemini",
            "https://a.example/v1beta",
            "https://a.example/v1beta/openai",
            "https://a.example",
        ),
        ("cohere", None, "https://api.cohere.ai/compatibility/v1", "https://api.cohere.ai"),
        (
            "cohere",
            "https://a.example/v2/",
            "https://a.example/compatibility/v1",
            "https://a.example",
        ),
        ("ollama", "https://a.example", "https://a.example/v1", "https://a.example"),
        ("groq", None, "https://api.groq.com/openai/v1", "https://api.groq.com"),
        ("openrouter", None, "https://openrouter.ai/api/v1", "https://openrouter.ai/api"),
        ("zhipu", None, *["https://open.bigmodel.cn/api/paas/v4"] * 2),
        ("vertex", "https://a.example/x", "https://a.example/x", "https://a.example/x"),
    ],
)
def test_the_arguments_of_sdks(hosts, provider, base_url, called, root):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["v1", "openai"]})
    host.user("alice")
    with host.app.app_context():
        alice = host.load("alice")
        fields = model(model_provider=provider, base_url=base_url, model_name="a/b")
        host.registry.create(user=alice, **fields)
        resolved = host.registry.resolve("gpt-4o", user=alice)

    key = {"api_key": CANARY}
    assert resolved.openai_kwargs() == {**key, "base_url": called}
    assert resolved.litellm_kwargs() == {**key, "model": "openai/a/b", "api_base": called}
    assert resolved.llamaindex_kwargs() == {
        **key, "model": "a/b", "api_base": called, "is_chat_model": True
    }  # fmt: skip
    assert resolved.root == root
    dialects = {"claude": "anthropic", "vertex": None, "azure": "azure-openai"}
    same = {"cohere", "gemini", "ollama"}
    assert resolved.dialect == dialects.get(provider, provider if provider in same else "openai")


def test_an_inactive_model_does_not_resolve(inside, resolved):
    inside.db.session.execute(inside.registry.tables.models.update().values(is_active=False))

    with pytest.raises(InactiveModelError):
        inside.registry.resolve("gpt-4o", user=inside.load("alice"))


def test_a_model_without_a_key_does_not_resolve(inside, resolved, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from the environment")
    inside.db.session.execute(inside.registry.tables.models.update().values(ciphertext=None))

    with pytest.raises(UnreadableCredentialError, match="no API key"):
        inside.registry.resolve("gpt-4o", user=inside.load("alice"))


def test_the_environment_changes_nothing(inside, resolved, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "from the environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "https://evil.example.com")

    again = inside.registry.resolve("gpt-4o", user=inside.load("alice"))
    assert again.openai_kwargs() == resolved.openai_kwargs()


@pytest.mark.databases("sqlite")
def test_a_provider_of_the_hosts_own_has_its_address(hosts):
    acme = Provider("acme", "Acme", "https://ai.acme.example/v1", aliases=("acme-ai",))
    host = hosts(providers=[acme])
    host.user("alice")
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **model(model_provider="ACME-AI"))

        resolved = host.registry.resolve("gpt-4o", user=host.load("alice"))

    assert (resolved.model_provider, resolved.base_url) == ("acme", "https://ai.acme.example/v1")


def test_a_failure_of_the_hosts_own_rows_is_the_hosts(inside):
    alice = inside.load("alice")
    twin = inside.User(name="twin")
    twin.id = alice.id
    inside.db.session.expunge(alice)
    inside.db.session.add(twin)

    with pytest.raises(sa.exc.IntegrityError):
        inside.registry.create(user=alice, **model())


@pytest.mark.parametrize(
    "filters",
    [
        {"limit": 0},
        {"limit": -1},
        {"limit": "5"},
        {"after": 2**40},
        {"after": "1"},
        {"q": "a\0"},
        {"q": "\ud800"},
        {"q": 5},
        {"ability": "é"},
        {"model_id": "a b"},
        {"model_id": 5},
        {"model_id": "a\0"},
        {"category": ["llm"]},
        {"category": "zzz"},
        {"is_active": "all"},
        {"owned": 1},
    ],
)
def test_a_filter_that_no_database_takes_harms_no_transaction(inside, filters):
    inside.db.session.add(inside.User(name="pending"))

    with pytest.raises(ValidationError) as caught:
        inside.registry.list(user=inside.load("alice"), **filters)
    inside.db.session.commit()

    assert [field for field, _ in caught.value.errors] == list(filters)


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        (
            {"sort": "name"},
            "sort: Must be one of: id, model_id, model_provider, updated_at, tested_at.",
        ),
        ({"limit": 0}, "limit: Must be a whole number from 1 to 2147483647."),
        ({"owned": "true"}, "owned: Must be a boolean."),
    ],
)
def test_the_error_about_a_filter_says_what_it_must_be(inside, filters, message):
    with pytest.raises(ValidationError) as caught:
        inside.registry.list(user=inside.load("alice"), **filters)

    assert str(caught.value) == message


def test_a_validation_error_holds_no_key_for_those_who_read_tracebacks(inside):
    with pytest.raises(ValidationError) as caught:
        inside.registry.create(user=inside.load("alice"), **model(model_id=""))

    assert caught.value.__context__ is None


@pytest.mark.databases("sqlite")
def test_a_provider_has_an_id_in_lower_case(hosts):
    with pytest.raises(ConfigError, match="the id and aliases of a Provider"):
        hosts(providers=[Provider("Acme", "Acme")])


@pytest.mark.databases("sqlite")
def test_a_provider_that_is_not_known_any_more_gives_no_key_away(hosts):
    host = hosts(providers=[Provider("acme", "Acme", "https://ai.acme.example/v1")])
    host.user("alice")
    later = Flask("later")
    later.config.update(host.app.config)
    host.db.init_app(later)
    registry = ModelRegistry(host.db, host.User)
    registry.init_app(later)
    with host.app.app_context():
        host.registry.create(user=host.load("alice"), **model(model_provider="acme"))
        host.db.session.commit()

    with later.app_context(), pytest.raises(NoAddressError, match="Give the model a base_url"):
        registry.resolve("gpt-4o", user=host.db.session.get(host.User, host.user("alice")))

    with later.app_context():
        host.db.engine.dispose()


@pytest.mark.databases("sqlite")
def test_a_provider_at_an_address_that_is_not_allowed_is_refused(hosts):
    providers = [Provider("acme", "Acme", "http://acme.internal:8000/v1")]

    with pytest.raises(ConfigError, match=r"Provider 'acme' .* MODEL_REGISTRY_ALLOWED_HOSTS"):
        hosts(providers=providers)
    host = hosts(providers=providers, config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["acme.internal"]})
    with host.app.app_context():
        alice = host.load("alice")
        host.registry.create(user=alice, **model(model_provider="acme"))

        resolved = host.registry.resolve("gpt-4o", user=alice)
    assert resolved.base_url == "http://acme.internal:8000/v1"


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("base_url", ["http://localhost:8000/v1", "https://10.0.0.1/v1"])
def test_an_address_that_is_not_allowed_any_more_is_not_resolved(hosts, base_url):
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost", "10.0.0.0/8"]})
    (row_id,) = register(host.client("alice"), "m", base_url=base_url)
    host.client("alice").put(f"{PREFIX}/defaults/general", json={"id": row_id})
    later = host.again(MODEL_REGISTRY_ALLOWED_HOSTS=[])
    with later.app.app_context():
        alice = later.load("alice")

        with pytest.raises(BlockedAddressError, match="MODEL_REGISTRY_ALLOWED_HOSTS"):
            later.registry.resolve("m", user=alice)
        with pytest.raises(NotFoundError):
            later.registry.default("general", user=alice)
        problems = later.registry.explain("m", user=alice).problems

    assert "MODEL_REGISTRY_ALLOWED_HOSTS" in problems[0]
    assert later.client("alice").get(f"{PREFIX}/defaults").json == []
    assert later.client("alice").get(f"{PREFIX}/{row_id}").json["base_url"] == base_url
    later.close()


@pytest.mark.databases("sqlite")
def test_a_registry_of_another_app_is_refused(hosts):
    host = hosts()
    host.user("alice")
    another = ModelRegistry(host.db, host.User)

    with host.app.app_context(), pytest.raises(ConfigError, match="does not have this registry"):
        another.list(user=host.load("alice"))


def test_a_detached_user_object_is_accepted(hosts):
    host = hosts()
    host.user("alice")
    with host.app.app_context():
        alice = host.load("alice")
        host.db.session.commit()
        host.db.session.remove()

        assert host.registry.list(user=alice) == []


@pytest.mark.parametrize("autoflush", [True, False])
def test_pending_rows_are_flushed_just_as_the_host_wants(inside, autoflush):
    alice, pending = inside.load("alice"), inside.User(name="pending")
    inside.db.session.add(pending)
    inside.db.session.autoflush = autoflush

    inside.registry.list(user=alice)

    assert (pending in inside.db.session.new) is not autoflush
