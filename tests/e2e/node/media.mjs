// Completions, moderations, images, speech, transcriptions and rankings through the official SDKs.
import assert from "node:assert/strict";
import OpenAI, { AzureOpenAI, toFile } from "openai";
import { Simulator } from "./simulator.mjs";
import { Cases, exchangeOf, PIXEL } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const root = plan.base_url.replace(/\/v1$/, "");
const openai = new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key, maxRetries: 0 });
const azure = new AzureOpenAI({ endpoint: root, apiKey: plan.api_key, apiVersion: "2024-10-21",
  maxRetries: 0 });
const png = () => toFile(Buffer.from(PIXEL.split(",")[1], "base64"), "a.png",
  { type: "image/png" });

// Two and a half seconds of silence, 16 kHz, 16 bits.
function wav() {
  const head = Buffer.alloc(44);
  head.write("RIFF", 0).valueOf();
  head.writeUInt32LE(36 + 80_000, 4);
  head.write("WAVEfmt ", 8);
  head.writeUInt32LE(16, 16);
  head.writeUInt16LE(1, 20);
  head.writeUInt16LE(1, 22);
  head.writeUInt32LE(16_000, 24);
  head.writeUInt32LE(32_000, 28);
  head.writeUInt16LE(2, 32);
  head.writeUInt16LE(16, 34);
  head.write("data", 36);
  head.writeUInt32LE(80_000, 40);
  return toFile(Buffer.concat([head, Buffer.alloc(80_000)]), "a.wav", { type: "audio/wav" });
}

// What the books say: the usage of the one attempt, and its cost in USD.
async function booked(response, usage, cost) {
  const exchange = await exchangeOf(plan, response);
  assert.equal(exchange.attempts.length, 1);
  const [attempt] = exchange.attempts;
  for (const [meter, count] of Object.entries(usage))
    assert.equal(attempt.usage[meter] ?? 0, count, `${meter}: ${JSON.stringify(attempt)}`);
  if (cost !== undefined)
    assert.equal(Number(exchange.cost).toFixed(9), cost.toFixed(9), JSON.stringify(exchange));
  assert.ok(!attempt.estimated, JSON.stringify(attempt));
  return exchange;
}
const run = (name, body) => cases.run(name, async () => {
  await sim.reset();
  await body();
});

for (const [name, client, model] of [
  ["OpenAI", openai, "media-completions"], ["Azure OpenAI", azure, "media-completions-azure"],
  ["a compatible server", openai, "media-completions-compatible"],
]) {
  await run(`${name}: completions of several prompts and candidates`, async () => {
    const { data, response } = await client.completions.create({
      model, prompt: ["Once upon a time", "In the beginning"], n: 2, best_of: 3, max_tokens: 8,
    }).withResponse();
    assert.equal(data.object, "text_completion");
    assert.equal(data.choices.length, 4);
    assert.equal(data.choices[0].finish_reason, "length");
    assert.equal(data.usage.completion_tokens, 48);
    await booked(response, { input: 8, output: 48 }, 8e-6 + 48 * 2e-6);
  });
  await run(`${name}: a streamed completion is metered unasked and shows no usage`, async () => {
    const { data: stream, response } = await client.completions.create({
      model, prompt: "Once", stream: true }).withResponse();
    let text = "";
    for await (const chunk of stream) {
      assert.ok(!("usage" in chunk), JSON.stringify(chunk));
      text += chunk.choices[0].text;
    }
    assert.ok(text.length > 0);
    await booked(response, { input: 1, output: 12 });
  });
  await run(`${name}: a streamed completion tells its usage when asked`, async () => {
    const stream = await client.completions.create({
      model, prompt: "Once", stream: true, stream_options: { include_usage: true } });
    let last;
    for await (const chunk of stream) last = chunk;
    assert.deepEqual(last.choices, []);
    assert.equal(last.usage.completion_tokens, 12);
  });
}

await run("moderations are free, and booked as requests", async () => {
  const { data, response } = await openai.moderations.create({
    model: "media-moderation", input: ["fine", "fine too"] }).withResponse();
  assert.equal(data.results.length, 2);
  assert.equal(data.results[0].flagged, false);
  await booked(response, { requests: 1 }, 0);
});

for (const [name, client, model] of [
  ["OpenAI", openai, "media-image"], ["Azure OpenAI", azure, "media-image-azure"]]) {
  await run(`${name}: images.generate, by tokens of each modality`, async () => {
    const { data, response } = await client.images.generate({
      model, prompt: "a red cat", n: 2, quality: "low" }).withResponse();
    assert.equal(data.data.length, 2);
    assert.ok(data.data[0].b64_json.length > 20);
    assert.equal(data.usage.output_tokens, 544);
    await booked(response, { input: 3, image_out: 544, images: 2 }, 3 * 2e-6 + 544 * 8e-6);
  });
  await run(`${name}: images.edit takes files, and the model is renamed in the form`, async () => {
    const { data, response } = await client.images.edit({
      model, prompt: "a blue cat", image: [await png(), await png()], mask: await png(),
    }).withResponse();
    assert.equal(data.data.length, 1);
    await booked(response, { input: 3, image_in: 646, image_out: 272 });
  });
}

await run("a streamed image comes in parts", async () => {
  const { data: stream, response } = await openai.images.generate({
    model: "media-image", prompt: "a red cat", stream: true, partial_images: 2 }).withResponse();
  const types = [];
  for await (const event of stream) types.push(event.type);
  assert.deepEqual(types, ["image_generation.partial_image", "image_generation.partial_image",
    "image_generation.completed"]);
  await booked(response, { image_out: 472, images: 1 });
});

await run("an image that is sold by the piece costs what a piece costs", async () => {
  const { data, response } = await openai.images.generate({
    model: "media-image-piece", prompt: "a cat", n: 3 }).withResponse();
  assert.ok(data.data[2].url.startsWith("https://"));
  await booked(response, { images: 3 }, 0.06);
});

await run("speech by the character is passed while it comes", async () => {
  const { data: reply, response } = await openai.audio.speech.create({
    model: "media-speech", voice: "alloy", input: "Hej på dig!" }).withResponse();
  assert.equal(response.headers.get("content-type"), "audio/mpeg");
  const sound = Buffer.from(await reply.arrayBuffer());
  assert.equal(sound.subarray(0, 3).toString(), "ID3");
  assert.equal(sound.length, 3 + 12 * 400);
  await booked(response, { characters: 11 }, 11 * 15e-6);
});

await run("speech as events ends with its usage", async () => {
  const { data: reply, response } = await openai.audio.speech.create({
    model: "media-speech-tokens", voice: "alloy", input: "Good morning!", stream_format: "sse",
  }).withResponse();
  const text = await reply.text();
  assert.match(text, /speech\.audio\.done/);
  assert.match(response.headers.get("content-type"), /^text\/event-stream/);
  await booked(response, { input: 4, audio_out: 19 });
});

for (const [name, client, model] of [
  ["OpenAI", openai, "media-whisper"], ["Azure OpenAI", azure, "media-whisper-azure"],
  ["a compatible server", openai, "media-whisper-compatible"]]) {
  await run(`${name}: transcriptions by the second, in every format`, async () => {
    const { data, response } = await client.audio.transcriptions.create({
      model, file: await wav() }).withResponse();
    assert.ok(data.text.startsWith("The sun"));
    await booked(response, { audio_seconds: 3 }, 3e-4);
    const words = await client.audio.transcriptions.create({
      model, file: await wav(), response_format: "verbose_json" });
    assert.equal(words.duration, 3);
    const plain = await client.audio.transcriptions.create({
      model, file: await wav(), response_format: "text" }).withResponse();
    assert.equal(plain.data.trim(), data.text);
    assert.match(plain.response.headers.get("content-type"), /^text\/plain/);
  });
}

await run("a transcription by tokens, whole and streamed", async () => {
  const whole = await openai.audio.transcriptions.create({
    model: "media-transcribe", file: await wav(), prompt: "evening" }).withResponse();
  await booked(whole.response, { input: 2, audio_in: 30, output: 7 });
  const { data: stream, response } = await openai.audio.transcriptions.create({
    model: "media-transcribe", file: await wav(), stream: true }).withResponse();
  let text = "";
  for await (const event of stream) if (event.type === "transcript.text.delta") text += event.delta;
  assert.ok(text.startsWith("The sun"));
  await booked(response, { audio_in: 30, output: 7 });
});

await run("whisper answers whole where a stream was asked", async () => {
  const { response } = await openai.audio.transcriptions.create({
    model: "media-whisper", file: await wav(), stream: true }).withResponse();
  assert.match(response.headers.get("content-type"), /^application\/json/);
  await response.text?.().catch(() => {});
  await booked(response, { audio_seconds: 3 });
});

await run("translations", async () => {
  const { data, response } = await openai.audio.translations.create({
    model: "media-whisper", file: await wav() }).withResponse();
  assert.ok(data.text.startsWith("The sun"));
  await booked(response, { audio_seconds: 3 }, 3e-4);
});

const documents = ["Athens is in Greece.", "Paris is in France.", "Lima is in Peru."];
for (const [path, model, usage] of [
  ["/v2/rerank", "media-rerank", { searches: 1 }], ["/v1/rerank", "media-rerank", { searches: 1 }],
  ["/v1/rerank", "media-rerank-compatible", { input: 20 }],
  ["/v2/rerank", "media-rerank-compatible", { input: 20 }]]) {
  await run(`${path} at ${model}`, async () => {
    const response = await fetch(root + path, {
      method: "POST",
      headers: { authorization: `Bearer ${plan.api_key}`, "content-type": "application/json" },
      body: JSON.stringify({ model, query: "France", documents, top_n: 2 }),
    });
    const data = await response.json();
    assert.equal(response.status, 200, JSON.stringify(data));
    assert.equal(data.results.length, 2);
    assert.equal(data.results[0].index, 1);
    assert.equal(typeof data.results[0].relevance_score, "number");
    await booked(response, usage);
  });
}

await run("errors of the small endpoints are the SDK's own", async () => {
  await assert.rejects(openai.images.generate({ model: "media-image", prompt: "a",
    quality: "best" }), (e) => e instanceof OpenAI.BadRequestError && e.param === "quality");
  await assert.rejects(openai.images.generate({ model: "no-such", prompt: "a" }),
    OpenAI.NotFoundError);
  await assert.rejects(openai.images.generate({ model: "media-speech", prompt: "a" }),
    (e) => e instanceof OpenAI.BadRequestError && /no price is known/.test(e.message));
  await assert.rejects(openai.completions.create({ model: "e2e-anthropic", prompt: "a" }),
    (e) => e.status === 400 && /cannot complete a text|can complete a text/.test(e.message));
  await assert.rejects(openai.audio.transcriptions.create({ model: "media-whisper",
    file: await wav(), response_format: "xml" }), OpenAI.BadRequestError);
});

await run("a supplier that fails leaves no hold and no charge", async () => {
  await sim.fail({ status: 400, message: "no such voice" });
  await assert.rejects(openai.audio.speech.create({ model: "media-speech", voice: "x",
    input: "a" }), OpenAI.BadRequestError);
});

cases.finish();
