// HTTP/2 in clear text by prior knowledge: Node's own client, several requests on one connection,
// and the AWS SDK with the handler it comes with. E2E_PLAN as for suite.mjs; prints the same lines.
import assert from "node:assert/strict";
import http2 from "node:http2";
import { Simulator } from "./simulator.mjs";
import { Cases, exchangeOf } from "./support.mjs";
import { converse } from "./clients/bedrock_converse.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const model = plan.targets[0].model;

// One request; `onPiece(text so far, stream)` is called as its body comes.
function ask(session, { body = {}, path = "/v1/chat/completions", key = plan.api_key, onPiece }) {
  return new Promise((resolve, reject) => {
    const text = JSON.stringify({ model, messages: [{ role: "user", content: "Hi." }], ...body });
    const stream = session.request({ ":method": "POST", ":path": path,
      authorization: `Bearer ${key}`, "content-type": "application/json" });
    const out = { body: "", headers: new Map(), pieces: 0 };
    stream.setEncoding("utf8");
    stream.on("response", (headers) => {
      out.status = headers[":status"];
      out.headers = new Map(Object.entries(headers));
    });
    stream.on("data", (piece) => {
      out.body += piece;
      out.pieces += 1;
      onPiece?.(out, stream);
    });
    stream.on("error", reject);
    stream.on("close", () => resolve(out));
    stream.end(text);
  });
}

async function connected(body) {
  const session = http2.connect(plan.base_url);
  try {
    await body(session);
  } finally {
    await new Promise((closed) => session.close(closed));
  }
}

const named = (name, body) => cases.run(`http2: ${name}`, async () => {
  await sim.reset();
  await connected(body);
});

await named("a whole answer, then another on the same connection", async (session) => {
  for (let i = 0; i < 3; i += 1) {
    const out = await ask(session, {});
    assert.equal(out.status, 200);
    assert.ok(JSON.parse(out.body).choices[0].message.content.length > 0);
    assert.equal(Number(out.headers.get("content-length")), out.body.length);
    assert.ok(!out.headers.has("connection"));
    await exchangeOf(plan, out);
  }
});

await named("fifty requests at once on one connection", async (session) => {
  const outs = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(session, {
    body: { stream: i % 2 === 1, messages: [{ role: "user", content: "x".repeat(i * 2000) }] },
  })));
  for (const [i, out] of outs.entries()) {
    assert.equal(out.status, 200, out.body);
    if (i % 2 === 1) assert.ok(out.body.endsWith("data: [DONE]\n\n"));
  }
  assert.equal(new Set(outs.map((out) => out.headers.get("x-entrepot-exchange"))).size, 50);
});

await named("each event of a stream comes when it is made", async (session) => {
  await sim.slow({ event_ms: 20 });
  const times = [];
  const out = await ask(session, { body: { stream: true }, onPiece: () => times.push(Date.now()) });
  assert.ok(out.pieces > 20, `came in ${out.pieces} pieces`);
  assert.ok(times.at(-1) - times[0] > 400, `came within ${times.at(-1) - times[0]} ms`);
});

await named("a stream the client resets is settled, and its neighbour goes on", async (session) => {
  await sim.slow({ event_ms: 50 });
  const neighbour = ask(session, { body: { stream: true } });
  const cut = await ask(session, { body: { stream: true },
    onPiece: (out, stream) => out.pieces === 3 && stream.close(http2.constants.NGHTTP2_CANCEL) });
  assert.ok(!cut.body.includes("[DONE]"));
  const booked = await exchangeOf(plan, cut);
  assert.equal(booked.attempts.at(-1).state, "settled", JSON.stringify(booked));
  assert.equal(booked.ended_by, "client");
  assert.ok((await neighbour).body.endsWith("data: [DONE]\n\n"));
});

await named("who is not known is told before a large body has gone", async (session) => {
  const out = await ask(session, { key: "sk-wrong", body: { user: "x".repeat(5_000_000) } });
  assert.equal(out.status, 401);
  assert.ok(JSON.parse(out.body).error.message.length > 0);
  assert.equal((await ask(session, {})).status, 200);
});

for (const isSigned of [false, true]) {
  const client = converse("bedrock-converse", plan, { http2: true, isSigned });
  const kind = `the AWS SDK with its own handler${isSigned ? ", signing" : ""}`;
  for (const target of plan.targets) {
    await named(`${kind}: ${target.kind}`, async () => {
      const text = "one two three four five ".repeat(10);
      await sim.answer({ text });
      assert.equal((await client.whole({ model: target.model, text: "Count." })).text.trim(),
        text.trim());
      const out = await client.stream({ model: target.model, text: "Count." });
      assert.equal(out.text.trim(), text.trim());
      assert.ok(out.pieces > 1);
      assert.equal(out.finish, "stop");
    });
  }
}

cases.finish();
