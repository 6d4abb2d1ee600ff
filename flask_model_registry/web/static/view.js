// @ts-check
/** The dialog of one model: all that is known of it, and how to call it. */

import { openDialog } from "./dialog.js";
import { button, h } from "./dom.js";
import { codeSamples } from "./howto.js";
import { resultLabel } from "./messages.js";
import { expiry, grantCounts, relativeTime } from "./state.js";

/** @import { Page } from "./page.js" */

const UNKNOWN_URL = "https://models.example.com/v1"; // for a provider no longer known

class ViewDialog {
  /**
   * @param {Page} page
   * @param {any} model
   * @param {any} details The server's details of it; null if they did not load.
   */
  constructor(page, model, details) {
    this.page = page;
    this.t = page.t;
    this.details = details;
    const { t } = page;
    const provider = page.providerOf(model);
    this.address = details?.address ?? model.base_url ?? provider?.base_url ?? UNKNOWN_URL;
    const [[app, inApp], ...others] = Object.entries(codeSamples(model, this.address));
    this.status = h("p", { class: "result", role: "status" });
    this.box = h(
      "div",
      {},
      h("dl", { class: "facts" }, this.#facts(model, provider)),
      h("h3", {}, t("how_to_call")),
      this.#sample(t(app), inApp),
      model.is_owner ? null : h("p", { class: "hint" }, t("own_key_hint")),
      others.map(([name, text]) => this.#sample(t(name), text)),
      h("p", { role: "alert", tabindex: "-1" }),
      this.status,
      h(
        "footer",
        {},
        button(t("done"), () => this.dialog.close()),
      ),
    );
    this.dialog = openDialog(page, model.model_id, `${model.id}:more`, this.box);
  }

  #facts(model, provider) {
    const { t } = this;
    const category = `categories.${model.category}`;
    const shown = (value) => (typeof value === "number" ? t.numbers.format(value) : value);
    const facts = {
      provider: provider?.name ?? model.model_provider,
      model: model.model_name,
      category: t.has(category) ? t(category) : model.category,
      address:
        this.address === UNKNOWN_URL ? null : h("bdi", { class: "url", dir: "ltr" }, this.address),
      abilities: model.abilities?.length ? t.list.format(model.abilities) : null,
      temperature: shown(model.temperature),
      dimension: shown(model.dimension),
      description: model.description,
      ...(this.details && this.#state(provider?.needs_key !== false)),
      ...(this.details && this.#access(model)),
    };
    return Object.entries(facts)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [h("dt", {}, t(name)), h("dd", { dir: "auto" }, value)]);
  }

  #state(needsKey) {
    const { t } = this;
    const { test, key, grants, groups } = this.details;
    const warning = this.#keyWarning(key, needsKey);
    const ofGroups = groups?.map((group) => t("the_group", { group })) ?? [];
    return {
      last_test: test ? this.#lastTest(test) : null,
      key: warning ? h("span", { class: "bad" }, warning) : null,
      credential: key.credential?.name,
      shared_with: grantCounts(t, grants) ?? (ofGroups.length ? t.list.format(ofGroups) : null),
    };
  }

  #lastTest(test) {
    const { t } = this;
    const { latency_ms: latency } = test;
    const format = new Intl.NumberFormat(t.lang, { style: "unit", unit: "millisecond" });
    const time = typeof latency === "number" ? format.format(latency) : "";
    return [resultLabel(t, test), time, relativeTime(t, test.at)].filter(Boolean).join(" · ");
  }

  /** Show its owner, and what the user may do with it. */
  #access({ is_owner: isOwner, can_edit: canEdit, can_delete: canDelete }) {
    const { t, page } = this;
    const { owner, relations } = this.details;
    const may = [
      relations?.length && t("to_use"),
      canEdit && t("to_edit"),
      canDelete && t("to_delete"),
      isOwner && t("to_share"),
    ].filter(Boolean);
    const whose = h("span", {});
    const name = () => {
      whose.textContent = page.people.names.get(owner) ?? t("user", { user: owner });
    };
    name();
    page.people.load().then(name);
    return {
      owner: whose,
      you_may: may.length ? t.list.format(may) : null,
    };
  }

  #keyWarning({ is_set: isSet, expires_at: at }, needsKey) {
    const { t } = this;
    if (!isSet) return needsKey ? t("key_missing") : null;
    const state = expiry(at);
    const format = new Intl.DateTimeFormat(t.lang, { dateStyle: "medium" });
    return state && t(state, { date: format.format(Date.parse(at)) });
  }

  #sample(label, text) {
    const { t } = this;
    const block = h(
      "pre",
      { dir: "ltr", tabindex: "0", role: "region", "aria-label": label },
      text,
    );
    const copy = () => this.page.run(block, () => this.#copy(block), { form: this.box });
    const name = t("for_kind", { action: t("copy"), kind: label });
    return [
      h(
        "div",
        { class: "named" },
        h("h4", {}, label),
        button(t("copy"), copy, { "aria-label": name }),
      ),
      block,
    ];
  }

  /** Copy code, or select it for the user if the browser forbids that. */
  async #copy(block) {
    const { t } = this;
    try {
      await navigator.clipboard.writeText(block.textContent);
      this.status.textContent = t("copied");
    } catch {
      block.focus();
      getSelection()?.selectAllChildren(block);
      this.status.textContent = t("copy_selected");
    }
  }
}

/** Show a model, without its details if they do not load. */
export async function viewModel(/** @type {Page} */ page, model) {
  const details = await page.client.send("GET", `/${model.id}/details`).catch((error) => {
    if ([401, 404].includes(error.status) || error.name === "AbortError") throw error;
    return null;
  });
  if (!page.dialogs.isOpen) new ViewDialog(page, model, details?.content ?? null);
}
