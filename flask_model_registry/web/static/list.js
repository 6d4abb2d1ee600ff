// @ts-check
/** The list of models, and actions on one of them. */

import { Destination } from "./destination.js";
import { loadModule } from "./dialogs.js";
import { button, h } from "./dom.js";
import { resultMessage } from "./messages.js";
import { stateOf } from "./state.js";
import { KINDS } from "./texts.js";

/** @import { Page } from "./page.js" */
/** @typedef {{ text: string, className?: string, isBusy?: boolean, fix?: any, isTest?: boolean }} Result */

export class ModelList {
  /** @type {Map<number, Result>} The results of actions, by the model's id. */
  results = new Map();
  /** @type {any[]} */ shown = [];
  /** @type {Map<number, any>} The server's details of each model, by its id. */
  details = new Map();
  /** @type {Map<string, number>} Where each model was seen last. */
  #positions = new Map();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.element = h("ul", { class: "models", role: "list", "aria-labelledby": "title" });
  }

  /** Redraw models from their details. An open menu stays open. */
  show(details) {
    const models = details.map(({ model }) => model);
    this.details = new Map(details.map((each) => [each.model.id, each]));
    const opened = this.element.querySelector("details[open]")?.closest("li")?.dataset.id;
    this.shown = models;
    this.page.selection.keep(models);
    models.forEach(({ id }, place) => this.#positions.set(String(id), place));
    this.element.replaceChildren(...models.map((model) => this.#row(model)));
    // The request may have been sent before the user opened this menu.
    const menu = opened && this.element.querySelector(`[data-id="${CSS.escape(opened)}"] details`);
    if (menu instanceof HTMLDetailsElement) menu.open = true;
    if (models.some((model) => !model.is_owner)) this.#nameOwners();
  }

  /** Show owners' names, once the host has supplied them. */
  async #nameOwners() {
    const { people } = this.page;
    const { names, isLoaded } = people;
    await people.load();
    if (isLoaded && people.names === names) return;
    for (const model of this.shown) {
      if (!model.is_owner) this.#redraw(model.id, ".state", this.#state(model));
    }
  }

  has(id) {
    return this.#find(id) !== null;
  }

  /** Return the menu of the model at another's last place. */
  neighborOf(id) {
    const rows = this.element.querySelectorAll("summary");
    const place = this.#positions.get(id);
    return place === undefined ? null : (rows[Math.min(place, rows.length - 1)] ?? null);
  }

  showResult(model, text, className, /** @type {any} */ more = {}) {
    const { page } = this;
    this.#setResult(model, { text, className, ...more });
    this.#find(model.id)?.scrollIntoView({ block: "nearest" });
    page.notify(page.t("result_of", { model: model.model_id, result: text }), true);
  }

  #find(id) {
    return this.element.querySelector(`[data-id="${CSS.escape(id)}"]`);
  }

  #setResult(model, /** @type {Result | null} */ result) {
    if (result) this.results.set(model.id, result);
    else this.results.delete(model.id);
    this.#redraw(model.id, ".result", this.#result(model.id));
    this.#redraw(model.id, ".state", this.#state(model));
  }

  #redraw(id, place, element) {
    this.#find(id)?.querySelector(place)?.replaceWith(element);
  }

  #row(model) {
    const { t } = this.page;
    const provider = this.page.providerOf(model);
    const category = `categories.${model.category}`;
    const traits = [
      provider?.name ?? model.model_provider,
      model.model_name,
      t.has(category) ? t(category) : model.category,
    ];
    const what = [
      h(
        "div",
        { class: "named" },
        this.page.selection.box(model),
        h("h3", { part: "name", dir: "auto" }, model.model_id),
      ),
      h("p", { class: "more", dir: "auto" }, traits.join(" · ")),
      this.#destinationNotice(model),
      model.description ? h("p", { class: "description", dir: "auto" }, model.description) : null,
      this.#badges(model),
      this.#state(model),
      this.#result(model.id),
    ];
    return h(
      "li",
      { "data-id": model.id, class: model.is_active ? "" : "inactive", part: "model" },
      h("div", { class: "what" }, what),
      h("div", { class: "actions" }, this.#actions(model, provider)),
    );
  }

  #actions(model, provider) {
    const { t } = this.page;
    const action = (name, act, more = {}) => {
      const attributes = {
        "aria-label": t("of_model", { action: t(name), model: model.model_id }),
        ...more,
      };
      return this.page.actionButton(t(name), `${model.id}:${name}`, act, attributes, model);
    };
    const isOff = model.can_edit && !model.is_active;
    // Perhaps a gift from another user, which these accept or decline.
    const isUnused = isOff && model.can_delete && model.is_owner;
    return [
      isOff ? action("switch_on", () => this.#run("switchOn", model)) : null,
      isUnused ? action("delete_", () => this.#run("remove", model), { class: "danger" }) : null,
      provider?.can_be_tested === false ? null : action("test", () => this.test(model)),
      model.can_edit ? action("edit", () => this.page.dialogs.openForm(model)) : null,
      this.#menu(model),
    ];
  }

  /** Show where a model is called, unless at the provider's own URL. */
  #destinationNotice(model) {
    const destination = new Destination(this.page, model);
    const text = this.page.t.parts("sends_to", { url: destination.elements });
    return destination.isOwn ? null : h("p", { class: "notice" }, text);
  }

  #badges(model) {
    const { t, defaults } = this.page;
    const kinds = defaults.filter((each) => each.model.id === model.id);
    const badges = [
      model.is_owner ? null : t("with_me"),
      model.is_shared ? t("with_everyone") : null,
      model.is_active ? null : t("off"),
      ...kinds.map((each) => t("default_for", { kind: this.kindName(each.config_type) })),
      ...(model.abilities ?? []),
    ].filter(Boolean);
    if (!badges.length) return null;
    return h(
      "ul",
      { class: "badges", role: "list", "aria-label": t("traits") },
      badges.map((each) => h("li", { part: "badge" }, each)),
    );
  }

  /** Show a model's last test, problems with its key, its owner, and how many others may use it. */
  #state(model) {
    const { t, people } = this.page;
    const provider = this.page.providerOf(model);
    const parts = stateOf(t, this.details.get(model.id) ?? {}, {
      isTested: !this.results.get(model.id)?.isTest && provider?.can_be_tested !== false,
      needsKey: provider?.needs_key !== false,
      names: people.isLoaded ? people.names : null,
    });
    const items = parts.map(([text, className]) => h("li", { class: className }, text));
    return h("ul", { class: "state", role: "list" }, items);
  }

  kindName(name) {
    return Object.hasOwn(KINDS, name) ? this.page.t(`kinds.${name}`) : name;
  }

  #menu(model) {
    const { page } = this;
    const { t } = page;
    const close = () => {
      menu.open = false;
      menu.firstElementChild.focus();
    };
    const item = (name, act, attributes) => {
      const choose = () => {
        close();
        page.run(menu.firstElementChild, act, { row: model });
      };
      return button(t(name), choose, { "data-key": `${model.id}:${name}`, ...attributes });
    };
    const isOn = model.can_edit && model.is_active;
    const items = [
      item("view_", () => page.dialogs.openView(model)),
      item("duplicate", () => page.dialogs.openForm(null, model)),
      item("use_as_default", () => page.dialogs.openDefaults(model)),
      model.is_owner ? item("share_", () => page.dialogs.openSharing(model)) : null,
      isOn ? item("switch_off", () => this.#run("switchOff", model)) : null,
      this.#canDecline(model) ? item("remove_", () => this.#run("decline", model)) : null,
      model.can_delete && !(model.is_owner && !model.is_active)
        ? item("delete_", () => this.#run("remove", model), { class: "danger" })
        : null,
    ];
    const ontoggle = () => {
      if (menu.open) menu.lastElementChild.scrollIntoView({ block: "nearest" });
    };
    const onkeydown = (event) => {
      if (event.key === "Escape" && menu.open) close();
    };
    const onfocusout = ({ relatedTarget }) => {
      if (relatedTarget && !menu.contains(relatedTarget)) menu.open = false;
    };
    const name = t("more_for", { model: model.model_id });
    const menu = h(
      "details",
      { ontoggle, onkeydown, onfocusout },
      h("summary", { "data-key": `${model.id}:more`, "aria-label": name }, t("more")),
      h("div", { class: "menu", part: "menu" }, items),
    );
    return menu;
  }

  /** Run an action that may ask first, from a module of its own. */
  async #run(name, model) {
    const actions = await loadModule(this.page, import("./actions.js"));
    if (!this.page.dialogs.isOpen) await actions[name](this.page, model);
  }

  /** Show an action's result, with a button to fix it. */
  #result(id) {
    const { text, className, fix } = this.results.get(id) ?? { text: "" };
    const button = fix && this.page.actionButton(fix.label, `${id}:fix`, fix.act, {}, fix.row);
    return h("p", { class: `result ${className ?? ""}` }, text, button ? [" ", button] : null);
  }

  /** Test a model, and show the result in its row; for a new one, only as its last test. */
  async test(model, isNew = false) {
    const { page } = this;
    const { id } = model;
    if (this.results.get(id)?.isBusy) return;
    this.#setResult(model, { text: page.t("testing"), isBusy: true, isTest: true });
    try {
      const { content } = await page.client.send("POST", `/${id}/test`);
      const [text, className] = resultMessage(page.t, content);
      const details = this.details.get(id);
      if (details) details.test = { ...content, at: new Date().toISOString() };
      if (isNew) this.#setResult(model, null);
      else this.showResult(model, text, className, { isTest: true });
    } catch (error) {
      this.#setResult(model, null);
      throw error;
    }
  }

  #canDecline(model) {
    return Boolean(this.page.userId) && !model.is_owner && !model.is_shared;
  }
}
