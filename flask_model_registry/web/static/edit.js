// @ts-check
/** The dialog that registers a model, or edits one. */

import { ifMatch, problem } from "./client.js";
import { closer, openDialog } from "./dialog.js";
import { loaded } from "./dialogs.js";
import { button, h, showErrors } from "./dom.js";
import { ModelForm } from "./form.js";
import { released } from "./press.js";
import { objection, register } from "./registration.js";
import { resultOf } from "./messages.js";

/** @import { Page } from "./page.js" */

const PAUSE = 600; // milliseconds after a key, until the provider is asked for its models
const NAMED = 20; // how many users and groups are named

/** Register models, or edit one. */
export class FormDialog {
  /** Whether to register despite a failed test. */
  #isSure = false;
  /** @type {any[]} The models that were registered. */ #made = [];
  /** @type {string | null} The last question to the provider. */ #asked = null;
  #asking = 0;
  /** Resolved after the click on a pressed button, which must not move until then. */
  #press = Promise.resolve();

  /**
   * @param {Page} page
   * @param {any} model The model to change, or null for a new one.
   * @param {string | null | undefined} tag
   * @param {{ credentials?: any[], like?: any, account?: number | null }} [options] For a new one: the
   *     user's credentials, the model to copy, and its credential.
   */
  constructor(page, model, tag, options = {}) {
    this.page = page;
    this.t = page.t;
    this.model = model;
    this.tag = tag;
    this.key = model ? `${model.id}:edit` : "register";
    this.fields = new ModelForm(page, model, options);
    this.#build();
    const title = model ? this.t("edit_what", { model: model.model_id }) : this.t("register_model");
    const loss = () => this.t(this.body.disabled ? "leave_saving" : "leave_why");
    this.dialog = openDialog(page, title, this.key, this.form, loss);
    if (!model) {
      this.#askLater(0);
      return;
    }
    this.#tellCredential().catch(() => {}); // it is only a hint
    this.#tellAccess();
  }

  #build() {
    const { page, t } = this;
    this.result = h("p", { class: "result", role: "status" });
    const doing = (work) => (event) => page.run(event.currentTarget, work, { form: this.form });
    const test = doing(() => this.#test());
    const ask = doing(() => this.#ask());
    const trying = [button(t("test_connection"), test), button(t("ask"), ask), this.result];
    // Nothing moves while a button is clicked, or the click would miss it.
    const onfocusout = ({ target, relatedTarget: next }) => {
      if (next && !["button", "summary"].includes(next.localName)) this.fields.check(target);
    };
    const [first, rest] = this.fields.elements;
    this.body = h(
      "fieldset",
      { class: "model", onfocusout },
      first,
      h("div", { class: "trying" }, trying),
      rest,
    );
    this.save = h("button", { type: "submit", class: "primary", part: "button primary" });
    this.#label();
    const cancel = closer(t("cancel"), () => this.dialog);
    const onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    const events = {
      onsubmit,
      oninput: ({ target }) => this.#follow(target === this.fields.connection.key ? PAUSE : null),
      onchange: () => this.#follow(0),
      onpointerdown: ({ target }) => {
        if (target.closest("button")) this.#press = released();
      },
    };
    this.form = h(
      "form",
      { method: "dialog", novalidate: true, ...events },
      this.body,
      h("p", { role: "alert", tabindex: "-1" }),
      h("footer", {}, cancel, this.save),
    );
  }

  #label(isSaving = false) {
    const own = this.#isSure ? "register_anyway" : "register";
    this.save.textContent = this.t(isSaving ? "saving" : this.model ? "save" : own);
  }

  #tell(text, className = "") {
    this.result.className = `result ${className}`;
    this.result.textContent = text;
  }

  /** React to input. Ask the provider after a pause, unless a text is half typed. */
  #follow(pause) {
    this.#tell("");
    if (this.#isSure) {
      this.#isSure = false;
      this.#label();
    }
    this.fields.followChoice();
    clearTimeout(this.#asking);
    if (pause !== null && !this.model) this.#askLater(pause);
  }

  #askLater(pause) {
    this.#asking = setTimeout(() => this.#askItself(), pause);
  }

  /** Whether the form is open, and not being saved. */
  get #isTyped() {
    return this.form.isConnected && !this.body.disabled;
  }

  /** Ask for models once the server and the API key are known. */
  async #askItself() {
    await this.#press;
    const { question } = this.fields.connection;
    const asked = question && JSON.stringify(question);
    if (asked === this.#asked || !this.#isTyped) return;
    if (this.#asked) this.fields.picker.offer(null); // what is chosen stays
    this.#asked = asked;
    if (!question) return;
    const { picker } = this.fields;
    picker.tell(this.t("asking"));
    const { path, body } = question;
    try {
      const { content } = await this.#send("POST", path, { body });
      if (asked === this.#asked) picker.offer(servedIn(content));
    } catch (error) {
      if (asked === this.#asked && this.form.isConnected) this.#doubt(error);
    }
  }

  /** Send a request that no user asked for. A button that is pressed meanwhile must not move. */
  async #send(method, path, options) {
    const sent = this.page.client.send(method, path, options);
    await sent.catch(() => null);
    await this.#press;
    return sent;
  }

  /** Show, but not as an alert, why there is no list that no user asked for. */
  #doubt(error) {
    const { messages } = this.page;
    const isSaid = error.name === "AbortError" || error.status === 401;
    this.fields.picker.tell(isSaid ? "" : messages.words(error), true);
    if (error.status === 401) messages.report(error, { form: this.form });
  }

  #submit() {
    this.fields.picker.settle();
    const { errors } = this.fields;
    if (errors.length) showErrors(this.form, errors, this.t("problems.fields"), "");
    else this.page.run(this.save, () => this.#save(), { form: this.form });
  }

  async #save() {
    const { changes } = this.fields;
    this.#lock(true);
    let text;
    try {
      text = await (this.model ? this.#change(changes) : this.#register());
    } finally {
      this.#lock(false);
    }
    if (text === null) return;
    const { page } = this;
    page.say(text);
    this.dialog.close();
    const { reveal } = await import("./reveal.js").catch(() => ({ reveal: null }));
    const { canBeTested } = this.fields.connection;
    if (!this.#made.length || !reveal) await page.refresh();
    else await reveal(page, this.#made, { text, canBeTested });
  }

  /** Block input that would not be saved. */
  #lock(isSaving) {
    if (isSaving) this.save.focus(); // disabled fields lose theirs
    this.body.disabled = isSaving;
    this.#label(isSaving);
  }

  /** Test and register; return null after an objection, which the user may overrule. */
  async #register() {
    const { page, t } = this;
    const doubt = this.#isSure ? null : await objection(page, this.fields);
    if (doubt) {
      this.#isSure = true;
      showErrors(this.form, [], "", doubt);
      return null;
    }
    const models = (this.#made = await register(page, this.fields));
    for (const { id } of models) page.changed(id);
    const [{ model_id: model }] = models;
    return models.length === 1
      ? t("registered", { model })
      : t("registered_many", { count: models.length });
  }

  /** Return what was done; null if the user goes back to the form. */
  async #change(/** @type {Record<string, any>} */ changes) {
    const { page, model, t } = this;
    let { tag } = this;
    while (Object.keys(changes).length) {
      try {
        const options = { body: changes, headers: ifMatch(tag) };
        await page.client.send("PATCH", `/${model.id}`, options);
        page.changed(model.id);
        return t("saved", { model: changes.model_id ?? model.model_id });
      } catch (error) {
        if (error.status !== 412) throw error;
      }
      const { reconcile } = await loaded(page, import("./conflict.js"));
      const now = await page.client.send("GET", `/${model.id}`);
      const chosen = await reconcile(page, this.key, model, now.content, changes);
      if (chosen === null) return null;
      [changes, tag] = [chosen, now.tag];
    }
    return t("unchanged");
  }

  async #tellCredential() {
    const state = await this.#send("GET", `/${this.model.id}/credential`).catch(() => null);
    const { is_set: isSet, status, credential } = state?.content ?? { status: "readable" };
    const { connection } = this.fields;
    if (status !== "readable") {
      connection.hint("api_key", this.t(isSet ? "key_unreadable" : "key_missing"));
    } else if (credential) {
      const account = await this.#send("GET", `/credentials/${credential}`);
      connection.hint("api_key", this.t("key_shared", { name: account.content.name }));
    }
  }

  /** Say who else can use an API key that is entered here. */
  async #tellAccess() {
    const { t } = this;
    const { is_owner: isOwner, is_shared: isShared } = this.model;
    const others = isOwner ? await this.#grantees() : t("access_owner");
    const text = [isShared ? t("access_everyone") : "", others].filter(Boolean).join(" ");
    await this.#press;
    this.fields.connection.access.textContent = text || t("access_you");
    this.fields.connection.access.classList.toggle("notice", text !== "");
  }

  async #grantees() {
    const { page, model, t } = this;
    try {
      const { content } = await page.client.send("GET", `/${model.id}/grants`);
      const { users, groups } = content;
      if (users.length) await page.people.load();
      const names = [
        ...users.map(({ user }) => page.people.names.get(user) ?? t("user", { user })),
        ...groups.map(({ group }) => t("group", { group })),
      ];
      if (!names.length) return "";
      const counts = [
        users.length ? t("users", { count: users.length }) : "",
        groups.length ? t("groups", { count: groups.length }) : "",
      ];
      const named = t.list.format(names.slice(0, NAMED));
      const more = { names: named, count: names.length - NAMED };
      return t("access", {
        counts: t.list.format(counts.filter(Boolean)),
        names: more.count > 0 ? t("and_more", more) : named,
      });
    } catch (error) {
      return error.name === "AbortError" ? "" : t("access_unknown");
    }
  }

  async #test() {
    const { tested, isStored } = this.fields;
    const { account } = this.fields.connection;
    const { client } = this.page;
    const { model_name } = tested;
    this.#tell(this.t("testing"));
    try {
      const { content } = account
        ? await client.send("POST", `/credentials/${account.id}/test`, { body: { model_name } })
        : isStored
          ? await this.#testStored(model_name)
          : await client.send("POST", "/test-connection", { body: tested });
      const isSame = JSON.stringify(tested) === JSON.stringify(this.fields.tested);
      const [text, look] = resultOf(this.t, content);
      this.#tell(isSame ? text : "", look);
    } catch (error) {
      this.#tell("");
      throw error;
    }
  }

  /** Test any model of the provider with the stored key. */
  #testStored(name) {
    const { id, model_name: before } = this.model;
    const body = name === before ? undefined : { model_name: name };
    return this.page.client.send("POST", `/${id}/test`, { body });
  }

  async #ask() {
    const { connection, isStored } = this.fields;
    const { model_provider: provider, ...body } = connection.value;
    this.#tell("");
    const submitted = { path: `/providers/${encodeURIComponent(provider)}/models`, body };
    const stored = isStored ? { path: `/${this.model.id}/served-models`, body: undefined } : null;
    const question = stored ?? connection.question ?? submitted;
    const { content } = await this.page.client.send("POST", question.path, { body: question.body });
    this.fields.picker.offer(servedIn(content));
    this.fields.picker.input.focus();
  }
}

/** Return the models of a provider in the server's response. */
function servedIn(content) {
  if (!Array.isArray(content?.models)) throw problem("unread");
  return content.models;
}
