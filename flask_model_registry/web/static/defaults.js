// @ts-check
/** The dialog that chooses defaults. */

import { listed } from "./client.js";
import { button, field, h, options, tell } from "./dom.js";
import { KINDS } from "./texts.js";

/** @import { Page } from "./page.js" */

/** Choose defaults: set those that a model can be, or clear any. */
export class DefaultsDialog {
  /**
   * @param {Page} page
   * @param {any} model The one to use, or null.
   */
  constructor(page, model) {
    this.page = page;
    this.t = page.t;
    this.model = model;
    this.kinds = Object.keys(KINDS).filter((kind) => !model || model.category === KINDS[kind]);
    const { t } = this;
    this.list = h("ul", { class: "grants", role: "list", "aria-label": t("defaults") });
    const scopes = options({ user: t("scope_me"), app: t("scope_everyone") });
    this.scope = h("select", { onchange: () => this.#load() }, scopes);
    this.done = button(t("done"), () => this.dialog.close());
    this.box = h(
      "div",
      {},
      page.mayShare ? field("scope", t("scope"), this.scope) : null,
      this.list,
      model ? null : h("p", { class: "hint" }, t("use_how")),
      h("p", { role: "alert", tabindex: "-1" }),
      h("p", { class: "result", role: "status" }),
      h("footer", {}, this.done),
    );
    const title = model ? t("use_what", { model: model.model_id }) : t("defaults");
    const key = model ? `${model.id}:more` : "defaults";
    this.dialog = page.dialogs.open(title, key, this.box);
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
    const focused = this.page.root.activeElement?.getAttribute("data-kind");
    this.list.replaceChildren(...this.kinds.map((kind) => this.#line(scope, kind, now.get(kind))));
    if (focused) (this.list.querySelector(`[data-kind="${focused}"]`) ?? this.done).focus();
  }

  #line(scope, kind, chosen) {
    const { model, t } = this;
    const isMine = chosen && (scope === "app" || chosen.source === "user");
    const isChosen = isMine && chosen.model.id === model?.id;
    const path = isMine ? "of_user" : "of_app";
    const value = chosen ? t(path, { model: chosen.model.model_id }) : t("none");
    const act = (word, method, use = null) =>
      this.#act(word, `${kind}?scope=${scope}`, kind, method, use, chosen);
    return h(
      "li",
      {},
      h("span", { dir: "auto" }, h("strong", {}, t(`kinds.${kind}`)), " ", value),
      model && !isChosen ? act("use", "PUT", model) : null,
      isMine ? act("clear", "DELETE") : null,
    );
  }

  /** Make a button that sets a default, or clears it. */
  #act(word, path, kind, method, use, chosen) {
    const { page, t } = this;
    const label = t(`kinds.${kind}`);
    const work = async () => {
      await page.client.send(method, `/defaults/${path}`, { body: use && { id: use.id } });
      page.changed(chosen?.model.id ?? use?.id);
      await Promise.all([this.#show(), page.refresh()]);
      tell(this.box, t("now_default", { kind: label, model: use?.model_id ?? t("none") }));
    };
    const onclick = ({ currentTarget }) =>
      page.run(currentTarget, work, { form: this.box, lock: this.box });
    const name = t("for_kind", { action: t(word), kind: label });
    return button(t(word), onclick, { "data-kind": kind, "aria-label": name });
  }
}
