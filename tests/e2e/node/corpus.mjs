// Carried replies, read by the official SDK of the dialect they were carried to. One JSON line in
// for each: {id, stream, status, bytes} with the bytes in base64; one line out: {id} and either
// what the SDK made of it ({texts, calls, stop}) or {problem}, or {error} with what it raised.
//   node corpus.mjs anthropic-messages|bedrock-converse
import { Readable } from 'node:stream';
import readline from 'node:readline';
import Anthropic from '@anthropic-ai/sdk';
import {
  BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';

const ask = { model: 'm', max_tokens: 64, messages: [{ role: 'user', content: 'Hello' }] };

function demand(holds, what) {
  if (!holds) throw new Error(what);
}

// --- Anthropic ---

const STOPS = ['end_turn', 'max_tokens', 'stop_sequence', 'tool_use', 'pause_turn', 'refusal',
  'compaction', 'model_context_window_exceeded'];

function checkMessage(message) {
  demand(message.type === 'message' && message.role === 'assistant', 'no message');
  demand(typeof message.id === 'string' && typeof message.model === 'string', 'no id or model');
  demand(STOPS.includes(message.stop_reason), `stop_reason ${message.stop_reason}`);
  for (const count of ['input_tokens', 'output_tokens'])
    demand(Number.isInteger(message.usage[count]), `usage.${count} ${message.usage[count]}`);
  for (const block of message.content) {
    if (block.type === 'text') demand(block.text.length > 0, 'a text without text');
    if (block.type === 'thinking')
      demand(typeof block.thinking === 'string' && typeof block.signature === 'string', 'thinking');
    if (block.type === 'redacted_thinking') demand(block.data.length > 0, 'redacted_thinking');
    if (block.type !== 'tool_use') continue;
    demand(/^[a-zA-Z0-9_-]+$/.test(block.id), `id ${block.id}`);
    demand(block.input !== null && typeof block.input === 'object', `input of ${block.name}`);
  }
}

async function anthropic({ stream, status, bytes }) {
  const headers = { 'content-type': stream ? 'text/event-stream' : 'application/json' };
  const fetch = async () => new Response(bytes, { status, headers });
  const client = new Anthropic({ apiKey: 'k', baseURL: 'http://x', maxRetries: 0, fetch });
  let message;
  if (stream) {
    const events = client.messages.stream(ask);
    let open = -1;  // the block that may be written to
    events.on('streamEvent', (event) => {
      if (event.type === 'content_block_start') {
        demand(open === -1, 'blocks overlap');
        open = event.index;
      } else if (event.type.startsWith('content_block_')) {
        demand(event.index === open, `an event of block ${event.index}, not of ${open}`);
        if (event.type === 'content_block_stop') open = -1;
      }
    });
    message = await events.finalMessage();
  } else {
    message = await client.messages.create(ask);
  }
  checkMessage(message);
  const calls = message.content.filter((block) => block.type === 'tool_use');
  return {
    texts: message.content.filter((block) => block.type === 'text').map((block) => block.text),
    calls: calls.map((call) => [call.name, JSON.stringify(call.input)]),
    stop: message.stop_reason,
  };
}

// --- Bedrock ---

function bedrockClient({ status, stream, bytes }) {
  const type = stream ? 'application/vnd.amazon.eventstream' : 'application/json';
  const handle = async () => ({ response: {
    statusCode: status, headers: { 'content-type': type }, body: Readable.from([bytes]) } });
  return new BedrockRuntimeClient({ region: 'us-east-1', maxAttempts: 1,
    credentials: { accessKeyId: 'k', secretAccessKey: 's' }, requestHandler: { handle } });
}

async function folded(events) {
  const blocks = new Map();
  const at = (index) => blocks.get(index) ?? blocks.set(index, {}).get(index);
  let stop, usage, role;
  for await (const event of events) {
    const { contentBlockStart: start, contentBlockDelta: delta } = event;
    role = event.messageStart?.role ?? role;
    if (start?.start.toolUse)
      at(start.contentBlockIndex).toolUse = { ...start.start.toolUse, input: '' };
    const block = delta && at(delta.contentBlockIndex);
    if (delta?.delta.text !== undefined)
      block.text = (block.text ?? '') + delta.delta.text;
    if (delta?.delta.toolUse) {
      demand(block.toolUse, 'input of a call that did not start');
      block.toolUse.input += delta.delta.toolUse.input;
    }
    stop = event.messageStop?.stopReason ?? stop;
    usage = event.metadata?.usage ?? usage;
  }
  demand(role === 'assistant', `role ${role}`);
  return { content: [...blocks.values()], stop, usage };
}

async function bedrock(reply) {
  const client = bedrockClient(reply);
  const input = { modelId: 'm', messages: [{ role: 'user', content: [{ text: 'Hello' }] }] };
  let made;
  if (reply.stream) {
    made = await folded((await client.send(new ConverseStreamCommand(input))).stream);
  } else {
    const answer = await client.send(new ConverseCommand(input));
    made = { content: answer.output.message.content, stop: answer.stopReason, usage: answer.usage };
  }
  demand(typeof made.stop === 'string', `stopReason ${made.stop}`);
  demand(Number.isInteger(made.usage?.inputTokens), 'usage');
  const calls = made.content.filter(
    (block) => block.toolUse && block.toolUse.type !== 'server_tool_use');
  for (const { toolUse } of calls)
    demand(/^[a-zA-Z0-9_.:-]{1,64}$/.test(toolUse.toolUseId), `id ${toolUse.toolUseId}`);
  const text = (block) => block.text ??
    block.citationsContent?.content?.map((piece) => piece.text).join('');
  return {
    texts: made.content.map(text).filter((words) => words),
    calls: calls.map(({ toolUse: call }) => [call.name,
      typeof call.input === 'string' ? call.input : JSON.stringify(call.input)]),
    stop: made.stop,
  };
}

const read = { 'anthropic-messages': anthropic, 'bedrock-converse': bedrock }[process.argv[2]];

for await (const line of readline.createInterface({ input: process.stdin })) {
  const reply = JSON.parse(line);
  reply.bytes = Buffer.from(reply.bytes, 'base64');
  let out;
  try {
    out = await read(reply);
  } catch (raised) {
    const { name, constructor, message, status, $metadata } = raised;
    const isOfSdk = raised instanceof Anthropic.AnthropicError || $metadata !== undefined;
    out = isOfSdk
      ? { error: $metadata === undefined ? constructor.name : name, status, message }
      : { problem: `${name}: ${message}` };
  }
  process.stdout.write(`${JSON.stringify({ id: reply.id, ...out })}\n`);
}
