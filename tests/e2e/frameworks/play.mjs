// Frameworks in front of suppliers of a foreign kind: each plays the same scenes. E2E_PLAN as for
// ../node/suite.mjs, and `access_key`; prints `ok`/`not ok` per scene and a counting line.
import assert from "node:assert/strict";
import { z } from "zod";
import { Simulator } from "../node/simulator.mjs";
import { Cases } from "../node/support.mjs";
import { langchain } from "./langchain.mjs";
import { llamaindex } from "./llamaindex.mjs";
import { vercel } from "./vercel.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const LONG = "one two three four five six seven eight nine ten ".repeat(20);
const CITY = z.object({ city: z.string() });
const WEATHER = z.object({ city: z.string(), celsius: z.number() });

function adds(usage) {
  assert.ok(usage.input > 0 && usage.output > 0, JSON.stringify(usage));
}

// A framework that leaves a promise of its own behind when its stream is aborted.
process.on("unhandledRejection", (error) => {
  if (!/Error reading from the stream|abort/i.test(String(error))) throw error;
});

const SCENES = {
  async whole(face, model) {
    const out = await face.whole({ model, text: "Say hello." });
    assert.ok(out.text.length > 0);
    adds(out.usage);
  },
  async streamed(face, model) {
    await sim.answer({ text: LONG });
    const out = await face.stream({ model, text: "Count." });
    assert.equal(out.text.trim(), LONG.trim());
    assert.ok(out.pieces > 1, `came in ${out.pieces} piece`);
    // What a prompt took is known at the end of most streams; who reads it at the start finds none.
    if (out.usage && !face.name.endsWith("ChatAnthropic")) adds(out.usage);
  },
  async "tools round trip"(face, model) {
    const ran = [];
    const out = await face.tools({ model, text: "Please call get_weather for Oslo.",
      toolName: "get_weather", description: "Weather in a city now.", schema: CITY,
      run: (input) => {
        ran.push(input);
        // The model that is simulated calls as long as it is asked to: now it has its answer.
        return sim.answer({ text: "It snows." }).then(() => "Snow, -3 C");
      } });
    assert.equal(ran.length, 1);
    assert.equal(typeof ran[0].city, "string");
    assert.deepEqual([out.text, out.steps], ["It snows.", 2]);
  },
  async "structured output"(face, model) {
    const out = await face.structured({ model, text: "Weather in Oslo?", schema: WEATHER });
    WEATHER.parse(out);
  },
  async "429, asked again once"(face, model) {
    await sim.refuse("rate_limit");
    await sim.forget();
    const error = await face.whole({ model, text: "Hello.", retries: 1 })
      .then(() => null, (thrown) => thrown);
    assert.ok(error, "it was answered");
    assert.equal(face.statusOf(error), 429, String(error));
    const exchanges = new Set((await sim.served()).map((entry) => entry.exchange));
    assert.equal(exchanges.size, 2, `asked ${exchanges.size} times: ${error}`);
  },
  async "a full context, named"(face, model) {
    await sim.refuse("context");
    await assert.rejects(face.whole({ model, text: "Hello." }), (error) => {
      assert.equal(face.statusOf(error), 400, String(error));
      assert.match(String(error.message), /context|too long|maximum number of tokens/);
      return true;
    });
  },
  async cancel(face, model) {
    await sim.slow({ event_ms: 100 });
    await sim.forget();
    const stop = new AbortController();
    const text = "Count to fifty.";
    const onPiece = (pieces) => pieces >= 2 && stop.abort();
    await assert.rejects(face.stream({ model, text, signal: stop.signal, onPiece }));
    assert.ok(stop.signal.aborted, "it broke before it was cancelled");
    for (let tries = 0; tries < 100; tries += 1) {
      if ((await sim.served()).some((entry) => entry.client_gone)) return;
      await new Promise((wake) => setTimeout(wake, 50));
    }
    assert.fail("the supplier was not told");
  },
};

// Suppliers of other kinds than the client's, in turn.
let turn = 0;
function foreign(family) {
  const kinds = plan.targets.filter(({ kind }) => !kind.startsWith(family) &&
    ["openai", "anthropic", "bedrock"].includes(kind));
  turn += 1;
  return kinds[turn % kinds.length];
}

for (const face of [...vercel(plan), ...langchain(plan), ...llamaindex(plan)]) {
  const { kind, model } = foreign(face.family);
  for (const [scene, play] of Object.entries(SCENES)) {
    if (scene === "cancel" && face.cannotLeave) continue;
    await cases.run(`${face.name} to ${kind}: ${scene}`, async () => {
      await sim.reset();
      await play(face, model);
    });
  }
}
cases.finish();
