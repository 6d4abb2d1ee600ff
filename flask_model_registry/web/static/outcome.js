// @ts-check
/** What was done, and a button that undoes it. */

import { button, h } from "./dom.js";

/** @typedef {{ act: () => Promise<unknown>, row?: any }} Undo How to undo it, and the model whose row it is. */

export class Outcome {
  /** @type {Undo | null} */ #undo = null;

  /** @param {(control: HTMLElement, undo: Undo) => unknown} run */
  constructor(run) {
    const onclick = () => this.#undo && run(this.button, this.#undo);
    this.status = h("p", { role: "status" });
    this.button = button("", onclick, { hidden: true });
    this.element = h("div", { class: "outcome" }, this.status, this.button);
  }

  /** Show and announce a message. It replaces the last one and its undo. */
  show(t, text, /** @type {Undo | null} */ undo = null) {
    this.status.textContent = text;
    this.#undo = undo;
    this.button.hidden = !undo;
    this.button.textContent = t("undo");
    this.button.setAttribute("aria-label", t("for_kind", { action: t("undo"), kind: text }));
  }
}
