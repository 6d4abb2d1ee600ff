// @ts-check
/** The dialog that registers a model, or edits one. */

import { ifMatch, problem } from "./client.js";
import { closeButton, openDialog } from "./dialog.js";
import { loadModule } from "./dialogs.js";
import { button, h, showErrors, submitButton } from "./dom.js";
import { ModelForm } from "./form.js";
import { buttonReleased } from "./press.js";
import { register, testFailure } from "./registration.js";
import { resultMessage } from "./messages.js";
import { grantCounts } from "./state.js";

/** @import { Page } from "./page.js" */

const DELAY = 600; // milliseconds after a key
const MAX_NAMES = 20; // users and groups

export class FormDialog {
  /** Whether to register despite a failed test. */
  #isForced = false;
  /** @type {any[]} */ #registered = [];
  /** @type {string | null} */ #lastRequest = null;
  #timer = 0;
  /** Resolved after the click on a pressed button, which must not move until then. */
  #clickDone = Promise.resolve();

  /**
   * @param {Page} page
   * @param {any} model The model to change, or null for a new one.
   * @param {string | null | undefined} tag
   * @param {{ credentials?: any[], original?: any, credentialId?: number | null }} [options] For a
   *     new one: the user's credentials, the model to copy, and its credential.
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
      this.#autoLoadLater(0);
      return;
    }
    this.#showCredential().catch(() => {}); // it is only a hint
    this.#showAccess();
  }

  #build() {
    const { page, t } = this;
    this.result = h("p", { class: "result", role: "status" });
    const onClick = (work) => (event) => page.run(event.currentTarget, work, { form: this.form });
    const test = onClick(() => this.#test());
    const ask = onClick(() => this.#loadModels());
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
    this.save = submitButton();
    this.#labelSave();
    const cancel = closeButton(t("cancel"), () => this.dialog);
    const onsubmit = (event) => {
      event.preventDefault();
      this.#submit();
    };
    const events = {
      onsubmit,
      oninput: ({ target }) => this.#onEdit(target === this.fields.connection.key ? DELAY : null),
      onchange: () => this.#onEdit(0),
      onpointerdown: ({ target }) => {
        if (target.closest("button")) this.#clickDone = buttonReleased();
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

  #labelSave(isSaving = false) {
    const own = this.#isForced ? "register_anyway" : "register";
    this.save.textContent = this.t(isSaving ? "saving" : this.model ? "save" : own);
  }

  #showResult(text, className = "") {
    this.result.className = `result ${className}`;
    this.result.textContent = text;
  }

  /** Ask the provider for its models after a delay, unless a text is half typed. */
  #onEdit(delay) {
    this.#showResult("");
    if (this.#isForced) {
      this.#isForced = false;
      this.#labelSave();
    }
    this.fields.updateCredentialName();
    clearTimeout(this.#timer);
    if (delay !== null && !this.model) this.#autoLoadLater(delay);
  }

  #autoLoadLater(delay) {
    this.#timer = setTimeout(() => this.#autoLoad(), delay);
  }

  /** Whether the form is open, and not being saved. */
  get #isEditable() {
    return this.form.isConnected && !this.body.disabled;
  }

  /** Ask for models once the server and the API key are known. */
  async #autoLoad() {
    await this.#clickDone;
    const { listRequest } = this.fields.connection;
    const request = listRequest && JSON.stringify(listRequest);
    if (request === this.#lastRequest || !this.#isEditable) return;
    if (this.#lastRequest) this.fields.picker.offer(null); // what is chosen stays
    this.#lastRequest = request;
    if (!listRequest) return;
    const { picker } = this.fields;
    picker.showNote(this.t("asking"));
    const { path, body } = listRequest;
    try {
      const { content } = await this.#send("POST", path, { body });
      if (request === this.#lastRequest) picker.offer(servedIn(content));
    } catch (error) {
      if (request === this.#lastRequest && this.form.isConnected) this.#showLoadError(error);
    }
  }

  /** Send a request that no user asked for. A button that is pressed meanwhile must not move. */
  async #send(method, path, options) {
    const sent = this.page.client.send(method, path, options);
    await sent.catch(() => null);
    await this.#clickDone;
    return sent;
  }

  /** Show, but not as an alert, why there is no list that no user asked for. */
  #showLoadError(error) {
    const { messages } = this.page;
    const isHandled = error.name === "AbortError" || error.status === 401;
    this.fields.picker.showNote(isHandled ? "" : messages.textFor(error), true);
    if (error.status === 401) messages.report(error, { form: this.form });
  }

  #submit() {
    this.fields.picker.chooseTyped();
    const { errors } = this.fields;
    if (errors.length) showErrors(this.form, errors, this.t("problems.fields"), "");
    else this.page.run(this.save, () => this.#save(), { form: this.form });
  }

  async #save() {
    const { changes } = this.fields;
    this.#setSaving(true);
    let text;
    try {
      text = await (this.model ? this.#change(changes) : this.#register());
    } finally {
      this.#setSaving(false);
    }
    if (text === null) return;
    const { page } = this;
    page.notify(text);
    this.dialog.close();
    const { reveal } = await import("./reveal.js").catch(() => ({ reveal: null }));
    const { canBeTested } = this.fields.connection;
    if (!this.#registered.length || !reveal) await page.refresh();
    else await reveal(page, this.#registered, { text, canBeTested });
  }

  #setSaving(isSaving) {
    if (isSaving) this.save.focus(); // disabled fields lose theirs
    this.body.disabled = isSaving;
    this.#labelSave(isSaving);
  }

  /** Test and register; return null after a failed test, which the user may ignore. */
  async #register() {
    const { page, t } = this;
    const failure = this.#isForced ? null : await testFailure(page, this.fields);
    if (failure) {
      this.#isForced = true;
      showErrors(this.form, [], "", failure);
      return null;
    }
    const models = (this.#registered = await register(page, this.fields));
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
      const { resolveConflict } = await loadModule(page, import("./conflict.js"));
      const now = await page.client.send("GET", `/${model.id}`);
      const chosen = await resolveConflict(page, this.key, model, now.content, changes);
      if (chosen === null) return null;
      [changes, tag] = [chosen, now.tag];
    }
    return t("unchanged");
  }

  async #showCredential() {
    const state = await this.#send("GET", `/${this.model.id}/credential`).catch(() => null);
    const { is_set: isSet, status, credential } = state?.content ?? { status: "readable" };
    const { connection } = this.fields;
    if (status !== "readable") {
      connection.hint("api_key", this.t(isSet ? "key_unreadable" : "key_missing"));
    } else if (credential) {
      const found = await this.#send("GET", `/credentials/${credential}`);
      connection.hint("api_key", this.t("key_shared", { name: found.content.name }));
    }
  }

  /** Say who else can use an API key that is entered here. */
  async #showAccess() {
    const { t } = this;
    const { is_owner: isOwner, is_shared: isShared } = this.model;
    const others = isOwner ? await this.#grantees() : t("access_owner");
    const text = [isShared ? t("access_everyone") : "", others].filter(Boolean).join(" ");
    await this.#clickDone;
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
      const named = t.list.format(names.slice(0, MAX_NAMES));
      const more = { names: named, count: names.length - MAX_NAMES };
      return t("access", {
        counts: grantCounts(t, { users: users.length, groups: groups.length }),
        names: more.count > 0 ? t("and_more", more) : named,
      });
    } catch (error) {
      return error.name === "AbortError" ? "" : t("access_unknown");
    }
  }

  async #test() {
    const { tested, isStored } = this.fields;
    const { credential } = this.fields.connection;
    const { client } = this.page;
    const { model_name } = tested;
    this.#showResult(this.t("testing"));
    try {
      const { content } = credential
        ? await client.send("POST", `/credentials/${credential.id}/test`, { body: { model_name } })
        : isStored
          ? await this.#testStored(model_name)
          : await client.send("POST", "/test-connection", { body: tested });
      const isSame = JSON.stringify(tested) === JSON.stringify(this.fields.tested);
      const [text, className] = resultMessage(this.t, content);
      this.#showResult(isSame ? text : "", className);
    } catch (error) {
      this.#showResult("");
      throw error;
    }
  }

  #testStored(name) {
    const { id, model_name: before } = this.model;
    const body = name === before ? undefined : { model_name: name };
    return this.page.client.send("POST", `/${id}/test`, { body });
  }

  async #loadModels() {
    const { connection, isStored } = this.fields;
    const { model_provider: provider, ...body } = connection.value;
    this.#showResult("");
    const missing = this.fields.errors.filter(({ field }) => field === "model_provider");
    if (missing.length) return showErrors(this.form, missing, this.t("problems.fields"), "");
    const submitted = { path: `/providers/${encodeURIComponent(provider)}/models`, body };
    const stored = isStored ? { path: `/${this.model.id}/served-models`, body: undefined } : null;
    const request = stored ?? connection.listRequest ?? submitted;
    const { content } = await this.page.client.send("POST", request.path, { body: request.body });
    this.fields.picker.offer(servedIn(content));
    this.fields.picker.input.focus();
  }
}

function servedIn(content) {
  if (!Array.isArray(content?.models)) throw problem("unread");
  return content.models;
}
