// @ts-check
/** Loads what a form needs, and opens it. */

import { asList } from "./client.js";
import { FormDialog } from "./edit.js";

/** @import { Page } from "./page.js" */

/**
 * Open the form of a model, or that of a new one.
 *
 * @param {Page} page
 * @param {any} model The model to change, or null.
 * @param {any} original The model to copy, or null.
 */
export async function openForm(page, model, original) {
  page.providers ??= asList(await page.client.send("GET", "/providers"));
  if (!model) {
    const given = {
      credentials: await credentialsOf(page),
      original,
      credentialId: await credentialIdOf(page, original),
    };
    if (!page.dialogs.isOpen) new FormDialog(page, null, null, given);
    return;
  }
  const { content, tag } = await page.client.send("GET", `/${model.id}`);
  if (!page.dialogs.isOpen) new FormDialog(page, content, tag);
}

/** Return the user's credentials; none if they do not load, because models can have their own keys. */
async function credentialsOf(page) {
  try {
    return await page.client.all("/credentials");
  } catch (error) {
    if (error.status === 401 || error.name === "AbortError") throw error;
    return [];
  }
}

/** Return the id of the credential of the user's model, if any. */
async function credentialIdOf(page, original) {
  if (!original?.is_owner) return null;
  const { content } = await page.client.send("GET", `/${original.id}/credential`);
  return content.credential;
}
