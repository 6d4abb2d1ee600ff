// @ts-check
/** What is done to one model: switched on and off, given back, deleted. */

import { ifMatch, listed, problem } from "./client.js";

/** @import { Page } from "./page.js" */

/** Say what was done, and show it. */
async function done(page, id, text) {
  page.changed(id);
  page.say(text);
  await page.refresh();
}

async function change(page, id, isActive, headers = {}) {
  const body = { is_active: isActive };
  const { content } = await page.client.send("PATCH", `/${id}`, { body, headers });
  const text = content.is_active ? "switched_on" : "switched_off";
  await done(page, id, page.t(text, { model: content.model_id }));
}

export const switchOff = (/** @type {Page} */ page, { id }) => change(page, id, false);

/** Switch on the model that the server has now; ask first if its URL is not the provider's own. */
export async function switchOn(/** @type {Page} */ page, { id }) {
  const { content: model, tag } = await page.client.send("GET", `/${id}`);
  if (!(await mayBeCalled(page, model))) return;
  try {
    await change(page, id, true, ifMatch(tag));
  } catch (error) {
    if (error.status !== 412) throw error;
    await page.refresh();
    throw problem("changed_on", 412);
  }
}

async function mayBeCalled({ dialogs, models, t }, model) {
  const destination = models.destinationOf(model);
  if (destination.isOwn) return true;
  if (dialogs.isOpen) return false;
  const title = t("switch_on_what", { model: model.model_id });
  const text = t.parts("switch_on_why", { url: destination.elements });
  return dialogs.confirm(title, text, t("switch_on"), `${model.id}:switch_on`);
}

/** Remove the user's own grant; grants to groups stay. */
export async function decline(/** @type {Page} */ page, { id, model_id: model }) {
  const { client, dialogs, t, userId } = page;
  const title = t("remove_what", { model });
  const text = t("remove_why", { model });
  if (!(await dialogs.confirm(title, text, t("remove"), `${id}:more`))) return;
  // 404: there is no such grant, or the model is out of sight already.
  const ignored = (error) => {
    if (error.status !== 404) throw error;
  };
  const path = `/${id}/grants/users/${encodeURIComponent(userId ?? "")}`;
  await client.send("DELETE", path).catch(ignored);
  const left = await client.send("GET", `/${id}`).catch(ignored);
  await done(page, id, t(left ? "stays" : "removed", { model }));
}

/** Delete a model after a question; offer what lets it go if it is a default of the user. */
export async function remove(/** @type {Page} */ page, model) {
  const { dialogs, t } = page;
  const text = t("delete_why", { model: model.model_id });
  if (!(await dialogs.confirm(t("delete_what"), text, t("delete"), `${model.id}:more`))) return;
  try {
    await drop(page, model);
  } catch (error) {
    const remedy = error.status === 409 ? await remedyFor(page, model) : null;
    if (!remedy) throw error;
    page.models.tell(model, t("is_default", { kinds: remedy.kinds }), "bad", remedy);
  }
}

async function drop(page, { id, model_id: model }) {
  await page.client.send("DELETE", `/${id}`);
  await done(page, id, page.t("deleted", { model }));
}

/** Return what lets a model go that is a default of the user; null if it is not. */
async function remedyFor(page, model) {
  const defaults = await page.client.send("GET", "/defaults").then(listed);
  const own = defaults.filter((each) => each.source === "user" && each.model.id === model.id);
  if (!own.length || !model.can_delete) return null;
  const kinds = new Intl.ListFormat(page.t.lang).format(
    own.map((each) => page.models.kindOf(each.config_type)),
  );
  const act = async () => {
    for (const { config_type: kind } of own) {
      await page.client.send("DELETE", `/defaults/${kind}?scope=user`);
    }
    await drop(page, model);
  };
  return { label: page.t("clear_and_delete"), kinds, act, row: model };
}
