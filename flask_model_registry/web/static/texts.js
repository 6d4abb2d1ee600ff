// @ts-check
/** Looks up what the page says, which hosts may replace, and has names that it shares with the server. */

/** @import { TEXTS } from "./en.js" */

/** What models of a category can do; those of others can do anything. */
export const ABILITIES = {
  embedding: ["embedding"],
  image: ["generate", "edit"],
  speech: ["asr", "tts"],
  rerank: ["rerank"],
};
/** What a default is for, and the category that its model is of. */
export const KINDS = {
  general: "llm",
  small_fast: "llm",
  visual: "llm",
  compact: "llm",
  embedding: "embedding",
  image: "image",
  image_edit: "image",
  asr: "speech",
  tts: "speech",
  rerank: "rerank",
};
export const CATEGORIES = ["llm", "embedding", "image", "speech", "rerank"];

/** @typedef {ReturnType<typeof texts>} Translate */
/** @typedef {typeof TEXTS & { errors: Record<string, string> }} Table All texts, and those of error codes. */

const LANGUAGES = {
  de: () => import("./de.js"),
  en: () => import("./en.js"),
  es: () => import("./es.js"),
  fr: () => import("./fr.js"),
  zh: () => import("./zh.js"),
};

/** Return all texts in a language: in English, if there are none in it or they do not load. */
export async function translation(lang) {
  const [name] = lang.split("-");
  const load = (/** @type {string} */ each) => LANGUAGES[each]().then(({ TEXTS }) => TEXTS);
  const isKnown = Object.hasOwn(LANGUAGES, name) && name !== "en";
  const found = isKnown ? await load(name).catch(() => null) : null;
  return found ?? load("en").catch(() => ({}));
}

/** Return what a path leads to in a table, which may be the host's. */
const found = (table, path) =>
  path
    .split(".")
    .reduce((at, name) => (at && Object.hasOwn(at, name) ? at[name] : undefined), table);

/**
 * Return the function that looks up a text: `t("saved", { model: "gpt-4o" })`.
 *
 * @param {string} lang The language of numbers and plurals.
 * @param {...object} tables Those to look in, one after the other.
 */
export function texts(lang, ...tables) {
  const plurals = new Intl.PluralRules(lang);
  const numbers = new Intl.NumberFormat(lang);
  const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);
  const find = (path) => tables.map((each) => found(each, path)).find((each) => each !== undefined);
  /** Return a text in parts: strings, and values that may be elements. */
  const parts = (/** @type {string} */ path, /** @type {any} */ values = {}) => {
    const text = find(path) ?? path;
    const form =
      typeof text === "object" ? (text[plurals.select(values.count)] ?? text.other) : text;
    const split = String(form).split(/\{(\w+)\}/);
    return split.map((each, i) => (i % 2 ? shown(values[each]) : each));
  };
  const t = (/** @type {string} */ path, /** @type {any} */ values = {}) =>
    parts(path, values).join("");
  const list = new Intl.ListFormat(lang, { type: "unit" });
  return Object.assign(t, { parts, has: (path) => find(path) !== undefined, lang, numbers, list });
}

/** Return the language that a host's page gives an element. */
export function languageOf(element) {
  const lang = element.closest("[lang]")?.lang || document.documentElement.lang || "en";
  try {
    return Intl.getCanonicalLocales(lang)[0];
  } catch {
    return "en";
  }
}
