// A supplier that is silent in mid-answer: clients whose dialect has a word for it hear that their
// stream lives, the others hear nothing but the answer. E2E_PLAN as for matrix.mjs.
import assert from "node:assert/strict";
import { Simulator } from "./simulator.mjs";
import { Cases } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const root = plan.base_url.replace(/\/v1$/, "");
const model = (kind) => plan.targets.find((target) => target.kind === kind).model;
const ASKS = {
  "openai-chat": ["/v1/chat/completions", { model: model("anthropic"), stream: true,
    messages: [{ role: "user", content: "Hi." }] }, /^: keep-alive$/m],
  "openai-responses": ["/v1/responses", { model: model("anthropic"), stream: true,
    input: "Hi." }, /^event: keepalive\ndata: \{"type":"keepalive","sequence_number":\d+\}$/m],
  "anthropic-messages": ["/v1/messages", { model: model("openai"), stream: true, max_tokens: 100,
    messages: [{ role: "user", content: "Hi." }] }, /^event: ping\ndata: \{"type": "ping"\}$/m],
  gemini: [`/v1beta/models/${model("openai")}:streamGenerateContent?alt=sse`,
    { contents: [{ role: "user", parts: [{ text: "Hi." }] }] }, null],
};

await sim.pause({ event_ms: 12_000 });
await Promise.all(Object.entries(ASKS).map(([name, [path, body, sign]]) =>
  cases.run(`${name}: a silent supplier`, async () => {
    const stop = new AbortController();
    const reply = await fetch(root + path, { method: "POST", body: JSON.stringify(body),
      headers: { authorization: `Bearer ${plan.api_key}`, "content-type": "application/json" },
      signal: stop.signal });
    assert.equal(reply.status, 200);
    const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
    const until = Date.now() + 14_000; // one silence of ten seconds, and not two
    let seen = "";
    while (!sign?.test(seen)) {
      const left = until - Date.now();
      const next = await Promise.race([reader.read(),
        new Promise((wake) => setTimeout(wake, left, null))]);
      if (!next || next.done) break;
      seen += next.value;
    }
    stop.abort();
    if (sign) assert.match(seen, sign);
    else {
      assert.match(seen, /^data: /); // what came before the silence
      assert.doesNotMatch(seen, /^(:|event)|ping|alive/m);
    }
  })));
await sim.reset();
cases.finish();
