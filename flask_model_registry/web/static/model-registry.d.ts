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
  /** Returns the access token. Called before every request. */
  getToken: Text | null;
  /** The access token; null where the browser has a cookie. */
  get token(): string | null;
  set token(token: string | null | undefined);
  /** Returns the CSRF token for changes. Called before each one. */
  getCsrfToken: Text | null;
  /** The users to share with, or a function that finds them by the typed text. */
  people: Person[] | ((query: string) => Later<Person[]>) | null | undefined;
  /** The names of the groups to share with. */
  groups: Supply<string[]>;
  /** Texts that replace the page's, by name. */
  texts: object;
  /** Which models are shown. Setting the last value again changes nothing; null shows all. */
  get filters(): Filters;
  set filters(filters: Filters | null | undefined);
  /** Show what the server has now. */
  refresh(): Promise<void>;
}

/** What frameworks pass: attributes, properties and listeners. */
export type ModelRegistryProps = {
  src?: string;
  heading?: string;
  lang?: string;
  "can-share"?: boolean | null;
  "user-id"?: string | null;
  "csrf-token"?: string;
  "csrf-cookie"?: string;
  "csrf-header"?: string;
  token?: string | null;
  getToken?: Text | null;
  getCsrfToken?: Text | null;
  people?: Supply<Person[]>;
  groups?: Supply<string[]>;
  texts?: object;
  filters?: Filters | null;
} & {
  [Name in keyof Events as `on${Name}`]?: (event: Events[Name]) => void;
};

type Events = {
  /** After each change; `id` is that of the model, if there is one. */
  "model-registry-change": CustomEvent<{ id?: number }>;
  /** After the user has changed the filters. */
  "model-registry-filter": CustomEvent<Filters>;
  /** After a 401, or a redirection to a login. */
  "model-registry-unauthenticated": CustomEvent<undefined>;
};

declare global {
  interface HTMLElementTagNameMap {
    "model-registry": ModelRegistryElement;
  }
  interface HTMLElementEventMap extends Events {}
}
