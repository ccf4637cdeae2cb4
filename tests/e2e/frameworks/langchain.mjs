// LangChain's chat models over the suppliers' SDKs.
import { BedrockRuntimeClient } from "@aws-sdk/client-bedrock-runtime";
import { ChatAnthropic } from "@langchain/anthropic";
import { ChatBedrockConverse } from "@langchain/aws";
import { HumanMessage, ToolMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatGoogleGenerativeAI } from "@langchain/google-genai";
import { AzureChatOpenAI, ChatOpenAI } from "@langchain/openai";

const textOf = (message) => (typeof message.content === "string" ? message.content
  : message.content.map((part) => part.text ?? "").join(""));
const usageOf = ({ usage_metadata: usage }) => ({
  input: usage.input_tokens, output: usage.output_tokens });

function face(name, make, family) {
  return {
    name: `langchain ${name}`,
    family,
    async whole({ model, text, signal, retries = 0 }) {
      const out = await make(model, retries).invoke(text, { signal });
      return { text: textOf(out), usage: usageOf(out) };
    },
    async stream({ model, text, signal, onPiece }) {
      let pieces = 0;
      let folded;
      for await (const chunk of await make(model, 0).stream(text, { signal })) {
        if (textOf(chunk)) pieces += 1;
        folded = folded ? folded.concat(chunk) : chunk;
        onPiece?.(pieces);
      }
      signal?.throwIfAborted(); // some providers end an aborted stream without a word
      return { text: textOf(folded), pieces, usage: usageOf(folded) };
    },
    async tools({ model, text, toolName, description, schema, run }) {
      const known = tool(run, { name: toolName, description, schema });
      const bound = make(model, 0).bindTools([known]);
      const said = [new HumanMessage(text)];
      for (let steps = 1; ; steps += 1) {
        const message = await bound.invoke(said);
        if (!message.tool_calls?.length || steps > 3) return { text: textOf(message), steps };
        said.push(message);
        for (const call of message.tool_calls) {
          const result = await known.invoke(call.args);
          said.push(new ToolMessage({ tool_call_id: call.id, name: call.name, content: result }));
        }
      }
    },
    structured({ model, text, schema }) {
      return make(model, 0).withStructuredOutput(schema, { name: "weather" }).invoke(text);
    },
    // Its own classes hold what the SDK threw.
    statusOf(error) {
      const { status, $metadata: answered, cause } = error;
      return status ?? answered?.httpStatusCode ?? (cause && this.statusOf(cause));
    },
  };
}

export function langchain({ base_url: v1, api_key: apiKey, access_key: pair }) {
  const root = v1.replace(/\/v1$/, "");
  return [
    face("ChatOpenAI", (model, maxRetries) =>
      new ChatOpenAI({ model, apiKey, maxRetries, configuration: { baseURL: v1 } }), "openai"),
    face("ChatOpenAI responses", (model, maxRetries) =>
      new ChatOpenAI({ model, apiKey, maxRetries, useResponsesApi: true,
        configuration: { baseURL: v1 } }), "openai"),
    face("AzureChatOpenAI", (model, maxRetries) =>
      new AzureChatOpenAI({ model, azureOpenAIApiKey: apiKey, maxRetries,
        azureOpenAIApiDeploymentName: model, azureOpenAIApiVersion: "2024-10-21",
        azureOpenAIEndpoint: root }), "openai"),
    face("ChatAnthropic", (model, maxRetries) =>
      new ChatAnthropic({ model, apiKey, maxRetries, maxTokens: 1000, anthropicApiUrl: root }),
    "anthropic"),
    face("ChatGoogleGenerativeAI", (model, maxRetries) =>
      new ChatGoogleGenerativeAI({ model, apiKey, maxRetries, baseUrl: root }), "gemini"),
    face("ChatBedrockConverse", (model, maxRetries) =>
      new ChatBedrockConverse({ model, region: "us-east-1", maxRetries,
        client: new BedrockRuntimeClient({ endpoint: root, region: "us-east-1",
          maxAttempts: 1 + maxRetries,
          credentials: { accessKeyId: pair.id, secretAccessKey: pair.secret } }),
        // What it looks up by model name and does not know of ours.
        supportsToolChoiceValues: ["auto", "any", "tool"] }), "bedrock"),
  ];
}
