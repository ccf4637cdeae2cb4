// A conversation of ten turns with thinking, tools and images that is answered by a supplier of
// another kind at every turn, for each client dialect; and one without images, for those who see
// none. The simulated suppliers verify it as the real ones do: thoughts signed by their maker
// alone, legal ids, results paired with their calls, roles that alternate. E2E_PLAN as for
// matrix.mjs.
import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand }
  from "@aws-sdk/client-bedrock-runtime";
import { GoogleGenAI } from "@google/genai";
import OpenAI, { AzureOpenAI } from "openai";
import { PIXEL_BASE64 } from "./clients/face.mjs";
import { Simulator } from "./simulator.mjs";
import { Cases } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases(plan.only ?? "");
const sim = new Simulator(plan.sim_url);
const root = plan.base_url.replace(/\/v1$/, "");
const SCHEMA = { type: "object", properties: { city: { type: "string" } }, required: ["city"],
  additionalProperties: false };

const some = (part) => (part ? [part] : []);
const BLIND = ["cohere", "oci-cohere"]; // these models see no images

// Each client keeps the history as its SDK's users do: what came goes back as it came. `ask` sends
// a text (with an image), or the results of the calls that the last answer made; it returns the
// calls of the answer.
const CLIENTS = {
  "openai-chat": (client = new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key,
    maxRetries: 0 })) => {
    const messages = [];
    return async ({ model, text, image, results, isStreamed }) => {
      if (results) {
        messages.push(...results.map(({ id, output }) => (
          { role: "tool", tool_call_id: id, content: output })));
      } else {
        messages.push({ role: "user", content: [{ type: "text", text }, ...some(image && {
          type: "image_url", image_url: { url: `data:image/png;base64,${image}` } })] });
      }
      const body = { model, messages, max_completion_tokens: 4096, reasoning_effort: "low",
        tools: [{ type: "function", function: { name: "get_weather", parameters: SCHEMA } }] };
      const reply = isStreamed
        ? await client.chat.completions.stream(body).finalChatCompletion()
        : await client.chat.completions.create(body);
      const { message } = reply.choices[0];
      messages.push({ ...message });
      return (message.tool_calls ?? []).map((call) => call.id);
    };
  },
  "azure-openai": () => CLIENTS["openai-chat"](new AzureOpenAI({ endpoint: root,
    apiKey: plan.api_key, apiVersion: "2024-10-21", maxRetries: 0 })),
  "openai-responses": () => {
    const client = new OpenAI({ baseURL: plan.base_url, apiKey: plan.api_key, maxRetries: 0 });
    const input = [];
    return async ({ model, text, image, results, isStreamed }) => {
      if (results) {
        input.push(...results.map(({ id, output }) => (
          { type: "function_call_output", call_id: id, output })));
      } else {
        input.push({ role: "user", content: [{ type: "input_text", text }, ...some(image && {
          type: "input_image", detail: "auto",
          image_url: `data:image/png;base64,${image}` })] });
      }
      const body = { model, input, max_output_tokens: 4096, store: false,
        include: ["reasoning.encrypted_content"], reasoning: { effort: "low", summary: "auto" },
        tools: [{ type: "function", name: "get_weather", parameters: SCHEMA, strict: true }] };
      const reply = isStreamed ? await client.responses.stream(body).finalResponse()
        : await client.responses.create(body);
      input.push(...reply.output.map(({ parsed_arguments: _, ...item }) => item));
      return reply.output.filter((item) => item.type === "function_call")
        .map((item) => item.call_id);
    };
  },
  "anthropic-messages": () => {
    const client = new Anthropic({ baseURL: root, apiKey: plan.api_key, maxRetries: 0 });
    const messages = [];
    return async ({ model, text, image, results, isStreamed }) => {
      messages.push({ role: "user", content: results
        ? results.map(({ id, output }) => (
          { type: "tool_result", tool_use_id: id, content: output }))
        : [{ type: "text", text }, ...some(image && { type: "image",
          source: { type: "base64", media_type: "image/png", data: image } })] });
      const body = { model, messages, max_tokens: 4096,
        thinking: { type: "enabled", budget_tokens: 1024 },
        tools: [{ name: "get_weather", input_schema: SCHEMA }] };
      const reply = isStreamed ? await client.messages.stream(body).finalMessage()
        : await client.messages.create(body);
      messages.push({ role: "assistant", content: reply.content });
      return reply.content.filter((block) => block.type === "tool_use").map((block) => block.id);
    };
  },
  "bedrock-converse": () => {
    const client = new BedrockRuntimeClient({ endpoint: root, region: "us-east-1", maxAttempts: 1,
      token: { token: plan.api_key }, authSchemePreference: ["httpBearerAuth"] });
    const messages = [];
    return async ({ model, text, image, results, isStreamed }) => {
      messages.push({ role: "user", content: results
        ? results.map(({ id, output }) => (
          { toolResult: { toolUseId: id, content: [{ text: output }] } }))
        : [{ text }, ...some(image && { image: { format: "png",
          source: { bytes: Buffer.from(image, "base64") } } })] });
      const input = { modelId: model, messages, inferenceConfig: { maxTokens: 4096 },
        additionalModelRequestFields: { thinking: { type: "enabled", budget_tokens: 1024 } },
        toolConfig: { tools: [{ toolSpec: { name: "get_weather",
          inputSchema: { json: SCHEMA } } }] } };
      const content = isStreamed
        ? await fold(await client.send(new ConverseStreamCommand(input)))
        : (await client.send(new ConverseCommand(input))).output.message.content;
      messages.push({ role: "assistant", content });
      return content.filter((block) => block.toolUse).map((block) => block.toolUse.toolUseId);
    };
  },
  gemini: () => {
    const client = new GoogleGenAI({ apiKey: plan.api_key, vertexai: false,
      httpOptions: { baseUrl: root, retryOptions: { attempts: 1 } } });
    const contents = [];
    return async ({ model, text, image, results, isStreamed }) => {
      contents.push({ role: "user", parts: results
        ? results.map(({ id, output }) => (
          { functionResponse: { id, name: "get_weather", response: { output } } }))
        : [{ text }, ...some(image && { inlineData: { mimeType: "image/png", data: image } })] });
      const request = { model, contents, config: { maxOutputTokens: 4096,
        thinkingConfig: { thinkingBudget: 1024, includeThoughts: true },
        tools: [{ functionDeclarations: [{ name: "get_weather",
          parametersJsonSchema: SCHEMA }] }] } };
      const parts = [];
      if (isStreamed) {
        for await (const chunk of await client.models.generateContentStream(request)) {
          parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []));
        }
      } else {
        const reply = await client.models.generateContent(request);
        parts.push(...reply.candidates[0].content.parts);
      }
      contents.push({ role: "model", parts });
      return parts.filter((part) => part.functionCall).map((part) => part.functionCall.id);
    };
  },
};

// A message of Converse from its events, as its users have to fold it themselves.
async function fold(reply) {
  const blocks = new Map();
  for await (const event of reply.stream) {
    if (event.contentBlockStart) {
      const { contentBlockIndex: at, start } = event.contentBlockStart;
      blocks.set(at, { toolUse: { ...start.toolUse, input: "" } });
    }
    if (!event.contentBlockDelta) continue;
    const { contentBlockIndex: at, delta } = event.contentBlockDelta;
    const block = blocks.get(at) ?? {};
    blocks.set(at, block);
    if (delta.text) block.text = (block.text ?? "") + delta.text;
    if (delta.toolUse) block.toolUse.input += delta.toolUse.input;
    const { text, signature, redactedContent } = delta.reasoningContent ?? {};
    if (redactedContent) block.reasoningContent = { redactedContent };
    if (text || signature) {
      const known = (block.reasoningContent ??= { reasoningText: { text: "" } }).reasoningText;
      known.text += text ?? "";
      if (signature) known.signature = signature;
    }
  }
  for (const block of blocks.values()) {
    if (block.toolUse) block.toolUse.input = JSON.parse(block.toolUse.input || "{}");
  }
  return [...blocks.entries()].sort(([a], [b]) => a - b).map(([, block]) => block);
}

const CALL = { name: "get_weather", arguments: { city: "Oslo" } };

async function converse(ask, targets, image, isStreamed) {
  let turn = 0;
  const next = () => targets[turn++ % targets.length];
  const rounds = Math.max(5, Math.ceil(targets.length / 2));
  for (let round = 0; round < rounds; round += 1) {
    const { kind, model } = next();
    await sim.answer({ tool_calls: round % 2 ? [CALL, CALL] : [CALL] });
    const where = `round ${round}, ${kind}`;
    const calls = await ask({ model, text: `Weather? Round ${round}.`, image, isStreamed })
      .catch((error) => assert.fail(`${where}: ${error.stack}`));
    assert.equal(calls.length, round % 2 ? 2 : 1, where);
    await sim.answer({ text: `It snows in round ${round}.` });
    const target = next(); // also between a call and its result
    const results = calls.map((id) => ({ id, output: "Snow, -3 C" }));
    const more = await ask({ model: target.model, results, isStreamed })
      .catch((error) => assert.fail(`results of ${where}, to ${target.kind}: ${error.stack}`));
    assert.equal(more.length, 0);
  }
}

for (const [name, make] of Object.entries(CLIENTS)) {
  for (const isStreamed of [false, true]) {
    for (const image of [PIXEL_BASE64, null]) {
      const way = `${isStreamed ? "streamed" : "whole"}${image ? "" : ", without images"}`;
      const targets = plan.targets.filter(({ kind }) => !image || !BLIND.includes(kind));
      await cases.run(`${name}: ten turns, another supplier at each, ${way}`, () =>
        converse(make(), targets, image, isStreamed));
    }
  }
}
await sim.reset();
cases.finish();
