// Lists of models through every official SDK that has one.
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { Cases } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const root = plan.base_url.replace(/\/v1$/, "");
const names = plan.targets.map((target) => target.model).sort();
const claude = plan.targets.find((target) => target.kind === "anthropic").model;
const SNAPSHOT = Date.UTC(2025, 8, 29) / 1000;

const listed = async (pages) => {
  const out = [];
  for await (const model of await pages) out.push(model);
  return out;
};
const ours = (found) => assert.deepEqual(names.filter((name) => !found.includes(name)), []);

for (const [name, client] of [
  ["OpenAI", new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key })],
  ["AzureOpenAI", new AzureOpenAI({ endpoint: root, apiKey: plan.api_key,
    apiVersion: "2024-10-21" })],
]) {
  await cases.run(`${name}: models.list and models.retrieve`, async () => {
    ours((await listed(client.models.list())).map((model) => model.id));
    const model = await client.models.retrieve(claude);
    assert.equal(model.id, claude);
    assert.equal(model.object, "model");
    assert.equal(model.created, SNAPSHOT);
    assert.equal(model.owned_by, "anthropic");
    assert.equal(model.context_window, 128000);
    await assert.rejects(client.models.retrieve("no-such-model"), OpenAI.NotFoundError);
  });
}

const anthropic = new Anthropic({ baseURL: root, apiKey: plan.api_key });
await cases.run("Anthropic: models.list walks its pages, models.retrieve", async () => {
  const found = await listed(anthropic.models.list({ limit: 2 }));
  ours(found.map((model) => model.id));
  assert.equal(new Set(found.map((model) => model.id)).size, found.length);
  const page = await anthropic.models.list({ limit: 1000 });
  assert.equal(page.has_more, false);
  const last = await anthropic.models.list({ limit: 1, before_id: page.last_id });
  assert.equal(last.data[0].id, found.at(-2).id);
  const model = await anthropic.models.retrieve(claude);
  assert.equal(model.type, "model");
  assert.equal(model.created_at, "2025-09-29T00:00:00Z");
  assert.equal(model.max_input_tokens, 128000);
  assert.equal(model.max_tokens, 4096);
  await assert.rejects(anthropic.models.retrieve("no-such-model"), Anthropic.NotFoundError);
  await assert.rejects(anthropic.models.list({ limit: 0 }), Anthropic.BadRequestError);
});

await cases.run("Claude Code's discovery: bearer, version, every model on one page", async () => {
  const reply = await fetch(`${root}/v1/models?limit=1000`, { headers: {
    authorization: `Bearer ${plan.api_key}`, "anthropic-version": "2023-06-01" } });
  assert.equal(reply.status, 200);
  const body = await reply.json();
  assert.equal(body.has_more, false);
  ours(body.data.map((model) => model.id));
  assert.ok(body.data.every((model) => model.type === "model" && model.display_name));
});

for (const [name, google] of [
  ["Google GenAI", new GoogleGenAI({ apiKey: plan.api_key,
    httpOptions: { baseUrl: root } })],
  ["Google GenAI, v1", new GoogleGenAI({ apiKey: plan.api_key,
    httpOptions: { baseUrl: root, apiVersion: "v1" } })],
]) {
  await cases.run(`${name}: models.list walks its pages, models.get`, async () => {
    const found = await listed(google.models.list({ config: { pageSize: 2 } }));
    ours(found.map((model) => model.name.replace(/^models\//, "")));
    assert.equal(new Set(found.map((model) => model.name)).size, found.length);
    const model = await google.models.get({ model: claude });
    assert.equal(model.name, `models/${claude}`);
    assert.equal(model.inputTokenLimit, 128000);
    assert.equal(model.outputTokenLimit, 4096);
    assert.ok(model.supportedActions.includes("generateContent"));
    await assert.rejects(google.models.get({ model: "no-such-model" }),
      (error) => error.status === 404);
  });
}

await cases.run("Google GenAI at Vertex: models.list and models.get", async () => {
  const google = new GoogleGenAI({ vertexai: true, apiKey: plan.api_key,
    httpOptions: { baseUrl: root } });
  const found = await listed(google.models.list({ config: { pageSize: 2 } }));
  ours(found.map((model) => model.name.replace(/^publishers\/google\/models\//, "")));
  const model = await google.models.get({ model: claude });
  assert.equal(model.name, `publishers/google/models/${claude}`);
});

cases.finish();
