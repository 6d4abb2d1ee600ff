// @ts-check
/** The provider of models, the URL where it is called, and the key for it. */

import { Combobox } from "./combobox.js";
import { Destination } from "./destination.js";
import { field, h } from "./dom.js";
import { markOf } from "./mark.js";

/** @import { Page } from "./page.js" */

const OTHER = ""; // the choice of a provider that is not in the catalogue
const NEW = ""; // the choice of a key that is typed
const ENDPOINT =
  /\/(chat\/completions|completions|responses|embeddings|messages|models|rerank|images\/\w+|audio\/\w+)\/?$/i;

export class ConnectionFields {
  /** @type {any} A combobox. */ provider = null;
  /** @type {string} */ #chosenId;

  /**
   * @param {Page} page
   * @param {any} model The model to change, or null for a new one.
   * @param {{ credentials: any[], original: any, credentialId?: number | null }} given For a
   *     new one: the user's credentials, the model to copy, and its credential.
   * @param {() => void} onChange Called after another provider was chosen.
   */
  constructor(page, model, { credentials, original, credentialId }, onChange) {
    this.page = page;
    this.t = page.t;
    this.providers = page.providers ?? [];
    this.model = model;
    this.credentials = credentials;
    this.source = model ?? original;
    this.preferred = original && String(credentialId ?? NEW); // at first
    this.onChange = onChange;
    this.categoryOf = () => model?.category;
    this.#chosenId = this.#initialProvider();
    this.fields = this.#build();
    this.provider.input.value = this.#label(this.#chosenId);
  }

  #initialProvider() {
    const { model_provider: own } = this.source ?? this.credentials.at(-1) ?? {};
    if (!own) return this.providers[0]?.id ?? OTHER;
    return this.providers.some(({ id }) => id === own) ? own : OTHER;
  }

  #textInput(value, more = {}) {
    return h("input", { type: "text", value, autocomplete: "off", spellcheck: "false", ...more });
  }

  /** @returns {Record<string, any>} */
  #build() {
    const { t, model, source } = this;
    const own = source ?? this.credentials.at(-1);
    const oninput = () => this.showDestination();
    this.provider = new Combobox(this.#textInput("", { autofocus: !model, dir: "auto" }), {
      label: t("providers"),
      find: (typed) => this.#find(typed),
      choose: (value) => this.#choose(value),
      isChosen: (value) => value === this.#chosenId,
      leave: () => this.#leave(),
    });
    this.provider.input.addEventListener("focus", () => this.provider.input.select());
    const isKnown = this.#chosenId !== OTHER;
    const other = this.#textInput(isKnown ? "" : (own?.model_provider ?? ""), {
      required: true,
      oninput: () => this.update(),
    });
    const url = this.#textInput(source?.base_url ?? "", {
      inputmode: "url",
      dir: "ltr",
      oninput,
      onchange: () => this.#cutEndpoint(),
    });
    // With `off`, browsers fill in the password of the login.
    this.key = h("input", { type: "password", autocomplete: "new-password", spellcheck: "false" });
    this.credentialSelect = h("select", { onchange: () => this.update() });
    this.keysPage = h("p", { class: "hint" });
    this.destination = h("p", { class: "hint" });
    this.access = h("p", { class: "hint" });
    this.cutNote = h("p", { class: "notice", "aria-live": "polite" });
    const notes = [this.keysPage, this.destination, this.access];
    const fields = {
      provider: field("model_provider", t("provider"), this.provider.input),
      other: field("model_provider", t("other"), other, t("other_hint")),
      credential: field("credential", t("credential"), this.credentialSelect),
      base_url: field("base_url", t("address"), url, "", this.cutNote),
      api_key: field("api_key", t("key"), this.key, "", ...notes),
    };
    this.provider.input.after(this.provider.list);
    return fields;
  }

  #label(id) {
    return this.providers.find((each) => each.id === id)?.name ?? this.t("another");
  }

  /** Return the providers that match a text, those of the user and category first. */
  #find(typed) {
    const word = plain(typed);
    const has = (text) => plain(text).includes(word);
    const rank = ({ id, name, categories }) =>
      ([id, name].some((each) => plain(each).startsWith(word)) ? 0 : 4) +
      (this.credentials.some((each) => each.model_provider === id) ? 0 : 2) +
      (categories?.includes(this.categoryOf()) === false ? 1 : 0);
    const found = this.providers
      .filter(({ id, name, aliases }) => [id, name, ...(aliases ?? [])].some(has))
      .toSorted((one, other) => rank(one) - rank(other))
      .map(({ id, name }) => ({ value: id, label: name, mark: markOf(name) }));
    return [...found, { value: OTHER, label: this.t("another"), mark: markOf("+") }];
  }

  /** Choose a provider, and clear a key that was typed for another one. */
  #choose(value) {
    const before = this.entry;
    const isSame = value === this.#chosenId;
    this.#chosenId = value;
    this.provider.input.value = this.#label(value);
    if (isSame) {
      this.nextInput.focus();
      return;
    }
    const hadKey = this.key.value !== "";
    this.key.value = "";
    this.onChange();
    if (hadKey) {
      const provider = before?.name ?? this.t("another");
      this.hint("api_key", this.t("key_again", { provider }));
    }
    this.nextInput.focus();
    this.provider.input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  /** Choose the provider that was typed, or show the former one's name again. */
  #leave() {
    const typed = plain(this.provider.input.value);
    const named = this.providers.find(({ id, name }) => [id, name].map(plain).includes(typed));
    if (named && named.id !== this.#chosenId) this.#choose(named.id);
    else this.provider.input.value = this.#label(this.#chosenId);
  }

  /** The first field that needs a value now. */
  get nextInput() {
    const { other, base_url, api_key } = this.fields;
    const empty = [other, base_url, api_key].find(
      (each) => !each.hidden && each.querySelector("[required]")?.value === "",
    );
    return (empty ?? this.fields.provider).querySelector("input");
  }

  get entry() {
    return this.providers.find(({ id }) => id === this.#chosenId);
  }

  /** The id of the provider, chosen or typed. */
  get name() {
    return this.#chosenId || this.fields.other.querySelector("input").value.trim();
  }

  /** The credential that is chosen, or null for a key that is typed. */
  get credential() {
    return this.credentials.find(({ id }) => String(id) === this.credentialSelect.value) ?? null;
  }

  hint(name, text) {
    this.fields[name].querySelector(".hint").textContent = text;
  }

  /** Show the provider's fields and their hints. */
  update() {
    const { t, entry, model } = this;
    const { other, credential, base_url, api_key } = this.fields;
    other.hidden = this.#chosenId !== OTHER;
    this.#fillCredentials();
    credential.hidden = this.credentialSelect.options.length < 2;
    base_url.hidden = api_key.hidden = this.credential !== null;
    const url = entry?.base_url;
    this.hint("base_url", url ? t("address_own", { url }) : t("address_needed"));
    base_url.querySelector("input").required = !url;
    const isOptional = entry?.needs_key === false;
    this.key.required = !model && !isOptional;
    const hint = isOptional ? t("key_optional") : "";
    this.hint("api_key", model ? t("key_kept") : hint);
    this.keysPage.replaceChildren(...this.#keysLink());
    this.showDestination();
  }

  /** Offer the provider's credentials, newest first; the first is chosen. */
  #fillCredentials() {
    const found = this.credentials.filter((each) => each.model_provider === this.name);
    const values = [...found.map(({ id }) => String(id)).toReversed(), NEW];
    const before = [...this.credentialSelect.options].map(({ value }) => value);
    if (String(before) === String(values) && before.length) return;
    const labels = Object.fromEntries(found.map(({ id, name }) => [`${id}`, name]));
    this.credentialSelect.replaceChildren(
      ...values.map((value) => h("option", { value }, labels[value] ?? this.t("new_key"))),
    );
    const first = values.find((each) => each === this.preferred) ?? values[0];
    this.credentialSelect.value = first;
    this.preferred = null;
  }

  /** Switch to a credential that was created with the typed key. */
  useCredential(credential) {
    this.credentials = [...this.credentials, credential];
    this.key.value = "";
    this.update();
  }

  /** Return a link to where the provider gives API keys, if known. */
  #keysLink() {
    const { keys_url: href, name: provider } = this.entry ?? {};
    if (!href?.startsWith("https://")) return [];
    const text = this.t("get_key", { provider });
    return [h("a", { href, target: "_blank", rel: "noopener noreferrer" }, text)];
  }

  /** Cut the endpoint off a URL, because providers document whole ones. */
  #cutEndpoint() {
    const input = this.fields.base_url.querySelector("input");
    const [part] = ENDPOINT.exec(input.value.trim()) ?? [];
    this.cutNote.textContent = part ? this.t("cut", { part }) : "";
    if (part) input.value = input.value.trim().slice(0, -part.length);
    this.showDestination();
  }

  showDestination() {
    const { t } = this;
    const destination = new Destination(this.page, this.value);
    this.destination.classList.toggle("notice", !destination.isOwn);
    const text = destination.url
      ? t.parts("key_to", { url: destination.elements }).flat()
      : [t("key_where")];
    this.destination.replaceChildren(...text);
  }

  /** Where models are called, and with which key. */
  get value() {
    const isOptional = !this.model && this.entry?.needs_key === false;
    const key = this.key.value.trim() || (isOptional ? "none" : "");
    const url = this.fields.base_url.querySelector("input").value.trim();
    return { model_provider: this.name, base_url: url || null, ...(key && { api_key: key }) };
  }

  /** Whether the chosen provider and credential allow lists of models and tests. */
  get canBeTested() {
    const isKey = this.credential === null || this.credential.kind === "key";
    return isKey && this.entry?.can_be_tested !== false;
  }

  /** The request for a list of models; null while it lacks a field. */
  get listRequest() {
    const { credential, entry } = this;
    if (!this.canBeTested) return null;
    if (credential) return { path: `/credentials/${credential.id}/served-models` };
    const { model_provider: provider, base_url, api_key } = this.value;
    const hasUrl = base_url ? URL.canParse(base_url) : entry?.base_url;
    if (!provider || !api_key || !hasUrl) return null;
    return {
      path: `/providers/${encodeURIComponent(provider)}/models`,
      body: { base_url, api_key },
    };
  }
}

/** Return a name without case, blanks, hyphens and underscores, to compare with what is typed. */
const plain = (text) => text.toLowerCase().replace(/[\s_-]+/g, "");
