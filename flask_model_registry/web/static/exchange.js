// @ts-check
/** The dialog that exports the user's models to a file, or imports a file. Files hold no API keys. */

import { check } from "./checks.js";
import { problem, Problem } from "./client.js";
import { openDialog } from "./dialog.js";
import { button, field, h, submitButton } from "./dom.js";
import { Outcome } from "./outcome.js";

/** @import { Page } from "./page.js" */

// As `flask model-registry export` writes them, a model in each line.
const FIELDS = ["model_id", "category", "model_provider", "model_name", "base_url", "temperature"];
const MORE = ["dimension", "abilities", "description", "is_active"];
// The fields to register models with a credential.
const REQUEST_FIELDS = [...FIELDS, ...MORE].filter(
  (each) => !["model_provider", "is_active"].includes(each),
);
const BATCH = 100; // models in one request
const MAX_SIZE = 5_000_000; // bytes of a file
const OWN = "?owned=true&is_active=all";

class ExchangeDialog {
  /** @type {any[]} The models of the file that is chosen. */ #lines = [];
  /** @type {Set<string>} */ #ownNames = new Set();

  /**
   * @param {Page} page
   * @param {any[]} credentials
   */
  constructor(page, credentials) {
    this.page = page;
    this.t = page.t;
    this.credentials = credentials;
    const { t } = this;
    this.outcome = new Outcome(() => null);
    const types = ".jsonl,.json,application/json,application/jsonl";
    this.file = h("input", { type: "file", accept: types, onchange: () => this.#read() });
    const names = credentials.map(({ id, name }) => [id, name]);
    this.credential = h("select", { onchange: () => this.#showModels() });
    this.credential.append(...names.map(([id, name]) => h("option", { value: id }, name)));
    this.models = h("fieldset", { class: "names", hidden: true });
    this.submit = submitButton(t("import"));
    const onsubmit = (event) => {
      event.preventDefault();
      this.#run(this.submit, () => this.#register());
    };
    const reading = [
      h("h3", {}, t("import")),
      h("p", { class: "hint" }, t(credentials.length ? "import_how" : "no_credentials")),
      field("file", t("file"), this.file),
      field("credential", t("credential"), this.credential),
      this.models,
      h("div", { class: "trying" }, this.submit),
    ];
    this.box = h(
      "div",
      {},
      h("h3", {}, t("export")),
      h("p", { class: "hint" }, t("export_how")),
      h("div", { class: "trying" }, this.#exporter()),
      h("form", { method: "dialog", novalidate: true, onsubmit }, reading),
      h("p", { role: "alert", tabindex: "-1" }),
      this.outcome.element,
      h(
        "footer",
        {},
        button(t("done"), () => this.dialog.close()),
      ),
    );
    this.dialog = openDialog(page, t("exchange"), "exchange", this.box);
    this.#showModels();
  }

  #run(control, work) {
    this.outcome.show(this.t, "");
    return this.page.run(control, work, { form: this.box, lock: this.box });
  }

  #exporter() {
    const exporter = button(this.t("export"), () => this.#run(exporter, () => this.#export()));
    return exporter;
  }

  async #export() {
    const details = await this.page.client.all("/details", OWN);
    const text = details.map((each) => `${JSON.stringify(lineOf(each))}\n`).join("");
    const url = URL.createObjectURL(new Blob([text], { type: "application/jsonl" }));
    h("a", { href: url, download: "models.jsonl" }).click();
    URL.revokeObjectURL(url);
    this.outcome.show(this.t, this.t("exported", { count: details.length }));
  }

  #read() {
    return this.#run(this.file, async () => {
      this.#lines = [];
      this.#showModels();
      const [file] = this.file.files;
      if (!file) return;
      if (file.size > MAX_SIZE) throw problem("file");
      const lines = linesOf(await file.text());
      await this.#loadOwnNames();
      this.#lines = lines;
      this.#showModels();
    });
  }

  /** Find the user's models, which cannot be registered again. */
  async #loadOwnNames() {
    const own = await this.page.client.all("/details", OWN);
    this.#ownNames = new Set(own.map(({ model }) => model.model_id));
  }

  /** Offer the file's models of the credential's provider, and show how many there are. */
  #showModels() {
    const { t } = this;
    const provider = this.#chosen?.model_provider;
    const fitting = this.#lines.filter((each) => each.model_provider === provider);
    const boxes = fitting.map((line) => {
      const { model_id: model } = line;
      const isHere = this.#ownNames.has(model);
      const label = isHere ? t("is_here", { model }) : model;
      const box = check("models", label, !isHere, { disabled: isHere });
      box.line = line;
      return box;
    });
    const counts = { count: this.#lines.length, fitting: fitting.length };
    const legend = h("legend", {}, this.#lines.length ? t("fitting", counts) : "");
    this.models.hidden = !this.#lines.length;
    this.models.replaceChildren(legend, ...boxes);
    this.submit.disabled = fitting.every(({ model_id: model }) => this.#ownNames.has(model));
  }

  get #chosen() {
    return this.credentials.find(({ id }) => String(id) === this.credential.value);
  }

  async #register() {
    const { page, t } = this;
    const boxes = [...this.models.querySelectorAll("label")];
    const chosen = boxes.filter((each) => each.querySelector("input").checked);
    const registered = [];
    for (let i = 0; i < chosen.length; i += BATCH) {
      const lines = chosen.slice(i, i + BATCH).map(({ line }) => line);
      registered.push(...(await this.#send(lines)));
    }
    for (const { id } of registered) page.changed(id);
    this.#lines = [];
    this.file.value = "";
    this.#showModels();
    this.outcome.show(t, t("registered_many", { count: registered.length }));
    await page.refresh();
    this.file.focus();
  }

  async #send(lines) {
    try {
      return await registerLines(this.page, this.#chosen, lines);
    } catch (error) {
      if (error.code === "model-id-taken") {
        await this.#loadOwnNames();
        this.#showModels();
      }
      throw error;
    }
  }
}

export async function openExchange(/** @type {Page} */ page) {
  const credentials = await page.client.all("/credentials");
  if (!page.dialogs.isOpen) new ExchangeDialog(page, credentials);
}

function lineOf({ model, owner, parameters, info }) {
  const fields = [...FIELDS, ...MORE].map((name) => [name, model[name]]);
  return { owner, ...Object.fromEntries(fields), parameters, info };
}

/** Return the models in the lines of a file; lines of another type are credentials. */
function linesOf(text) {
  try {
    const lines = text.split("\n").filter((each) => each.trim() !== "");
    const models = lines.map((each) => JSON.parse(each)).filter((each) => !("type" in each));
    if (models.every(isModel)) return models;
  } catch {
    // See below.
  }
  throw problem("file");
}

const isModel = ({ model_id: name, model_name: model, model_provider: provider }) =>
  [name, model, provider].every((each) => typeof each === "string");

/** Register models, and then set what a request for several can't set. */
async function registerLines({ client }, { id }, lines) {
  const models = lines.map((line) => {
    const sent = REQUEST_FIELDS.filter((name) => line[name] !== undefined && line[name] !== null);
    return Object.fromEntries(sent.map((name) => [name, line[name]]));
  });
  const path = `/credentials/${id}/models`;
  const registered = await client.send("POST", path, { body: { models } }).catch((error) => {
    if (error instanceof Problem) error.errors = error.errors.map((each) => nameModel(each, lines));
    throw error;
  });
  for (const [i, model] of registered.content.entries()) {
    const { parameters = {}, info = {}, is_active: isActive } = lines[i];
    if (Object.keys({ ...parameters, ...info }).length) {
      await client.send("PUT", `/${model.id}/parameters`, { body: { parameters, info } });
    }
    if (isActive === false) {
      await client.send("PATCH", `/${model.id}`, { body: { is_active: false } });
    }
  }
  return registered.content;
}

/** Say which model of the file an error is about. */
function nameModel({ field: place, message }, lines) {
  const [, number, name] = /^models\.(\d+)\.?(.*)/.exec(place) ?? [];
  if (number === undefined) return { field: place, message };
  return { field: "", message: `${lines[number]?.model_id}: ${name}: ${message}` };
}
