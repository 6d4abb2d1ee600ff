// @ts-check
/** The bar of actions on the selected models. */

import { button, h } from "./dom.js";

/** @import { Page } from "./page.js" */

/** Return whether a model's provider allows tests. */
export const canBeTested = (/** @type {Page} */ page, model) =>
  page.providerOf(model)?.can_be_tested !== false;

export function draw(/** @type {Page} */ page) {
  const { t, selection } = page;
  const { element } = selection;
  const models = [...selection.models.values()];
  if (!models.length) return;
  const { activeElement: active } = page.root;
  const hasFocus = element.contains(active);
  const text = t("selected", { count: models.length });
  element.hidden = false;
  element.setAttribute("aria-label", text);
  const rules = {
    test: (model) => canBeTested(page, model),
    share_: (model) => model.is_owner,
    switch_off: (model) => model.can_edit && model.is_active,
    delete_: (model) => model.can_delete,
  };
  const actions = Object.entries(rules).map(([name, is]) => action(page, name, models.filter(is)));
  actions.push(button(t("clear"), () => selection.select(false)));
  element.replaceChildren(h("span", {}, text), ...actions);
  if (!hasFocus) return;
  const place = element.querySelector(`[data-act="${active?.getAttribute("data-act")}"]:enabled`);
  (place ?? page.title).focus();
}

function action(page, name, models) {
  const { t, selection } = page;
  const label = t("of_count", { action: t(name), count: models.length });
  const onclick = ({ currentTarget }) =>
    page.run(currentTarget, () => selection.run(name, models), { lock: selection });
  return button(label, onclick, {
    "data-act": name,
    "data-key": `selection:${name}`,
    disabled: !models.length,
  });
}
