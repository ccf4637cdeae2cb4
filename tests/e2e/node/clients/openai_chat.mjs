// The OpenAI SDK's chat completions, and the same through Azure's paths.
import OpenAI, { AzureOpenAI } from "openai";
import { answer, PIXEL_BASE64, schemaOf } from "./face.mjs";

const FINISH = { stop: "stop", length: "length", tool_calls: "tools" };

function messagesOf({ text, image, cached, turns = [] }) {
  const content = image
    ? [{ type: "text", text },
      { type: "image_url", image_url: { url: `data:image/png;base64,${PIXEL_BASE64}` } }]
    : text;
  return [{ role: "system", content: cached ?? "Be brief." }, { role: "user", content },
    ...turns.flatMap(({ turn, call, result }) => [
      turn ?? { role: "assistant", content: null, tool_calls: [{ id: call.id, type: "function",
        function: { name: call.name, arguments: JSON.stringify(call.args) } }] },
      { role: "tool", tool_call_id: call.id, content: result },
    ])];
}

function bodyOf(ask) {
  const body = { model: ask.model, messages: messagesOf(ask) };
  if (ask.output_tokens) body.max_completion_tokens = ask.output_tokens;
  if (ask.effort) body.reasoning_effort = ask.effort;
  if (ask.tools) {
    body.tools = ask.tools.map((tool) => ({
      type: "function", function: { name: tool.name, parameters: schemaOf(tool) } }));
  }
  if (ask.schema) {
    body.response_format = { type: "json_schema",
      json_schema: { name: "out", strict: true, schema: schemaOf(ask.schema) } };
  }
  return body;
}

function fold(completion, pieces) {
  const { message, finish_reason: finish } = completion.choices[0];
  const { usage } = completion;
  return {
    ...answer(),
    text: message.content ?? "",
    thought: message.reasoning_content ?? "",
    finish: FINISH[finish] ?? finish,
    calls: (message.tool_calls ?? []).map((call) => ({
      id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments) })),
    usage: { input: usage.prompt_tokens, output: usage.completion_tokens,
      cached: usage.prompt_tokens_details?.cached_tokens ?? 0 },
    pieces,
    turn: message,
  };
}

function adapter(name, client) {
  return {
    name,
    asksForThoughts: false, // some come all the same
    async whole(ask) {
      return fold(await client.chat.completions.create(bodyOf(ask), { signal: ask.signal }), 0);
    },
    async stream(ask) {
      const runner = client.chat.completions.stream(
        { ...bodyOf(ask), stream_options: { include_usage: true } }, { signal: ask.signal });
      let pieces = 0;
      for await (const chunk of runner) {
        if (chunk.choices[0]?.delta?.content) pieces += 1;
        ask.onPiece?.(pieces);
      }
      return fold({ ...(await runner.finalChatCompletion()), usage: await runner.totalUsage() },
        pieces);
    },
    statusOf: (error) => ({ status: error.status, message: error.message,
      exception: error.constructor.name }),
  };
}

export const chat = ({ base_url: baseURL, api_key: apiKey, retries: maxRetries = 0 }) =>
  adapter("openai-chat", new OpenAI({ baseURL, apiKey, maxRetries }));

export const azure = ({ base_url: baseURL, api_key: apiKey, retries: maxRetries = 0 }) =>
  adapter("azure-openai", new AzureOpenAI({ endpoint: baseURL.replace(/\/v1$/, ""), apiKey,
    apiVersion: "2024-10-21", maxRetries }));
