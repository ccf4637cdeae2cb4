// The official OpenAI SDK for Node, unmodified, against a running gateway: one pass per kind of
// supplier. E2E_PLAN is JSON, made by stage.py:
//   {"base_url","api_key","admin_url","admin_token","sim_url","targets":[{"kind","model"}]}
// Prints `ok NAME`, `not ok NAME: reason` per case and a counting line; exit 1 when a case failed.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import assert from "node:assert/strict";
import { Simulator } from "./simulator.mjs";
import { Cases, PIXEL, WEATHER, TIME, collect, exchangeOf, tokensAddUp } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const client = new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key, maxRetries: 0 });
const say = (content) => [{ role: "user", content }];

for (const { kind, model } of [...plan.targets, ...plan.suite_targets]) {
  const named = (name, body) => cases.run(`${kind}: ${name}`, async () => {
    await sim.reset();
    await body();
  });

  await named("a whole answer has text, a stop reason and usage that adds up", async () => {
    const { data, response } = await client.chat.completions
      .create({ model, messages: say("Say hello.") }).withResponse();
    assert.equal(data.object, "chat.completion");
    assert.ok(data.choices[0].message.content.length > 0);
    assert.equal(data.choices[0].message.role, "assistant");
    assert.equal(data.choices[0].finish_reason, "stop");
    tokensAddUp(data.usage);
    assert.match(response.headers.get("x-entrepot-exchange"), /^[0-9a-f]{8}-[0-9a-f]{4}-7/);
    assert.ok(response.headers.get("x-entrepot-offer").startsWith(`${model}/`));
    assert.equal(response.headers.get("x-entrepot-attempts"), "1");
    assert.match(response.headers.get("x-entrepot-cost"), /^\d+\.\d{2,12} USD$/);
    const booked = await exchangeOf(plan, response);
    assert.equal(`${booked.cost} USD`, response.headers.get("x-entrepot-cost"));
    assert.equal(booked.attempts.length, 1);
    assert.equal(booked.attempts[0].usage.output, data.usage.completion_tokens);
    assert.ok(!booked.attempts[0].estimated);
  });

  await named("a system prompt, a developer prompt and several turns are carried", async () => {
    const data = await client.chat.completions.create({
      model,
      max_completion_tokens: 200,
      temperature: 0.2,
      messages: [
        { role: "system", content: "Be brief." },
        { role: "user", content: "One." },
        { role: "assistant", content: "Two." },
        { role: "user", content: [{ type: "text", text: "Three." }] },
      ],
    });
    assert.ok(data.choices[0].message.content.length > 0);
  });

  await named("a stream without include_usage bears no usage and no empty chunk", async () => {
    const { chunks, text, finish } = await collect(await client.chat.completions.create({
      model, stream: true, messages: say("Count to five."),
    }));
    assert.ok(text.length > 0);
    assert.equal(finish, "stop");
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    for (const chunk of chunks) {
      assert.equal(chunk.object, "chat.completion.chunk");
      assert.equal(chunk.choices.length, 1, JSON.stringify(chunk));
      assert.ok(!("usage" in chunk), JSON.stringify(chunk));
      assert.equal(chunk.id, chunks[0].id);
    }
  });

  await named("a stream with include_usage ends with one chunk that bears it", async () => {
    const { chunks, text } = await collect(await client.chat.completions.create({
      model, stream: true, stream_options: { include_usage: true }, messages: say("Count to five."),
    }));
    assert.ok(text.length > 0);
    const last = chunks.at(-1);
    assert.deepEqual(last.choices, []);
    tokensAddUp(last.usage);
    for (const chunk of chunks.slice(0, -1)) assert.ok(chunk.usage == null);
  });

  await named("the SDK's stream helper folds a stream into the whole answer", async () => {
    const runner = client.chat.completions.stream({
      model, messages: say("Count to five."), stream_options: { include_usage: true },
    });
    const final = await runner.finalChatCompletion();
    assert.ok(final.choices[0].message.content.length > 0);
    assert.equal(final.choices[0].finish_reason, "stop");
    tokensAddUp(await runner.totalUsage());
  });

  await named("a tool is called, and its result is taken back", async () => {
    await sim.answer({ tool_calls: [{ name: "get_weather", arguments: { city: "Oslo" } }] });
    const first = await client.chat.completions.create({
      model, messages: say("Weather in Oslo?"), tools: [WEATHER, TIME], tool_choice: "auto",
    });
    const message = first.choices[0].message;
    assert.equal(first.choices[0].finish_reason, "tool_calls");
    assert.equal(message.tool_calls.length, 1);
    assert.equal(message.tool_calls[0].type, "function");
    assert.equal(message.tool_calls[0].function.name, "get_weather");
    assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), { city: "Oslo" });
    await sim.reset();
    const second = await client.chat.completions.create({
      model,
      tools: [WEATHER, TIME],
      messages: [...say("Weather in Oslo?"), message,
        { role: "tool", tool_call_id: message.tool_calls[0].id, content: "Snow, -3 C" }],
    });
    assert.ok(second.choices[0].message.content.length > 0);
  });

  await named("two parallel tool calls are streamed apart, arguments in pieces", async () => {
    await sim.answer({
      tool_calls: [
        { name: "get_weather", arguments: { city: "Oslo" } },
        { name: "get_time", arguments: { zone: "Europe/Oslo" } },
      ],
    });
    const runner = client.chat.completions.stream({
      model, messages: say("Weather and time in Oslo?"), tools: [WEATHER, TIME],
    });
    const firsts = new Map();
    for await (const chunk of runner) {
      for (const call of chunk.choices[0]?.delta?.tool_calls ?? []) {
        assert.equal(typeof call.index, "number");
        assert.equal(typeof call.function.arguments, "string");
        if (!firsts.has(call.index)) firsts.set(call.index, call);
      }
    }
    const calls = (await runner.finalChatCompletion()).choices[0].message.tool_calls;
    assert.equal(firsts.size, 2);
    for (const call of firsts.values()) assert.ok(call.id && call.function.name);
    assert.deepEqual(calls.map((c) => [c.function.name, JSON.parse(c.function.arguments)]), [
      ["get_weather", { city: "Oslo" }],
      ["get_time", { zone: "Europe/Oslo" }],
    ]);
    assert.equal(new Set(calls.map((c) => c.id)).size, 2);
  });

  await named("a tool without arguments is called with an empty object", async () => {
    await sim.answer({ tool_calls: [{ name: "now", arguments: {} }] });
    const now = { type: "function", function: { name: "now", parameters: { type: "object" } } };
    for (const stream of [false, true]) {
      const request = { model, messages: say("Now?"), tools: [now] };
      const message = stream
        ? (await client.chat.completions.stream(request).finalChatCompletion()).choices[0].message
        : (await client.chat.completions.create(request)).choices[0].message;
      assert.deepEqual(JSON.parse(message.tool_calls[0].function.arguments), {});
    }
  });

  await named("an image as a data URL is carried", async () => {
    const answer = client.chat.completions.create({
      model,
      messages: [{
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: PIXEL } },
        ],
      }],
    });
    if (kind === "cohere") { // its model takes texts, and says so
      await assert.rejects(answer, /does not support image inputs/);
      return;
    }
    const data = await answer;
    assert.ok(data.choices[0].message.content.length > 0);
    tokensAddUp(data.usage);
  });

  await named("structured output is parsed by the SDK's own helper", async () => {
    const Weather = z.object({ city: z.string(), celsius: z.number() });
    await sim.answer({ text: '{"city":"Oslo","celsius":-3}' });
    const data = await client.chat.completions.parse({
      model,
      messages: say("Weather in Oslo, as JSON."),
      response_format: zodResponseFormat(Weather, "weather"),
    });
    assert.deepEqual(data.choices[0].message.parsed, { city: "Oslo", celsius: -3 });
  });

  await named("a cut by max_tokens ends with length", async () => {
    await sim.answer({ text: "one two three four five six seven eight nine ten ".repeat(20) });
    const data = await client.chat.completions.create({
      model, max_tokens: 5, messages: say("Count."),
    });
    assert.equal(data.choices[0].finish_reason, "length");
    assert.ok(data.usage.completion_tokens <= 5);
  });

  await named("a supplier's 400 is the client's error, in the client's dialect", async () => {
    await sim.fail({ status: 400, message: "prompt is too long" });
    await assert.rejects(client.chat.completions.create({ model, messages: say("x") }), (error) => {
      assert.ok(error instanceof OpenAI.BadRequestError, String(error));
      assert.equal(typeof error.error.message, "string");
      return true;
    });
  });

  await named("a supplier's 429 becomes the SDK's RateLimitError with retry-after", async () => {
    await sim.fail({ status: 429, retry_after_s: 7 });
    await assert.rejects(client.chat.completions.create({ model, messages: say("x") }), (error) => {
      assert.ok(error instanceof OpenAI.RateLimitError, String(error));
      // Bedrock says how often, never when.
      if (!kind.startsWith("bedrock")) assert.ok(Number(error.headers.get("retry-after")) >= 1);
      return true;
    });
  });

  await named("a supplier's 401 is the operator's trouble, not the client's key", async () => {
    await sim.fail({ status: 401 });
    await assert.rejects(client.chat.completions.create({ model, messages: say("x") }), (error) => {
      assert.equal(error.status, 502, String(error));
      return true;
    });
  });

  await named("a stream that breaks ends with an error the SDK throws", async () => {
    await sim.truncate({ after_events: 8 }); // past the first bytes
    const stream = await client.chat.completions.create({
      model, stream: true, messages: say("Count to fifty."),
    });
    await assert.rejects(collect(stream), OpenAI.APIError);
  });

  await named("a stream cancelled by the client is settled", async () => {
    await sim.slow({ event_ms: 100 });
    const { data: stream, response } = await client.chat.completions.create({
      model, stream: true, messages: say("Count to fifty."), max_tokens: 400,
    }).withResponse();
    let seen = 0;
    for await (const _ of stream) if (++seen === 3) break; // leaving the loop aborts the request
    const booked = await exchangeOf(plan, response);
    assert.equal(booked.attempts.at(-1).state, "settled", JSON.stringify(booked));
    assert.equal(booked.ended_by, "client");
  });
}

const { model } = plan.targets[0];
await cases.run("models.list names every model once", async () => {
  const names = [];
  for await (const entry of client.models.list()) {
    assert.equal(entry.object, "model");
    names.push(entry.id);
  }
  for (const target of plan.targets) assert.ok(names.includes(target.model), target.model);
  assert.equal(new Set(names).size, names.length);
});

await cases.run("a wrong key is 401 invalid_api_key", async () => {
  const stranger = new OpenAI({ baseURL: plan.base_url, apiKey: "sk-wrong", maxRetries: 0 });
  for (const call of [() => stranger.models.list(),
    () => stranger.chat.completions.create({ model, messages: say("x") })]) {
    await assert.rejects(call(), (error) => {
      assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
      assert.equal(error.code, "invalid_api_key");
      return true;
    });
  }
});

await cases.run("an unknown model is 404 and the nearest name is offered", async () => {
  const wrong = `${model.slice(0, -1)}x`;
  await assert.rejects(client.chat.completions.create({ model: wrong, messages: say("x") }),
    (error) => {
      assert.ok(error instanceof OpenAI.NotFoundError, String(error));
      assert.equal(error.code, "model_not_found");
      assert.ok(error.message.includes(wrong) && error.message.includes(model), error.message);
      return true;
    });
});

const BAD_IMAGE = { type: "image_url", image_url: { url: "nonsense" } };

await cases.run("a field of the wrong type is 400 and names the field and the value", async () => {
  const wrongs = [
    [{ temperature: "hot" }, "temperature", "hot"],
    [{ messages: "hi" }, "messages", "hi"],
    [{ messages: [{ role: "wizard", content: "x" }] }, "messages[0].role", "wizard"],
    [{ max_tokens: -1 }, "max_tokens", "-1"],
    [{ messages: [{ role: "user", content: [BAD_IMAGE] }] }, "image_url", "nonsense"],
  ];
  for (const [fields, param, value] of wrongs) {
    await assert.rejects(
      client.chat.completions.create({ model, messages: say("x"), ...fields }), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, String(error));
        assert.ok(String(error.param).includes(param), `param ${error.param}, not ${param}`);
        assert.ok(error.message.includes(value), error.message);
        return true;
      });
  }
});

const post = (body) => fetch(`${plan.base_url}/chat/completions`, {
  method: "POST",
  body,
  headers: { authorization: `Bearer ${plan.api_key}`, "content-type": "application/json" },
});

await cases.run("malformed JSON is 400 in the client's dialect", async () => {
  for (const body of ["", "{", '{"model":', "[1,2]", "\u0000", '{"model":"a"}}']) {
    const reply = await post(body);
    assert.equal(reply.status, 400, JSON.stringify(body));
    assert.equal((await reply.json()).error.type, "invalid_request_error");
  }
});

await cases.run("a body over the limit is 413", async () => {
  const reply = await post(JSON.stringify({ model, messages: say("x".repeat(40 << 20)) }));
  assert.equal(reply.status, 413);
  assert.ok((await reply.json()).error.message.length > 0);
});

await cases.run("an unknown path is 404 and a wrong method 405, in JSON", async () => {
  const headers = { authorization: `Bearer ${plan.api_key}` };
  const unknown = await fetch(`${plan.base_url}/nonsense`, { headers });
  assert.equal(unknown.status, 404);
  assert.ok((await unknown.json()).error.message);
  const method = await fetch(`${plan.base_url}/chat/completions`, { headers });
  assert.equal(method.status, 405);
});

cases.finish();
