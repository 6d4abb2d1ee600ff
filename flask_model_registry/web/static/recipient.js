// @ts-check
/** Asks for a user or a group, with suggestions from the host. */

import { check } from "./checks.js";
import { problem } from "./client.js";
import { confirmed } from "./dialog.js";
import { field, h, options } from "./dom.js";
import { resolveList } from "./people.js";
import { SearchBox } from "./searchbox.js";

/** @import { Page } from "./page.js" */
/** @typedef {{ kind: string, key: string, name: string, rights: object }} Chosen */

export class Recipient {
  /** @type {{ text: string, key: string } | null} What was chosen from the list. */ #picked = null;
  /** @type {Promise<string[]>} */ #groups = Promise.resolve([]);

  /**
   * @param {Page} page
   * @param {object} [options]
   * @param {string} [options.label] What the field is called.
   * @param {boolean} [options.hasGroups] Whether it may be a group, if the host names any.
   * @param {boolean} [options.hasEveryone] Whether it may be everyone.
   */
  constructor(page, { label = "who", hasGroups = false, hasEveryone = false } = {}) {
    this.page = page;
    this.t = page.t;
    const { t } = this;
    const { groups } = page.element;
    this.input = h("input", { type: "text", autocomplete: "off", required: true, dir: "auto" });
    const box = new SearchBox(this.input, {
      label: t("suggestions"),
      search: (text) => (this.#isUser ? this.#findPeople(text) : this.#findGroups(text)),
      choose: (value) => this.#pick(value),
      isFree: true,
    });
    this.who = field("user", t(label), this.input);
    this.input.after(box.list);
    this.hint = this.who.querySelector(".hint");
    const kinds = {
      users: t("a_user"),
      ...(groups && { groups: t("a_group") }),
      ...(hasEveryone && { everyone: t("scope_everyone") }),
    };
    this.kind = h("select", { onchange: () => this.#update() }, options(kinds));
    this.rights = [check("", t("may_edit")), check("", t("may_delete"))];
    const row = h("div", { class: "row" }, field("kind", t("with"), this.kind), this.who);
    this.element = hasGroups ? h("div", {}, row, h("div", {}, this.rights)) : this.who;
    if (hasGroups && groups) this.#groups = resolveList(groups);
    this.#groups.catch(() => {}); // then choose() asks about any group
    this.#showHint();
  }

  get #isUser() {
    return this.kind.value === "users";
  }

  /** Say what to type if the host names no one. */
  async #showHint() {
    const { people } = this.page;
    await people.load();
    const text = people.hasFailed ? "who_failed" : people.names.size ? "" : "who_key";
    this.hint.textContent = text && this.#isUser ? this.t(text) : "";
  }

  #update() {
    const isEveryone = this.kind.value === "everyone";
    this.who.hidden = isEveryone;
    for (const each of this.rights) each.hidden = isEveryone;
    this.clear();
    this.#showHint();
  }

  async #findPeople(text) {
    const { people } = this.page;
    const [found, first] = await Promise.all([people.find(text), people.load()]);
    const choices = found.map((key) => ({ value: key, label: people.names.get(key) ?? key }));
    const isSearch = String(found) !== String(first);
    return isSearch ? choices : matching(choices, text);
  }

  async #findGroups(text) {
    const groups = await this.#groups;
    return matching(
      groups.map((each) => ({ value: each, label: each })),
      text,
    );
  }

  #pick(key) {
    const text = this.#isUser ? (this.page.people.names.get(key) ?? key) : key;
    this.#picked = { text, key };
    this.input.value = text;
  }

  clear() {
    this.input.value = "";
    this.#picked = null;
    for (const each of this.rights) each.querySelector("input").checked = false;
  }

  /**
   * Return who was chosen or typed; null if the user doesn't confirm a group that the host doesn't list.
   *
   * @param {string} models What is shared, in words.
   * @param {string} focusKey Where the focus goes after a question.
   * @returns {Promise<Chosen | null>}
   */
  async choose(models, focusKey) {
    const kind = this.kind.value;
    const [can_edit, can_delete] = this.rights.map((each) => each.querySelector("input").checked);
    const rights = { can_edit, can_delete };
    if (kind === "everyone") return { kind, key: "", name: this.t("scope_everyone"), rights };
    const key = this.#isUser ? await this.#personKey() : this.input.value.trim();
    if (!key) throw problem("who");
    if (!this.#isUser && !(await this.#confirmGroup(key, models, focusKey))) return null;
    return { kind, key, name: this.nameOf(kind, key), rights };
  }

  nameOf(kind, key) {
    if (kind === "groups") return this.t("the_group", { group: key });
    return this.page.people.names.get(key) ?? this.t("the_user", { user: key });
  }

  /** Return a person's key: the typed text if it is one, or else the key of that name. */
  async #personKey() {
    const typed = this.input.value.trim();
    const { people } = this.page;
    await people.load();
    const { text: label, key } = this.#picked ?? {};
    if (key !== undefined && label === typed) return key;
    if (typed && !people.names.has(typed)) await people.find(typed).catch(() => {});
    if (people.names.has(typed)) return typed;
    const names = [...people.names];
    if (names.some(([key, name]) => name === `${typed} (${key})`)) throw problem("ambiguous");
    return names.find(([, name]) => name === typed)?.[0] ?? typed;
  }

  async #confirmGroup(group, models, focusKey) {
    const groups = await this.#groups.catch(() => /** @type {string[]} */ ([]));
    if (groups.includes(group)) return true;
    const { t, page } = this;
    const text = t("unknown_group_why", { group, models });
    return confirmed(page, t("unknown_group", { group }), text, t("share"), focusKey);
  }
}

function matching(choices, text) {
  const word = text.toLowerCase();
  return choices.filter(({ label }) => label.toLowerCase().includes(word));
}
