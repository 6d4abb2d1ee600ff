// @ts-check
/** The dialog that makes a model a default, or chooses all defaults. */

import { asList } from "./client.js";
import { closeButton, openDialog } from "./dialog.js";
import { button, field, h, options } from "./dom.js";
import { Outcome } from "./outcome.js";
import { SearchBox } from "./searchbox.js";
import { KINDS } from "./texts.js";

/** @import { Page } from "./page.js" */

const MAX_MODELS = 20; // to offer
const MAX_PAGES = 5; // to read for these

const isTyped = ({ value, defaultValue }) => value !== defaultValue;

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
    this.done = closeButton(t("done"), () => this.dialog);
    this.outcome = new Outcome((control, { act }) => this.#run(control, act));
    this.box = h(
      "div",
      {},
      page.mayShare ? field("scope", t("scope"), this.scope) : null,
      this.list,
      h("p", { role: "alert", tabindex: "-1" }),
      this.outcome.element,
      h("footer", {}, this.done),
    );
    const title = model ? t("use_what", { model: model.model_id }) : t("defaults");
    const key = model ? `${model.id}:more` : "defaults";
    const typed = () => [...this.list.querySelectorAll("input")].some(isTyped);
    const loss = () => (typed() ? t("leave_why") : "");
    this.dialog = openDialog(page, title, key, this.box, loss);
    this.#load();
  }

  #run(control, work) {
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  /** Show the chosen scope's defaults, and none until they load. */
  #load() {
    this.list.replaceChildren();
    return this.page.run(this.list, () => this.#show(), { form: this.box, lock: {} });
  }

  async #show() {
    const scope = this.scope.value;
    const defaults = asList(await this.page.client.send("GET", `/defaults?scope=${scope}`));
    if (scope !== this.scope.value) return;
    const now = new Map(defaults.map((each) => [each.config_type, each]));
    const focused = this.page.root.activeElement?.getAttribute("data-kind");
    const line = this.model ? this.#line : this.#picker;
    this.list.replaceChildren(
      ...this.kinds.map((kind) => line.call(this, scope, kind, now.get(kind))),
    );
    if (focused) (this.list.querySelector(`[data-kind="${focused}"]`) ?? this.done).focus();
  }

  #line(scope, kind, chosen) {
    const { model, t } = this;
    const { isMine, text } = this.#state(scope, chosen);
    const isChosen = isMine && chosen.model.id === model.id;
    return h(
      "li",
      {},
      h("span", { dir: "auto" }, h("strong", {}, t(`kinds.${kind}`)), " ", text || t("none")),
      isChosen
        ? null
        : this.#button("use", kind, () => this.#set(scope, kind, model, isMine ? chosen : null)),
      isMine ? this.#clearButton(scope, kind, chosen) : null,
    );
  }

  #state(scope, chosen) {
    const isMine = Boolean(chosen) && (scope === "app" || chosen.source === "user");
    const text = chosen
      ? this.t(isMine ? "of_user" : "of_app", { model: chosen.model.model_id })
      : "";
    return { isMine, text };
  }

  #picker(scope, kind, chosen) {
    const { t } = this;
    const { isMine, text } = this.#state(scope, chosen);
    const before = isMine ? chosen : null;
    const input = h("input", {
      type: "text",
      autocomplete: "off",
      dir: "auto",
      value: text,
      placeholder: t("none"),
      "data-kind": kind,
      onfocus: () => input.select(),
    });
    /** @type {Map<string, any>} */
    let found = new Map();
    const box = new SearchBox(input, {
      label: t("models"),
      search: async (typed) => {
        const models = await this.#find(scope, kind, typed);
        found = new Map(models.map((each) => [String(each.id), each]));
        return models.map((each) => this.#choice(each));
      },
      choose: (id) => this.#run(input, () => this.#set(scope, kind, found.get(id), before)),
      isChosen: (id) => id === String(chosen?.model.id),
      leave: () => {
        // Leaving the dialog asks about typed text.
        if (!this.done.matches(":active")) input.value = text;
      },
    });
    const place = field("model", t(`kinds.${kind}`), input);
    input.after(box.list);
    return h("li", {}, place, isMine ? this.#clearButton(scope, kind, chosen) : null);
  }

  #choice({ id, model_id: name, is_owner: isOwn }) {
    return { value: String(id), label: name, note: isOwn ? "" : this.t("with_me") };
  }

  /** Return models that can be a default; all users can call those of the app. */
  async #find(scope, kind, typed) {
    const found = [];
    /** @type {string | null} */
    let query = `?${new URLSearchParams({ category: KINDS[kind], q: typed })}`;
    for (let i = 0; query !== null && i < MAX_PAGES && found.length < MAX_MODELS; i += 1) {
      const page = await this.page.client.send("GET", `/${query}`);
      found.push(...asList(page).filter((each) => scope === "user" || each.is_shared));
      query = page.next;
    }
    return found.slice(0, MAX_MODELS);
  }

  #clearButton(scope, kind, chosen) {
    return this.#button("clear", kind, () => this.#set(scope, kind, null, chosen));
  }

  #button(word, kind, work) {
    const { t } = this;
    const name = t("for_kind", { action: t(word), kind: t(`kinds.${kind}`) });
    const attributes = { "data-kind": kind, "aria-label": name };
    return button(t(word), ({ currentTarget }) => this.#run(currentTarget, work), attributes);
  }

  /** Set or clear a default, and offer to undo that. */
  async #set(scope, kind, use, before, isUndo = false) {
    const { page, t } = this;
    const path = `/defaults/${kind}?scope=${scope}`;
    const body = use ? { id: use.id } : undefined;
    await page.client.send(use ? "PUT" : "DELETE", path, { body });
    page.changed(before?.model.id ?? use?.id);
    await Promise.all([this.#show(), page.refresh()]);
    const text = t("now_default", {
      kind: t(`kinds.${kind}`),
      model: use?.model_id ?? t("none"),
    });
    const act = async () => {
      if (this.scope.value !== scope) this.scope.value = scope;
      await this.#set(scope, kind, before?.model ?? null, use && { model: use }, true);
      (this.list.querySelector(`[data-kind="${kind}"]`) ?? this.done).focus();
    };
    this.outcome.show(t, text, isUndo ? null : { act });
  }
}
