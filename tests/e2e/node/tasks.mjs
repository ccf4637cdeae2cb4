// Embeddings and token counts through every official SDK that has them, before every supplier kind
// that does them.
import Anthropic from "@anthropic-ai/sdk";
import { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import { BedrockRuntimeClient, CountTokensCommand, InvokeModelCommand }
  from "@aws-sdk/client-bedrock-runtime";
import { GoogleGenAI } from "@google/genai";
import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI } from "openai";
import { bearer } from "./clients/google_auth.mjs";
import { Simulator } from "./simulator.mjs";
import { Cases, exchangeOf } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const root = plan.base_url.replace(/\/v1$/, "");
const openai = new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key, maxRetries: 0 });
const google = new GoogleGenAI({ apiKey: plan.api_key, httpOptions: { baseUrl: root } });
const vertex = new GoogleGenAI({ vertexai: true, project: "acme", location: "eu",
  googleAuthOptions: { authClient: bearer(plan) }, httpOptions: { baseUrl: root } });
const aws = new BedrockRuntimeClient({ region: "us-east-1", endpoint: root, maxAttempts: 1,
  credentials: { accessKeyId: plan.access_key.id, secretAccessKey: plan.access_key.secret } });
const TEXTS = ["one", "two", "a third text"];

const near = (a, b, what) => {
  assert.equal(a.length, b.length, what);
  for (const [i, number] of a.entries()) assert.ok(Math.abs(number - b[i]) < 1e-6, what);
};
const run = (name, body) => cases.run(name, async () => {
  await sim.reset();
  await body();
});
const refusedFor = (ask, why) => assert.rejects(ask,
  (error) => error.status === 400 && why.test(error.message));
const truth = (await openai.embeddings.create({
  model: "e2e-vectors-openai", input: TEXTS, encoding_format: "float" })).data
  .map((item) => item.embedding);

for (const { kind, model } of plan.vectors) {
  await run(`embeddings, OpenAI, ${model}: as asked, as numbers, and of one text`, async () => {
    const { data, response } = await openai.embeddings.create({ model, input: TEXTS })
      .withResponse();
    assert.deepEqual(data.data.map((item) => item.index), [0, 1, 2]);
    for (const [i, item] of data.data.entries()) near(item.embedding, truth[i], model);
    assert.ok(data.usage.prompt_tokens > 0);
    const booked = await exchangeOf(plan, response);
    assert.equal(booked.attempts.length, 1);
    assert.equal(booked.attempts[0].usage.input, data.usage.prompt_tokens);
    assert.equal(booked.attempts[0].usage.output, undefined);
    assert.ok(!booked.attempts[0].estimated);
    assert.equal(`${booked.cost} USD`, response.headers.get("x-entrepot-cost"));
    const plain = await openai.embeddings.create({ model, input: "two", encoding_format: "float" });
    near(plain.data[0].embedding, truth[1], model);
  });

  await run(`embeddings, OpenAI, ${model}: dimensions are carried`, async () => {
    const { data } = await openai.embeddings.create({ model, input: "one", dimensions: 8 });
    assert.equal(data[0].embedding.length, 8);
  });

  await run(`embeddings, Google, ${model}`, async () => {
    const reply = await google.models.embedContent({ model, contents: TEXTS });
    for (const [i, item] of reply.embeddings.entries()) near(item.values, truth[i], model);
    assert.equal(reply.embeddings.length, 3);
  });

  await run(`embeddings, Google at Vertex, ${model}`, async () => {
    for (const [i, text] of TEXTS.entries()) {
      const reply = await vertex.models.embedContent({ model, contents: text });
      near(reply.embeddings[0].values, truth[i], model);
    }
  });

  await run(`embeddings, AWS, ${model}: Titan's body`, async () => {
    const ask = JSON.stringify({ inputText: "two", dimensions: 64 });
    const reply = await aws.send(new InvokeModelCommand({ modelId: model,
      contentType: "application/json", body: ask }));
    const body = JSON.parse(new TextDecoder().decode(reply.body));
    near(body.embedding, truth[1], model);
    assert.ok(body.inputTextTokenCount > 0);
  });

  await run(`embeddings, AWS, ${model}: Cohere's body`, async () => {
    const reply = await aws.send(new InvokeModelCommand({ modelId: model,
      contentType: "application/json",
      body: JSON.stringify({ texts: TEXTS, input_type: "search_document" }) }));
    const body = JSON.parse(new TextDecoder().decode(reply.body));
    const vectors = body.embeddings.float ?? body.embeddings;
    for (const [i, vector] of vectors.entries()) near(vector, truth[i], model);
    assert.equal(vectors.length, 3);
  });

  await run(`embeddings, OpenAI, ${model}: token ids, at their own maker or refused`, async () => {
    const ask = openai.embeddings.create({ model, input: [[1, 2, 3], [4]] });
    const is_home = ["openai", "azure", "openai_compatible"].includes(kind);
    if (is_home) assert.equal((await ask).usage.prompt_tokens, 4);
    else await refusedFor(ask, /token ids/);
  });

  await run(`embeddings, OpenAI, ${model}: a supplier's 500 raises the SDK's error`, async () => {
    await sim.fail({ status: 500 });
    await assert.rejects(openai.embeddings.create({ model, input: "one" }),
      OpenAI.InternalServerError);
  });
}

await run("embeddings, AzureOpenAI: the deployment is the model", async () => {
  const azure = new AzureOpenAI({ endpoint: root, apiKey: plan.api_key, apiVersion: "2024-10-21",
    deployment: "e2e-vectors-gemini" });
  const { data } = await azure.embeddings.create({ model: "e2e-vectors-gemini", input: TEXTS });
  for (const [i, item] of data.entries()) near(item.embedding, truth[i], "azure");
});

await run("embeddings of a model that is none are refused by name", async () => {
  const ask = openai.embeddings.create({ model: "e2e-anthropic", input: "one" });
  await refusedFor(ask, /make embeddings/);
});

const anthropic = new Anthropic({ baseURL: root, apiKey: plan.api_key, maxRetries: 0 });
const claude = new AnthropicVertex({ baseURL: plan.base_url, maxRetries: 0, projectId: "acme",
  region: "eu", authClient: bearer(plan) });
const QUESTION = [{ role: "user", content: "How many tokens is this?" }];
const counts = {
  "Anthropic at Vertex": async (model) => (await claude.messages.countTokens({
    model, system: "Be brief.", messages: QUESTION })).input_tokens,
  "Google at Vertex": async (model) => (await vertex.models.countTokens({
    model, contents: "How many tokens is this?" })).totalTokens,
  "Anthropic": async (model) => (await anthropic.messages.countTokens({
    model, system: "Be brief.", messages: QUESTION })).input_tokens,
  "OpenAI": async (model) => (await openai.responses.inputTokens.count({
    model, instructions: "Be brief.", input: "How many tokens is this?" })).input_tokens,
  "Google": async (model) => (await google.models.countTokens({
    model, contents: "How many tokens is this?" })).totalTokens,
  "AWS": async (model) => (await aws.send(new CountTokensCommand({ modelId: model,
    input: { converse: { messages: [{ role: "user",
      content: [{ text: "How many tokens is this?" }] }] } } }))).inputTokens,
};
for (const [client, count] of Object.entries(counts)) {
  for (const { kind, model } of plan.counters) {
    await run(`token counts, ${client}, ${model}`, async () => {
      if (kind === "openai_compatible") {
        await assert.rejects(count(model), (error) => /count tokens/.test(error.message));
        return;
      }
      const tokens = await count(model);
      assert.ok(tokens >= 6 && tokens < 40, `${tokens}`);
    });
  }
}
cases.finish();
