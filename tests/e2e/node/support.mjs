// What the cases share: running them, and reading what came back.
import assert from "node:assert/strict";

export const PIXEL = "data:image/png;base64," +
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk" +
  "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";

const tool = (name, description, field) => ({
  type: "function",
  function: {
    name,
    description,
    parameters: {
      type: "object",
      properties: { [field]: { type: "string" } },
      required: [field],
      additionalProperties: false,
    },
  },
});
export const WEATHER = tool("get_weather", "Weather in a city now.", "city");
export const TIME = tool("get_time", "Time in a zone now.", "zone");

export class Cases {
  #only;
  #passed = 0;
  #failed = 0;
  constructor(only) {
    this.#only = only;
  }
  async run(name, body) {
    if (!name.includes(this.#only)) return;
    let timer;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error("took more than 30 s")), 30_000);
    });
    try {
      await Promise.race([body(), late]);
      this.#passed += 1;
      console.log(`ok ${name}`);
    } catch (error) {
      this.#failed += 1;
      console.log(`not ok ${name}: ${String(error.stack ?? error).replaceAll("\n", "\n    ")}`);
    } finally {
      clearTimeout(timer);
    }
  }
  finish() {
    console.log(`${this.#passed} passed, ${this.#failed} failed`);
    process.exit(this.#failed ? 1 : 0);
  }
}

export async function collect(stream) {
  const chunks = [];
  let text = "";
  let finish = null;
  for await (const chunk of stream) {
    chunks.push(chunk);
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
  }
  return { chunks, text, finish };
}

export async function collectEvents(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

export function tokensAddUp(usage) {
  assert.ok(usage.prompt_tokens > 0 && usage.completion_tokens > 0, JSON.stringify(usage));
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
}

// What the books say of the exchange that answered, once it is closed.
export const exchangeOf = (plan, response) =>
  exchangeById(plan, response.headers.get("x-entrepot-exchange"));

export async function exchangeById(plan, id) {
  let last = null;
  for (let tries = 0; tries < 100; tries += 1) {
    const reply = await fetch(`${plan.admin_url}/api/exchanges/${id}`, {
      headers: { authorization: `Bearer ${plan.admin_token}` },
    });
    if (reply.status === 200) {
      last = await reply.json();
      if (last.state === "closed") return last;
    } else {
      last = { status: reply.status, body: await reply.text() };
    }
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`exchange ${id}: ${JSON.stringify(last)}`);
}
