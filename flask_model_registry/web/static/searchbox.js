// @ts-check
/** A combobox whose choices are searched for while the user types. */

import { Combobox } from "./combobox.js";

/** @import { Choice } from "./combobox.js" */

const PAUSE = 200; // milliseconds after a key

export class SearchBox {
  #typing = 0;
  #text = ""; // the last search
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
      find: (text) => this.#offered(text),
      choose,
      isChosen,
      isFree: true,
      leave,
    });
    this.list = this.combobox.list;
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.defaultPrevented) return;
      if (!isFree) this.#takeOnly();
      else if (!this.#isInFull && this.combobox.takeOnly()) event.preventDefault();
    });
    input.addEventListener("focus", () => this.#ask(this.combobox.wanted));
    input.addEventListener("click", () => this.#show(this.combobox.wanted));
    input.addEventListener("input", () => {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => input.isConnected && this.#show(input.value.trim()), PAUSE);
    });
  }

  /** Until the search for a text is done, offer the last results that match it. */
  #offered(text) {
    if (!text || text === this.#text) return this.#found;
    const word = text.toLowerCase();
    return this.#found.filter(({ label }) => label.toLowerCase().includes(word));
  }

  /** Whether the text is one of the results, so that nothing needs to be chosen. */
  get #isInFull() {
    const text = this.input.value.trim();
    return this.#found.some(({ value, label }) => value === text || label === text);
  }

  /** Choose the only result, once the search for the text is done. */
  async #takeOnly() {
    const text = this.combobox.wanted;
    clearTimeout(this.#typing);
    if (text && text !== this.#text) await this.#show(text);
    if (text === this.combobox.wanted) this.combobox.takeOnly();
  }

  async #ask(text) {
    const searching = (this.#searching = Symbol(text));
    const found = await this.search(text).catch(() => []); // the typed text counts
    if (this.#searching !== searching) return false;
    this.#found = found;
    this.#text = text;
    return true;
  }

  async #show(text) {
    const isNew = await this.#ask(text);
    const isHere = this.input.matches(":focus") && this.input.isConnected;
    if (isNew && isHere) this.combobox.show(text);
  }
}
