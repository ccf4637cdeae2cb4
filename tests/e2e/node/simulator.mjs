// The controls of a running cloudsim, as the cases use them.
export class Simulator {
  #url;
  constructor(url) {
    this.#url = url;
  }
  async #set(state) {
    const body = JSON.stringify(state);
    const reply = await fetch(`${this.#url}/control`, { method: "POST", body });
    if (!reply.ok) throw new Error(`cloudsim: ${reply.status} ${await reply.text()}`);
  }
  reset() {
    return this.#set({});
  }
  answer({ text = "one two three four five", tool_calls = null }) {
    return this.#set({ answer: { text, tool_calls } });
  }
  fail(fault) {
    return this.#set({ fail: fault });
  }
  slow({ event_ms }) {
    return this.#set({ slow: { event_ms } });
  }
  truncate({ after_events }) {
    return this.#set({ truncate: { after_events } });
  }
}
