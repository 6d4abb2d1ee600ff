"""Cloud credentials: AWS access keys and Google service accounts."""

import copy
import json
import re
import sys
import traceback
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from cryptography.exceptions import UnsupportedAlgorithm

from flask_model_registry import (
    ConfigError,
    Provider,
    ResolvedModel,
    Secret,
    UnreadableCredentialError,
    UnsupportedClientError,
)
from flask_model_registry.cli import model_registry
from flask_model_registry.providers.catalogue import PROVIDERS
from flask_model_registry.providers.kinds import KINDS, cloud_url
from flask_model_registry.schemas.categories import CATEGORIES
from tests.accounts import (
    ACCOUNTS,
    AWS,
    CLOUDS,
    GOOGLE,
    SERVICE_ACCOUNT,
    add,
    attach,
    body,
    create,
    resolved,
    state,
)
from tests.hosts import NEW, OLD, PREFIX, register

needs_boto3 = pytest.mark.skipif(find_spec("boto3") is None, reason="boto3 is not installed")
SECRETS = [
    AWS["secret"]["secret_access_key"],
    SERVICE_ACCOUNT["private_key"].split("\n")[1],
]
KEPT = {
    name: SERVICE_ACCOUNT[name]
    for name in "type token_uri universe_domain client_email private_key_id private_key".split()
}


@pytest.fixture(params=[*CLOUDS])
def kind(request):
    return request.param


@pytest.fixture
def account(alice, kind):
    return create(alice, **CLOUDS[kind])


def fields_of(response):
    return [each["field"] for each in response.json["errors"]]


def test_a_cloud_is_called_with_what_was_stored(host, alice, kind, account):
    (row_id,) = add(alice, account["id"], "m")
    model = resolved(host, "m")

    revealed = {name: each.reveal() for name, each in model.secrets.items()}
    expected = {"service_account": json.dumps(KEPT)} if kind == "google" else AWS["secret"]
    assert {
        name: json.loads(each) if kind == "google" else each for name, each in revealed.items()
    } == {name: json.loads(each) if kind == "google" else each for name, each in expected.items()}
    assert (model.kind, model.settings, model.headers) == (kind, CLOUDS[kind]["settings"], {})
    assert model.base_url == cloud_url(kind, model.settings)
    assert model.dialect is None
    assert state(alice, row_id)["status"] == "readable"
    assert alice.get(f"{PREFIX}/{row_id}").json["base_url"] is None
    assert not any(each in repr(model) for each in SECRETS)


def test_its_responses_name_secrets_and_show_settings(alice, kind, account):
    shown = alice.get(f"{ACCOUNTS}/{account['id']}")
    secret = alice.get(f"{ACCOUNTS}/{account['id']}/secret")

    assert shown.json["kind"] == kind
    assert shown.json["secrets"] == [*CLOUDS[kind]["secret"]] == secret.json["secrets"]
    assert shown.json["headers"] == []
    assert shown.json["settings"] == CLOUDS[kind]["settings"]
    assert secret.json["status"] == "readable"
    assert not any(each in shown.text + secret.text for each in SECRETS)


@pytest.mark.databases("sqlite")
def test_a_service_account_is_also_taken_as_text(host, alice):
    account = create(
        alice, **{**GOOGLE, "secret": {"service_account": json.dumps(SERVICE_ACCOUNT)}}
    )
    add(alice, account["id"], "m")

    stored = json.loads(resolved(host, "m").secrets["service_account"].reveal())
    assert stored == KEPT


def test_a_provider_of_clouds_cannot_be_tested(alice, kind, account):
    (row_id,) = add(alice, account["id"], "m")
    asked = {"model_name": "m"}

    for path, sent in [
        (f"/credentials/{account['id']}/test", asked),
        (f"/credentials/{account['id']}/served-models", None),
        (f"/{row_id}/test", None),
        (f"/{row_id}/served-models", None),
    ]:
        response = alice.post(f"{PREFIX}{path}", json=sent)
        assert response.status_code == 409, path
        assert response.json["detail"] == f"A credential of the kind {kind} can't be tested."


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"secret": {"api_key": "sk-1"}}, "secret.api_key"),
        ({"secret": {**AWS["secret"], "headers": {"X-Team": "a"}}}, "secret.headers"),
        ({"secret": {**AWS["secret"], "role_arn": "arn:aws:iam::1:role/x"}}, "secret.role_arn"),
        ({"secret": {**AWS["secret"], "access_key_id": "short"}}, "secret.access_key_id"),
        ({"secret": {**AWS["secret"], "secret_access_key": "a b" * 9}}, "secret.secret_access_key"),
        ({"secret": {**AWS["secret"], "session_token": None}}, "secret.session_token"),
        ({"secret": {"access_key_id": AWS["secret"]["access_key_id"]}}, "secret.secret_access_key"),
        ({"settings": {}}, "settings.region"),
        ({"settings": {"region": None}}, "settings.region"),
        ({"settings": {"region": "x@evil.example:443/#"}}, "settings.region"),
        ({"settings": {"region": "eu-central-1", "endpoint_url": "x"}}, "settings.endpoint_url"),
        ({"settings": {"region": "eu-central-1", "profile": "x"}}, "settings.profile"),
        ({"settings": {"region": "eu-central-1", "organization": "x"}}, "settings.organization"),
        ({"base_url": "https://bedrock-runtime.eu-central-1.amazonaws.com"}, "base_url"),
        ({"model_provider": "openai"}, "model_provider"),
        ({"model_provider": "vertex"}, "model_provider"),
        ({"model_provider": "acme"}, "model_provider"),
    ],
)
def test_an_access_key_is_refused_by_field(alice, changes, field):
    response = alice.post(ACCOUNTS, json=body(**{**AWS, **changes}))

    assert response.status_code == 422
    assert field in fields_of(response)
    assert "evil" not in response.text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "changes",
    [
        {"type": "external_account"},
        {"type": "authorized_user"},
        {"type": None},
        {"token_uri": "https://oauth2.googleapis.com.evil.example/token"},
        {"token_uri": "http://169.254.169.254/token"},
        {"token_uri": None},
        {"universe_domain": "evil.example"},
        {"private_key": "a key"},
        {"private_key": None},
        {"client_email": "a b"},
        {"private_key_id": 1},
    ],
)
def test_a_service_account_for_another_server_is_refused(alice, changes):
    account = {**SERVICE_ACCOUNT, **changes}
    for given in (account, json.dumps(account)):
        response = alice.post(
            ACCOUNTS, json=body(**{**GOOGLE, "secret": {"service_account": given}})
        )

        assert response.status_code == 422
        assert fields_of(response) == ["secret.service_account"]
        assert "evil" not in response.text
        assert SECRETS[1] not in response.text


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "given",
    [
        "/etc/passwd",
        "~/key.json",
        "[]",
        "null",
        "{",
        1,
        [],
        "[" * 5000,
        '{"type": 1, "type": 2}',
        "\ud800",
    ],
)
def test_an_invalid_service_account_is_refused(alice, given):
    sent = json.dumps(body(**{**GOOGLE, "secret": {"service_account": given}}))
    response = alice.post(ACCOUNTS, data=sent, content_type="application/json")

    assert response.status_code in (400, 422)
    if response.status_code == 422:
        assert fields_of(response) == ["secret.service_account"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "settings",
    [
        {"project": "p-1"},
        {"project": "p/../x", "location": "global"},
        {"project": "p-1", "location": "evil.example/"},
        {"project": "p-1", "location": "-"},
        {"project": "p-1", "location": "a" * 41},
        {"project": "p-1", "location": "global", "region": "eu-central-1"},
    ],
)
def test_an_invalid_region_or_location_is_refused(alice, settings):
    response = alice.post(ACCOUNTS, json=body(**{**GOOGLE, "settings": settings}))

    assert response.status_code == 422
    assert all(each.startswith("settings.") for each in fields_of(response))


@pytest.mark.databases("sqlite")
def test_a_secret_of_clouds_is_replaced_or_merged(host, alice):
    account = create(alice, **AWS)
    add(alice, account["id"], "m")
    url = f"{ACCOUNTS}/{account['id']}/secret"

    def revealed():
        return {name: each.reveal() for name, each in resolved(host, "m").secrets.items()}

    assert alice.patch(url, json={"session_token": "T" * 20}).status_code == 204
    assert revealed() == {**AWS["secret"], "session_token": "T" * 20}
    assert alice.patch(url, json={"session_token": None}).status_code == 204
    assert revealed() == AWS["secret"]
    other = {"access_key_id": "AKIAOTHEROTHER000001", "secret_access_key": "o" * 40}
    assert alice.put(url, json=other).status_code == 204
    assert revealed() == other
    for method, sent, field in [
        ("put", {"access_key_id": other["access_key_id"]}, "secret_access_key"),
        ("put", {"api_key": "sk-1"}, "access_key_id"),
        ("patch", {"api_key": "sk-1"}, "api_key"),
        ("patch", {"headers": {"X-Team": "a"}}, "headers"),
        ("patch", {"service_account": SERVICE_ACCOUNT}, "service_account"),
        ("patch", {"access_key_id": None}, "access_key_id"),
    ]:
        response = getattr(alice, method)(url, json=sent)
        assert (response.status_code, field in fields_of(response)) == (422, True), sent
    assert revealed() == other


@pytest.mark.databases("sqlite")
def test_settings_are_merged_and_checked_for_the_kind(host, alice):
    account = create(alice, **AWS)
    add(alice, account["id"], "m")
    url = f"{ACCOUNTS}/{account['id']}"

    assert alice.patch(url, json={"settings": {"region": "us-east-1"}}).status_code == 200
    assert resolved(host, "m").base_url == "https://bedrock-runtime.us-east-1.amazonaws.com"
    for settings in ({"region": None}, {"region": "evil"}, {"organization": "o"}):
        response = alice.patch(url, json={"settings": settings})
        assert response.status_code == 422
        assert fields_of(response)[0].startswith("settings.")
    response = alice.patch(url, json={"base_url": "https://a.example"})
    assert (response.status_code, fields_of(response)) == (422, ["base_url"])
    response = alice.patch(url, json={"model_provider": "openai", "secret": {"api_key": "sk-1"}})
    assert response.status_code == 422
    secret = {"secret": {"api_key": "sk-1"}}
    assert "secret.api_key" in fields_of(alice.patch(url, json=secret))


def test_models_of_a_cloud_have_no_base_url(host, alice, kind, account):
    models = [{"model_id": "m", "model_name": "m", "base_url": "https://a.example/v1"}]
    url = f"{ACCOUNTS}/{account['id']}/models"
    response = alice.post(url, json={"models": models})
    assert (response.status_code, fields_of(response)) == (422, ["models.0.base_url"] * 2)

    (row_id,) = add(alice, account["id"], "m")
    moved = alice.patch(f"{PREFIX}/{row_id}", json={"base_url": "https://a.example/v1"})
    assert "api_key" in fields_of(moved)
    assert alice.patch(f"{PREFIX}/{row_id}", json={"temperature": 0.5}).status_code == 200
    # An API key of its own needs a base URL, because the provider has none.
    response = alice.put(f"{PREFIX}/{row_id}/credential", json={"api_key": "sk-1"})
    assert (response.status_code, fields_of(response)) == (422, ["base_url"])
    own = {"api_key": "sk-1", "base_url": "https://a.example/v1"}
    assert alice.patch(f"{PREFIX}/{row_id}", json=own).status_code == 200
    assert resolved(host, "m").api_key == Secret("sk-1")
    assert attach(alice, row_id, account["id"]).status_code == 422


def test_a_model_without_its_cloud_says_what_to_do(host, alice, kind, account):
    (row_id,) = add(alice, account["id"], "m")
    assert alice.delete(f"{ACCOUNTS}/{account['id']}?detach=true").status_code == 204

    response = alice.post(f"{PREFIX}/{row_id}/test")
    assert response.status_code == 409
    explained = str(explain(host, "m"))
    assert "no URL of its own" in explained
    again = create(alice, **CLOUDS[kind])
    assert attach(alice, row_id, again["id"]).status_code == 204
    assert resolved(host, "m").kind == kind


def explain(host, ref):
    with host.app.app_context():
        return host.registry.explain(ref, user=host.load("alice"))


def test_settings_edited_in_sql_lead_to_no_other_server(host, alice, kind, account):
    add(alice, account["id"], "m")
    table = host.registry.Credential.__table__
    other = "google" if kind == "aws" else "aws"
    settings = {
        "aws": {"region": "x@evil.example/#"},
        "google": {"project": "p", "location": "x/y"},
    }

    def with_values(**values):
        with host.app.app_context(), host.db.engine.begin() as connection:
            connection.execute(sa.update(table).values(**values))
        return explain(host, "m").problems

    (problem,) = with_values(settings=settings[kind])
    assert "settings" in problem
    before = {"settings": CLOUDS[kind]["settings"]}
    assert with_values(**before) == ()
    for values in ({"kind": other, "settings": CLOUDS[other]["settings"]}, {"kind": "key"}):
        (problem,) = with_values(**{**before, **values})
        assert problem
    assert with_values(kind=kind, **before) == ()
    with host.app.app_context(), host.db.engine.begin() as connection:
        models = host.registry.Model.__table__
        connection.execute(sa.update(models).values(base_url="https://evil.example/v1"))
    (problem,) = explain(host, "m").problems
    assert "can't be decrypted" in problem


class OtherBox:
    """A secret_box that returns another value than the encrypted one."""

    def __init__(self):
        self.returns = None

    def seal(self, plaintext, context):
        return plaintext.encode()

    def open(self, blob, context):
        return blob.decode() if self.returns is None else self.returns


@pytest.mark.sampled(3)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("kind", "document"),
    [
        ("aws", {}),
        ("aws", {"access_key_id": "AKIASTOREDSTORED0001"}),
        ("aws", {**AWS["secret"], "endpoint_url": "https://evil.example"}),
        ("aws", {**AWS["secret"], "access_key_id": 1}),
        ("google", {"service_account": "/etc/passwd"}),
        (
            "google",
            {"service_account": json.dumps({**SERVICE_ACCOUNT, "type": "external_account"})},
        ),
        ("google", {"service_account": json.dumps({**SERVICE_ACCOUNT, "token_uri": "http://a/"})}),
        ("google", {"api_key": "sk-1", "headers": {}}),
        ("google", []),
    ],
)
def test_a_stored_secret_is_checked_again_when_it_is_used(hosts, kind, document):
    box = OtherBox()
    host = hosts(secret_box=box)
    alice = host.client("alice")
    account = create(alice, **CLOUDS[kind])
    (row_id,) = add(alice, account["id"], "m")
    box.returns = json.dumps(document)

    assert explain(host, "m").problems == ("The stored secret isn't valid. Set a new one.",)
    assert state(alice, row_id)["status"] == "unreadable"


@pytest.mark.databases("sqlite")
def test_a_copied_model_is_called_by_no_other_client(host, alice):
    (row_id,) = register(alice, "k")
    for kind, fields in CLOUDS.items():
        add(alice, create(alice, **{**fields, "name": kind})["id"], kind)
        model = resolved(host, kind)
        with pytest.raises(UnsupportedClientError, match=r"has no API key; it has \w+_kwargs\(\)"):
            model.api_key.reveal()
        for refused in (model.http_client, model.async_http_client):
            with pytest.raises(UnsupportedClientError, match="has no http_client"):
                refused()
        assert model == copy.deepcopy(model)
        assert hash(model) == hash(copy.deepcopy(model))
        assert str(model.api_key) == "**********"
        assert resolved(host, "k").api_key != model.api_key != resolved(host, "k").api_key


@pytest.mark.databases("sqlite")
@needs_boto3
@pytest.mark.parametrize("token", [None, "T" * 20])
def test_boto3_gets_the_stored_access_key_and_nothing_of_the_environment(
    host, alice, monkeypatch, token
):
    import boto3
    from botocore.config import Config

    for name in "ACCESS_KEY_ID SECRET_ACCESS_KEY SESSION_TOKEN BEARER_TOKEN_BEDROCK REGION".split():
        monkeypatch.setenv(f"AWS_{name}", "of-the-environment")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://evil.example")
    secret = {**AWS["secret"], **({"session_token": token} if token else {})}
    add(alice, create(alice, **{**AWS, "secret": secret})["id"], "m")
    kwargs = resolved(host, "m").boto3_kwargs(Config(read_timeout=7, signature_version="bearer"))
    sent = []

    def stop(request, **_):
        sent.append(request)
        raise ConnectionAbortedError

    with closing(boto3.client(**kwargs)) as client:
        client.meta.events.register("before-send", stop)
        with pytest.raises(ConnectionAbortedError):
            client.converse(modelId="m", messages=[{"role": "user", "content": [{"text": "Hi"}]}])
        assert client.meta.config.read_timeout == 7

    (request,) = sent
    assert request.url == "https://bedrock-runtime.eu-central-1.amazonaws.com/model/m/converse"
    authorization = request.headers["Authorization"].decode()
    assert authorization.startswith("AWS4-HMAC-SHA256 Credential=AKIASTOREDSTORED0001/")
    assert "/eu-central-1/" in authorization
    assert (request.headers.get("X-Amz-Security-Token") or b"").decode() == (token or "")
    assert "of-the-environment" not in str(request.headers)


@pytest.mark.databases("sqlite")
@needs_boto3
@pytest.mark.parametrize(("temperature", "sent"), [(None, {}), (0.0, {"temperature": 0.0})])
def test_the_call_of_the_page_takes_a_model_without_a_temperature(host, alice, temperature, sent):
    import boto3

    page = Path(__file__).parent.parent / "docs" / "call.md"
    (row,) = re.findall(r"^\| `boto3` \|.*$", page.read_text(), re.MULTILINE)
    made, call = row.split("`")[5:8:2]
    (row_id,) = add(alice, create(alice, **AWS)["id"], "m")
    changed = alice.patch(f"{PREFIX}/{row_id}", json={"temperature": temperature})
    bodies = []

    def stop(request, **_):
        bodies.append(json.loads(request.body))
        raise ConnectionAbortedError

    names = {"boto3": boto3, "model": (model := resolved(host, "m")), "name": model.model_name}
    with closing(eval(made, names)) as names["client"]:
        names["client"].meta.events.register("before-send", stop)
        with pytest.raises(ConnectionAbortedError):
            eval(call, names)

    assert changed.status_code == 200
    assert bodies[0]["inferenceConfig"] == sent


@pytest.mark.databases("sqlite")
def test_litellm_gets_the_stored_secret_and_is_not_diverted(host, alice, monkeypatch):
    for kind, fields in CLOUDS.items():
        add(alice, create(alice, **{**fields, "name": kind})["id"], kind)

    assert resolved(host, "aws").litellm_kwargs() == {
        "model": "bedrock/converse/aws",
        "aws_region_name": "eu-central-1",
        "aws_access_key_id": AWS["secret"]["access_key_id"],
        "aws_secret_access_key": AWS["secret"]["secret_access_key"],
        "aws_session_token": "",
        "api_key": "",
        "aws_bedrock_runtime_endpoint": "https://bedrock-runtime.eu-central-1.amazonaws.com",
    }
    kwargs = resolved(host, "google").litellm_kwargs()
    assert json.loads(kwargs.pop("vertex_credentials")) == KEPT
    assert kwargs == {
        "model": "vertex_ai/google",
        "vertex_project": "p-1",
        "vertex_location": "europe-west4",
        "api_base": "https://europe-west4-aiplatform.googleapis.com",
    }
    for name in ("AWS_PROFILE_NAME", "AWS_ROLE_NAME", "AWS_WEB_IDENTITY_TOKEN"):
        with monkeypatch.context() as patched:
            patched.setenv(name, "of-the-environment")
            with pytest.raises(ConfigError, match=name):
                resolved(host, "aws").litellm_kwargs()


@pytest.fixture
def google_auth(monkeypatch):
    """A stand-in for Google's package, which the tests don't install."""

    class Credentials:
        @classmethod
        def from_service_account_info(cls, info, scopes):
            if info["client_email"].startswith("bad"):
                raise ValueError(info["private_key"])
            if info["client_email"].startswith("odd"):
                raise UnsupportedAlgorithm("Unknown key type: 1.3.101.122")
            return info, scopes

    module = SimpleNamespace(Credentials=Credentials)
    for name in ("google", "google.oauth2", "google.oauth2.service_account"):
        monkeypatch.setitem(sys.modules, name, module)


@pytest.mark.databases("sqlite")
@pytest.mark.usefixtures("google_auth")
def test_google_gets_the_stored_service_account_and_place(host, alice):
    add(alice, create(alice, **GOOGLE)["id"], "m")

    kwargs = resolved(host, "m").google_kwargs()
    assert kwargs == {
        "vertexai": True,
        "project": "p-1",
        "location": "europe-west4",
        "credentials": (KEPT, ["https://www.googleapis.com/auth/cloud-platform"]),
        "http_options": {
            "base_url": "https://europe-west4-aiplatform.googleapis.com",
            "api_version": "v1",
        },
    }


@pytest.mark.databases("sqlite")
@pytest.mark.usefixtures("google_auth")
@pytest.mark.parametrize("name", ["bad", "odd"])
def test_an_invalid_private_key_shows_up_in_no_error(host, alice, name):
    account = {**SERVICE_ACCOUNT, "client_email": f"{name}@p-1.example"}
    add(alice, create(alice, **{**GOOGLE, "secret": {"service_account": account}})["id"], "m")
    model = resolved(host, "m")

    with pytest.raises(UnreadableCredentialError, match="private_key") as caught:
        model.google_kwargs()
    assert SECRETS[1] not in shown_frames(caught.value)


def shown_frames(error):
    """Return everything in an error report: its texts, and the variables of all its frames."""
    error.__traceback__ = error.__traceback__.tb_next  # without the test's own
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format())


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("kind", CLOUDS)
def test_a_package_that_is_not_installed_is_named(host, alice, monkeypatch, kind):
    add(alice, create(alice, **CLOUDS[kind])["id"], "m")
    model = resolved(host, "m")
    for name in ("google.oauth2.service_account", "botocore.config"):
        monkeypatch.setitem(sys.modules, name, None)

    with pytest.raises(ConfigError, match=r"(boto3|google-genai), which isn't installed"):
        {"aws": model.boto3_kwargs, "google": model.google_kwargs}[kind]()


@pytest.mark.databases("sqlite")
@needs_boto3
@pytest.mark.usefixtures("google_auth")
def test_each_model_of_a_cloud_has_the_kwargs_of_its_clients_and_names_them(host, alice):
    """Each provider that takes such a kind, in each category."""
    has = {
        "aws": {"boto3_kwargs", "litellm_kwargs"},
        "google": {"google_kwargs", "litellm_kwargs"},
    }
    methods = {name for name in dir(ResolvedModel) if name.endswith("_kwargs")} - {"call_kwargs"}
    walked = [(each.id, kind) for each in PROVIDERS for kind in {*each.kinds} - {"key"}]
    assert {kind for _, kind in walked} == {*CLOUDS}
    for provider, kind in walked:
        made = create(alice, **{**CLOUDS[kind], "model_provider": provider, "name": provider})
        for category in CATEGORIES:
            add(alice, made["id"], f"{provider}/{category}", category=category)
            model = resolved(host, f"{provider}/{category}")
            for name in has[kind]:
                assert getattr(model, name)()
            for name in methods - has[kind]:
                with pytest.raises(UnsupportedClientError) as caught:
                    getattr(model, name)()
                named = str(caught.value).partition("; it has ")[2]
                assert {*re.findall(r"(\w+)\(\)", named)} == has[kind]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    ("kind", "settings", "url"),
    [
        ("aws", {"region": "us-east-1"}, "https://bedrock-runtime.us-east-1.amazonaws.com"),
        ("aws", {"region": "us-gov-west-1"}, "https://bedrock-runtime.us-gov-west-1.amazonaws.com"),
        ("aws", {"region": "cn-north-1"}, "https://bedrock-runtime.cn-north-1.amazonaws.com.cn"),
        (
            "aws",
            {"region": "eusc-de-east-1"},
            "https://bedrock-runtime.eusc-de-east-1.amazonaws.eu",
        ),
        ("google", {"location": "global"}, "https://aiplatform.googleapis.com"),
        ("google", {"location": "eu"}, "https://aiplatform.eu.rep.googleapis.com"),
        ("google", {"location": "us-east5"}, "https://us-east5-aiplatform.googleapis.com"),
    ],
)
def test_a_region_has_the_host_that_the_cloud_documents(kind, settings, url):
    assert cloud_url(kind, settings) == url


@pytest.mark.databases("sqlite")
@needs_boto3
def test_aws_has_no_other_partition(hosts):
    from botocore.loaders import create_loader

    partitions = create_loader().load_data("partitions")["partitions"]
    for each in partitions:
        for region in each["regions"]:
            if not region.endswith("-global"):
                host = cloud_url("aws", {"region": region}).partition(f".{region}.")[2]
                assert host == each["outputs"]["dnsSuffix"], region


@pytest.mark.databases("sqlite")
def test_a_provider_names_its_kinds_and_their_fields(hosts):
    acme = Provider("acme", "Acme", kinds=("aws",))
    host = hosts(providers=[acme, Provider("bedrock", "Ours", kinds=("key",))])
    alice = host.client("alice")
    providers = {each["id"]: each["kinds"] for each in alice.get(f"{PREFIX}/providers").json}

    assert [each["kind"] for each in providers["vertex"]] == ["google", "key"]
    assert providers["acme"] == [
        {
            "kind": "aws",
            "secret": [
                {"name": "access_key_id", "required": True},
                {"name": "secret_access_key", "required": True},
                {"name": "session_token", "required": False},
            ],
            "settings": [{"name": "region", "required": True}],
        }
    ]
    assert providers["openai"][0]["settings"] == [
        {"name": "organization", "required": False},
        {"name": "project", "required": False},
    ]
    assert providers["deepseek"][0]["settings"] == []
    assert alice.post(ACCOUNTS, json=body(**AWS)).status_code == 422
    assert alice.post(ACCOUNTS, json=body(**{**AWS, "model_provider": "acme"})).status_code == 201
    response = alice.post(ACCOUNTS, json=body(name="k", model_provider="acme"))
    assert (response.status_code, fields_of(response)) == (422, ["model_provider"])


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize(
    "provider",
    [
        Provider("acme", "Acme", kinds=("oauth",)),
        Provider("acme", "Acme", kinds=()),
        Provider("acme", "Acme", settings=("region",)),
        Provider("acme", "Acme", kinds="key"),
    ],
)
def test_a_provider_with_another_kind_is_refused(hosts, provider):
    with pytest.raises(ConfigError, match="kinds"):
        hosts(providers=[provider])


@pytest.mark.databases("sqlite")
def test_a_models_own_key_becomes_a_credential_of_its_kind_only(alice):
    (row_id,) = register(alice, "m")
    sent = {"name": "team", "kind": "aws", "from_model": row_id, "settings": AWS["settings"]}

    response = alice.post(ACCOUNTS, json=sent)
    assert (response.status_code, fields_of(response)) == (422, ["kind"])


def test_doctor_and_verify_keys_handle_cloud_credentials(host, alice, kind, account):
    add(alice, account["id"], "m")

    output, status = host.run("doctor")
    assert "cannot be called" not in output
    output, status = host.run("verify-keys")
    assert (status, "1" in output) == (0, True)


def test_python_takes_the_same(host, alice, kind):
    with host.app.app_context():
        user = host.load("alice")
        given = copy.deepcopy(CLOUDS[kind])
        made = host.registry.create_credential(name="team", user=user, **given)
        assert made["kind"] == kind
        host.registry.set_secret(made["id"], user=user, **copy.deepcopy(CLOUDS[kind]["secret"]))
        host.registry.update_secret(made["id"], user=user, **copy.deepcopy(CLOUDS[kind]["secret"]))
        (model,) = host.registry.create_models(
            made["id"], [{"model_id": "m", "model_name": "m"}], user=user
        )
        assert host.registry.resolve(model["id"], user=user).kind == kind


def test_a_cloud_is_exported_and_imported(host, alice, kind, account, tmp_path):
    add(alice, account["id"], "m")
    before = resolved(host, "m").secrets
    path = tmp_path / "out.jsonl"
    output, status = host.run("export", "--with-secrets")
    assert status == 0, output
    path.write_text(output)

    assert "keep" in host.run("import", "--on-conflict", "update", str(path))[0]
    assert alice.delete(f"{ACCOUNTS}/{account['id']}?detach=true").status_code == 204
    output, status = host.run("import", "--on-conflict", "update", str(path))
    assert status == 0, output
    model = resolved(host, "m")
    assert (model.kind, model.secrets) == (kind, before)
    assert model.settings == CLOUDS[kind]["settings"]


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_host_may_keep_the_secrets_of_clouds_elsewhere(hosts, kind, is_whole):
    asked = []

    def source(name, **about):
        asked.append(about["origin"])
        return copy.deepcopy(CLOUDS[kind]["secret"]) if is_whole else "sk-of-another-kind"

    host = hosts(secret_source=source)
    alice = host.client("alice")
    fields = {name: each for name, each in CLOUDS[kind].items() if name != "secret"}
    response = alice.post(ACCOUNTS, json={"name": "team", "reference": "vault/x", **fields})

    if not is_whole:
        assert (response.status_code, fields_of(response)) == (422, ["reference"])
        return
    assert response.status_code == 201, response.text
    add(alice, response.json["id"], "m")
    model = resolved(host, "m")
    assert model.secrets.keys() == CLOUDS[kind]["secret"].keys()
    assert {*asked} == {model.base_url}


@pytest.mark.databases("sqlite")
def test_a_command_creates_one(host, kind, monkeypatch):
    owner = str(host.user("alice"))
    settings = [f"--setting={name}={each}" for name, each in CLOUDS[kind]["settings"].items()]
    options = ["--owner", owner, "--name", "team", "--provider", CLOUDS[kind]["model_provider"]]
    result = host.app.test_cli_runner().invoke(
        model_registry,
        ["create-credential", "--kind", kind, *options, *settings],
        input=json.dumps(CLOUDS[kind]["secret"]),
    )

    assert result.exit_code == 0, result.output
    assert not any(each in result.output for each in SECRETS)
    (account,) = host.client("alice").get(ACCOUNTS).json
    assert account["kind"] == kind


def test_details_show_where_a_cloud_is_called(host, alice, kind, account):
    (row_id,) = add(alice, account["id"], "m")

    details = alice.get(f"{PREFIX}/{row_id}/details").json
    assert details["address"] == resolved(host, "m").base_url
    assert details["key"]["is_set"] is True


def test_rotation_includes_cloud_credentials(process, kind):
    host = process()
    alice = host.client("alice")
    add(alice, create(alice, **CLOUDS[kind])["id"], "m")
    before = resolved(host, "m").secrets
    later = process(NEW, OLD)
    output, status = later.run("rotate-keys")

    assert status == 0, output
    assert resolved(later, "m").secrets == before


def test_each_kind_is_in_the_tests_of_this_file():
    assert {"key", *CLOUDS} == {*KINDS}
