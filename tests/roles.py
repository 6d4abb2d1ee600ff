"""A model, users with every relation to it, and a request to each route."""

import sqlalchemy as sa

from flask_model_registry.web.views import ROUTES
from tests.hosts import PREFIX, grant, model, register

BY_NAME = {"model_by_handle", "openai_model"}


def account(client):
    """Make a credential, and return its id."""
    body = {"name": "team", "model_provider": "openai", "secret": {"api_key": model()["api_key"]}}
    return client.post(f"{PREFIX}/credentials", json=body).json["id"]


class RoleFixture:
    """A model, and a user in a given role to it."""

    def __init__(self, host, role):
        self.host, self.role = host, role
        owner = host.client("owner")
        (self.id,) = register(owner, "m/1", abilities=["chat"])
        another = host.client("another user")
        (self.foreign,) = register(another, "foreign")
        self.credential, self.foreign_credential = map(account, (owner, another))
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
            .replace("<credential>", str(ref))
            .replace("<path:user>", str(self.host.user("old grantee" if old else "new grantee")))
            .replace("<path:group>", "old group" if old else "new group")
            .replace("<config_type>", "general")
            .replace("<provider>", "vertex")
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
            ("account_credentials", "POST"): {
                "name": "new", "model_provider": "openai", "secret": {"api_key": model()["api_key"]}
            },
            ("account_credential", "PATCH"): {"name": "changed"},
            ("account_secret", "PUT"): {"api_key": model()["api_key"]},
            ("account_secret", "PATCH"): {"api_key": model()["api_key"]},
            ("account_test", "POST"): {"model_name": "gpt-4o"},
            ("account_models", "POST"): {"models": [{"model_id": "new", "model_name": "new"}]},
            ("credential", "PUT"): {"api_key": model()["api_key"]},
            ("parameters", "PUT"): {"parameters": {"seed": 1}, "info": {}},
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
        tables = ("models", "abilities", "grants", "defaults", "app_defaults", "credentials")
        return {name: self.host.rows(name) for name in tables}
