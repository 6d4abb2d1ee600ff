"""Models that the page writes to a file, and registers from one."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.page import row


@pytest.fixture
def dialog(demo):
    """The dialog of bob, who has a credential of the stand-in."""
    body = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": "demo-key"}}
    demo.ask("bob", "POST", "/credentials", body)
    page = demo.open("bob")
    page.get_by_role("button", name="Import/export").click()
    return page.get_by_role("dialog", name="Import/export")


def choose(dialog, *models, text=None):
    """Choose a file with models, or with a text."""
    lines = text or "\n".join(json.dumps(each) for each in models)
    file = {"name": "models.jsonl", "mimeType": "application/jsonl", "buffer": lines.encode()}
    dialog.get_by_label("File", exact=True).set_input_files(file)


def model(name, **fields):
    return {"model_id": name, "model_provider": "stand-in", "model_name": "demo-small", **fields}


def test_a_file_has_the_users_own_models_without_their_keys(demo, dialog):
    with dialog.page.expect_download() as download:
        dialog.get_by_role("button", name="Export").click()

    expect(dialog.get_by_role("status")).to_have_text("1 model is in the file.")
    text = download.value.path().read_text()
    [line] = [json.loads(each) for each in text.splitlines()]
    assert download.value.suggested_filename == "models.jsonl"
    assert {name: line[name] for name in ("owner", "model_id", "model_provider", "is_active")} == {
        "owner": "2",
        "model_id": "bobs-own",
        "model_provider": "stand-in",
        "is_active": True,
    }
    assert not [name for name in line if "key" in name or "credential" in name]


def test_models_of_a_file_are_registered_with_a_credential(demo, dialog):
    choose(
        dialog,
        {"type": "credential", "name": "Other"},
        model("one", temperature=0.5, parameters={"top_p": 0.9}, info={}, owner="9"),
        model("two", is_active=False, description=None),
        model("three"),
        model("elsewhere") | {"model_provider": "groq"},
    )
    expect(dialog.get_by_text("3 of 4 models are for this credential’s provider")).to_be_visible()
    dialog.get_by_role("checkbox", name="three").uncheck()

    dialog.get_by_role("button", name="Import", exact=True).click()

    expect(dialog.get_by_role("status")).to_have_text("2 models are registered.")
    expect(row(dialog.page, "one")).to_have_count(1)
    details = {name: demo.ask("bob", "GET", f"/by-id/{name}") for name in ("one", "two")}
    assert details["one"]["temperature"] == 0.5
    assert [each["is_active"] for each in details.values()] == [True, False]
    one = demo.ask("bob", "GET", f"/{details['one']['id']}/details")
    assert one["parameters"] == {"top_p": 0.9}
    assert one["key"]["credential"]["name"] == "Team"
    assert not {"three", "elsewhere"} & {*demo.names("bob")}


def test_an_error_names_the_model_of_the_file(demo, dialog):
    choose(dialog, model("fine"), model("not fine"))

    dialog.get_by_role("button", name="Import", exact=True).click()

    expect(dialog.get_by_role("alert")).to_contain_text("not fine: model_id: ")
    assert "fine" not in demo.names("bob")


@pytest.mark.parametrize("text", ["{", "[1]", '{"model_id": 1}', "null"])
def test_a_file_that_is_none_is_refused(dialog, text):
    choose(dialog, text=text)

    expect(dialog.get_by_role("alert")).to_have_text("This file has no models that can be read.")
    importer = dialog.get_by_role("button", name="Import", exact=True)
    expect(importer).to_be_disabled()
    expect(importer).to_have_css("background-color", "rgba(0, 0, 0, 0)")  # to be readable


def test_without_a_credential_models_are_exported_only(demo):
    page = demo.open("bob")
    page.get_by_role("button", name="Import/export").click()
    dialog = page.get_by_role("dialog", name="Import/export")

    choose(dialog, model("one"))

    expect(dialog.get_by_text("0 of 1 model")).to_be_visible()  # it was read
    expect(dialog.get_by_role("button", name="Import", exact=True)).to_be_disabled()
    expect(dialog.get_by_text("None yet.")).to_be_visible()


def test_models_that_are_here_already_are_marked_and_left_out(demo, dialog):
    choose(dialog, model("bobs-own"), model("new"), model("meanwhile"))
    expect(dialog.get_by_role("checkbox", name="bobs-own (already here)")).to_be_disabled()
    expect(dialog.get_by_role("checkbox", name="bobs-own")).not_to_be_checked()
    demo.ask("bob", "POST", "/register", {**model("meanwhile"), "api_key": "demo-key"})

    importer = dialog.get_by_role("button", name="Import", exact=True)
    importer.click()
    expect(dialog.get_by_role("alert")).to_contain_text("meanwhile")
    expect(dialog.get_by_role("checkbox", name="meanwhile (already here)")).not_to_be_checked()
    importer.click()

    expect(dialog.get_by_role("status")).to_have_text("1 model is registered.")
    assert "new" in demo.names("bob")
