// What suppliers keep, asked for by the official OpenAI SDK: stored answers, conversations, answers
// made in the background; and by a stranger, to whom none of it exists.
import Anthropic from "@anthropic-ai/sdk";
import OpenAI, { NotFoundError } from "openai";
import assert from "node:assert/strict";
import { Simulator } from "./simulator.mjs";
import { Cases, collectEvents, exchangeOf } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const client = (apiKey) => new OpenAI({ baseURL: plan.base_url, apiKey, maxRetries: 0 });
const owner = client(plan.clamping_key);
const stranger = client(plan.stranger_key);
const user = (text) => ({ role: "user", content: text });

const keeping = plan.targets.filter(({ kind }) => ["openai", "azure"].includes(kind));
for (const { kind, model } of keeping) {
  const named = (name, body) => cases.run(`kept at ${kind}: ${name}`, async () => {
    await sim.reset();
    await body();
  });

  await named("a stored answer is read, listed and deleted by its maker alone", async () => {
    const made = await owner.responses.create({ model, input: "Say hello." });
    const read = await owner.responses.retrieve(made.id);
    assert.deepEqual(read.output, made.output);
    const items = await owner.responses.inputItems.list(made.id);
    assert.equal(items.data.length, 1);
    await assert.rejects(stranger.responses.retrieve(made.id), NotFoundError);
    await assert.rejects(stranger.responses.delete(made.id), NotFoundError);
    await assert.rejects(
      stranger.responses.create({ model, previous_response_id: made.id, input: "And?" }),
      NotFoundError);
    await owner.responses.delete(made.id);
    await assert.rejects(owner.responses.retrieve(made.id), NotFoundError);
  });

  await named("a stored answer is continued, and the whole prompt is metered", async () => {
    const first = await owner.responses.create({ model, input: "x".repeat(2000) });
    const next = await owner.responses.create(
      { model, previous_response_id: first.id, input: "And?" });
    assert.equal(next.previous_response_id, first.id);
    assert.ok(next.usage.input_tokens > 500, "what came before is part of the prompt");
  });

  // How the Vercel AI SDK continues, unless it is told not to store.
  await named("two turns by references to the items of the first", async () => {
    for (const stream of [false, true]) {
      const ask = { model, input: [user("Say hello.")], stream };
      const answered = await owner.responses.create(ask);
      const first = stream ? (await collectEvents(answered)).at(-1).response : answered;
      const named = first.output.map(({ id }) => ({ type: "item_reference", id }));
      const second = await owner.responses.create(
        { model, input: [user("Say hello."), ...named, user("And again.")] });
      assert.equal(second.status, "completed");
      await assert.rejects(stranger.responses.create({
        model, input: [{ type: "item_reference", id: first.output[0].id }, user("?")],
      }), NotFoundError);
    }
  });

  await named("a call whose maker is kept is answered by its result", async () => {
    const tools = [{ type: "function", name: "get_time", strict: true, parameters: {
      type: "object", properties: { zone: { type: "string" } }, required: ["zone"],
      additionalProperties: false } }];
    const first = await owner.responses.create({ model, tools, input: "call get_time" });
    const call = first.output.find(({ type }) => type === "function_call");
    const next = await owner.responses.create({ model, tools, previous_response_id: first.id,
      input: [{ type: "function_call_output", call_id: call.call_id, output: "noon" }] });
    assert.ok(next.output_text.length > 0);
  });

  await named("a conversation is made, continued and its maker's alone", async () => {
    const conversation = await owner.conversations.create({ metadata: { topic: "e2e" } },
      { headers: { "x-entrepot-cloud": kind } });
    const answer = await owner.responses.create(
      { model, conversation: conversation.id, input: "Say hello." });
    assert.equal(answer.status, "completed");
    assert.equal((await owner.conversations.retrieve(conversation.id)).metadata.topic, "e2e");
    assert.ok((await owner.conversations.items.list(conversation.id)).data.length > 0);
    await assert.rejects(stranger.conversations.retrieve(conversation.id), NotFoundError);
    await assert.rejects(stranger.responses.create(
      { model, conversation: conversation.id, input: "?" }), NotFoundError);
    await owner.conversations.delete(conversation.id);
    await assert.rejects(owner.conversations.retrieve(conversation.id), NotFoundError);
  });

  await named("an answer in the background is polled, and booked when it is there", async () => {
    const { data, response } = await owner.responses
      .create({ model, background: true, input: "Say hello." }).withResponse();
    assert.equal(data.status, "queued");
    let polled = data;
    while (["queued", "in_progress"].includes(polled.status)) {
      await new Promise((wake) => setTimeout(wake, 100));
      polled = await owner.responses.retrieve(data.id);
    }
    assert.equal(polled.status, "completed");
    const booked = await exchangeOf(plan, response);
    assert.equal(booked.attempts[0].usage.output, polled.usage.output_tokens);
    assert.ok(!booked.attempts[0].estimated);
  });

  await named("an answer in the background that nobody polls is booked all the same", async () => {
    const { data, response } = await owner.responses
      .create({ model, background: true, input: "Say hello." }).withResponse();
    const booked = await exchangeOf(plan, response);
    assert.equal(booked.attempts[0].usage.output,
      (await owner.responses.retrieve(data.id)).usage.output_tokens);
  });

  await named("an answer in the background is cancelled", async () => {
    await sim.all({ background_ms: 60_000 });
    const { data, response } = await owner.responses
      .create({ model, background: true, input: "Say hello." }).withResponse();
    assert.equal((await owner.responses.cancel(data.id)).status, "cancelled");
    const booked = await exchangeOf(plan, response);
    assert.ok(booked.attempts[0].estimated, "nobody said what it took");
  });

  await named("a stream is taken up again where it was left", async () => {
    const stream = await owner.responses.create(
      { model, background: true, stream: true, input: "Say hello." });
    const events = await collectEvents(stream);
    const { id } = events.at(-1).response;
    const rest = await collectEvents(
      await owner.responses.retrieve(id, { stream: true, starting_after: 2 }));
    assert.deepEqual(rest.map(({ sequence_number: n }) => n),
      events.slice(3).map(({ sequence_number: n }) => n));
  });
}

await cases.run("kept: where nobody keeps it, it is refused by name", async () => {
  const { model } = plan.targets.find(({ kind }) => kind === "anthropic");
  // Its own, and there, but not where this model is.
  const there = keeping[0];
  const { id: previous } = await owner.responses.create({ model: there.model, input: "One." });
  const { id: conversation } = await owner.conversations.create(
    {}, { headers: { "x-entrepot-cloud": there.kind } });
  for (const field of [{ previous_response_id: previous }, { conversation }])
    await assert.rejects(owner.responses.create({ model, input: "?", ...field }), (error) => {
      assert.equal(error.status, 400, String(error));
      assert.equal(error.param, Object.keys(field)[0]);
      return true;
    });
  await assert.rejects(owner.responses.create({ model, input: "?", background: true }),
    ({ status, param }) => status === 400 && param === "background");
});

const chatLine = (model, id, content) => JSON.stringify({ custom_id: id, method: "POST",
  url: "/v1/chat/completions",
  body: { model, max_tokens: 50, messages: [{ role: "user", content }] } });

async function ended(read, isOver) {
  for (let tries = 0; tries < 100; tries += 1) {
    const batch = await read();
    if (isOver(batch)) return batch;
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error("the batch never ended");
}

for (const { kind, model } of keeping) {
  const there = { headers: { "x-entrepot-cloud": kind } };
  const send = (lines, purpose = "batch") => owner.files.create(
    { purpose, file: new File([lines], "in.jsonl") }, there);

  await cases.run(`kept at ${kind}: a file is its maker's alone`, async () => {
    const file = await send("anything", "user_data");
    assert.equal((await owner.files.retrieve(file.id)).filename, "in.jsonl");
    assert.equal(await (await owner.files.content(file.id)).text(), "anything");
    const mine = [];
    for await (const one of owner.files.list()) mine.push(one.id);
    assert.ok(mine.includes(file.id));
    for await (const one of stranger.files.list()) assert.notEqual(one.id, file.id);
    await assert.rejects(stranger.files.retrieve(file.id), NotFoundError);
    await assert.rejects(stranger.files.content(file.id), NotFoundError);
    await assert.rejects(stranger.files.delete(file.id), NotFoundError);
    assert.equal((await owner.files.delete(file.id)).deleted, true);
    await assert.rejects(owner.files.retrieve(file.id), NotFoundError);
  });

  await cases.run(`kept at ${kind}: a batch is held and booked line by line`, async () => {
    const asks = [1, 2, 3].map((n) => chatLine(model, `r${n}`, `Say ${n}.`));
    const file = await send(asks.join("\n"));
    const { data, response } = await owner.batches.create({ input_file_id: file.id,
      endpoint: "/v1/chat/completions", completion_window: "24h" }).withResponse();
    await assert.rejects(stranger.batches.retrieve(data.id), NotFoundError);
    const done = await ended(
      () => owner.batches.retrieve(data.id), (batch) => batch.status === "completed");
    const output = await (await owner.files.content(done.output_file_id)).text();
    const lines = output.trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ custom_id: id }) => id), ["r1", "r2", "r3"]);
    const booked = await exchangeOf(plan, response);
    const sum = (field) => lines.reduce((n, line) => n + line.response.body.usage[field], 0);
    assert.equal(booked.attempts[0].usage.input, sum("prompt_tokens"));
    assert.equal(booked.attempts[0].usage.output, sum("completion_tokens"));
    const mine = [];
    for await (const one of owner.batches.list()) mine.push(one.id);
    assert.ok(mine.includes(data.id));
    for await (const one of stranger.batches.list()) assert.notEqual(one.id, data.id);
    await assert.rejects(stranger.files.content(done.output_file_id), NotFoundError);
  });

  await cases.run(`kept at ${kind}: a batch is cancelled`, async () => {
    const file = await send(chatLine(model, "r1", "Hello."));
    const { data, response } = await owner.batches.create({ input_file_id: file.id,
      endpoint: "/v1/chat/completions", completion_window: "24h",
      metadata: { sim_ms: "60000" } }).withResponse();
    await assert.rejects(stranger.batches.cancel(data.id), NotFoundError);
    assert.match((await owner.batches.cancel(data.id)).status, /^cancel/);
    const booked = await exchangeOf(plan, response);
    assert.equal(booked.attempts[0].usage.output ?? 0, 0);
  });

  await cases.run(`kept at ${kind}: a batch of two models is refused by its line`, async () => {
    const other = plan.targets.find((target) => target.kind === "anthropic").model;
    await assert.rejects(send(`${chatLine(model, "a", "x")}\n${chatLine(other, "b", "x")}`),
      ({ status, message }) => status === 400 && message.includes("line 2"));
  });
}

await cases.run("kept at anthropic: a batch is held, worked off and booked", async () => {
  const { model } = plan.targets.find(({ kind }) => kind === "anthropic");
  const at = (apiKey) => new Anthropic(
    { baseURL: plan.base_url.replace(/\/v1$/, ""), apiKey, maxRetries: 0 });
  const mine = at(plan.clamping_key);
  const theirs = at(plan.stranger_key);
  const requests = ["a", "b"].map((id) => ({ custom_id: id,
    params: { model, max_tokens: 50, messages: [{ role: "user", content: `Say ${id}.` }] } }));
  const { data, response } = await mine.messages.batches.create({ requests }).withResponse();
  const gone = ({ status }) => status === 404;
  await assert.rejects(theirs.messages.batches.retrieve(data.id), gone);
  await ended(() => mine.messages.batches.retrieve(data.id),
    (batch) => batch.processing_status === "ended");
  const results = [];
  for await (const one of await mine.messages.batches.results(data.id)) results.push(one);
  assert.deepEqual(results.map((one) => one.result.type), ["succeeded", "succeeded"]);
  const booked = await exchangeOf(plan, response);
  assert.equal(booked.attempts[0].usage.output,
    results.reduce((n, one) => n + one.result.message.usage.output_tokens, 0));
  const listed = [];
  for await (const one of mine.messages.batches.list()) listed.push(one.id);
  assert.ok(listed.includes(data.id));
  for await (const one of theirs.messages.batches.list()) assert.notEqual(one.id, data.id);
  await mine.messages.batches.delete(data.id);
  await assert.rejects(mine.messages.batches.retrieve(data.id), gone);
});

cases.finish();
