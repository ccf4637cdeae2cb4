// The Vercel AI SDK over each of its providers that a client of ours may use.
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createAzure } from "@ai-sdk/azure";
import { createGoogle } from "@ai-sdk/google";
import { createOpenAI } from "@ai-sdk/openai";
import { generateText, isStepCount, Output, streamText, tool } from "ai";

const usageOf = (usage) => ({ input: usage.inputTokens, output: usage.outputTokens });

function face(name, modelOf, family) {
  const asked = ({ model, text, signal, retries = 0 }) => ({
    model: modelOf(model), prompt: text, maxOutputTokens: 1000, maxRetries: retries,
    abortSignal: signal });
  return {
    name: `vercel ${name}`,
    family,
    async whole(ask) {
      const out = await generateText(asked(ask));
      return { text: out.text, usage: usageOf(out.usage) };
    },
    async stream(ask) {
      const broken = [];
      const out = streamText({ ...asked(ask), onError: ({ error }) => broken.push(error) });
      let text = "";
      let pieces = 0;
      for await (const piece of out.textStream) {
        text += piece;
        pieces += 1;
        ask.onPiece?.(pieces);
      }
      if (broken.length > 0) throw broken[0];
      ask.signal?.throwIfAborted(); // an aborted stream just ends
      return { text, pieces, usage: usageOf(await out.usage) };
    },
    async tools({ toolName, description, schema, run, ...ask }) {
      const out = await generateText({ ...asked(ask), stopWhen: isStepCount(4),
        tools: { [toolName]: tool({ description, inputSchema: schema, execute: run }) } });
      return { text: out.text, steps: out.steps.length };
    },
    async structured({ schema, ...ask }) {
      const out = await generateText({ ...asked(ask), output: Output.object({ schema }) });
      return out.output;
    },
    statusOf: (error) => (error.lastError ?? error).statusCode,
  };
}

export function vercel({ base_url: v1, api_key: apiKey, access_key: pair }) {
  const root = v1.replace(/\/v1$/, "");
  const openai = createOpenAI({ baseURL: v1, apiKey });
  const azure = createAzure({ baseURL: `${root}/openai/v1`, apiKey });
  const anthropic = createAnthropic({ baseURL: v1, apiKey });
  const google = createGoogle({ baseURL: `${root}/v1beta`, apiKey });
  const signed = createAmazonBedrock({ baseURL: root, region: "us-east-1",
    accessKeyId: pair.id, secretAccessKey: pair.secret });
  const bearer = createAmazonBedrock({ baseURL: root, region: "us-east-1", apiKey });
  return [
    face("openai responses", (model) => openai(model), "openai"),
    face("openai chat", (model) => openai.chat(model), "openai"),
    face("azure responses", (model) => azure(model), "openai"),
    face("azure chat", (model) => azure.chat(model), "openai"),
    face("anthropic", (model) => anthropic(model), "anthropic"),
    face("google", (model) => google(model), "gemini"),
    face("bedrock signed", (model) => signed(model), "bedrock"),
    face("bedrock bearer", (model) => bearer(model), "bedrock"),
  ];
}
