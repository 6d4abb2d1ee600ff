"""An encrypted key can only be decrypted in its own row, for its own origin, with its own key."""

import base64
import itertools
import logging
import os
from uuid import UUID

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flask_model_registry import CannotOpenError, NotFoundError, UnreadableCredentialError
from flask_model_registry.cli import new_key
from flask_model_registry.config import EncryptionKey
from flask_model_registry.providers.app_providers import Catalogue, Providers
from flask_model_registry.providers.base_urls import AddressPolicy
from flask_model_registry.services.encryption import AesGcmBox, CredentialService
from tests.conftest import traces
from tests.hosts import CANARY, PREFIX, model, register

KEYS = [EncryptionKey("new", bytes(range(32))), EncryptionKey("old", bytes(range(32, 64)))]
ON_A_BUSY_MACHINE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def test_an_encrypted_key_decrypts_to_itself():
    box = AesGcmBox(KEYS)

    assert box.open(box.seal(CANARY, "context"), "context") == CANARY


def test_an_old_blob_can_still_be_decrypted():
    blob = bytes.fromhex(
        "01036e6577000102030405060708090a0b3469fb70ab8ab57597cd82ef2d3ba235c1cb893c0f703e48"
    )

    assert AesGcmBox(KEYS, random=lambda size: bytes(range(size))).seal("sk-known", "ctx") == blob
    assert AesGcmBox(KEYS).open(blob, "ctx") == "sk-known"


@pytest.mark.parametrize(
    ("base_url", "tag"),
    [
        ("https://a.example.com:8443/v1", "9d0ade567fbc4705affd6bf5275ffe15"),
        (None, "2e747303cb6b2515b96deb6947d2a0de"),
    ],
)
def test_an_old_row_can_still_be_decrypted(base_url, tag):
    """The context of a key, and the name of its encryption key, never change."""
    blob = "01036e6577000102030405060708090a0b3469fb70ab8ab575" + tag
    row = {
        "uuid": UUID(int=7).hex,
        "model_provider": "openai",
        "base_url": base_url,
        "key_id": "new#ee26fb56",
        "ciphertext": bytes.fromhex(blob),
    }
    credentials = CredentialService(
        AesGcmBox(KEYS), None, Providers(Catalogue(()), AddressPolicy(), client=None)
    )

    assert credentials.decrypt(row).reveal() == "sk-known"
    assert credentials.key_id == row["key_id"]


def test_the_newest_key_seals_and_each_key_opens():
    before = AesGcmBox(KEYS[1:]).seal(CANARY, "context")
    box = AesGcmBox(KEYS)

    assert box.key_id == "new#ee26fb56"
    assert box.seal(CANARY, "context")[2:5] == b"new"
    assert box.open(before, "context") == CANARY


def test_the_same_key_is_sealed_differently_each_time():
    box = AesGcmBox(KEYS)

    assert len({box.seal(CANARY, "context") for _ in range(100)}) == 100


def test_a_box_does_not_show_its_keys():
    box = AesGcmBox(KEYS)

    assert repr(box) == "<AesGcmBox new#ee26fb56, old#7c18c177>"
    assert repr(KEYS[0]) == "EncryptionKey(id='new')"


def every_change(blob):
    """Yield blobs that differ slightly from the given one."""
    for position in range(len(blob)):
        yield blob[:position] + bytes([blob[position] ^ 1]) + blob[position + 1 :]
        yield blob[:position]
    yield blob + b"\x00"
    yield blob.replace(b"new", b"old")
    yield b""


def test_a_changed_blob_does_not_open():
    box = AesGcmBox(KEYS)

    for changed in every_change(box.seal(CANARY, "context")):
        with pytest.raises(CannotOpenError) as caught:
            box.open(changed, "context")
        assert traces([str(caught.value), repr(caught.value)]) == []


def test_a_blob_that_holds_no_text_does_not_open():
    header, nonce = b"\x01\x03new", bytes(12)
    sealed = AESGCM(bytes(range(32))).encrypt(nonce, b"\xff", header + b"context")

    with pytest.raises(CannotOpenError, match="it holds no text"):
        AesGcmBox(KEYS).open(header + nonce + sealed, "context")


@ON_A_BUSY_MACHINE
@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8192))
def test_any_valid_key_decrypts_to_the_same_bytes(api_key):
    box = AesGcmBox(KEYS)

    assert box.open(box.seal(api_key, "context"), "context") == api_key
    assert box.open(AesGcmBox(KEYS[1:]).seal(api_key, "context"), "context") == api_key


@pytest.mark.slow
@ON_A_BUSY_MACHINE
@given(blob=st.binary(max_size=80), context=st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_other_bytes_do_not_open(blob, context):
    with pytest.raises(CannotOpenError):
        AesGcmBox(KEYS).open(blob, context)


@pytest.mark.parametrize("context", ["", "contex", "context ", "Context"])
def test_a_blob_does_not_open_in_another_context(context):
    box = AesGcmBox(KEYS)

    with pytest.raises(CannotOpenError):
        box.open(box.seal(CANARY, "context"), context)


def test_a_blob_of_a_key_that_is_gone_does_not_open():
    blob = AesGcmBox(KEYS[1:]).seal(CANARY, "context")

    with pytest.raises(CannotOpenError, match="not configured"):
        AesGcmBox(KEYS[:1]).open(blob, "context")


def test_other_bytes_under_the_same_name_do_not_open():
    blob = AesGcmBox(KEYS[:1]).seal(CANARY, "context")

    with pytest.raises(CannotOpenError):
        AesGcmBox([EncryptionKey("new", bytes(range(64, 96)))]).open(blob, "context")


def test_the_database_holds_no_key(host, alice):
    register(alice, "m", description="x", base_url="https://a.example.com")

    rows = list(itertools.chain(*(host.rows(name) for name in ("models", "abilities", "grants"))))

    assert traces([repr(row) for row in rows]) == []
    assert rows[0].key_id.startswith("test#")


@pytest.fixture
def two(host, alice):
    """Two models of one owner, at two addresses."""
    register(alice, "a", base_url="https://a.example.com/v1")
    register(alice, "b", base_url="https://b.example.com/v1")
    return host


def resolve(host, ref):
    with host.app.app_context():
        return host.registry.resolve(ref, user=host.load("alice"))


def change(host, model_id, **columns):
    table = host.registry.tables.models
    host.execute(table.update().where(table.c.model_id == model_id).values(**columns))


@pytest.mark.parametrize(
    "columns",
    [
        {"base_url": "https://evil.example.com/v1"},
        {"base_url": "http://a.example.com/v1"},
        {"base_url": "https://a.example.com:444/v1"},
        {"base_url": None},
        {"base_url": "not an address"},
        {"base_url": None, "model_provider": "deepseek"},
    ],
)
def test_an_address_edited_in_sql_makes_the_key_unreadable(two, columns):
    change(two, "a", **columns)

    with pytest.raises(UnreadableCredentialError, match="set a new API key"):
        resolve(two, "a")


@pytest.mark.parametrize("path", ["/v2", "", "/v1/"])
def test_another_path_of_the_same_origin_keeps_the_key(two, path):
    change(two, "a", base_url=f"https://A.example.com:443{path}")

    assert resolve(two, "a").api_key.reveal() == CANARY


def test_a_provider_edited_in_sql_makes_the_key_unreadable(host, alice):
    register(alice, "m")
    change(host, "m", model_provider="deepseek")

    with pytest.raises(UnreadableCredentialError):
        resolve(host, "m")


def test_a_blob_moved_to_another_row_does_not_open(two):
    change(two, "b", base_url="https://a.example.com/v1")
    (first, _) = two.rows("models")
    change(two, "b", ciphertext=first.ciphertext)

    with pytest.raises(UnreadableCredentialError):
        resolve(two, "b")


@pytest.mark.parametrize("blob", [b"", b"plain text", CANARY.encode(), b"\x00" * 100], ids=range(4))
def test_a_value_that_is_not_encrypted_is_not_used_as_a_key(two, blob):
    logging.getLogger("sqlalchemy.engine").setLevel(logging.WARNING)  # one of them is an API key
    change(two, "a", ciphertext=blob)

    with pytest.raises(UnreadableCredentialError):
        resolve(two, "a")


def test_an_unreadable_row_is_listed_like_any_other(two, alice):
    change(two, "a", ciphertext=b"broken")

    assert [each["model_id"] for each in alice.get(f"{PREFIX}/").json] == ["a", "b"]
    assert alice.get(f"{PREFIX}/by-id/a").status_code == 200


def test_a_key_that_looks_encrypted_is_encrypted_like_any_other(host, alice):
    sealed = base64.b64encode(AesGcmBox(KEYS).seal("x", "y")).decode()
    alice.post(f"{PREFIX}/register", json=model(api_key=sealed))

    assert resolve(host, "gpt-4o").api_key.reveal() == sealed


def test_an_old_key_opens_after_a_new_one_is_put_first(hosts):
    host = hosts()
    register(host.client("alice"), "m")
    app = Flask("later")
    app.config.update(host.app.config)
    old = app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"]
    app.config["MODEL_REGISTRY_ENCRYPTION_KEYS"] = [new_key("newer"), old]
    host.db.init_app(app)
    host.registry.init_app(app)

    with app.app_context():
        alice = host.db.session.get(host.User, host.user("alice"))
        assert host.registry.resolve("m", user=alice).api_key.reveal() == CANARY
        host.registry.create(user=alice, **model(model_id="n"))
        host.db.session.commit()
        host.db.session.remove()
        host.db.engine.dispose()

    names = [row.key_id.partition("#")[0] for row in host.rows("models")]
    assert names == ["test", "newer"]


@pytest.mark.forces_errors
def test_a_failing_insert_prints_no_key(host, alice, monkeypatch):
    table = host.registry.tables.models
    host.execute(sa.text(f"ALTER TABLE {table.name} RENAME TO away"))
    try:
        response = alice.post(f"{PREFIX}/register", json=model())
    finally:
        host.execute(sa.text(f"ALTER TABLE away RENAME TO {table.name}"))

    assert response.status_code == 500  # the canary fixture reads the log


def test_no_user_has_a_key_decrypted_that_is_not_theirs_to_use(hosts, request):
    opened = []

    class Counting(AesGcmBox):
        def open(self, blob, context):
            opened.append(context)
            return super().open(blob, context)

    host = hosts(secret_box=Counting([EncryptionKey("k", os.urandom(32))]))
    alice, bob = host.client("alice"), host.client("bob")
    (row_id,) = register(alice, "m")
    alice.put(f"{PREFIX}/defaults/general", json={"id": row_id})
    requests = [
        (method, path, body)
        for path in (f"/{row_id}", "/by-id/m", f"/{row_id}/credential", f"/{row_id}/grants",
                     f"/{row_id}/transfer", "/defaults/general", "/defaults", "/", "/summary")
        for method, body in (("GET", None), ("PUT", {"id": row_id}), ("PATCH", {}), ("DELETE", None),
                             ("POST", {"user": str(host.user("bob"))}))
    ]  # fmt: skip

    for method, path, body in requests:
        bob.open(PREFIX + path, method=method, json=body)
    with host.app.app_context():
        for call in (host.registry.resolve, host.registry.default, host.registry.get):
            for ref in (row_id, "m", "general"):
                with pytest.raises(NotFoundError):
                    call(ref, user=host.load("bob"))

    assert opened == []
    assert alice.get(f"{PREFIX}/{row_id}/credential").json["status"] == "readable"
    assert len(opened) == 1


def test_the_canary_fixture_finds_a_key_in_any_form():
    key = CANARY.removeprefix("sk-canary-")
    forms = [CANARY, key[9:17], key.encode().hex(), base64.b64encode(CANARY.encode()).decode(),
             base64.b64encode(b"Bearer " + CANARY.encode()).decode()]  # fmt: skip

    assert all(traces([f"some text {form} and more"]) for form in forms)
    assert traces([new_key()]) == []
