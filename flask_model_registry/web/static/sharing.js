// @ts-check
/** The dialog that shares a model, or gives it away. */

import { problem } from "./client.js";
import { button, check, field, h, newId, options, tell } from "./dom.js";
import { distinct, supplied } from "./people.js";

/** @import { Page } from "./page.js" */

/** Share a model with users and groups, or with everyone, or give it away. */
export class SharingDialog {
  /** @type {Map<string, string>} */
  names = new Map();
  /** @type {Promise<string>} */
  suggested = Promise.resolve("");

  /**
   * @param {Page} page
   * @param {any} model
   */
  constructor(page, model) {
    this.page = page;
    this.t = page.t;
    this.model = model;
    const { t } = this;
    this.people = h("datalist", { id: `${newId()}-people` });
    this.groups = h("datalist", { id: `${newId()}-groups` });
    this.grants = h("ul", { class: "grants", role: "list", "aria-label": t("shared_with") });
    const name = () =>
      h("input", { list: this.people.id, autocomplete: "off", required: true, dir: "auto" });
    this.whom = name();
    this.heir = name();
    const content = [
      ...[page.mayShare ? this.#everyone() : null, this.grants, this.people, this.groups],
      this.#newGrant(),
      h("p", { role: "alert", tabindex: "-1" }),
      h("p", { class: "result", role: "status" }),
      this.#away(),
      h(
        "footer",
        {},
        button(t("done"), () => this.dialog.close()),
      ),
    ];
    this.box = h("div", {}, content);
    const title = t("share_what", { model: model.model_id });
    this.dialog = page.dialogs.open(title, `${model.id}:more`, this.box);
    this.#load();
  }

  /** Do one thing at a time; the server says what came of it. */
  #run(control, work) {
    tell(this.box, "");
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  /** Make a check box of what the server knows; it does not move while something is being done. */
  #box(label, checked, change, attributes = {}) {
    const onclick = (event) => {
      if (this.page.isBusy(this.box)) event.preventDefault();
    };
    const onchange = ({ currentTarget: box }) => this.#run(box, () => change(box));
    return check("", label, checked, { onclick, onchange, ...attributes });
  }

  #everyone() {
    return this.#box(this.t("share_with_everyone"), this.model.is_shared, async (box) => {
      const body = { share_with_users: box.checked };
      try {
        const { content } = await this.page.client.send("PATCH", `/${this.model.id}`, { body });
        this.model = content;
        this.page.changed(this.model.id);
        tell(this.box, this.t(this.model.is_shared ? "now_everyone" : "now_not_everyone"));
      } finally {
        box.checked = this.model.is_shared;
      }
      await this.page.refresh();
    });
  }

  #newGrant() {
    const { t, whom } = this;
    const hasGroups = Boolean(this.page.element.groups);
    const onchange = () => {
      whom.setAttribute("list", (kind.value === "users" ? this.people : this.groups).id);
    };
    const kinds = { users: t("a_user"), ...(hasGroups && { groups: t("a_group") }) };
    const kind = h("select", { onchange }, options(kinds));
    const rights = [check("", t("may_edit")), check("", t("may_delete"))];
    this.who = field("user", t("who"), whom);
    const work = async () => {
      const [edit, remove] = rights.map((each) => each.querySelector("input").checked);
      const isUser = kind.value === "users";
      const name = isUser ? await this.#keyOf(whom.value) : whom.value.trim();
      if (!name) throw problem("who");
      await this.#put(this.#path(kind.value, name), edit, remove);
      tell(this.box, t("now_shared", { who: this.#nameOf(kind.value, name) }));
      whom.value = "";
      for (const each of rights) each.querySelector("input").checked = false;
      whom.focus();
    };
    const row = h("div", { class: "row" }, field("kind", t("with"), kind), this.who);
    return this.#form(work, t("share"), {}, row, h("div", {}, rights));
  }

  #away() {
    const { page, model, t } = this;
    const work = async () => {
      const key = await this.#keyOf(this.heir.value);
      if (!key) throw problem("who");
      const title = t("give_what", { who: this.names.get(key) ?? t("user", { user: key }) });
      const text = t("give_why", { model: model.model_id });
      if (!(await page.dialogs.confirm(title, text, t("give"), `${model.id}:more`))) return;
      await page.client.send("POST", `/${model.id}/transfer`, { body: { user: key } });
      page.changed(model.id);
      page.say(t("given", { model: model.model_id }));
      await page.refresh();
      this.dialog.close();
    };
    const heir = field("heir", t("new_owner"), this.heir);
    const form = this.#form(work, t("give"), { class: "danger" }, heir);
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
    this.suggested = this.#suggest();
    this.who.querySelector(".hint").textContent = await this.suggested;
    await this.page.run(this.grants, () => this.#show(), { form: this.box, lock: {} });
  }

  /** Offer people and groups; return what to type without them. */
  async #suggest() {
    const { people, groups } = this.page.element;
    const offer = (list, values) =>
      list.replaceChildren(...values.map((value) => h("option", { value })));
    try {
      this.names = distinct(await supplied(people));
      offer(this.people, [...this.names.values()]);
      offer(this.groups, await supplied(groups));
      return this.names.size ? "" : this.t("who_key");
    } catch {
      return this.t("who_failed");
    }
  }

  /** The key of a person: what was typed if it is one, or that of the name, once names are known. */
  async #keyOf(text) {
    const typed = text.trim();
    await this.suggested;
    const known = [...this.names];
    if (this.names.has(typed)) return typed;
    if (known.some(([key, name]) => name === `${typed} (${key})`)) throw problem("ambiguous");
    return known.find(([, name]) => name === typed)?.[0] ?? typed;
  }

  #nameOf(kind, key) {
    if (kind === "groups") return this.t("the_group", { group: key });
    return this.names.get(key) ?? this.t("the_user", { user: key });
  }

  #path(kind, name) {
    return `/${this.model.id}/grants/${kind}/${encodeURIComponent(name)}`;
  }

  async #put(path, edit, remove) {
    try {
      const body = { can_edit: edit, can_delete: remove };
      await this.page.client.send("PUT", path, { body });
    } finally {
      await this.#show();
    }
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
    const place = this.grants.querySelector(`[aria-label="${CSS.escape(focused)}"]`);
    (place ?? this.whom).focus();
  }

  #line(kind, key, grant) {
    const { t } = this;
    const path = this.#path(kind, key);
    const who = this.#nameOf(kind, key);
    const put = async () => {
      const [edit, remove] = boxes.map((each) => each.querySelector("input").checked);
      await this.#put(path, edit, remove);
      const rights = [edit && t("can_edit"), remove && t("can_delete")].filter(Boolean);
      tell(this.box, t("now_rights", { who, rights: t.list.format(rights) || t("only_use") }));
    };
    const right = (name) =>
      this.#box(t(name), grant[name], put, {
        "aria-label": t("who_may", { who, right: t(name) }),
      });
    const boxes = [right("can_edit"), right("can_delete")];
    const work = async () => {
      await this.page.client.send("DELETE", path);
      await this.#show();
      tell(this.box, t("now_removed", { who }));
    };
    const remove = button(t("remove"), () => this.#run(remove, work), {
      "aria-label": t("remove_whom", { who }),
    });
    return h("li", {}, h("span", { dir: "auto" }, who), boxes, remove);
  }
}
