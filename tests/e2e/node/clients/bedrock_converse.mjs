// The AWS SDK's Converse and ConverseStream, over HTTP/1.1 and over HTTP/2, with a bearer token and
// signed with an access key of the gateway's own.
import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand }
  from "@aws-sdk/client-bedrock-runtime";
import { NodeHttp2Handler, NodeHttpHandler } from "@smithy/node-http-handler";
import { answer, PIXEL_BASE64, schemaOf, Unsaid } from "./face.mjs";

const FINISH = { end_turn: "stop", stop_sequence: "stop", max_tokens: "length", tool_use: "tools" };

function inputOf(ask) {
  if (ask.schema) throw new Unsaid("Converse has no structured output for every model");
  const content = [{ text: ask.text }];
  if (ask.image) {
    content.push({ image: { format: "png",
      source: { bytes: Buffer.from(PIXEL_BASE64, "base64") } } });
  }
  const input = {
    modelId: ask.model,
    system: ask.cached
      ? [{ text: ask.cached }, { cachePoint: { type: "default" } }]
      : [{ text: "Be brief." }],
    messages: [{ role: "user", content }, ...(ask.turns ?? []).flatMap(({ turn, call, result }) => [
      { role: "assistant", content: turn ??
        [{ toolUse: { toolUseId: call.id, name: call.name, input: call.args } }] },
      { role: "user",
        content: [{ toolResult: { toolUseId: call.id, content: [{ text: result }] } }] },
    ])],
    inferenceConfig: { maxTokens: ask.output_tokens ?? 4096 },
  };
  if (ask.tools) {
    input.toolConfig = { tools: ask.tools.map((tool) => ({
      toolSpec: { name: tool.name, inputSchema: { json: schemaOf(tool) } } })) };
  }
  if (ask.effort) {
    input.additionalModelRequestFields = { thinking: { type: "enabled", budget_tokens: 1024 } };
  }
  return input;
}

const usageOf = (usage) => ({
  input: usage.inputTokens + (usage.cacheReadInputTokens ?? 0) +
    (usage.cacheWriteInputTokens ?? 0),
  output: usage.outputTokens,
  cached: usage.cacheReadInputTokens ?? 0,
});

/// The SDK's client: over HTTP/1.1 or HTTP/2 (by itself a connection for each request; "shared":
/// for many), with a bearer token or signed.
export function runtimeClient(
  { base_url: base, api_key: apiKey, access_key: pair, retries = 0 },
  { http2 = false, isSigned = false },
) {
  return new BedrockRuntimeClient({
    endpoint: base.replace(/\/v1$/, ""),
    region: "us-east-1",
    maxAttempts: 1 + retries,
    ...(isSigned
      ? { credentials: { accessKeyId: pair.id, secretAccessKey: pair.secret } }
      : { token: { token: apiKey }, authSchemePreference: ["httpBearerAuth"] }),
    ...(http2 === "shared" ? { requestHandler: new NodeHttp2Handler() } : {}),
    ...(http2 ? {} : { requestHandler: new NodeHttpHandler() }),
  });
}

export function converse(name, plan, how = {}) {
  const client = runtimeClient(plan, how);
  return {
    name,
    marksCaches: true,
    returnsThoughts: true,
    async whole(ask) {
      const reply = await client.send(new ConverseCommand(inputOf(ask)),
        { abortSignal: ask.signal });
      const blocks = reply.output.message.content;
      return {
        ...answer(),
        text: blocks.map((block) => block.text ?? "").join(""),
        thought: blocks.map((block) => block.reasoningContent?.reasoningText?.text ?? "").join(""),
        finish: FINISH[reply.stopReason] ?? reply.stopReason,
        calls: blocks.filter((block) => block.toolUse).map(({ toolUse }) => ({
          id: toolUse.toolUseId, name: toolUse.name, args: toolUse.input })),
        usage: usageOf(reply.usage),
        turn: blocks,
      };
    },
    async stream(ask) {
      const reply = await client.send(new ConverseStreamCommand(inputOf(ask)),
        { abortSignal: ask.signal });
      const out = answer();
      const calls = new Map();
      for await (const event of reply.stream) {
        if (event.contentBlockStart?.start?.toolUse) {
          const { contentBlockIndex: at, start: { toolUse } } = event.contentBlockStart;
          calls.set(at, { id: toolUse.toolUseId, name: toolUse.name, json: "" });
        }
        const delta = event.contentBlockDelta?.delta;
        if (delta?.text) {
          out.text += delta.text;
          out.pieces += 1;
        }
        if (delta?.reasoningContent?.text) out.thought += delta.reasoningContent.text;
        if (delta?.toolUse) calls.get(event.contentBlockDelta.contentBlockIndex).json +=
          delta.toolUse.input;
        if (event.messageStop) {
          out.finish = FINISH[event.messageStop.stopReason] ?? event.messageStop.stopReason;
        }
        if (event.metadata) out.usage = usageOf(event.metadata.usage);
        ask.onPiece?.(out.pieces);
      }
      ask.signal?.throwIfAborted(); // over HTTP/2 the SDK ends the stream without a word
      out.calls = [...calls.values()].map(({ id, name: tool, json }) => ({
        id, name: tool, args: JSON.parse(json || "{}") }));
      return out;
    },
    statusOf: (error) => ({ status: error.$metadata?.httpStatusCode, message: error.message,
      exception: error.name }),
  };
}
