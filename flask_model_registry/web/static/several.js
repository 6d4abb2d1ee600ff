// @ts-check
/** Actions on several models, one after the other. */

import { canBeTested } from "./bar.js";
import { deletionText } from "./deletion.js";
import { closeButton, confirmed, openDialog } from "./dialog.js";
import { h, submitButton } from "./dom.js";
import { ifMatch } from "./client.js";
import { Recipient } from "./recipient.js";

/** @import { Page } from "./page.js" */

/**
 * Act on each model. Failed ones show an error and stay selected. Return the others.
 *
 * @param {Page} page
 * @param {boolean} [isForm] Whether a form shows the error if all fail.
 */
async function runEach(page, action, models, act, isForm = false) {
  const { t } = page;
  const count = models.length;
  const done = [];
  const failed = [];
  for (const [i, model] of models.entries()) {
    page.notify(t("doing", { action, place: i + 1, count }));
    try {
      const result = await act(model);
      page.selection.models.delete(model.id);
      done.push({ model, result });
    } catch (error) {
      if (error.name === "AbortError" || error.status === 401) throw error;
      failed.push([model, error]);
    }
  }
  if (isForm && !done.length) {
    page.notify("");
    throw failed[0][1];
  }
  await page.refresh();
  for (const [row, error] of failed) await page.messages.report(error, { row });
  return done;
}

const summary = (page, action, done, models) =>
  page.t(done.length ? "did" : "did_none", { action, place: done.length, count: models.length });

/** Share, test, switch off or delete models. */
export async function doAll(/** @type {Page} */ page, name, models) {
  if (name === "share_") {
    await shareAll(page, models);
    return;
  }
  if (name === "test_all") {
    const isAble = (model) => model.is_active && canBeTested(page, model);
    await doAll(page, "test", models.filter(isAble));
    return;
  }
  if (name === "delete_" && !(await confirmDeletion(page, models))) return;
  const action = page.t(name === "delete_" ? "delete" : name);
  const done = await runEach(page, action, models, ACTIONS[name](page));
  const isUndoable = name === "switch_off" && done.length > 0;
  const undo = isUndoable ? { act: () => switchOn(page, done) } : null;
  page.notify(summary(page, action, done, models), false, undo);
}

const ACTIONS = {
  test: (page) => (model) => page.models.test(model),
  delete_: (page) => async (model) => {
    await page.client.send("DELETE", `/${model.id}`);
    page.changed(model.id);
  },
  switch_off: (page) => (model) => setActive(page, model, false),
};

async function setActive(page, { id }, isActive, tag = null) {
  const body = { is_active: isActive };
  const response = await page.client.send("PATCH", `/${id}`, { body, headers: ifMatch(tag) });
  page.changed(id);
  return response.tag;
}

/** Switch models on again, unless they have changed since. */
async function switchOn(page, done) {
  const tags = new Map(done.map(({ model, result }) => [model.id, result]));
  const models = done.map(({ model }) => model);
  const action = page.t("switch_on");
  const on = await runEach(page, action, models, (model) =>
    setActive(page, model, true, tags.get(model.id)),
  );
  page.notify(summary(page, action, on, models));
}

function confirmDeletion(page, models) {
  const { t } = page;
  const title = t("delete_many", { count: models.length });
  return confirmed(page, title, deletionText(page, models), t("delete"), "selection:delete_");
}

async function shareAll(/** @type {Page} */ page, models) {
  const { t } = page;
  const title = t("share_many", { count: models.length });
  const names = t.list.format(models.map(({ model_id: name }) => name));
  const recipient = new Recipient(page, { hasGroups: true, hasEveryone: page.mayShare });
  const submit = submitButton(t("share"));
  const work = async () => {
    const chosen = await recipient.choose(names, "selection:share_");
    if (!chosen) return;
    const act = (model) => share(page, model, chosen);
    const done = await runEach(page, t("share"), models, act, true);
    page.notify(t("shared_many", { who: chosen.name, place: done.length, count: models.length }));
    dialog.close();
  };
  const onsubmit = (event) => {
    event.preventDefault();
    page.run(submit, work, { form });
  };
  const form = h(
    "form",
    { method: "dialog", novalidate: true, onsubmit },
    h("p", { class: "hint", dir: "auto" }, names),
    recipient.element,
    h("p", { role: "alert", tabindex: "-1" }),
    h(
      "footer",
      {},
      closeButton(t("cancel"), () => dialog),
      submit,
    ),
  );
  const loss = () => t(page.isBusy(submit) ? "leave_saving" : "leave_why");
  const dialog = openDialog(page, title, "selection:share_", form, loss);
}

async function share(page, { id }, { kind, key, rights }) {
  if (kind === "everyone") {
    await page.client.send("PATCH", `/${id}`, { body: { share_with_users: true } });
  } else {
    const path = `/${id}/grants/${kind}/${encodeURIComponent(key)}`;
    await page.client.send("PUT", path, { body: rights });
  }
  page.changed(id);
}
