// @ts-check
/** The people that the host names, and who the user is. */

/** @import { ModelRegistryElement } from "./element.js" */

/** Return the host's list, which may be the result of a function of a text, or a promise. */
export const supplied = async (source, text = "") =>
  (typeof source === "function" ? await source(text) : source) ?? [];

/** Return names by key. An ambiguous name includes its key; in doubt, all names do. */
export function distinct(people) {
  const named = people.map(({ key, name }) => [String(key), String(name ?? key)]);
  const meant = (word) => named.filter((each) => each.includes(word)).length;
  const withKey = ([key, name]) => (key === name ? key : `${name} (${key})`);
  const labels = named.map((each) => (meant(each[1]) === 1 ? each[1] : withKey(each)));
  const isClear = labels.every((label, i) => label === named[i][1] || meant(label) === 0);
  return new Map(named.map((each, i) => [each[0], isClear ? labels[i] : withKey(each)]));
}

/** Those whom the host has named so far. */
export class People {
  /** @type {Map<string, any>} */ #known = new Map();
  /** @type {Promise<string[]> | null} */ #first = null;
  /** Whether the host has named people before anything is typed. */
  isAsked = false;
  hasFailed = false;
  names = distinct([]);

  /** @param {ModelRegistryElement} element */
  constructor(element) {
    this.element = element;
  }

  /** Ask again when needed, because the host may name others now. */
  renew() {
    this.#known = new Map();
    this.#first = null;
    this.hasFailed = false;
  }

  /** Ask the host once for people before anything is typed; return their keys. */
  load() {
    if (this.#first) return this.#first;
    const first = this.find("").catch(() => {
      if (first !== this.#first) return [];
      this.hasFailed = true;
      this.names = distinct([]);
      return [];
    });
    first.then(() => (this.isAsked ||= first === this.#first));
    return (this.#first = first);
  }

  /** Return the keys of the people for a text. The host may ignore it, and name all. */
  async find(/** @type {string} */ text) {
    const known = this.#known;
    const found = await supplied(this.element.people, text);
    for (const each of found) known.set(String(each.key), each);
    if (known === this.#known) this.names = distinct([...known.values()]);
    return found.map(({ key }) => String(key));
  }
}

/** Return a JWT's subject; null for other tokens. It is only compared, so nothing is verified. */
function subject(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { iss, sub } = JSON.parse(atob(payload));
    return sub === undefined ? null : JSON.stringify([iss, sub]);
  } catch {
    return null;
  }
}

/** Return the user's identity from the token, or else from the host; null if unknown. */
export const identity = (token, userId) =>
  subject(token) ?? (userId ? `${Boolean(token)} ${userId}` : null);
