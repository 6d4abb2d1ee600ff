// @ts-check
/** Tests and registers models with their own key, a credential, or a new credential for all. */

import { Problem } from "./client.js";
import { resultMessage } from "./messages.js";

/** @import { ModelForm } from "./form.js" */
/** @import { Page } from "./page.js" */

// Results of a test whose provider responds and accepts the key.
const PASSED = ["ok", "not_listed", "no_list"];
const OTHER_ERRORS = [0, 400, 401, 413, 415, 422];

/**
 * Test what will be registered. Return the message of a failure, or null.
 *
 * @param {Page} page
 * @param {ModelForm} form
 */
export async function testFailure(page, form) {
  const { credential, canBeTested } = form.connection;
  if (!canBeTested) return null;
  try {
    const { content } = await ask(page, form, credential);
    return PASSED.includes(content?.result) ? null : resultMessage(page.t, content)[0];
  } catch (error) {
    if (isUnrelated(error)) throw error;
    return page.messages.textFor(error);
  }
}

/** Return whether an error says nothing about the key or the model: wrong input, no login, no network. */
export function isUnrelated(error) {
  // A 403 from the host's own code may mean that the user is not logged in.
  const isLogout = !error.isFromRegistry && error.status === 403;
  return !(error instanceof Problem) || isLogout || OTHER_ERRORS.includes(error.status);
}

function ask(page, form, credential) {
  const { model_name } = modelToTest(form);
  const body = credential ? { model_name } : { ...form.connection.value, model_name };
  const path = credential ? `/credentials/${credential.id}/test` : "/test-connection";
  return page.client.send("POST", path, { body });
}

/** Prefer a model that the provider has not listed. */
function modelToTest({ picker }) {
  const { chosen, served } = picker;
  return chosen.find(({ model_name: name }) => !served?.includes(name)) ?? chosen[0];
}

/**
 * Register the chosen models; return them.
 *
 * @param {Page} page
 * @param {ModelForm} form
 * @returns {Promise<any[]>}
 */
export async function register(page, form) {
  const { connection, picker, common } = form;
  const { chosen } = picker;
  if (!connection.credential && chosen.length === 1) {
    const { content } = await page.client.send("POST", "/register", { body: form.body });
    return [content];
  }
  if (!connection.credential) connection.useCredential(await makeCredential(page, form));
  const models = chosen.map((each) => ({ ...common, ...each }));
  try {
    const path = `/credentials/${connection.credential.id}/models`;
    const { content } = await page.client.send("POST", path, { body: { models } });
    if (!Array.isArray(content)) throw new Problem(0, { key: "unread" });
    return content;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const isTaken = error.code === "model-id-taken";
    error.errors = isTaken
      ? await takenErrors(page, chosen)
      : error.errors.map((each) => toFormError(each, chosen.length > 1));
    throw error;
  }
}

async function makeCredential(page, form) {
  const { model_provider, base_url, api_key } = form.connection.value;
  const name = form.credentialName.value.trim();
  const body = { name, model_provider, base_url, secret: { api_key } };
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
function toFormError({ field, message }, areMany) {
  const [, number, name] = /^models\.(\d+)\.(\w+)/.exec(field) ?? [];
  if (!name) return { field, message };
  const isOwn = name === "model_id" || name === "model_name";
  return { field: isOwn && areMany ? `models.${number}` : name, message };
}

/** Return an error at each taken name. The server only lists them in a sentence. */
async function takenErrors(page, chosen) {
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
