// @ts-check
/** Dialogs over the page. */

import { problem } from "./client.js";
import { button, h, newId } from "./dom.js";

/** @import { Page } from "./page.js" */

export class Dialogs {
  /** @param {Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Whether a dialog is open, perhaps one opened meanwhile. */
  get isOpen() {
    return this.page.root.querySelector("dialog") !== null;
  }

  /** Close all without a question. */
  clear() {
    for (const dialog of this.page.root.querySelectorAll("dialog")) dialog.remove();
  }

  /**
   * Open a dialog.
   *
   * @param {string} title
   * @param {string} key Where the focus goes afterwards.
   * @param {any} content Elements.
   * @param {() => string} [loss] Says what is lost if it is left after something was typed.
   */
  open(title, key, content, loss) {
    const { page } = this;
    const id = `${newId()}-title`;
    let isDirty = false;
    const close = () => {
      while (dialog.nextElementSibling?.localName === "dialog") dialog.nextElementSibling.remove();
      dialog.remove();
      page.focus(key);
    };
    const cancel = async (event) => {
      if (event.target !== dialog || !isDirty || !loss) return;
      event.preventDefault();
      isDirty = false; // a second Esc closes without a question
      if (await this.confirm(page.t("leave_what"), loss(), page.t("leave"), key)) dialog.close();
      else isDirty = true;
    };
    const oninput = () => (isDirty = true);
    const attributes = {
      "aria-labelledby": id,
      part: "dialog",
      oninput,
      onchange: oninput,
      oncancel: cancel,
      onclose: close,
    };
    const dialog = h("dialog", attributes, h("h2", { id }, title), content);
    page.root.append(dialog);
    dialog.showModal();
    return dialog;
  }

  /** Make a button that closes a dialog as Esc does. */
  closer(label, dialog) {
    const leave = () => {
      if (dialog().dispatchEvent(new Event("cancel", { cancelable: true }))) dialog().close();
    };
    return button(label, leave);
  }

  /** Ask before something that cannot be undone; return whether it is to be done. */
  confirm(title, text, label, key) {
    return new Promise((resolve) => {
      const choose = (isSure) => () => {
        resolve(isSure);
        dialog.close();
      };
      const buttons = [
        button(this.page.t("cancel"), choose(false), { autofocus: true }),
        button(label, choose(true), { class: "primary danger" }),
      ];
      const content = [h("p", {}, text), h("footer", {}, buttons)];
      const dialog = this.open(title, key, content);
      dialog.addEventListener("close", () => resolve(false));
    });
  }

  // Those whose modules are loaded when the first of their kind is opened

  async openForm(model, /** @type {any} */ like = null) {
    const { openForm } = await loaded(import("./opening.js"));
    await openForm(this.page, model, like);
  }

  async openSharing(model) {
    const loading = loaded(import("./sharing.js"));
    const { content } = await this.page.client.send("GET", `/${model.id}`);
    const { SharingDialog } = await loading;
    if (!this.isOpen) new SharingDialog(this.page, content);
  }

  async openAccounts() {
    const { AccountsDialog } = await loaded(import("./accounts.js"));
    if (!this.isOpen) new AccountsDialog(this.page);
  }

  async openView(model) {
    const { viewModel } = await loaded(import("./view.js"));
    await viewModel(this.page, model);
  }

  async openDefaults(model) {
    const { DefaultsDialog } = await loaded(import("./defaults.js"));
    if (!this.isOpen) new DefaultsDialog(this.page, model);
  }
}

/**
 * Wait for a module. If it does not come, nothing is open yet that would be lost.
 *
 * @template Module
 * @param {Promise<Module>} module
 * @returns {Promise<Module>}
 */
export function loaded(module) {
  const known = module.catch(() => {
    throw problem(navigator.onLine ? "reload" : "offline");
  });
  known.catch(() => {}); // said where it is waited for
  return known;
}
