"""Apps in React and Vue that render all the time while a user types."""

import json
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import missing
from tests.browser.page import add_pages, choose_provider, row, wait_until
from tests.browser.vite import add_app, block, build, node
from tests.hosts import CANARY, PREFIX, model

RENDERED = 10  # times, until what a user has typed has survived
# What the documentation names, and an icon of the page, which Firefox asks for.
POLICY = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "require-trusted-types-for 'script'; "
)
# What both apps do: they render ten times a second, with a new token of the same user now and then.
USER = """
const renewed = async () => {
  const token = await (await fetch("/token")).text();
  return { id: "1", token, mayShare: true };
};
"""
REACT = """
import { useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import { Models } from "./Models";
%s
function App({ first }: { first: Awaited<ReturnType<typeof renewed>> }) {
  const [count, setCount] = useState(0);
  const [user, setUser] = useState(first);
  useEffect(() => {
    const timer = setInterval(() => setCount((count) => count + 1), 100);
    return () => clearInterval(timer);
  }, []);
  useEffect(() => {
    if (count %% 10 === 9) renewed().then(setUser);
  }, [count]);
  return <><h1>Host</h1><output>{count}</output><Models user={user} /></>;
}

renewed().then((user) => createRoot(document.querySelector("main")!).render(<App first={user} />));
"""
VUE = """
<script setup lang="ts">
import { ref } from "vue";
import Models from "./Models.vue";
%s
const user = ref(await renewed());
const count = ref(0);
setInterval(async () => {
  count.value += 1;
  user.value = count.value %% 10 === 9 ? await renewed() : { ...user.value };
}, 100);
</script>

<template>
  <h1>Host</h1><output>{{ count }}</output><Models :user="user" />
</template>
"""
VUE_MAIN = """
import { createApp, h, Suspense } from "vue";
import App from "./App.vue";

createApp(() => h(Suspense, () => h(App))).mount("main");
"""
TSCONFIG = {
    "compilerOptions": {
        "jsx": "react-jsx",
        "lib": ["ES2024", "DOM", "DOM.Iterable"],
        "module": "ES2022",
        "moduleResolution": "bundler",
        "noEmit": True,
        "strict": True,
        "target": "ES2022",
        "types": [],
    },
    "include": ["src"],
}
REACT_FILES = {
    "tsconfig.json": json.dumps(TSCONFIG),
    "vite.config.js": 'import react from "@vitejs/plugin-react";\nexport default { plugins: [react()] };',
    "src/Models.tsx": block("ts"),
    "src/main.tsx": REACT % USER,
}
VUE_FILES = {
    "vite.config.js": block("js"),
    "src/Models.vue": block("vue"),
    "src/App.vue": VUE % USER,
    "src/main.ts": VUE_MAIN,
}
APPS = {
    "react": ("main.tsx", REACT_FILES, POLICY + "trusted-types 'none'"),
    "vue": ("main.ts", VUE_FILES, POLICY + "trusted-types vue"),
}


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Build an app, once for all tests."""
    folders = {}

    def get(name):
        if name not in folders:
            main, files, _ = APPS[name]
            folders[name] = tmp_path_factory.mktemp(name)
            build(folders[name], main, **files)
        return folders[name]

    return get


@pytest.fixture(params=APPS)
def app(request, built, served):
    """Return the address of an app that shows alice's models, those of its category."""
    host, address = served(add_app(built(request.param) / "dist", APPS[request.param][2]))
    with host.app.app_context():
        alice = host.load("alice")
        assert host.user("bob") == 2  # whom the app in Vue names
        for name, category in {"chat": "llm", "search": "embedding"}.items():
            host.registry.create(**model(model_id=name, category=category), user=alice)
        host.db.session.commit()
    return address


@pytest.fixture
def page(app, windows):
    page = windows(app)
    row(page, "chat").wait_for()
    expect(page.locator("model-registry h3")).to_have_text(["chat"])
    return page


def let_it_render(page):
    """Wait until the app has rendered some times."""
    count = int(page.locator("output").inner_text())
    wait_until(page, lambda: int(page.locator("output").inner_text()) > count + RENDERED)


def test_an_app_that_renders_while_a_user_registers_a_model(page, axe):
    asked = []
    page.on("request", lambda request: asked.append(request.url.partition(PREFIX)[2]))
    page.get_by_role("searchbox").press_sequentially("mine", delay=60)
    let_it_render(page)
    expect(page.get_by_role("searchbox")).to_have_value("mine")
    expect(page.locator(".empty")).to_be_visible()

    page.get_by_role("button", name="Register a model").click()
    dialog = page.get_by_role("dialog", name="Register a model")
    choose_provider(dialog, "openai")
    dialog.get_by_label("API key", exact=True).press_sequentially(CANARY, delay=10)
    dialog.get_by_role("option", name="gpt-4o").click()
    name = dialog.get_by_label("Name", exact=True)
    name.fill("")
    name.press_sequentially("mine", delay=60)
    let_it_render(page)
    expect(name).to_be_focused()
    expect(name).to_have_value("mine")
    expect(dialog.get_by_label("API key", exact=True)).to_have_value(CANARY)
    assert axe(page) == []
    dialog.get_by_role("button", name="Register", exact=True).click()

    expect(row(page, "mine")).to_be_visible()
    expect(page.get_by_role("searchbox")).to_have_value("mine")
    expect(page.get_by_label("Category")).to_have_value("llm")
    let_it_render(page)
    assert axe(page) == []
    # Once for what was searched, and once for what was registered: rendering asks for nothing.
    assert len([each for each in asked if each.startswith("/details?")]) == 2


def test_an_app_that_renders_in_firefox(app):
    firefox = shutil.which("firefox-esr") or shutil.which("firefox") or missing("Firefox")
    script = Path(__file__).parent / "firefox-app.mjs"

    seen = json.loads(node(script.parent, script, app, firefox))

    assert seen == {
        "key": "demo-key",
        "search": "mine",
        "name": "mine",
        "registered": True,
        "kept": "mine",
        "faults": [],
    }


def test_an_app_shares_with_the_people_that_it_names(page):
    page.get_by_label("More for chat").click()
    row(page, "chat").get_by_role("button", name="Share…").click()
    dialog = page.get_by_role("dialog", name="chat")
    expect(dialog.get_by_label("With everyone")).to_be_visible()
    let_it_render(page)
    dialog.get_by_label("Who").fill("Bob")
    dialog.get_by_role("button", name="Share", exact=True).click()

    expect(dialog.get_by_role("list", name="Shared with")).to_contain_text("Bob")


def test_the_types_know_the_element_in_react(built):
    folder = built("react")

    node(folder, "typescript/bin/tsc", "-p", ".")

    wrong = block("ts").replace("category:", "kategory:").replace('src="/api/models"', "src={1}")
    (folder / "src" / "Models.tsx").write_text(wrong)
    try:
        with pytest.raises(AssertionError) as failed:
            node(folder, "typescript/bin/tsc", "-p", ".")
    finally:
        (folder / "src" / "Models.tsx").write_text(block("ts"))
    assert "kategory" in str(failed.value)
    assert "Type 'number' is not assignable to type 'string'" in str(failed.value)


FILTERS = "JSON.stringify(document.querySelector('model-registry').filters)"


def test_filters_written_inline_leave_the_search_alone(served, windows):
    """As an app does that renders before a user types, between two keys, and after."""
    script = """const models = document.querySelector("model-registry");
    models.token = "TOKEN";
    window.render = () => (models.filters = { category: "llm" });
    render();"""
    page = windows(served(add_pages("<model-registry></model-registry>", script))[1] + "/page")
    page.locator(".empty").wait_for()
    search = page.get_by_role("searchbox")

    for text in ("m", "mi", "mine"):
        search.fill(text)
        page.evaluate("render()")
        expect(search).to_have_value(text)
    wait_until(page, lambda: page.evaluate(FILTERS) == '{"q":"mine","category":"llm"}')
    page.evaluate("render()")
    expect(search).to_have_value("mine")

    page.evaluate("document.querySelector('model-registry').filters = null")
    assert page.evaluate(FILTERS) == "{}"
    page.evaluate("render()")
    expect(page.get_by_label("Category")).to_have_value("llm")


def test_an_app_that_sets_what_it_heard_leaves_the_next_keys_alone(served, windows):
    script = """const models = document.querySelector("model-registry");
    models.token = "TOKEN";
    window.heard = [];
    models.addEventListener("model-registry-filter", ({ detail }) => heard.push(detail));"""
    page = windows(served(add_pages("<model-registry></model-registry>", script))[1] + "/page")
    page.locator(".empty").wait_for()
    search = page.get_by_role("searchbox")

    search.fill("m")
    wait_until(page, lambda: page.evaluate("heard.length") == 1)
    search.fill("mi")
    page.evaluate("document.querySelector('model-registry').filters = { ...heard[0] }")
    expect(search).to_have_value("mi")
    wait_until(page, lambda: page.evaluate("heard.length") == 2)
    # What the app heard before is another wish by now: a way back, such as of the browser.
    page.evaluate("document.querySelector('model-registry').filters = heard[1]")
    page.evaluate("document.querySelector('model-registry').filters = heard[0]")
    expect(search).to_have_value("m")


def test_another_user_sees_what_the_app_asks_for(served, windows):
    script = """const models = document.querySelector("model-registry");
    models.filters = { category: "llm" };
    models.token = "TOKEN";"""
    page = windows(served(add_pages("<model-registry></model-registry>", script))[1] + "/page")
    page.locator(".empty").wait_for()
    page.get_by_label("Category").select_option("Image")

    page.evaluate("document.querySelector('model-registry').token = 'another'")

    expect(page.get_by_label("Category")).to_have_value("llm")
