// @ts-check
/** Opens dialogs over the page, each with a module of its own. */

import { problem } from "./client.js";

/** @import { Page } from "./page.js" */

export class Dialogs {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Whether a dialog is open, perhaps one opened meanwhile. */
  get isOpen() {
    return this.page.root.querySelector("dialog[open]") !== null;
  }

  // Each loads its module when the first dialog of its kind opens

  async openForm(model, /** @type {any} */ original = null) {
    const { openForm } = await loadModule(this.page, import("./opening.js"));
    await openForm(this.page, model, original);
  }

  async openSharing(model) {
    const loading = loadModule(this.page, import("./sharing.js"));
    const { content } = await this.page.client.send("GET", `/${model.id}`);
    const { SharingDialog } = await loading;
    if (!this.isOpen) new SharingDialog(this.page, content);
  }

  async openCredentials() {
    const { CredentialsDialog } = await loadModule(this.page, import("./accounts.js"));
    if (!this.isOpen) new CredentialsDialog(this.page);
  }

  async openExchange() {
    const { openExchange } = await loadModule(this.page, import("./exchange.js"));
    await openExchange(this.page);
  }

  async openView(model) {
    const { viewModel } = await loadModule(this.page, import("./view.js"));
    await viewModel(this.page, model);
  }

  async openDefaults(model) {
    const { DefaultsDialog } = await loadModule(this.page, import("./defaults.js"));
    if (!this.isOpen) new DefaultsDialog(this.page, model);
  }
}

/**
 * Wait for a module, and for the style and texts of dialogs. If they do not load, no dialog is open
 * yet to be lost.
 *
 * @template Module
 * @param {Page} page
 * @param {Promise<Module>} module
 * @returns {Promise<Module>}
 */
export function loadModule({ root, t }, module) {
  const loading = Promise.all([module, addDialogStyle(root), t.loadDialogTexts()]).then(
    ([found]) => found,
    () => {
      throw problem(navigator.onLine ? "reload" : "offline");
    },
  );
  loading.catch(() => {}); // the caller reports it
  return loading;
}

async function addDialogStyle(root) {
  const { DIALOG_STYLE } = await import("./dialog_style.js");
  const { adoptedStyleSheets: sheets } = root;
  if (!sheets.includes(DIALOG_STYLE)) root.adoptedStyleSheets = [...sheets, DIALOG_STYLE];
}
