"""A model_id in any script: one spelling only, compared exactly, by each way to name a model."""

import json
import re
import sys
from unicodedata import category, normalize
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from flask import Flask
from flask_sqlalchemy import SQLAlchemy

from flask_model_registry import ModelIdTakenError, ModelRegistry, NotFoundError, ValidationError
from flask_model_registry.schemas import NewModel
from tests.accounts import create
from tests.doc_runner import ROOT
from tests.hosts import NEW, PREFIX, granted, keys, model, register

SCRIPTS = [
    "模型", "团队/写作-4o", "モデル", "모델", "модель:7b", "μοντέλο", "ångström", "हिन्दी/मॉडल", "ภาษา-คำ",
    "مدل", "מודל", "ⲙⲟⲇⲉⲗ", "አምሳያ", "௧௨", "〇一", "x̂", "@团队/模型", "~最新", "é" * 255, "\U00020bb7" * 255,
    "\U0001e900\U0001e922",
]  # fmt: skip
LETTERS = "Must be 1 to 255 letters and digits"
BEYOND = "Must have no characters beyond ASCII except letters, digits and their marks."
MARKS = "Must have accents and other marks only after a letter or digit."
FORMS = "Must use letters and digits in their usual form, not full-width, half-width or styled."
NFC = "Must be in Unicode's normalization form C (NFC)."
REFUSED = {
    normalize("NFD", "é"): NFC, "\u212b": NFC, "\u0958": NFC, "\u1112\u1161\u11ab": NFC,
    "ｇｐｔ": FORMS, "１２": FORMS, "ﾓﾃﾞﾙ": FORMS, "\U0001d420pt": FORMS, "\ufee3": FORMS,
    "a/\u0301": MARKS, "\u0301a": MARKS, "a-\u0338": MARKS,
    "a\u034fb": BEYOND, "a\ufe0f": BEYOND, "\u115f": BEYOND, "क\u20dd": BEYOND, "a\u00ad": BEYOND,
    "\U0001f600": BEYOND, "a\U000e0100": BEYOND, "a\u0378": BEYOND, "½": BEYOND, "a、b": LETTERS,
    "a\u200db": LETTERS, "a\u200cb": LETTERS, "a\u200b": LETTERS, "a\u202eb": LETTERS, "a\u2066": LETTERS,
    "a\ufeff": LETTERS, "a\ue000": LETTERS, "a\u3000b": LETTERS, "a\xa0b": LETTERS, "\u3164": LETTERS,
    "a\U000e0041": LETTERS, "\udce9": LETTERS, "é//x": LETTERS, "é/../x": LETTERS, "é/": LETTERS,
    "é" * 256: LETTERS,
}  # fmt: skip


def by_name(model_id, place="/by-id/"):
    return f"{PREFIX}{place}{quote(model_id, safe='')}"


@pytest.mark.sampled(5)
@pytest.mark.parametrize("model_id", SCRIPTS, ids=ascii)
def test_each_way_to_name_a_model_takes_any_script(host, alice, bob, model_id):
    made = alice.post(f"{PREFIX}/register", json=model(model_id=model_id))
    assert made.status_code == 201, made.text
    row_id = made.json["id"]
    granted(alice, row_id, user=host.user("bob"))

    assert made.json["model_id"] == model_id
    for client in (alice, bob):
        assert client.get(by_name(model_id)).json["id"] == row_id
        assert client.get(by_name(model_id, "/v1/models/")).json["id"] == model_id
        assert client.get(f"{PREFIX}/v1/models").json["data"][0]["id"] == model_id
        (found,) = client.get(f"{PREFIX}/", query_string={"q": model_id[:100]}).json
        assert found["id"] == row_id
    tag = alice.get(by_name(model_id)).headers["ETag"]
    changed = alice.patch(by_name(model_id), json={"description": "x"}, headers={"If-Match": tag})
    assert changed.status_code == 200
    with host.app.app_context():
        registry, user = host.registry, host.load("alice")
        assert registry.resolve(model_id, user=user).model_id == model_id
        assert registry.explain(model_id, user=user).id == row_id
        registry.set_default("general", model_id, user=user)
        assert registry.default("general", user=user).model_id == model_id
        registry.update(model_id, user=user, model_id="plain")
        registry.update("plain", user=user, model_id=model_id)
        host.db.session.commit()
    assert bob.get(by_name(model_id)).json["id"] == row_id
    assert bob.get(by_name("plain")).status_code == 404
    assert alice.delete(f"{PREFIX}/defaults/general").status_code == 204
    assert alice.delete(by_name(model_id)).status_code == 204
    assert bob.get(by_name(model_id)).status_code == 404


@pytest.mark.sampled(12)
@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("model_id", REFUSED, ids=ascii)
def test_an_ambiguous_id_is_refused_and_not_found(host, alice, model_id):
    (row_id,) = register(alice, "m")
    account = create(alice)
    url = f"{PREFIX}/credentials/{account['id']}/models"
    several = {
        "models": [{"model_id": "n", "model_name": "n"}, {"model_id": model_id, "model_name": "x"}]
    }

    for answer, field in (
        (alice.post(f"{PREFIX}/register", json=model(model_id=model_id)), "model_id"),
        (alice.patch(f"{PREFIX}/{row_id}", json={"model_id": model_id}), "model_id"),
        (alice.post(url, json=several), "models.1.model_id"),
    ):
        assert answer.status_code == 422
        (error,) = answer.json["errors"]
        assert error["field"] == field
        assert error["message"].startswith(REFUSED[model_id])
        assert model_id not in answer.text
    with host.app.app_context():
        user = host.load("alice")
        with pytest.raises(ValidationError):
            host.registry.create(user=user, **model(model_id=model_id))
        for call in (host.registry.get, host.registry.resolve, host.registry.delete):
            with pytest.raises(NotFoundError):
                call(model_id, user=user)
    if model_id.isprintable():
        for place in ("/by-id/", "/v1/models/"):
            assert alice.get(by_name(model_id, place)).status_code == 404
    assert [row.model_id for row in host.rows("models")] == ["m"]


@pytest.mark.parametrize(
    ("first", "second"),
    [("é", "É"), ("é", "e"), ("ß", "ss"), ("и", "й"), ("a", "а"), ("カ", "か"), ("ı", "i"), ("𠮷", "吉"),
     ("ά", "α"), ("が", "か"), ("١", "1"), ("œ", "oe")],
)  # fmt: skip
def test_ids_that_a_collation_would_equate_are_different(host, admin, first, second):
    one, two = register(admin, first, second, share_with_users=True)

    for model_id, row_id in ((first, one), (second, two)):
        assert admin.get(by_name(model_id)).json["id"] == row_id
        taken = admin.post(f"{PREFIX}/register", json=model(model_id=model_id))
        assert taken.json["type"].endswith("model-id-taken")
    assert admin.delete(by_name(first)).status_code == 204
    assert admin.get(by_name(first)).status_code == 404


def test_a_name_that_is_not_normalized_leads_to_no_model(host, alice):
    register(alice, "é")

    assert alice.get(by_name(normalize("NFD", "é"))).status_code == 404
    with host.app.app_context():
        user = host.load("alice")
        with pytest.raises(NotFoundError):
            host.registry.resolve(normalize("NFD", "é"), user=user)
        with pytest.raises(ModelIdTakenError):
            host.registry.create(user=user, **model(model_id="é"))


@pytest.mark.databases("sqlite")
def test_beyond_ascii_only_letters_marks_and_digits_are_accepted():
    """Which of them are invisible is in Unicode's files, and which have another form, in Python."""
    validate, taken = NewModel().fields["model_id"].validate, set()
    # Unassigned and private characters fill whole planes, so every hundredth of them is tried.
    unknown = {"Cn", "Co"}
    for number in range(0x80, sys.maxunicode + 1):
        if number % 100 and category(chr(number)) in unknown:
            continue
        text = f"a{chr(number)}"
        try:
            validate(text)
        except Exception:
            continue
        taken.add(category(chr(number)))

    assert taken == {"Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Nd", "Mn", "Mc"}


def test_an_export_is_imported_with_any_script(host, alice, tmp_path):
    register(alice, *SCRIPTS)
    exported, status = host.run("export")
    assert status == 0
    file = tmp_path / "in.jsonl"
    file.write_text(exported, encoding="utf-8")
    other = {"model_id": normalize("NFD", "é"), "owner": str(host.user("alice"))}
    for each in SCRIPTS:
        assert alice.delete(by_name(each)).status_code == 204

    output, status = host.run("import", str(file))

    assert (output.splitlines()[-1], status) == (f"{len(SCRIPTS)} create", 0)
    assert [row.model_id for row in host.rows("models")] == SCRIPTS
    file.write_text(json.dumps(model(**other)))
    output, status = host.run("import", str(file))
    assert (f"model_id: {NFC}" in output, status) == (True, 1)


def test_a_key_of_512_characters_fits_beside_it(empty_databases):
    """MariaDB's indexes hold 3072 bytes: a model_id has 1020, such a key 2048, an integer 4."""
    db, app = SQLAlchemy(), Flask(__name__)

    class User(db.Model):
        id = sa.Column(sa.String(512), primary_key=True)

    registry = ModelRegistry(db, User, user_loader=lambda: None)
    app.config |= {"SQLALCHEMY_DATABASE_URI": empty_databases().url, **keys(NEW)}
    db.init_app(app)
    registry.init_app(app)
    with app.app_context():
        db.create_all()
        users = [User(id=letter * 512) for letter in "𠮷吉"]
        db.session.add_all(users)
        db.session.flush()
        made = registry.create(user=users[0], **model(model_id="𠮷" * 255))
        registry.grant(made["id"], to=users[1], user=users[0])
        assert registry.get("𠮷" * 255, user=users[1])["id"] == made["id"]
        db.session.rollback()
        db.engine.dispose()


@pytest.mark.databases("sqlite")
def test_the_table_of_ids_is_true(alice):
    text = (ROOT / "docs" / "http.md").read_text()
    rows = re.findall(r"^\| `([^`]+)` \| (yes|no) \|.*\|$", text, re.MULTILINE)

    assert len(rows) == 9
    for written, is_valid in rows:
        model_id = re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), written)
        answer = alice.post(f"{PREFIX}/register", json=model(model_id=model_id))
        assert (answer.status_code == 201) == (is_valid == "yes"), written
