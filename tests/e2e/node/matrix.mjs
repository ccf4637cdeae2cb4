// Every client dialect before every kind of supplier, by the clients' official SDKs: each cell is
// green, or refused by a 400 that names what cannot be carried. Prints `ok`/`not ok` per cell, the
// table, and a counting line; exit 1 when a cell failed. E2E_PLAN as for suite.mjs, and
// `access_key` {id, secret} for clients that sign.
import assert from "node:assert/strict";
import { Simulator } from "./simulator.mjs";
import { Cases, exchangeById } from "./support.mjs";
import { chat, azure } from "./clients/openai_chat.mjs";
import { express, genai, vertex } from "./clients/gemini.mjs";
import { responses } from "./clients/openai_responses.mjs";
import { messages, vertexMessages } from "./clients/anthropic_messages.mjs";
import { converse } from "./clients/bedrock_converse.mjs";
import { invoke } from "./clients/bedrock_invoke.mjs";
import { Unsaid } from "./clients/face.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);

const CLIENTS = [
  chat(plan),
  azure(plan),
  responses(plan),
  messages(plan),
  converse("bedrock-converse", plan),
  converse("bedrock-converse h2", plan, { http2: true }),
  converse("bedrock-converse signed h2", plan, { isSigned: true, http2: true }),
  invoke("bedrock-invoke", "claude", plan),
  invoke("bedrock-invoke signed h2", "claude", plan, { isSigned: true, http2: true }),
  invoke("bedrock-invoke Nova", "nova", plan, { isSigned: true }),
  invoke("bedrock-invoke Llama h2", "llama", plan, { http2: true }),
  genai(plan),
  vertex(plan),
  express(plan),
  vertexMessages(plan),
];

// What the simulated suppliers do by themselves.
const CACHES_MARKED = new Set(["anthropic", "bedrock", "bedrock_bearer", "vertex-claude"]);
const CACHES_UNASKED = new Set(["openai", "openai_compatible", "azure", "gemini", "oci",
  "oci-native", "oci-cohere", "oci-cohere-1", "bedrock_mantle", "vertex-gemini", "vertex-llama",
  "vertex-mistral", "vertex-express"]);
const TELLS_THOUGHTS = new Set(["openai_compatible", "anthropic", "bedrock", "bedrock_bearer",
  "cohere", "oci-native", "oci-cohere", "vertex-claude", "vertex-llama", "vertex-mistral"]);
const TELLS_THOUGHTS_ASKED = new Set(["gemini", "vertex-gemini", "vertex-express"]);
/// They want their thoughts back, signed where they sign them.
const WANTS_THOUGHTS = new Set(["anthropic", "bedrock", "bedrock_bearer", "gemini",
  "vertex-gemini", "vertex-claude", "vertex-express"]);

const WEATHER = { name: "get_weather", field: "city" };
const TIME = { name: "get_time", field: "zone" };
const OSLO = { name: "get_weather", arguments: { city: "Oslo" } };
const ZONE = { name: "get_time", arguments: { zone: "Europe/Oslo" } };
const LONG = "one two three four five six seven eight nine ten ".repeat(20);

/// Whether a client's error is a refusal of ours by name, and not a failure.
function isRefusal(client, error) {
  const { status, message } = client.statusOf(error);
  return status === 400 &&
    /extraneous key|'[a-z_A-Z0-9.[\]]+'|cannot be carried|n[o']t support/.test(message);
}

function complete(out, finish = "stop") {
  assert.equal(out.finish, finish, JSON.stringify(out));
  assert.ok(out.usage.input > 0 && out.usage.output > 0, JSON.stringify(out.usage));
}

/// Calls are told apart by their ids, which Google's own may lack.
function named(client, calls) {
  const ids = calls.map((call) => call.id).filter(Boolean);
  assert.ok(ids.length === calls.length || (client.mayLackIds && ids.length === 0));
  assert.equal(new Set(ids).size, ids.length);
  return calls.map((call) => [call.name, call.args]);
}

/// What the books say was used is what the suppliers say they sold.
async function metered(served) {
  for (const { exchange, usage } of served) {
    const { attempts } = await exchangeById(plan, exchange);
    assert.deepEqual(attempts.at(-1).usage, usage, exchange);
  }
}

const SCENARIOS = {
  async whole(client, model) {
    const out = await client.whole({ model, text: "Say hello." });
    assert.ok(out.text.length > 0);
    complete(out);
  },
  async streamed(client, model) {
    await sim.answer({ text: LONG });
    const out = await client.stream({ model, text: "Count." });
    assert.equal(out.text.trim(), LONG.trim());
    assert.ok(out.pieces > 1, `came in ${out.pieces} piece`);
    complete(out);
  },
  async tools(client, model) {
    await sim.answer({ tool_calls: [OSLO] });
    const ask = { model, text: "Weather in Oslo?", tools: [WEATHER, TIME] };
    const first = await client.whole(ask);
    complete(first, "tools");
    assert.deepEqual(named(client, first.calls), [["get_weather", { city: "Oslo" }]]);
    await sim.reset();
    const second = await client.whole(
      { ...ask, turns: [{ call: first.calls[0], result: "Snow, -3 C" }] });
    assert.ok(second.text.length > 0);
  },
  async parallel(client, model) {
    await sim.answer({ tool_calls: [OSLO, ZONE] });
    const out = await client.stream({ model, text: "Both?", tools: [WEATHER, TIME] });
    complete(out, "tools");
    assert.deepEqual(named(client, out.calls),
      [["get_weather", { city: "Oslo" }], ["get_time", { zone: "Europe/Oslo" }]]);
  },
  async image(client, model) {
    const out = await client.whole({ model, text: "What is this?", image: true });
    assert.ok(out.text.length > 0);
    complete(out);
  },
  async structured(client, model) {
    await sim.answer({ text: '{"city":"Oslo"}' });
    const out = await client.whole({ model, text: "Which city?", schema: WEATHER });
    assert.deepEqual(JSON.parse(out.text), { city: "Oslo" });
  },
  async reasoning(client, model, kind) {
    await sim.answer({ tool_calls: [OSLO] });
    const ask = { model, text: "Weather?", tools: [WEATHER], effort: "low", output_tokens: 4000 };
    const first = await client.whole(ask);
    complete(first, "tools");
    if (TELLS_THOUGHTS.has(kind) ||
      (TELLS_THOUGHTS_ASKED.has(kind) && client.asksForThoughts !== false))
      assert.ok(first.thought.length > 0, "no thought was told");
    await sim.reset();
    const second = await client.whole({ ...ask,
      turns: [{ turn: first.turn, call: first.calls[0], result: "Snow, -3 C" }] });
    complete(second);
    const served = await sim.served();
    assert.equal(served.length, 2);
    if (WANTS_THOUGHTS.has(kind) && client.returnsThoughts)
      assert.ok(served[1].thoughts > 0, "the thought did not come back to its maker");
    await metered(served);
  },
  async cached(client, model, kind) {
    const ask = { model, text: "And now?",
      cached: `${client.name} to ${kind}: ${LONG.repeat(6)}` };
    complete(await client.whole(ask));
    const again = await client.whole(ask);
    complete(again);
    const served = await sim.served();
    assert.equal(served.length, 2);
    if (CACHES_UNASKED.has(kind) || (CACHES_MARKED.has(kind) && client.marksCaches)) {
      assert.ok(served[1].usage.cache_read > 0, "the supplier was shown no mark");
      assert.equal(again.usage.cached, served[1].usage.cache_read);
    } else {
      assert.equal(again.usage.cached, 0);
    }
    await metered(served);
  },
  async cut(client, model) {
    await sim.answer({ text: LONG });
    const out = await client.stream({ model, text: "Count.", output_tokens: 16 });
    complete(out, "length");
  },
  async broken(client, model, kind) {
    // Past the first bytes of the text; who thinks unasked thinks before it.
    await sim.truncate({ after_events: kind === "cohere" ? 30 : 8 });
    let seen = 0;
    const onPiece = (pieces) => { seen = pieces; };
    await assert.rejects(client.stream({ model, text: "Count to fifty.", onPiece }));
    assert.ok(seen > 0, "it broke before the first byte");
  },
  async cancel(client, model) {
    await sim.slow({ event_ms: 60 });
    const stop = new AbortController();
    const onPiece = (pieces) => pieces >= 3 && stop.abort();
    await assert.rejects(
      client.stream({ model, text: "Count to fifty.", signal: stop.signal, onPiece }));
    assert.ok(stop.signal.aborted, "it broke before it was cancelled");
  },
  // Last: an offer that was throttled rests, and the next request would wait for it.
  async error(client, model) {
    await sim.fail({ status: 429, retry_after_s: 1 });
    const error = await client.whole({ model, text: "x" }).then(
      () => assert.fail("no error was raised"), (raised) => raised);
    const { status, exception } = client.statusOf(error);
    assert.equal(status, 429, String(error));
    assert.match(exception, /RateLimit|Throttl|ApiError/);
  },
};

const table = new Map();
const codes = new Map(); // of a refusal, by its words
function codeOf({ message }) {
  // The words without what differs from request to request.
  const words = message.replace(/e2e-[a-z-]+/g, "MODEL")
    .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, "ID").replace(/\s+/g, " ").slice(0, 150);
  if (!codes.has(words)) codes.set(words, `r${codes.size + 1}`);
  return codes.get(words);
}

for (const client of CLIENTS) {
  for (const { kind, model } of [...plan.targets, ...plan.text_targets]) {
    const name = model.replace("e2e-", "");
    const row = [];
    for (const [scenario, play] of Object.entries(SCENARIOS)) {
      let cell = "";
      await cases.run(`${client.name} to ${name}: ${scenario}`, async () => {
        cell = "FAIL";
        await sim.reset();
        await sim.forget();
        try {
          await play(client, model, kind);
          cell = "ok";
        } catch (error) {
          if (error instanceof Unsaid) cell = "-";
          else if (isRefusal(client, error)) cell = codeOf(client.statusOf(error));
          else throw error;
        }
      });
      row.push(cell);
    }
    if (row.some(Boolean)) table.set(`${client.name} to ${name}`, row);
  }
}

const width = Math.max(...[...table.keys()].map((name) => name.length));
console.log(`\n# ${"client to supplier".padEnd(width - 2)} ${Object.keys(SCENARIOS).map((name) =>
  name.padEnd(10)).join("")}`);
for (const [name, row] of table) {
  console.log(`# ${name.padEnd(width)} ${row.map((cell) => cell.padEnd(10)).join("")}`);
}
for (const [words, code] of codes) console.log(`# ${code.padStart(4)}: ${words}`);
const cells = [...table.values()].flat();
const count = (test) => cells.filter(test).length;
console.log(`# ${table.size} rows x ${Object.keys(SCENARIOS).length} columns: ` +
  `${count((cell) => cell === "ok")} ok, ${count((cell) => /^r\d/.test(cell))} refused by name, ` +
  `${count((cell) => cell === "-")} that the client has no words for, ` +
  `${count((cell) => cell === "FAIL")} failed`);
cases.finish();
