"""Make and use credentials in tests."""

from tests.hosts import CANARY, PREFIX

ACCOUNTS = f"{PREFIX}/credentials"
AT = "https://llm.example.com/v1"


def body(**fields):
    """Return a valid request for a credential."""
    return {
        "name": "team",
        "model_provider": "openai",
        "secret": {"api_key": CANARY, "headers": {"X-Team": CANARY + "-header"}},
        **fields,
    }


def create(client, **fields):
    response = client.post(ACCOUNTS, json=body(**fields))
    assert response.status_code == 201, response.text
    return response.json


def add(client, credential_id, *model_ids, **fields):
    """Register models with a credential, and return their ids."""
    models = [{"model_id": each, "model_name": each, **fields} for each in model_ids]
    response = client.post(f"{ACCOUNTS}/{credential_id}/models", json={"models": models})
    assert response.status_code == 201, response.text
    return [each["id"] for each in response.json]


def attach(client, row_id, credential_id):
    return client.put(f"{PREFIX}/{row_id}/credential", json={"credential": credential_id})


def resolved(host, ref, name="alice"):
    with host.app.app_context():
        return host.registry.resolve(ref, user=host.load(name))


def state(client, row_id):
    return client.get(f"{PREFIX}/{row_id}/credential").json


#: The secrets and settings of cloud credentials, as users enter them.
AWS = {
    "kind": "aws",
    "model_provider": "bedrock",
    "secret": {
        "access_key_id": "AKIASTOREDSTORED0001",
        "secret_access_key": "stored/Secret+Key" * 2,
    },
    "settings": {"region": "eu-central-1"},
}
SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "p-1",
    "private_key_id": "0123456789abcdef",
    "private_key": "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n".format(
        "QUJD" * 16
    ),
    "client_email": "caller@p-1.iam.gserviceaccount.com",
    "client_id": "1",
    "auth_uri": "https://accounts.google.com/o/oauth2/auth",
    "token_uri": "https://oauth2.googleapis.com/token",
    "universe_domain": "googleapis.com",
}
GOOGLE = {
    "kind": "google",
    "model_provider": "vertex",
    "secret": {"service_account": SERVICE_ACCOUNT},
    "settings": {"project": "p-1", "location": "europe-west4"},
}
CLOUDS = {"aws": AWS, "google": GOOGLE}
