// @ts-check
/**
 * The page of a model registry, for any page of a host: <model-registry src="/api/models">.
 *
 * What the server sends becomes text, never markup. API keys go one way: from a form that forgets
 * them to the server. Works under `Content-Security-Policy: default-src 'self'`.
 */

import { ModelRegistryElement } from "./element.js";

export { ModelRegistryElement };

if (!customElements.get("model-registry")) {
  customElements.define("model-registry", ModelRegistryElement);
}
