// @ts-check
/** The dialog of one model: all that is known of it, and how to call it. */

import { button, h, tell } from "./dom.js";
import { code } from "./howto.js";
import { stateOf } from "./state.js";

/** @import { Page } from "./page.js" */

const UNKNOWN = "https://models.example.com/v1"; // of a provider that is known no more

/** Show all of a model to anyone who sees it. */
class ViewDialog {
  /**
   * @param {Page} page
   * @param {any} model
   * @param {any} details What the server keeps of it beside its fields; null if that did not load.
   */
  constructor(page, model, details) {
    this.page = page;
    this.t = page.t;
    this.details = details;
    const { t } = page;
    const provider = page.providers?.find(({ id }) => id === model.model_provider);
    this.address = details?.address ?? model.base_url ?? provider?.base_url ?? UNKNOWN;
    const samples = Object.entries(code(model, this.address));
    this.box = h(
      "div",
      {},
      h("dl", { class: "facts" }, this.#facts(model, provider)),
      h("h3", {}, t("how_to_call")),
      samples.map(([name, text]) => this.#sample(t(name), text)),
      h("p", { role: "alert", tabindex: "-1" }),
      h("p", { class: "result", role: "status" }),
      h(
        "footer",
        {},
        button(t("done"), () => this.dialog.close()),
      ),
    );
    this.dialog = page.dialogs.open(model.model_id, `${model.id}:more`, this.box);
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
        this.address === UNKNOWN ? null : h("bdi", { class: "url", dir: "ltr" }, this.address),
      abilities: model.abilities?.length ? t.list.format(model.abilities) : null,
      temperature: shown(model.temperature),
      dimension: shown(model.dimension),
      description: model.description,
      ...(this.details && stateOf(t, this.details, provider?.needs_key !== false)),
    };
    return Object.entries(facts)
      .filter(([, value]) => value !== null && value !== undefined)
      .map(([name, value]) => [h("dt", {}, t(name)), h("dd", { dir: "auto" }, value)]);
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

  /** Copy code; where the browser does not let the page, select it for the user. */
  async #copy(block) {
    const { t } = this;
    try {
      await navigator.clipboard.writeText(block.textContent);
      tell(this.box, t("copied"));
    } catch {
      block.focus();
      getSelection()?.selectAllChildren(block);
      tell(this.box, t("copy_selected"));
    }
  }
}

/** Show a model; what does not load beside its fields is left out. */
export async function viewModel(/** @type {Page} */ page, model) {
  const details = await page.client.send("GET", `/${model.id}/details`).catch((error) => {
    if ([401, 404].includes(error.status) || error.name === "AbortError") throw error;
    return null;
  });
  if (!page.dialogs.isOpen) new ViewDialog(page, model, details?.content ?? null);
}
