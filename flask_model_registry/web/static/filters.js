// @ts-check
/** Which models are shown, and in which order. */

import { field, h, options } from "./dom.js";
import { CATEGORIES } from "./texts.js";

/** @import { Translate } from "./texts.js" */

const DELAY = 250; // milliseconds after a key
const MANY = 20; // with more models, there are more filters
// The defaults, which are left out of events.
const DEFAULTS = { is_active: "all", sort: "id" };

export class Filters {
  #timer = 0;
  #hasMany = false;
  /** @type {Record<string, HTMLSelectElement>} */ #selects = {};
  /** @type {any[]} Providers, as far as they are known. */ catalogue = [];

  /**
   * @param {Translate} t
   * @param {() => void} onChange
   */
  constructor(t, onChange) {
    this.t = t;
    this.onChange = onChange;
    const oninput = () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(onChange, DELAY);
    };
    const attributes = { name: "q", maxlength: 100, autocomplete: "off", dir: "auto", oninput };
    const categories = CATEGORIES.map((each) => [each, t(`categories.${each}`)]);
    const all = { "": t("all") };
    const more = [
      this.#select("model_provider", t("provider"), all),
      this.#select("ability", t("ability"), all),
      this.#select("sort", t("order"), {
        id: t("oldest"),
        "-id": t("newest"),
        model_id: t("by_name"),
        model_provider: t("by_provider"),
        "-updated_at": t("last_changed"),
        "-tested_at": t("last_tested"),
      }),
    ];
    const fields = [
      field("q", t("search"), h("input", { type: "search", ...attributes })),
      this.#select("category", t("category"), { ...all, ...Object.fromEntries(categories) }),
      this.#select("owned", t("whose"), { ...all, true: t("mine"), false: t("with_me") }),
      this.#select("is_active", t("state"), { all: t("all"), true: t("on"), false: t("off") }),
    ];
    for (const each of more) each.hidden = true;
    this.more = more;
    const onsubmit = (event) => event.preventDefault();
    this.element = h(
      "form",
      { role: "search", "aria-label": t("models"), method: "dialog", onsubmit },
      fields,
      more,
    );
  }

  #select(name, label, choices) {
    const select = h("select", { name, onchange: this.onChange }, options(choices));
    this.#selects[name] = select;
    return field(name, label, select);
  }

  /**
   * The chosen filters, without the defaults.
   *
   * @returns {Record<string, string>}
   */
  get values() {
    const entries = [...new FormData(this.element)].map(([name, value]) => [name, String(value)]);
    return Object.fromEntries(entries.filter(([name, value]) => value !== (DEFAULTS[name] ?? "")));
  }

  set values(/** @type {Record<string, unknown>} */ values) {
    clearTimeout(this.#timer);
    this.element.reset();
    for (const [name, value] of Object.entries(values)) {
      const control = this.element.elements.namedItem(name);
      if (!control) continue;
      const isDynamic = name === "model_provider" || name === "ability";
      if (isDynamic) this.#offer(name, [String(value)]);
      control.value = String(value);
      if (control.value !== String(value)) control.value = DEFAULTS[name] ?? "";
    }
  }

  /** Offer the counted providers and abilities; return the number of models, or null. */
  count(summary) {
    const { total, by_provider: providers, by_ability: abilities } = summary ?? {};
    if (!Number.isInteger(total) || !providers || !abilities) return null;
    this.#hasMany ||= total > MANY; // filters must not vanish while they are used
    this.#showMore();
    if (!this.#selects.model_provider.value) {
      const names = Object.fromEntries(this.catalogue.map(({ id, name }) => [id, name]));
      this.#offer("model_provider", Object.keys(providers), names);
    }
    if (!this.#selects.ability.value) this.#offer("ability", Object.keys(abilities));
    return total;
  }

  #showMore() {
    for (const each of this.more) {
      const control = each.querySelector("select");
      each.hidden = !this.#hasMany && control.value === (DEFAULTS[control.name] ?? "");
    }
  }

  #offer(name, values, names = {}) {
    const all = h("option", { value: "" }, this.t("all")); // before numbers
    const others = values.map((value) => h("option", { value }, names[value] ?? value));
    this.#selects[name].replaceChildren(all, ...others);
  }

  /** The filters for the server, which finds models by the id of their provider, not by its name. */
  get #params() {
    const { values } = this;
    const text = values.q?.trim().toLowerCase();
    const named = text && this.catalogue.find(({ name }) => name.toLowerCase() === text);
    return { is_active: "all", ...values, ...(named && { q: named.id }) };
  }

  /** The query for the list. */
  get query() {
    return `?${new URLSearchParams(this.#params)}`;
  }

  /** The query for totals, without the order. */
  get countQuery() {
    const { sort: _sort, ...asked } = this.#params;
    return `?${new URLSearchParams(asked)}`;
  }
}
