// @ts-check
/** The page. */

import { asList, Client, problem } from "./client.js";
import { Dialogs } from "./dialogs.js";
import { button, clearErrors, h } from "./dom.js";
import { Filters } from "./filters.js";
import { ModelList } from "./list.js";
import { Messages } from "./messages.js";
import { People } from "./people.js";
import { Selection } from "./selection.js";
import { languageOf, listTexts, texts } from "./texts.js";

/** @import { ModelRegistryElement } from "./element.js" */
/** @import { Undo } from "./outcome.js" */

const SLOW = 300; // milliseconds until a message says that the page loads
const MAX_WAIT = 300; // the longest wait in seconds for a retry

/** What an element shows to one user: the list of models, and dialogs over it. Another user gets another page. */
export class Page {
  /** @type {any[] | null} The catalogue, once it is known. */
  providers = null;
  /** @type {any[]} The defaults of the user or the app. */
  defaults = [];
  /** The queries of the pages up to the one that is shown. */
  pages = [""];
  /** @type {string | null} */
  nextQuery = null;
  /** @type {number | null} How many there are on all pages. */
  total = null;
  busy = new Set();
  t = texts("en");
  dialogs = new Dialogs(this);
  selection = new Selection(this);
  models = new ModelList(this);
  list = this.models.element;
  messages = new Messages(this);
  title = h("h2", { id: "title", tabindex: "-1", dir: "auto", part: "heading" });
  filters = new Filters(this.t, () => this.#onFilter());
  nav = h("nav");

  /** @type {AbortController | undefined} */ #loading;
  #retryTimer = 0;
  #isBuilt = false;

  /**
   * @param {ModelRegistryElement} element
   * @param {ShadowRoot} root
   */
  constructor(element, root) {
    this.element = element;
    this.root = root;
    this.client = new Client(element);
    this.people = new People(element);
  }

  /** Return a model's provider in the catalogue. */
  providerOf({ model_provider: name }) {
    return this.providers?.find(({ id }) => id === name);
  }

  #build() {
    const { t } = this;
    this.showHeading();
    this.messages.translate();
    this.previous = button(t("previous"), () => this.#turn(-1));
    this.next = button(t("next"), () => this.#turn(1));
    this.place = h("span", {});
    const turning = [this.previous, this.place, this.next];
    this.nav = h("nav", { "aria-label": t("pages"), hidden: true }, turning);
    this.filters = new Filters(t, () => this.#onFilter());
    const buttons = [
      this.actionButton(t("test_all"), "test-all", () => this.selection.run("test_all")),
      this.actionButton(t("exchange"), "exchange", () => this.dialogs.openExchange()),
      this.actionButton(t("credentials"), "credentials", () => this.dialogs.openCredentials()),
      this.actionButton(t("defaults"), "defaults", () => this.dialogs.openDefaults(null)),
      this.actionButton(t("register_model"), "register", () => this.dialogs.openForm(null), {
        class: "primary",
      }),
    ];
    const header = h("header", {}, this.title, buttons);
    const parts = [header, this.filters.element, this.messages.element];
    const shown = [this.selection.header, this.list, this.nav];
    this.root.replaceChildren(
      h("section", { ...t.langAttributes, "aria-labelledby": "title", part: "page" }, parts, shown),
    );
  }

  showHeading() {
    const heading = this.element.getAttribute("heading");
    this.title.textContent = heading || this.t("models");
    this.title.lang = heading ? languageOf(this.element) : this.t.lang;
    this.title.classList.toggle("quiet", heading === "");
  }

  get mayShare() {
    return this.element.hasAttribute("can-share");
  }

  get userId() {
    return this.element.getAttribute("user-id");
  }

  /** Show and send nothing more, so that pending actions don't run for the next user. */
  end() {
    this.client.end();
    clearTimeout(this.#retryTimer);
    this.root.replaceChildren();
  }

  /** Show the page in the current language. */
  async start() {
    const lang = languageOf(this.element);
    const table = await listTexts(lang);
    if (this.client.session.aborted) return;
    this.t = texts(lang, this.element.texts, table);
    this.#build();
    this.#isBuilt = true;
    await this.applyFilters();
  }

  async applyFilters() {
    if (!this.#isBuilt) return;
    const given = this.element.takePendingFilters();
    if (given) this.filters.values = given;
    this.pages = [""];
    await this.refresh();
  }

  /** Show what the server has now. */
  async refresh() {
    if (!this.#isBuilt) return; // start() loads all
    this.#loading?.abort();
    clearTimeout(this.#retryTimer);
    this.messages.clear();
    const loading = (this.#loading = new AbortController());
    this.list.setAttribute("aria-busy", "true");
    const slow = setTimeout(() => (this.messages.loadingText.hidden = false), SLOW);
    try {
      const page = await this.#load(loading);
      if (this.#loading === loading && page) this.#show(asList(page), page.next);
    } catch (error) {
      await this.#loadErrorTexts(error);
      if (this.#loading === loading) this.#onLoadError(error);
    } finally {
      clearTimeout(slow);
      if (this.#loading === loading) {
        this.messages.loadingText.hidden = true;
        this.list.removeAttribute("aria-busy");
      }
    }
  }

  /** Return a page of models; null if another is requested meanwhile. */
  async #load(loading) {
    const { filters } = this;
    const get = (path) => this.client.send("GET", path, { signal: loading.signal });
    if (filters.values.q) this.providers ??= asList(await get("/providers")); // q may name one
    filters.catalogue = this.providers ?? [];
    const query = this.pages.at(-1) || filters.query;
    // Models load without defaults too.
    const orProblem = (error) => {
      if (error.status === 401 || error.name === "AbortError") throw error;
      return error;
    };
    const [providers, page, summary, defaults] = await Promise.all([
      this.providers ?? get("/providers").then(asList),
      get(`/details${query}`),
      get(`/summary${filters.countQuery}`).catch(() => null),
      get("/defaults").then(asList).catch(orProblem),
    ]);
    if (this.#loading !== loading) return null;
    this.messages.clear(true);
    this.providers = filters.catalogue = providers;
    this.total = filters.count(summary?.content);
    if (Array.isArray(defaults)) this.defaults = defaults;
    else this.#onLoadError(problem("defaults"));
    return page;
  }

  #onLoadError(error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) this.showLoggedOut(error);
    else this.messages.showLoadError(error);
    if (0 < error.wait && error.wait <= MAX_WAIT) {
      this.#retryTimer = setTimeout(() => this.refresh(), error.wait * 1000);
    }
  }

  /** Clear the page, because no user is logged in. */
  showLoggedOut(error) {
    this.messages.showLoadError(error);
    this.models.show([]);
    this.nav.hidden = true;
  }

  retryIfFailed() {
    if (this.messages.hasFailed) this.refresh();
  }

  /** Show what the server has now, unless a dialog or a menu is open. */
  refreshIfIdle() {
    if (!this.root.querySelector("dialog[open], details[open]")) this.refresh();
  }

  /** Close menus, except one that was clicked. */
  closeMenus(path) {
    for (const menu of this.list.querySelectorAll("details[open]")) {
      if (!path.includes(menu)) menu.open = false;
    }
  }

  // Messages

  /** Show and announce what was done; if quiet, only to screen readers. It may offer an undo. */
  notify(text, isQuiet = false, /** @type {Undo | null} */ undo = null) {
    this.messages.notify(text, isQuiet, undo);
  }

  /** Tell the host of a change to a model or to what several use. */
  changed(/** @type {number | undefined} */ id = undefined) {
    if (id !== undefined) this.models.results.delete(id);
    this.element.emit("model-registry-change", { id });
  }

  isBusy(lock) {
    return this.busy.has(lock);
  }

  /** Run an action, unless it or another one with the same lock is running. */
  async run(control, work, { form, row, lock = control } = /** @type {any} */ ({})) {
    if (this.busy.has(lock)) return;
    this.busy.add(lock);
    control.setAttribute("aria-busy", "true");
    if (form) clearErrors(form);
    else this.messages.clear();
    try {
      await work();
    } catch (error) {
      await this.#loadErrorTexts(error);
      if (this.client.session.aborted) return;
      this.messages.report(error, { form, row });
      // The host may check something else, such as CSRF, before it checks the login.
      if (!error.isFromRegistry && [400, 403].includes(error.status)) this.#checkLogin();
    } finally {
      this.busy.delete(lock);
      control.removeAttribute("aria-busy");
    }
  }

  /** Load the texts of error codes. If they fail, the server's message is shown. */
  async #loadErrorTexts({ code }) {
    if (typeof code === "string") await this.t.loadDialogTexts().catch(() => {});
  }

  async #checkLogin() {
    const result = await this.client.send("GET", "/providers").catch((error) => error);
    if (result.status === 401) this.showLoggedOut(result);
  }

  /** Focus the element with this key, even after a redraw, or its neighbor if it is gone. */
  focus(key) {
    if (this.client.session.aborted) return; // the root shows another page now
    const find = (each) => this.root.querySelector(`[data-key="${CSS.escape(each)}"]`);
    const [id] = key.split(":");
    (find(key) ?? find(`${id}:more`) ?? this.models.neighborOf(id) ?? this.title).focus();
  }

  // The list

  #onFilter() {
    if (this.client.session.aborted) return;
    this.pages = [""];
    this.refresh();
    this.element.emit("model-registry-filter", this.filters.values);
  }

  #turn(step) {
    if (this.list.hasAttribute("aria-busy")) return;
    if (step > 0) this.pages.push(this.nextQuery ?? "");
    else this.pages.pop();
    this.title.focus();
    this.refresh();
  }

  #show(/** @type {any[]} */ models, next) {
    if (!models.length && this.pages.length > 1) {
      this.pages.pop(); // this page is empty now
      this.refresh();
      return;
    }
    const key = this.root.activeElement?.getAttribute("data-key");
    this.nextQuery = next;
    this.models.show(models);
    const isOne = !next && this.pages.length === 1;
    this.nav.hidden = isOne && this.filters.more.every((each) => each.hidden);
    this.previous.hidden = this.next.hidden = isOne;
    this.previous.disabled = this.pages.length === 1;
    this.next.disabled = !next;
    const place = isOne ? [] : [this.t("page", { page: this.pages.length })];
    if (this.total !== null) place.push(this.t("total", { count: this.total }));
    this.place.textContent = place.join(" · ");
    if (!models.length) this.list.append(h("li", { class: "empty" }, this.#emptyText()));
    if (key) this.focus(key);
  }

  #emptyText() {
    return this.t(!Object.keys(this.filters.values).length ? "none_yet" : "none_like");
  }

  /** Make a button for an action that may fail, on all models or on the one of a row. */
  actionButton(label, key, act, attributes = {}, row = null) {
    const onclick = (event) => this.run(event.currentTarget, act, { row });
    return button(label, onclick, { "data-key": key, ...attributes });
  }
}
