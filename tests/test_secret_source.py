"""Secrets that the host keeps: credentials refer to them, and the host decides who may use them."""

import json
import logging
from collections.abc import Mapping

import pytest
import sqlalchemy as sa

from flask_model_registry import (
    ConflictError,
    UnavailableError,
    UnreadableCredentialError,
    ValidationError,
    signals,
)
from tests.accounts import ACCOUNTS, AT, CLOUDS, add, attach, body, create, resolved, state
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, granted, model, register
from tests.upstream import Upstream, answers

OPENAI = "https://api.openai.com"


class Source:
    """A host's vault: who may use which secret, at which origin."""

    def __init__(self):
        self.secrets = {("vault/team", "alice", OPENAI): CANARY}
        self.asked, self.error = [], None

    def __call__(self, name, *, owner, provider, origin):
        self.asked.append((name, owner.name, provider, origin))
        if self.error is not None:
            raise self.error
        return self.secrets.get((name, owner.name, origin))


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def kept(hosts, source):
    """A host with such a vault."""
    return hosts(secret_source=source)


@pytest.fixture
def alice(kept):
    return kept.client("alice")


def refer(client, reference="vault/team", **fields):
    given = body(reference=reference, **fields)
    del given["secret"]
    return client.post(ACCOUNTS, json=given)


def referred(client, **fields):
    response = refer(client, **fields)
    assert response.status_code == 201, response.text
    return response.json


def test_models_of_a_reference_are_called_with_the_hosts_secret(kept, alice, source):
    made = referred(alice)
    first, second = add(alice, made["id"], "a", "b")

    assert (made["reference"], made["secrets"], made["headers"]) == ("vault/team", [], [])
    assert resolved(kept, first).api_key.reveal() == CANARY
    source.secrets["vault/team", "alice", OPENAI] = "sk-rotated"
    assert resolved(kept, second).openai_kwargs()["api_key"] == "sk-rotated"
    assert source.asked == [("vault/team", "alice", "openai", OPENAI)] * 3
    (row,) = kept.rows("credentials")
    assert (row.reference, row.ciphertext, row.key_id) == ("vault/team", None, None)
    assert row.secret_names == {"secrets": [], "headers": []}


def test_the_host_may_return_headers_and_its_dict_stays_unchanged(kept, alice, source):
    whole = {"api_key": CANARY, "headers": {"X-Team": CANARY + "-header"}}
    source.secrets["vault/team", "alice", OPENAI] = whole
    made = referred(alice, settings={"organization": "org-1"})
    (row_id,) = add(alice, made["id"], "a")

    found = resolved(kept, row_id)

    assert found.headers["X-Team"].reveal() == CANARY + "-header"
    assert found.settings == {"organization": "org-1"}
    assert whole == {"api_key": CANARY, "headers": {"X-Team": CANARY + "-header"}}


def test_the_source_gets_the_owner_and_not_the_user_of_the_model(kept, alice, source):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    granted(alice, row_id, user=kept.user("bob"))
    source.asked.clear()

    assert resolved(kept, row_id, "bob").api_key.reveal() == CANARY

    assert source.asked == [("vault/team", "alice", "openai", OPENAI)]
    bob = kept.client("bob")
    assert bob.get(f"{ACCOUNTS}/{made['id']}").status_code == 404
    assert "vault/team" not in bob.get(f"{PREFIX}/{row_id}/credential").text


def test_an_unknown_reference_looks_like_another_users(kept, source):
    bob = kept.client("bob")
    source.secrets["vault/empty", "bob", OPENAI] = ""
    answers = [refer(bob, "vault/team"), refer(bob, "vault/none"), refer(bob, "vault/empty")]
    source.error = PermissionError(f"not for you: {CANARY}")
    answers.append(refer(bob, "vault/team"))

    assert {(each.status_code, each.text) for each in answers} == {(422, answers[0].text)}
    assert [each["field"] for each in answers[0].json["errors"]] == ["reference"]
    assert kept.rows("credentials") == []


@pytest.mark.parametrize(
    ("given", "problem", "lines"),
    [
        (None, "The secret_source returned no secret for this reference, owner, provider and", 0),
        ("", "The secret_source returned a secret that isn't valid: api_key: Must be 1 to", 1),
        (
            {CANARY: "x"},
            "The secret_source returned a secret that isn't valid: it has unknown members.",
            1,
        ),
        (KeyError(CANARY), "The secret_source raised KeyError at ", 1),
    ],
)
def test_only_a_mistake_of_the_host_is_logged(kept, alice, source, caplog, given, problem, lines):
    add(alice, referred(alice)["id"], "a")
    if isinstance(given, Exception):
        source.error = given
    source.secrets["vault/team", "alice", OPENAI] = given

    with kept.app.app_context():
        (found,) = kept.registry.explain("a", user=kept.load("alice")).problems

    assert found.startswith(problem)
    assert found.endswith(".")
    assert not found.endswith("..")
    logged = [each for each in caplog.messages if "the secret_source" in each]
    assert len(logged) == lines
    assert traces([found, *logged]) == []


def test_the_source_is_not_asked_about_a_credential_that_the_user_does_not_own(kept, alice, source):
    made = referred(alice)
    bob = kept.client("bob")
    source.asked.clear()

    for path, method in (("", "PATCH"), ("/secret", "PUT"), ("/secret", "PATCH")):
        url = f"{ACCOUNTS}/{made['id']}{path}"
        assert bob.open(url, method=method, json={"reference": "vault/team"}).status_code == 404
    assert source.asked == []


def test_a_host_without_a_source_refuses_references(host):
    alice = host.client("alice")
    made = create(alice)

    for method, path in (
        ("POST", ""),
        ("PATCH", f"/{made['id']}"),
        ("PUT", f"/{made['id']}/secret"),
    ):
        given = {"reference": "x"}
        if method == "POST":
            given |= {"name": "n", "model_provider": "openai"}
        answer = alice.open(ACCOUNTS + path, method=method, json=given)
        assert answer.status_code == 422
        assert answer.json["errors"] == [
            {
                "field": "reference",
                "message": "This app keeps no secrets elsewhere. Send the secret instead.",
            }
        ]
    assert alice.get(f"{ACCOUNTS}/{made['id']}").json == made


def test_a_reference_is_unreadable_once_the_source_is_gone(kept, alice):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    alice.put(f"{PREFIX}/defaults/general", json={"id": row_id})
    kept.services.keys.credentials.secret_source._source = None

    with pytest.raises(UnreadableCredentialError, match="no secret_source"):
        resolved(kept, row_id)
    assert (state(alice, row_id)["is_set"], state(alice, row_id)["status"]) == (True, "unreadable")
    assert alice.post(f"{PREFIX}/{row_id}/test").status_code == 409
    assert alice.get(f"{PREFIX}/defaults/general").status_code == 404
    output, status = kept.run("doctor")
    assert "error    1 credentials refer to secrets kept elsewhere" in output
    assert status == 1


def test_an_invalid_reference_is_refused(kept, alice, source):
    openai = {"name": "n", "model_provider": "openai"}
    wrong = [
        {**openai, "reference": "vault/team", "secret": {"api_key": CANARY}},
        {"name": "n", "reference": "vault/team", "from_model": 1},
        *({**openai, "reference": each} for each in ("", None, "x" * 256, "a\nb", 5)),
    ]

    for given in wrong:
        answer = alice.post(ACCOUNTS, json=given)

        assert answer.status_code == 422
        assert [each["field"] for each in answer.json["errors"]] == ["reference"]
    assert source.asked == []


def test_the_secret_of_a_credential_switches_between_here_and_elsewhere(kept, alice):
    made = create(alice)
    (row_id,) = add(alice, made["id"], "a")
    url = f"{ACCOUNTS}/{made['id']}"

    changed = alice.patch(url, json={"reference": "vault/team"})
    assert (changed.json["reference"], changed.json["headers"]) == ("vault/team", [])
    assert resolved(kept, row_id).headers == {}
    assert alice.put(f"{url}/secret", json={"api_key": "sk-here"}).status_code == 204
    assert alice.get(url).json["reference"] is None
    assert resolved(kept, row_id).api_key.reveal() == "sk-here"
    assert alice.put(f"{url}/secret", json={"reference": "vault/team"}).status_code == 204
    assert resolved(kept, row_id).api_key.reveal() == CANARY
    assert alice.patch(url, json={"secret": {"api_key": "sk-again"}}).json["reference"] is None
    assert alice.patch(f"{url}/secret", json={"reference": "vault/team"}).status_code == 204
    secret = alice.get(f"{url}/secret").json
    assert (secret["is_set"], secret["status"], secret["secrets"]) == (True, "readable", [])
    assert kept.rows("credentials")[0].version == 6


def test_a_secret_kept_elsewhere_cannot_be_merged(kept, alice):
    made = referred(alice)

    answer = alice.patch(f"{ACCOUNTS}/{made['id']}/secret", json={"headers": {"X-A": "v"}})

    assert (answer.status_code, "kept elsewhere" in answer.json["detail"]) == (409, True)
    for both in ({"api_key": CANARY}, {"headers": {}}):
        given = {"reference": "vault/team", **both}
        for method in ("PUT", "PATCH"):
            answer = alice.open(f"{ACCOUNTS}/{made['id']}/secret", method=method, json=given)
            assert answer.status_code == 422
    assert alice.put(f"{ACCOUNTS}/{made['id']}/secret", json={}).status_code == 422
    assert alice.get(f"{ACCOUNTS}/{made['id']}").json == made


def test_a_move_needs_the_reference_again_and_the_host_is_asked_about_the_new_origin(
    kept, alice, source
):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    url, place = f"{ACCOUNTS}/{made['id']}", {"base_url": AT}
    source.asked.clear()

    without = alice.patch(url, json=place)
    refused = alice.patch(url, json={**place, "reference": "vault/team"})
    source.secrets["vault/team", "alice", "https://llm.example.com"] = "sk-there"
    moved = alice.patch(url, json={**place, "reference": "vault/team"})

    assert [each["field"] for each in without.json["errors"]] == ["reference"]
    assert [each["field"] for each in refused.json["errors"]] == ["reference"]
    assert moved.json["base_url"] == AT
    assert source.asked == [("vault/team", "alice", "openai", "https://llm.example.com")] * 2
    assert resolved(kept, row_id).api_key.reveal() == "sk-there"


def test_an_address_edited_in_sql_is_the_one_the_host_is_asked_about(kept, alice, source):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    models = kept.registry.tables.models
    kept.execute(sa.update(models).values(base_url="https://evil.example.com:8443/v1"))
    source.asked.clear()

    with pytest.raises(UnreadableCredentialError, match="this reference, owner, provider and"):
        resolved(kept, row_id)

    assert source.asked == [("vault/team", "alice", "openai", "https://evil.example.com:8443")]


def test_a_reference_edited_in_sql_is_the_one_the_host_is_asked_about(kept, alice, source):
    (row_id,) = add(alice, referred(alice)["id"], "a")
    source.secrets["vault/other", "alice", OPENAI] = "sk-other"
    kept.execute(sa.update(kept.registry.tables.credentials).values(reference="vault/other"))

    assert resolved(kept, row_id).api_key.reveal() == "sk-other"


def test_a_model_is_attached_to_a_reference_and_detached(kept, alice):
    made = referred(alice)
    (row_id,) = register(alice, "own", api_key="sk-own")

    assert attach(alice, row_id, made["id"]).status_code == 204
    assert resolved(kept, row_id).api_key.reveal() == CANARY
    assert alice.delete(f"{ACCOUNTS}/{made['id']}?detach=true").status_code == 204
    assert state(alice, row_id)["is_set"] is False


def test_a_reference_is_tested_and_asked_for_its_models(hosts, source):
    upstream = Upstream(answers(b'{"data": [{"id": "a"}]}'))
    allowed = {"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]}
    host = hosts(secret_source=source, config=allowed)
    origin = f"http://localhost:{upstream.port}"
    source.secrets["vault/local", "alice", origin] = CANARY
    alice = host.client("alice")
    place = {"model_provider": "vllm", "base_url": f"{origin}/v1"}
    try:
        made = referred(alice, reference="vault/local", **place)
        (row_id,) = add(alice, made["id"], "a")
        url = f"{ACCOUNTS}/{made['id']}"
        results = [
            alice.post(f"{url}/test", json={"model_name": "a"}).json["result"],
            alice.post(f"{PREFIX}/{row_id}/test").json["result"],
            alice.post(f"{url}/served-models").json["models"],
            alice.post(f"{PREFIX}/{row_id}/served-models").json["models"],
        ]
    finally:
        upstream.close()

    assert results == ["ok", "ok", ["a"], ["a"]]
    assert {(name, at) for name, _, _, at in source.asked} == {("vault/local", origin)}


def test_rotation_and_the_key_check_pass_references_over(kept, alice, source):
    made = referred(alice)
    add(alice, made["id"], "a")
    before = kept.rows("credentials")
    source.asked.clear()

    assert kept.run("rotate-keys")[1] == 0
    assert kept.run("verify-keys")[0].splitlines()[-1] == "0 of 0 API keys can be decrypted."
    assert "1 credentials refer to secrets that your secret_source returns" in kept.run("doctor")[0]
    assert (kept.rows("credentials"), source.asked) == (before, [])


def test_an_export_writes_the_reference_and_leaves_the_secret_where_it_is(
    kept, alice, source, tmp_path
):
    made = referred(alice)
    add(alice, made["id"], "a")
    before, file = kept.rows("credentials"), tmp_path / "lines.jsonl"
    source.asked.clear()

    output, status = kept.run("export", "--with-secrets")

    assert '"reference": "vault/team"' in output
    assert (CANARY in output, source.asked, status) == (False, [], 0)
    file.write_text(output)
    output, status = kept.run("import", "--on-conflict", "update", str(file))
    assert (status, "2 keep" in output) == (0, True), output
    assert (kept.rows("credentials"), source.asked) == (before, [])
    alice.delete(f"{ACCOUNTS}/{made['id']}?detach=true")
    output, status = kept.run("import", "--on-conflict", "update", str(file))
    assert (status, "1 create, 1 update" in output) == (0, True), output
    assert resolved(kept, "a").api_key.reveal() == CANARY


def test_an_import_asks_the_host_for_the_owner_of_each_line(kept, alice, source, tmp_path):
    referred(alice)
    file = tmp_path / "lines.jsonl"
    file.write_text(kept.run("export")[0])
    bob = str(kept.user("bob"))

    output, status = kept.run("import", "--owner", bob, str(file))

    assert "Must name a secret that you may use" in output
    assert (status, len(kept.rows("credentials"))) == (1, 1)


def test_a_successor_is_the_owner_that_the_host_is_asked_about(kept, alice, source):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    kept.user("bob")
    with kept.app.app_context():
        alices, bobs = kept.load("alice"), kept.load("bob")
        kept.registry.user_deleted(alices, transfer_to=bobs, keep_active=True)
        kept.db.session.commit()

    with pytest.raises(UnreadableCredentialError):
        resolved(kept, row_id, "bob")
    source.secrets["vault/team", "bob", OPENAI] = "sk-bobs"
    assert resolved(kept, row_id, "bob").api_key.reveal() == "sk-bobs"


@pytest.mark.databases("sqlite")
def test_an_owner_who_is_gone_is_not_asked_about(kept, alice, source, monkeypatch):
    """For example, if SQL deletes users while foreign keys are off."""
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    source.asked.clear()
    monkeypatch.setattr(kept.services.users, "find", lambda key: None)

    with pytest.raises(UnreadableCredentialError, match="owner of the credential is gone"):
        resolved(kept, row_id)
    assert source.asked == []


def test_a_signal_says_that_the_secret_has_changed(kept, alice):
    made = create(alice)
    seen = []

    def note(sender, **facts):
        seen.append(facts["changed"])

    with signals.credential_updated.connected_to(note):
        alice.patch(f"{ACCOUNTS}/{made['id']}", json={"reference": "vault/team"})
        alice.put(f"{ACCOUNTS}/{made['id']}/secret", json={"reference": "vault/team"})
    assert seen == [["secret"], ["secret"]]


def test_no_lock_is_held_while_the_host_is_asked(kept, alice, source, database):
    """Another connection changes the credential meanwhile."""
    made = create(alice)
    credentials = kept.registry.tables.credentials

    def secret_source(name, **about):
        with kept.db.engine.connect() as other:
            if database.name == "mariadb":
                other.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
            if database.name == "postgresql":
                other.exec_driver_sql("SET lock_timeout = 1000")
            other.execute(sa.update(credentials).values(name="changed"))
            other.commit()
        return CANARY

    kept.services.keys.credentials.secret_source._source = secret_source

    for method, path in (("PATCH", ""), ("PUT", "/secret"), ("PATCH", "/secret")):
        url = f"{ACCOUNTS}/{made['id']}{path}"
        answer = alice.open(url, method=method, json={"reference": "any"})
        assert answer.status_code in {200, 204}, answer.text
    assert kept.rows("credentials")[0].name == "changed"


REGIONS = {
    "aws": "https://bedrock-runtime.eu-central-1.amazonaws.com",
    "google": "https://europe-west4-aiplatform.googleapis.com",
}


@pytest.mark.parametrize("kind", CLOUDS)
def test_the_host_gives_the_secret_of_any_kind(kept, alice, source, kind):
    cloud = CLOUDS[kind]
    provider, origin = cloud["model_provider"], REGIONS[kind]
    source.secrets["vault/cloud", "alice", origin] = dict(cloud["secret"])
    made = referred(alice, reference="vault/cloud", **{**cloud, "secret": None})
    (row_id,) = add(alice, made["id"], "a")

    found = resolved(kept, row_id)

    here = create(alice, **cloud, name="here")
    (other,) = add(alice, here["id"], "b")
    expected = resolved(kept, other).litellm_kwargs()
    assert {**found.litellm_kwargs(), "model": expected["model"]} == expected
    assert source.asked == [("vault/cloud", "alice", provider, origin)] * 2
    source.secrets["vault/cloud", "alice", origin] = CANARY
    with pytest.raises(UnreadableCredentialError):
        resolved(kept, row_id)
    key = {"model_provider": "openai"}
    source.secrets["vault/cloud", "alice", OPENAI] = dict(cloud["secret"])
    assert refer(alice, "vault/cloud", name="of another kind", **key).status_code == 422


class Broken(Mapping):
    held = CANARY

    def __getitem__(self, name):
        return self.held

    def __iter__(self):
        raise LookupError(self.held)

    def __len__(self):
        return 1


async def coroutine():
    return CANARY


ODD = {
    "bytes": lambda: CANARY.encode(),
    "a list": lambda: [CANARY],
    "a number": lambda: 5,
    "false": lambda: False,
    "the class": lambda: str,
    "a coroutine": coroutine,
    "a line": lambda: CANARY + "\n",
    "a bearer": lambda: f"Bearer {CANARY}",
    "a placeholder": lambda: "os.environ/OPENAI_API_KEY",
    "an empty dict": dict,
    "an unknown member": lambda: {"api_key": CANARY, CANARY: CANARY},
    "a nested secret": lambda: {"api_key": {"api_key": CANARY}},
    "refused headers": lambda: {"api_key": CANARY, "headers": {"Authorization": CANARY}},
    "odd headers": lambda: {"api_key": CANARY, "headers": [CANARY]},
    "a broken mapping": Broken,
}


@pytest.mark.databases("sqlite")
def test_an_invalid_secret_is_never_used(kept, alice, caplog):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    for case, odd in ODD.items():
        kept.services.keys.credentials.secret_source._source = lambda name, odd=odd, **about: odd()
        caplog.clear()

        with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableCredentialError) as caught:
            resolved(kept, row_id)

        assert caught.value.__cause__ is caught.value.__context__ is None, case
        (line,) = [each for each in caplog.records if each.name == "flask_model_registry"]
        assert (line.levelname, line.model_registry_kind) == ("WARNING", "secret-source"), case
        assert traces([caught.value.detail, line.getMessage()]) == [], case
        assert state(alice, row_id)["status"] == "unreadable", case
        assert refer(alice, name="other").status_code == 422, case


@pytest.mark.databases("sqlite")
def test_only_the_operator_learns_where_a_source_raised(kept, alice, source, caplog):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    source.error = LookupError(f"no such thing as {CANARY}")

    with pytest.raises(UnreadableCredentialError, match="raised LookupError at test_secret_source"):
        resolved(kept, row_id)

    answer = alice.post(f"{PREFIX}/{row_id}/test")
    assert answer.json["detail"] == "The model has no readable API key. Enter one."
    lines = [each.getMessage() for each in caplog.records if each.name == "flask_model_registry"]
    assert len(lines) == 2
    assert traces(lines) == []


@pytest.mark.databases("sqlite")
def test_a_source_with_wrong_parameters_is_reported_too(hosts, caplog):
    host = hosts(secret_source=lambda name: CANARY)

    refused = refer(host.client("alice"))

    assert refused.status_code == 422
    (line,) = [each for each in caplog.records if each.name == "flask_model_registry"]
    assert line.getMessage() == "model registry: the secret_source raised TypeError"


def test_an_import_replaces_a_reference_with_the_key_of_a_line(kept, alice, source, tmp_path):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    source.asked.clear()
    line = {"owner": str(kept.user("alice")), **model(model_id="a", api_key=CANARY + "-own")}
    path = tmp_path / "in.jsonl"
    path.write_text(json.dumps(line))

    output, status = kept.run("import", "--on-conflict", "update", str(path))

    assert (output.splitlines()[-1], status) == ("1 update", 0)
    assert resolved(kept, row_id).api_key.reveal() == CANARY + "-own"
    assert source.asked == []


@pytest.mark.forces_errors
def test_a_source_that_is_away_is_a_503_and_nothing_is_stored(kept, alice, source):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    before = kept.rows("credentials")
    source.error = UnavailableError(f"the vault is away: {CANARY}")

    answers = [
        refer(alice, name="other"),
        alice.patch(f"{ACCOUNTS}/{made['id']}", json={"reference": "vault/team"}),
        alice.get(f"{ACCOUNTS}/{made['id']}/secret"),
        alice.post(f"{PREFIX}/{row_id}/test"),
    ]

    assert [each.status_code for each in answers] == [503] * 4
    assert traces([each.text for each in answers]) == []
    assert kept.rows("credentials") == before
    with pytest.raises(UnavailableError) as caught:
        resolved(kept, row_id)
    assert caught.value is source.error


@pytest.mark.forces_errors
def test_a_failure_of_the_database_within_the_source_is_not_a_refusal(kept, alice, source):
    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")
    source.error = sa.exc.TimeoutError("the pool is empty")

    answers = [refer(alice, name="other"), alice.get(f"{PREFIX}/{row_id}/credential")]

    assert [each.status_code for each in answers] == [503, 503]


@pytest.mark.databases("sqlite")
def test_a_source_that_finds_no_row_or_several_refuses_the_name(kept, alice, source):
    def keep(error):
        source.error = error
        return alice.put(f"{ACCOUNTS}/{made['id']}/secret", json={"reference": "vault/other"})

    made = referred(alice)
    (row_id,) = add(alice, made["id"], "a")

    unknown = sa.exc.NoResultFound("No row was found when one was required")
    answers = [keep(unknown), keep(sa.exc.MultipleResultsFound()), keep(KeyError())]

    assert {(each.status_code, each.text) for each in answers} == {(422, answers[0].text)}
    assert state(alice, row_id)["status"] == "unreadable"
    assert kept.rows("credentials")[0].reference == "vault/team"


def test_a_python_caller_reads_and_switches_references(kept, source):
    kept.user("alice")
    with kept.app.app_context():
        alice = kept.load("alice")
        made = kept.registry.create_credential(
            name="n", model_provider="openai", reference="vault/team", user=alice
        )
        assert made["reference"] == "vault/team"
        kept.registry.set_secret(made["id"], reference="vault/team", user=alice)
        kept.registry.update_secret(made["id"], reference="vault/team", user=alice)
        with pytest.raises(ConflictError, match="kept elsewhere"):
            kept.registry.update_secret(made["id"], api_key=CANARY, user=alice)
        with pytest.raises(ValidationError, match="you may use with this provider"):
            kept.registry.update_credential(made["id"], reference="vault/other", user=alice)
        kept.registry.set_secret(made["id"], api_key=CANARY, user=alice)
        assert kept.registry.credential(made["id"], user=alice)["reference"] is None


def test_a_model_with_a_key_of_its_own_asks_nothing(kept, alice, source):
    register(alice, "own")
    made = create(alice)
    add(alice, made["id"], "a")

    assert resolved(kept, "own").api_key.reveal() == resolved(kept, "a").api_key.reveal() == CANARY
    assert alice.patch(f"{ACCOUNTS}/{made['id']}", json={"name": "renamed"}).status_code == 200
    assert alice.post(f"{PREFIX}/register", json=model(api_key="os.environ/X")).status_code == 422
    assert source.asked == []
