"""Compare sentences of the documentation that were once false with the app.

Other tests check tables, examples and whole pages: see ``test_documentation`` and ``test_pages``.
"""

import re

import pytest
from flask import Flask

from flask_model_registry import AesGcmBox, ConfigError, EncryptionKey
from flask_model_registry.cli import model_registry, new_key
from flask_model_registry.config import Settings
from flask_model_registry.providers import transport
from flask_model_registry.web.views import ROUTES
from tests.doc_runner import ROOT, text_of
from tests.hosts import PREFIX, create_app, declare, granted, model, register
from tests.roles import account
from tests.texts import OPERATIONS, TEXTS

HTTP, PYTHON, CLI, SETTINGS, ERRORS, PROVIDERS, SECRETS, GROUPS = (
    ROOT / "docs" / f"{name}.md"
    for name in "http python cli python http providers security share".split()
)


def says(page, sentence):
    return sentence in " ".join(TEXTS[page].split())


@pytest.fixture
def make_host(tmp_path):
    made = []

    def make(**options):
        made.append(create_app(declare(**options), f"sqlite:///{tmp_path / 'x.sqlite'}"))
        with made[-1].app.app_context():
            made[-1].db.create_all()
        return made[-1]

    yield make
    for host in made:
        host.close()


@pytest.fixture
def host(make_host):
    return make_host(groups=lambda user: ["g"])


class Counting(AesGcmBox):
    """A box that counts what it decrypts."""

    count = 0

    def open(self, blob, context):
        self.count += 1
        return super().open(blob, context)


@pytest.fixture
def admin(host):
    return host.client("admin", is_admin=True)


def paths(**variables):
    """Yield the path of each route, with its name and its methods."""
    for name, (rule, views) in ROUTES.items():
        path = re.sub(r"<(?:path:)?(\w+)>", lambda found: str(variables[found[1]]), rule)
        yield name, path, views


def test_only_the_pages_file_is_kept_by_caches(host, admin):
    (row_id,) = register(admin, "m")
    variables = {"id": row_id, "model_id": "m", "user": "2", "group": "g", "provider": "openai"}
    variables["credential"] = account(admin)

    kept = {
        (method, name): answer.status_code
        for name, path, views in paths(**variables, config_type="general")
        for method in ("OPTIONS", "TRACE", "HEAD", *sorted(views, reverse=True))
        for client in (admin, host.client())
        if (answer := client.open(PREFIX + path, method=method)).headers["Cache-Control"]
        != "no-store"
    }
    with admin.get(f"{PREFIX}/static/model-registry.js") as file:
        kept_for = file.headers["Cache-Control"]
    missing = admin.get(f"{PREFIX}/static/missing.js")

    assert kept == {}
    assert kept_for == "no-cache"
    assert missing.headers["Cache-Control"] == "no-store"
    assert says(HTTP, "Every response has `Cache-Control: no-store`, except [the page's files]")


def test_if_match_is_for_what_changes_a_model_and_not_for_defaults(host, admin):
    (row_id,) = register(admin, "m")
    host.user("bob")
    bodies = {"credential": {"api_key": "k" * 9}, "default": {"id": row_id}}
    bodies |= {
        "register": model(model_id="n"),
        "models": model(model_id="o"),
        "transfer": {"user": "2"},
        "account_secret": {"api_key": "k" * 9},
        "account_test": {"model_name": "m"},
        "parameters": {"parameters": {}, "info": {}},
        "account_models": {"models": [{"model_id": "p", "model_name": "p"}]},
    }
    variables = {"id": row_id, "model_id": "m", "user": "2", "group": "g", "provider": "openai"}
    variables["credential"] = account(admin)

    heeded, ignored = set(), set()
    for name, path, views in paths(**variables, config_type="general"):
        for method in {*views} & {"POST", "PUT", "PATCH", "DELETE"}:
            body = bodies.get(
                name, model(model_id="m") if method == "PUT" and "model" in name else {}
            )
            answer = admin.open(
                PREFIX + path, method=method, json=body, headers={"If-Match": '"0"'}
            )
            if answer.status_code == 412:
                heeded.add((name, method))
            elif answer.status_code < 300:
                ignored.add((name, method))

    assert {name for name, _ in heeded} == {
        "model", "model_by_handle", "credential", "user_grant", "group_grant", "transfer",
        "account_credential", "account_secret", "account_models", "parameters",
    }  # fmt: skip
    assert {("register", "POST"), ("models", "POST"), ("default", "PUT")} <= ignored
    assert {name for name, _ in ignored} <= {
        "register", "models", "default", "test_model", "account_test"
    }  # fmt: skip
    sentence = (
        "Send the tag as `If-Match` when you change, delete, grant or transfer a model, or set its"
    )
    assert says(HTTP, sentence)
    assert says(HTTP, "Requests that register a model or choose a default ignore `If-Match`.")


def test_a_tag_depends_on_rights_and_not_on_the_user(host, admin):
    (row_id,) = register(admin, "m", share_with_users=True)
    granted(admin, row_id, user=host.client("bob") and "2", can_edit=True)

    tags = {
        name: host.client(name).get(f"{PREFIX}/{row_id}").headers["ETag"]
        for name in ("admin", "bob", "carol", "dan")
    }

    assert tags["carol"] == tags["dan"]
    assert len({*tags.values()}) == 3
    assert says(HTTP, "so users with different rights get different tags")


def test_a_grant_changes_the_tag_of_its_grantee_alone(host, admin):
    (row_id,) = register(admin, "m", share_with_users=True)
    clients = {name: host.client(name) for name in ("admin", "bob", "carol")}

    def tags():
        return {
            name: client.get(f"{PREFIX}/{row_id}").headers["ETag"]
            for name, client in clients.items()
        }

    before = tags()
    granted(admin, row_id, user="2", can_edit=True)
    after = tags()

    assert {name for name in after if after[name] != before[name]} == {"bob"}
    assert says(HTTP, "If a grant changes, only its grantee gets a new tag for the model.")


def test_by_id_and_the_list_for_openai_take_the_model_id(host, admin):
    by_handle = {rule for rule, _ in ROUTES.values() if "model_id>" in rule}

    assert by_handle == {"/by-id/<path:model_id>", "/v1/models/<path:model_id>"}
    assert says(
        HTTP,
        "Only `/by-id/{model_id}` and `/v1/models/{model_id}` identify a model by its `model_id`.",
    )


def test_without_a_users_own_default_the_scope_user_returns_the_apps(host, admin):
    (row_id,) = register(admin, "m", share_with_users=True)
    admin.put(f"{PREFIX}/defaults/general?scope=app", json={"id": row_id})

    for path in ("/defaults?scope=user", "/defaults"):
        (default,) = admin.get(PREFIX + path).json
        assert (default["source"], default["model"]["id"]) == ("app", row_id)
    assert says(
        HTTP, "that apply to you: your own, or else the app's; with `?scope=app` only the app's"
    )


def test_a_page_has_fifty_models_or_as_many_as_the_app_allows(host, admin):
    register(admin, *(f"m{number}" for number in range(4)))
    few = host.again(MODEL_REGISTRY_MAX_PAGE_SIZE=3)

    assert len(few.client("admin").get(f"{PREFIX}/").json) == 3
    assert says(HTTP, "by default 50, or `MODEL_REGISTRY_MAX_PAGE_SIZE` if that is less")
    few.close()


LONGEST = {"model_provider": "a" * 64, "model_name": "m" * 255}
LONGEST |= {
    "base_url": "https://a.example/" + "x" * 2030,
    "abilities": [f"a{n}" for n in range(32)],
}


@pytest.mark.parametrize("name", LONGEST)
def test_a_model_may_be_as_long_as_the_page_says_and_no_longer(admin, name):
    body = model(base_url="https://a.example")
    longer = {name: LONGEST[name] + LONGEST[name][-1:]} if name != "abilities" else {
        name: [*LONGEST[name], "one-more"]
    }  # fmt: skip
    told = {"model_provider": "1–64 characters", "model_name": "1–255 characters"}
    told |= {"base_url": "up to 2048 characters", "abilities": "up to 32;"}

    assert admin.post(f"{PREFIX}/", json={**body, **longer}).status_code == 422
    assert admin.post(f"{PREFIX}/", json={**body, name: LONGEST[name]}).status_code == 201
    (row,) = re.findall(rf"^\| `{name}` \|.*$", HTTP.read_text(), re.MULTILINE)
    assert told[name] in row


def test_flasks_own_limit_for_bodies_applies_too(host, admin):
    (row_id,) = register(admin, "m")
    less, more = (host.again(MAX_CONTENT_LENGTH=size) for size in (100, 10**6))

    for other, size in ((less, 101), (more, 65_537)):
        body = b"x" * size
        answer = other.client("admin").patch(
            f"{PREFIX}/{row_id}", data=body, content_type="application/json"
        )
        assert answer.status_code == 413
        other.close()
    assert says(SETTINGS, "Flask's `MAX_CONTENT_LENGTH` applies too")


def test_the_environment_has_booleans_in_lower_case(monkeypatch):
    (name, value) = re.search(r"`FLASK_(MODEL_REGISTRY_PAGE)=(\w+)`", SETTINGS.read_text()).groups()
    monkeypatch.setenv(f"FLASK_{name}", value)
    monkeypatch.setenv("FLASK_MODEL_REGISTRY_ENCRYPTION_KEYS", new_key())
    app = Flask("environment")
    app.config.from_prefixed_env()

    assert Settings.from_config(app.config).page is False
    with pytest.raises(ConfigError, match="PAGE must be true or false"):
        Settings.from_config({**app.config, name: value.title()})


def test_the_page_of_providers_has_the_limits_of_a_response():
    size, headers = transport._MAX_BODY_BYTES >> 20, transport._MAX_HEADERS
    told = f"{size} MB, more than {headers} headers, or more than"

    assert says(
        PROVIDERS,
        f"the server sent more than {told} {transport._MAX_HEADER_BYTES >> 10} KB of them",
    )


@pytest.mark.parametrize("path", ["/1%0A", "/by-id/%0Am", "/v1/models/m%0A", "/%0A", "/x/%0A/y"])
def test_a_path_with_a_line_break_is_not_found_like_any_other(admin, path):
    answer = admin.get(PREFIX + path)

    assert answer.status_code == 404
    assert answer.json["type"].endswith(":not-found")
    assert "line break" not in " ".join(text_of(ERRORS, "Errors").split())


def test_the_abilities_of_a_resolved_model_are_a_tuple(host, admin):
    register(admin, "m")
    register(admin, "n", abilities=["vision", "chat"])

    with host.app.app_context():
        user = host.load("admin")
        found = [host.registry.resolve(each, user=user).abilities for each in ("m", "n")]

    assert found == [(), ("vision", "chat")]
    assert says(PYTHON, "| `.abilities` | a tuple, `()` if none were registered |")


def test_only_the_default_that_applies_is_decrypted(make_host):
    box = Counting([EncryptionKey.parse(new_key())])
    admin = make_host(secret_box=box).client("admin", is_admin=True)
    (shared,) = register(admin, "shared", share_with_users=True)
    (own,) = register(admin, "own")
    admin.put(f"{PREFIX}/defaults/general?scope=app", json={"id": shared})
    admin.put(f"{PREFIX}/defaults/general", json={"id": own})

    counts = []
    for path in ("/", "/1/credential", "/defaults", "/defaults/general", "/v1/models", "/summary"):
        before = box.count
        assert admin.get(PREFIX + path).status_code == 200
        counts.append(box.count - before)

    assert counts == [0, 1, 1, 1, 0, 0]
    assert says(
        SECRETS,
        "the API key of the app's default model only if the user's chosen model can't be used.",
    )


def test_groups_are_asked_for_once_per_request_and_call(make_host):
    asked = []

    def groups(user):
        asked.append(user.id)
        return ["g"]

    host = make_host(groups=groups)
    alice = host.client("alice")
    (row_id,) = register(alice, "m")
    for path in ("/", f"/{row_id}", "/by-id/m", "/defaults", "/v1/models"):
        alice.get(PREFIX + path)
    requests = len(asked)
    with host.app.app_context():
        user = host.load("alice")
        host.registry.list(user=user), host.registry.resolve("m", user=user)

    assert (requests, len(asked) - requests) == (6, 2)
    assert says(GROUPS, "once for each request to the registry, and once for each Python call")


def test_descriptions_and_searches_may_have_line_breaks_and_tabs_and_nothing_else_may(admin):
    (row_id,) = register(admin, "m", description="a\n\tb\r\n")
    found = admin.get(f"{PREFIX}/", query_string={"q": "a\n\tb"}).json

    assert [each["id"] for each in found] == [row_id]
    for name in ("model_id", "model_provider", "model_name", "base_url", "category", "api_key"):
        body = model(model_id="n", **{"base_url": "https://a.example"}) | {name: "a\tb"}
        assert admin.post(f"{PREFIX}/", json=body).status_code == 422
    for other in ("\0", "\x1b", "\u200b", "\u202e"):
        body = model(model_id="n", description=other)
        assert admin.post(f"{PREFIX}/", json=body).status_code == 422
    assert says(OPERATIONS, "except line breaks and tabs in descriptions and `q`.")


def test_an_encryption_key_is_named_as_the_page_of_commands_says():
    (shown,) = re.findall(r"such as `(k[^`]*)`", CLI.read_text())

    for name in (shown, new_key().partition(":")[0]):
        assert re.fullmatch(r"k20\d\d(0\d|1[0-2])[0-3]\d-[0-9a-f]{4}", name)
    assert says(CLI, "| `--id` | `k`, the date and four hex digits, such as")


def test_commands_say_what_fails_on_standard_output_and_how_they_fail_by_their_status(host, admin):
    register(admin, "m")
    host.execute(host.registry.tables.models.update().values(ciphertext=b"x"))
    run = host.app.test_cli_runner().invoke

    failed = run(model_registry, ["verify-keys"])
    wrong = run(model_registry, ["verify-keys", "--batch-size", "0"])

    assert (failed.exit_code, wrong.exit_code) == (1, 2)
    assert "'m'" in failed.stdout
    assert "looked at" in failed.stderr
    assert "looked at" not in failed.stdout
    assert "Invalid value" in wrong.stderr
    assert says(CLI, "exits with status 1 if it fails, and with status 2 if its arguments")


NUMBERS = {
    "PROBE_TIMEOUT": ("more than 0, up to 300", (0.001, 300), (0, -1, 300.1, True, "5")),
    "PROBE_CONCURRENCY": ("1 or more", (1, 10**6), (0, 1.0, True, "5")),
    "MAX_BODY_BYTES": ("1 or more", (1, 10**9), (0, 1.0, True, "5")),
    "MAX_PAGE_SIZE": ("1 or more", (1, 10**6), (0, 1.0, True, "5")),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_setting_takes_the_numbers_that_the_page_says(name):
    told, good, bad = NUMBERS[name]
    keys = {"MODEL_REGISTRY_ENCRYPTION_KEYS": new_key()}

    for value in good:
        settings = Settings.from_config({**keys, f"MODEL_REGISTRY_{name}": value})
        assert getattr(settings, name.lower()) == value
    for value in bad:
        with pytest.raises(ConfigError, match=name):
            Settings.from_config({**keys, f"MODEL_REGISTRY_{name}": value})
    assert re.search(
        rf"^\| `MODEL_REGISTRY_{name}` \| `[\d.]+` \| {told} \|", SETTINGS.read_text(), re.MULTILINE
    )
