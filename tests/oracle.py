"""The registry's rules once more, over plain dicts, as the documentation tells them.

Each method says what status a request must be answered with, and does to the dicts what the
request does to the database. Nothing here looks at the library.
"""

from __future__ import annotations

CATEGORY = {"general": "llm", "compact": "llm", "embedding": "embedding", "rerank": "rerank"}
GROUPS = {"ann": {"g"}, "ben": {"g", "h"}, "cid": {"h"}, "dee": set()}
PEOPLE = list(GROUPS)
ADMINS = {"ann", "ben"}
DEFAULT_FIELDS = {
    "category": "llm",
    "base_url": None,
    "description": None,
    "is_active": True,
    "share_with_users": False,
}


def origin(model):
    return (model["base_url"] or "own").removesuffix("/v2")


class Oracle:
    """What everybody should see."""

    def __init__(self):
        self.models, self.defaults, self.app_defaults = {}, {}, {}

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
        """Return 404 or 403, or None if the user may; without a right, for the owner alone."""
        model = self.models.get(row_id)
        if model is None or not self.sees(user, model):
            return 404
        allowed = self.may(user, model, right) if right else model["owner"] == user
        return None if allowed else 403

    # --- what is there

    def listed(self, user):
        return {row_id: model for row_id, model in self.models.items() if self.sees(user, model)}

    def nearest(self, user, model_id):
        def rank(item):
            row_id, model = item
            if model["owner"] == user:
                return 0, row_id
            if user in model["users"]:
                return 1, row_id
            return (2 if self.grants(user, model) else 3), row_id

        named = [item for item in self.listed(user).items() if item[1]["model_id"] == model_id]
        return min(named, key=rank)[0] if named else None

    def effective(self, user):
        found = {}
        for config_type in CATEGORY:
            for source, row_id in (("user", self.defaults.get((user, config_type))),
                                   ("app", self.app_defaults.get(config_type))):  # fmt: skip
                model = self.models.get(row_id)
                if model and self.sees(user, model) and model["is_active"] and model["key"]:
                    found.setdefault(config_type, (source, row_id))
        return found

    def taken(self, model, but=None):
        """Tell whether the owner, or the shared models, have this model_id already."""
        return any(
            row_id != but and other["model_id"] == model["model_id"]
            and (other["owner"] == model["owner"] or (other["share_with_users"] and model["share_with_users"]))
            for row_id, other in self.models.items()
        )  # fmt: skip

    def chosen(self, user, row_id):
        return any(name == user and each == row_id for (name, _), each in self.defaults.items())

    def forget(self, is_gone):
        self.defaults = {
            key: row_id for key, row_id in self.defaults.items() if not is_gone(key[0], row_id)
        }
        self.app_defaults = {
            key: row_id for key, row_id in self.app_defaults.items() if not is_gone(None, row_id)
        }

    def forget_blind(self, row_id):
        """Forget the defaults of those who cannot see it; who is in a group, only the host knows."""
        model = self.models[row_id]

        def is_blind(user, each):
            named = user == model["owner"] or user in model["users"] or model["groups"]
            return each == row_id and not model["share_with_users"] and not (user and named)

        self.forget(is_blind)

    # --- what people do

    def register(self, user, fields):
        model = {**DEFAULT_FIELDS, **fields, "owner": user, "users": {}, "groups": {}, "version": 1}
        if model["share_with_users"] and user not in ADMINS:
            return 403, model
        return (409 if self.taken(model) else 201), model

    def patch(self, user, row_id, changes):
        if status := self.refused(user, row_id, "can_edit"):
            return status
        old = self.models[row_id]
        new = {**old, **changes}
        changed = {name for name in new if new[name] != old[name]} | (
            {"key"} & {*changes} if changes.get("key") else set()
        )
        moved = origin(old) != origin(new)
        if old["owner"] != user and (moved or changed & {"model_id", "share_with_users"}):
            return 403
        if moved and old["key"] and "key" not in changes:
            return 422
        if (
            new["share_with_users"]
            and (moved or not old["share_with_users"])
            and user not in ADMINS
        ):
            return 403
        if old["share_with_users"] and new["share_with_users"] and "category" in changed:
            return 409
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
            self.forget_blind(row_id)
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
        if status := self.refused(user, row_id):
            return status
        if self.models[row_id][kind].pop(name, None) is None:
            return 404
        self.forget_blind(row_id)
        return 204

    def transfer(self, user, row_id, to):
        if status := self.refused(user, row_id):
            return status
        if to == user:
            return 204
        model = {**self.models[row_id], "owner": to}
        if self.taken(model, row_id):
            return 409
        self.give(row_id, to)
        return 204

    def give(self, row_id, to):
        model = self.models[row_id]
        model["owner"] = to
        model["users"].pop(to, None)
        model["version"] += 1
        self.forget_blind(row_id)

    def set_default(self, user, config_type, row_id, scope):
        if scope == "app" and user not in ADMINS:
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
        if scope == "app" and user not in ADMINS:
            return 403
        kept, key = (
            (self.app_defaults, config_type)
            if scope == "app"
            else (self.defaults, (user, config_type))
        )
        return 404 if kept.pop(key, None) is None else 204

    def leave(self, user, heir=None):
        """Tell whether the user can leave, and have them leave."""
        owned = [row_id for row_id, model in self.models.items() if model["owner"] == user]
        if heir and any(
            self.taken({**self.models[row_id], "owner": heir}, row_id) for row_id in owned
        ):
            return False
        for row_id in owned:
            self.give(row_id, heir) if heir else self.remove(row_id)
        for model in self.models.values():
            model["users"].pop(user, None)
        self.defaults = {key: row_id for key, row_id in self.defaults.items() if key[0] != user}
        return True
