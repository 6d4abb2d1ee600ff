// @ts-check
/** The dialog that lists the user's credentials, and replaces their API keys or deletes them. */

import { Destination } from "./destination.js";
import { closeButton, confirmed, openDialog } from "./dialog.js";
import { button, field, h, submitButton } from "./dom.js";
import { isUnrelated } from "./registration.js";

/** @import { Page } from "./page.js" */

export class CredentialsDialog {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.t = page.t;
    const { t } = this;
    this.list = h("ul", { class: "grants", role: "list", "aria-label": t("credentials") });
    this.empty = h("p", { class: "hint" });
    this.box = h(
      "div",
      {},
      this.list,
      this.empty,
      h("p", { role: "alert", tabindex: "-1" }),
      h("p", { class: "result", role: "status" }),
      h(
        "footer",
        {},
        closeButton(t("done"), () => this.dialog),
      ),
    );
    const typed = () => [...this.list.querySelectorAll("input")].some(({ value }) => value);
    const loss = () => (typed() ? t("leave_why") : "");
    this.dialog = openDialog(page, t("credentials"), "credentials", this.box, loss);
    page.run(this.list, () => this.#show(), { form: this.box, lock: {} });
  }

  async #show() {
    const credentials = await this.page.client.all("/credentials");
    this.list.replaceChildren(...credentials.map((each) => this.#line(each)));
    this.empty.textContent = credentials.length ? "" : this.t("no_credentials");
  }

  #showResult(text, className = "") {
    const status = this.box.querySelector("[role=status]");
    status.textContent = text;
    status.className = `result ${className}`;
  }

  /** Do one thing at a time, and show the result below. */
  #run(control, work) {
    this.#showResult("");
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  #line(credential) {
    const { t, page } = this;
    const { id, name } = credential;
    // Others have an access key, a service account, or a secret that the app keeps elsewhere.
    const hasKey = credential.kind === "key" && !credential.reference;
    const provider = page.providerOf(credential)?.name ?? credential.model_provider;
    const place = h("div", {});
    const named = (label) => ({
      "data-key": `credential-${id}:${label}`,
      "aria-label": t("for_kind", { action: t(label), kind: name }),
    });
    return h(
      "li",
      {},
      h("span", { dir: "auto" }, h("strong", {}, name), ` ${provider}`),
      this.#expiry(credential),
      hasKey
        ? button(t("new_key_"), () => this.#openKeyForm(credential, place), named("new_key_"))
        : null,
      button(t("delete_"), (event) => this.#delete(event.currentTarget, credential), {
        ...named("delete_"),
        class: "danger",
      }),
      place,
    );
  }

  #expiry({ expires_at: at }) {
    if (!at) return null;
    const date = new Date(at);
    const isOver = date.getTime() < Date.now();
    const text = this.t(isOver ? "expired" : "expires", {
      date: new Intl.DateTimeFormat(this.t.lang, { dateStyle: "medium" }).format(date),
    });
    return h("span", { class: isOver ? "bad" : "hint" }, text);
  }

  #openKeyForm(credential, place) {
    const { t, page } = this;
    if (place.firstChild) {
      place.querySelector("input").focus();
      return;
    }
    const key = h("input", {
      type: "password",
      autocomplete: "new-password",
      spellcheck: "false",
      required: true,
      oninput: () => {
        submit.value = "";
        submit.textContent = t("save");
      },
    });
    const { elements } = new Destination(page, credential);
    const note = h("p", { class: "hint" }, t.parts("key_to", { url: elements }).flat());
    const submit = submitButton(t("save"));
    const onsubmit = (event) => {
      event.preventDefault();
      const replace = () => this.#replace(credential, key, submit, place);
      this.#run(submit, () => replace().finally(() => (key.readOnly = false)));
    };
    const input = field("api_key", t("new_key_of", { name: credential.name }), key, "", note);
    const buttons = h("div", { class: "trying" }, submit);
    place.append(h("form", { method: "dialog", novalidate: true, onsubmit }, input, buttons));
    key.focus();
  }

  /** Save a key if the provider accepts it, or if the user saves it a second time. */
  async #replace(credential, key, submit, place) {
    const { t, page } = this;
    const { id, name } = credential;
    const body = { api_key: key.value.trim() };
    const warning = submit.value; // shown for this key
    key.readOnly = true; // while the provider checks it
    if (!warning) this.#showResult(t("asking"));
    const [found, className] = warning
      ? [warning, "bad"]
      : await this.#checkKey(credential, body.api_key);
    this.#showResult("");
    if (className && !warning) {
      this.box.querySelector("[role=alert]").textContent = found;
      submit.value = found;
      submit.textContent = t("save_anyway");
      return;
    }
    await page.client.send("PATCH", `/credentials/${id}/secret`, { body });
    place.replaceChildren();
    page.focus(`credential-${id}:new_key_`);
    this.#showResult(`${t("key_saved", { name })} ${found}`, className);
    page.changed();
    page.models.results.clear(); // for the old key
    await page.refresh();
  }

  /** Ask the provider whether it accepts a key; return the result and its style. */
  async #checkKey({ model_provider: provider, base_url }, api_key) {
    const { client, messages } = this.page;
    const path = `/providers/${encodeURIComponent(provider)}/models`;
    try {
      const { content } = await client.send("POST", path, { body: { api_key, base_url } });
      return [this.t("key_works", { count: content.models.length }), ""];
    } catch (error) {
      if (isUnrelated(error)) throw error;
      return [messages.textFor(error), "bad"];
    }
  }

  async #delete(control, { id, name }) {
    const { t, page } = this;
    const key = `credential-${id}:delete_`;
    const ask = (text) => confirmed(page, t("delete_credential"), text, t("delete"), key);
    if (!(await ask(t("delete_credential_why", { name })))) return;
    await this.#run(control, async () => {
      try {
        await page.client.send("DELETE", `/credentials/${id}`);
      } catch (error) {
        if (error.code !== "credential-in-use") throw error;
        if (!(await ask(`${error.message} ${t("detach_why")}`))) return;
        await page.client.send("DELETE", `/credentials/${id}?detach=true`);
      }
      page.changed();
      await this.#show();
      this.#showResult(t("deleted", { model: name }));
      this.box.querySelector("footer button").focus();
      await page.refresh();
    });
  }
}
