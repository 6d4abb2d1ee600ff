// @ts-check
/** Check boxes with labels, in dialogs. */

import { h, newId } from "./dom.js";

/** Make a check box with its label after it. */
export function check(name, label, checked = false, attributes = {}) {
  const box = h("input", { type: "checkbox", checked, ...attributes });
  return h("label", { class: "check", "data-field": name }, box, h("span", {}, label));
}

/** Make a group of check boxes, with room for their errors. */
export function checks(name, legend, labels, checked) {
  const error = h("p", { class: "error", id: `${newId()}-error` });
  const boxes = labels.map((label) =>
    check(name, label, checked.includes(label), { value: label }),
  );
  return h(
    "fieldset",
    { "data-field": name, "aria-describedby": error.id },
    h("legend", {}, legend),
    boxes,
    error,
  );
}
