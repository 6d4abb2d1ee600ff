// @ts-check
/** A model's last test, API key, owner and grants, in words. */

import { resultLabel } from "./messages.js";

/** @import { Translate } from "./texts.js" */

const DAY = 86_400;
const SOON = 14 * DAY; // how long before expiry to warn, in seconds
/** @type {[Intl.RelativeTimeFormatUnit, number][]} */
const UNITS = [
  ["day", DAY],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

const secondsUntil = (at) => (Date.parse(at) - Date.now()) / 1000;

/** Return a time in words, relative to now. */
export function relativeTime(t, at) {
  const seconds = secondsUntil(at);
  if (!Number.isFinite(seconds)) return String(at);
  const [unit, size] = UNITS.find(([, each]) => Math.abs(seconds) >= each) ?? ["second", 1];
  const format = new Intl.RelativeTimeFormat(t.lang, { numeric: "auto" });
  return format.format(Math.round(seconds / size), unit);
}

/** Return whether a key has expired, or will soon; null if neither. */
export function expiry(at) {
  const left = at ? secondsUntil(at) : SOON;
  return left < 0 ? "expired" : left < SOON ? "expires" : null;
}

/** Return how many users and groups have it, in words; null if none. */
export function grantCounts(/** @type {Translate} */ t, grants) {
  const counts = [
    grants?.users ? t("users", { count: grants.users }) : "",
    grants?.groups ? t("groups", { count: grants.groups }) : "",
  ].filter(Boolean);
  return counts.length ? t.list.format(counts) : null;
}

/**
 * Return the state of a model for its row: texts, each with its style.
 *
 * @param {Translate} t
 * @param {any} details
 * @param {object} options
 * @param {boolean} options.isTested Whether to say what the last test found.
 * @param {boolean} options.needsKey Whether calls need a key.
 * @param {Map<string, string> | null} options.names People's names by key; null until known.
 * @returns {[string, string][]}
 */
export function stateOf(t, details, { isTested, needsKey, names }) {
  const { model, owner, test, key, grants } = details;
  const shared = grantCounts(t, grants);
  const tested = isTested ? lastTest(t, test) : null;
  const whose = { who: names?.get(owner) ?? t("user", { user: owner }) };
  // A gift arrives switched off. Nothing records that it is one.
  const mayBeGift = model.is_owner && !model.is_active;
  const all = [
    tested,
    keyState(t, key, needsKey),
    model.is_owner || !names ? null : [t("from", whose), ""],
    shared ? [t("shared_with_", { who: shared }), ""] : null,
    mayBeGift ? [t("if_given", { accept: t("switch_on"), decline: t("delete_") }), ""] : null,
  ];
  return /** @type {[string, string][]} */ (all.filter(Boolean));
}

/** Return what the last test found, and when. */
function lastTest(t, test) {
  if (!test) return [t("untested"), ""];
  const text = t("tested", { result: resultLabel(t, test), when: relativeTime(t, test.at) });
  return [text, test.result === "ok" ? "ok" : "bad"];
}

function keyState(t, key, needsKey) {
  if (!key?.is_set) return needsKey ? [t("no_key"), "bad"] : null;
  const state = expiry(key.expires_at);
  return state && [t(`key_${state}`, { when: relativeTime(t, key.expires_at) }), "bad"];
}
