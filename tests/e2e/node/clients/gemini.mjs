// Google's GenAI SDK.
import { GoogleGenAI } from "@google/genai";
import { answer, PIXEL_BASE64, schemaOf } from "./face.mjs";
import { bearer } from "./google_auth.mjs";

const BUDGETS = { low: 1024, medium: 2048, high: 3000 };

/// A schema in Google's own words, which cannot say that there are no other members.
const ownSchemaOf = ({ field }) => ({
  type: "OBJECT",
  properties: { [field]: { type: "STRING", maxLength: "40" } },
  required: [field],
});

function requestOf(ask, hasOwnSchemas) {
  const parts = [{ text: ask.text }];
  if (ask.image) parts.push({ inlineData: { mimeType: "image/png", data: PIXEL_BASE64 } });
  const config = { systemInstruction: ask.cached ?? "Be brief.", abortSignal: ask.signal };
  if (ask.output_tokens) config.maxOutputTokens = ask.output_tokens;
  if (ask.tools) {
    config.tools = [{ functionDeclarations: ask.tools.map((tool) => ({
      name: tool.name, parametersJsonSchema: schemaOf(tool) })) }];
  }
  if (ask.schema) {
    config.responseMimeType = "application/json";
    if (hasOwnSchemas) config.responseSchema = ownSchemaOf(ask.schema);
    else config.responseJsonSchema = schemaOf(ask.schema);
  }
  if (ask.effort) {
    config.thinkingConfig = { thinkingBudget: BUDGETS[ask.effort], includeThoughts: true };
  }
  return {
    model: ask.model,
    contents: [{ role: "user", parts }, ...(ask.turns ?? []).flatMap(({ turn, call, result }) => [
      turn ?? { role: "model",
        parts: [{ functionCall: { id: call.id, name: call.name, args: call.args },
          thoughtSignature: call.signature }] },
      { role: "user", parts: [{ functionResponse: { id: call.id, name: call.name,
        response: { output: result } } }] },
    ])],
    config,
  };
}

function take(out, reply) {
  const candidate = reply.candidates?.[0];
  for (const part of candidate?.content?.parts ?? []) {
    if (part.thought) {
      out.thought += part.text ?? "";
    } else if (part.functionCall) {
      const { id, name, args } = part.functionCall;
      out.calls.push({ id, name, args: args ?? {}, signature: part.thoughtSignature });
    } else if (part.text) {
      out.text += part.text;
      out.pieces += 1;
    }
  }
  if (candidate?.finishReason) {
    out.finish = { STOP: "stop", MAX_TOKENS: "length" }[candidate.finishReason] ??
      candidate.finishReason;
  }
  // Gemini has no word of its own for an answer that ends in calls.
  if (out.finish === "stop" && out.calls.length > 0) out.finish = "tools";
  const usage = reply.usageMetadata;
  if (usage) {
    out.usage = { input: usage.promptTokenCount ?? 0,
      output: (usage.candidatesTokenCount ?? 0) + (usage.thoughtsTokenCount ?? 0),
      cached: usage.cachedContentTokenCount ?? 0 };
  }
}

function client({ base_url: base, retries = 0 }, options) {
  return new GoogleGenAI({ ...options,
    httpOptions: { baseUrl: base.replace(/\/v1$/, ""), retryOptions: { attempts: 1 + retries } } });
}

export const genai = (plan) =>
  face("gemini", false, client(plan, { apiKey: plan.api_key, vertexai: false }));

/// Vertex AI: with a project and a token, or in express mode with a key.
export const vertex = (plan) => face("vertex", true, client(plan, { vertexai: true, project: "acme",
  location: "europe-west4", googleAuthOptions: { authClient: bearer(plan) } }));
export const express = (plan) =>
  face("vertex express", true, client(plan, { apiKey: plan.api_key, vertexai: true }));

function face(name, hasOwnSchemas, client) {
  return {
    name,
    returnsThoughts: true,
    mayLackIds: true,
    async whole(ask) {
      const out = answer();
      const reply = await client.models.generateContent(requestOf(ask, hasOwnSchemas));
      take(out, reply);
      out.turn = reply.candidates?.[0]?.content;
      return out;
    },
    async stream(ask) {
      const out = answer();
      const request = requestOf(ask, hasOwnSchemas);
      for await (const chunk of await client.models.generateContentStream(request)) {
        take(out, chunk);
        ask.onPiece?.(out.pieces);
      }
      return out;
    },
    statusOf: (error) => ({ status: error.status, message: error.message,
      exception: error.constructor.name }),
  };
}
