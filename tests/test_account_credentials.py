"""Credentials: one account for several models, over HTTP."""

import pytest
import sqlalchemy as sa

from tests.accounts import ACCOUNTS, AT, add, attach, body, create, resolved, state
from tests.hosts import CANARY, PREFIX, granted, model, register
from tests.upstream import Upstream, answers


def test_five_models_of_one_account_take_two_requests(host, alice):
    made = create(alice, settings={"organization": "org-1"}, expires_at="2027-01-01T00:00:00+01:00")

    ids = add(alice, made["id"], "a", "b", "c", "d", "e")

    assert made == {
        "id": made["id"],
        "name": "team",
        "model_provider": "openai",
        "base_url": None,
        "kind": "key",
        "settings": {"organization": "org-1"},
        "secrets": ["api_key"],
        "headers": ["X-Team"],
        "reference": None,
        "expires_at": "2026-12-31T23:00:00.000000Z",
        "created_at": made["created_at"],
        "updated_at": None,
        "secret_updated_at": made["created_at"],
    }
    assert alice.get(f"{ACCOUNTS}/{made['id']}").json == made
    assert alice.get(ACCOUNTS).json == [made]
    for row_id in ids:
        found = resolved(host, row_id)
        assert found.api_key.reveal() == CANARY
        assert found.headers["X-Team"].reveal() == CANARY + "-header"
        assert found.openai_kwargs() == {
            "api_key": CANARY,
            "base_url": "https://api.openai.com/v1",
            "organization": "org-1",
            "default_headers": {"X-Team": CANARY + "-header"},
        }
        assert found.expires_at.isoformat() == "2026-12-31T23:00:00"
        assert CANARY not in f"{found!r} {found}"
    assert {*(row.ciphertext for row in host.rows("models"))} == {None}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("moment", ["2027-01-01t00:00:00z", "2027-01-01 00:00:00.123456789z"])
def test_a_time_may_be_written_in_lower_case(alice, moment):
    assert create(alice, expires_at=moment)["expires_at"].startswith("2027-01-01T00:00:00.")


@pytest.mark.parametrize("year", ["0001", "0999", "9999"])
def test_any_year_is_shown_unchanged(host, alice, year):
    moment = f"{year}-01-01T00:00:00.000000Z"

    made = create(alice, expires_at=moment)

    assert made["expires_at"] == moment
    assert alice.get(ACCOUNTS).json == [made]


def test_a_model_on_a_credential_is_listed_and_has_a_state(host, alice, bob):
    made = create(alice, expires_at="2027-01-01T00:00:00Z")
    (row_id,) = add(alice, made["id"], "a")
    granted(alice, row_id, user=host.user("bob"))

    expected = {
        "is_set": True,
        "status": "readable",
        "updated_at": made["secret_updated_at"],
        "credential": made["id"],
        "expires_at": "2027-01-01T00:00:00.000000Z",
    }
    assert state(alice, row_id) == expected
    assert state(bob, row_id) == {**expected, "credential": None}
    assert [each["id"] for each in bob.get(f"{PREFIX}/v1/models").json["data"]] == ["a"]
    assert bob.get(f"{PREFIX}/v1/models/a").status_code == 200
    assert resolved(host, "a", "bob").api_key.reveal() == CANARY
    assert alice.put(f"{PREFIX}/defaults/general", json={"id": row_id}).status_code == 200
    assert alice.get(f"{PREFIX}/defaults/general").json["model"]["id"] == row_id


def test_a_credential_is_its_owners_alone(host, alice, bob):
    made = create(alice)
    (row_id,) = add(alice, made["id"], "a")
    granted(alice, row_id, user=host.user("bob"), can_edit=True, can_delete=True)
    theirs = f"{ACCOUNTS}/{made['id']}"
    answers = [
        bob.get(theirs),
        bob.patch(theirs, json={"name": "mine"}),
        bob.delete(theirs),
        bob.delete(f"{theirs}?detach=true"),
        bob.get(f"{theirs}/secret"),
        bob.put(f"{theirs}/secret", json={"api_key": "sk-other"}),
        bob.patch(f"{theirs}/secret", json={"api_key": "sk-other"}),
        bob.post(f"{theirs}/models", json={"models": [{"model_id": "x", "model_name": "x"}]}),
    ]
    missing = bob.get(f"{ACCOUNTS}/{made['id'] + 1}")

    assert {(each.status_code, each.text) for each in answers} == {(404, missing.text)}
    assert bob.get(ACCOUNTS).json == []
    assert attach(bob, row_id, made["id"]).status_code == 403
    (own,) = register(bob, "own")
    assert attach(bob, own, made["id"]).status_code == 404
    assert alice.get(theirs).json == made


def test_a_grantee_who_may_edit_detaches_that_model_only(host, alice, bob):
    made = create(alice)
    first, second = add(alice, made["id"], "a", "b")
    granted(alice, first, user=host.user("bob"), can_edit=True)

    assert bob.put(f"{PREFIX}/{first}/credential", json={"api_key": "sk-other"}).status_code == 204

    assert resolved(host, first).api_key.reveal() == "sk-other"
    assert resolved(host, second).api_key.reveal() == CANARY
    assert [row.credential_id for row in host.rows("models")] == [None, made["id"]]
    assert bob.delete(f"{PREFIX}/{first}/credential").status_code == 204
    assert alice.delete(f"{PREFIX}/{second}/credential").status_code == 204
    assert state(alice, second)["is_set"] is False
    assert alice.delete(f"{ACCOUNTS}/{made['id']}").status_code == 204


def test_a_base_url_is_taken_as_people_paste_it(host, alice):
    made = create(alice, base_url="https://api.openai.com/v1/chat/completions")
    (row_id,) = add(alice, made["id"], "a")
    (own,) = register(alice, "own", base_url="https://api.openai.com")

    assert made["base_url"] == alice.get(f"{PREFIX}/{row_id}").json["base_url"]
    assert attach(alice, own, made["id"]).status_code == 204
    assert resolved(host, own).base_url == made["base_url"] == "https://api.openai.com/v1"


def test_attaching_replaces_a_models_own_key(host, alice):
    made = create(alice, secret={"api_key": "sk-account"})
    (row_id,) = register(alice, "m")

    assert attach(alice, row_id, made["id"]).status_code == 204

    (row,) = host.rows("models")
    assert (row.ciphertext, row.key_id, row.credential_id) == (None, None, made["id"])
    assert resolved(host, row_id).api_key.reveal() == "sk-account"
    version = row.version
    assert attach(alice, row_id, made["id"]).status_code == 204
    assert host.rows("models")[0].version == version


@pytest.mark.parametrize(
    "fields", [{"model_provider": "anthropic"}, {"base_url": AT}, {"base_url": AT + ":8443"}]
)
def test_a_model_at_another_origin_is_not_attached(host, alice, fields):
    made = create(alice)
    (row_id,) = register(alice, "m", **fields)

    response = attach(alice, row_id, made["id"])

    assert response.status_code == 422
    assert response.json["errors"][0]["field"] == "credential"
    assert host.rows("models")[0].ciphertext is not None


def test_a_model_on_a_credential_moves_only_with_a_key_of_its_own(host, alice):
    made = create(alice, base_url=AT, secret={"api_key": "sk-account"})
    (row_id,) = add(alice, made["id"], "a")

    refused = alice.patch(f"{PREFIX}/{row_id}", json={"base_url": "https://evil.example.com"})
    same = alice.patch(f"{PREFIX}/{row_id}", json={"base_url": AT + "/other"})
    moved = alice.patch(
        f"{PREFIX}/{row_id}", json={"base_url": "https://b.example.com", "api_key": CANARY}
    )

    assert (refused.status_code, same.status_code, moved.status_code) == (422, 200, 200)
    assert host.rows("models")[0].credential_id is None
    assert resolved(host, row_id).api_key.reveal() == CANARY


def test_a_credential_moves_with_its_whole_secret_and_its_models(host, alice):
    made = create(alice, base_url=AT)
    first, second = add(alice, made["id"], "a", "b")
    url = f"{ACCOUNTS}/{made['id']}"
    elsewhere = {"base_url": "https://other.example.com/v2"}

    refused = alice.patch(url, json=elsewhere)
    half = alice.patch(url, json={**elsewhere, "secret": {"headers": {}}})
    moved = alice.patch(url, json={**elsewhere, "secret": {"api_key": "sk-new"}})

    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "secret")
    assert (half.status_code, half.json["errors"][0]["field"]) == (422, "secret.api_key")
    assert moved.status_code == 200
    assert moved.json["headers"] == []
    for row_id in (first, second):
        found = resolved(host, row_id)
        assert (found.base_url, found.api_key.reveal()) == (
            "https://other.example.com/v2",
            "sk-new",
        )


def test_a_credential_does_not_move_away_from_models_at_another_path(host, alice):
    made = create(alice, base_url=AT)
    add(alice, made["id"], *(f"m{number}" for number in range(11)), base_url=AT + "/other")
    add(alice, made["id"], "here")
    url = f"{ACCOUNTS}/{made['id']}"
    before = host.rows("models")

    refused = alice.patch(
        url, json={"base_url": "https://b.example.com", "secret": {"api_key": "k1"}}
    )
    path = alice.patch(url, json={"base_url": AT + "/new"})

    assert (refused.status_code, path.status_code) == (409, 200)
    assert refused.json["type"].endswith(":credential-in-use")
    assert "11 models use it: m0, m1" in refused.json["detail"]
    assert "and 1 more" in refused.json["detail"]
    after = {row.model_id: row.base_url for row in host.rows("models")}
    assert after.pop("here") == AT + "/new"
    assert after == {row.model_id: row.base_url for row in before if row.model_id != "here"}


def test_bulk_registration_is_all_or_none(host, alice):
    made = create(alice, base_url=AT)
    register(alice, "taken")
    url = f"{ACCOUNTS}/{made['id']}/models"

    def post(*models):
        filled = [{"model_id": "x", "model_name": "x", **each} for each in models]
        response = alice.post(url, json={"models": filled})
        told = response.json if response.status_code > 201 else {}
        fields = [each["field"] for each in told.get("errors", ())]
        return response.status_code, fields, told.get("detail")

    assert post({}, {"model_id": "y", "dimension": 3})[:2] == (422, ["models.1.dimension"])
    assert post({}, {"model_id": "!"})[:2] == (422, ["models.1.model_id"])
    assert post({}, {})[:2] == (422, ["models.1.model_id"])
    assert post({"base_url": "https://b.example.com"})[:2] == (422, ["models.0.base_url"])
    assert post({"api_key": CANARY})[:2] == (422, ["models.0.api_key"])
    assert post()[:2] == (422, ["models"])
    assert post(*({"model_id": f"m{number}"} for number in range(101)))[:2] == (422, ["models"])
    assert post(*[{"model_id": "!"}] * 101)[:2] == (422, ["models"])  # no model is checked
    assert post({}, {"share_with_users": True, "model_id": "y"})[0] == 403
    status, _, detail = post({}, {"model_id": "taken"})
    assert (status, detail) == (409, "You already have models called: taken.")
    assert [row.model_id for row in host.rows("models")] == ["taken"]
    assert post(*({"model_id": f"m{number}"} for number in range(100)))[0] == 201
    assert len(host.rows("models")) == 101


def test_a_models_own_key_becomes_a_credential(host, alice, bob):
    (row_id,) = register(alice, "m", base_url=AT)
    granted(alice, row_id, user=host.user("bob"), can_edit=True)
    fields = {"name": "of m", "from_model": row_id}

    assert bob.post(ACCOUNTS, json=fields).status_code == 403
    assert alice.post(ACCOUNTS, json={**body(), **fields}).status_code == 422
    made = alice.post(ACCOUNTS, json=fields)
    again = alice.post(ACCOUNTS, json={**fields, "name": "again"})

    assert (made.status_code, made.json["base_url"]) == (201, AT)
    assert again.status_code == 409
    (other,) = add(alice, made.json["id"], "other")
    for each in (row_id, other):
        assert resolved(host, each).api_key.reveal() == CANARY
    assert alice.post(ACCOUNTS, json={**fields, "from_model": 99}).status_code == 404


def test_a_secret_is_replaced_or_merged(host, alice):
    made = create(alice, secret={"api_key": CANARY, "headers": {"X-A": "1", "X-B": "2"}})
    (row_id,) = add(alice, made["id"], "a")
    url = f"{ACCOUNTS}/{made['id']}/secret"

    def now():
        found = resolved(host, row_id)
        return found.api_key.reveal(), {name: each.reveal() for name, each in found.headers.items()}

    assert alice.patch(url, json={"headers": {"x-a": None, "X-C": "3"}}).status_code == 204
    assert now() == (CANARY, {"X-B": "2", "X-C": "3"})
    assert alice.patch(url, json={"headers": {"x-c": "4"}, "api_key": "k2"}).status_code == 204
    assert alice.patch(url, json={"headers": {}}).status_code == 204
    assert now() == ("k2", {"X-B": "2", "x-c": "4"})
    twice = alice.patch(url, json={"headers": {"X-B": "5", "x-b": None}})
    assert (twice.status_code, now()) == (422, ("k2", {"X-B": "2", "x-c": "4"}))
    many = {f"X-{number}": "1" for number in range(16)}
    refused = alice.patch(url, json={"headers": many})
    assert (refused.status_code, refused.json["errors"][0]["field"]) == (422, "headers")
    assert alice.patch(url, json={"headers": None}).status_code == 204
    assert now() == ("k2", {})
    assert alice.put(url, json={"api_key": "k3", "headers": {"X-D": "5"}}).status_code == 204
    assert now() == ("k3", {"X-D": "5"})
    got = alice.get(url).json
    assert {name: got[name] for name in ("is_set", "status", "secrets", "headers")} == {
        "is_set": True,
        "status": "readable",
        "secrets": ["api_key"],
        "headers": ["X-D"],
    }
    assert got["updated_at"] > made["secret_updated_at"]


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(
    "headers",
    [
        *(
            {name: "x"}
            for name in (
                "Authorization",
                "x-api-key",
                "X_API_Key",
                "API-Key",
                "host",
                "Cookie",
                "TE",
            )
        ),
        *({name: "x"} for name in ("Content-Type", "Proxy-Authorization", "Accept-Encoding", "")),
        *({"X-A": value} for value in ("", " x", "x ", "x\r\ny", "é", "x" * 4097, 1, None, ["x"])),
        {"X A": "x"},
        {"X-A": "1", "x-a": "2"},
        {f"X-{number}": "1" for number in range(17)},
        {f"X-{number}": "x" * 4096 for number in range(5)},
        ["X-A"],
        "X-A: 1",
    ],
)
def test_harmful_headers_are_refused_and_not_quoted(alice, headers):
    response = alice.post(ACCOUNTS, json=body(secret={"api_key": CANARY, "headers": headers}))

    assert response.status_code == 422
    (error,) = response.json["errors"]
    assert error["field"] == "secret.headers"
    assert alice.get(ACCOUNTS).json == []


@pytest.mark.databases("sqlite")  # Python refuses it
@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"model_provider": "unknown"}, "model_provider"),
        ({"base_url": "http://169.254.169.254"}, "base_url"),
        ({"kind": "oauth"}, "kind"),
        ({"kind": "aws"}, "secret.api_key"),
        ({"secret": {}}, "secret.api_key"),
        ({"secret": {"headers": {}}}, "secret.api_key"),
        ({"secret": {"api_key": "****"}}, "secret.api_key"),
        ({"secret": CANARY}, "secret"),
        ({"settings": {"organization": "a b"}}, "settings.organization"),
        ({"settings": {"endpoint": "x"}}, "settings.endpoint"),
        ({"expires_at": "2027-01-01"}, "expires_at"),
        ({"expires_at": "2027-01-01T00:00:00"}, "expires_at"),
        *(
            ({"expires_at": each}, "expires_at")
            for each in (
                "20270101T000000Z",
                "2027-W01-1T00:00:00Z",
                "2027-01-01T00:00Z",
                "2027-1-1T0:0:0Z",
            )
        ),
        ({"owner_id": 2}, "owner_id"),
        ({"from_model": "1"}, "from_model"),
    ],
)
def test_invalid_values_are_refused_by_field(alice, fields, field):
    response = alice.post(ACCOUNTS, json=body(**fields))

    assert response.status_code == 422
    assert field in [each["field"] for each in response.json["errors"]]


def test_a_name_can_be_used_once(alice, bob):
    create(alice)
    second = create(alice, name="second")
    create(bob)

    created = alice.post(ACCOUNTS, json=body())
    renamed = alice.patch(f"{ACCOUNTS}/{second['id']}", json={"name": "team"})

    assert {each.status_code for each in (created, renamed)} == {409}
    assert created.json["type"].endswith(":credential-name-taken")


def test_a_credential_in_use_is_deleted_only_with_detach(host, alice):
    made = create(alice)
    add(alice, made["id"], "a", "b")
    url = f"{ACCOUNTS}/{made['id']}"

    refused = alice.delete(url)
    assert (refused.status_code, refused.json["detail"]) == (409, "2 models use it: a, b.")
    assert alice.delete(f"{url}?detach=true").status_code == 204

    assert host.rows("credentials") == []
    assert [(row.credential_id, row.version) for row in host.rows("models")] == [(None, 2)] * 2


def test_pages_follow_each_other(alice):
    made = [create(alice, name=f"account {number}")["id"] for number in range(5)]
    seen, url = [], f"{ACCOUNTS}?limit=2"
    while url:
        response = alice.get(url)
        seen += [each["id"] for each in response.json]
        url = response.headers.get("Link", "").partition(">")[0].lstrip("<")

    assert seen == made
    for query in ("limit=0", "limit=101", "after=x", "q=x"):
        assert alice.get(f"{ACCOUNTS}?{query}").status_code == 422


def test_a_tag_names_a_version(alice):
    made = create(alice)
    url = f"{ACCOUNTS}/{made['id']}"
    tag = alice.get(url).headers["ETag"]

    assert alice.get(url, headers={"If-None-Match": tag}).status_code == 304
    assert alice.patch(url, json={"name": "new"}, headers={"If-Match": tag}).status_code == 200
    for method, path in (("patch", url), ("delete", url), ("put", url + "/secret")):
        response = getattr(alice, method)(path, json={}, headers={"If-Match": tag})
        assert response.status_code in {412, 422}
    assert alice.patch(url, json={"name": "n"}, headers={"If-Match": tag}).status_code == 412


def test_what_everyone_relies_on_needs_the_right_to_share(host, admin):
    made = create(admin, base_url=AT)
    other = create(admin, name="other", base_url=AT)
    (row_id,) = add(admin, made["id"], "a", share_with_users=True)
    host.execute(sa.update(host.User).values(is_admin=False))
    url = f"{ACCOUNTS}/{made['id']}"
    moved = {"base_url": "https://b.example.com", "secret": {"api_key": "k1"}}

    for response in (
        admin.put(f"{url}/secret", json={"api_key": "k1"}),
        admin.patch(f"{url}/secret", json={"api_key": "k1"}),
        admin.patch(url, json=moved),
        admin.patch(url, json={"settings": {"project": "p"}}),
        admin.delete(f"{url}?detach=true"),
        attach(admin, row_id, other["id"]),
        admin.delete(f"{PREFIX}/{row_id}/credential"),
    ):
        assert response.status_code == 403, response.text
    assert admin.patch(url, json={"name": "renamed"}).status_code == 200
    assert attach(admin, row_id, made["id"]).status_code == 204  # it changes nothing
    assert resolved(host, row_id, "admin").api_key.reveal() == CANARY


def test_a_sealed_secret_opens_nowhere_else(host, alice, bob):
    """Neither in a model's row, nor in another credential's, nor for a model at another origin."""
    made, other = create(alice, base_url=AT), create(bob, base_url=AT, secret={"api_key": "k1"})
    (row_id,) = add(alice, made["id"], "a")
    (stolen,) = add(bob, other["id"], "b")
    tables = host.registry.tables
    first = host.rows("credentials")[0]
    sealed = {"ciphertext": first.ciphertext, "key_id": first.key_id}
    (own,) = register(bob, "own", base_url=AT)

    host.execute(sa.update(tables.models).where(tables.models.c.id == own).values(**sealed))
    host.execute(
        sa.update(tables.credentials).where(tables.credentials.c.id == other["id"]).values(**sealed)
    )
    evil = {"base_url": "https://evil.example.com"}
    host.execute(sa.update(tables.models).where(tables.models.c.id == row_id).values(**evil))

    assert state(bob, own)["status"] == state(bob, stolen)["status"] == "unreadable"
    assert state(alice, row_id)["status"] == "unreadable"
    assert alice.get(f"{ACCOUNTS}/{made['id']}/secret").json["status"] == "readable"
    assert bob.get(f"{ACCOUNTS}/{other['id']}/secret").json["status"] == "unreadable"


def test_a_reference_to_anothers_credential_finds_nothing(host, alice, bob):
    made = create(alice)
    (row_id,) = register(bob, "m")
    models = host.registry.tables.models
    theirs = {"credential_id": made["id"], "ciphertext": None, "key_id": None}
    host.execute(sa.update(models).where(models.c.id == row_id).values(**theirs))

    answer = state(bob, row_id)

    assert (answer["is_set"], answer["status"], answer["credential"]) == (False, "unreadable", None)
    with host.app.app_context():
        assert "no API key" in str(host.registry.explain(row_id, user=host.load("bob")))
    assert alice.delete(f"{ACCOUNTS}/{made['id']}").status_code == 204  # which it does not prevent
    assert host.rows("models")[0].credential_id is None
    assert bob.put(f"{PREFIX}/{row_id}/credential", json={"api_key": "k1"}).status_code == 204


@pytest.mark.parametrize("json", [{}, {"api_key": "k1", "credential": 1}, {"credential": "1"}])
def test_a_model_has_its_own_key_or_a_credential(alice, json):
    (row_id,) = register(alice, "m")

    assert alice.put(f"{PREFIX}/{row_id}/credential", json=json).status_code == 422
    assert model()["api_key"] == CANARY


HEADERS = {"X-Team": CANARY + "-header"}


@pytest.mark.parametrize(
    ("provider", "method", "expected"),
    [
        ("anthropic", "anthropic_kwargs", {"default_headers": HEADERS}),
        ("azure-openai", "azure_kwargs", {"default_headers": HEADERS, "api_version": "2024-10-21"}),
        ("openai", "litellm_kwargs", {"extra_headers": HEADERS}),
        ("openai", "llamaindex_kwargs", {"default_headers": HEADERS}),
        ("ollama", "ollama_kwargs", {"headers": {"Authorization": f"Bearer {CANARY}", **HEADERS}}),
    ],
)
def test_each_client_gets_the_credentials_headers_and_settings(
    host, alice, provider, method, expected
):
    place = {"model_provider": provider, "base_url": "https://llm.example.com/v1"}
    made = create(alice, **place, settings={"api_version": "2024-10-21"})
    add(alice, made["id"], "a")

    kwargs = getattr(resolved(host, "a"), method)()

    assert {name: kwargs[name] for name in expected} == expected


def test_googles_client_gets_the_headers_among_its_options(host, alice):
    made = create(alice, model_provider="gemini")
    add(alice, made["id"], "a")

    assert resolved(host, "a").google_kwargs()["http_options"]["headers"] == HEADERS


def test_a_provider_is_asked_and_tested_with_the_whole_secret(hosts):
    """For the credential itself, and for a model that uses it."""
    upstream = Upstream(answers(b'{"data": [{"id": "gpt-4o"}]}'))
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    alice = host.client("alice")
    made = create(alice, model_provider="vllm", base_url=f"http://localhost:{upstream.port}/v1")
    (row_id,) = add(alice, made["id"], "a")
    one, paths = f"{ACCOUNTS}/{made['id']}", ("test", "served-models")

    bodies = {"model_name": "gpt-4o"}, {}
    asked = [
        alice.post(f"{one}/{path}", json=each) for path, each in zip(paths, bodies, strict=True)
    ]
    asked += [alice.post(f"{PREFIX}/{row_id}/{path}") for path in paths]
    upstream.close()

    assert [each.status_code for each in asked] == [200] * 4
    assert asked[0].json["result"] == "ok"
    assert asked[1].json == asked[3].json == {"models": ["gpt-4o"]}
    with_key = [
        each for each in upstream.requests if f"authorization: bearer {CANARY}" in each.lower()
    ]
    assert len(with_key) == 4  # and tests ask once more without it
    assert all(f"x-team: {CANARY}-header" in each.lower() for each in upstream.requests)


def test_who_may_list_the_models_of_a_models_provider(host, alice, bob):
    made = create(alice)
    (row_id,) = add(alice, made["id"], "a")
    url = f"{PREFIX}/{row_id}/served-models"
    granted(alice, row_id, user=host.user("bob"))

    refused = bob.post(url)
    alice.patch(f"{PREFIX}/{row_id}", json={"is_active": False})
    inactive = alice.post(url)

    assert refused.status_code == 403
    assert (inactive.status_code, inactive.json["type"][-15:]) == (409, ":model-inactive")
    assert bob.post(f"{ACCOUNTS}/{made['id']}/served-models").status_code == 404
    assert bob.post(f"{ACCOUNTS}/{made['id']}/test", json={"model_name": "a"}).status_code == 404


def test_a_credential_needs_a_provider_and_a_secret(alice):
    errors = alice.post(ACCOUNTS, json={"name": "team"}).json["errors"]

    assert {each["field"] for each in errors} == {"model_provider", "secret"}


@pytest.mark.parametrize("version", ["Anthropic-Version", "anthropic-version"])
def test_a_credentials_header_replaces_one_that_tests_send(hosts, version):
    upstream = Upstream(answers(b'{"data": [{"id": "claude"}], "content": [{"text": "Hi"}]}'))
    host = hosts(config={"MODEL_REGISTRY_ALLOWED_HOSTS": ["localhost"]})
    alice = host.client("alice")
    headers = {version: "2030-01-01", "user-agent": "team"}
    secret = {"api_key": CANARY, "headers": headers}
    place = {"model_provider": "anthropic", "base_url": f"http://localhost:{upstream.port}/v1"}
    made = create(alice, **place, secret=secret)

    for billed in (False, True):
        body = {"model_name": "claude", "billed_call": billed}
        assert alice.post(f"{ACCOUNTS}/{made['id']}/test", json=body).json["result"] == "ok"
    upstream.close()

    assert len(upstream.requests) == 3  # and the list without the API key
    for request in upstream.requests:
        lines = request.partition("\r\n\r\n")[0].lower().splitlines()
        for name, value in headers.items():
            found = [line for line in lines if line.startswith(f"{name.lower()}:")]
            assert found == [f"{name}: {value}".lower()]
