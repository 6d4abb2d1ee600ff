// @ts-check
/** The messages above the list, and errors where the user looks. */

import { Problem, problem } from "./client.js";
import { button, h, showErrors } from "./dom.js";
import { Outcome } from "./outcome.js";

/** @import { Undo } from "./outcome.js" */
/** @import { Page } from "./page.js" */

export class Messages {
  /** Whether the list could not be loaded, which the alert says. */
  hasFailed = false;

  /** @param {Page} page */
  constructor(page) {
    this.page = page;
    this.alert = h("p", { role: "alert" });
    this.again = button("", () => page.refresh(), { hidden: true });
    this.outcome = new Outcome((control, { act, row }) => page.run(control, act, { row }));
    this.waiting = h("p", { class: "hint", hidden: true });
    const dismiss = () => {
      this.say("");
      page.title.focus();
    };
    this.dismiss = button("×", dismiss, { hidden: true });
    this.outcome.element.append(this.dismiss);
    const failure = h("div", {}, this.alert, this.again);
    const content = [failure, this.outcome.element, this.waiting, page.selection.element];
    this.element = h("div", { class: "messages", part: "messages" }, content);
  }

  /** Translate the texts. */
  translate() {
    this.again.textContent = this.page.t("try_again");
    this.waiting.textContent = this.page.t("loading");
    this.dismiss.setAttribute("aria-label", this.page.t("dismiss"));
  }

  /** Clear the message of a failed action or, with `isLoaded`, of a list that did not load. */
  clear(isLoaded = false) {
    if (this.hasFailed !== isLoaded) return;
    this.alert.textContent = "";
    this.hasFailed = false;
    this.again.hidden = true;
  }

  /** Show and announce a message; if quiet, only to screen readers. */
  say(text, isQuiet = false, /** @type {Undo | null} */ undo = null) {
    this.dismiss.hidden = isQuiet || !text;
    this.outcome.element.classList.toggle("quiet", isQuiet);
    this.outcome.tell(this.page.t, text, undo);
  }

  /** Show why the list is missing, and offer to try again. */
  fail(error) {
    this.alert.textContent = this.words(error);
    this.hasFailed = true;
    this.again.hidden = error.status === 401;
  }

  /** Return the message for a problem. */
  words({ key, result, code, message, status, wait }) {
    const { t } = this.page;
    const paths = [`problems.${key}`, `results.${result}`, `errors.${code}`];
    const path = paths.find((each) => t.has(each));
    const text = path ? t(path) : message || t("problems.status", { status: String(status) });
    return wait ? `${text} ${t("retry_in", { count: wait })}` : text;
  }

  /**
   * Show an error where the user looks: in the form or at the row, if it is still there.
   *
   * @param {any} error
   * @param {{ form?: any, row?: any }} place A form, or the model of a row.
   */
  async report(error, { form, row }) {
    if (error.name === "AbortError") return;
    if (!(error instanceof Problem)) console.error(error);
    const told = error instanceof Problem ? error : problem("unread");
    if (form?.isConnected) this.#tellForm(form, told);
    else if (told.status === 401) this.page.lock(told);
    else if (row) await this.#tellRow(row, told);
    else this.#warn(this.words(told));
  }

  /** Show an error in place of the last message. */
  #warn(text) {
    this.say("");
    this.alert.textContent = text;
  }

  #tellForm(form, told) {
    const { t } = this.page;
    const isTaken =
      told.code === "model-id-taken" &&
      !told.errors.length &&
      form.querySelector("[data-field=model_id]");
    const errors = isTaken ? [{ field: "model_id", message: t("taken") }] : told.errors;
    showErrors(form, errors, t("problems.fields"), this.words(told));
  }

  async #tellRow(row, told) {
    const { models, t } = this.page;
    const result = this.words(told);
    if (told.status === 404) await this.page.refresh(); // the model may be gone or hidden
    if (this.hasFailed) return;
    if (models.has(row.id)) models.tell(row, result, "bad");
    else this.#warn(t("result_of", { model: row.model_id, result }));
  }
}

/** Return a test's result in words. */
export function wordOf(t, { result }) {
  const path = `results.${result}`;
  return t.has(path) ? t(path) : String(result);
}

/** Return a test's result and time in words, and its style. */
export function resultOf(t, { result, latency_ms: latency, key_checked: isChecked }) {
  const word = wordOf(t, { result });
  const text = isChecked === false ? t("unchecked", { result: word }) : word;
  const look = result === "ok" ? "ok" : "bad";
  if (typeof latency !== "number") return [t("result", { result: text }), look];
  const format = new Intl.NumberFormat(t.lang, { style: "unit", unit: "millisecond" });
  const time = format.format(latency);
  return [t("result_in", { result: text, time }), look];
}
