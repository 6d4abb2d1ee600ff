// @ts-check
/** The fields of a model. */

import { check, checks } from "./checks.js";
import { ConnectionFields } from "./connection.js";
import { clearError, field, h, options, showError } from "./dom.js";
import { ModelPicker } from "./picker.js";
import { ABILITIES, CATEGORIES } from "./texts.js";

/** @import { Page } from "./page.js" */

/** The fields of a model's category, with hints from the catalogue about its provider. */
export class ModelForm {
  /**
   * @param {Page} page
   * @param {any} model The model to change, or null for a new one.
   * @param {{ credentials?: any[], original?: any, credentialId?: number | null }} options For a
   *     new one: the user's credentials, the model to copy, and its credential.
   */
  constructor(page, model, { credentials = [], original = null, credentialId } = {}) {
    this.t = page.t;
    this.model = model;
    this.source = model ?? original;
    this.abilityControls = {};
    const onChange = () => {
      this.picker.reset();
      this.update();
    };
    const given = { credentials, original, credentialId };
    this.connection = new ConnectionFields(page, model, given, onChange);
    this.connection.categoryOf = () => this.category.value;
    this.picker = new ModelPicker(this.t, model, original);
    this.fields = this.#build(page.mayShare);
    this.update();
    this.before = this.body;
  }

  /** @returns {Record<string, any>} */
  #build(mayShare) {
    const { t, source: model, connection, picker } = this;
    const text = (name, more = {}) => {
      const value = model?.[name] ?? "";
      return h("input", { type: "text", value, autocomplete: "off", spellcheck: "false", ...more });
    };
    const categories = CATEGORIES.map((each) => [each, t(`categories.${each}`)]);
    this.category = h(
      "select",
      { onchange: () => this.update() },
      options(Object.fromEntries(categories), model?.category),
    );
    this.abilities = h("div", {});
    const temperature = text("temperature", { inputmode: "decimal" });
    const dimension = text("dimension", { inputmode: "numeric" });
    const description = h("textarea", { rows: 2, dir: "auto" }, model?.description ?? "");
    this.credentialName = h("input", {
      type: "text",
      autocomplete: "off",
      required: true,
      dir: "auto",
    });
    this.shared = mayShare && check("share_with_users", t("share_with_everyone"), model?.is_shared);
    return {
      ...connection.fields,
      category: field("category", t("category"), this.category),
      model_name: picker.field,
      model_id: picker.nameField,
      newCredential: field("name", t("credential_name"), this.credentialName, t("credential_hint")),
      temperature: field("temperature", t("temperature"), temperature, t("temperature_hint")),
      dimension: field("dimension", t("dimension"), dimension),
      description: field("description", t("description"), description),
    };
  }

  /** The fields that show at first, and the rest. */
  get elements() {
    const { provider, category, other, credential, base_url, api_key, model_name } = this.fields;
    const { model_id, newCredential, temperature, dimension, description } = this.fields;
    const rest = [this.abilities, temperature, dimension, description, this.shared || null];
    if (this.model) {
      const first = [model_id, category, provider, other, base_url, api_key, model_name];
      return [first, rest];
    }
    const url = this.isUrlRequired ? [[base_url], []] : [[], [base_url]];
    this.extra = h("div", { class: "model" }, url[1], rest);
    const more = h("details", { class: "giving" }, h("summary", {}, this.t("more")), this.extra);
    const first = [provider, category, other, credential, url[0], api_key];
    return [[...first, model_name, model_id, this.picker.names, newCredential], [more]];
  }

  /** Put the base URL in sight if it is required, and under "More" otherwise. */
  #placeUrl() {
    const { base_url, credential } = this.fields;
    if (!this.extra || this.extra.contains(base_url) !== this.isUrlRequired) return;
    if (this.isUrlRequired) credential.after(base_url);
    else this.extra.prepend(base_url);
  }

  get isUrlRequired() {
    return this.fields.base_url.querySelector("input").required;
  }

  /** Show the fields of the category and the provider, and their hints. */
  update() {
    const category = this.category.value;
    const { temperature, dimension } = this.fields;
    temperature.hidden = !["llm", "image"].includes(category);
    dimension.hidden = category !== "embedding";
    this.abilities.replaceChildren(
      (this.abilityControls[category] ??= this.#abilitiesOf(category)),
    );
    this.connection.update();
    this.#placeUrl();
    this.updateCredentialName();
  }

  /** Ask for a name for the credential that several models share. */
  updateCredentialName() {
    const { newCredential } = this.fields;
    newCredential.hidden = !this.picker.isMany || this.connection.credential !== null;
    if (!newCredential.hidden) this.credentialName.value ||= this.#freeName();
  }

  #freeName() {
    const { entry, name, credentials } = this.connection;
    const base = (entry?.name ?? name).slice(0, 90);
    const taken = credentials.map((each) => each.name);
    const names = [base, ...taken.map((_, i) => `${base} ${i + 2}`)];
    return names.find((each) => !taken.includes(each)) ?? base;
  }

  /** Return the errors that need no server to find. */
  get errors() {
    const { t } = this;
    const errors = [];
    const places = [...Object.values(this.fields), ...this.picker.names.querySelectorAll(".field")];
    for (const place of places) {
      if (isMissing(place)) errors.push({ field: place.dataset.field, message: t("required") });
    }
    const model = this.picker.unchosen;
    if (model) errors.push({ field: "model_name", message: t("unchosen", { model }) });
    for (const field of ["temperature", "dimension"]) {
      if (typeof this.#number(field) === "string") errors.push({ field, message: t("not_number") });
    }
    return errors;
  }

  /** Check a field that was left. */
  check(control) {
    const place = control.closest(".field");
    if (!place || control.localName === "select") return;
    const { input, combobox } = this.picker;
    if (control === input && combobox.isOpen) return; // a choice is on its way
    if (!isMissing(place)) clearError(place);
    else if (!control.hasAttribute("aria-invalid")) {
      showError(place.parentElement, place.dataset.field, this.t("required"));
    }
  }

  #abilitiesOf(category) {
    const { t } = this;
    const had = this.source?.category === category ? (this.source.abilities ?? []) : [];
    if (category in ABILITIES) {
      return checks("abilities", t("abilities"), ABILITIES[category], had);
    }
    const text = h("input", { value: had.join(", "), autocomplete: "off" });
    return field("abilities", t("abilities"), text, t("abilities_hint"));
  }

  #value(name) {
    const place = this.fields[name];
    return place.hidden ? "" : place.querySelector("input, select, textarea").value.trim();
  }

  /** Return numbers as numbers, and other text unchanged. */
  #number(name) {
    const text = this.#value(name);
    if (text === "") return null;
    const pattern = name === "dimension" ? /^\d+$/ : /^\d*[.,]?\d+$/;
    return pattern.test(text) ? Number(text.replace(",", ".")) : text;
  }

  #abilities() {
    const control = this.abilities.firstElementChild;
    const boxes = [...control.querySelectorAll("input[type=checkbox]")];
    const given = boxes.length
      ? boxes.filter((box) => box.checked).map((box) => box.value)
      : control
          .querySelector("input")
          .value.split(/[\s,]+/)
          .filter(Boolean);
    return given.length ? given : null;
  }

  /** What to test: a model, its provider and URL, and the key. */
  get tested() {
    return { ...this.connection.value, model_name: this.picker.chosen[0].model_name };
  }

  /** What several models have in common. */
  get common() {
    return {
      category: this.category.value,
      temperature: this.#number("temperature"),
      dimension: this.#number("dimension"),
      abilities: this.#abilities(),
      description: this.#value("description") || null,
      ...(this.shared && { share_with_users: this.shared.querySelector("input").checked }),
    };
  }

  get body() {
    return { ...this.connection.value, ...this.picker.chosen[0], ...this.common };
  }

  get changes() {
    return Object.fromEntries(
      Object.entries(this.body).filter(
        ([name, value]) => JSON.stringify(value) !== JSON.stringify(this.before[name]),
      ),
    );
  }

  /** Whether the stored key can be used, because its destination stays. */
  get isStored() {
    const names = Object.keys(this.connection.value);
    return this.model !== null && !names.some((name) => name === "api_key" || name in this.changes);
  }
}

/** Return whether a visible field is required and empty. */
function isMissing(place) {
  const control = place.querySelector("[required]");
  return !place.hidden && control !== null && control.value.trim() === "";
}
