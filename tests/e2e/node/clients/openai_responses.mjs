// The OpenAI SDK's responses.
import OpenAI from "openai";
import { answer, PIXEL_BASE64, schemaOf } from "./face.mjs";

function bodyOf(ask) {
  const content = [{ type: "input_text", text: ask.text }];
  if (ask.image) {
    content.push({ type: "input_image", detail: "auto",
      image_url: `data:image/png;base64,${PIXEL_BASE64}` });
  }
  const body = {
    model: ask.model,
    instructions: ask.cached ?? "Be brief.",
    store: false,
    input: [{ role: "user", content }, ...(ask.turns ?? []).flatMap(({ turn, call, result }) => [
      ...(turn ?? [{ type: "function_call", call_id: call.id, name: call.name,
        arguments: JSON.stringify(call.args) }]),
      { type: "function_call_output", call_id: call.id, output: result },
    ])],
  };
  if (ask.output_tokens) body.max_output_tokens = ask.output_tokens;
  if (ask.effort) {
    body.reasoning = { effort: ask.effort, summary: "auto" };
    body.include = ["reasoning.encrypted_content"];
  }
  if (ask.tools) {
    body.tools = ask.tools.map((tool) => ({
      type: "function", name: tool.name, parameters: schemaOf(tool), strict: true }));
  }
  if (ask.schema) {
    body.text = { format: { type: "json_schema", name: "out", strict: true,
      schema: schemaOf(ask.schema) } };
  }
  return body;
}

function fold(response, pieces) {
  if (response.status === "failed") throw new Error(JSON.stringify(response.error));
  const calls = response.output.filter((item) => item.type === "function_call")
    .map(({ call_id: id, name, arguments: json }) => ({ id, name, args: JSON.parse(json) }));
  const { usage } = response;
  return {
    ...answer(),
    text: response.output_text,
    thought: response.output.filter((item) => item.type === "reasoning")
      .flatMap((item) => item.summary.map((part) => part.text)).join(""),
    finish: response.status === "incomplete" ? "length" : calls.length > 0 ? "tools" : "stop",
    calls,
    usage: { input: usage.input_tokens, output: usage.output_tokens,
      cached: usage.input_tokens_details?.cached_tokens ?? 0 },
    pieces,
    turn: response.output,
  };
}

export function responses({ base_url: baseURL, api_key: apiKey, retries: maxRetries = 0 }) {
  const client = new OpenAI({ baseURL, apiKey, maxRetries });
  return {
    name: "openai-responses",
    returnsThoughts: true,
    async whole(ask) {
      return fold(await client.responses.create(bodyOf(ask), { signal: ask.signal }), 0);
    },
    async stream(ask) {
      const stream = client.responses.stream(bodyOf(ask), { signal: ask.signal });
      let pieces = 0;
      for await (const event of stream) {
        if (event.type === "response.output_text.delta") pieces += 1;
        ask.onPiece?.(pieces);
      }
      return fold(await stream.finalResponse(), pieces);
    },
    statusOf: (error) => ({ status: error.status, message: error.message,
      exception: error.constructor.name }),
  };
}
