// Every client dialect before every kind of supplier, by the clients' official SDKs: each cell is
// green, or refused by a 400 that names what cannot be carried. Prints `ok`/`not ok` per cell, the
// table, and a counting line; exit 1 when a cell failed. E2E_PLAN as for suite.mjs, and
// `access_key` {id, secret} for clients that sign.
import assert from "node:assert/strict";
import { Simulator } from "./simulator.mjs";
import { Cases } from "./support.mjs";
import { chat, azure } from "./clients/openai_chat.mjs";
import { genai } from "./clients/gemini.mjs";
import { responses } from "./clients/openai_responses.mjs";
import { messages } from "./clients/anthropic_messages.mjs";
import { converse } from "./clients/bedrock_converse.mjs";
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
  genai(plan),
];

const WEATHER = { name: "get_weather", field: "city" };
const TIME = { name: "get_time", field: "zone" };
const OSLO = { name: "get_weather", arguments: { city: "Oslo" } };
const ZONE = { name: "get_time", arguments: { zone: "Europe/Oslo" } };
const LONG = "one two three four five six seven eight nine ten ".repeat(20);

/// Whether a client's error is a refusal of ours by name, and not a failure.
function isRefusal(client, error) {
  const { status, message } = client.statusOf(error);
  return status === 400 && /'[a-z_A-Z0-9.[\]]+'|cannot be carried|not supported/.test(message);
}

function complete(out, finish = "stop") {
  assert.equal(out.finish, finish, JSON.stringify(out));
  assert.ok(out.usage.input > 0 && out.usage.output > 0, JSON.stringify(out.usage));
}

function named(calls) {
  assert.equal(new Set(calls.map((call) => call.id)).size, calls.length);
  return calls.map((call) => [call.name, call.args]);
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
    assert.deepEqual(named(first.calls), [["get_weather", { city: "Oslo" }]]);
    await sim.reset();
    const second = await client.whole(
      { ...ask, turns: [{ call: first.calls[0], result: "Snow, -3 C" }] });
    assert.ok(second.text.length > 0);
  },
  async parallel(client, model) {
    await sim.answer({ tool_calls: [OSLO, ZONE] });
    const out = await client.stream({ model, text: "Both?", tools: [WEATHER, TIME] });
    complete(out, "tools");
    assert.deepEqual(named(out.calls),
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
  async reasoning(client, model) {
    const out = await client.whole(
      { model, text: "Think.", effort: "low", output_tokens: 4000 });
    assert.ok(out.text.length > 0);
    complete(out);
  },
  async cached(client, model) {
    const out = await client.whole({ model, text: "And now?", cached: LONG.repeat(6) });
    assert.ok(out.text.length > 0);
    complete(out);
  },
  async cut(client, model) {
    await sim.answer({ text: LONG });
    const out = await client.stream({ model, text: "Count.", output_tokens: 16 });
    complete(out, "length");
  },
  async error(client, model) {
    await sim.fail({ status: 429, retry_after_s: 7 });
    const error = await client.whole({ model, text: "x" }).then(
      () => assert.fail("no error was raised"), (raised) => raised);
    const { status, exception } = client.statusOf(error);
    assert.equal(status, 429, String(error));
    assert.match(exception, /RateLimit|Throttl|ApiError/);
  },
  async broken(client, model) {
    await sim.truncate({ after_events: 8 }); // past the first bytes
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
};

const table = new Map();
for (const client of CLIENTS) {
  for (const { kind, model } of plan.targets) {
    const row = [];
    for (const [scenario, play] of Object.entries(SCENARIOS)) {
      let cell = "FAIL";
      await cases.run(`${client.name} to ${kind}: ${scenario}`, async () => {
        await sim.reset();
        try {
          await play(client, model);
          cell = "ok";
        } catch (error) {
          if (error instanceof Unsaid) cell = "-";
          else if (isRefusal(client, error)) cell = "refused";
          else throw error;
        }
      });
      row.push(cell);
    }
    table.set(`${client.name} to ${kind}`, row);
  }
}

const width = Math.max(...[...table.keys()].map((name) => name.length));
console.log(`\n# ${"client to supplier".padEnd(width - 2)} ${Object.keys(SCENARIOS).map((name) =>
  name.padEnd(10)).join("")}`);
for (const [name, row] of table) {
  console.log(`# ${name.padEnd(width)} ${row.map((cell) => cell.padEnd(10)).join("")}`);
}
cases.finish();
