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
    this.retryButton = button("", () => page.refresh(), { hidden: true });
    this.outcome = new Outcome((control, { act, row }) => page.run(control, act, { row }));
    this.loadingText = h("p", { class: "hint", hidden: true });
    const dismiss = () => {
      this.notify("");
      page.title.focus();
    };
    this.dismiss = button("×", dismiss, { hidden: true });
    this.outcome.element.append(this.dismiss);
    const failure = h("div", {}, this.alert, this.retryButton);
    const content = [failure, this.outcome.element, this.loadingText, page.selection.element];
    this.element = h("div", { class: "messages", part: "messages" }, content);
  }

  translate() {
    this.retryButton.textContent = this.page.t("try_again");
    this.loadingText.textContent = this.page.t("loading");
    this.dismiss.setAttribute("aria-label", this.page.t("dismiss"));
  }

  /** Clear the message of a failed action or, with `isLoaded`, of a list that did not load. */
  clear(isLoaded = false) {
    if (this.hasFailed !== isLoaded) return;
    this.alert.textContent = "";
    this.hasFailed = false;
    this.retryButton.hidden = true;
  }

  /** Show and announce a message; if quiet, only to screen readers. */
  notify(text, isQuiet = false, /** @type {Undo | null} */ undo = null) {
    this.dismiss.hidden = isQuiet || !text;
    this.outcome.element.classList.toggle("quiet", isQuiet);
    this.outcome.show(this.page.t, text, undo);
  }

  /** Show why the list is missing, and offer to try again. */
  showLoadError(error) {
    this.alert.textContent = this.textFor(error);
    this.hasFailed = true;
    this.retryButton.hidden = error.status === 401;
  }

  /** Return the message for a problem. */
  textFor({ key, result, code, message, status, wait, isFromRegistry }) {
    const { t } = this.page;
    const paths = [`problems.${key}`, `results.${result}`, `errors.${code}`];
    const path = paths.find((each) => t.has(each));
    const text = path ? t(path) : message || t("problems.status", { status: String(status) });
    if (status === 400 && !isFromRegistry) return `${text} ${t("reload")}`; // an old CSRF token
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
    const shown = error instanceof Problem ? error : problem("unread");
    if (form?.isConnected) this.#showInForm(form, shown);
    else if (shown.status === 401) this.page.showLoggedOut(shown);
    else if (row) await this.#showInRow(row, shown);
    else this.#showAlert(this.textFor(shown));
  }

  #showAlert(text) {
    this.notify("");
    this.alert.textContent = text;
  }

  #showInForm(form, shown) {
    const { t } = this.page;
    const isTaken =
      shown.code === "model-id-taken" &&
      !shown.errors.length &&
      form.querySelector("[data-field=model_id]");
    const errors = isTaken ? [{ field: "model_id", message: t("taken") }] : shown.errors;
    showErrors(form, errors, t("problems.fields"), this.textFor(shown));
  }

  async #showInRow(row, shown) {
    const { models, t } = this.page;
    const result = this.textFor(shown);
    if (shown.status === 404) await this.page.refresh(); // the model may be gone or hidden
    if (this.hasFailed) return;
    if (models.has(row.id)) models.showResult(row, result, "bad");
    else this.#showAlert(t("result_of", { model: row.model_id, result }));
  }
}

/** Return a test's result in words. */
export function resultLabel(t, { result }) {
  const path = `results.${result}`;
  return t.has(path) ? t(path) : String(result);
}

/** Return a test's result and time in words, and its style. */
export function resultMessage(t, { result, latency_ms: latency, key_checked: isChecked }) {
  const word = resultLabel(t, { result });
  const text = isChecked === false ? t("unchecked", { result: word }) : word;
  const className = result === "ok" ? "ok" : "bad";
  if (typeof latency !== "number") return [t("result", { result: text }), className];
  const format = new Intl.NumberFormat(t.lang, { style: "unit", unit: "millisecond" });
  const time = format.format(latency);
  return [t("result_in", { result: text, time }), className];
}
