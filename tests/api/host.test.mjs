/** Hosts and WebSocket classes that are unlike a browser's, and texts longer than any message. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { createAgent } from "sip-presence";
import { freePort } from "../common/port.mjs";
import { event, until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

const ALICE = "sip:alice@example.test";
const BOB = "sip:bob@example.test";
const DOCUMENT = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${BOB}"><tuple id="t"><status><basic>open</basic></status></tuple></presence>`;

const header = (text, name) => new RegExp(`^${name}: (.*)\r$`, "m").exec(text)?.[1];

/** The response to `request`, and for a SUBSCRIBE the NOTIFY that follows it. */
function answers(request) {
  const to = `${header(request, "To").replace(/;tag=.*/, "")};tag=server`;
  const same = ["Via", "From", "Call-ID", "CSeq"].map((name) => `${name}: ${header(request, name)}\r\n`).join("");
  const ok = `SIP/2.0 200 OK\r\n${same}To: ${to}\r\nExpires: 600\r\nSIP-ETag: e\r\nContact: <sip:server.test;transport=ws>\r\nContent-Length: 0\r\n\r\n`;
  if (!request.startsWith("SUBSCRIBE")) return [ok];
  return [ok, [`NOTIFY ${/<([^>]*)>/.exec(header(request, "Contact"))[1]} SIP/2.0`, "Via: SIP/2.0/WS server.test;branch=z9hG4bK1",
    `From: ${to}`, `To: ${header(request, "From")}`, `Call-ID: ${header(request, "Call-ID")}`, "CSeq: 1 NOTIFY", "Max-Forwards: 70",
    "Event: presence", "Subscription-State: active;expires=600", "Contact: <sip:server.test;transport=ws>",
    "Content-Type: application/pidf+xml", `Content-Length: ${DOCUMENT.length}`, "", DOCUMENT].join("\r\n")];
}

/** A class of WebSockets that open when the test says so, and a list of those that were made. */
function sockets() {
  const made = [];
  class Socket {
    readyState = 0;
    protocol = "sip";
    sent = [];

    constructor() {
      made.push(this);
    }

    opens() {
      this.readyState = 1;
      this.onopen?.();
    }

    send(text) {
      this.sent.push(String(text));
      if (/^(SUBSCRIBE|PUBLISH|REGISTER|OPTIONS)/.test(text)) {
        queueMicrotask(() => { for (const data of answers(text)) this.onmessage?.(this.event(data)); });
      }
    }

    event(data) {
      return { data };
    }

    close() {}
  }
  return { made, Socket };
}

function start(t, Socket, options = {}, create = createAgent) {
  const agent = create({ server: "wss://server.test", aor: ALICE, webSocket: Socket, ...options });
  const errors = [];
  agent.addEventListener("error", ({ detail }) => errors.push(detail));
  t.after(() => agent.close());
  return { agent, errors };
}

test("a text that is longer than any message goes in whole", async (t) => {
  const { made, Socket } = sockets();
  const { agent } = start(t, Socket);
  const published = agent.publish({ status: "busy", note: "é".repeat(300_000), activities: ["lunch"], until: new Date(Date.now() + 3_600_000) });
  await until(() => made.length === 1, "a socket");
  made[0].opens();
  await published;
  const request = made[0].sent.find((text) => text.startsWith("PUBLISH"));
  assert.equal(/é+/.exec(request)[0].length, 300_000);
  assert.match(request, /lunch/);
  assert.match(request, /until=/);
});

test("an old socket that opens late is not heard", async (t) => {
  const { made, Socket } = sockets();
  const listeners = {};
  globalThis.addEventListener = (type, listener) => { listeners[type] = listener; };
  t.after(() => { delete globalThis.addEventListener; });
  const { agent } = start(t, Socket);
  let state;
  agent.watch(BOB, (next) => { state = next; });
  await until(() => made.length === 1, "a socket");
  listeners.pagehide(new Event("pagehide"));
  listeners.pageshow(Object.assign(new Event("pageshow"), { persisted: true }));
  await until(() => made.length === 2, "another one");
  made[0].opens();
  assert.notEqual(agent.connection.state, "online");
  assert.deepEqual(made[0].sent, []);
  made[1].opens();
  await until(() => state.status === "available", "the state");
});

test("a class of WebSockets that says less than a browser's is enough", async (t) => {
  const { made, Socket } = sockets();
  class Curt extends Socket {
    event(data) {
      const bytes = new TextEncoder().encode(`  ${data}`);
      return { data: new DataView(bytes.buffer, 2) };
    }
  }
  const { agent, errors } = start(t, Curt);
  let state;
  agent.watch(BOB, (next) => { state = next; });
  await until(() => made.length === 1, "a socket");
  made[0].opens();
  await until(() => state.status === "available", "a view of bytes to be read");
  for (const event of [undefined, {}, { data: null }, { data: new Blob(["SIP/2.0"]) }]) made[0].onmessage(event);
  assert.equal(agent.connection.state, "online");
  made[0].onclose();
  assert.equal(agent.connection.state, "reconnecting");
  await until(() => made.length === 2, "another socket");
  made[1].onclose({ code: 1001, reason: null });
  assert.deepEqual(errors.map(({ code }) => code).filter((code) => code === "library"), []);
  assert.ok(state.stale);
});

test("a socket that fails says why, also where it never says that it is closed", async (t) => {
  const { made, Socket } = sockets();
  const { agent, errors } = start(t, Socket, { server: ["wss://one.test", "wss://two.test"] });
  await until(() => made.length === 1, "a socket");
  made[0].onerror({ message: "connect ECONNREFUSED" });
  made[0].onclose({ code: 1006, reason: "" });
  assert.deepEqual([agent.connection.reason.code, agent.connection.reason.reason], ["connection-failed", "connect ECONNREFUSED"]);
  await until(() => made.length === 2, "another socket");
  // In WebKit it is closed only after this. An attempt that says nothing lasts ten seconds.
  made[1].onerror({});
  made[1].readyState = 3;
  await until(() => agent.connection.state === "reconnecting" && agent.connection.attempt === 2, "it to be given up", 8000);
  assert.equal(errors.at(-1).code, "connection-failed");
});

test("what is thrown while a late answer to authorize is acted on is told, and the agent can be closed", async (t) => {
  const { made, Socket } = sockets();
  let answer;
  const { agent, errors } = start(t, Socket, { authorize: () => new Promise((resolve) => { answer = resolve; }), identities: "from" });
  await until(() => made.length === 1, "a socket");
  made[0].opens();
  await until(() => made[0].sent.some((text) => text.startsWith("REGISTER")), "the page to register");
  made[0].onmessage({ data: [`SUBSCRIBE ${ALICE} SIP/2.0`, "Via: SIP/2.0/WSS w.invalid;branch=z9hG4bKw", "Max-Forwards: 70", `From: <${BOB}>;tag=w`,
    `To: <${ALICE}>`, "Call-ID: w", "CSeq: 1 SUBSCRIBE", "Contact: <sip:w@w.invalid;transport=ws>", "Event: presence", "Expires: 600",
    "Content-Length: 0", "", ""].join("\r\n") });
  await until(() => answer !== undefined, "the question");
  Object.defineProperty(made[0], "readyState", { get() { throw new Error("poison"); } });
  answer("allow");
  await until(() => errors.length > 0, "the failure");
  assert.deepEqual([errors[0].code, errors[0].reason, agent.connection.state], ["library", "poison", "closed"]);
});

test("a host needs neither Request nor Response where the module is inside", async (t) => {
  const { Request, Response } = globalThis;
  t.after(() => Object.assign(globalThis, { Request, Response }));
  delete globalThis.Request;
  delete globalThis.Response;
  const fresh = await import(new URL("../../pkg/inline.js?host", import.meta.url));
  const { made, Socket } = sockets();
  const { agent } = start(t, Socket, {}, fresh.createAgent);
  await until(() => made.length === 1, "a socket");
  made[0].opens();
  assert.equal(agent.connection.state, "online");
});

test("a host that cannot compile what it is still downloading does so afterwards", async (t) => {
  const { instantiateStreaming } = WebAssembly;
  t.after(() => { WebAssembly.instantiateStreaming = instantiateStreaming; });
  delete WebAssembly.instantiateStreaming;
  const { readFile } = await import("node:fs/promises");
  const bytes = await readFile(new URL("../../pkg/sip-presence-full.wasm", import.meta.url));
  const fresh = await import(new URL("../../pkg/inline.js?streaming", import.meta.url));
  const { made, Socket } = sockets();
  const wasm = new Response(bytes, { headers: { "Content-Type": "application/wasm" } });
  start(t, Socket, { wasm }, fresh.createAgent);
  await until(() => made.length === 1, "a socket");
});

test("importing needs nothing that some hosts of unit tests lack", async () => {
  const script = `
    for (const name of ["TextDecoder", "TextEncoder", "fetch", "WebAssembly", "WebSocket"]) delete globalThis[name];
    const imported = await Promise.all(["index", "inline", "full", "element", "define"].map((name) => import(\`./pkg/\${name}.js\`)));
    console.log(imported.length);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "--eval", script], { cwd: root });
  assert.equal(stdout.trim(), "5");
});

test("a host that has null for the locks of a browser can be used", async (t) => {
  const before = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { locks: null } });
  t.after(() => (before === undefined ? delete globalThis.navigator : Object.defineProperty(globalThis, "navigator", before)));
  const { made, Socket } = sockets();
  const agent = createAgent({ server: "ws://127.0.0.1:1", aor: ALICE, webSocket: Socket });
  t.after(() => agent.close());
  await until(() => made.length === 1, "a socket");
});

test("where the module cannot be fetched, the reason names the file", async (t) => {
  const { createAgent } = await import("../../pkg/index.js");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/a.wasm`;
  for (const [wasm, named] of [[url, url], [new URL(url), url], [new Request(url), url], [`${url}?${"a".repeat(1000)}`, `${url}?`.padEnd(200, "a")]]) {
    const agent = createAgent({ server: "ws://127.0.0.1:1", aor: ALICE, wasm, webSocket: sockets().Socket });
    t.after(() => agent.close());
    const { detail } = await event(agent, "error");
    assert.equal(detail.code, "module");
    assert.equal(detail.reason, `failed to fetch Wasm: TypeError: fetch failed fetching '${named}'`);
  }
});
