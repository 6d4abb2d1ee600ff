// @ts-check
/** What the server keeps of a model beside its fields: its last test, its key, and whom it is shared with. */

import { h } from "./dom.js";
import { resultOf } from "./messages.js";

/** @import { Translate } from "./texts.js" */

const DAY = 86_400;
const SOON = 14 * DAY; // seconds before a key expires, from when on it is said
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", DAY],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** Return how long ago a time was, in words. */
function ago(t, at) {
  const seconds = Math.round((Date.parse(at) - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(t.lang, { numeric: "auto" });
  return format.format(Math.trunc(seconds / size), unit);
}

/** Return what is to be said of a key, if anything is. */
function ofKey(t, { is_set: isSet, expires_at: at }, needsKey) {
  if (!isSet) return needsKey ? t("key_missing") : null;
  const left = at ? (Date.parse(at) - Date.now()) / 1000 : SOON;
  if (left >= SOON) return null;
  const date = new Intl.DateTimeFormat(t.lang, { dateStyle: "medium" }).format(Date.parse(at));
  return t(left < 0 ? "expired" : "expires", { date });
}

/**
 * Return what is to be said of the state of a model, by the name of the text that labels it.
 *
 * @param {Translate} t
 * @param {any} details
 * @param {boolean} needsKey Whether calls need a key.
 */
export function stateOf(t, { test, key, grants }, needsKey) {
  const counts = [
    grants?.users ? t("users", { count: grants.users }) : "",
    grants?.groups ? t("groups", { count: grants.groups }) : "",
  ].filter(Boolean);
  const warning = ofKey(t, key, needsKey);
  return {
    test: test ? `${resultOf(t, test)[0]} (${ago(t, test.at)})` : null,
    key: warning ? h("span", { class: "bad" }, warning) : (key.credential?.name ?? null),
    shared_with: counts.length ? t.list.format(counts) : null,
  };
}
