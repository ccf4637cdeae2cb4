// The Anthropic SDK's messages.
import Anthropic from "@anthropic-ai/sdk";
import { AnthropicVertex } from "@anthropic-ai/vertex-sdk";
import { answer, PIXEL_BASE64, schemaOf } from "./face.mjs";
import { bearer } from "./google_auth.mjs";

const FINISH = { end_turn: "stop", stop_sequence: "stop", max_tokens: "length", tool_use: "tools" };
const BUDGETS = { low: 1024, medium: 2048, high: 3000 };

export function bodyOf(ask) {
  const content = [{ type: "text", text: ask.text }];
  if (ask.image) {
    content.push({ type: "image",
      source: { type: "base64", media_type: "image/png", data: PIXEL_BASE64 } });
  }
  const body = {
    model: ask.model,
    max_tokens: ask.output_tokens ?? 4096,
    system: ask.cached
      ? [{ type: "text", text: ask.cached, cache_control: { type: "ephemeral" } }]
      : "Be brief.",
    messages: [{ role: "user", content }, ...(ask.turns ?? []).flatMap(({ turn, call, result }) => [
      { role: "assistant", content: turn ??
        [{ type: "tool_use", id: call.id, name: call.name, input: call.args }] },
      { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: result }] },
    ])],
  };
  if (ask.tools) {
    body.tools = ask.tools.map((tool) => ({ name: tool.name, input_schema: schemaOf(tool) }));
  }
  if (ask.schema) {
    body.output_config = { format: { type: "json_schema", schema: schemaOf(ask.schema) } };
  }
  if (ask.effort) body.thinking = { type: "enabled", budget_tokens: BUDGETS[ask.effort] };
  return body;
}

export function fold(message, pieces) {
  const of = (type) => message.content.filter((block) => block.type === type);
  const { usage } = message;
  const cached = usage.cache_read_input_tokens ?? 0;
  return {
    ...answer(),
    text: of("text").map((block) => block.text).join(""),
    thought: of("thinking").map((block) => block.thinking).join(""),
    finish: FINISH[message.stop_reason] ?? message.stop_reason,
    calls: of("tool_use").map(({ id, name, input }) => ({ id, name, args: input })),
    usage: { input: usage.input_tokens + cached + (usage.cache_creation_input_tokens ?? 0),
      output: usage.output_tokens, cached },
    pieces,
    turn: message.content,
  };
}

export function messages({ base_url: base, api_key: apiKey, retries: maxRetries = 0 }) {
  return face("anthropic-messages",
    new Anthropic({ baseURL: base.replace(/\/v1$/, ""), apiKey, maxRetries }));
}

/// The same SDK as Google sells these models.
export function vertexMessages(plan) {
  return face("vertex-anthropic", new AnthropicVertex({ baseURL: plan.base_url, maxRetries: 0,
    projectId: "acme", region: "europe-west4", authClient: bearer(plan) }));
}

function face(name, client) {
  return {
    name,
    marksCaches: true,
    returnsThoughts: true,
    async whole(ask) {
      return fold(await client.messages.create(bodyOf(ask), { signal: ask.signal }), 0);
    },
    async stream(ask) {
      const stream = client.messages.stream(bodyOf(ask), { signal: ask.signal });
      let pieces = 0;
      for await (const event of stream) {
        if (event.type === "content_block_delta" && event.delta.type === "text_delta") pieces += 1;
        ask.onPiece?.(pieces);
      }
      return fold(await stream.finalMessage(), pieces);
    },
    statusOf: (error) => ({ status: error.status, message: error.message,
      exception: error.constructor.name }),
  };
}
