// @ts-check
/** A text field with a list to choose from, which the keyboard reaches from the field (ARIA's combobox). */

import { h, newId } from "./dom.js";

/** @typedef {{ value: string, label: string, note?: string, mark?: Element }} Choice */

export class Combobox {
  #active = -1;
  /** @type {Choice[]} */ #choices = [];
  #isTyped = false;

  /**
   * @param {HTMLInputElement} input
   * @param {object} options
   * @param {string} options.label The name of the list.
   * @param {(text: string) => Choice[]} options.find Return what to offer for a text.
   * @param {(value: string) => void} options.choose
   * @param {(value: string) => boolean} options.isChosen
   * @param {boolean} [options.isInline] Whether the list is shown all the time, and several can be chosen.
   * @param {boolean} [options.isFree] Whether typed text counts too, so that nothing is chosen for the user.
   * @param {() => void} [options.leave] Called when the field is left without a choice.
   */
  constructor(input, { label, find, choose, isChosen, isInline = false, isFree = false, leave }) {
    this.input = input;
    this.find = find;
    this.choose = choose;
    this.isChosen = isChosen;
    this.isInline = isInline;
    this.isFree = isFree;
    this.list = h("ul", {
      id: newId(),
      role: "listbox",
      tabindex: "-1", // browsers tab to what scrolls, but the field reaches its options
      class: isInline ? "choices" : "choices popup",
      "aria-label": label,
      "aria-multiselectable": isInline ? "true" : null,
      hidden: true,
      onmousedown: (event) => event.preventDefault(), // keep the focus in the field
      onclick: (event) => this.#onClick(event),
    });
    const attributes = {
      role: "combobox",
      "aria-autocomplete": "list",
      "aria-expanded": "false",
      "aria-controls": this.list.id,
    };
    for (const [name, value] of Object.entries(attributes)) input.setAttribute(name, value);
    input.addEventListener("keydown", (event) => this.#onKeydown(event));
    input.addEventListener("input", () => {
      this.#isTyped = true;
      this.show(input.value);
    });
    if (isInline) return;
    input.addEventListener("click", () => this.show(this.query));
    input.addEventListener("blur", () => {
      this.hide();
      if (!leave) return;
      this.#isTyped = false;
      leave();
    });
  }

  /** What to search for: the typed text, unless it was chosen or the next key replaces it. */
  get query() {
    const { value, selectionStart, selectionEnd } = this.input;
    const isSelected = selectionStart === 0 && selectionEnd === value.length;
    return this.#isTyped && !isSelected ? value.trim() : "";
  }

  get isOpen() {
    return !this.list.hidden;
  }

  show(text) {
    const chosen = this.#choices[this.#active]?.value;
    this.#choices = this.find(text.trim());
    this.list.replaceChildren(
      ...this.#choices.map(({ value, label, note, mark }, i) =>
        h(
          "li",
          {
            id: `${this.list.id}-${i}`,
            role: "option",
            "aria-selected": String(this.isChosen(value)),
          },
          mark,
          h("span", { dir: "auto" }, label),
          note ? h("span", { class: "hint" }, note) : null,
        ),
      ),
    );
    this.list.hidden = !this.#choices.length;
    this.input.setAttribute("aria-expanded", String(this.isOpen));
    const index = this.#choices.findIndex(({ value }) => value === chosen);
    this.#activate(this.isInline || this.isFree || !this.#isTyped ? index : 0);
  }

  hide() {
    this.list.hidden = true;
    this.list.replaceChildren();
    this.#active = -1;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  #activate(index) {
    const options = [...this.list.children];
    this.#active = options[index] ? index : -1;
    options.forEach((each, i) => each.classList.toggle("active", i === this.#active));
    const option = options[this.#active];
    if (!option) {
      this.input.removeAttribute("aria-activedescendant");
      return;
    }
    this.input.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  }

  #onClick({ target }) {
    const index = [...this.list.children].indexOf(target.closest("[role=option]"));
    if (index >= 0) this.#pick(index);
  }

  #pick(index) {
    const { value } = this.#choices[index];
    if (!this.isInline) {
      this.hide();
      this.#isTyped = false;
    }
    this.choose(value);
    if (this.isInline) this.show(this.input.value);
  }

  #onKeydown(event) {
    if (event.key === "ArrowDown") this.#step(event, 1);
    else if (event.key === "ArrowUp") this.#step(event, -1);
    else if (!this.isOpen) return;
    else if (event.key === "Escape" && !this.isInline) {
      event.preventDefault(); // keep the dialog
      this.hide();
    } else if (this.#active >= 0) this.#chooseActive(event);
    else if (event.key === "Enter" && this.isInline) this.#chooseTyped(event);
  }

  /** Choose what is typed in full, or the only match; return whether there is one. */
  chooseOnlyMatch() {
    const text = this.query;
    const exact = this.#choices.findIndex(({ label }) => label === text);
    const index = exact < 0 && this.#choices.length === 1 ? 0 : exact;
    if (!text || index < 0 || !this.isOpen) return false;
    this.#pick(index);
    return true;
  }

  /** Choose what is typed in full, before the form can be sent. */
  #chooseTyped(event) {
    const text = this.input.value.trim();
    const index = this.#choices.findIndex(({ value }) => value === text && !this.isChosen(value));
    if (index < 0) return;
    event.preventDefault();
    this.#pick(index);
  }

  #step(event, step) {
    event.preventDefault();
    if (!this.isOpen) this.show(this.query);
    const count = this.#choices.length;
    const from = this.#active < 0 && step < 0 ? 0 : this.#active;
    if (count) this.#activate((from + step + count) % count);
  }

  #chooseActive(event) {
    if (event.key === "Enter") event.preventDefault(); // don't send the form
    if (event.key === "Enter" || (event.key === "Tab" && !this.isInline)) this.#pick(this.#active);
  }
}
