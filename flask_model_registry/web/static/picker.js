// @ts-check
/** The models of a provider to choose from, and their names here. */

import { Combobox } from "./combobox.js";
import { clearError, field, h, newId } from "./dom.js";

/** @import { Translate } from "./texts.js" */

/** Return a name in NFC, because some keyboards write letters in parts. */
const normalized = (/** @type {string} */ text) => text.trim().normalize();

/** Chooses one model, or several to register, by clicks or by typing an unlisted name. */
export class ModelPicker {
  /** @type {string[] | null} The provider's models, once known. */
  served = null;
  /** @type {Map<string, string | null>} Names by model; null while a name follows its model. */
  #chosen = new Map();
  #isNamed = false;
  #isSearched = true; // whether the text has led to a choice
  #note = "";

  /**
   * @param {Translate} t
   * @param {any} model The model to change, or null for new ones.
   * @param {any} [original] The model to copy.
   */
  constructor(t, model, original = null) {
    this.t = t;
    this.isNew = model === null;
    this.#isNamed = !this.isNew || original !== null;
    const id = model?.model_id ?? (original ? `${original.model_id}-2` : "");
    const text = (value, more) =>
      h("input", { type: "text", autocomplete: "off", spellcheck: "false", value, ...more });
    this.input = text((model ?? original)?.model_name ?? "", { required: true, dir: "auto" });
    this.input.addEventListener("input", () => {
      this.#isSearched = false;
      this.#update();
    });
    this.name = text(id, { required: true, dir: "auto" });
    this.name.addEventListener("input", () => (this.#isNamed = this.name.value !== ""));
    this.count = h("p", { class: "hint", id: `${newId()}-count`, "aria-live": "polite" });
    this.field = field("model_name", t("model"), this.input, t("model_hint"), this.count);
    this.nameField = field("model_id", t("name"), this.name, t("name_hint"));
    this.names = h("fieldset", { class: "names", hidden: true });
    this.combobox = new Combobox(this.input, {
      label: t("models"),
      isInline: true,
      find: (typed) => this.#find(typed),
      choose: (value) => this.#choose(value),
      isChosen: (value) =>
        this.isNew ? this.#chosen.has(value) : value === this.input.value.trim(),
    });
    this.input.after(this.combobox.list);
  }

  /** Say why there is nothing to choose from. */
  showNote(text, isBad = false) {
    this.#note = text;
    this.count.classList.toggle("bad", isBad);
    this.#update();
  }

  /** Offer a provider's models; null while unknown. */
  offer(models) {
    this.served = models;
    this.#note = models?.length === 0 ? this.t("served_none") : "";
    this.count.classList.remove("bad");
    this.combobox.show(this.input.value);
    const hint = this.isNew && this.combobox.isOpen ? "models_hint" : "model_hint";
    this.field.querySelector(".hint").textContent = this.t(hint);
    this.#update();
  }

  /** Forget another provider's models. */
  reset() {
    this.#chosen.clear();
    this.offer(null);
  }

  #find(typed) {
    if (!this.served) return [];
    const own = [...this.#chosen.keys()].filter((each) => !this.served?.includes(each));
    const word = typed.toLowerCase();
    const all = [...own, ...this.served];
    // A chosen name is not a search.
    const isSearch = this.isNew || !all.includes(typed);
    const found = isSearch ? all.filter((each) => each.toLowerCase().includes(word)) : all;
    const choices = found.map((each) => ({ value: each, label: each }));
    if (!typed || all.includes(typed) || !this.isNew) return choices;
    return [...choices, { value: typed, label: this.t("use_typed", { model: typed }) }];
  }

  #choose(value) {
    if (!this.isNew) this.input.value = value;
    else if (!this.#chosen.delete(value)) {
      this.#chosen.set(value, null);
      if (!this.served?.includes(value)) this.input.value = "";
    }
    this.#update();
    this.input.dispatchEvent(new Event("input", { bubbles: true }));
    this.#isSearched = true;
  }

  /** Typed text that isn't chosen, and so would not be registered. */
  get unchosen() {
    const text = this.input.value.trim();
    return this.#chosen.size && !this.#isSearched && !this.#chosen.has(text) ? text : "";
  }

  /** Choose what is typed, if the provider serves it. */
  chooseTyped() {
    if (this.served?.includes(this.unchosen)) this.#choose(this.unchosen);
  }

  /** The chosen models, or else the typed one, with names. */
  get chosen() {
    const models = this.#chosen.size ? [...this.#chosen.keys()] : [this.input.value.trim()];
    if (models.length > 1) {
      return models.map((each) => ({
        model_name: each,
        model_id: normalized(this.#chosen.get(each) ?? each),
      }));
    }
    return [{ model_name: models[0], model_id: normalized(this.name.value) }];
  }

  get isMany() {
    return this.#chosen.size > 1;
  }

  /** Show the chosen models' names, which default to their own. */
  #update() {
    this.#fillName();
    this.input.required = !this.#chosen.size;
    if (this.#chosen.size) clearError(this.field);
    this.nameField.hidden = this.isMany;
    this.names.hidden = !this.isMany;
    const { t } = this;
    const parts = [
      this.#note || (this.served ? t("served", { count: this.served.length }) : ""),
      this.#chosen.size ? t("chosen", { count: this.#chosen.size }) : "",
    ];
    this.count.textContent = parts.filter(Boolean).join(" · ");
    if (this.isMany) this.#showNames();
  }

  #fillName() {
    if (!this.isNew || this.#isNamed) return;
    const [model = this.input.value.trim()] = this.#chosen.keys();
    this.name.value = model;
    if (model) clearError(this.nameField);
  }

  /** Show a field for each name. Without a change, fields keep their focus and errors. */
  #showNames() {
    const models = JSON.stringify([...this.#chosen.keys()]);
    if (models === this.names.dataset.models) return;
    this.names.dataset.models = models;
    const rows = [...this.#chosen].map(([model, name], i) => {
      const oninput = ({ currentTarget }) => this.#chosen.set(model, currentTarget.value);
      const attributes = { type: "text", autocomplete: "off", spellcheck: "false", dir: "auto" };
      const input = h("input", { ...attributes, required: true, value: name ?? model, oninput });
      return field(`models.${i}`, model, input);
    });
    this.names.replaceChildren(h("legend", {}, this.t("names")), ...rows);
  }
}
