"""The registry's rules again, over plain dicts, as the documentation describes them.

Each method returns the status that a request must get, and changes the dicts as the request
changes the database. Nothing here uses the library.
"""

from __future__ import annotations

CATEGORY = {"general": "llm", "compact": "llm", "embedding": "embedding", "rerank": "rerank"}
GROUPS = {"ann": {"g"}, "ben": {"g", "h"}, "cid": {"h"}, "dee": set()}
PEOPLE = list(GROUPS)
ADMINS = {"ann", "ben"}
RELIED_ON = {"model_id", "key", "base_url", "credential"}
DEFAULT_FIELDS = {
    "category": "llm",
    "base_url": None,
    "description": None,
    "is_active": True,
    "share_with_users": False,
    "key": None,
    "credential": None,
}


def origin(account_or_model):
    return (account_or_model["base_url"] or "own").removesuffix("/v2")


def new_model(owner, fields):
    return {**DEFAULT_FIELDS, **fields, "owner": owner, "users": {}, "groups": {}, "version": 1}


class ReferenceModel:
    """What each user should see."""

    def __init__(self):
        self.models, self.defaults, self.app_defaults, self.accounts = {}, {}, {}, {}
        self.admins = {*ADMINS}

    # --- who may what

    def grants(self, user, model):
        by_group = (rights for name, rights in model["groups"].items() if name in GROUPS[user])
        return [*([model["users"][user]] if user in model["users"] else []), *by_group]

    def sees(self, user, model):
        return model["owner"] == user or model["share_with_users"] or bool(self.grants(user, model))

    def may(self, user, model, right):
        granted = any(rights[right] for rights in self.grants(user, model))
        return model["owner"] == user or granted

    def flags(self, user, model):
        rights = (self.may(user, model, "can_edit"), self.may(user, model, "can_delete"))
        return (model["owner"] == user, *rights)

    def refused(self, user, row_id, right=None):
        """Return 404 or 403, or None if the user may; without a ``right``, only the owner may."""
        model = self.models.get(row_id)
        if model is None or not self.sees(user, model):
            return 404
        allowed = self.may(user, model, right) if right else model["owner"] == user
        return None if allowed else 403

    # --- what is there

    def listed(self, user):
        return {row_id: model for row_id, model in self.models.items() if self.sees(user, model)}

    def named(self, user, model_id):
        """Return the ids of the models that the name may lead to, the nearest first."""

        def rank(item):
            row_id, model = item
            if model["owner"] == user:
                return 0, row_id
            if model["share_with_users"]:
                return 1, row_id
            return (2 if user in model["users"] else 3), row_id

        named = [item for item in self.listed(user).items() if item[1]["model_id"] == model_id]
        return [row_id for row_id, _ in sorted(named, key=rank)]

    def nearest(self, user, model_id):
        """Return the model that the name leads to: an active one, if there is one."""
        named = self.named(user, model_id)
        active = [row_id for row_id in named if self.models[row_id]["is_active"]]
        return next(iter(active + named), None)

    def to_change(self, user, model_id):
        """Return the model that a change by name is about, and the status if that is ambiguous."""
        named = self.named(user, model_id)
        if not named:
            return None, 404
        is_clear = self.models[named[0]]["is_active"] or len(named) == 1
        return (named[0], None) if is_clear else (None, 409)

    def effective(self, user):
        found = {}
        for config_type in CATEGORY:
            for source, row_id in (("user", self.defaults.get((user, config_type))),
                                   ("app", self.app_defaults.get(config_type))):  # fmt: skip
                model = self.models.get(row_id)
                if model and self.sees(user, model) and model["is_active"] and self.secret(model):
                    found.setdefault(config_type, (source, row_id))
        return found

    def taken(self, model, but=None):
        """Return whether the owner or a shared model already uses this model_id."""
        return any(
            row_id != but and other["model_id"] == model["model_id"]
            and (other["owner"] == model["owner"] or (other["share_with_users"] and model["share_with_users"]))
            for row_id, other in self.models.items()
        )  # fmt: skip

    def chosen(self, user, row_id):
        return any(name == user and each == row_id for (name, _), each in self.defaults.items())

    def forget(self, user_missing):
        self.defaults = {
            key: row_id for key, row_id in self.defaults.items() if not user_missing(key[0], row_id)
        }
        self.app_defaults = {
            key: row_id
            for key, row_id in self.app_defaults.items()
            if not user_missing(None, row_id)
        }

    def clear_invisible(self, row_id):
        """Forget the defaults of users who cannot see it, except while it is granted to groups."""
        model = self.models[row_id]

        def is_blind(user, each):
            named = user == model["owner"] or user in model["users"] or model["groups"]
            return each == row_id and not model["share_with_users"] and not (user and named)

        self.forget(is_blind)

    # --- what people do

    def register(self, user, fields):
        model = new_model(user, fields)
        if model["share_with_users"] and user not in self.admins:
            return 403, model
        return (409 if self.taken(model) else 201), model

    def patch(self, user, row_id, changes):
        if status := self.refused(user, row_id, "can_edit"):
            return status
        old = self.models[row_id]
        new = {**old, **changes, **({"credential": None} if "key" in changes else {})}
        changed = {name for name in new if new[name] != old[name]} | (
            {"key"} & {*changes} if changes.get("key") else set()
        )
        moved = origin(old) != origin(new)
        if old["owner"] != user and (moved or changed & {"model_id", "share_with_users"}):
            return 403
        stays_shared = old["share_with_users"] and new["share_with_users"]
        is_relied_on = changed & RELIED_ON or (new["is_active"] and not old["is_active"])
        takes_right = is_relied_on if stays_shared else new["share_with_users"]
        if takes_right and user not in self.admins:
            return 403
        if stays_shared and "category" in changed:
            return 409
        if moved and self.secret(old) and "key" not in changes:
            return 422
        unshared = old["share_with_users"] and not new["share_with_users"]
        if (
            (unshared or "category" in changed)
            and old["owner"] == user
            and self.chosen(user, row_id)
        ):
            return 409
        if changed & {"model_id", "share_with_users"} and self.taken(new, row_id):
            return 409
        self.models[row_id] = {**new, "version": old["version"] + bool(changed)}
        if "category" in changed:
            self.forget(lambda _, each: each == row_id)
        if unshared:
            self.clear_invisible(row_id)
        return 200

    def delete(self, user, row_id):
        if status := self.refused(user, row_id, "can_delete"):
            return status
        if self.models[row_id]["owner"] == user and self.chosen(user, row_id):
            return 409
        self.remove(row_id)
        return 204

    def remove(self, row_id):
        del self.models[row_id]
        self.forget(lambda _, each: each == row_id)

    def grant(self, user, row_id, kind, name, rights):
        if status := self.refused(user, row_id):
            return status
        if kind == "users" and name == user:
            return 409
        is_new = name not in self.models[row_id][kind]
        self.models[row_id][kind][name] = rights
        return 201 if is_new else 200

    def revoke(self, user, row_id, kind, name):
        if kind == "users" and name == user and self.refused(user, row_id) == 403:
            return self.decline(user, row_id)
        if status := self.refused(user, row_id):
            return status
        if self.models[row_id][kind].pop(name, None) is None:
            return 404
        self.clear_invisible(row_id)
        return 204

    def decline(self, user, row_id):
        model = self.models[row_id]
        if model["users"].pop(user, None) is None:
            return 404
        if not self.sees(user, model):
            self.forget(lambda name, each: name == user and each == row_id)
        return 204

    def transfer(self, user, row_id, to, *, without_key):
        if status := self.refused(user, row_id):
            return status
        if to == user:
            return 204
        model = {**self.models[row_id], "owner": to}
        if self.taken(model, row_id) or (model["credential"] and not without_key):
            return 409
        if without_key:
            self.models[row_id].update(key=None, credential=None)
        self.give(row_id, to)
        return 204

    def give(self, row_id, to, *, keep_grants=False, keep_active=False):
        model = self.models[row_id]
        model["owner"] = to
        model["users"].pop(to, None)
        if not keep_grants:
            model["users"], model["groups"] = {}, {}
        if not keep_active:
            model["is_active"] = False
        model["version"] += 1
        self.clear_invisible(row_id)

    def set_default(self, user, config_type, row_id, scope):
        if scope == "app" and user not in self.admins:
            return 403
        model = self.models.get(row_id)
        if model is None or not self.sees(user, model):
            return 404
        if model["category"] != CATEGORY[config_type]:
            return 422
        if not model["is_active"] or (scope == "app" and not model["share_with_users"]):
            return 409
        if scope == "app":
            self.app_defaults[config_type] = row_id
        else:
            self.defaults[user, config_type] = row_id
        return 200

    def clear_default(self, user, config_type, scope):
        if scope == "app" and user not in self.admins:
            return 403
        kept, key = (
            (self.app_defaults, config_type)
            if scope == "app"
            else (self.defaults, (user, config_type))
        )
        return 404 if kept.pop(key, None) is None else 204

    def leave(self, user, new_owner=None, **kept):
        """Remove the user if they can leave. Return whether they could."""
        owned = [row_id for row_id, model in self.models.items() if model["owner"] == user]
        accounts = [number for number, each in self.accounts.items() if each["owner"] == user]
        if new_owner and (
            any(self.taken({**self.models[each], "owner": new_owner}, each) for each in owned)
            or any(self.name_taken(new_owner, self.accounts[each]["name"]) for each in accounts)
        ):
            return False
        for row_id in owned:
            self.give(row_id, new_owner, **kept) if new_owner else self.remove(row_id)
        for number in accounts:
            if new_owner:
                self.accounts[number]["owner"] = new_owner
            else:
                del self.accounts[number]
        for model in self.models.values():
            model["users"].pop(user, None)
        self.defaults = {key: row_id for key, row_id in self.defaults.items() if key[0] != user}
        return True

    # --- credentials

    def secret(self, model):
        """Return the API key and the headers of the model's calls, if it has a key."""
        if account := self.accounts.get(model["credential"]):
            return account["key"], account["headers"]
        return (model["key"], {}) if model["key"] else None

    def models_on(self, number):
        return [each for each in self.models.values() if each["credential"] == number]

    def name_taken(self, owner, name, but=None):
        return any(
            each["owner"] == owner and each["name"] == name and number != but
            for number, each in self.accounts.items()
        )

    def refused_account(self, user, number, *, relied_on=False):
        """Return 404 to all but the owner, and 403 if what everyone relies on may not change."""
        if self.accounts.get(number, {}).get("owner") != user:
            return 404
        is_shared = any(each["share_with_users"] for each in self.models_on(number))
        return 403 if relied_on and is_shared and user not in self.admins else None

    def create_account(self, user, fields):
        account = {"base_url": None, "headers": {}, **fields, "owner": user, "version": 1}
        return (409 if self.name_taken(user, account["name"]) else 201), account

    def make_account_of(self, user, row_id, name):
        """Turn the API key of the model into a credential, which gets the model's id here."""
        if status := self.refused(user, row_id):
            return status, None
        model = self.models[row_id]
        if not model["key"]:
            return 409, None
        fields = {"name": name, "base_url": model["base_url"], "key": model["key"]}
        return self.create_account(user, fields)

    def use_account(self, row_id, number):
        self.models[row_id].update(key=None, credential=number)
        self.models[row_id]["version"] += 1

    def attach(self, user, row_id, number):
        status = self.refused(user, row_id) or self.refused_account(user, number)
        if status:
            return status
        model = self.models[row_id]
        if origin(model) != origin(self.accounts[number]):
            return 422
        if model["credential"] == number:
            return 204
        if model["share_with_users"] and user not in self.admins:
            return 403
        self.use_account(row_id, number)
        return 204

    def register_all(self, user, number, models):
        if len({each["model_id"] for each in models}) < len(models):
            return 422, []
        if status := self.refused_account(user, number):
            return status, []
        account = self.accounts[number]
        place = {"base_url": account["base_url"], "credential": number}
        made = [new_model(user, {**place, **fields}) for fields in models]
        if any(origin(each) != origin(account) for each in made):
            return 422, []
        if user not in self.admins and any(each["share_with_users"] for each in made):
            return 403, []
        return (409 if any(self.taken(each) for each in made) else 201), made

    def patch_account(self, user, number, changes):
        """Change the fields; ``key`` stands for the whole secret."""
        if status := self.refused_account(user, number):
            return status
        old = self.accounts[number]
        new = {**old, **({"headers": {}} if "key" in changes else {}), **changes}
        is_elsewhere, is_moved = origin(old) != origin(new), new["base_url"] != old["base_url"]
        if is_elsewhere and "key" not in changes:
            return 422
        if (is_moved or "key" in changes) and self.refused_account(user, number, relied_on=True):
            return 403
        models = self.models_on(number)
        if is_elsewhere and any(each["base_url"] != old["base_url"] for each in models):
            return 409
        if self.name_taken(user, new["name"], number):
            return 409
        self.accounts[number] = {
            **new,
            "version": old["version"] + ("key" in changes or new != old),
        }
        for model in models if is_moved else ():
            if model["base_url"] == old["base_url"]:
                model["base_url"] = new["base_url"]
                model["version"] += 1
        return 200

    def set_secret(self, user, number, key, headers):
        if status := self.refused_account(user, number, relied_on=True):
            return status
        account = self.accounts[number]
        account.update(key=key, headers=headers, version=account["version"] + 1)
        return 204

    def merge_secret(self, user, number, changes):
        """Change the given parts of the secret; a header that is None goes."""
        if status := self.refused_account(user, number, relied_on=True):
            return status
        account = self.accounts[number]
        merged = {**account["headers"], **changes.get("headers", {})}
        kept = {name: value for name, value in merged.items() if value is not None}
        return self.set_secret(user, number, changes.get("key", account["key"]), kept)

    def delete_account(self, user, number, *, detach):
        if status := self.refused_account(user, number):
            return status
        models = self.models_on(number)
        if models and not detach:
            return 409
        if status := self.refused_account(user, number, relied_on=True):
            return status
        for model in models:
            model["credential"] = None
            model["version"] += 1
        del self.accounts[number]
        return 204
