// @ts-check
/** Several models at once. */

import { button, h } from "./dom.js";

/** @import { Page } from "./page.js" */

export class Selection {
  /** @type {Map<number, any>} Models by id. */
  #models = new Map();

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.element = h("div", { class: "selection", role: "group", hidden: true });
  }

  /** Make the box of a row. */
  box(model) {
    const { t } = this.page;
    const onchange = ({ currentTarget }) => {
      if (currentTarget.checked) this.#models.set(model.id, model);
      else this.#models.delete(model.id);
      this.#show();
    };
    const name = t("select", { model: model.model_id });
    const checked = this.#models.has(model.id);
    return h("input", { type: "checkbox", "aria-label": name, checked, onchange });
  }

  /** Keep only the models that are shown now. */
  keep(models) {
    const kept = models.filter(({ id }) => this.#models.has(id));
    this.#models = new Map(kept.map((model) => [model.id, model]));
    this.#show();
  }

  #show() {
    const { page } = this;
    const { t } = page;
    const { activeElement: active } = page.root;
    const isHere = this.element.contains(active);
    const models = [...this.#models.values()];
    const text = t("selected", { count: models.length });
    this.element.hidden = !models.length;
    this.element.setAttribute("aria-label", text);
    const actions = [
      this.#action(
        "test",
        models.filter((model) => this.#canBeTested(model)),
      ),
      this.#action(
        "switch_off",
        models.filter((model) => model.can_edit && model.is_active),
      ),
      this.#action(
        "delete_",
        models.filter((model) => model.can_delete),
      ),
      button(t("clear"), () => this.#clear()),
    ];
    this.element.replaceChildren(...(models.length ? [h("span", {}, text), ...actions] : []));
    if (!isHere) return;
    const name = active?.getAttribute("data-act");
    const place = this.element.querySelector(`[data-act="${name}"]:enabled`);
    (place ?? page.title).focus();
  }

  #canBeTested({ model_provider: name }) {
    return this.page.providers?.find(({ id }) => id === name)?.can_be_tested !== false;
  }

  /** Test all models that are shown and can be tested, one after the other. */
  async testAll() {
    const models = this.page.models.shown;
    await this.#run(
      "test",
      models.filter((model) => model.is_active && this.#canBeTested(model)),
    );
  }

  #clear() {
    this.#models.clear();
    this.page.refresh(); // which unchecks the boxes
  }

  #action(name, models) {
    const { page } = this;
    const label = page.t("of_count", { action: page.t(name), count: models.length });
    const onclick = ({ currentTarget }) =>
      page.run(currentTarget, () => this.#run(name, models), { lock: this });
    return button(label, onclick, { "data-act": name, disabled: !models.length });
  }

  async #do(name, model) {
    const { client, models } = this.page;
    if (name === "test") return models.test(model);
    const path = `/${model.id}`;
    if (name === "delete_") await client.send("DELETE", path);
    else await client.send("PATCH", path, { body: { is_active: false } });
    return this.page.changed(model.id);
  }

  /** Do it to one model after the other; what fails is said in its row, and stays selected. */
  async #run(name, models) {
    const { page } = this;
    const { t } = page;
    const count = models.length;
    if (name === "delete_" && !(await this.#isSure(models))) return;
    const action = t(name === "delete_" ? "delete" : name);
    const failed = [];
    for (const [i, model] of models.entries()) {
      page.say(t("doing", { action, place: i + 1, count }));
      try {
        await this.#do(name, model);
        this.#models.delete(model.id);
      } catch (error) {
        if (error.name === "AbortError" || error.status === 401) throw error;
        failed.push([model, error]);
      }
    }
    await page.refresh();
    for (const [row, error] of failed) page.messages.report(error, { row });
    page.say(t("did", { action, place: count - failed.length, count }));
  }

  #isSure(models) {
    const { t, dialogs } = this.page;
    const names = t.list.format(models.map((each) => each.model_id));
    const title = t("delete_many", { count: models.length });
    return dialogs.confirm(title, t("delete_why", { model: names }), t("delete"), "selection");
  }
}
