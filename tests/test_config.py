"""Settings are read once and refused early, with the setting's name and the fix."""

import base64
import re
import secrets

import pytest
from flask import Flask

from flask_model_registry import ConfigError
from flask_model_registry.cli import new_key
from flask_model_registry.config import EncryptionKey, Settings
from tests.hosts import create_app, declare

RAW = secrets.token_bytes(32)
ENCODED = base64.b64encode(RAW).decode()
KEY = f"a:{ENCODED}"


def read(**config):
    return Settings.from_config({f"MODEL_REGISTRY_{name}": value for name, value in config.items()})


@pytest.mark.parametrize(
    "value",
    [KEY, [KEY], (KEY,), f" {KEY} ", f"a:{base64.urlsafe_b64encode(RAW).decode()}"],
    ids=range(5),
)
def test_a_key_can_be_written_in_several_ways(value):
    (key,) = read(ENCRYPTION_KEYS=value).encryption_keys

    assert (key.id, key.secret) == ("a", RAW)


@pytest.mark.parametrize("separator", [",", ", "])
def test_several_keys_are_newest_first(separator):
    keys = read(ENCRYPTION_KEYS=f"{new_key('b')}{separator}{KEY}").encryption_keys

    assert [key.id for key in keys] == ["b", "a"]


BAD_KEYS = {
    "missing": None,
    "empty": "",
    "empty list": [],
    "no id": ENCODED,
    "empty id": f":{ENCODED}",
    "bad id": f"a b:{ENCODED}",
    "no base64": "a:!!!",
    "too short": f"a:{base64.b64encode(RAW[:31]).decode()}",
    "too long": f"a:{base64.b64encode(RAW + b'x').decode()}",
    "zeros": f"a:{base64.b64encode(bytes(32)).decode()}",
    "pattern": f"a:{base64.b64encode(b'ab' * 16).decode()}",
    "id twice": [KEY, new_key("a")],
    "key twice": [KEY, f"b:{ENCODED}"],
    "a number": 5,
    "a list of numbers": [5],
    "bytes": RAW,
    "a password": "correct horse battery staple",
    "trailing comma": f"{KEY},",
    "a set": {KEY},
    "a dict": {KEY: 1},
}


@pytest.mark.parametrize("name", BAD_KEYS)
def test_bad_keys_are_refused_and_not_shown(name):
    with pytest.raises(ConfigError, match="MODEL_REGISTRY_ENCRYPTION_KEYS") as caught:
        read(ENCRYPTION_KEYS=BAD_KEYS[name])

    assert ENCODED[:8] not in str(caught.value)
    assert caught.value.__cause__ is None
    assert re.search("generate-key|list of strings|remove an entry", str(caught.value))


@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SECRET_KEY"])
@pytest.mark.parametrize("value", [RAW, ENCODED, KEY, ENCODED.encode()], ids=range(4))
def test_the_hosts_own_secrets_are_no_encryption_keys(name, value):
    with pytest.raises(ConfigError, match=f"the value of {name}"):
        Settings.from_config({"MODEL_REGISTRY_ENCRYPTION_KEYS": KEY, name: value})


def test_the_hosts_former_secrets_are_no_encryption_keys():
    with pytest.raises(ConfigError, match="SECRET_KEY_FALLBACKS"):
        Settings.from_config(
            {"MODEL_REGISTRY_ENCRYPTION_KEYS": KEY, "SECRET_KEY_FALLBACKS": ["x", ENCODED]}
        )


@pytest.mark.parametrize("value", ["é", b"\xff", "", None, 5, [], [None, 5]])
def test_other_secrets_of_the_host_do_no_harm(value):
    config = {"MODEL_REGISTRY_ENCRYPTION_KEYS": KEY, "SECRET_KEY": value, "JWT_SECRET_KEY": value}
    config["SECRET_KEY_FALLBACKS"] = value

    assert Settings.from_config(config).encryption_keys[0].secret == RAW


@pytest.mark.parametrize(
    "text",
    [KEY, f"{KEY}\n", f"\n{KEY}\n{new_key('b')}\n", f"{KEY},{new_key('c')}"],
    ids=range(4),
)
def test_keys_can_be_in_a_mounted_file(tmp_path, text):
    path = tmp_path / "keys"
    path.write_text(text)

    assert read(ENCRYPTION_KEYS_FILE=str(path)).encryption_keys[0].secret == RAW


@pytest.mark.parametrize("text", ["", "\n", "é", "nonsense", None])
def test_a_file_without_keys_is_refused(tmp_path, text):
    path = tmp_path / "keys"
    if text is not None:
        path.write_text(text)

    with pytest.raises(ConfigError, match="MODEL_REGISTRY_ENCRYPTION_KEYS_FILE"):
        read(ENCRYPTION_KEYS_FILE=path)


def test_a_wrong_entry_is_reported_by_its_number(tmp_path):
    path = tmp_path / "keys"
    path.write_text(f"{KEY}\n# a comment\n")

    with pytest.raises(ConfigError, match="KEYS_FILE, entry 2, must"):
        read(ENCRYPTION_KEYS_FILE=path)
    with pytest.raises(ConfigError, match="KEYS, entry 1, must"):
        read(ENCRYPTION_KEYS="nonsense")


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path):
    path = tmp_path / "keys"
    path.write_text(KEY, "utf-8-sig")

    assert read(ENCRYPTION_KEYS_FILE=path).encryption_keys[0].secret == RAW


def test_keys_are_set_in_one_place_only(tmp_path):
    with pytest.raises(ConfigError, match="not both"):
        read(ENCRYPTION_KEYS=KEY, ENCRYPTION_KEYS_FILE=str(tmp_path / "keys"))


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("URL_PREFIX", ["", "api", "/api/", "/a b", "/<x>", "/..", "/a/.", None, 5], "must be a path"),
        ("MAX_BODY_BYTES", [0, -1, "64", 1.5, True, None], "whole number"),
        ("MAX_PAGE_SIZE", [0, "100", False], "whole number"),
        ("PROBE_CONCURRENCY", [0, "4", 1.5], "whole number"),
        ("PROBE_TIMEOUT", [0, -1, "10", True, None, 301, float("nan"), float("inf")], "seconds up to 300"),
        ("ALLOWED_HOSTS", [["http://x"], ["a b"], "10.0.0.0/33", ["10.0.0.1/8"], ["*"], [""], ["10.0.0.999"], ["127.1"]],
         "give host names"),
        ("ALLOWED_HOSTS", [5, [5]], "list of strings"),
        ("PROXY", ["proxy:3128", "socks5://proxy:1080", "http://", "http://a b", "http://proxy/path", "http://proxy?x",
                   "http://u:p w@proxy", 5, b"http://proxy:1", ["http://proxy:1"]], "must be a URL such as"),
    ],
)  # fmt: skip
def test_the_error_names_the_wrong_setting(name, values, message):
    for value in values:
        with pytest.raises(ConfigError, match=f"MODEL_REGISTRY_{name}.*{message}"):
            read(ENCRYPTION_KEYS=KEY, **{name: value})


def test_a_misspelt_setting_is_refused():
    with pytest.raises(ConfigError, match="MODEL_REGISTRY_ALOWED_HOSTS is not a setting"):
        read(ENCRYPTION_KEYS=KEY, ALOWED_HOSTS=["x"])


def test_allowed_hosts_are_names_addresses_and_networks():
    settings = read(ENCRYPTION_KEYS=KEY, ALLOWED_HOSTS="Ollama, 10.0.0.0/8,::1 ,vllm.internal")

    assert settings.allowed_hosts == {"ollama", "vllm.internal"}
    assert [str(network) for network in settings.allowed_networks] == ["10.0.0.0/8", "::1/128"]


@pytest.mark.parametrize(
    "url",
    ["http://proxy.example:3128", "https://proxy/", "http://us%40er:p%40ss@10.0.0.1:3128", "http://[::1]:3128"],
)  # fmt: skip
def test_a_proxy_is_kept_as_a_secret(url):
    settings = read(ENCRYPTION_KEYS=KEY, PROXY=url)

    assert settings.proxy.reveal() == url
    assert url not in f"{settings!r}{settings.shown()}"
    assert read(ENCRYPTION_KEYS=KEY, PROXY="").proxy is None


def test_settings_do_not_show_keys():
    assert ENCODED[:8] not in repr(read(ENCRYPTION_KEYS=KEY))
    assert "secret" not in repr(read(ENCRYPTION_KEYS=KEY))


def test_init_app_refuses_to_start_without_keys(tmp_path):
    with pytest.raises(ConfigError, match="generate-key"):
        create_app(declare(), f"sqlite:///{tmp_path / 'x'}", MODEL_REGISTRY_ENCRYPTION_KEYS=None)


@pytest.mark.parametrize(
    "value",
    [RAW.hex(), ENCODED.rstrip("="), f"{ENCODED}\n", f"{new_key('x')},{KEY}", f" {KEY} "],
    ids=range(5),
)
def test_other_spellings_of_the_hosts_secrets_are_known(value):
    with pytest.raises(ConfigError, match="the value of SECRET_KEY"):
        Settings.from_config({"MODEL_REGISTRY_ENCRYPTION_KEYS": KEY, "SECRET_KEY": value})


def test_a_key_in_place_of_the_files_path_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        read(ENCRYPTION_KEYS_FILE=KEY)

    assert ENCODED[:8] not in str(caught.value)


def test_all_settings_can_come_from_the_environment(monkeypatch, tmp_path):
    (tmp_path / "keys").write_text(f"b:{base64.b64encode(RAW[::-1]).decode()}\n{KEY}\n")
    values = {
        "ENCRYPTION_KEYS_FILE": str(tmp_path / "keys"),
        "KEY_CHECK": "warning",
        "URL_PREFIX": "/ai",
        "ALLOWED_HOSTS": "ollama,10.0.0.0/8",
        "MAX_BODY_BYTES": "1000",
        "MAX_PAGE_SIZE": "10",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"FLASK_MODEL_REGISTRY_{name}", value)
    app = Flask("host")
    app.config.from_prefixed_env()

    settings = Settings.from_config(app.config)

    assert [key.id for key in settings.encryption_keys] == ["b", "a"]
    assert (settings.key_check, settings.url_prefix) == ("warning", "/ai")
    assert settings.allowed_hosts == {"ollama"}
    assert (settings.max_body_bytes, settings.max_page_size) == (1000, 10)


def test_the_fingerprint_of_a_key_does_not_change():
    key = EncryptionKey("new", bytes(range(32)))

    assert key.key_id == "new#ee26fb56"
    assert EncryptionKey("new", bytes(range(1, 33))).key_id != key.key_id
