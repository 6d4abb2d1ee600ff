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
const TESTING = "Testing…";
const PATIENCE = 60_000;  // milliseconds for one request
const OTHER = "";  // the choice of a provider that is not in the catalogue
const NAMED = 20;  // how many of those who have access are named

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

const counted = (number, noun) => number && `${number} ${noun}${number === 1 ? "" : "s"}`;

/** Return what the host gives: a list, or a function that returns one or a promise of it. */
const supplied = async (source) => (typeof source === "function" ? await source() : source) ?? [];

/** Return the words for a word of the API, or that itself. */
const told = (words, word) => Object.hasOwn(words, word) ? words[word] : String(word);

let fields = 0;

/** Put a label before a control; after it a hint, notes and room for its errors. */
function field(name, label, control, hint = "", ...notes) {
  const id = `field-${++fields}`;
  const tip = h("p", { class: "hint", id: `${id}-hint` }, hint);
  const error = h("p", { class: "error", id: `${id}-error` });
  notes.forEach((note, i) => { note.id = `${id}-note-${i}`; });
  control.id = id;
  control.setAttribute("aria-describedby", [tip, ...notes, error].map((each) => each.id).join(" "));
  return h("div", { class: "field", "data-field": name },
    h("label", { for: id }, label), control, tip, notes, error);
}

/** Make a check box with its label behind it. */
function check(name, label, checked = false, attributes = {}) {
  const box = h("input", { type: "checkbox", checked, ...attributes });
  return h("label", { class: "check", "data-field": name }, box, h("span", {}, label));
}

/** Make a group of check boxes, with room for their errors. */
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

// -------------------------------------------------------------------------------------------- URLs

/** Return the origin of a URL and what comes after it, in ASCII; null if it is not a web URL. */
function parted(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (!["http:", "https:"].includes(url?.protocol)) return null;
  return [url.origin, (url.pathname + url.search + url.hash).replace(/\/+$/, "")];
}

/** Show a URL in full, its origin first of all, in the right order on right-to-left pages too. */
const shownURL = ([origin, path]) =>
  h("bdi", { class: "url", dir: "ltr" }, h("strong", {}, origin), path);

/** Where a model is called, and its API key sent. */
class Destination {
  /**
   * @param providers The catalogue.
   * @param name What names the provider: its id, an alias, or another name.
   * @param given The base URL of the model; empty for the provider's own.
   */
  constructor(providers, name, given) {
    const id = name.toLowerCase();  // as the server reads it
    const provider = providers.find((each) => each.id === id)
      ?? providers.find((each) => each.aliases?.includes(id));
    const own = parted(provider?.base_url);
    this.url = given ? parted(given) : own;
    this.isOwn = given ? own !== null && String(this.url) === String(own) : true;
    this.note = own && !this.isOwn ? ` (not ${provider.name}'s own URL)` : "";
  }

  /** What comes after "sent to". */
  get elements() {
    return this.url ? [shownURL(this.url), this.note] : ["an invalid URL"];
  }
}

// ------------------------------------------------------------------------------------------ server

/** What the server refused: a status, and the errors of each field (RFC 9457). */
class Problem extends Error {
  constructor(status, told) {
    const { detail, title, errors, result } = told ?? {};
    const text = [RESULTS[result], detail, title].find((each) => typeof each === "string");
    super(text ?? `The server answered ${status}.`);
    this.status = status;
    this.isForeign = typeof told?.type !== "string" || told.type === "about:blank";
    this.errors = Array.isArray(errors) ? errors.filter(
      (each) => typeof each?.field === "string" && typeof each?.message === "string") : [];
  }
}

const problem = (title, status = 0) => new Problem(status, { title });

/** Return the condition that a model is still as it was seen; none if no tag was, as a proxy may drop it. */
const ifMatch = (tag) => tag ? { "If-Match": tag } : {};

/** Return a list that the server sent. */
function listed({ content }) {
  if (!Array.isArray(content)) throw problem("The answer of the server is not understood.");
  return content;
}

/** Sends requests of an element to its `src`, as its user. What arrives for another user is dropped. */
class Client {
  #element;
  #session = new AbortController();

  constructor(element) {
    this.#element = element;
  }

  /** Start over, perhaps as another user: requests under way end with an AbortError. */
  begin() {
    this.#session.abort();
    this.#session = new AbortController();
  }

  /** Return what the server answers, with its `ETag` and the query of the next page. */
  async send(method, path, { body, headers = {}, signal } = {}) {
    const session = this.#session.signal;
    const address = this.#base + path;  // that of now, as the token is
    const credentials = await this.#credentials(method, address);
    session.throwIfAborted();
    try {
      const response = await fetch(address, {
        method,
        body: body && JSON.stringify(body),
        cache: "no-store",
        credentials: "same-origin",
        headers: {
          Accept: "application/json",
          ...(body && { "Content-Type": "application/json" }),
          ...credentials,
          ...headers,
        },
        redirect: "manual",
        signal: AbortSignal.any([session, AbortSignal.timeout(PATIENCE), ...(signal ? [signal] : [])]),
      });
      return await this.#read(response, session);
    } catch (error) {
      session.throwIfAborted();
      if (error instanceof Problem || error.name === "AbortError") throw error;
      if (error.name === "TimeoutError") throw problem("The server does not answer.");
      throw problem(error instanceof SyntaxError
        ? "The answer of the server is not understood." : "The server cannot be reached.");
    }
  }

  get #base() {
    const source = this.#element.getAttribute("src") ?? "/api/models";
    return new URL(source.replace(/\/+$/, ""), document.baseURI).href;
  }

  async #credentials(method, address) {
    const token = await this.#element.currentToken();
    if (token) return { Authorization: `Bearer ${token}` };
    const isAway = new URL(address).origin !== location.origin;
    if (method === "GET" || isAway) return {};
    const csrf = await this.#element.getCsrfToken?.()
      ?? this.#element.getAttribute("csrf-token") ?? this.#csrfCookie();
    const header = this.#element.getAttribute("csrf-header") ?? "X-CSRF-TOKEN";
    return csrf ? { [header]: csrf } : {};
  }

  #csrfCookie() {
    const name = this.#element.getAttribute("csrf-cookie") ?? "csrf_access_token";
    const cookie = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
    return cookie?.slice(name.length + 1);
  }

  async #read(response, session) {
    if (!response.ok) throw await this.#refused(response, session);
    const next = /<([^>]*)>; *rel="?next/.exec(response.headers.get("Link") ?? "");
    return {
      content: response.status === 204 ? null : await response.json(),
      tag: response.headers.get("ETag"),
      next: next && new URL(next[1], response.url).search,  // not where it leads to
    };
  }

  async #refused(response, session) {
    // Hosts with a page for logins lead there in place of 401.
    const status = response.type === "opaqueredirect" ? 401 : response.status;
    if (status !== 401) return new Problem(status, await response.json().catch(() => null));
    session.throwIfAborted();
    this.#element.announce("model-registry-unauthenticated");
    return problem("You are not logged in, or not any more.", 401);
  }
}

// --------------------------------------------------------------------------------- form of a model

/** The fields of a model: those of its category, with what the catalogue says of its provider. */
class ModelForm {
  /**
   * @param providers The catalogue.
   * @param model The model to change, or null for a new one.
   * @param mayShare Whether to offer to share with everyone.
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
    // With `off`, browsers fill in the password of the login.
    this.key = h("input", { type: "password", autocomplete: "new-password", spellcheck: "false" });
    this.destination = h("p", { class: "hint" });
    this.access = h("p", { class: "hint" });
    const oninput = () => this.#showDestination();
    this.served = h("datalist", { id: `field-${++fields}-served` });
    this.abilities = h("div", {});
    this.fields = {
      model_id: field("model_id", "Name", text("model_id", { required: true, autofocus: true }),
        "What it is called here, such as gpt-4o."),
      category: field("category", "Category", this.category),
      provider: field("model_provider", "Provider", this.provider),
      other: field("model_provider", "Id of the provider",
        text("model_provider", { value: known ? "" : model.model_provider, required: true, oninput }),
        "One that speaks as OpenAI does."),
      base_url: field("base_url", "Address", text("base_url", { inputmode: "url", oninput })),
      api_key: field("api_key", "API key", this.key, "", this.destination, this.access),
      model_name: field("model_name", "Model",
        text("model_name", { list: this.served.id, required: true }), "What the provider calls it."),
      temperature: field("temperature", "Temperature",
        text("temperature", { inputmode: "decimal" }), "0 to 2; empty for the provider's own."),
      dimension: field("dimension", "Dimension", text("dimension", { inputmode: "numeric" })),
      description: field("description", "Description",
        h("textarea", { rows: 2 }, model?.description ?? "")),
    };
    this.shared = mayShare && check("share_with_users", "Share with everyone", model?.is_shared);
    this.known = known;
    this.abilityControls = {};
    this.fillProviders();
    this.follow();
    this.before = this.body;
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
    this.abilities.replaceChildren(this.abilityControls[category] ??= this.#abilitiesOf(category));
    this.#showDestination();
  }

  /** Say where the API key will be sent, as the form is now. */
  #showDestination() {
    const { model_provider: provider, base_url } = this.connection;
    const destination = new Destination(this.providers, provider, base_url);
    this.destination.classList.toggle("notice", !destination.isOwn);
    this.destination.replaceChildren(...destination.url
      ? ["This API key will be sent to ", ...destination.elements]
      : ["Enter a full URL to see where this API key will be sent."]);
  }

  #abilitiesOf(category) {
    const had = this.model?.category === category ? this.model.abilities ?? [] : [];
    if (category in ABILITIES) return checks("abilities", "Abilities", ABILITIES[category], had);
    const text = h("input", { value: had.join(", "), autocomplete: "off" });
    return field("abilities", "Abilities", text, "Such as chat, vision, tool_calling.");
  }

  #value(name) {
    const place = this.fields[name];
    return place.hidden ? "" : place.querySelector("input, select, textarea").value.trim();
  }

  /** Return numbers as numbers, and other text unchanged, so that the server reports it. */
  #number(name, pattern) {
    const text = this.#value(name);
    if (text === "") return null;
    return pattern.test(text) ? Number(text.replace(",", ".")) : text;
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
      temperature: this.#number("temperature", /^\d*[.,]?\d+$/),
      dimension: this.#number("dimension", /^\d+$/),
      abilities: this.#abilities(),
      description: this.#value("description") || null,
      ...(this.shared && { share_with_users: this.shared.querySelector("input").checked }),
    };
  }

  /** What of the body was changed. */
  get changes() {
    return Object.fromEntries(Object.entries(this.body).filter(
      ([name, value]) => JSON.stringify(value) !== JSON.stringify(this.before[name])));
  }

  /** Whether a test is one of what is stored. */
  get isStored() {
    const names = Object.keys(this.connection);
    return this.model !== null && !names.some((name) => name === "api_key" || name in this.changes);
  }
}

// ----------------------------------------------------------------------------------------- dialogs

/** Register a model, or edit one. */
class FormDialog {
  constructor(page, model, tag) {
    this.page = page;
    this.model = model;
    this.tag = tag;
    this.fields = new ModelForm(page.providers, model, page.mayShare);
    this.result = h("p", { class: "result", role: "status" });
    const doing = (work) => (event) => page.run(event.currentTarget, work, { form: this.form });
    this.form = h("form", {
      class: "model",
      method: "dialog",
      novalidate: true,
      oninput: () => this.#tell(""),
      onsubmit: (event) => {
        event.preventDefault();
        page.run(save, () => this.#save(), { form: this.form });
      },
    }, this.fields.elements,
    h("div", { class: "trying" },
      button("Test connection", doing(() => this.#test())),
      button("Ask the provider for its models", doing(() => this.#ask())),
      this.result),
    h("p", { role: "alert", tabindex: "-1" }));
    const save = h("button", { type: "submit", class: "primary" }, model ? "Save" : "Register");
    this.form.append(h("footer", {}, button("Cancel", () => this.dialog.close()), save));
    const title = model ? `Edit ${model.model_id}` : "Register a model";
    this.dialog = page.open(title, model ? `${model.id}:edit` : "register", this.form);
    if (!model) return;
    this.#tellCredential();
    this.#tellAccess();
  }

  #tell(text, className = "") {
    this.result.className = `result ${className}`;
    this.result.textContent = text;
  }

  async #save() {
    const text = await (this.model ? this.#change() : this.#register());
    this.page.say(text);
    await this.page.refresh();
    this.dialog.close();
  }

  async #register() {
    const { content } = await this.page.client.send("POST", "/register", { body: this.fields.filled });
    this.page.changed(content.id);
    return `${content.model_id} is registered.`;
  }

  async #change() {
    const { model, fields: { changes } } = this;
    if (!Object.keys(changes).length) return "Nothing was changed.";
    try {
      await this.page.client.send("PATCH", `/${model.id}`, { body: changes, headers: ifMatch(this.tag) });
    } catch (error) {
      if (error.status !== 412) throw error;
      throw problem("Another user changed this model meanwhile. Cancel, and open it again.", 412);
    }
    this.page.changed(model.id);
    return `${changes.model_id ?? model.model_id} is saved.`;
  }

  async #tellCredential() {
    const state = await this.page.client.send("GET", `/${this.model.id}/credential`).catch(() => null);
    if (!state?.content || state.content.status === "readable") return;
    const text = state.content.is_set ? "The stored key cannot be read; enter it again." : "No key is stored.";
    this.fields.fields.api_key.querySelector(".hint").textContent = text;
  }

  /** Say who else can use an API key that is entered here. */
  async #tellAccess() {
    const { model: { is_owner: isOwner, is_shared: isShared }, fields: { access } } = this;
    const others = isOwner ? await this.#grantees() : "The owner decides who else uses this model.";
    const text = [isShared ? "Shared with everyone." : "", others].filter(Boolean).join(" ");
    access.textContent = text || "Only you have access.";
    access.classList.toggle("notice", text !== "");
  }

  async #grantees() {
    const { page, model } = this;
    try {
      const { content: { users, groups } } = await page.client.send("GET", `/${model.id}/grants`);
      const people = users.length ? await supplied(page.element.people).then(distinct).catch(() => null) : null;
      const names = [
        ...users.map(({ user }) => people?.get(user) ?? `user ${user}`),
        ...groups.map(({ group }) => `group ${group}`),
      ];
      if (!names.length) return "";
      const counts = [counted(users.length, "user"), counted(groups.length, "group")].filter(Boolean);
      const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : "";
      return `People with access: ${counts.join(", ")} (${names.slice(0, NAMED).join(", ")}${more}).`;
    } catch (error) {
      return error.name === "AbortError" ? "" : "Who has access could not be loaded.";
    }
  }

  async #test() {
    const { connection, isStored } = this.fields;
    this.#tell(TESTING);
    try {
      const { content } = isStored
        ? await this.page.client.send("POST", `/${this.model.id}/test`)
        : await this.page.client.send("POST", "/test-connection", { body: connection });
      const isSame = JSON.stringify(connection) === JSON.stringify(this.fields.connection);
      this.#tell(...(isSame ? resultOf(content) : [""]));
    } catch (error) {
      this.#tell("");
      throw error;
    }
  }

  async #ask() {
    const { model_provider: provider, model_name: _, ...body } = this.fields.connection;
    this.#tell("");
    const path = `/providers/${encodeURIComponent(provider)}/models`;
    const { content: { models } } = await this.page.client.send("POST", path, { body });
    this.fields.served.replaceChildren(...models.map((value) => h("option", { value })));
    this.#tell(models.length ? `${models.length} models; the field Model suggests them.` : "It serves no models.");
    if (models.length) this.fields.fields.model_name.querySelector("input").focus();
  }
}

/** Return what a test found, in words, and how it looks. */
function resultOf({ result, latency_ms: latency }) {
  const time = typeof latency === "number" ? ` (${latency} ms)` : "";
  return [`${told(RESULTS, result)}${time}.`, result === "ok" ? "ok" : "bad"];
}

/** Share a model with users and groups, or with everyone, or give it away. */
class SharingDialog {
  constructor(page, model) {
    this.page = page;
    this.model = model;
    this.names = new Map();
    this.people = h("datalist", { id: `field-${++fields}-people` });
    this.groups = h("datalist", { id: `field-${++fields}-groups` });
    this.grants = h("ul", { class: "grants", role: "list", "aria-label": "Shared with" });
    this.whom = h("input", { list: this.people.id, autocomplete: "off", required: true });
    this.heir = h("input", { list: this.people.id, autocomplete: "off", required: true });
    this.box = h("div", {},
      page.mayShare ? this.#everyone() : null, this.grants, this.people, this.groups,
      this.#newGrant(), h("p", { role: "alert", tabindex: "-1" }), this.#away(),
      h("footer", {}, button("Done", () => this.dialog.close())));
    this.dialog = page.open(`Share ${model.model_id}`, `${model.id}:more`, this.box);
    this.#load();
  }

  /** Do one thing at a time; the server says what came of it. */
  #run(control, work) {
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  /** Make a check box of what the server knows; it does not move while something is being done. */
  #box(label, checked, change, attributes) {
    return check("", label, checked, {
      onclick: (event) => { if (this.page.isBusy(this.box)) event.preventDefault(); },
      onchange: ({ currentTarget: box }) => this.#run(box, () => change(box)),
      ...attributes,
    });
  }

  #everyone() {
    return this.#box("Share with everyone", this.model.is_shared, async (box) => {
      const body = { share_with_users: box.checked };
      try {
        ({ content: this.model } = await this.page.client.send("PATCH", `/${this.model.id}`, { body }));
        this.page.changed(this.model.id);
      } finally {
        box.checked = this.model.is_shared;
      }
      await this.page.refresh();
    });
  }

  #newGrant() {
    const kinds = { users: "A user", ...(this.page.element.groups && { groups: "A group" }) };
    const kind = h("select", {
      onchange: () => this.whom.setAttribute("list", (kind.value === "users" ? this.people : this.groups).id),
    }, options(kinds));
    const rights = [check("", "May edit"), check("", "May delete")];
    this.who = field("user", "Who", this.whom);
    return this.#form(async () => {
      const [edit, remove] = rights.map((each) => each.querySelector("input").checked);
      const name = kind.value === "users" ? await this.#keyOf(this.whom.value) : this.whom.value.trim();
      if (!name) throw problem("Say who.");
      await this.#put(this.#path(kind.value, name), edit, remove);
      this.whom.value = "";
      for (const each of rights) each.querySelector("input").checked = false;
      this.whom.focus();
    }, "Share", {}, h("div", { class: "row" }, field("kind", "With", kind), this.who), h("div", {}, rights));
  }

  #away() {
    return h("details", { class: "giving" }, h("summary", {}, "Give it away"), this.#form(async () => {
      const { page, model } = this;
      const key = await this.#keyOf(this.heir.value);
      if (!key) throw problem("Say who.");
      const text = `The new owner gets ${model.model_id} switched off and without its grants. `
        + "You will not see it any more, unless the new owner shares it with you.";
      const title = `Give it to ${this.names.get(key) ?? `user ${key}`}?`;
      if (!await page.confirm(title, text, "Give away", `${model.id}:more`)) return;
      await page.client.send("POST", `/${model.id}/transfer`, { body: { user: key } });
      page.changed(model.id);
      page.say(`${model.model_id} is given away.`);
      await page.refresh();
      this.dialog.close();
    }, "Give away", { class: "danger" }, field("heir", "New owner", this.heir)));
  }

  #form(work, label, attributes, ...content) {
    const submit = h("button", { type: "submit", ...attributes }, label);
    return h("form", {
      method: "dialog",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        this.#run(submit, work);
      },
    }, content, h("div", { class: "trying" }, submit));
  }

  async #load() {
    this.suggested = this.#suggest();
    this.who.querySelector(".hint").textContent = await this.suggested;
    await this.page.run(this.grants, () => this.#show(), { form: this.box, lock: {} });
  }

  /** Offer people and groups; return what to type without them. */
  async #suggest() {
    const { people, groups } = this.page.element;
    try {
      this.names = distinct(await supplied(people));
      this.people.replaceChildren(...[...this.names.values()].map((value) => h("option", { value })));
      this.groups.replaceChildren(...(await supplied(groups)).map((value) => h("option", { value })));
      return this.names.size ? "" : "The key of a user.";
    } catch {
      return "The suggestions could not be loaded. The key of a user will do.";
    }
  }

  /** The key of a person: what was typed if it is one, or that of the name, once names are known. */
  async #keyOf(text) {
    const typed = text.trim();
    await this.suggested;
    const known = [...this.names];
    if (this.names.has(typed)) return typed;
    if (known.some(([key, name]) => name === `${typed} (${key})`)) {
      throw problem("Several people could be meant; choose one of them.");
    }
    return known.find(([, name]) => name === typed)?.[0] ?? typed;
  }

  #path(kind, name) {
    return `/${this.model.id}/grants/${kind}/${encodeURIComponent(name)}`;
  }

  async #put(path, edit, remove) {
    try {
      await this.page.client.send("PUT", path, { body: { can_edit: edit, can_delete: remove } });
    } finally {
      await this.#show();
    }
  }

  async #show() {
    const { content: { users, groups } } = await this.page.client.send("GET", `/${this.model.id}/grants`);
    const focused = this.grants.contains(this.page.root.activeElement)
      && this.page.root.activeElement.getAttribute("aria-label");
    this.grants.replaceChildren(
      ...users.map((each) => this.#line("users", each.user, this.names.get(each.user) ?? `User ${each.user}`, each)),
      ...groups.map((each) => this.#line("groups", each.group, `Group ${each.group}`, each)));
    if (focused) (this.grants.querySelector(`[aria-label="${CSS.escape(focused)}"]`) ?? this.whom).focus();
  }

  #line(kind, key, name, grant) {
    const path = this.#path(kind, key);
    const put = () => this.#put(path, ...boxes.map((each) => each.querySelector("input").checked));
    const boxes = [
      this.#box("may edit", grant.can_edit, put, { "aria-label": `${name} may edit` }),
      this.#box("may delete", grant.can_delete, put, { "aria-label": `${name} may delete` }),
    ];
    const remove = button("Remove", () => this.#run(remove, async () => {
      await this.page.client.send("DELETE", path);
      await this.#show();
    }), { "aria-label": `Remove ${name}` });
    return h("li", {}, h("span", {}, name), boxes, remove);
  }
}

/** Name people by key. A name that could mean another goes with its key; in doubt, all do. */
function distinct(people) {
  const named = people.map(({ key, name }) => [String(key), String(name ?? key)]);
  const meant = (word) => named.filter((each) => each.includes(word)).length;
  const withKey = ([key, name]) => key === name ? key : `${name} (${key})`;
  const labels = named.map((each) => meant(each[1]) === 1 ? each[1] : withKey(each));
  const isClear = labels.every((label, i) => label === named[i][1] || meant(label) === 0);
  return new Map(named.map((each, i) => [each[0], isClear ? labels[i] : withKey(each)]));
}

/** Choose defaults: set those that a model can be, or clear any. */
class DefaultsDialog {
  constructor(page, model) {
    this.page = page;
    this.model = model;
    this.kinds = Object.entries(KINDS).filter(([, [category]]) => !model || model.category === category);
    this.list = h("ul", { class: "grants", role: "list", "aria-label": "Defaults" });
    this.scope = h("select", { onchange: () => this.#load() }, options({ user: "Me", app: "Everyone" }));
    this.done = button("Done", () => this.dialog.close());
    this.box = h("div", {},
      page.mayShare ? field("scope", "For", this.scope) : null, this.list,
      model ? null : h("p", { class: "hint" }, "To choose one, take “Use as default…” of a model."),
      h("p", { role: "alert", tabindex: "-1" }), h("footer", {}, this.done));
    this.dialog = page.open(model ? `Use ${model.model_id} as default` : "Defaults",
      model ? `${model.id}:more` : "defaults", this.box);
    this.#load();
  }

  /** Show those of the scope that is chosen now; until they are there, none. */
  #load() {
    this.list.replaceChildren();
    return this.page.run(this.list, () => this.#show(), { form: this.box, lock: {} });
  }

  async #show() {
    const scope = this.scope.value;
    const defaults = listed(await this.page.client.send("GET", `/defaults?scope=${scope}`));
    if (scope !== this.scope.value) return;
    const now = new Map(defaults.map((each) => [each.config_type, each]));
    const focused = this.page.root.activeElement?.dataset.kind;
    this.list.replaceChildren(...this.kinds.map(([kind, [, label]]) => this.#line(scope, kind, label, now.get(kind))));
    if (focused) (this.list.querySelector(`[data-kind="${focused}"]`) ?? this.done).focus();
  }

  #line(scope, kind, label, chosen) {
    const { model } = this;
    const isMine = chosen && (scope === "app" || chosen.source === "user");
    const act = (word, method, body) => button(word, (event) =>
      this.page.run(event.currentTarget, async () => {
        await this.page.client.send(method, `/defaults/${kind}?scope=${scope}`, { body });
        this.page.changed(chosen?.model.id ?? model?.id);
        await Promise.all([this.#show(), this.page.refresh()]);
      }, { form: this.box, lock: this.box }), { "data-kind": kind, "aria-label": `${word}: ${label}` });
    return h("li", {},
      h("span", {}, h("strong", {}, label), " ",
        chosen ? chosen.model.model_id + (isMine ? "" : " (of the app)") : "none"),
      model && !(isMine && chosen.model.id === model.id) ? act("Use", "PUT", { id: model.id }) : null,
      isMine ? act("Clear", "DELETE") : null);
  }
}

// -------------------------------------------------------------------------------------------- page

/** What an element shows: the list of models, and dialogs over it. */
class Page {
  constructor(element, root) {
    this.element = element;
    this.root = root;
    this.client = new Client(element);
    this.busy = new Set();
    this.forget();
    this.#build();
  }

  #build() {
    this.title = h("h2", { id: "title", tabindex: "-1" }, "Models");
    this.alert = h("p", { role: "alert" });
    this.status = h("p", { role: "status" });
    this.list = h("ul", { class: "models", role: "list", "aria-labelledby": "title" });
    this.previous = button("Previous", () => this.#turn(-1));
    this.next = button("Next", () => this.#turn(1));
    this.place = h("span", {});
    this.nav = h("nav", { "aria-label": "Pages", hidden: true }, this.previous, this.place, this.next);
    this.filters = h("form", {
      role: "search", "aria-label": "Models", method: "dialog", onsubmit: (event) => event.preventDefault(),
    },
    field("q", "Search", h("input", { type: "search", name: "q", maxlength: 100, autocomplete: "off", oninput: () => this.#typed() })),
    this.#filter("category", "Category", { "": "All", ...CATEGORIES }),
    this.#filter("owned", "Whose", { "": "All", true: "Mine", false: "Shared with me" }),
    this.#filter("is_active", "State", { all: "All", true: "Switched on", false: "Switched off" }));
    this.root.append(h("section", { "aria-labelledby": "title" },
      h("header", {}, this.title,
        this.#opener("Defaults", "defaults", () => this.#openDefaults(null)),
        this.#opener("Register a model", "register", () => this.#openForm(null), { class: "primary" })),
      this.filters, this.alert, this.status, this.list, this.nav));
  }

  get mayShare() {
    return this.element.hasAttribute("can-share");
  }

  get userId() {
    return this.element.getAttribute("user-id");
  }

  /** Start over, perhaps for another user, who sees nothing of what was here. */
  begin() {
    this.client.begin();
    this.forget();
    for (const dialog of this.root.querySelectorAll("dialog")) dialog.remove();
    for (const place of [this.list, this.alert, this.status]) place.replaceChildren();
    this.nav.hidden = true;
    this.filters.reset();
  }

  forget() {
    this.pages = [""];
    this.nextQuery = null;
    this.providers = null;
    this.defaults = [];
    this.results = new Map();
    clearTimeout(this.typing);
  }

  /** Show what the server has now. */
  async refresh() {
    this.loading?.abort();
    const loading = this.loading = new AbortController();
    this.list.setAttribute("aria-busy", "true");
    try {
      const { signal } = loading;
      const query = this.pages.at(-1) || this.#query();
      const known = this.providers ?? this.client.send("GET", "/providers", { signal }).then(listed);
      const [providers, page, defaults] = await Promise.all([
        known,
        this.client.send("GET", `/${query}`, { signal }),
        this.client.send("GET", "/defaults", { signal }).then(listed),
      ]);
      if (this.loading !== loading) return;
      Object.assign(this, { providers, defaults });
      this.#show(listed(page), page.next);
    } catch (error) {
      if (this.loading === loading) this.report(error);
    } finally {
      if (this.loading === loading) this.list.removeAttribute("aria-busy");
    }
  }

  /** Show what the server has now, unless a dialog or a menu is open. */
  lookAgain() {
    if (!this.root.querySelector("dialog[open], details[open]")) this.refresh();
  }

  // What is said

  /** Say it to those who do not see the page too; quietly, to them alone. */
  say(text, isQuiet = false) {
    this.status.classList.toggle("quiet", isQuiet);
    this.status.textContent = text;
  }

  /** Say what went wrong, in the form if it is there still. */
  report(error, form = null) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) console.error(error);
    const told = error instanceof Problem ? error : problem("The answer of the server is not understood.");
    if (form?.isConnected) {
      showProblem(form, told);
      return;
    }
    this.alert.textContent = told.message;
    if (told.status !== 401) return;
    this.list.replaceChildren();
    this.nav.hidden = true;
  }

  changed(id) {
    this.results.delete(id);
    this.element.announce("model-registry-change", { id });
  }

  isBusy(lock) {
    return this.busy.has(lock);
  }

  /** Do something, unless it (or something else under the same lock) is being done. */
  async run(control, work, { form = null, lock = control } = {}) {
    if (this.busy.has(lock)) return;
    this.busy.add(lock);
    control.setAttribute("aria-busy", "true");
    if (form) clearProblem(form);
    else this.alert.textContent = "";
    try {
      await work();
    } catch (error) {
      this.report(error, form);
      // A check of the host's, such as for CSRF, may come before that of who is logged in.
      if (error.isForeign && [400, 403].includes(error.status)) this.#askWhoIsThere();
    } finally {
      this.busy.delete(lock);
      control.removeAttribute("aria-busy");
    }
  }

  async #askWhoIsThere() {
    const error = await this.client.send("GET", "/providers").then(() => null, (each) => each);
    if (error?.status === 401) this.report(error);
  }

  /** Go back to where the user was, also if it was drawn anew. */
  #focus(key) {
    const place = this.root.querySelector(`[data-key="${CSS.escape(key)}"]`);
    (place ?? this.title).focus();
  }

  // The list

  #filter(name, label, choices) {
    return field(name, label, h("select", { name, onchange: () => this.#restart() }, options(choices)));
  }

  #typed() {
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.#restart(), 250);
  }

  #restart() {
    this.pages = [""];
    this.refresh();
  }

  #query() {
    const chosen = [...new FormData(this.filters)].filter(([, value]) => value !== "");
    return `?${new URLSearchParams(chosen)}`;
  }

  #turn(step) {
    if (this.list.hasAttribute("aria-busy")) return;
    if (step > 0) this.pages.push(this.nextQuery);
    else this.pages.pop();
    this.title.focus();
    this.refresh();
  }

  #show(models, next) {
    if (!models.length && this.pages.length > 1) {  // the last of this page is gone
      this.pages.pop();
      this.refresh();
      return;
    }
    const key = this.root.activeElement?.dataset.key;
    const opened = this.list.querySelector("details[open]")?.closest("li").dataset.id;
    this.alert.textContent = "";
    this.nextQuery = next;
    this.list.replaceChildren(...models.map((model) => this.#row(model)));
    // The request may have been sent before the user opened this menu.
    const menu = opened && this.list.querySelector(`[data-id="${CSS.escape(opened)}"] details`);
    if (menu) menu.open = true;
    this.nav.hidden = !next && this.pages.length === 1;
    this.previous.disabled = this.pages.length === 1;
    this.next.disabled = !next;
    this.place.textContent = `Page ${this.pages.length}`;
    if (!models.length) this.list.append(h("li", { class: "empty" }, this.#nothing()));
    if (key) this.#focus(key);
  }

  #nothing() {
    const isFiltered = this.#query() !== "?is_active=all";
    return isFiltered ? "No model is like this." : "No models yet. Register the first one.";
  }

  #row(model) {
    const provider = this.providers.find(({ id }) => id === model.model_provider);
    const traits = [provider?.name ?? model.model_provider, model.model_name, told(CATEGORIES, model.category)];
    return h("li", { "data-id": model.id, class: model.is_active ? "" : "inactive" },
      h("div", { class: "what" },
        h("h3", {}, model.model_id),
        h("p", { class: "more" }, traits.join(" · ")),
        this.#elsewhere(model),
        model.description ? h("p", { class: "description" }, model.description) : null,
        this.#badges(model), this.#result(model.id)),
      h("div", { class: "actions" },
        model.can_edit && !model.is_active
          ? this.#action(model, "switch", "Switch on", () => this.#switchOn(model)) : null,
        provider?.can_be_tested === false ? null : this.#action(model, "test", "Test", () => this.#test(model)),
        model.can_edit ? this.#action(model, "edit", "Edit", () => this.#openForm(model)) : null,
        this.#menu(model)));
  }

  #destination({ model_provider, base_url }) {
    return new Destination(this.providers, model_provider, base_url);
  }

  /** Say where a model is called, unless it is the provider's own URL. */
  #elsewhere(model) {
    const destination = this.#destination(model);
    return destination.isOwn ? null : h("p", { class: "notice" }, "Sends to ", destination.elements);
  }

  #badges(model) {
    const kinds = this.defaults.filter((each) => each.model.id === model.id).map((each) => each.config_type);
    const badges = [
      model.is_owner ? null : "Shared with me",
      model.is_shared ? "Shared with everyone" : null,
      model.is_active ? null : "Switched off",
      ...kinds.map((kind) => `Default: ${Object.hasOwn(KINDS, kind) ? KINDS[kind][1] : kind}`),
      ...(model.abilities ?? []),
    ].filter(Boolean);
    if (!badges.length) return null;
    return h("ul", { class: "badges", role: "list", "aria-label": "Traits" }, badges.map((each) => h("li", {}, each)));
  }

  #opener(label, key, act, attributes) {
    return button(label, (event) => this.run(event.currentTarget, act), { "data-key": key, ...attributes });
  }

  #action(model, name, label, act) {
    return this.#opener(label, `${model.id}:${name}`, act, { "aria-label": `${label} ${model.model_id}` });
  }

  #menu(model) {
    const fold = () => {
      menu.open = false;
      menu.firstElementChild.focus();
    };
    const item = (label, act, attributes) => button(label, () => {
      fold();
      this.run(menu.firstElementChild, act);
    }, { "data-key": `${model.id}:${label}`, ...attributes });
    const menu = h("details", {
      ontoggle: () => { if (menu.open) menu.lastElementChild.scrollIntoView({ block: "nearest" }); },
      onkeydown: (event) => { if (event.key === "Escape" && menu.open) fold(); },
      onfocusout: ({ relatedTarget }) => {
        if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
      },
    },
    h("summary", { "data-key": `${model.id}:more`, "aria-label": `More for ${model.model_id}` }, "More"),
    h("div", { class: "menu" },
      item("Use as default…", () => this.#openDefaults(model)),
      model.is_owner ? item("Share…", () => this.#openSharing(model)) : null,
      model.can_edit && model.is_active ? item("Switch off", () => this.#switch(model.id, false)) : null,
      this.#canDecline(model) ? item("Remove from my list…", () => this.#decline(model)) : null,
      model.can_delete ? item("Delete…", () => this.#delete(model), { class: "danger" }) : null));
    return menu;
  }

  // What is done to a model

  /** Show what came of a test, in the row that is there now. */
  #result(id) {
    const [text, className] = this.results.get(id) ?? [""];
    return h("p", { class: `result ${className ?? ""}` }, text);
  }

  async #test(model) {
    const { id } = model;
    if (this.results.get(id)?.[0] === TESTING) return;
    const tell = (...result) => {
      this.results.set(id, result);
      this.list.querySelector(`[data-id="${CSS.escape(id)}"] .result`)?.replaceWith(this.#result(id));
    };
    tell(TESTING);
    try {
      const { content } = await this.client.send("POST", `/${id}/test`);
      tell(...resultOf(content));
    } catch (error) {
      if (error.name === "AbortError") throw error;
      tell(error.message, "bad");
    }
    this.say(`${model.model_id}: ${this.results.get(id)[0]}`, true);
  }

  async #switch(id, isActive, headers) {
    const body = { is_active: isActive };
    const { content } = await this.client.send("PATCH", `/${id}`, { body, headers });
    await this.#told(id, `${content.model_id} is switched ${content.is_active ? "on" : "off"}.`);
  }

  /** Switch on the model that the server has now; ask first if its URL is not the provider's own. */
  async #switchOn({ id }) {
    const { content: model, tag } = await this.client.send("GET", `/${id}`);
    if (!await this.#mayBeCalled(model)) return;
    try {
      await this.#switch(id, true, ifMatch(tag));
    } catch (error) {
      if (error.status !== 412) throw error;
      await this.refresh();
      throw problem("This model has changed meanwhile. Check it, and switch it on again.", 412);
    }
    this.#focus(`${id}:more`);
  }

  async #mayBeCalled(model) {
    const destination = this.#destination(model);
    if (destination.isOwn) return true;
    if (this.#hasDialog()) return false;
    const text = ["Its API key and all requests will be sent to ", ...destination.elements];
    return this.confirm(`Switch on ${model.model_id}?`, text, "Switch on", `${model.id}:switch`);
  }

  #canDecline(model) {
    return Boolean(this.userId) && !model.is_owner && !model.is_shared;
  }

  /** Give back the user's own grant; what is granted to a group stays. */
  async #decline({ id, model_id: name }) {
    const text = `You will not see ${name} any more, unless its owner shares it with you again.`;
    if (!await this.confirm(`Remove ${name} from your list?`, text, "Remove", `${id}:more`)) return;
    // 404: there is no such grant, or the model is out of sight already.
    const ignored = (error) => { if (error.status !== 404) throw error; };
    await this.client.send("DELETE", `/${id}/grants/users/${encodeURIComponent(this.userId)}`).catch(ignored);
    const left = await this.client.send("GET", `/${id}`).catch(ignored);
    await this.#told(id, left
      ? `${name} stays, because it is shared with one of your groups.` : `${name} is removed from your list.`);
  }

  async #delete(model) {
    const text = `${model.model_id} and its API key will be gone for everyone who uses it.`;
    if (!await this.confirm("Delete this model?", text, "Delete", `${model.id}:more`)) return;
    await this.client.send("DELETE", `/${model.id}`);
    await this.#told(model.id, `${model.model_id} is deleted.`);
  }

  async #told(id, text) {
    this.changed(id);
    this.say(text);
    await this.refresh();
  }

  // Dialogs

  async #openForm(model) {
    this.providers ??= listed(await this.client.send("GET", "/providers"));
    const now = model ? await this.client.send("GET", `/${model.id}`) : { content: null };
    if (!this.#hasDialog()) new FormDialog(this, now.content, now.tag);
  }

  async #openSharing(model) {
    const { content } = await this.client.send("GET", `/${model.id}`);
    if (!this.#hasDialog()) new SharingDialog(this, content);
  }

  async #openDefaults(model) {
    if (!this.#hasDialog()) new DefaultsDialog(this, model);
  }

  /** Whether something else was opened while an answer was on its way. */
  #hasDialog() {
    return this.root.querySelector("dialog") !== null;
  }

  /** Open a dialog over the page; `key` is where the focus goes afterwards. */
  open(title, key, ...children) {
    const id = `field-${++fields}-title`;
    let isDirty = false;
    const dialog = h("dialog", {
      "aria-labelledby": id,
      oninput: () => { isDirty = true; },
      oncancel: async (event) => {
        if (event.target !== dialog || !isDirty || !dialog.querySelector(".model")) return;
        event.preventDefault();
        isDirty = false;  // a second Esc closes without a question
        if (await this.confirm("Leave this form?", "What you have typed will be lost.", "Leave", key)) dialog.close();
        else isDirty = true;
      },
      onclose: () => {
        while (dialog.nextElementSibling?.localName === "dialog") dialog.nextElementSibling.remove();
        dialog.remove();
        this.#focus(key);
      },
    }, h("h2", { id }, title), children);
    this.root.append(dialog);
    dialog.showModal();
    return dialog;
  }

  /** Ask before something that cannot be undone; return whether it is to be done. */
  confirm(title, text, label, key) {
    return new Promise((resolve) => {
      const answer = (isSure) => () => {
        resolve(isSure);
        dialog.close();
      };
      const dialog = this.open(title, key, h("p", {}, text), h("footer", {},
        button("Cancel", answer(false), { autofocus: true }),
        button(label, answer(true), { class: "primary danger" })));
      dialog.addEventListener("close", () => resolve(false));
    });
  }
}

// ----------------------------------------------------------------------------------------- element

// Scripts of the host's page that give a token have run when its document is there.
const ready = new Promise((resolve) => {
  if (document.readyState === "complete") resolve();
  document.addEventListener("DOMContentLoaded", resolve, { once: true });
  window.addEventListener("load", resolve, { once: true });
});

class ModelRegistryElement extends HTMLElement {
  static observedAttributes = ["src", "token", "can-share", "user-id", "heading"];

  #page;
  #getToken = null;
  #people = null;
  #groups = null;
  #getCsrfToken = null;
  #started = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: "open" });
    root.adoptedStyleSheets = [STYLE];
    this.#page = new Page(this, root);
  }

  connectedCallback() {
    for (const name of ["token", "getToken", "getCsrfToken", "people", "groups"]) {  // given before this class was there
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    for (const [target, name] of LISTENED) target.addEventListener(name, this);
    ready.then(() => {
      this.#started = true;
      this.#begin();
    });
  }

  disconnectedCallback() {
    for (const [target, name] of LISTENED) target.removeEventListener(name, this);
    this.#page.begin();
  }

  attributeChangedCallback(name, before, value) {
    if (name === "heading") {
      this.#page.title.textContent = value || "Models";
      this.#page.title.classList.toggle("quiet", value === "");
    } else if (before !== value) this.#begin();
  }

  /** Follow the window: what it shows when it comes back is what the server has then. */
  handleEvent(event) {
    if (event.type === "pagehide") this.#page.begin();  // the browser may keep the page for "back"
    else if (event.type === "pageshow" ? event.persisted : document.visibilityState === "visible") this.#look();
  }

  #look() {
    if (this.#started) this.#page.lookAgain();
  }

  #begin() {
    if (!this.#started || !this.isConnected) return;
    this.#page.begin();
    this.#page.refresh();
  }

  /** A function that returns the access token, or a promise of it; asked before every request. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.#begin();
  }

  /** The access token; none where the browser has a cookie. */
  get token() {
    return this.getAttribute("token");
  }

  set token(token) {
    this.getToken = token ? () => token : null;
  }

  /** A function that returns the CSRF token of changes, or a promise of it. */
  get getCsrfToken() {
    return this.#getCsrfToken;
  }

  set getCsrfToken(getCsrfToken) {
    this.#getCsrfToken = getCsrfToken;
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

  /** Tell the host's page what happened here. */
  announce(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  /** Show what the server has now. */
  refresh() {
    return this.#page.refresh();
  }
}

const LISTENED = [
  [document, "visibilitychange"], [window, "focus"], [window, "pagehide"], [window, "pageshow"],
];

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
.url { overflow-wrap: anywhere; }
.notice { color: var(--text); font-size: .875rem; overflow-wrap: anywhere; }
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
  .actions { flex-wrap: wrap; }
  .menu { right: auto; left: 0; }
  header button { flex: 1 1 auto; }
}
`);

if (!customElements.get("model-registry")) customElements.define("model-registry", ModelRegistryElement);
