const output = { target: "orval/registry.ts", client: "fetch", baseUrl: process.env.REGISTRY_URL };
export default { registry: { input: "openapi.json", output } };
