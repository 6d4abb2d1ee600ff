// @ts-check
/** Sends requests, and reads what comes back. */

/** @import { ModelRegistryElement } from "./element.js" */

const TIMEOUT = 60_000; // milliseconds for one request
const PREFIX = "urn:problem-type:model-registry:";

/** An error from the server (RFC 9457), or one of the page itself. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {any} body What the server sent.
   * @param {number} [wait] Seconds until the next try.
   */
  constructor(status, body, wait = 0) {
    const { detail, title, errors, result, type, key } = body ?? {};
    super([detail, title].find((each) => typeof each === "string") ?? "");
    this.status = status;
    this.wait = wait;
    /** The page's text for it; none for the server's messages. */
    this.key = key;
    this.result = typeof result === "string" ? result : null;
    this.isFromRegistry = typeof type === "string" && type !== "about:blank";
    this.code = this.isFromRegistry && type.startsWith(PREFIX) ? type.slice(PREFIX.length) : null;
    this.errors = Array.isArray(errors)
      ? errors.filter(
          (each) => typeof each?.field === "string" && typeof each?.message === "string",
        )
      : [];
  }
}

export const problem = (key, status = 0) => new Problem(status, { key });

/** Return the condition that a model is unchanged; none without a tag, which a proxy may drop. */
export const ifMatch = (tag) => (tag ? { "If-Match": tag } : {});

/** Return a list that the server sent. */
export function asList({ content }) {
  if (!Array.isArray(content)) throw problem("unread");
  return content;
}

function toProblem(error) {
  if (error instanceof Problem || error.name === "AbortError") return error;
  if (error.name === "TimeoutError") return problem("silent");
  if (error instanceof SyntaxError) return problem("unread");
  return problem(navigator.onLine ? "unreachable" : "offline");
}

/** Return the seconds of `Retry-After`, which may be a time. */
function retryAfter(text) {
  if (!text) return 0;
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Math.max(0, Math.ceil(seconds) || 0);
}

/** Sends requests of a page to the `src` of its element, as its user. */
export class Client {
  /** @type {ModelRegistryElement} */ #element;
  #session = new AbortController();

  constructor(element) {
    this.#element = element;
  }

  /** Aborted when the page ends. */
  get session() {
    return this.#session.signal;
  }

  /** Stop sending, because another user may come. Pending requests end with an AbortError. */
  end() {
    this.#session.abort();
  }

  /**
   * Return the server's response, with its `ETag` and the query of the next page.
   *
   * @param {string} method
   * @param {string} path What comes after `src`.
   * @param {{ body?: any, headers?: object, signal?: AbortSignal }} [options]
   * @returns {Promise<{ content: any, tag: string | null, next: string | null }>}
   * @throws {Problem} If the server refuses, does not respond, or cannot be reached.
   */
  async send(method, path, { body, headers = {}, signal } = {}) {
    const session = this.#session.signal;
    session.throwIfAborted();
    const address = this.#base + path; // current, like the token
    const credentials = await this.#credentials(method, address, session);
    session.throwIfAborted();
    try {
      const response = await fetch(address, {
        method,
        body: body && JSON.stringify(body),
        cache: "no-store",
        credentials: "same-origin",
        headers: {
          Accept: "application/json",
          ...(body && { "Content-Type": "application/json" }),
          ...credentials,
          ...headers,
        },
        redirect: "manual",
        signal: AbortSignal.any([
          session,
          AbortSignal.timeout(TIMEOUT),
          ...(signal ? [signal] : []),
        ]),
      });
      return await this.#read(response, session);
    } catch (error) {
      session.throwIfAborted();
      throw toProblem(error);
    }
  }

  /** Return a whole list, page by page. */
  async all(/** @type {string} */ path, first = "") {
    const found = [];
    /** @type {string | null} */
    let query = first;
    while (query !== null) {
      const page = await this.send("GET", path + query);
      found.push(...asList(page));
      query = page.next;
    }
    return found;
  }

  get #base() {
    const source = this.#element.getAttribute("src") ?? "/api/models";
    return new URL(source.replace(/\/+$/, ""), document.baseURI).href;
  }

  async #credentials(method, address, session) {
    const token = await this.#element.currentToken();
    session.throwIfAborted(); // a late token may be the last user's
    this.#element.checkUser(token);
    if (token) return { Authorization: `Bearer ${token}` };
    const isAway = new URL(address).origin !== location.origin;
    if (method === "GET" || isAway) return {};
    const csrf =
      (await this.#element.getCsrfToken?.()) ??
      this.#element.getAttribute("csrf-token") ??
      this.#csrfCookie();
    const header = this.#element.getAttribute("csrf-header") ?? "X-CSRF-TOKEN";
    return csrf ? { [header]: csrf } : {};
  }

  #csrfCookie() {
    const name = this.#element.getAttribute("csrf-cookie") ?? "csrf_access_token";
    const cookie = document.cookie.split("; ").find((each) => each.startsWith(`${name}=`));
    return cookie?.slice(name.length + 1);
  }

  async #read(response, session) {
    if (!response.ok) throw await this.#refused(response, session);
    const next = /<([^>]*)>; *rel="?next/.exec(response.headers.get("Link") ?? "");
    return {
      content: response.status === 204 ? null : await response.json(),
      tag: response.headers.get("ETag"),
      next: next && new URL(next[1], response.url).search, // never another server
    };
  }

  async #refused(response, session) {
    // Hosts with a login page redirect there instead of 401.
    const status = response.type === "opaqueredirect" ? 401 : response.status;
    if (status !== 401) {
      const body = await response.json().catch(() => null);
      return new Problem(status, body, retryAfter(response.headers.get("Retry-After")));
    }
    session.throwIfAborted();
    this.#element.emit("model-registry-unauthenticated");
    return problem("login", 401);
  }
}
