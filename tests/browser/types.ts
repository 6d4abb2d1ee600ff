// What a host in TypeScript writes, against the types that are shipped; `make check` compiles it.
import { ModelRegistryElement as Element } from "../../flask_model_registry/web/static/element.js";
import type {
  ModelRegistryElement,
  Person,
} from "../../flask_model_registry/web/static/model-registry.js";

const models = document.querySelector("model-registry");
if (models) {
  models.getToken = async () => "token";
  models.token = "token";
  models.people = async (): Promise<Person[]> => [{ key: 1, name: "Alice" }];
  models.people = async (query) => [{ key: query.trim() }];
  models.groups = ["sales"];
  models.addEventListener("model-registry-change", ({ detail }) => detail.id?.toFixed());
  models.refresh().then(() => undefined);
  // @ts-expect-error: a list of people is not a list of groups
  models.groups = [{ key: 1 }];
}

// The types that are shipped are those of the source.
const shipped: ModelRegistryElement = new Element();
const { getToken, getCsrfToken, people, groups, texts }: Element = shipped as Element;
export { getCsrfToken, getToken, groups, people, texts };
