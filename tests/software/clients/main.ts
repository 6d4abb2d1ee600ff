// Does the same with each generated client: register 120 models, page through them, change one, and fail to change it
// by an old tag. Each call must fit the types that its generator made of the document.
import createFetchClient from "openapi-fetch";
import { createClient, createConfig } from "./hey/client";
import * as hey from "./hey/sdk.gen";
import * as orval from "./orval/registry";
import type { components, paths } from "./registry";

type New = components["schemas"]["NewModel"];
type Model = components["schemas"]["ModelRepresentation"];
type Page = { models: Model[] | undefined; headers: Headers };
type Changed = { status: number; temperature?: number | null };

interface Client {
  register(model: New): Promise<Model | undefined>;
  list(after: string | undefined): Promise<Page>;
  tagOf(id: number): Promise<string | null>;
  change(id: number, temperature: number, tag: string): Promise<Changed>;
}

const baseUrl = process.env.REGISTRY_URL!;

function withOpenapiFetch(token: string): Client {
  const client = createFetchClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${token}` } });
  return {
    register: async (body) => (await client.POST("/register", { body })).data,
    list: async (after) => {
      const { data, response } = await client.GET("/", { params: { query: { limit: 50, after } } });
      return { models: data, headers: response.headers };
    },
    tagOf: async (id) => {
      const { response } = await client.GET("/{id}", { params: { path: { id } } });
      return response.headers.get("ETag");
    },
    change: async (id, temperature, tag) => {
      const params = { path: { id }, header: { "If-Match": tag } };
      const { data, response } = await client.PATCH("/{id}", { params, body: { temperature } });
      return { status: response.status, temperature: data?.temperature };
    },
  };
}

function withHeyApi(token: string): Client {
  const client = createClient(createConfig({ baseUrl, auth: token }));
  return {
    register: async (body) => (await hey.registerModel({ client, body })).data,
    list: async (after) => {
      const { data, response } = await hey.listModels({ client, query: { limit: 50, after } });
      return { models: data, headers: response!.headers };
    },
    tagOf: async (id) => {
      const { response } = await hey.getModel({ client, path: { id } });
      return response!.headers.get("ETag");
    },
    change: async (id, temperature, tag) => {
      const headers = { "If-Match": tag };
      const { data, response } = await hey.updateModel({ client, path: { id }, headers, body: { temperature } });
      return { status: response!.status, temperature: data?.temperature };
    },
  };
}

function withOrval(token: string): Client {
  const headers = { Authorization: `Bearer ${token}` };
  return {
    register: async (body) => {
      const answer = await orval.registerModel(body, { headers });
      return answer.status === 201 ? answer.data : undefined;
    },
    list: async (after) => {
      const answer = await orval.listModels({ limit: 50, after }, { headers });
      return { models: answer.status === 200 ? answer.data : undefined, headers: answer.headers };
    },
    tagOf: async (id) => (await orval.getModel(id, { headers })).headers.get("ETag"),
    change: async (id, temperature, tag) => {
      const answer = await orval.updateModel(id, { temperature }, { headers: { ...headers, "If-Match": tag } });
      return { status: answer.status, temperature: answer.status === 200 ? answer.data.temperature : undefined };
    },
  };
}

async function journey(client: Client) {
  const names: (string | undefined)[] = [];
  const common = { model_provider: "openai", model_name: "gpt-4o", api_key: process.env.API_KEY! };
  for (let number = 0; number < 120; number++) {
    names.push((await client.register({ model_id: `m-${number}`, ...common }))?.model_id);
  }
  const listed: Model[] = [];
  const pages: (number | undefined)[] = [];
  let after: string | undefined;
  do {
    const { models, headers } = await client.list(after);
    pages.push(models?.length);
    listed.push(...(models ?? []));
    const next = /<(.*)>; rel="next"/.exec(headers.get("Link") ?? "")?.[1];
    after = next && (new URL(next, baseUrl).searchParams.get("after") ?? undefined);
  } while (after);
  const { id } = listed[60];
  const tag = (await client.tagOf(id))!;
  const changed = await client.change(id, 0.5, tag);
  const refused = await client.change(id, 1, tag);
  const isAll = names.join() === listed.map((model) => model.model_id).join();
  return { registered: new Set(names).size, pages, isAll, changed, refused: refused.status };
}

async function main() {
  const tokens: Record<string, string> = JSON.parse(process.env.TOKENS!);
  const makers = { "openapi-fetch": withOpenapiFetch, "@hey-api/openapi-ts": withHeyApi, orval: withOrval };
  const results = Object.entries(makers).map(async ([name, make]) => [name, await journey(make(tokens[name]))]);
  console.log(JSON.stringify(Object.fromEntries(await Promise.all(results))));
}

main();
