/**
 * The page of a model registry, for any page of a host: <model-registry src="/api/models">.
 *
 * What the server sends becomes text, never markup. API keys go one way: from a form that forgets
 * them to the server. Works under `Content-Security-Policy: default-src 'self'`.
 */

const CATEGORIES = {
  llm: "Language", embedding: "Embedding", image: "Image", speech: "Speech", rerank: "Rerank",
};
const ABILITIES = {
  embedding: ["embedding"], image: ["generate", "edit"], speech: ["asr", "tts"], rerank: ["rerank"],
};
// What a default is for, and the category that its model is of.
const KINDS = {
  general: ["llm", "General"],
  small_fast: ["llm", "Small and fast"],
  visual: ["llm", "With images"],
  compact: ["llm", "Compacting"],
  embedding: ["embedding", "Embedding"],
  image: ["image", "Making images"],
  image_edit: ["image", "Editing images"],
  asr: ["speech", "Recognizing speech"],
  tts: ["speech", "Speaking"],
  rerank: ["rerank", "Reranking"],
};
const RESULTS = {
  ok: "Works",
  auth_failed: "The provider refuses the API key",
  model_not_found: "The provider does not have this model",
  bad_response: "The answer is not that of such a provider",
  unreachable: "The address does not answer",
  tls_error: "The server's certificate is not valid",
  timeout: "No answer in time",
  blocked_address: "This address is not allowed",
  too_large: "The answer is too large",
};
const OTHER = "";  // the choice of a provider that is not in the catalogue

// ---------------------------------------------------------------------------------------- elements

/** Make an element. Children are elements or text; `on…` are listeners; true and false toggle. */
function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

const button = (label, onclick, attributes = {}) =>
  h("button", { type: "button", onclick, ...attributes }, label);

const options = (choices, chosen) =>
  Object.entries(choices).map(([value, label]) =>
    h("option", { value, selected: value === chosen }, label));

let fields = 0;

/** Put a label before a control, and a hint and room for what is wrong with it behind. */
function field(name, label, control, hint = "") {
  const id = `field-${++fields}`;
  const tip = h("p", { class: "hint", id: `${id}-hint` }, hint);
  const error = h("p", { class: "error", id: `${id}-error` });
  control.id = id;
  control.name = name;
  control.setAttribute("aria-describedby", `${tip.id} ${error.id}`);
  return h("div", { class: "field", "data-field": name },
    h("label", { for: id }, label), control, tip, error);
}

/** Make a check box with its label behind it. */
function check(name, label, checked = false, attributes = {}) {
  const box = h("input", { type: "checkbox", name, checked, ...attributes });
  return h("label", { class: "check", "data-field": name }, box, h("span", {}, label));
}

/** Make a group of check boxes, with room for what is wrong with them. */
function checks(name, legend, labels, checked) {
  const error = h("p", { class: "error", id: `field-${++fields}-error` });
  const boxes = labels.map((label) => check(name, label, checked.includes(label), { value: label }));
  return h("fieldset", { "data-field": name, "aria-describedby": error.id },
    h("legend", {}, legend), boxes, error);
}

/** Say at each field what the server found, and the rest in the form's alert. */
function showProblem(form, problem) {
  clearProblem(form);
  const rest = [];
  for (const { field: name, message } of problem.errors) {
    const places = form.querySelectorAll(`[data-field="${CSS.escape(name.split(".")[0])}"]`);
    const place = [...places].filter((each) => !each.hidden).at(-1);
    const error = place?.querySelector(".error");
    if (!error) rest.push(name ? `${name}: ${message}` : message);
    else {
      error.textContent = [error.textContent, message].filter(Boolean).join(" ");
      for (const control of place.querySelectorAll("input, select, textarea")) {
        control.setAttribute("aria-invalid", "true");
      }
    }
  }
  const alert = form.querySelector("[role=alert]");
  alert.textContent = rest.length || !problem.errors.length
    ? rest.join(" ") || problem.message : "Some fields are not valid.";
  (form.querySelector("[aria-invalid]") ?? alert).focus();
}

function clearProblem(form) {
  form.querySelector("[role=alert]").textContent = "";
  for (const error of form.querySelectorAll(".error")) error.textContent = "";
  for (const control of form.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}

// ------------------------------------------------------------------------------------------ server

/** What the server refused: a status, and what is wrong with which field (RFC 9457). */
class Problem extends Error {
  constructor(status, { detail, title, errors, result } = {}) {
    super(RESULTS[result] ?? detail ?? title ?? `The server answered ${status}.`);
    this.status = status;
    this.errors = errors ?? [];
  }
}

/** Sends requests of an element to its `src`, as its user. */
class Client {
  #element;

  constructor(element) {
    this.#element = element;
  }

  /** Return what the server answers, with its `ETag` and the query of the next page. */
  async send(method, path, { body, headers = {}, signal } = {}) {
    const response = await this.#fetch(path, {
      method,
      signal,
      body: body && JSON.stringify(body),
      headers: {
        Accept: "application/json",
        ...(body && { "Content-Type": "application/json" }),
        ...(await this.#credentials(method)),
        ...headers,
      },
    });
    if (!response.ok) throw await this.#refused(response);
    const next = /<([^>]*)>; *rel="?next/.exec(response.headers.get("Link") ?? "");
    return {
      content: response.status === 204 ? null : await response.json(),
      tag: response.headers.get("ETag"),
      next: next && new URL(next[1], response.url).search,
    };
  }

  async #fetch(path, request) {
    const base = (this.#element.getAttribute("src") ?? "/api/models").replace(/\/+$/, "");
    const common = { credentials: "same-origin", cache: "no-store", redirect: "manual" };
    try {
      return await fetch(base + path, { ...common, ...request });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Problem(0, { title: "The server cannot be reached." });
    }
  }

  async #credentials(method) {
    const token = await this.#element.currentToken();
    if (token) return { Authorization: `Bearer ${token}` };
    const csrf = method === "GET" ? null : this.#element.getAttribute("csrf-token") ?? this.#csrfCookie();
    const header = this.#element.getAttribute("csrf-header") ?? "X-CSRF-TOKEN";
    return csrf ? { [header]: csrf } : {};
  }

  #csrfCookie() {
    const name = this.#element.getAttribute("csrf-cookie") ?? "csrf_access_token";
    const cookie = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
    return cookie && decodeURIComponent(cookie.slice(name.length + 1));
  }

  async #refused(response) {
    // Hosts with a page for logins lead there in place of 401.
    const status = response.type === "opaqueredirect" ? 401 : response.status;
    if (status !== 401) return new Problem(status, await response.json().catch(() => ({})));
    this.#element.announce("model-registry-unauthenticated");
    return new Problem(401, { title: "You are not logged in, or not any more." });
  }
}

// --------------------------------------------------------------------------------- form of a model

/** The fields of a model: those of its category, with what the catalogue says of its provider. */
class ModelForm {
  /**
   * @param providers The catalogue.
   * @param model The model to change, or null for a new one.
   * @param mayShare Whether to offer to share with everybody.
   */
  constructor(providers, model, mayShare) {
    this.providers = providers;
    this.model = model;
    const known = model === null || providers.some(({ id }) => id === model.model_provider);
    const text = (name, more = {}) =>
      h("input", { type: "text", value: model?.[name] ?? "", autocomplete: "off", spellcheck: "false", ...more });
    this.category = h("select", { onchange: () => this.follow() },
      options(CATEGORIES, model?.category));
    this.provider = h("select", { onchange: () => this.follow() });
    this.key = h("input", { type: "password", autocomplete: "off", spellcheck: "false", required: model === null });
    this.served = h("datalist", { id: `field-${++fields}-served` });
    this.abilities = h("div", {});
    this.fields = {
      model_id: field("model_id", "Name", text("model_id", { required: true, autofocus: true }),
        "What it is called here, such as gpt-4o."),
      category: field("category", "Category", this.category),
      provider: field("model_provider", "Provider", this.provider),
      other: field("model_provider", "Id of the provider",
        text("model_provider", { value: known ? "" : model.model_provider, required: true }),
        "One that speaks as OpenAI does."),
      base_url: field("base_url", "Address", text("base_url", { inputmode: "url" })),
      api_key: field("api_key", "API key", this.key),
      model_name: field("model_name", "Model",
        text("model_name", { list: this.served.id, required: true }), "What the provider calls it."),
      temperature: field("temperature", "Temperature",
        text("temperature", { inputmode: "decimal" }), "0 to 2; empty for the provider's own."),
      dimension: field("dimension", "Dimension", text("dimension", { inputmode: "numeric" })),
      description: field("description", "Description",
        h("textarea", { rows: 2 }, model?.description ?? "")),
    };
    this.shared = mayShare && check("share_with_users", "Share with everybody", model?.is_shared);
    this.known = known;
    this.fillProviders();
    this.follow();
  }

  get elements() {
    const { model_id, category, provider, other, base_url, api_key, model_name } = this.fields;
    const { temperature, dimension, description } = this.fields;
    return [model_id, category, provider, other, base_url, api_key, model_name, this.served,
      this.abilities, temperature, dimension, description, this.shared || null];
  }

  fillProviders() {
    const chosen = this.known ? this.model?.model_provider ?? "openai" : OTHER;
    const names = Object.fromEntries(this.providers.map(({ id, name }) => [id, name]));
    this.provider.replaceChildren(
      ...options(names, chosen), h("option", { value: OTHER, selected: chosen === OTHER }, "Another"));
  }

  get entry() {
    return this.providers.find(({ id }) => id === this.provider.value);
  }

  /** Show the fields that go with the category and the provider, and what they ask for. */
  follow() {
    const category = this.category.value;
    const { other, base_url, api_key, temperature, dimension } = this.fields;
    other.hidden = this.provider.value !== OTHER;
    temperature.hidden = !["llm", "image"].includes(category);
    dimension.hidden = category !== "embedding";
    const hint = (place, text) => { place.querySelector(".hint").textContent = text; };
    hint(base_url, this.entry?.base_url ? `Empty for ${this.entry.base_url}` : "Needed, such as https://host/v1");
    base_url.querySelector("input").required = !this.entry?.base_url;
    this.key.required = !this.model && this.entry?.needs_key !== false;
    hint(api_key, this.model ? "Empty to keep the one that is stored."
      : this.entry?.needs_key === false ? "May be empty, if the server wants none." : "");
    if (this.shownAbilities !== category) this.#showAbilities(category);
  }

  #showAbilities(category) {
    const had = this.model?.category === category ? this.model.abilities ?? [] : [];
    const control = category in ABILITIES
      ? checks("abilities", "Abilities", ABILITIES[category], had)
      : field("abilities", "Abilities",
        h("input", { value: had.join(", "), autocomplete: "off" }), "Such as chat, vision, tool_calling.");
    this.abilities.replaceChildren(control);
    this.shownAbilities = category;
  }

  #value(name) {
    const place = this.fields[name];
    return place.hidden ? "" : place.querySelector("input, select, textarea").value.trim();
  }

  /** Numbers as numbers; other text as it is, for the server to say what is wrong with it. */
  #number(name) {
    const text = this.#value(name);
    const number = Number(text.replace(",", "."));
    return text === "" ? null : Number.isFinite(number) ? number : text;
  }

  #abilities() {
    const control = this.abilities.firstElementChild;
    const boxes = [...control.querySelectorAll("input[type=checkbox]")];
    const given = boxes.length
      ? boxes.filter((box) => box.checked).map((box) => box.value)
      : control.querySelector("input").value.split(/[\s,]+/).filter(Boolean);
    return given.length ? given : null;
  }

  /** Whom to ask, and with which key. */
  get connection() {
    const key = this.key.value.trim() || (!this.model && this.entry?.needs_key === false ? "none" : "");
    return {
      model_provider: this.provider.value || this.#value("other"),
      base_url: this.#value("base_url") || null,
      model_name: this.#value("model_name"),
      ...(key && { api_key: key }),
    };
  }

  /** All that was filled in. */
  get filled() {
    return Object.fromEntries(Object.entries(this.body).filter(([, value]) => value !== ""));
  }

  get body() {
    return {
      ...this.connection,
      model_id: this.#value("model_id"),
      category: this.category.value,
      temperature: this.#number("temperature"),
      dimension: this.#number("dimension"),
      abilities: this.#abilities(),
      description: this.#value("description") || null,
      ...(this.shared && { share_with_users: this.shared.querySelector("input").checked }),
    };
  }

  /** What of the body is not so already. */
  get changes() {
    const before = { ...this.model, share_with_users: this.model.is_shared };
    return Object.fromEntries(Object.entries(this.body).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
  }
}

// ----------------------------------------------------------------------------------------- element

// Scripts of the page that give a token have run when its document is there.
const ready = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  document.addEventListener("DOMContentLoaded", resolve, { once: true });
  window.addEventListener("load", resolve, { once: true });
});

class ModelRegistryElement extends HTMLElement {
  static observedAttributes = ["src", "token", "can-share", "heading"];

  #client = new Client(this);
  #getToken = null;
  #people = [];
  #groups = null;
  #names = new Map();
  #defaults = [];
  #providers = null;
  #pages = [""];
  #loading = null;
  #nextQuery = null;
  #started = false;
  #typing = 0;
  // Elements of the frame
  #title;
  #alert;
  #status;
  #list;
  #nav;
  #previous;
  #next;
  #place;
  #filters;

  constructor() {
    super();
    this.attachShadow({ mode: "open" }).adoptedStyleSheets = [STYLE];
    this.#build();
  }

  connectedCallback() {
    for (const name of ["token", "getToken", "people", "groups"]) {  // given before this class was there
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    document.addEventListener("visibilitychange", this.#seen);
    window.addEventListener("focus", this.#seen);
    ready.then(() => {
      if (!this.isConnected) return;
      this.#started = true;
      this.refresh();
    });
  }

  disconnectedCallback() {
    document.removeEventListener("visibilitychange", this.#seen);
    window.removeEventListener("focus", this.#seen);
    this.#loading?.abort();
  }

  attributeChangedCallback(name, before, value) {
    if (name === "heading") {
      this.#title.textContent = value || "Models";
      this.#title.classList.toggle("quiet", value === "");
      return;
    }
    this.#providers = null;
    this.#restart();
  }

  /** A function that returns the access token, or a promise of it; asked before every request. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.#restart();
  }

  /** The access token; none where the browser has a cookie. */
  get token() {
    return this.getAttribute("token");
  }

  set token(token) {
    this.getToken = token ? () => token : null;
  }

  /** Whom to share with: `[{key, name}]`, or a function that returns it or a promise of it. */
  get people() {
    return this.#people;
  }

  set people(people) {
    this.#people = people;
  }

  /** The names of groups to share with, or a function that returns them or a promise of them. */
  get groups() {
    return this.#groups;
  }

  set groups(groups) {
    this.#groups = groups;
  }

  currentToken() {
    return this.#getToken ? this.#getToken() : this.getAttribute("token");
  }

  /** Tell the page what happened here. */
  announce(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  /** Show what the server has now. */
  async refresh() {
    this.#loading?.abort();
    const loading = this.#loading = new AbortController();
    this.#list.setAttribute("aria-busy", "true");
    try {
      const query = this.#pages.at(-1) || this.#query();
      this.#providers ??= (await this.#client.send("GET", "/providers")).content;
      const { signal } = loading;
      const [page, defaults] = await Promise.all([
        this.#client.send("GET", `/${query}`, { signal }),
        this.#client.send("GET", "/defaults", { signal }),
      ]);
      if (this.#loading !== loading) return;
      this.#defaults = defaults.content;
      this.#show(page);
    } catch (error) {
      if (error.name !== "AbortError" && this.#loading === loading) this.#fail(error);
    } finally {
      if (this.#loading === loading) this.#list.removeAttribute("aria-busy");
    }
  }

  #restart() {
    this.#pages = [""];
    if (this.#started) this.refresh();
  }

  #seen = () => {
    const isBusy = this.shadowRoot.querySelector("dialog[open], details[open]");
    if (document.visibilityState === "visible" && this.#started && !isBusy) this.refresh();
  };

  // The frame

  #build() {
    this.#title = h("h2", { id: "title", tabindex: "-1" }, "Models");
    this.#alert = h("p", { role: "alert" });
    this.#status = h("p", { role: "status" });
    this.#list = h("ul", { class: "models", role: "list", "aria-labelledby": "title" });
    this.#previous = button("Previous", () => this.#turn(-1));
    this.#next = button("Next", () => this.#turn(1));
    this.#place = h("span", {});
    this.#nav = h("nav", { "aria-label": "Pages" }, this.#previous, this.#place, this.#next);
    this.#filters = h("form", { role: "search", "aria-label": "Models", onsubmit: (event) => event.preventDefault() },
      field("q", "Search", h("input", { type: "search", oninput: () => this.#typed() })),
      this.#filter("category", "Category", { "": "All", ...CATEGORIES }),
      this.#filter("owned", "Whose", { "": "All", true: "Mine", false: "Shared with me" }),
      this.#filter("is_active", "State", { true: "Active", false: "Inactive", all: "All" }));
    this.shadowRoot.append(h("section", { "aria-labelledby": "title" },
      h("header", {}, this.#title,
        this.#opener("Defaults", "defaults", () => this.#openDefaults(null)),
        this.#opener("Register a model", "register", () => this.#openForm(null), { class: "primary" })),
      this.#filters, this.#alert, this.#status, this.#list, this.#nav));
  }

  #opener(label, key, act, attributes) {
    return button(label, (event) => this.#busy(event.currentTarget, act), { "data-key": key, ...attributes });
  }

  #filter(name, label, choices) {
    return field(name, label, h("select", { onchange: () => this.#restart() }, options(choices)));
  }

  #typed() {
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#restart(), 250);
  }

  #query() {
    const chosen = [...new FormData(this.#filters)].filter(([, value]) => value !== "");
    return `?${new URLSearchParams(chosen)}`;
  }

  #turn(step) {
    if (step > 0) this.#pages.push(this.#nextQuery);
    else this.#pages.pop();
    this.#title.focus();
    this.refresh();
  }

  #show({ content, next }) {
    if (!content.length && this.#pages.length > 1) {  // the last of this page is gone
      this.#pages.pop();
      this.refresh();
      return;
    }
    const key = this.shadowRoot.activeElement?.dataset.key;
    this.#alert.textContent = "";
    this.#nextQuery = next;
    this.#list.replaceChildren(...content.map((model) => this.#row(model)));
    this.#nav.hidden = !next && this.#pages.length === 1;
    this.#previous.disabled = this.#pages.length === 1;
    this.#next.disabled = !next;
    this.#place.textContent = `Page ${this.#pages.length}`;
    if (!content.length) this.#list.append(h("li", { class: "empty" }, this.#nothing()));
    if (key) this.#focus(key);
  }

  #nothing() {
    const isFiltered = this.#query() !== "?is_active=true";
    return isFiltered ? "No model is like this." : "There are no models yet. Register the first one.";
  }

  #fail(error) {
    this.#alert.textContent = error.message;
    if (error.status !== 401) return;
    this.#list.replaceChildren();
    this.#nav.hidden = true;
  }

  /** Say it to those who do not see the page too; quietly, to them alone. */
  #say(text, isQuiet = false) {
    this.#status.classList.toggle("quiet", isQuiet);
    this.#status.textContent = text;
  }

  /** Go back to where the user was, also if it was drawn anew. */
  #focus(key) {
    const place = this.shadowRoot.querySelector(`[data-key="${CSS.escape(key)}"]`);
    (place ?? this.#title).focus();
  }

  // A model in the list

  #row(model) {
    const result = h("p", { class: "result" });
    const provider = this.#provider(model.model_provider);
    return h("li", { "data-id": model.id, class: model.is_active ? "" : "inactive" },
      h("div", { class: "what" },
        h("h3", {}, model.model_id),
        h("p", { class: "more" },
          [provider?.name ?? model.model_provider, model.model_name, CATEGORIES[model.category]].join(" · ")),
        model.description && h("p", { class: "description" }, model.description),
        this.#badges(model), result),
      h("div", { class: "actions" },
        provider?.can_be_tested === false ? null : this.#action(model, "test", "Test", () => this.#test(model, result)),
        model.can_edit ? this.#action(model, "edit", "Edit", () => this.#openForm(model)) : null,
        this.#menu(model)));
  }

  #provider(id) {
    return this.#providers.find((each) => each.id === id);
  }

  #badges(model) {
    const badges = [
      model.is_owner ? null : "Shared with me",
      model.is_shared ? "Shared with everybody" : null,
      model.is_active ? null : "Inactive",
      ...this.#defaults.filter((each) => each.model.id === model.id)
        .map(({ config_type: kind }) => `Default: ${KINDS[kind]?.[1] ?? kind}`),
      ...(model.abilities ?? []),
    ].filter(Boolean);
    return badges.length
      ? h("ul", { class: "badges", role: "list", "aria-label": "Traits" }, badges.map((each) => h("li", {}, each))) : null;
  }

  #action(model, name, label, act) {
    return this.#opener(label, `${model.id}:${name}`, act, { "aria-label": `${label} ${model.model_id}` });
  }

  /** Where a menu opens: within sight. */
  #unfold(menu) {
    if (menu.open) menu.lastElementChild.scrollIntoView({ block: "nearest" });
  }

  #menu(model) {
    const item = (label, act, className) =>
      button(label, () => {
        menu.open = false;
        menu.firstElementChild.focus();
        this.#busy(menu.firstElementChild, act);
      }, { class: className });
    const menu = h("details", {
      ontoggle: () => this.#unfold(menu),
      onkeydown: (event) => {
        if (event.key !== "Escape" || !menu.open) return;
        menu.open = false;
        menu.firstElementChild.focus();
      },
      onfocusout: (event) => {
        if (event.relatedTarget && !menu.contains(event.relatedTarget)) menu.open = false;
      },
    },
    h("summary", { "data-key": `${model.id}:more`, "aria-label": `More for ${model.model_id}` }, "More"),
    h("div", { class: "menu" },
      item("Use as default…", () => this.#openDefaults(model)),
      model.is_owner ? item("Share…", () => this.#openSharing(model)) : null,
      model.can_edit ? item(model.is_active ? "Deactivate" : "Activate", () => this.#activate(model)) : null,
      model.can_delete ? item("Delete…", () => this.#delete(model), "danger") : null));
    return menu;
  }

  /** Do it, unless it is being done; tell what went wrong. */
  async #busy(control, work) {
    if (control.getAttribute("aria-busy") === "true") return;
    control.setAttribute("aria-busy", "true");
    try {
      this.#alert.textContent = "";
      await work();
    } catch (error) {
      this.#fail(error);
    } finally {
      control.removeAttribute("aria-busy");
    }
  }

  async #test(model, result) {
    result.textContent = "Testing…";
    try {
      const { content } = await this.#client.send("POST", `/${model.id}/test`);
      this.#showResult(result, content);
    } catch (error) {
      result.className = "result bad";
      result.textContent = error.message;
    }
    this.#say(`${model.model_id}: ${result.textContent}`, true);
  }

  #showResult(place, { result, latency_ms: latency }) {
    place.className = `result ${result === "ok" ? "ok" : "bad"}`;
    place.textContent = RESULTS[result] + (latency === null ? "." : ` (${latency} ms).`);
  }

  async #activate(model) {
    await this.#changing(model.id, async () => {
      const { content } = await this.#client.send("PATCH", `/${model.id}`, { body: { is_active: !model.is_active } });
      return `${model.model_id} is ${content.is_active ? "active" : "inactive"}.`;
    });
  }

  async #delete(model) {
    const text = `${model.model_id} and its API key will be gone for everybody who uses it.`;
    if (!await this.#confirm("Delete this model?", text, "Delete", `${model.id}:more`)) return;
    await this.#changing(model.id, async () => {
      await this.#client.send("DELETE", `/${model.id}`);
      return `${model.model_id} is deleted.`;
    });
  }

  /** Change something on the server, show the list as it is then, and say so. */
  async #changing(id, change) {
    try {
      const text = await change();
      await this.refresh();
      this.#say(text);
      this.announce("model-registry-change", { id });
    } catch (error) {
      this.#fail(error);
    }
  }

  // Dialogs

  /** Open a dialog over the page; `key` is where the focus goes afterwards. */
  #open(title, key, ...children) {
    const id = `field-${++fields}-title`;
    let isDirty = false;
    const dialog = h("dialog", {
      "aria-labelledby": id,
      oninput: () => { isDirty = true; },
      oncancel: async (event) => {
        if (event.target !== dialog || !isDirty || !dialog.querySelector(".model")) return;
        event.preventDefault();
        isDirty = false;  // a second Esc closes without a question
        if (await this.#confirm("Leave this form?", "What you have typed will be lost.", "Leave", key)) dialog.close();
        else isDirty = true;
      },
      onclose: () => {
        dialog.remove();
        this.#focus(key);
      },
    }, h("h2", { id }, title), children);
    this.shadowRoot.append(dialog);
    dialog.showModal();
    return dialog;
  }

  #confirm(title, text, label, key) {
    return new Promise((resolve) => {
      const answer = (is_sure) => () => { resolve(is_sure); dialog.close(); };
      const dialog = this.#open(title, key, h("p", {}, text), h("footer", {},
        button("Cancel", answer(false), { autofocus: true }), button(label, answer(true), { class: "primary danger" })));
      dialog.addEventListener("close", () => resolve(false));
    });
  }

  async #openForm(listed) {
    const { content: model, tag } = listed === null
      ? { content: null, tag: null } : await this.#client.send("GET", `/${listed.id}`);
    if (!this.#providers) return this.refresh();
    const fields = new ModelForm(this.#providers, model, this.hasAttribute("can-share"));
    const result = h("p", { class: "result", role: "status" });
    const test = button("Test connection", () => this.#busyForm(form, test, () => this.#try(fields, result)));
    const ask = button("Ask the provider for its models", () => this.#busyForm(form, ask, () => this.#ask(fields, result)));
    const save = h("button", { type: "submit", class: "primary" }, model ? "Save" : "Register");
    const form = h("form", {
      class: "model",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.#busyForm(form, save, async () => {
          const text = await this.#save(fields, tag);
          await this.refresh();
          dialog.close();
          this.#say(text);
        });
      },
    }, fields.elements, h("div", { class: "trying" }, test, ask, result), h("p", { role: "alert", tabindex: "-1" }),
    h("footer", {}, button("Cancel", () => dialog.close()), save));
    const dialog = this.#open(model ? `Edit ${model.model_id}` : "Register a model", model ? `${model.id}:edit` : "register", form);
    if (model) this.#tellCredential(model, fields);
    return dialog;
  }

  /** Do something for a form, unless it is being done; say at its fields what went wrong. */
  async #busyForm(form, control, work) {
    if (control.getAttribute("aria-busy") === "true") return;
    control.setAttribute("aria-busy", "true");
    clearProblem(form);
    try {
      await work();
    } catch (error) {
      showProblem(form, error.errors ? error : new Problem(0, { title: error.message }));
    } finally {
      control.removeAttribute("aria-busy");
    }
  }

  async #save(fields, tag) {
    const { model } = fields;
    if (model === null) {
      const { content } = await this.#client.send("POST", "/register", { body: fields.filled });
      this.announce("model-registry-change", { id: content.id });
      return `${content.model_id} is registered.`;
    }
    const changes = fields.changes;
    if (!Object.keys(changes).length) return "Nothing was changed.";
    try {
      await this.#client.send("PATCH", `/${model.id}`, { body: changes, headers: { "If-Match": tag } });
    } catch (error) {
      if (error.status !== 412) throw error;
      throw new Problem(412, { title: "Somebody else changed this model meanwhile. Cancel, and open it again." });
    }
    this.announce("model-registry-change", { id: model.id });
    return `${changes.model_id ?? model.model_id} is saved.`;
  }

  async #tellCredential(model, fields) {
    const { content } = await this.#client.send("GET", `/${model.id}/credential`).catch(() => ({}));
    if (!content || content.status === "readable") return;
    const text = content.is_set ? "The stored key cannot be read; enter it again." : "No key is stored.";
    fields.fields.api_key.querySelector(".hint").textContent = text;
  }

  async #try(fields, result) {
    const { model, connection } = fields;
    result.textContent = "Testing…";
    try {
      const isStored = model && !("api_key" in connection)
        && Object.entries(connection).every(([name, value]) => model[name] === value);
      const { content } = isStored
        ? await this.#client.send("POST", `/${model.id}/test`)
        : await this.#client.send("POST", "/test-connection", { body: connection });
      this.#showResult(result, content);
    } catch (error) {
      result.textContent = "";
      throw error;
    }
  }

  async #ask(fields, result) {
    const { model_provider, model_name, ...body } = fields.connection;
    result.className = "result";
    result.textContent = "";
    const path = `/providers/${encodeURIComponent(model_provider)}/models`;
    const { content } = await this.#client.send("POST", path, { body });
    fields.served.replaceChildren(...content.models.map((value) => h("option", { value })));
    result.textContent = content.models.length
      ? `${content.models.length} models; the field Model suggests them.` : "It serves no models.";
    if (content.models.length) fields.fields.model_name.querySelector("input").focus();
  }

  // Sharing

  async #openSharing(model) {
    const grants = h("ul", { class: "grants", role: "list", "aria-label": "Shared with" });
    const alert = h("p", { role: "alert", tabindex: "-1" });
    const people = h("datalist", { id: `field-${++fields}-people` });
    const groups = h("datalist", { id: `field-${++fields}-groups` });
    const kind = h("select", { onchange: () => whom.setAttribute("list", (kind.value === "users" ? people : groups).id) },
      options({ users: "A user", ...(this.#groups && { groups: "A group" }) }));
    const whom = h("input", { list: people.id, autocomplete: "off", required: true });
    const who = field("user", "Who", whom);
    const heir = h("input", { list: people.id, autocomplete: "off", required: true });
    const rights = [check("can_edit", "May edit"), check("can_delete", "May delete")];
    const act = (work) => (event) => {
      event.preventDefault();
      this.#busyForm(box, event.submitter ?? event.currentTarget, () => work(event));
    };
    // What a check box does has happened.
    const toggled = (work) => (event) => this.#busyForm(box, event.currentTarget, () => work(event));
    const show = async () => {
      const { content } = await this.#client.send("GET", `/${model.id}/grants`);
      grants.replaceChildren(...this.#grants(content, model, { act, toggled, show }));
    };
    const put = act(async () => {
      const [edit, remove] = rights.map((each) => each.querySelector("input").checked);
      const name = kind.value === "users" ? this.#keyOf(whom.value) : whom.value.trim();
      const path = `/${model.id}/grants/${kind.value}/${encodeURIComponent(name)}`;
      if (!name) throw new Problem(0, { title: "Say who." });
      await this.#client.send("PUT", path, { body: { can_edit: edit, can_delete: remove } });
      whom.value = "";
      whom.focus();
      await show();
    });
    const give = act(async () => {
      const key = this.#keyOf(heir.value);
      if (!key) throw new Problem(0, { title: "Say who." });
      const text = `You will not see ${model.model_id} any more, unless the new owner shares it with you.`;
      const title = `Give it to ${this.#names.get(key) ?? `user ${key}`}?`;
      if (!await this.#confirm(title, text, "Give away", `${model.id}:more`)) return;
      await this.#client.send("POST", `/${model.id}/transfer`, { body: { user: key } });
      dialog.close();
      await this.#changing(model.id, async () => `${model.model_id} is given away.`);
    });
    const box = h("div", {},
      this.hasAttribute("can-share") ? this.#everybody(model, toggled) : null, grants, people, groups,
      h("form", { novalidate: true, onsubmit: put },
        h("div", { class: "row" }, field("kind", "With", kind), who), h("div", {}, rights),
        h("div", { class: "trying" }, h("button", { type: "submit" }, "Share"))),
      alert,
      h("details", { class: "giving" }, h("summary", {}, "Give it away"),
        h("form", { novalidate: true, onsubmit: give },
          field("heir", "New owner", heir),
          h("div", { class: "trying" }, h("button", { type: "submit", class: "danger" }, "Give away")))),
      h("footer", {}, button("Done", () => dialog.close())));
    const dialog = this.#open(`Share ${model.model_id}`, `${model.id}:more`, box);
    who.querySelector(".hint").textContent = await this.#suggest(people, groups);
    await this.#busyForm(box, people, show);
  }

  /** Offer people and groups; return what to type without them. */
  async #suggest(people, groups) {
    try {
      await this.#loadPeople();
      people.replaceChildren(...[...this.#names.values()].map((value) => h("option", { value })));
      groups.replaceChildren(...(await this.#loadGroups()).map((value) => h("option", { value })));
      return this.#names.size ? "" : "The key of a user.";
    } catch {
      return "The suggestions could not be loaded. The key of a user will do.";
    }
  }

  #everybody(model, toggled) {
    const toggle = toggled(async ({ currentTarget: box }) => {
      try {
        await this.#client.send("PATCH", `/${model.id}`, { body: { share_with_users: box.checked } });
      } catch (error) {
        box.checked = !box.checked;
        throw error;
      }
      await this.refresh();
    });
    return check("share_with_users", "Share with everybody", model.is_shared, { onchange: toggle });
  }

  #grants({ users, groups }, model, { act, toggled, show }) {
    const line = (path, name, grant) => {
      const put = toggled(async () => {
        const [edit, remove] = boxes.map((each) => each.querySelector("input").checked);
        await this.#client.send("PUT", path, { body: { can_edit: edit, can_delete: remove } });
        await show();
      });
      const label = (text) => ({ onchange: put, "aria-label": `${name} ${text}` });
      const boxes = [
        check("can_edit", "may edit", grant.can_edit, label("may edit")),
        check("can_delete", "may delete", grant.can_delete, label("may delete")),
      ];
      const remove = act(async () => {
        await this.#client.send("DELETE", path);
        await show();
      });
      return h("li", {}, h("span", {}, name), boxes, button("Remove", remove, { "aria-label": `Remove ${name}` }));
    };
    const path = (kind, key) => `/${model.id}/grants/${kind}/${encodeURIComponent(key)}`;
    return [
      ...users.map((each) => line(path("users", each.user), this.#names.get(each.user) ?? `User ${each.user}`, each)),
      ...groups.map((each) => line(path("groups", each.group), `Group ${each.group}`, each)),
    ];
  }

  /** Load who can be shared with. A name that could mean somebody else too goes with its key. */
  async #loadPeople() {
    const given = (typeof this.#people === "function" ? await this.#people() : this.#people) ?? [];
    const people = given.map(({ key, name }) => [String(key), String(name ?? key)]);
    const isUnique = (key, name) => people.every(([otherKey, otherName]) =>
      otherKey === key || (otherKey !== name && otherName !== name));
    this.#names = new Map(people.map(([key, name]) => [key, isUnique(key, name) ? name : `${name} (${key})`]));
  }

  async #loadGroups() {
    return (typeof this.#groups === "function" ? await this.#groups() : this.#groups) ?? [];
  }

  /** The key of a person: what was typed if it is one, or that of the name. */
  #keyOf(text) {
    const typed = text.trim();
    if (this.#names.has(typed)) return typed;
    return [...this.#names].find(([, name]) => name === typed)?.[0] ?? typed;
  }

  // Defaults

  async #openDefaults(model) {
    const list = h("ul", { class: "grants", role: "list", "aria-label": "Defaults" });
    const scope = h("select", { onchange: () => this.#busyForm(box, list, show) },
      options({ user: "Me", app: "Everybody" }));
    const kinds = Object.entries(KINDS).filter(([, [category]]) => !model || model.category === category);
    const show = async () => {
      const { content } = await this.#client.send("GET", `/defaults?scope=${scope.value}`);
      const now = new Map(content.map((each) => [each.config_type, each]));
      const focused = this.shadowRoot.activeElement?.dataset.kind;
      list.replaceChildren(...kinds.map(([kind, [, label]]) => line(kind, label, now.get(kind))));
      if (focused) (list.querySelector(`[data-kind="${focused}"]`) ?? done).focus();
    };
    const line = (kind, label, chosen) => {
      const change = (method, body) => (event) => this.#busyForm(box, event.currentTarget, async () => {
        await this.#client.send(method, `/defaults/${kind}?scope=${scope.value}`, { body });
        this.announce("model-registry-change", { id: model?.id });
        await show();
        await this.refresh();
      });
      const isMine = chosen && (scope.value === "app" || chosen.source === "user");
      const whose = chosen && !isMine ? " (of the app)" : "";
      const attributes = (word) => ({ "data-kind": kind, "aria-label": `${word}: ${label}` });
      return h("li", {},
        h("span", {}, h("strong", {}, label), " ", chosen ? chosen.model.model_id + whose : "none"),
        model && !(isMine && chosen.model.id === model.id)
          ? button("Use", change("PUT", { id: model?.id }), attributes("Use")) : null,
        isMine ? button("Clear", change("DELETE"), attributes("Clear")) : null);
    };
    const done = button("Done", () => dialog.close());
    const box = h("div", {},
      this.hasAttribute("can-share") ? field("scope", "For", scope) : null,
      list, model ? null : h("p", { class: "hint" }, "To choose one, take “Use as default…” of a model."), h("p", { role: "alert", tabindex: "-1" }), h("footer", {}, done));
    const dialog = this.#open(model ? `Use ${model.model_id} as default` : "Defaults",
      model ? `${model.id}:more` : "defaults", box);
    await this.#busyForm(box, list, show);
  }
}

// ------------------------------------------------------------------------------------------- style

const STYLE = new CSSStyleSheet();
STYLE.replaceSync(`
:host {
  --accent: var(--model-registry-accent, light-dark(#1d4ed8, #9db8ff));
  --on-accent: var(--model-registry-on-accent, light-dark(#fff, #0b1533));
  --danger: var(--model-registry-danger, light-dark(#b3261e, #ffb4ab));
  --on-danger: var(--model-registry-on-danger, light-dark(#fff, #410002));
  --good: var(--model-registry-good, light-dark(#176b34, #7fd69a));
  --surface: var(--model-registry-surface, light-dark(#fff, #16181d));
  --text: var(--model-registry-text, light-dark(#1b1d22, #e7e9ee));
  --muted: color-mix(in srgb, var(--text) 72%, var(--surface));
  --line: var(--model-registry-line, color-mix(in srgb, var(--text) 16%, var(--surface)));
  --edge: color-mix(in srgb, var(--text) 50%, var(--surface));
  --tint: color-mix(in srgb, var(--text) 5%, var(--surface));
  --radius: var(--model-registry-radius, .5rem);
  container-type: inline-size;
  display: block;
  color: var(--text);
  font: var(--model-registry-font, 1rem/1.5 system-ui, sans-serif);
}
:host([hidden]), [hidden] { display: none !important; }
* { box-sizing: border-box; }
section { background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius); padding: 1rem; }
h2, h3, p, ul, fieldset { margin: 0; padding: 0; border: 0; min-width: 0; }
ul { list-style: none; }
h2 { font-size: 1.25rem; line-height: 1.3; overflow-wrap: anywhere; }
h2:focus { outline: none; }
h3 { font-size: 1rem; overflow-wrap: anywhere; }
header { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
header h2 { flex: 1 1 8rem; }
button, summary {
  font: inherit; min-height: 2.25rem; padding: .25rem .75rem; cursor: pointer; white-space: nowrap;
  color: var(--text); background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
}
button:hover, summary:hover { background: var(--tint); }
button.primary { color: var(--on-accent); background: var(--accent); border-color: var(--accent); }
button.danger { color: var(--danger); }
button.primary.danger { color: var(--on-danger); background: var(--danger); border-color: var(--danger); }
button:disabled { color: var(--muted); border-color: var(--line); cursor: default; }
button[aria-busy] { cursor: progress; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
input, select, textarea {
  font: inherit; width: 100%; min-height: 2.25rem; padding: .25rem .5rem;
  color: var(--text); background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
}
input[type=checkbox] { width: 1.1rem; min-height: 1.1rem; margin: 0; accent-color: var(--accent); }
[aria-invalid] { border-color: var(--danger); }
label, legend { font-size: .875rem; font-weight: 600; }
.field:has([required]) > label::after { content: " *" / ""; color: var(--danger); }
.giving > form { margin-top: .75rem; }
.giving > summary { width: fit-content; }
.check { display: inline-flex; gap: .5rem; align-items: center; font-weight: 400; margin-right: 1rem; min-height: 1.75rem; }
.hint, .more, .description { color: var(--muted); font-size: .875rem; overflow-wrap: anywhere; }
.hint:empty, .error:empty, .result:empty:not([role]) { display: none; }
.error, [role=alert], .bad { color: var(--danger); font-size: .875rem; overflow-wrap: anywhere; }
.ok { color: var(--good); }
.result { font-size: .875rem; }
section > :is([role=alert], [role=status]):not(:empty) { padding: .5rem 0; }
.quiet { position: absolute; width: 1px; height: 1px; margin: -1px; overflow: hidden; clip-path: inset(50%); }
section { position: relative; }
legend { padding: 0; }
[role=search] { display: grid; gap: .5rem; grid-template-columns: 2fr 1fr 1fr 1fr; padding: .75rem 0; }
.models { border-top: 1px solid var(--line); }
.models > li { display: flex; gap: .75rem; align-items: flex-start; padding: .75rem 0; border-bottom: 1px solid var(--line); }
.models > li:last-child { border-bottom: 0; padding-bottom: 0; }
.models[aria-busy] { opacity: .6; }
.what { flex: 1 1 auto; min-width: 0; }
.description { white-space: pre-line; display: -webkit-box; -webkit-line-clamp: 3; -webkit-box-orient: vertical; overflow: hidden; }
.inactive h3, .empty { color: var(--muted); }
.badges { display: flex; flex-wrap: wrap; gap: .25rem; margin-top: .25rem; }
.badges li { font-size: .75rem; padding: 0 .5rem; background: var(--tint); border: 1px solid var(--line); border-radius: 1rem; }
.actions { display: flex; gap: .5rem; flex: none; }
.actions { position: relative; }
summary { list-style: none; display: flex; align-items: center; }
summary::-webkit-details-marker { display: none; }
.menu {
  position: absolute; right: 0; z-index: 1; display: flex; flex-direction: column; min-width: 12rem; margin-block: .25rem;
  padding: .25rem; background: var(--surface); border: 1px solid var(--edge); border-radius: var(--radius);
  box-shadow: 0 .25rem 1rem #0004;
}
.menu button { text-align: left; border-color: transparent; }
nav { display: flex; gap: .75rem; align-items: center; justify-content: flex-end; padding-top: .75rem; }
dialog {
  width: min(36rem, calc(100vw - 1rem)); max-height: calc(100dvh - 1rem); padding: 1.25rem; overflow: auto;
  color: var(--text); background: var(--surface); border: 1px solid var(--line); border-radius: var(--radius);
}
dialog::backdrop { background: #0008; }
dialog h2 { margin-bottom: .75rem; }
dialog form, dialog div:has(> form) { display: grid; gap: .75rem; }
dialog form + form { border-top: 1px solid var(--line); padding-top: .75rem; }
dialog form > .check { margin: 0; }
@media (min-width: 45rem) {
  dialog:has(.model) { width: 44rem; }
  .model { grid-template-columns: 1fr 1fr; }
  .model > :not(.field), [data-field=description] { grid-column: 1 / -1; }
}
.field { display: grid; gap: .125rem; align-content: start; min-width: 0; }
.row { display: grid; gap: .5rem; grid-template-columns: 1fr 2fr; }
.trying { display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }
footer {
  display: flex; gap: .5rem; justify-content: flex-end; position: sticky; bottom: -1.25rem;
  margin-bottom: -1.25rem; padding: .5rem 0 1.25rem; background: var(--surface);
}
.grants > li { display: flex; flex-wrap: wrap; gap: .25rem .5rem; align-items: center; padding: .25rem 0; border-bottom: 1px solid var(--line); }
.grants > li > span { flex: 1 1 10rem; min-width: 0; overflow-wrap: anywhere; }
@media (pointer: coarse) {
  button, summary, input:not([type=checkbox]), select { min-height: 2.75rem; }
}
@container (max-width: 40rem) {
  [role=search] { grid-template-columns: 1fr 1fr 1fr; }
  [role=search] > :first-child { grid-column: 1 / -1; }
  .models > li { flex-direction: column; align-items: stretch; gap: .5rem; }
  .menu { right: auto; left: 0; }
  header button { flex: 1 1 auto; }
}
`);

customElements.define("model-registry", ModelRegistryElement);
