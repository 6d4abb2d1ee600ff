// @ts-check
/** The dialog that shares a model with users, groups or everyone, or gives it away. */

import { check } from "./checks.js";
import { closeButton, confirmed, openDialog } from "./dialog.js";
import { button, h } from "./dom.js";
import { Outcome } from "./outcome.js";
import { Recipient } from "./recipient.js";

/** @import { Page } from "./page.js" */

export class SharingDialog {
  /**
   * @param {Page} page
   * @param {any} model
   */
  constructor(page, model) {
    this.page = page;
    this.t = page.t;
    this.model = model;
    const { t } = this;
    this.grants = h("ul", { class: "grants", role: "list", "aria-label": t("shared_with") });
    this.recipient = new Recipient(page, { hasGroups: true });
    this.newOwner = new Recipient(page, { label: "new_owner" });
    this.outcome = new Outcome((control, undo) => this.#run(control, undo.act));
    const content = [
      ...[page.mayShare ? this.#everyoneBox() : null, this.grants],
      this.#grantForm(),
      h("p", { role: "alert", tabindex: "-1" }),
      this.outcome.element,
      this.#transferForm(),
      h(
        "footer",
        {},
        closeButton(t("done"), () => this.dialog),
      ),
    ];
    this.box = h("div", {}, content);
    const title = t("share_what", { model: model.model_id });
    const typed = () => [this.recipient, this.newOwner].some(({ input }) => input.value);
    const loss = () => (typed() ? t("leave_why") : "");
    this.dialog = openDialog(page, title, `${model.id}:more`, this.box, loss);
    this.#load();
  }

  #showResult(text, /** @type {(() => Promise<unknown>) | null} */ act = null) {
    this.outcome.show(this.t, text, act && { act });
  }

  /** Do one thing at a time, and clear the last result. */
  #run(control, work) {
    this.outcome.status.textContent = "";
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  /** Make a check box for a state on the server. It can't change while an action runs. */
  #box(label, checked, change, attributes = {}) {
    const onclick = (event) => {
      if (this.page.isBusy(this.box)) event.preventDefault();
    };
    const onchange = ({ currentTarget: box }) => this.#run(box, () => change(box));
    return check("", label, checked, { onclick, onchange, ...attributes });
  }

  #everyoneBox() {
    return this.#box(this.t("share_with_everyone"), this.model.is_shared, async (box) => {
      const body = { share_with_users: box.checked };
      try {
        const { content } = await this.page.client.send("PATCH", `/${this.model.id}`, { body });
        this.model = content;
        this.page.changed(this.model.id);
        this.#showResult(this.t(this.model.is_shared ? "now_everyone" : "now_not_everyone"));
      } finally {
        box.checked = this.model.is_shared;
      }
      await this.page.refresh();
    });
  }

  #grantForm() {
    const { t, recipient } = this;
    const work = async () => {
      const chosen = await recipient.choose(this.model.model_id, `${this.model.id}:more`);
      if (chosen) {
        await this.#put(this.#path(chosen.kind, chosen.key), chosen.rights);
        this.#showResult(t("now_shared", { who: chosen.name }));
        recipient.clear();
      }
      recipient.input.focus();
    };
    return this.#form(work, t("share"), {}, recipient.element);
  }

  #transferForm() {
    const { page, model, t, newOwner } = this;
    const work = async () => {
      const focusKey = `${model.id}:more`;
      const chosen = await newOwner.choose(model.model_id, focusKey);
      if (!chosen) return;
      const { key } = chosen;
      const title = t("give_what", { who: page.people.names.get(key) ?? t("user", { user: key }) });
      const text = t("give_why", { model: model.model_id });
      if (!(await confirmed(page, title, text, t("give"), focusKey))) return;
      await page.client.send("POST", `/${model.id}/transfer`, { body: { user: key } });
      page.changed(model.id);
      page.notify(t("given", { model: model.model_id }));
      await page.refresh();
      this.dialog.close();
    };
    const form = this.#form(work, t("give"), { class: "danger" }, newOwner.element);
    return h("details", { class: "giving" }, h("summary", {}, t("give_it")), form);
  }

  #form(work, label, attributes, ...content) {
    const submit = h("button", { type: "submit", part: "button", ...attributes }, label);
    const onsubmit = (event) => {
      event.preventDefault();
      this.#run(submit, work);
    };
    const trying = h("div", { class: "trying" }, submit);
    return h("form", { method: "dialog", novalidate: true, onsubmit }, content, trying);
  }

  async #load() {
    await this.page.people.load();
    await this.page.run(this.grants, () => this.#show(), { form: this.box, lock: {} });
  }

  #path(kind, name) {
    return `/${this.model.id}/grants/${kind}/${encodeURIComponent(name)}`;
  }

  async #put(path, rights) {
    try {
      await this.page.client.send("PUT", path, { body: rights });
    } finally {
      await this.#show();
    }
    this.#redraw();
  }

  /** Update the counts of grants behind the dialog. */
  #redraw() {
    this.page.changed(this.model.id);
    this.page.refresh();
  }

  async #show() {
    const { content } = await this.page.client.send("GET", `/${this.model.id}/grants`);
    const { root } = this.page;
    const focused =
      this.grants.contains(root.activeElement) && root.activeElement?.getAttribute("aria-label");
    this.grants.replaceChildren(
      ...content.users.map((each) => this.#line("users", each.user, each)),
      ...content.groups.map((each) => this.#line("groups", each.group, each)),
    );
    if (!focused) return;
    const control = this.grants.querySelector(`[aria-label="${CSS.escape(focused)}"]`);
    (control ?? this.recipient.input).focus();
  }

  #line(kind, key, { can_edit, can_delete }) {
    const { t } = this;
    const path = this.#path(kind, key);
    const who = this.recipient.nameOf(kind, key);
    const given = { can_edit, can_delete };
    const put = async () => {
      const [edit, remove] = boxes.map((each) => each.querySelector("input").checked);
      await this.#put(path, { can_edit: edit, can_delete: remove });
      const rights = [edit && t("can_edit"), remove && t("can_delete")].filter(Boolean);
      this.#showResult(t("now_rights", { who, rights: t.list.format(rights) || t("only_use") }));
    };
    const right = (name) =>
      this.#box(t(name), given[name], put, {
        "aria-label": t("who_may", { who, right: t(name) }),
      });
    const boxes = [right("can_edit"), right("can_delete")];
    const undo = async () => {
      await this.#put(path, given);
      this.#showResult(t("now_shared", { who }));
      this.recipient.input.focus();
    };
    const work = async () => {
      await this.page.client.send("DELETE", path);
      await this.#show();
      this.#showResult(t("now_removed", { who }), undo);
      this.#redraw();
    };
    const remove = button(t("remove"), () => this.#run(remove, work), {
      "aria-label": t("remove_whom", { who }),
    });
    return h("li", {}, h("span", { dir: "auto" }, who), boxes, remove);
  }
}
