// @ts-check
/** The people that the host names, and who the user is. */

/** @import { ModelRegistryElement } from "./element.js" */

/** Return what the host gives: a list, or what a function returns for a text, or a promise of it. */
export const supplied = async (source, text = "") =>
  (typeof source === "function" ? await source(text) : source) ?? [];

/** Name people by key. A name that could mean another goes with its key; in doubt, all do. */
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
  /** Whether the host has said whom it names before anything is typed. */
  isAsked = false;
  hasFailed = false;
  names = distinct([]);

  /** @param {ModelRegistryElement} element */
  constructor(element) {
    this.element = element;
  }

  /** Ask again when it is needed, as the host may name others now. */
  renew() {
    this.#known = new Map();
    this.#first = null;
    this.hasFailed = false;
  }

  /** Ask once whom the host names before anything is typed; return their keys. */
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

  /** Return the keys of those whom the host names for a text; it may name all whatever is typed. */
  async find(/** @type {string} */ text) {
    const known = this.#known;
    const found = await supplied(this.element.people, text);
    for (const each of found) known.set(String(each.key), each);
    if (known === this.#known) this.names = distinct([...known.values()]);
    return found.map(({ key }) => String(key));
  }
}

/** Return whom a JWT is for; null for another token. It is only compared, so nothing is verified. */
function subject(token) {
  try {
    const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
    const { iss, sub } = JSON.parse(atob(payload));
    return sub === undefined ? null : JSON.stringify([iss, sub]);
  } catch {
    return null;
  }
}

/** Return who a user is, by the token or else by what the host says; null if neither tells. */
export const identity = (token, userId) =>
  subject(token) ?? (userId ? `${Boolean(token)} ${userId}` : null);
