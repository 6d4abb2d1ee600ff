// @ts-check
/** Tests and registers models with their own key, a credential, or a new credential for all. */

import { Problem } from "./client.js";
import { resultOf } from "./messages.js";

/** @import { ModelForm } from "./form.js" */
/** @import { Page } from "./page.js" */

// Results of a test whose provider responds and accepts the key.
const GOOD = ["ok", "not_listed", "no_list"];
// Errors that the form shows at fields, and missing logins.
const MEANT = [0, 400, 401, 413, 415, 422];

/**
 * Test what is to be registered; return an objection, or null.
 *
 * @param {Page} page
 * @param {ModelForm} form
 */
export async function objection(page, form) {
  const { account, canBeTested } = form.connection;
  if (!canBeTested) return null;
  try {
    const { content } = await ask(page, form, account);
    return GOOD.includes(content?.result) ? null : resultOf(page.t, content)[0];
  } catch (error) {
    // A 403 from the host's own code may mean that the user is not logged in.
    const isMeant = error.isForeign && error.status === 403;
    if (!(error instanceof Problem) || isMeant || MEANT.includes(error.status)) throw error;
    return page.messages.words(error);
  }
}

function ask(page, form, account) {
  const { model_name } = untested(form);
  const body = account ? { model_name } : { ...form.connection.value, model_name };
  const path = account ? `/credentials/${account.id}/test` : "/test-connection";
  return page.client.send("POST", path, { body });
}

/** Return the model to test: one that the provider has not listed, if there is one. */
function untested({ picker }) {
  const { chosen, served } = picker;
  return chosen.find(({ model_name: name }) => !served?.includes(name)) ?? chosen[0];
}

/**
 * Register what was chosen; return the models.
 *
 * @param {Page} page
 * @param {ModelForm} form
 * @returns {Promise<any[]>}
 */
export async function register(page, form) {
  const { connection, picker, common } = form;
  const { chosen } = picker;
  if (!connection.account && chosen.length === 1) {
    const { content } = await page.client.send("POST", "/register", { body: form.body });
    return [content];
  }
  if (!connection.account) connection.use(await makeCredential(page, form));
  const models = chosen.map((each) => ({ ...common, ...each }));
  try {
    const path = `/credentials/${connection.account.id}/models`;
    const { content } = await page.client.send("POST", path, { body: { models } });
    if (!Array.isArray(content)) throw new Problem(0, { key: "unread" });
    return content;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const isTaken = error.code === "model-id-taken";
    error.errors = isTaken
      ? await taken(page, chosen)
      : error.errors.map((each) => placed(each, chosen.length > 1));
    throw error;
  }
}

async function makeCredential(page, form) {
  const { model_provider, base_url, api_key } = form.connection.value;
  const body = { name: form.account.value.trim(), model_provider, base_url, secret: { api_key } };
  try {
    const { content } = await page.client.send("POST", "/credentials", { body });
    return content;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (error.code === "credential-name-taken") {
      error.errors = [{ field: "name", message: page.t("taken_credential") }];
    }
    error.errors = error.errors.map(({ field, message }) => ({
      field: field.replace(/^secret\./, ""),
      message,
    }));
    throw error;
  }
}

/** Return an error at a model's own field, or at one that all models have in common. */
function placed({ field, message }, areMany) {
  const [, number, name] = /^models\.(\d+)\.(\w+)/.exec(field) ?? [];
  if (!name) return { field, message };
  const isOwn = name === "model_id" || name === "model_name";
  return { field: isOwn && areMany ? `models.${number}` : name, message };
}

/** Return an error at each taken name. The server only lists them in a sentence. */
async function taken(page, chosen) {
  const isTaken = async ({ model_id: id }) => {
    const path = `/by-id/${encodeURIComponent(id).replaceAll("%2F", "/")}`;
    const { content } = await page.client.send("GET", path);
    return content.is_owner || content.is_shared;
  };
  const all = await Promise.all(chosen.map((each) => isTaken(each).catch(() => false)));
  const message = page.t("taken");
  return all.flatMap((is, i) =>
    is ? [{ field: chosen.length > 1 ? `models.${i}` : "model_id", message }] : [],
  );
}
