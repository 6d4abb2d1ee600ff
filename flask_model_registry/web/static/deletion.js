// @ts-check
/** What is lost when models are deleted, and which credentials stay. */

/** @import { Page } from "./page.js" */

export function deletionText(/** @type {Page} */ { models: list, t }, /** @type {any[]} */ models) {
  /** @type {Map<string | undefined, string[]>} */
  const names = new Map();
  for (const { id, model_id: name } of models) {
    const credential = list.details.get(id)?.key.credential?.name;
    names.set(credential, [...(names.get(credential) ?? []), name]);
  }
  const texts = [...names].map(([credential, each]) => {
    const values = { model: t.list.format(each), count: each.length, credential };
    return t(credential ? "delete_why_kept" : "delete_why", values);
  });
  return texts.join(" ");
}
