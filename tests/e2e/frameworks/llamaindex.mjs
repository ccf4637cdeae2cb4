// LlamaIndex for TypeScript.
import { tool } from "@llamaindex/core/tools";
import { OpenAI } from "@llamaindex/openai";

export function llamaindex({ base_url: baseURL, api_key: apiKey }) {
  const make = (model, maxRetries = 0) => new OpenAI({ model, apiKey, baseURL, maxRetries,
    supportToolCall: true });
  const said = (text) => [{ role: "user", content: text }];
  const usageOf = ({ usage }) => ({ input: usage.prompt_tokens, output: usage.completion_tokens });
  return [{
    name: "llamaindex OpenAI",
    family: "openai",
    cannotLeave: true, // it takes no signal, and leaving its streams does not end them
    async whole({ model, text, retries }) {
      const out = await make(model, retries).chat({ messages: said(text) });
      return { text: out.message.content, usage: usageOf(out.raw) };
    },
    async stream({ model, text, onPiece }) {
      let all = "";
      let pieces = 0;
      for await (const chunk of await make(model).chat({ messages: said(text), stream: true })) {
        if (chunk.delta) pieces += 1;
        all += chunk.delta;
        onPiece?.(pieces);
      }
      return { text: all, pieces }; // it asks for no usage in streams
    },
    async tools({ model, text, toolName, description, schema, run }) {
      const known = tool({ name: toolName, description, parameters: schema, execute: run });
      const messages = said(text);
      const llm = make(model);
      for (let steps = 1; ; steps += 1) {
        const { message } = await llm.chat({ messages, tools: [known] });
        const calls = message.options?.toolCall ?? [];
        if (calls.length === 0 || steps > 3) return { text: message.content, steps };
        messages.push(message);
        for (const call of calls) {
          const input = typeof call.input === "string" ? JSON.parse(call.input) : call.input;
          messages.push({ role: "user", content: "", options: { toolResult: {
            id: call.id, result: await run(input), isError: false } } });
        }
      }
    },
    async structured({ model, text, schema }) {
      const out = await make(model).chat({ messages: said(text), responseFormat: schema });
      return JSON.parse(out.message.content);
    },
    statusOf: (error) => error.status,
  }];
}
