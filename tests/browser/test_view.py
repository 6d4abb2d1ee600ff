"""All that is known of one model, and how to call it."""

import ast
import json
import re
import shlex
from itertools import pairwise

import pytest
from playwright.sync_api import expect

from tests.browser.page import row

ODD = "o\"dd\\ '$(touch x)' `id`"
CALLS = {
    "llm": ("chat.completions.create", "/chat/completions"),
    "embedding": ("embeddings.create", "/embeddings"),
    "image": ("images.generate", "/images/generations"),
    "speech": ("audio.speech.create", "/audio/speech"),
    "rerank": ("post", "/rerank"),
}


def opened(page, name):
    page.get_by_label(f"More for {name}", exact=True).click()
    row(page, name).get_by_role("button", name="Details and code…").click()
    dialog = page.get_by_role("dialog", name=name)
    dialog.wait_for()
    return dialog


def calls_in(text):
    """Return the calls in Python code, by the text of the function."""
    found = [each for each in ast.walk(ast.parse(text)) if isinstance(each, ast.Call)]
    return {ast.unparse(each.func): each for each in found}


@pytest.mark.parametrize("category", CALLS)
def test_the_code_names_the_model_as_it_is(demo, category):
    body = {"model_id": "odd", "model_provider": "openai", "model_name": ODD, "api_key": "k"}
    demo.ask("bob", "POST", "/register", {**body, "category": category})
    dialog = opened(demo.open("bob"), "odd")
    app, client, curl = (dialog.locator("pre").nth(n).text_content() for n in range(3))
    method, path = CALLS[category]

    assert calls_in(app)["registry.resolve"].args[0].value == "odd"
    assert f"client.{method}" in calls_in(app)
    assert calls_in(client)["OpenAI"].keywords[0].value.value == "https://api.openai.com/v1"
    made = calls_in(client)[f"client.{method}"]
    assert ODD in [each.value for each in ast.walk(made) if isinstance(each, ast.Constant)]
    words = shlex.split(curl)
    assert words[1] == f"https://api.openai.com/v1{path}"
    assert json.loads(words[-1])["model"] == ODD


def test_the_code_uploads_no_file_that_a_models_name_says(demo):
    body = {"model_id": "odd", "model_provider": "openai", "model_name": "@/etc/passwd"}
    demo.ask("bob", "POST", "/register",
             {**body, "api_key": "k", "category": "speech", "abilities": ["asr"]})  # fmt: skip
    dialog = opened(demo.open("bob"), "odd")

    words = shlex.split(dialog.locator("pre").nth(2).text_content())
    forms = [pair for pair in pairwise(words) if pair[0] in {"-F", "--form", "--form-string"}]
    assert forms == [("--form-string", "model=@/etc/passwd"), ("-F", "file=@speech.mp3")]


def test_a_reader_sees_all_of_a_model(demo):
    dialog = opened(demo.open("bob"), "house-model")

    facts = dict(
        zip(
            dialog.locator("dt").all_inner_texts(),
            dialog.locator("dd").all_inner_texts(),
            strict=True,
        )
    )
    assert {name: facts[name] for name in ("Provider", "Model", "Abilities", "Description")} == {
        "Provider": "Stand-in (this server)",
        "Model": "demo-large",
        "Abilities": "chat, tool_calling",
        "Description": "For everyone who works here.",
    }
    assert facts["Base URL"].endswith("/stand-in/v1")


@pytest.mark.parametrize("may", [True, False], ids=["clipboard", "no clipboard"])
def test_code_is_copied_or_selected(demo, may):
    page = demo.open("bob", permissions=["clipboard-read", "clipboard-write"] if may else [])
    if not may:
        page.evaluate("Object.defineProperty(navigator, 'clipboard', { value: undefined })")
    dialog = opened(page, "house-model")

    dialog.get_by_role("button", name="Copy: curl").click()

    said = "Copied." if may else "It is selected. Copy it with your keyboard."
    expect(dialog.get_by_role("status")).to_have_text(said)
    if may:
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == dialog.locator("pre").nth(2).text_content()


def facts_of(dialog):
    names, values = (dialog.locator(each).all_inner_texts() for each in ("dt", "dd"))
    return dict(zip(names, values, strict=True))


def test_details_say_whose_a_model_is_and_what_the_user_may_do(demo):
    secret = {"name": "Team", "model_provider": "stand-in", "secret": {"api_key": "demo-key"}}
    made = demo.ask("bob", "POST", "/credentials", secret)
    models = [{"model_id": "of-team", "model_name": "demo-small"}]
    [model] = demo.ask("bob", "POST", f"/credentials/{made['id']}/models", {"models": models})
    demo.ask("bob", "PUT", f"/{model['id']}/grants/users/3", {"can_edit": True})
    demo.ask("bob", "POST", f"/{model['id']}/test")
    hint = re.compile("needs an API key of your own")

    own = opened(demo.open("bob"), "of-team")
    facts = facts_of(own)
    assert facts["You may"] == "use, edit, delete, share"
    assert facts["Credential"] == "Team"
    assert re.fullmatch(r"Works · [\d,.]+ ms · .+", facts["Last test"])
    expect(own.get_by_text(hint)).to_have_count(0)

    granted = opened(demo.open("carol"), "of-team")
    facts = facts_of(granted)
    assert facts["Owner"].lower() in {"bob", "user 2"}
    assert facts["You may"] == "use, edit"
    assert "Credential" not in facts
    expect(granted.get_by_text(hint)).to_be_visible()
