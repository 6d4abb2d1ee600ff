/** The types of <model-registry>, for hosts in TypeScript. */

export type Person = { key: string | number; name?: string | null };
type Later<T> = T | Promise<T>;
type Text = () => Later<string | null | undefined>;
type Supply<T> = T | (() => Later<T>) | null | undefined;

export type Filters = {
  q?: string;
  category?: string;
  model_provider?: string;
  ability?: string;
  owned?: boolean | "true" | "false";
  is_active?: boolean | "true" | "false" | "all";
  sort?: "id" | "-id" | "model_id" | "model_provider" | "-updated_at" | "-tested_at";
};

export declare class ModelRegistryElement extends HTMLElement {
  /** Returns the access token; asked before every request. */
  getToken: Text | null;
  /** The access token; null where the browser has a cookie. */
  get token(): string | null;
  set token(token: string | null | undefined);
  /** Returns the CSRF token of changes; asked before each of them. */
  getCsrfToken: Text | null;
  /** The users to share with. */
  people: Supply<Person[]>;
  /** The names of the groups to share with. */
  groups: Supply<string[]>;
  /** Texts in place of those of the page, by their names. */
  texts: object;
  /** What of the models is shown. */
  filters: Filters;
  /** Show what the server has now. */
  refresh(): Promise<void>;
}

declare global {
  interface HTMLElementTagNameMap {
    "model-registry": ModelRegistryElement;
  }
  interface HTMLElementEventMap {
    /** After each change; `id` is that of the model, if there is one. */
    "model-registry-change": CustomEvent<{ id?: number }>;
    /** After the user has changed the filters. */
    "model-registry-filter": CustomEvent<Filters>;
    /** After a 401, or a redirection to a login. */
    "model-registry-unauthenticated": CustomEvent<undefined>;
  }
}
