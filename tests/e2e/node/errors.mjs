// Every kind of refusal that a supplier knows, before every client dialect: the official SDK raises
// its own class for it, asks again when that helps, and nobody hears of the gateway's own accounts.
// The table is made of two: what the cloud refuses with, and what that is to a client. E2E_PLAN as
// for matrix.mjs.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { Simulator } from "./simulator.mjs";
import { Cases } from "./support.mjs";

// How often a client asked: counted below the SDKs, which are made after this line.
const asked = new AsyncLocalStorage();
const plainFetch = globalThis.fetch;
globalThis.fetch = (...args) => {
  const count = asked.getStore();
  if (count) count.requests += 1;
  return plainFetch(...args);
};
const { chat, azure } = await import("./clients/openai_chat.mjs");
const { genai } = await import("./clients/gemini.mjs");
const { responses } = await import("./clients/openai_responses.mjs");
const { messages } = await import("./clients/anthropic_messages.mjs");
const { converse } = await import("./clients/bedrock_converse.mjs");

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const makeClients = (of) => [chat(of), azure(of), responses(of), messages(of),
  converse("bedrock-converse", of), converse("bedrock-converse h2", of, { http2: true }),
  genai(of)];

// A refusal to what it is to a client.
const MEANING = {
  rate_limit: "rate_limit", service_quota: "rate_limit", overloaded: "overloaded",
  not_ready: "overloaded", server: "server", model_error: "server", timeout: "timeout",
  context: "context", context_of_sum: "context", context_of_llama: "context",
  content_filter: "invalid", invalid: "invalid", model_missing: "missing", too_large: "too_large",
  account_dry: "ours", billing: "ours", bad_key: "ours", expired_key: "ours",
  no_permission: "ours",
};
const OPENAI = {
  rate_limit: [429, "RateLimitError"], overloaded: [503, "InternalServerError"],
  server: [500, "InternalServerError"], timeout: [504, "InternalServerError"],
  context: [400, "BadRequestError"], invalid: [400, "BadRequestError"],
  missing: [404, "NotFoundError"], too_large: [413, "APIError"],
  ours: [502, "InternalServerError"],
};
const google = (status) => [status, "ApiError"];
const KNOWN = {
  openai: OPENAI,
  anthropic: { ...OPENAI, overloaded: [529, "OverloadedError"],
    timeout: [504, "GatewayTimeoutError"], too_large: [413, "ContentTooLargeError"] },
  bedrock: {
    rate_limit: [429, "ThrottlingException"], overloaded: [503, "ServiceUnavailableException"],
    server: [500, "InternalServerException"], timeout: [408, "ModelTimeoutException"],
    context: [400, "ValidationException"], invalid: [400, "ValidationException"],
    missing: [404, "ResourceNotFoundException"], too_large: [400, "ValidationException"],
    ours: [502, "InternalServerException"],
  },
  gemini: {
    rate_limit: google(429), overloaded: google(503), server: google(500), timeout: google(504),
    context: google(400), invalid: google(400), missing: google(404), too_large: google(400),
    ours: google(502),
  },
};
// The words by which clients know that they have to shorten their history.
const FULL = {
  "openai-chat": /maximum context length/, "azure-openai": /maximum context length/,
  "openai-responses": /exceeds the context window/, anthropic: /prompt is too long/,
  bedrock: /^Input is too long for requested model/,
  gemini: /exceeds the maximum number of tokens allowed/,
};
const AGAIN = new Set(["rate_limit", "overloaded", "server"]);

// In Oracle's native chat a model that is not there is one that the gateway may not see.
const meaningOf = (refusal, kind) =>
  (refusal === "model_missing" && kind.startsWith("oci-") ? "ours" : MEANING[refusal]);

const familyOf = (client) => ["anthropic", "bedrock", "gemini"].find((name) =>
  client.name.startsWith(name)) ?? "openai";
/// Both speak one dialect: a refusal passes as the supplier sent it.
function isHome(client, kind) {
  const family = familyOf(client);
  if (family === "bedrock") return ["bedrock", "bedrock_bearer"].includes(kind);
  if (family !== "openai") return kind.startsWith(family);
  return ["openai", "azure", "bedrock_mantle", "oci"].includes(kind) ||
    (client.name !== "openai-responses" &&
      ["openai_compatible", "vertex-llama", "vertex-mistral"].includes(kind));
}

function judge(client, kind, refusal, error) {
  const { status, message, exception } = client.statusOf(error);
  const told = `${status} ${exception}: ${message}`;
  const meaning = meaningOf(refusal, kind);
  assert.doesNotMatch(message,
    /org-Simulated|proj_Simulated|sk-Simul|123456789012|subscriptions\/0/);
  if (meaning === "ours" || !isHome(client, kind)) {
    assert.deepEqual([status, exception], KNOWN[familyOf(client)][meaning], told);
  } else {
    assert.ok(![401, 402, 403].includes(status), told);
  }
  if (meaning === "context" && !isHome(client, kind)) {
    assert.match(message, FULL[client.name] ?? FULL[familyOf(client)], told);
    if (familyOf(client) === "openai") assert.equal(error.code, "context_length_exceeded", told);
    if (familyOf(client) === "anthropic" && !kind.startsWith("bedrock")) {
      const [, prompt, limit] = /(\d+) tokens > (\d+) maximum/.exec(message) ?? [];
      assert.ok(refusal === "context_of_llama" || Number(prompt) > Number(limit), told);
    }
  }
}

const table = new Map();
const refusing = new Set();
for (const refusal of Object.keys(MEANING)) {
  await sim.refuse(refusal);
  const pairs = makeClients(plan).flatMap((client) =>
    plan.targets.map((target) => ({ client, ...target })));
  const seen = await Promise.all(pairs.map(({ client, model }) =>
    client.whole({ model, text: "Hello." }).then(() => null, (error) => error)));
  // A cloud has that refusal for everybody or for nobody.
  const refusers = new Set(pairs.filter((_, at) => seen[at]).map(({ kind }) => kind));
  for (const kind of refusers) refusing.add(`${kind} ${refusal}`);
  for (const [at, { client, kind }] of pairs.entries()) {
    if (!refusers.has(kind)) continue;
    await cases.run(`${client.name} to ${kind}: ${refusal}`, async () => {
      assert.ok(seen[at], "it was answered, and others were refused");
      judge(client, kind, refusal, seen[at]);
    });
    const row = table.get(`${client.name} to ${kind}`) ?? {};
    row[refusal] = seen[at] ? client.statusOf(seen[at]).status : "none";
    table.set(`${client.name} to ${kind}`, row);
  }
}

await cases.run("every cloud refuses in as many ways as it is simulated to", async () => {
  assert.ok(refusing.size >= 200, `${refusing.size} pairs of cloud and refusal`);
});

// Asked again: by every client of its own accord, through a supplier of another dialect.
for (const refusal of ["rate_limit", "overloaded", "server", "context", "invalid"]) {
  await sim.refuse(refusal);
  await Promise.all(makeClients({ ...plan, retries: 1 }).map((client) => {
    const { model, kind } = plan.targets.find((target) => !isHome(client, target.kind));
    return cases.run(`${client.name} to ${kind}: ${refusal}, and then`, async () => {
      const count = { requests: 0 };
      const error = await asked.run(count, () =>
        client.whole({ model, text: "Hello." }).then(() => null, (thrown) => thrown));
      assert.ok(error, "it was answered");
      const requests = error.$metadata?.attempts ?? count.requests;
      assert.equal(requests, AGAIN.has(refusal) ? 2 : 1, `asked ${requests} times: ${error}`);
    });
  }));
}
await sim.reset();

const width = Math.max(...[...table.keys()].map((name) => name.length));
const names = Object.keys(MEANING);
const inColumns = (cells) => cells.map((cell) => String(cell).slice(0, 9).padEnd(10)).join("");
console.log(`\n# ${"refusal".padEnd(width)} ${inColumns(names)}`);
for (const [name, row] of table) {
  console.log(`# ${name.padEnd(width)} ${inColumns(names.map((refusal) => row[refusal] ?? "-"))}`);
}
cases.finish();
