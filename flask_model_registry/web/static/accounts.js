// @ts-check
/** The dialog of the user's credentials: a new key for all models of one, and what else is done to it. */

import { Destination } from "./destination.js";
import { button, field, h, tell } from "./dom.js";

/** @import { Page } from "./page.js" */

/** Give credentials new keys, or delete them. */
export class AccountsDialog {
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
        button(t("done"), () => this.dialog.close()),
      ),
    );
    const loss = () => t("leave_why");
    this.dialog = page.dialogs.open(t("credentials"), "credentials", this.box, loss);
    page.run(this.list, () => this.#show(), { form: this.box, lock: {} });
  }

  async #show() {
    const credentials = await this.page.client.all("/credentials");
    this.list.replaceChildren(...credentials.map((each) => this.#line(each)));
    this.empty.textContent = credentials.length ? "" : this.t("no_credentials");
  }

  /** Do one thing at a time; what came of it is said below. */
  #run(control, work) {
    tell(this.box, "");
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  #line(credential) {
    const { t, page } = this;
    const { id, name, model_provider: provider } = credential;
    // Others have an access key or a service account, or a secret that the app keeps elsewhere.
    const hasKey = credential.kind === "key" && !credential.reference;
    const known = page.providers?.find((each) => each.id === provider);
    const place = h("div", {});
    const named = (label) => ({
      "data-key": `credential-${id}:${label}`,
      "aria-label": t("for_kind", { action: t(label), kind: name }),
    });
    return h(
      "li",
      {},
      h("span", { dir: "auto" }, h("strong", {}, name), ` ${known?.name ?? provider}`),
      this.#expiry(credential),
      hasKey
        ? button(t("new_key_"), () => this.#askForKey(credential, place), named("new_key_"))
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

  #askForKey(credential, place) {
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
    });
    const { model_provider: provider, base_url } = credential;
    const { elements } = new Destination(t, page.providers ?? [], provider, base_url);
    const note = h("p", { class: "hint" }, t.parts("key_to", { url: elements }).flat());
    const submit = h("button", { type: "submit", class: "primary", part: "button primary" });
    submit.append(t("save"));
    const onsubmit = (event) => {
      event.preventDefault();
      this.#run(submit, () => this.#save(credential, key, place));
    };
    const input = field("api_key", t("new_key_of", { name: credential.name }), key, "", note);
    const buttons = h("div", { class: "trying" }, submit);
    place.append(h("form", { method: "dialog", novalidate: true, onsubmit }, input, buttons));
    key.focus();
  }

  /** Save a key, and ask the provider whether it is one. */
  async #save({ id, name }, key, place) {
    const { t, page } = this;
    const { client } = page;
    const body = { api_key: key.value.trim() };
    await client.send("PATCH", `/credentials/${id}/secret`, { body });
    key.value = "";
    place.replaceChildren();
    page.focus(`credential-${id}:new_key_`);
    page.changed();
    const saved = t("key_saved", { name });
    tell(this.box, `${saved} ${t("asking")}`);
    const found = await client.send("POST", `/credentials/${id}/served-models`).then(
      ({ content }) => t("key_works", { count: content.models.length }),
      (error) => page.messages.words(error),
    );
    if (this.box.isConnected) tell(this.box, `${saved} ${found}`);
  }

  async #delete(control, { id, name }) {
    const { t, page } = this;
    const key = `credential-${id}:delete_`;
    const ask = (text) => page.dialogs.confirm(t("delete_credential"), text, t("delete"), key);
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
      tell(this.box, t("deleted", { model: name }));
      this.box.querySelector("footer button").focus();
      await page.refresh();
    });
  }
}
