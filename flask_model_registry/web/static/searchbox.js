// @ts-check
/** A combobox whose choices are searched for while the user types. */

import { Combobox } from "./combobox.js";

/** @import { Choice } from "./combobox.js" */

const DELAY = 200; // milliseconds after a key

export class SearchBox {
  #timer = 0;
  #lastQuery = ""; // the last search
  /** @type {Choice[]} */ #found = [];
  /** @type {symbol | null} */ #searching = null;

  /**
   * @param {HTMLInputElement} input
   * @param {object} options
   * @param {string} options.label The name of the list.
   * @param {(text: string) => Promise<Choice[]>} options.search Find what to offer for a text.
   * @param {(value: string) => void} options.choose
   * @param {() => void} [options.leave] Called when the field is left without a choice.
   * @param {(value: string) => boolean} [options.isChosen]
   * @param {boolean} [options.isFree] Whether what is typed counts too.
   */
  constructor(input, { label, search, choose, leave, isChosen = () => false, isFree = false }) {
    this.input = input;
    this.search = search;
    this.combobox = new Combobox(input, {
      label,
      find: (text) => this.#matches(text),
      choose,
      isChosen,
      isFree: true,
      leave,
    });
    this.list = this.combobox.list;
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.defaultPrevented) return;
      if (!isFree) this.#chooseOnlyMatch();
      else if (!this.#isExact && this.combobox.chooseOnlyMatch()) event.preventDefault();
    });
    input.addEventListener("focus", () => this.#ask(this.combobox.query));
    input.addEventListener("click", () => this.#show(this.combobox.query));
    input.addEventListener("input", () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => input.isConnected && this.#show(input.value.trim()), DELAY);
    });
  }

  /** Until the search for a text is done, offer the last results that match it. */
  #matches(text) {
    if (!text || text === this.#lastQuery) return this.#found;
    const word = text.toLowerCase();
    return this.#found.filter(({ label }) => label.toLowerCase().includes(word));
  }

  /** Whether the text is one of the results, so that nothing needs to be chosen. */
  get #isExact() {
    const text = this.input.value.trim();
    return this.#found.some(({ value, label }) => value === text || label === text);
  }

  /** Choose the only result, once the search for the text is done. */
  async #chooseOnlyMatch() {
    const text = this.combobox.query;
    clearTimeout(this.#timer);
    if (text && text !== this.#lastQuery) await this.#show(text);
    if (text === this.combobox.query) this.combobox.chooseOnlyMatch();
  }

  async #ask(text) {
    const searching = (this.#searching = Symbol(text));
    const found = await this.search(text).catch(() => []); // the typed text counts
    if (this.#searching !== searching) return false;
    this.#found = found;
    this.#lastQuery = text;
    return true;
  }

  async #show(text) {
    const isNew = await this.#ask(text);
    const isHere = this.input.matches(":focus") && this.input.isConnected;
    if (isNew && isHere) this.combobox.show(text);
  }
}
