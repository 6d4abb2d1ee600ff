// @ts-check
/** The element. */

import { Page } from "./page.js";
import { identity } from "./people.js";
import { STYLE } from "./style.js";

/**
 * @typedef {{ key: string | number, name?: string | null }} Person
 * @typedef {Person[] | ((query: string) => Person[] | Promise<Person[]>) | null | undefined} People
 * @typedef {() => string | null | undefined | Promise<string | null | undefined>} Text
 */
/**
 * @template T
 * @typedef {T | (() => T | Promise<T>) | null | undefined} Supply
 */

// Scripts of the host's page that set a token have run once the document is loaded.
/** @type {Promise<unknown>} */
const ready = new Promise((resolve) => {
  if (document.readyState === "complete") resolve(null);
  document.addEventListener("DOMContentLoaded", resolve, { once: true });
  window.addEventListener("load", resolve, { once: true });
});

const PROPERTIES = ["token", "getToken", "getCsrfToken", "people", "groups", "texts", "filters"];

/** @type {[EventTarget, string][]} */
const EVENTS = [
  [document, "keydown"],
  [document, "pointerdown"],
  [document, "visibilitychange"],
  [window, "focus"],
  [window, "online"],
  [window, "pagehide"],
  [window, "pageshow"],
];

export class ModelRegistryElement extends HTMLElement {
  static observedAttributes = ["src", "token", "can-share", "user-id", "heading", "lang"];

  #root = this.attachShadow({ mode: "open" });
  #page = new Page(this, this.#root);
  /** @type {Text | null} */ #getToken = null;
  /** @type {People} */ #people = null;
  /** @type {Supply<string[]>} */ #groups = null;
  /** @type {Text | null} */ #getCsrfToken = null;
  /** @type {object} */ #texts = {};
  /** @type {Record<string, unknown> | null} */ #pendingFilters = null;
  /** @type {string | null} */ #user = null;
  /** @type {symbol | null} */ #tokenCheck = null;
  #lastSet = "null"; // the filters that the host set last
  #lastEvent = ""; // those of the last event
  #started = false;

  constructor() {
    super();
    this.#root.adoptedStyleSheets = [STYLE];
  }

  connectedCallback() {
    for (const name of PROPERTIES) {
      // set before this class existed
      if (!Object.hasOwn(this, name)) continue;
      const value = this[name];
      delete this[name];
      this[name] = value;
    }
    for (const [target, name] of EVENTS) target.addEventListener(name, this);
    ready.then(() => {
      this.#started = true;
      this.#restart();
    });
  }

  disconnectedCallback() {
    for (const [target, name] of EVENTS) target.removeEventListener(name, this);
    this.#page.end();
  }

  /** Keep what is open and typed while the host's page moves the element. */
  connectedMoveCallback() {}

  attributeChangedCallback(name, before, value) {
    if (before === value) return;
    if (name === "heading") this.#page.showHeading();
    else if (name === "token") this.#onNewToken();
    else this.#restart();
  }

  /** Follow the window. When it comes back, it shows what the server has then. */
  handleEvent(event) {
    if (event.type === "pointerdown") this.#page.closeMenus(event.composedPath());
    else if (event.type === "keydown") {
      if (event.key === "Escape") this.#page.closeMenus([]);
    } else if (event.type === "pagehide") {
      this.#page.end(); // the browser may keep the page for "back"
    } else if (!this.#started) return;
    else if (event.type === "online") this.#page.retryIfFailed();
    else if (event.type === "pageshow") {
      if (event.persisted) this.#restart();
    } else if (document.visibilityState === "visible") this.#page.refreshIfIdle();
  }

  /** Start over, perhaps for another user, who must see nothing of the last. */
  #restart() {
    if (!this.#started || !this.isConnected) return;
    this.#user = this.#tokenCheck = null; // a pending token may be the last user's
    const last = this.#page;
    const page = (this.#page = new Page(this, this.#root));
    last.end(); // this removes the focus: the host may react, and begin again
    this.#pendingFilters ??= JSON.parse(this.#lastSet);
    page.start();
  }

  /** Continue with a new token if it is the same user's, and start over otherwise. */
  async #onNewToken() {
    if (!this.#started || !this.isConnected) return;
    const check = (this.#tokenCheck = Symbol("check"));
    let user;
    try {
      user = identity(await this.currentToken(), this.getAttribute("user-id"));
    } catch {
      return; // the next request reports it, and checks its own token
    }
    if (check !== this.#tokenCheck) return;
    if (user === null || user !== this.#user) this.#restart();
    else this.#page.retryIfFailed();
  }

  /** Check a request's token. If it is another user's, start over before it is sent. */
  checkUser(token) {
    const user = identity(token, this.getAttribute("user-id"));
    if (this.#user !== null && user !== this.#user) this.#restart();
    this.#user = user;
  }

  /** Returns the access token, or a promise of it. Called before every request. */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    this.#onNewToken();
  }

  /** The access token; none where the browser has a cookie. */
  get token() {
    return this.getAttribute("token");
  }

  set token(token) {
    this.getToken = token ? () => token : null;
  }

  /** Returns the CSRF token for changes, or a promise of it. */
  get getCsrfToken() {
    return this.#getCsrfToken;
  }

  set getCsrfToken(getCsrfToken) {
    this.#getCsrfToken = getCsrfToken;
  }

  /** Whom to share with: `[{key, name}]`, or a function of a typed text that returns it or a promise. */
  get people() {
    return this.#people;
  }

  set people(people) {
    this.#people = people;
    this.#page.people.reset();
  }

  /** The names of groups to share with, or a function that returns them or a promise of them. */
  get groups() {
    return this.#groups;
  }

  set groups(groups) {
    this.#groups = groups;
  }

  /** Texts that replace the page's, by name. */
  get texts() {
    return this.#texts;
  }

  set texts(texts) {
    const isSame = JSON.stringify(texts) === JSON.stringify(this.#texts);
    this.#texts = texts ?? {};
    if (!isSame) this.#restart();
  }

  /** Which models are shown: `q`, `category`, `model_provider`, `ability`, `owned`, `is_active`, `sort`. */
  get filters() {
    return this.#pendingFilters ?? this.#page.filters.values;
  }

  set filters(filters) {
    const given = JSON.stringify(filters ?? {});
    // Frameworks set their values at each rendering, although the user may have typed since.
    const isKnown = filters && [this.#lastSet, this.#lastEvent].includes(given);
    this.#lastSet = given;
    if (isKnown || given === JSON.stringify(this.filters)) return;
    this.#lastEvent = "";
    this.#pendingFilters = filters ?? {};
    if (this.#started && this.isConnected) this.#page.applyFilters();
  }

  /** Return the filters that the host has set since the last call. */
  takePendingFilters() {
    const given = this.#pendingFilters;
    this.#pendingFilters = null;
    return given;
  }

  currentToken() {
    return this.#getToken ? this.#getToken() : this.getAttribute("token");
  }

  emit(name, detail) {
    if (name === "model-registry-filter") this.#lastEvent = JSON.stringify(detail);
    this.dispatchEvent(new CustomEvent(name, { bubbles: true, composed: true, detail }));
  }

  /** Show what the server has now. */
  refresh() {
    return this.#page.refresh();
  }
}
