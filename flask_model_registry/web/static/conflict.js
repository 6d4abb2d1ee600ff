// @ts-check
/** The dialog for a model that another user has changed meanwhile. */

import { Destination } from "./destination.js";
import { openDialog } from "./dialog.js";
import { button, h } from "./dom.js";

/** @import { Page } from "./page.js" */

const LABELS = {
  model_id: "name",
  category: "category",
  model_provider: "provider",
  base_url: "address",
  api_key: "key",
  model_name: "model",
  temperature: "temperature",
  dimension: "dimension",
  abilities: "abilities",
  description: "description",
  share_with_users: "share_with_everyone",
};

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** Return a field of a model as a form has it. */
const valueOf = (model, name) => (name === "share_with_users" ? model.is_shared : model[name]);

/**
 * Show another user's changes next to what was typed here.
 *
 * @param {Page} page
 * @param {string} key Where the focus goes afterwards.
 * @param {any} before The model as it was opened.
 * @param {any} theirs The model now.
 * @param {Record<string, any>} mine What was typed.
 * @returns {Promise<Record<string, any> | null>} The changes to save; null to go back to the form.
 */
export function resolveConflict(page, key, before, theirs, mine) {
  const { t } = page;
  const shown = (value) => {
    if (typeof value === "boolean") return t(value ? "yes" : "no");
    if (typeof value === "number") return t.numbers.format(value);
    return (Array.isArray(value) ? t.list.format(value) : value) || t("empty");
  };
  const ofKey = () => {
    const { elements } = new Destination(page, { ...theirs, ...mine });
    return t.parts("changed_key", { url: elements });
  };
  const kept = new Map();
  const row = (name) => {
    const isTheirs = name !== "api_key" && !isSame(valueOf(before, name), valueOf(theirs, name));
    const isMine = name in mine;
    if (!isMine && !isTheirs) return null;
    const theirValue = h(
      "span",
      { dir: "auto" },
      t("theirs", { value: shown(valueOf(theirs, name)) }),
    );
    const value = name === "api_key" ? ofKey() : shown(mine[name]);
    const myValue = h("span", { dir: "auto" }, t.parts("yours", { value }));
    const legend = h("legend", {}, t(LABELS[name]));
    if (!isMine) return h("fieldset", {}, legend, theirValue);
    if (!isTheirs) return h("fieldset", {}, legend, myValue);
    const choice = (content, checked) => {
      const radio = h("input", { type: "radio", name: `keep-${name}`, checked });
      return [radio, h("label", { class: "check" }, radio, content)];
    };
    const [, theirChoice] = choice(theirValue, false);
    const [radio, myChoice] = choice(myValue, true);
    kept.set(name, radio);
    return h("fieldset", { class: "sides" }, legend, theirChoice, myChoice);
  };
  return new Promise((resolve) => {
    const finish = (choice) => () => {
      resolve(choice());
      dialog.close();
    };
    const isKept = (/** @type {[string, any]} */ [name]) => kept.get(name)?.checked ?? true;
    const buttons = [
      button(
        t("back"),
        finish(() => null),
      ),
      button(
        t("save_these"),
        finish(() => Object.fromEntries(Object.entries(mine).filter(isKept))),
        { class: "primary" },
      ),
    ];
    const rows = Object.keys(LABELS).map(row);
    const content = h("div", {}, h("p", {}, t("changed_why")), rows, h("footer", {}, buttons));
    const title = t("changed_what", { model: theirs.model_id });
    const dialog = openDialog(page, title, key, content);
    dialog.addEventListener("close", () => resolve(null));
  });
}
