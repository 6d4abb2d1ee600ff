// @ts-check
/** Where a model is called, and its API key sent. */

import { h } from "./dom.js";

/** @import { Page } from "./page.js" */

/** Return the origin of a URL and what comes after it, in ASCII; null if it is not a web URL. */
function splitURL(text) {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol !== "http:" && url?.protocol !== "https:") return null;
  return [url.origin, (url.pathname + url.search + url.hash).replace(/\/+$/, "")];
}

/** Show a URL in full, its origin first of all, in the right order on right-to-left pages too. */
const urlElement = (/** @type {string[]} */ [origin, path]) =>
  h("bdi", { class: "url", dir: "ltr" }, h("strong", {}, origin), path);

export class Destination {
  /**
   * @param {Page} page
   * @param {any} model Its provider may be an id, an alias or another name. Without a base URL, it
   *     is called at the provider's own.
   */
  constructor({ t, providers }, { model_provider: name, base_url: given }) {
    const catalogue = providers ?? [];
    const id = name.toLowerCase(); // as the server reads it
    const provider =
      catalogue.find((each) => each.id === id) ??
      catalogue.find((each) => each.aliases?.includes(id));
    const own = splitURL(provider?.base_url);
    this.url = given ? splitURL(given) : own;
    this.isOwn = given ? own !== null && String(this.url) === String(own) : true;
    this.note = own && !this.isOwn ? t("not_own", { provider: provider.name }) : "";
    this.invalid = t("invalid_url");
  }

  /** What comes after "sent to". */
  get elements() {
    return this.url ? [urlElement(this.url), this.note] : [this.invalid];
  }
}
