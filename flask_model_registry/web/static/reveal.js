// @ts-check
/** Shows new models in the list, at their place in the chosen order. */

import { asList } from "./client.js";

/** @import { Page } from "./page.js" */

const MAX_PAGES = 40; // to look through

/**
 * Redraw the list at the page with the first of the new models, and test them all.
 *
 * @param {Page} page
 * @param {any[]} models
 * @param {object} options
 * @param {string} options.text The message of the registration, which also says if the filters hide them.
 * @param {boolean} options.canBeTested
 */
export async function reveal(page, models, { text, canBeTested }) {
  const isShown = await turnTo(page, models[0].id);
  if (!isShown) page.notify(`${text} ${page.t("filtered_out")}`);
  if (canBeTested) testAll(page, models);
}

/** Test new models, because the server keeps no tests from before they were registered. */
async function testAll(page, models) {
  try {
    for (const model of models) await page.models.test(model, true);
  } catch {
    // No user asked for it, so the rows just say that models are not tested.
  }
}

/** Turn to the page with a model; return whether the filters show it. */
async function turnTo(page, id) {
  await page.refresh();
  if (!page.models.has(id) && !page.messages.hasFailed) {
    const pages = await pagesTo(page, id);
    if (!pages) return false;
    page.pages = pages;
    await page.refresh();
  }
  const row = page.list.querySelector(`[data-id="${CSS.escape(String(id))}"]`);
  row?.scrollIntoView({ block: "nearest" });
  return true;
}

/** Return the queries of the pages up to the one with a model; null if none has it. */
async function pagesTo(page, id) {
  const pages = [""];
  let { query } = page.filters;
  while (pages.length <= MAX_PAGES) {
    const found = await page.client.send("GET", `/details${query}`);
    if (asList(found).some(({ model }) => model.id === id)) return pages;
    if (!found.next) return null;
    query = found.next;
    pages.push(query);
  }
  return null;
}
