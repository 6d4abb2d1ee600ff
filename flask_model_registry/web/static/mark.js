// @ts-check
/** Marks that tell providers apart at a glance. Their logos belong to them. */

import { h } from "./dom.js";

/** Return the initials of a name on a color of its own: "DS" for DeepSeek. */
export function markOf(/** @type {string} */ name) {
  const [first, second = name[1]] = name.match(/\p{Lu}|\b[\p{L}\p{N}]/gu) ?? [name];
  const initials = `${first}${second ?? ""}`; // drawn by CSS, so that they aren't part of the name
  const mark = h("span", { class: "mark", "aria-hidden": "true", "data-initials": initials });
  const sum = [...name].reduce(
    (hash, letter) => (hash * 31 + (letter.codePointAt(0) ?? 0)) % 997,
    7,
  );
  mark.style.setProperty("--hue", String((sum * 137) % 360));
  return mark;
}
