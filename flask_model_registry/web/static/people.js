// @ts-check
/** The people that the host names, and who the user is. */

/** @import { ModelRegistryElement } from "./element.js" */

/** Return the host's list, which may be the result of a function of a text, or a promise. */
export const resolveList = async (source, text = "") =>
  (typeof source === "function" ? await source(text) : source) ?? [];

/** Return names by key. An ambiguous name includes its key; in doubt, all names do. */
function distinctNames(people) {
  const named = people.map(({ key, name }) => [String(key), String(name ?? key)]);
  const matches = (word) => named.filter((each) => each.includes(word)).length;
  const withKey = ([key, name]) => (key === name ? key : `${name} (${key})`);
  const labels = named.map((each) => (matches(each[1]) === 1 ? each[1] : withKey(each)));
  const isClear = labels.every((label, i) => label === named[i][1] || matches(label) === 0);
  return new Map(named.map((each, i) => [each[0], isClear ? labels[i] : withKey(each)]));
}

/** The people that the host has named so far. */
export class People {
  /** @type {Map<string, any>} */ #people = new Map();
  /** @type {Promise<string[]> | null} */ #initial = null;
  /** Whether the host has named people before anything is typed. */
  isLoaded = false;
  hasFailed = false;
  names = distinctNames([]);

  /** @param {ModelRegistryElement} element */
  constructor(element) {
    this.element = element;
  }

  /** Ask again when needed, because the host may name others now. */
  reset() {
    this.#people = new Map();
    this.#initial = null;
    this.hasFailed = false;
  }

  /** Ask the host once for people before anything is typed; return their keys. */
  load() {
    if (this.#initial) return this.#initial;
    const initial = this.find("").catch(() => {
      if (initial !== this.#initial) return [];
      this.hasFailed = true;
      this.names = distinctNames([]);
      return [];
    });
    initial.then(() => (this.isLoaded ||= initial === this.#initial));
    return (this.#initial = initial);
  }

  /** Return the keys of the people for a text. The host may ignore it, and name all. */
  async find(/** @type {string} */ text) {
    const people = this.#people;
    const found = await resolveList(this.element.people, text);
    for (const each of found) people.set(String(each.key), each);
    if (people === this.#people) this.names = distinctNames([...people.values()]);
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
