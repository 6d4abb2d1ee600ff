// @ts-check
/** Actions on one model: switch it on or off, decline it, delete it. */

import { asList, ifMatch, problem } from "./client.js";
import { deletionText } from "./deletion.js";
import { Destination } from "./destination.js";
import { confirmed } from "./dialog.js";

/** @import { Page } from "./page.js" */

/** Announce a change, and show it. */
async function finish(page, id, text, /** @type {any} */ undo = null) {
  page.changed(id);
  page.notify(text, false, undo);
  await page.refresh();
}

async function setActive(page, id, isActive, tag = null, isUndo = false) {
  const body = { is_active: isActive };
  const sent = await page.client.send("PATCH", `/${id}`, { body, headers: ifMatch(tag) });
  const model = sent.content;
  const text = page.t(model.is_active ? "switched_on" : "switched_off", { model: model.model_id });
  const act = async () => {
    await (isActive
      ? setActive(page, id, false, sent.tag, true)
      : activate(page, id, sent.tag, true));
    page.focus(`${id}:more`);
  };
  await finish(page, id, text, isUndo ? null : { act, row: model });
}

export const switchOff = (/** @type {Page} */ page, { id }) => setActive(page, id, false);

/** Switch on the model as the server has it. Ask first if its URL is not the provider's own. */
export async function switchOn(/** @type {Page} */ page, { id }) {
  const { content: model, tag } = await page.client.send("GET", `/${id}`);
  if (await confirmDestination(page, model)) await activate(page, id, tag);
}

async function activate(page, id, tag, isUndo = false) {
  try {
    await setActive(page, id, true, tag, isUndo);
  } catch (error) {
    if (error.status !== 412) throw error;
    await page.refresh();
    throw problem("changed_on", 412);
  }
}

async function confirmDestination(page, model) {
  const { dialogs, t } = page;
  const destination = new Destination(page, model);
  if (destination.isOwn) return true;
  if (dialogs.isOpen) return false;
  const title = t("switch_on_what", { model: model.model_id });
  const text = t.parts("switch_on_why", { url: destination.elements });
  return confirmed(page, title, text, t("switch_on"), `${model.id}:switch_on`);
}

/** Remove the user's own grant; grants to groups stay. */
export async function decline(/** @type {Page} */ page, { id, model_id: model }) {
  const { client, t, userId } = page;
  const title = t("remove_what", { model });
  const text = t("remove_why", { model });
  if (!(await confirmed(page, title, text, t("remove"), `${id}:more`))) return;
  // 404: there is no such grant, or the model is already hidden.
  const ignore404 = (error) => {
    if (error.status !== 404) throw error;
  };
  const path = `/${id}/grants/users/${encodeURIComponent(userId ?? "")}`;
  await client.send("DELETE", path).catch(ignore404);
  const left = await client.send("GET", `/${id}`).catch(ignore404);
  await finish(page, id, t(left ? "stays" : "removed", { model }));
}

/** Delete a model after a question. If it is the user's default, offer to clear that. */
export async function remove(/** @type {Page} */ page, model) {
  const { t } = page;
  const text = deletionText(page, [model]);
  if (!(await confirmed(page, t("delete_what"), text, t("delete"), `${model.id}:more`))) return;
  try {
    await deleteModel(page, model);
  } catch (error) {
    const fix = error.status === 409 ? await fixFor(page, model) : null;
    if (!fix) throw error;
    page.models.showResult(model, t("is_default", { kinds: fix.kinds }), "bad", { fix });
  }
}

async function deleteModel(page, { id, model_id: model }) {
  await page.client.send("DELETE", `/${id}`);
  await finish(page, id, page.t("deleted", { model }));
}

/** Return how to clear the user's defaults and delete their model; null if none. */
async function fixFor(page, model) {
  const defaults = await page.client.send("GET", "/defaults").then(asList);
  const own = defaults.filter((each) => each.source === "user" && each.model.id === model.id);
  if (!own.length || !model.can_delete) return null;
  const kinds = new Intl.ListFormat(page.t.lang).format(
    own.map((each) => page.models.kindName(each.config_type)),
  );
  const act = async () => {
    for (const { config_type: kind } of own) {
      await page.client.send("DELETE", `/defaults/${kind}?scope=user`);
    }
    await deleteModel(page, model);
  };
  return { label: page.t("clear_and_delete"), kinds, act, row: model };
}
