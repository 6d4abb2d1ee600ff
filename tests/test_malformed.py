"""Malformed requests never cause a 5xx or write a row, on any database."""

import json

import pytest
import sqlalchemy as sa

from flask_model_registry.services.models import ModelService
from tests.accounts import create
from tests.hosts import PREFIX, model, register

pytestmark = pytest.mark.databases("sqlite")

VALID = json.dumps(model()).encode()
REGISTER = f"{PREFIX}/register"


def with_raw(field, raw):
    """Return a valid body, with raw JSON text as the value of one field."""
    body = json.dumps(model(**{field: "RAW"}))
    return body.replace('"RAW"', raw).encode()


BODIES = {
    "empty": b"",
    "blank": b" ",
    "no JSON": b"model_id=gpt",
    "cut short": VALID[:-1],
    "two values": VALID + VALID,
    "trailing comma": VALID[:-1] + b",}",
    "single quotes": VALID.replace(b'"', b"'"),
    "comment": b"/* */" + VALID,
    "NaN": with_raw("temperature", "NaN"),
    "Infinity": with_raw("temperature", "Infinity"),
    "-Infinity": with_raw("temperature", "-Infinity"),
    "leading zero": with_raw("dimension", "01"),
    "hex": with_raw("dimension", "0x10"),
    "a name twice": VALID[:-1] + b', "model_id": "other"}',
    "a name twice, nested": with_raw("abilities", '[{"a":1,"a":2}]'),
    "deep arrays": b"[" * 30000 + b"]" * 30000,
    "deep arrays, open": b"[" * 60000,
    "deep objects": b'{"a":' * 10000 + b"1" + b"}" * 10000,
    "5,000 digits": with_raw("dimension", "9" * 5000),
    "5,000 digits, negative": with_raw("temperature", "-" + "9" * 5000),
    "BOM": b"\xef\xbb\xbf" + VALID,
    "UTF-16": VALID.decode().encode("utf-16"),
    "UTF-16 without BOM": VALID.decode().encode("utf-16-le"),
    "UTF-32": VALID.decode().encode("utf-32"),
    "Latin-1": with_raw("description", '"\u00e9"').decode().encode("latin-1"),
    "overlong UTF-8": VALID.replace(b"gpt-4o", b"\xc0\xaf"),
    "surrogate in UTF-8": VALID.replace(b"gpt-4o", b"\xed\xa0\x80"),
    "NUL byte": VALID.replace(b"gpt-4o", b"gpt\x00"),
    "raw newline in a string": VALID.replace(b"gpt-4o", b"gpt\n"),
    "bad escape": VALID.replace(b"gpt-4o", b"\\x41"),
    "half an escape": VALID.replace(b"gpt-4o", b"\\ud8"),
    "control bytes": bytes(range(32)),
    "random bytes": bytes(range(256)),
}
VALUES = {
    "null": b"null",
    "true": b"true",
    "a number": b"5",
    "a string": b'"model"',
    "an array": b"[]",
    "an array of a model": b"[" + VALID + b"]",
    "an empty object": b"{}",
    "big exponent": with_raw("temperature", "1e999"),
    "huge integer": with_raw("dimension", str(2**63)),
    "integer of 4,000 digits": with_raw("temperature", "9" * 4000),
    "an empty name": VALID[:-1] + b', "": 1}',
    "a name of NUL": VALID[:-1] + b', "\\u0000": 1}',
    "a lone surrogate as name": VALID[:-1] + b', "\\ud800": 1}',
    "a lone surrogate": with_raw("description", '"\\ud800"'),
    "an escaped NUL": with_raw("description", '"\\u0000"'),
    "a very long name": VALID[:-1] + b', "' + b"n" * 5000 + b'": 1}',
    "__class__": VALID[:-1] + b', "__class__": {"a": 1}}',
    "__proto__": VALID[:-1] + b', "__proto__": {"a": 1}}',
    "constructor": VALID[:-1] + b', "constructor": {"prototype": 1}}',
    "dotted name": VALID[:-1] + b', "owner.id": 1}',
    "5,000 unknown names": b"{" + b",".join(b'"%x":1' % n for n in range(5000)) + b"}",
    "15,000 items": with_raw("abilities", "[" + ",".join(["1"] * 15000) + "]"),
    "10,000 items of text": with_raw("abilities", "[" + ",".join(['"a"'] * 10000) + "]"),
    "500 levels": with_raw("description", "[" * 500 + "]" * 500),
    "SQL": with_raw("model_id", '"x\'; DROP TABLE model_registry_models; --"'),
    "a template": with_raw("model_id", '"{{ 7*7 }}"'),
    "a path": with_raw("model_id", '"../../etc/passwd"'),
}


@pytest.mark.parametrize("name", BODIES)
def test_a_malformed_body_is_refused(host, alice, name):
    response = alice.post(REGISTER, data=BODIES[name], content_type="application/json")

    assert response.status_code == 400
    assert response.json["type"].endswith(":malformed-request")
    assert host.rows("models") == []


@pytest.mark.parametrize("name", VALUES)
def test_a_body_of_another_shape_is_refused(host, alice, name):
    response = alice.post(REGISTER, data=VALUES[name], content_type="application/json")

    assert response.status_code == 422, response.text
    assert host.rows("models") == []


def test_a_number_too_small_for_a_float_is_zero(alice):
    body = with_raw("temperature", "-1e-999")

    response = alice.post(REGISTER, data=body, content_type="application/json")

    assert (response.status_code, str(response.json["temperature"])) == (201, "0.0")


@pytest.mark.parametrize("route", ["test", "served-models"])
@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b'{"api_key": "k"}', "application/json", 422),
        (b"[]", "application/json", 422),
        (b"{", "application/json", 400),
        (b"{}", "text/plain", 415),
        (b" " * 70_000, "application/json", 413),
    ],
)
def test_an_optional_body_is_read_strictly(alice, route, body, content_type, status):
    (row_id,) = register(alice, "m")
    credential = create(alice)["id"]

    for path in (f"/{row_id}/{route}", f"/credentials/{credential}/{route}"):
        response = alice.post(PREFIX + path, data=body, content_type=content_type)

        assert response.status_code == status, (path, response.text)


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/xml",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "json",
        "a/b/c",
        "é",
        "application/json; charset=latin-1",
        "application/jsonp",
        "*/*",
        "\x00",
    ],
)
def test_a_body_not_declared_as_json_is_refused(host, alice, content_type):
    response = alice.post(REGISTER, data=VALID, content_type=content_type)

    assert response.status_code == 415
    assert host.rows("models") == []


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=UTF-8",
        "application/vnd.api+json",
        "application/json;charset=utf8;x=y",
    ],
)
def test_json_has_several_names(alice, content_type):
    assert alice.post(REGISTER, data=VALID, content_type=content_type).status_code == 201


def test_a_body_over_the_limit_is_refused(host, alice):
    body = VALID[:-1] + b" " * (65_537 - len(VALID)) + b"}"

    response = alice.post(REGISTER, data=body, content_type="application/json")

    assert len(body) == 65_537
    assert response.status_code == 413
    assert response.json["detail"] == "The limit is 65536 bytes."


def test_a_body_at_the_limit_is_taken(alice):
    body = VALID[:-1] + b" " * (65_536 - len(VALID)) + b"}"

    assert alice.post(REGISTER, data=body, content_type="application/json").status_code == 201


@pytest.mark.parametrize(("size", "status"), [(65_536, 201), (65_537, 413), (5_000_000, 413)])
def test_a_chunked_body_has_the_same_limit(alice, size, status):
    body = Stream(VALID[:-1] + b" " * (size - len(VALID)) + b"}")
    environ = {
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "HTTP_TRANSFER_ENCODING": "chunked",
    }

    response = alice.post(REGISTER, content_type="application/json", environ_overrides=environ)

    assert response.status_code == status
    assert body.read_so_far <= 65_537


class Stream:
    """A body of unknown length, in small pieces."""

    def __init__(self, content):
        self.content, self.read_so_far = content, 0

    def read(self, size=-1):
        size = min(size, 8192) if size >= 0 else 8192
        piece = self.content[self.read_so_far : self.read_so_far + size]
        self.read_so_far += len(piece)
        return piece

    def readline(self, size=-1):
        return self.read(size)


QUERIES = [
    "limit=0", "limit=-1", "limit=101", "limit=1000000000", "limit=abc", "limit=", "limit=1.5",
    "limit=1&limit=2", "limit=%EF%BC%91%EF%BC%92", "limit=+5", "limit=%205", "limit=1e2", "limit=0x5",
    "limit=99999999999999999999", "limit=%00", "after=", "after=5", "after=aWQ6NQ", "after=aWQ6MA==",
    "after=aWQ6LTU=", "after=aWQ6OTk5OTk5OTk5OTk=", "after=LWlkOjU=", "after=%00", "after=%C3%A9",
    "after=aWQ6NQ==&after=aWQ6NQ==", "after=" + "A" * 5000, "after=____", "after=aWQ6NSA=",
    "sort=name", "sort=", "sort=id,-id", "sort=ID", "sort=-id&sort=id", "sort=-", "sort=--id", "sort=%00", "sort=owner_id", "sort=ciphertext", "sort=-created_at", "is_active=yes", "is_active=1",
    "is_active=", "is_active=True", "owned=all", "owned=0", "category=chat", "category=", "category=LLM",
    "category=llm&category=image", "ability=", "ability=a%00", "ability=" + "a" * 65, "ability=%ED%A0%80",
    "model_provider=", "model_provider=a%20b", "model_provider=%FF", "q=%00", "q=%1B",     "q=" + "q" * 256, "q=%E2%80%AE", "q=a&q=b", "colour=red", "api_key=sk-1", "=", "=5", "%00=1",
    "%ED%A0%80=1", "limit[]=5", "page=2", "offset=10", "user=2", "owner_id=1", "scope=app",
    "model_id=", "model_id=a%20b", "model_id=a//b", "model_id=%EF%BC%A7pt", "model_id=e%CC%81",
    "model_id=a&model_id=b", "model_id=" + "a" * 256, "model_id=%00", "model_id=%ED%A0%80", "model_id=..",
]  # fmt: skip


@pytest.mark.sampled(28)
@pytest.mark.parametrize("query", QUERIES)
def test_a_malformed_query_is_refused(alice, query):
    response = alice.get(f"{PREFIX}/?{query}")

    assert response.status_code == 422, response.text
    assert response.json["errors"]


@pytest.mark.parametrize("path", ["/register", "/1", "/by-id/gpt-4o"])
def test_a_key_in_the_query_is_refused(host, alice, path):
    method = "POST" if path == "/register" else "GET"

    response = alice.open(f"{PREFIX}{path}?api_key=sk-1", method=method, json=model())

    assert response.status_code == 422
    assert host.rows("models") == []


PATHS = [
    "/0", "/-1", "/01", "/+1", "/1.0", "/1e3", "/2147483648", "/9223372036854775808", "/" + "9" * 5000,
    "/%EF%BC%91%EF%BC%92", "/1%00", "/%00", "/%20", "/1%20", "/0x1", "/True", "/None", "/null", "/nan",
    "/1'--", "/1/x", "/1//", "/%C3%A9", "/%FF", "/%ED%A0%80", "/..%2f", "/%2e%2e", "/;x", "/*",
    "/by-id", "/by-id/", "/by-id/%00", "/by-id/a%00b", "/by-id/%ED%A0%80", "/by-id/a b", "/by-id/..",
    "/by-id/a//b", "/by-id/a/../b", "/by-id/%C3%A9", "/by-id/" + "a" * 256, "/by-id/" + "a/" * 2000,
    "/by-id/1'%20OR%20'1'='1", "/by-id/%25", "/by-id/_", "/by-id/-", "/by-id/gpt-4o%20", "/by-id/GPT-4O",
    "/unknown", "/register/x", "/.env", "/v1/models/x", "/static/../../etc/passwd",
]  # fmt: skip


@pytest.mark.sampled(17)
@pytest.mark.parametrize("path", PATHS)
def test_a_url_that_names_no_model_is_not_found(alice, path):
    alice.post(REGISTER, json=model())

    response = alice.get(PREFIX + path)

    assert response.status_code == 404, response.text
    assert response.mimetype == "application/problem+json"
    assert response.json["type"].endswith(":not-found")


class OfTheServerError(Exception):
    """Gunicorn's errors for chunks that are none are not all of them OSErrors."""


@pytest.mark.parametrize("error", [OSError, OfTheServerError])
def test_invalid_chunks_are_a_client_error(alice, error):
    class Broken(Stream):
        def read(self, size=-1):
            raise error("invalid chunk size")

    environ = {"wsgi.input": Broken(b""), "wsgi.input_terminated": True,
               "HTTP_TRANSFER_ENCODING": "chunked"}  # fmt: skip

    response = alice.post(REGISTER, content_type="application/json", environ_overrides=environ)

    assert response.status_code == 400


def test_a_body_that_ends_too_soon_is_refused(host, alice):
    environ = {"wsgi.input_terminated": True, "CONTENT_LENGTH": "500"}

    response = alice.post(
        REGISTER, data=VALID, content_type="application/json", environ_overrides=environ
    )

    assert response.status_code == 400
    assert host.rows("models") == []


@pytest.mark.databases("sqlite", "postgresql", "mariadb")
@pytest.mark.parametrize("is_chunked", [True, False])
def test_a_slow_client_holds_no_connection_to_the_database(host, alice, is_chunked):
    with host.app.app_context():
        pool = host.db.engine.pool
    held = []

    class Slow(Stream):
        def read(self, size=-1):
            held.append(pool.checkedout())
            return super().read(size)

    length = (
        {"HTTP_TRANSFER_ENCODING": "chunked"} if is_chunked else {"CONTENT_LENGTH": str(len(VALID))}
    )
    environ = {"wsgi.input": Slow(VALID), "wsgi.input_terminated": True, **length}

    response = alice.post(REGISTER, content_type="application/json", environ_overrides=environ)

    assert response.status_code == 201
    assert set(held) == {0}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT"])
def test_an_unknown_method_is_not_allowed(alice, method):
    response = alice.open(REGISTER, method=method)

    assert (response.status_code, response.mimetype) == (405, "application/problem+json")


@pytest.mark.parametrize("path", ["//register", "//1", "///"])
def test_double_slashes_are_not_redirected(alice, path):
    response = alice.post(PREFIX + path, json=model())

    assert response.status_code == 404
    assert "Location" not in response.headers


@pytest.mark.parametrize("error", [UnicodeEncodeError("latin-1", "é", 0, 1, "x"),
                                   sa.exc.DataError("INSERT", {}, Exception("22P05"))])  # fmt: skip
def test_text_that_the_database_cannot_hold_is_refused(host, alice, monkeypatch, error):
    def fail(*_):
        raise error

    monkeypatch.setattr(ModelService, "create", fail)

    assert alice.post(REGISTER, json=model()).status_code == 422


def test_a_flood_of_parameters_gets_a_short_response(alice):
    query = "&".join(f"p{number}=1&p{number}=2" for number in range(2000))

    assert len(alice.get(f"{PREFIX}/?{query}").json["errors"]) == 50
