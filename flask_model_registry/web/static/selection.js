// @ts-check
/** The selected models. */

import { loadModule } from "./dialogs.js";
import { h } from "./dom.js";

/** @import { Page } from "./page.js" */

export class Selection {
  /** @type {Map<number, any>} Models by id. */
  models = new Map();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.element = h("div", { class: "selection", role: "group", hidden: true });
    this.all = h("input", { type: "checkbox", onchange: () => this.select(this.all.checked) });
    this.header = h("label", { class: "named all", hidden: true }, this.all, h("span"));
  }

  /** Make the box of a row. */
  box(model) {
    const { t } = this.page;
    const onchange = ({ currentTarget }) => {
      if (currentTarget.checked) this.models.set(model.id, model);
      else this.models.delete(model.id);
      this.#show();
    };
    const name = t("select", { model: model.model_id });
    const checked = this.models.has(model.id);
    return h("input", { type: "checkbox", "aria-label": name, checked, onchange });
  }

  /** Select all models that are shown, or none. */
  select(areAll) {
    const { shown, element } = this.page.models;
    this.models = new Map(areAll ? shown.map((model) => [model.id, model]) : []);
    for (const box of element.querySelectorAll(".named > input")) box.checked = areAll;
    this.#show();
  }

  /** Keep only the models that are shown now. */
  keep(models) {
    const kept = models.filter(({ id }) => this.models.has(id));
    this.models = new Map(kept.map((model) => [model.id, model]));
    this.#show();
  }

  #show() {
    const { page, all, header, element } = this;
    const { size } = this.models;
    const count = page.models.shown.length;
    header.hidden = count < 2;
    header.lastChild.textContent = page.t("of_count", { action: page.t("select_all"), count });
    all.checked = size === count;
    all.indeterminate = size > 0 && size < count;
    if (size) {
      loadModule(page, import("./bar.js")).then(
        ({ draw }) => draw(page),
        (error) => page.messages.report(error, {}),
      );
      return;
    }
    const isHere = element.contains(page.root.activeElement);
    element.hidden = true;
    element.replaceChildren();
    if (isHere) page.title.focus();
  }

  /** Run an action on models one by one: on these, or on all that are shown. */
  async run(name, models = this.page.models.shown) {
    const { doAll } = await loadModule(this.page, import("./several.js"));
    if (!this.page.dialogs.isOpen) await doAll(this.page, name, models);
  }
}
