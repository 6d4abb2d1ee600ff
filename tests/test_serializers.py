"""Real serializers, comparisons and formats find nothing of a secret."""

from __future__ import annotations

import base64
import copy
import dataclasses
import gc
import inspect
import json
import logging
import pickle
import pprint
import warnings

import attrs
import deepdiff
import jsonpickle
import msgspec
import pydantic
import pytest
import yaml
from flask import Flask

from flask_model_registry import AesGcmBox, EncryptionKey, ResolvedModel, Secret
from flask_model_registry.cli import new_key
from flask_model_registry.config import Settings
from tests.conftest import traces
from tests.frames import texts
from tests.hosts import CANARY, make_host, model

RAW = bytes(range(32, 128, 3))


@attrs.define
class Holder:
    """A class of the host's that keeps its argument."""

    name: str
    held: object


def resolved(api_key=CANARY):
    return ResolvedModel(
        1, "m", "llm", "openai", "m", "https://a.example.com", "openai", None, None, (),
        Secret(api_key),
    )  # fmt: skip


def key(raw=RAW):
    return EncryptionKey("k", raw)


# Objects of the registry that a host app holds.
HELD = {
    "a secret": lambda: Secret(CANARY),
    "a model": resolved,
    "an encryption key": key,
    "settings": lambda: Settings(encryption_keys=(key(),)),
    "a box": lambda: AesGcmBox([key()]),
}


def jsonpickled(value, **options):
    gc.disable()  # or SQLAlchemy's weak references may end while it iterates over them
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the secret's next version
            return jsonpickle.encode(value, **options)
    finally:
        gc.enable()


def differences(value, other="another", **options):
    return deepdiff.DeepDiff(value, other, **options)


READERS = {
    "repr": repr,
    "str": str,
    "format": lambda value: f"{value} {value!r} {value!s} {'%s %r' % (value, value)}",
    "log": lambda value: logging.Formatter().format(
        logging.LogRecord("x", 10, "f", 1, "%r %s", (value, value), None)
    ),
    "pprint": pprint.pformat,
    "vars": vars,
    "json, vars": lambda value: json.dumps(value, default=vars),
    "json, str": lambda value: json.dumps(value, default=str),
    "json of Flask": lambda value: Flask("x").json.dumps(value),
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "asdict": dataclasses.asdict,
    "astuple": dataclasses.astuple,
    "attrs": lambda value: attrs.asdict(Holder("x", value)),
    "jsonpickle": jsonpickled,
    "jsonpickle, plain": lambda value: jsonpickled(value, unpicklable=False),
    "jsonpickle, properties": lambda value: jsonpickled(value, include_properties=True),
    "jsonpickle of a holder": lambda value: jsonpickled(Holder("x", value)),
    "deepdiff": differences,
    "deepdiff, verbose": lambda value: differences([value], verbose_level=2),
    "deepdiff of two": lambda value: differences(value, resolved("sk-another"), verbose_level=2),
    "deepdiff, text": lambda value: differences([value], verbose_level=2).to_json(
        default_mapping={object: repr}
    ),
    "deephash": lambda value: dict(deepdiff.DeepHash(value)),
    "deepsearch": lambda value: deepdiff.DeepSearch(value, CANARY[12:20], verbose_level=2),
    "msgspec": msgspec.to_builtins,
    "msgspec, vars": lambda value: msgspec.json.encode(value, enc_hook=vars),
    "msgspec, str": lambda value: msgspec.json.encode(value, enc_hook=str),
    "pydantic": pydantic.TypeAdapter(object).dump_python,
    "pydantic, JSON": pydantic.TypeAdapter(object).dump_json,
    "pydantic, fallback": lambda value: pydantic.TypeAdapter(object).dump_json(value, fallback=str),
    "yaml": yaml.dump,
    "yaml, safe": yaml.safe_dump,
    "members": inspect.getmembers,
    "attributes": lambda value: [getattr(value, name) for name in dir(value)],
    "slots and __dict__": lambda value: texts([value]),
    "state": lambda value: getattr(value, "__getstate__", str)(),
    "reduce": lambda value: value.__reduce_ex__(4),
    "list": list,
    "bytes": bytes,
}


def spellings(raw):
    """Return pieces of bytes in the forms that serializers write."""
    encoded = base64.b64encode(raw).decode()
    numbers = str([*raw])[1:-1]
    return {
        *(raw[at : at + 8].hex() for at in range(25)),
        *(encoded[at : at + 11] for at in range(30)),
        *(repr(raw[at : at + 8])[2:-1] for at in range(25)),
        *(raw[at : at + 8].decode("latin-1") for at in range(25)),
        *(numbers[at : at + 24] for at in range(0, 72, 4)),
    }


def is_found(written):
    whole = "\n".join(texts(written))
    return bool(traces([whole])) or any(each in whole for each in spellings(RAW))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("held", HELD)
def test_no_reader_finds_a_secret(held, reader):
    try:
        written = READERS[reader](HELD[held]())
    except Exception as error:
        written = [error, error.args]

    assert not is_found(written)


def test_the_readers_find_values_that_are_not_hidden():
    plain = [Holder("x", CANARY), {"raw": RAW}]

    found = {name for name, read in READERS.items() if _finds(read, plain)}

    assert {"repr", "pickle", "jsonpickle", "yaml", "pprint", "deepdiff"} <= found


def _finds(read, value):
    try:
        return is_found(read(value))
    except Exception:
        return False


@pytest.mark.parametrize("held", HELD)
def test_pickle_refuses_objects_that_hold_a_secret(held):
    with pytest.raises(TypeError, match="cannot"):
        pickle.dumps(HELD[held]())


@pytest.mark.parametrize(
    "text", [CANARY, "", "\ud800", "ünï"], ids=["key", "empty", "surrogate", "accents"]
)
def test_secrets_are_equal_if_their_texts_are(text):
    assert Secret(text) == Secret(text)
    assert hash(Secret(text)) == hash(Secret(text))
    assert Secret(text) != Secret(text + "x")
    assert Secret(text) != text
    assert (resolved() == resolved(), resolved() == resolved("sk-another")) == (True, False)
    assert (key() == key(), key() == key(RAW[::-1])) == (True, False)
    assert len({key(), key(), key(RAW[::-1])}) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [(Secret(CANARY), Secret("sk-another")), (resolved(), resolved("sk-another"))],
)
def test_comparing_two_secrets_prints_neither(one, other):
    with pytest.raises(AssertionError) as caught:
        assert one == other

    assert "Secret('**********')" in str(caught.value)
    assert traces([str(caught.value)]) == []


def test_a_secret_is_true_and_has_no_length_and_no_items():
    secret = Secret(CANARY)

    assert bool(secret) is True
    for read in (len, iter, bytes, int, "x".__add__, lambda it: it[0], lambda it: f"{it:>30}"):
        with pytest.raises(TypeError) as caught:
            read(secret)
        assert traces([str(caught.value)]) == []


def test_objects_that_hold_a_secret_can_be_copied():
    for made in (copy.copy, copy.deepcopy):
        assert made(resolved()).api_key.reveal() == CANARY
        assert made(key()).secret == made(key()).reveal() == RAW
        assert made(key()).key_id == key().key_id


def test_an_encryption_key_is_frozen_and_has_no_other_attributes():
    with pytest.raises(dataclasses.FrozenInstanceError):
        key().id = "other"
    with pytest.raises(AttributeError, match="'EncryptionKey' object has no attribute 'other'"):
        _ = key().other


def test_no_serializer_finds_an_encryption_key_in_what_an_app_has_of_the_registry(tmp_path):
    path, entry = tmp_path / "keys", new_key("k")
    path.write_text(entry)
    raw = base64.b64decode(entry.partition(":")[2])
    config = {
        "MODEL_REGISTRY_ENCRYPTION_KEYS": None,  # so that the configuration holds none
        "MODEL_REGISTRY_ENCRYPTION_KEYS_FILE": str(path),
    }
    host = make_host(f"sqlite:///{tmp_path / 'host.sqlite'}", config=config)
    services = host.services
    parts = {each.name: getattr(services, each.name) for each in dataclasses.fields(services)}
    with host.app.app_context():
        alice = host.load("alice")
        host.registry.create(user=alice, **model(model_id="m"))
        parts["resolved"] = host.registry.resolve("m", user=alice)
        written = [
            *texts([services, host.registry]),
            *(_written(read, part) for part in parts.values() for read in (repr, vars)),
            jsonpickled(parts),  # these share most of their objects
        ]
    host.close()

    whole = "\n".join(written)
    assert traces([whole]) == []
    assert [each for each in spellings(raw) if each in whole] == []


def _written(read, part):
    try:
        return str(read(part))
    except Exception as error:
        return str(error)
