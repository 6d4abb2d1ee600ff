// @ts-check
/** Code to copy that calls a model. Names are quoted, because other users choose them. */

const HELLO = [{ role: "user", content: "Hello" }];
const RERANKED = { query: "Which is a fruit?", documents: ["An apple", "A stone"] };
const SPOKEN = { voice: "alloy", input: "Hello" };

/** For each kind of model, the method of OpenAI's client, the path of its API, and what is sent. */
const CALLS = {
  llm: ["chat.completions.create", "/chat/completions", { messages: HELLO }],
  embedding: ["embeddings.create", "/embeddings", { input: ["Hello"] }],
  image: ["images.generate", "/images/generations", { prompt: "A lighthouse" }],
  tts: ["audio.speech.create", "/audio/speech", SPOKEN],
  asr: ["audio.transcriptions.create", "/audio/transcriptions", null],
  rerank: [null, "/rerank", RERANKED],
};

/** Quote text for a shell. */
const quoted = (text) => `'${text.replaceAll("'", `'\\''`)}'`;

/** Write a value in Python, where JSON is valid except for `true`, `false` and `null`, unused here. */
const python = (value) => JSON.stringify(value);

function kindOf({ category, abilities }) {
  if (category !== "speech") return Object.hasOwn(CALLS, category) ? category : "llm";
  return abilities?.includes("asr") ? "asr" : "tts";
}

/** Return a client's call. `name` is the code for the model's name. */
function call(model, name, args) {
  const [method, path, body] = CALLS[kindOf(model)];
  if (!method) {
    const entries = Object.entries(body).map(([key, value]) => `"${key}": ${python(value)}`);
    const content = [`"model": ${name}`, ...entries].join(", ");
    return `response = client.post("${path}", cast_to=object, body={${content}})`;
  }
  const given = body
    ? Object.entries(body).map(([key, value]) => `${key}=${python(value)}`)
    : ['file=open("speech.mp3", "rb")'];
  return `response = client.${method}(${[args, ...given].join(", ")})`;
}

function curl(model, address) {
  const [, path, body] = CALLS[kindOf(model)];
  const head = [`curl ${quoted(address + path)}`, '-H "Authorization: Bearer $API_KEY"'];
  const content = body
    ? [
        "-H 'Content-Type: application/json'",
        `-d ${quoted(JSON.stringify({ model: model.model_name, ...body }))}`,
      ]
    : // -F would upload the reader's own file for a model that is called @/etc/passwd.
      [`--form-string ${quoted(`model=${model.model_name}`)}`, "-F file=@speech.mp3"];
  return [...head, ...content].join(" \\\n  ");
}

/**
 * Return code that calls a model: in the host's app, with OpenAI's client, and in a shell.
 *
 * @param {any} model
 * @param {string} address Where it is called.
 */
export function codeSamples(model, address) {
  const base = address.replace(/\/+$/, "");
  const name = python(model.model_name);
  return {
    in_your_app: [
      "from openai import OpenAI\n",
      `model = registry.resolve(${python(model.model_id)})`,
      "client = OpenAI(**model.openai_kwargs(), http_client=model.http_client())",
      call(model, "model.model_name", "**model.call_kwargs()"),
    ].join("\n"),
    openai_client: [
      "import os\n\nfrom openai import OpenAI\n",
      `client = OpenAI(base_url=${python(base)}, api_key=os.environ["API_KEY"])`,
      call(model, name, `model=${name}`),
    ].join("\n"),
    curl: curl(model, base),
  };
}
