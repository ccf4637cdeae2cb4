// The run-time controls of a cloudsim (apps/cloudsim/README.md), as the cases use them.
export class Simulator {
  #url;
  constructor(controlUrl) {
    this.#url = controlUrl;
  }
  async #put(config) {
    const body = JSON.stringify(config);
    const reply = await fetch(`${this.#url}/_sim/config`, { method: "PUT", body });
    if (!reply.ok) throw new Error(`cloudsim: ${reply.status} ${await reply.text()}`);
  }
  reset() {
    return this.#put({});
  }
  /// What was answered since `forget`, in order.
  async served() {
    const reply = await fetch(`${this.#url}/_sim/served`);
    return (await reply.text()).trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
  }
  forget() {
    return fetch(`${this.#url}/_sim/served`, { method: "DELETE" });
  }
  all(control) {
    return this.#put({ all: control });
  }
  answer(answer) {
    return this.#put({ all: { answer } });
  }
  fail({ status, message = "refused by the simulation", retry_after_s = 1 }) {
    return this.#put({ all: { fault: "status", status, message, retry_after_s } });
  }
  /// A refusal in the words of each cloud (apps/cloudsim/refusals.cc).
  refuse(refusal) {
    return this.#put({ all: { fault: "refusal", refusal, retry_after_s: 0 } });
  }
  throttle({ retry_after_s }) {
    return this.#put({ all: { fault: "throttle", retry_after_s } });
  }
  /// The head and what announces an answer come at once, and then each event after a silence.
  pause({ event_ms }) {
    return this.#put({ all: { chunk_ms: event_ms, chunks: 2, output_tokens: 8 } });
  }
  slow({ event_ms }) {
    return this.#put({ all: { chunk_ms: event_ms, chunks: 50, output_tokens: 100 } });
  }
  truncate({ after_events }) {
    return this.#put({
      all: { fault: "truncate_stream", after_chunks: after_events, chunks: 20, output_tokens: 100 },
    });
  }
}
