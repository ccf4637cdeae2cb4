// A budget without room and a limit that is reached, before every client dialect: the official SDK
// shows what is left, what was asked, what would fit and when it renews, and does not ask again for
// money that is not there. E2E_PLAN: base_url, model, poor and slow: a key and its access key pair.
import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { Cases } from "./support.mjs";

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
const makeClients = (of) => [chat(of), azure(of), responses(of), messages(of),
  converse("bedrock-converse", of), genai(of)];
const ask = { model: plan.model, text: "Hello.", output_tokens: 1000 };

async function refused(client) {
  const count = { requests: 0 };
  const error = await asked.run(count, () =>
    client.whole(ask).then(() => null, (thrown) => thrown));
  assert.ok(error, "it was answered");
  return { ...client.statusOf(error), requests: error.$metadata?.attempts ?? count.requests };
}

const BUDGET = {
  "bedrock-converse": [400, "ServiceQuotaExceededException"], gemini: [429, "ApiError"],
};
for (const client of makeClients({ ...plan, ...plan.poor, retries: 2 })) {
  await cases.run(`${client.name}: a budget without room`, async () => {
    const { status, exception, message, requests } = await refused(client);
    assert.deepEqual([status, exception], BUDGET[client.name] ?? [429, "RateLimitError"], message);
    assert.match(message, /the month budget of key 'poor' \(0\.0010* USD\) has 0\.0010* USD left/);
    assert.match(message, /this request may cost up to 0\.00\d+ USD/);
    assert.match(message, /; max_tokens up to \d+ would fit; the budget renews at 20\d\d-\d\d-01T/);
    // Google's asks again at every 429, once its user has let it: no word of the answer stops it.
    if (client.name !== "gemini") assert.equal(requests, 1, `asked ${requests} times`);
  });
}
for (const client of makeClients({ ...plan, ...plan.slow })) {
  await cases.run(`${client.name}: a limit that is reached`, async () => {
    const { status, message } = await refused(client);
    assert.equal(status, 429, message);
    assert.match(message,
      /The key 'slow' may make 1 requests per minute, and none is left\. Retry in \d+ ms\./);
  });
}
cases.finish();
