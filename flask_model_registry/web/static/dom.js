// @ts-check
/** Elements, and error messages at form fields. Text from the server never becomes markup. */

/**
 * Make an element. Children are elements or text; `on…` are listeners; true and false toggle.
 *
 * @returns {any}
 */
export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (typeof value === "boolean") node.toggleAttribute(name, value);
    else if (value !== undefined && value !== null) node.setAttribute(name, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return node;
}

export const button = (label, onclick, /** @type {any} */ attributes = {}) => {
  const part = `button ${attributes.class ?? ""}`.trim();
  return h("button", { type: "button", part, onclick, ...attributes }, label);
};

export const submitButton = (label = "") =>
  h("button", { type: "submit", class: "primary", part: "button primary" }, label);

export const options = (choices, chosen) =>
  Object.entries(choices).map(([value, label]) =>
    h("option", { value, selected: value === chosen }, label),
  );

let ids = 0;

/** Return an id that no element has. */
export const newId = () => `field-${++ids}`;

/** Put a label before a control, and a hint, notes and room for errors after it. */
export function field(name, label, control, hint = "", ...notes) {
  const id = newId();
  const tip = h("p", { class: "hint", id: `${id}-hint` }, hint);
  const error = h("p", { class: "error", id: `${id}-error` });
  notes.forEach((note, i) => {
    note.id = `${id}-note-${i}`;
  });
  control.id = id;
  control.setAttribute("aria-describedby", [tip, ...notes, error].map((each) => each.id).join(" "));
  return h(
    "div",
    { class: "field", part: "field", "data-field": name },
    h("label", { for: id }, label),
    control,
    tip,
    notes,
    error,
  );
}

/** Show a field's error, if there is such a field. */
export function showError(form, name, message) {
  const find = (each) => [...form.querySelectorAll(`[data-field="${CSS.escape(each)}"]`)];
  const exact = find(name);
  const places = exact.length ? exact : find(name.split(".")[0]);
  const place = places.filter((each) => !each.hidden).at(-1);
  const error = place?.querySelector(".error");
  if (!error) return false;
  error.textContent = [error.textContent, message].filter(Boolean).join(" ");
  const folded = place.closest("details");
  if (folded) folded.open = true;
  for (const control of place.querySelectorAll("input, select, textarea")) {
    control.setAttribute("aria-invalid", "true");
  }
  return true;
}

export function clearError(place) {
  const error = place.querySelector(".error");
  if (error) error.textContent = "";
  for (const control of place.querySelectorAll("[aria-invalid]")) {
    control.removeAttribute("aria-invalid");
  }
}

/**
 * Show each error at its field, and the rest in the form's alert.
 *
 * @param {any} form
 * @param {{ field: string, message: string }[]} errors
 * @param {string} fields The alert if there are fields to look at.
 * @param {string} text The alert otherwise.
 */
export function showErrors(form, errors, fields, text) {
  clearErrors(form);
  const rest = errors
    .filter(({ field: name, message }) => !showError(form, name, message))
    .map(({ field: name, message }) => (name ? `${name}: ${message}` : message));
  const alert = form.querySelector("[role=alert]");
  alert.textContent = rest.join(" ") || (errors.length ? fields : text);
  (form.querySelector("[aria-invalid]") ?? alert).focus();
}

export function clearErrors(form) {
  form.querySelector("[role=alert]").textContent = "";
  for (const error of form.querySelectorAll(".error")) clearError(error.parentElement);
}
