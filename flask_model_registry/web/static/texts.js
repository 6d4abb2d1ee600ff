// @ts-check
/** Looks up what the page says, which hosts may replace, and has names that it shares with the server. */

/** @import { TEXTS } from "./en.js" */
/** @import { TEXTS as DIALOG_TEXTS } from "./en_dialogs.js" */

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
/** @typedef {typeof TEXTS} Table The texts of the list. */
/** @typedef {typeof DIALOG_TEXTS & { errors: Record<string, string> }} DialogTable Those of dialogs and of error codes. */

const LIST = {
  de: () => import("./de.js"),
  en: () => import("./en.js"),
  es: () => import("./es.js"),
  fr: () => import("./fr.js"),
  zh: () => import("./zh.js"),
};
const DIALOGS = {
  de: () => import("./de_dialogs.js"),
  en: () => import("./en_dialogs.js"),
  es: () => import("./es_dialogs.js"),
  fr: () => import("./fr_dialogs.js"),
  zh: () => import("./zh_dialogs.js"),
};

const baseOf = (lang) => lang.split("-")[0];

/** Return texts in a language: in English, if there are none in it or they do not load. */
async function translation(lang, languages) {
  const load = (/** @type {string} */ each) => languages[each]().then(({ TEXTS }) => TEXTS);
  const name = baseOf(lang);
  const isKnown = Object.hasOwn(languages, name) && name !== "en";
  const found = isKnown ? await load(name).catch(() => null) : null;
  return found ?? load("en");
}

/** Return the texts of the list in a language; none, if even the English ones do not load. */
export const listTexts = (lang) => translation(lang, LIST).catch(() => ({}));

/** Return what a path leads to in a table, which may be the host's. */
const found = (table, path) =>
  path
    .split(".")
    .reduce((at, name) => (at && Object.hasOwn(at, name) ? at[name] : undefined), table);

/**
 * Return the function that looks up a text: `t("total", { count: 3 })`.
 *
 * @param {string} asked The language around the page. Without texts in it, the page is in English.
 * @param {object} own The host's texts, which are in that language.
 * @param {...object} tables Those to look in next, one after the other.
 */
export function texts(asked, own = {}, ...tables) {
  const isForeign = !Object.hasOwn(LIST, baseOf(asked)) && !Object.keys(own).length;
  const lang = isForeign ? "en" : asked;
  /** What an element needs that holds texts in another language than is around it. */
  const marks = isForeign ? { lang, dir: "ltr" } : {};
  tables.unshift(own);
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
  /** @type {Promise<unknown> | null} */
  let adding = null;
  /** Add the texts of dialogs and error codes, before the first is shown. */
  const complete = () => {
    adding ??= translation(lang, DIALOGS).then((table) => tables.push(table));
    adding.catch(() => (adding = null));
    return adding;
  };
  const has = (path) => find(path) !== undefined;
  return Object.assign(t, { parts, has, lang, marks, numbers, list, complete });
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
