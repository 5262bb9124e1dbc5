/** Faults that other SIP libraries for pages have shown at their API when they were run, and that this one must not have. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { WebSocketServer } from "ws";
import { event, until } from "../common/wait.mjs";
import { openAgent } from "../interop/agents.mjs";

const BOB = "sip:bob@example.test";

/** The value of a header in a message of ours. */
const header = (text, name) => new RegExp(`^${name}: (.*)$`, "mi").exec(text)?.[1].trim();

/** A response to `request`, with more header lines. */
function respond(request, status, ...lines) {
  const copied = ["Via", "From", "Call-ID", "CSeq"].map((name) => `${name}: ${header(request, name)}`);
  const to = header(request, "To");
  const tagged = to.includes(";tag=") ? to : `${to};tag=peer`;
  return [`SIP/2.0 ${status} Whatever`, ...copied, `To: ${tagged}`, ...lines, "Content-Length: 0", "", ""].join("\r\n");
}

/** A server written by hand: `answer(socket, request)` for every request of the agent. */
async function openServer(t, answer) {
  const bare = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
  await event(bare, "listening");
  bare.on("connection", (socket) => {
    socket.on("message", (data) => {
      const text = data.toString();
      if (/^[A-Z]+ sip:/.test(text)) answer(socket, text);
    });
  });
  t.after(() => {
    for (const client of bare.clients) client.terminate();
    bare.close();
  });
  return { url: `ws://127.0.0.1:${bare.address().port}/`, domain: "example.test", users: { alice: "pw-alice" } };
}

/** A NOTIFY in the dialog of `subscribe`. */
function notify(subscribe, body) {
  const [, contact] = /^Contact: <([^>]*)>/m.exec(subscribe);
  return [
    `NOTIFY ${contact} SIP/2.0`, "Via: SIP/2.0/WS server.example.test;branch=z9hG4bK1", "Max-Forwards: 70",
    `From: <${BOB}>;tag=peer`, `To: ${header(subscribe, "From")}`, `Call-ID: ${header(subscribe, "Call-ID")}`,
    "CSeq: 1 NOTIFY", "Contact: <sip:server.example.test;transport=ws>", "Event: presence",
    "Subscription-State: active;expires=600", "Content-Type: application/pidf+xml",
    `Content-Length: ${Buffer.byteLength(body)}`, "", body,
  ].join("\r\n");
}

test("publish() ends when the server has answered, and the next one after a failure is sent", async (t) => {
  // SIP.js resolves before the response, and throws an uncaught exception when it is used again after a 503.
  const requests = [];
  const server = await openServer(t, (socket, text) => requests.push([socket, text]));
  const agent = openAgent(t, server, "alice");
  let ended = false;
  const failing = agent.publish({ status: "busy" }).finally(() => (ended = true));
  const failed = assert.rejects(failing, { code: "forbidden", status: 403 });
  await until(() => requests.length === 1, "the first PUBLISH");
  assert.equal(ended, false);
  requests[0][0].send(respond(requests[0][1], 403));
  await failed;
  const publishing = agent.publish({ status: "away" });
  await until(() => requests.length === 2, "the second PUBLISH");
  requests[1][0].send(respond(requests[1][1], 200, "SIP-ETag: e1", "Expires: 600"));
  await publishing;
});

test("a body that is not ASCII arrives in a text frame and in a binary one", async (t) => {
  // sipML5 loses it in a text frame; SIP.js and JsSIP count characters for bytes.
  const note = "Grüße, 你好, 🦀";
  const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${BOB}"><tuple id="t1"><status><basic>open</basic></status>`
    + `<note>${note}</note></tuple></presence>`;
  for (const binary of [false, true]) {
    const server = await openServer(t, (socket, text) => {
      if (!text.startsWith("SUBSCRIBE")) return;
      socket.send(respond(text, 200, "Expires: 600"));
      socket.send(Buffer.from(notify(text, body)), { binary });
    });
    const agent = openAgent(t, server, "alice");
    const seen = [];
    // No third argument: JsSIP throws without its options, which its types call optional.
    agent.watch(BOB, (state) => seen.push(state));
    await until(() => seen.at(-1)?.note === note, () => `the note; seen: ${JSON.stringify(seen)}`);
    assert.equal(seen.at(-1).status, "available");
  }
});

test("nothing is written to the console unless somebody listens and writes it", async (t) => {
  // SIP.js writes every message, with its credentials.
  const written = [];
  for (const level of ["log", "info", "warn", "error", "debug"]) {
    t.mock.method(console, level, (...args) => written.push(args));
  }
  const server = await openServer(t, (socket, text) => socket.send(respond(text, 404)));
  const agent = openAgent(t, server, "alice");
  await assert.rejects(agent.fetch(BOB), { code: "not-found" });
  await assert.rejects(agent.publish({ status: "busy" }), { code: "not-found" });
  assert.deepEqual(written, []);
});
