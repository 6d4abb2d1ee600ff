// @ts-check
/** Looks up the page's texts, which hosts may replace. Has names that are shared with the server. */

/** @import { TEXTS } from "./en.js" */
/** @import { TEXTS as DIALOG_TEXTS } from "./en_dialogs.js" */

/** The abilities of a category. Other categories allow any. */
export const ABILITIES = {
  embedding: ["embedding"],
  image: ["generate", "edit"],
  speech: ["asr", "tts"],
  rerank: ["rerank"],
};
/** The kinds of defaults, each with its model's category. */
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

/** Return texts in a language, or in English if there are none or they do not load. */
async function translation(lang, languages) {
  const load = (/** @type {string} */ each) => languages[each]().then(({ TEXTS }) => TEXTS);
  const name = baseOf(lang);
  const isKnown = Object.hasOwn(languages, name) && name !== "en";
  const found = isKnown ? await load(name).catch(() => null) : null;
  return found ?? load("en");
}

/** Return the texts of the list in a language; none, if even the English ones do not load. */
export const listTexts = (lang) => translation(lang, LIST).catch(() => ({}));

/** Return the entry at a path in a table, which may be the host's. */
const entry = (table, path) =>
  path
    .split(".")
    .reduce((at, name) => (at && Object.hasOwn(at, name) ? at[name] : undefined), table);

/**
 * Return the function that looks up a text: `t("total", { count: 3 })`.
 *
 * @param {string} pageLang The language around the page. Without texts in it, the page is in English.
 * @param {object} own The host's texts, which are in that language.
 * @param {...object} tables Tables to search next, in order.
 */
export function texts(pageLang, own = {}, ...tables) {
  const isUntranslated = !Object.hasOwn(LIST, baseOf(pageLang)) && !Object.keys(own).length;
  const lang = isUntranslated ? "en" : pageLang;
  /** Attributes for elements whose language differs from the one around them. */
  const langAttributes = isUntranslated ? { lang, dir: "ltr" } : {};
  tables.unshift(own);
  const plurals = new Intl.PluralRules(lang);
  const numbers = new Intl.NumberFormat(lang);
  const shown = (value) => (typeof value === "number" ? numbers.format(value) : value);
  const find = (path) => tables.map((each) => entry(each, path)).find((each) => each !== undefined);
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
  let loading = null;
  /** Add the texts of dialogs and error codes, before the first is shown. */
  const loadDialogTexts = () => {
    loading ??= translation(lang, DIALOGS).then((table) => tables.push(table));
    loading.catch(() => (loading = null));
    return loading;
  };
  const has = (path) => find(path) !== undefined;
  return Object.assign(t, { parts, has, lang, langAttributes, numbers, list, loadDialogTexts });
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
