// @ts-check
/** Dialogs over the page, such as questions. */

import { button, h, newId } from "./dom.js";

/** @import { Page } from "./page.js" */

/**
 * Open a dialog.
 *
 * @param {Page} page
 * @param {string} title
 * @param {string} key Where the focus goes afterwards.
 * @param {any} content Elements.
 * @param {() => string} [loss] Returns what is lost by leaving after something was typed; empty if nothing is.
 */
export function openDialog(page, title, key, content, loss) {
  page.client.session.throwIfAborted(); // don't ask the next user
  const id = `${newId()}-title`;
  let isDirty = false;
  const close = () => {
    while (dialog.nextElementSibling?.localName === "dialog") dialog.nextElementSibling.remove();
    dialog.remove();
    page.focus(key);
  };
  const cancel = async (event) => {
    const lost = isDirty && loss?.();
    if (event.target !== dialog || !lost) return;
    event.preventDefault();
    isDirty = false; // a second Esc closes without a question
    const { t } = page;
    if (await confirmed(page, t("leave_what"), lost, t("leave"), key)) dialog.close();
    else isDirty = true;
  };
  const oninput = () => (isDirty = true);
  const attributes = {
    ...page.t.langAttributes,
    "aria-labelledby": id,
    part: "dialog",
    oninput,
    onchange: oninput,
    oncancel: cancel,
    onclose: close,
  };
  const dialog = h("dialog", attributes, h("h2", { id }, title), content);
  // The event of one that is closing would take this one along.
  for (const closed of page.root.querySelectorAll("dialog:not([open])")) closed.remove();
  page.root.append(dialog);
  dialog.showModal();
  return dialog;
}

/** Make a button that closes a dialog as Esc does. */
export function closeButton(label, dialog) {
  const leave = () => {
    if (dialog().dispatchEvent(new Event("cancel", { cancelable: true }))) dialog().close();
  };
  return button(label, leave);
}

/**
 * Ask before something that cannot be undone.
 *
 * @param {Page} page
 * @returns {Promise<boolean>} Whether to do it.
 */
export function confirmed(page, title, text, label, key) {
  return new Promise((resolve) => {
    const choose = (isConfirmed) => () => {
      resolve(isConfirmed);
      dialog.close();
    };
    const buttons = [
      button(page.t("cancel"), choose(false), { autofocus: true }),
      button(label, choose(true), { class: "primary danger" }),
    ];
    const content = [h("p", {}, text), h("footer", {}, buttons)];
    const dialog = openDialog(page, title, key, content);
    dialog.addEventListener("close", () => resolve(false));
  });
}
