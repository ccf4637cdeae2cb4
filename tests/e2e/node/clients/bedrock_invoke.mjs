// The AWS SDK's InvokeModel and its stream, over HTTP/1.1 and over HTTP/2, with a bearer token and
// signed; the bodies are those of the model's maker.
import { InvokeModelCommand, InvokeModelWithResponseStreamCommand }
  from "@aws-sdk/client-bedrock-runtime";
import * as messages from "./anthropic_messages.mjs";
import { runtimeClient } from "./bedrock_converse.mjs";
import { answer, PIXEL_BASE64, schemaOf, Unsaid } from "./face.mjs";

/// Claude's body: Messages, whose model and stream the path says.
const CLAUDE = {
  bodyOf(ask) {
    const { model, ...body } = messages.bodyOf(ask);
    return { anthropic_version: "bedrock-2023-05-31", ...body };
  },
  fold: messages.fold,
  /// Events of a stream to the message that they make.
  start: () => ({ content: [], usage: {}, json: [] }),
  take(message, event) {
    const at = event.index;
    if (event.type === "message_start") Object.assign(message, event.message);
    if (event.type === "content_block_start") message.content[at] = event.content_block;
    if (event.type === "content_block_delta") {
      const { delta } = event;
      const block = message.content[at];
      if (delta.type === "text_delta") block.text += delta.text;
      if (delta.type === "thinking_delta") block.thinking += delta.thinking;
      if (delta.type === "signature_delta") block.signature = delta.signature;
      if (delta.type === "input_json_delta") {
        message.json[at] = (message.json[at] ?? "") + delta.partial_json;
      }
      return delta.type === "text_delta";
    }
    if (event.type === "content_block_stop" && message.json[at]) {
      message.content[at].input = JSON.parse(message.json[at]);
    }
    if (event.type === "message_delta") {
      message.stop_reason = event.delta.stop_reason;
      Object.assign(message.usage, event.usage);
    }
    return false;
  },
};

/// Nova's: Converse's members, without the fields that Converse puts around them.
const NOVA = {
  bodyOf(ask) {
    if (ask.schema || ask.effort) throw new Unsaid("Nova's body has no such field");
    const content = [{ text: ask.text }];
    if (ask.image) content.push({ image: { format: "png", source: { bytes: PIXEL_BASE64 } } });
    return {
      schemaVersion: "messages-v1",
      system: ask.cached
        ? [{ text: ask.cached, cachePoint: { type: "default" } }]
        : [{ text: "Be brief." }],
      messages: [{ role: "user", content }, ...(ask.turns ?? []).flatMap(({ call, result }) => [
        { role: "assistant",
          content: [{ toolUse: { toolUseId: call.id, name: call.name, input: call.args } }] },
        { role: "user",
          content: [{ toolResult: { toolUseId: call.id, content: [{ text: result }] } }] },
      ])],
      inferenceConfig: { maxTokens: ask.output_tokens ?? 4096 },
      ...(ask.tools ? { toolConfig: { tools: ask.tools.map((tool) => ({
        toolSpec: { name: tool.name, inputSchema: { json: schemaOf(tool) } } })) } } : {}),
    };
  },
  fold({ output, stopReason, usage }, pieces) {
    const cached = usage.cacheReadInputTokenCount ?? 0;
    const blocks = output.message.content;
    return {
      ...answer(),
      text: blocks.map((block) => block.text ?? "").join(""),
      finish: { end_turn: "stop", max_tokens: "length", tool_use: "tools" }[stopReason] ??
        stopReason,
      calls: blocks.filter((block) => block.toolUse).map(({ toolUse }) => ({
        id: toolUse.toolUseId, name: toolUse.name, args: toolUse.input })),
      usage: { input: usage.inputTokens + cached + (usage.cacheWriteInputTokenCount ?? 0),
        output: usage.outputTokens, cached },
      pieces,
    };
  },
  start: () => ({ output: { message: { content: [] } }, usage: {}, json: [] }),
  take(reply, { contentBlockStart: start, contentBlockDelta: part, contentBlockStop: stop,
    messageStop, metadata }) {
    const blocks = reply.output.message.content;
    if (start) blocks[start.contentBlockIndex] = structuredClone(start.start);
    if (part?.delta.toolUse) {
      const at = part.contentBlockIndex;
      reply.json[at] = (reply.json[at] ?? "") + part.delta.toolUse.input;
    }
    if (part?.delta.text) {
      blocks[part.contentBlockIndex] ??= { text: "" };
      blocks[part.contentBlockIndex].text += part.delta.text;
    }
    if (stop && reply.json[stop.contentBlockIndex]) {
      blocks[stop.contentBlockIndex].toolUse.input = JSON.parse(reply.json[stop.contentBlockIndex]);
    }
    if (messageStop) reply.stopReason = messageStop.stopReason;
    if (metadata) reply.usage = metadata.usage;
    return Boolean(part?.delta.text);
  },
};

/// Llama's: one text, in the template of its maker.
const LLAMA = {
  bodyOf(ask) {
    for (const what of ["image", "tools", "schema", "effort", "cached", "turns"])
      if (ask[what]) throw new Unsaid(`a prompt has no ${what}`);
    return { prompt: "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n" +
        `${ask.text}<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n`,
      max_gen_len: ask.output_tokens ?? 2048 };
  },
  fold: (reply, pieces) => ({
    ...answer(),
    text: reply.generation,
    finish: reply.stop_reason,
    usage: { input: reply.prompt_token_count, output: reply.generation_token_count, cached: 0 },
    pieces,
  }),
  start: () => ({ generation: "" }),
  take(reply, event) {
    reply.generation += event.generation;
    reply.stop_reason = event.stop_reason;
    reply.prompt_token_count ??= event.prompt_token_count;
    reply.generation_token_count = event.generation_token_count ?? reply.generation_token_count;
    return event.generation !== "";
  },
};

export const BODIES = { claude: CLAUDE, nova: NOVA, llama: LLAMA };

export function invoke(name, body, plan, how = {}) {
  const client = runtimeClient(plan, how);
  const { bodyOf, fold, start, take } = BODIES[body];
  const inputOf = (ask) => ({
    modelId: ask.model,
    contentType: "application/json",
    accept: "application/json",
    body: JSON.stringify(bodyOf(ask)),
  });
  return {
    name,
    marksCaches: true,
    returnsThoughts: body === "claude",
    async whole(ask) {
      const reply = await client.send(new InvokeModelCommand(inputOf(ask)),
        { abortSignal: ask.signal });
      return fold(JSON.parse(reply.body.transformToString()), 0);
    },
    async stream(ask) {
      const reply = await client.send(new InvokeModelWithResponseStreamCommand(inputOf(ask)),
        { abortSignal: ask.signal });
      const made = start();
      let pieces = 0;
      for await (const { chunk } of reply.body) {
        if (take(made, JSON.parse(Buffer.from(chunk.bytes).toString()))) pieces += 1;
        ask.onPiece?.(pieces);
      }
      ask.signal?.throwIfAborted(); // over HTTP/2 the SDK ends the stream without a word
      return fold(made, pieces);
    },
    statusOf: (error) => ({ status: error.$metadata?.httpStatusCode, message: error.message,
      exception: error.name }),
  };
}
