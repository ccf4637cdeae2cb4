// Connections that the gateway retires after few requests, and no request is lost by it: the AWS
// SDK, which destroys a connection at GOAWAY with all that runs on it and is told not to retry, and
// Node's own client with streams under way. E2E_PLAN as for suite.mjs, and `requests_max`.
import assert from "node:assert/strict";
import http2 from "node:http2";
import { converse } from "./clients/bedrock_converse.mjs";
import { Cases } from "./support.mjs";

const plan = JSON.parse(process.env.E2E_PLAN);
const cases = new Cases("");

let connections = 0;
const { connect } = http2;
http2.connect = (...options) => {
  connections += 1;
  return connect(...options);
};

await cases.run("the AWS SDK's connections are retired while it asks for nothing", async () => {
  connections = 0;
  const requests = 6 * plan.requests_max;
  const client = converse("bedrock-converse", plan, { http2: "shared" });
  for (let i = 0; i < requests; i += 1) {
    const out = await client.whole({ model: plan.model, text: `Number ${i}.` });
    assert.equal(out.finish, "stop", `request ${i}`);
    if ((i + 1) % plan.requests_max === 0) await new Promise((done) => { setTimeout(done, 300); });
  }
  assert.ok(connections >= 5, `${connections} connections for ${requests} requests`);
  assert.ok(connections <= 12, `${connections} connections for ${requests} requests`);
});

await cases.run("streams under way outlive their connection's GOAWAY", async () => {
  let session;
  let told = 0;
  const current = () => {
    if (session) return session;
    const made = connect(plan.base_url);
    made.on("goaway", () => {
      told += 1;
      if (session === made) session = undefined;
    });
    session = made;
    return made;
  };
  const ask = (i) => new Promise((resolve, reject) => {
    const stream = current().request({ ":method": "POST", ":path": "/v1/chat/completions",
      authorization: `Bearer ${plan.api_key}`, "content-type": "application/json" });
    let body = "";
    stream.setEncoding("utf8");
    stream.on("data", (piece) => { body += piece; });
    // Of what it had not sent when it was told, Node says that it was refused: RFC 9113, 8.7.
    stream.on("error", () => {});
    stream.on("close", () => {
      if (body.endsWith("data: [DONE]\n\n")) return resolve();
      if (body === "" && stream.rstCode === http2.constants.NGHTTP2_REFUSED_STREAM)
        return ask(i).then(resolve, reject);
      return reject(new Error(`request ${i} broke off: ${stream.rstCode} ${body.slice(-200)}`));
    });
    stream.end(JSON.stringify({ model: plan.model, stream: true,
      messages: [{ role: "user", content: `Number ${i}.` }] }));
  });
  // Never a quiet moment, so that it is retired at twice its requests, under way.
  let next = 0;
  const requests = 10 * plan.requests_max;
  const worker = async () => {
    while (next < requests) {
      next += 1;
      await ask(next);
    }
  };
  await Promise.all(Array.from({ length: 8 }, worker));
  assert.ok(told >= 3, `told ${told} times`);
  session?.close();
});

cases.finish();
