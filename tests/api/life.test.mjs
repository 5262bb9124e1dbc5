/** What an agent does when the world around it ends: close codes, mute and broken sockets, loops that are left, exceptions. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket, WebSocketServer } from "ws";
import { freePort } from "../common/port.mjs";
import { event, until } from "../common/wait.mjs";
import { observe, openAgent, traceOf } from "../interop/agents.mjs";

const ALICE = "sip:alice@example.test";
const users = { alice: "pw-alice", bob: "pw-bob" };
const config = { domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 };
let server;

before(async () => {
  const running = await startServer(config);
  server = { url: running.url, domain: config.domain, users, close: () => running.close() };
});

after(() => server.close());

/** A WebSocket server on loopback that takes connections as `take` says. */
async function bareServer(t, take) {
  const bare = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
  await once(bare, "listening");
  bare.on("connection", take);
  t.after(() => {
    for (const client of bare.clients) client.terminate();
    bare.close();
  });
  return `ws://127.0.0.1:${bare.address().port}/`;
}

/** How the connection of an agent is lost next: why, and how many milliseconds it then waits. */
async function lossOf(agent) {
  let wait;
  const isLoss = ({ detail }) => {
    wait = detail.retryAt - Date.now();
    return detail.state === "reconnecting";
  };
  const { detail } = await event(agent, "connection", { accept: isLoss });
  return { wait, reason: detail.reason };
}

for (const [code, patient] of [[1001, false], [1006, false], [1011, false], [1009, true], [4001, true]]) {
  test(`a connection that is closed with ${code} is opened again ${patient ? "after a long pause" : "soon"}`, async (t) => {
    const url = await bareServer(t, (socket) => socket.once("message", () => {
      if (code === 1006) socket.terminate();
      else socket.close(code, "why");
    }));
    const agent = openAgent(t, { ...server, url }, "alice");
    const publishing = agent.publish({ status: "busy" });
    publishing.catch(() => {});
    const { wait, reason } = await lossOf(agent);
    assert.deepEqual([reason.code, reason.status, reason.source], ["connection-lost", code, "network"]);
    assert.ok(patient ? wait > 10_000 : wait <= 1000, `${wait} ms`);
    if (code === 1009) await assert.rejects(publishing, { code: "connection-lost", status: 1009 });
  });
}

test("the next server takes its turn at once when one does not want us", async (t) => {
  const url = await bareServer(t, (socket) => socket.close(4003, "not you"));
  const agent = createAgent({ server: [url, server.url], aor: ALICE, webSocket: WebSocket, credentials: { username: "alice", password: users.alice } });
  t.after(() => agent.close());
  const lost = lossOf(agent);
  await until(agent.publish({ status: "busy" }), "the publication at the other");
  const { wait, reason } = await lost;
  assert.deepEqual([reason.status, reason.reason], [4003, "not you"]);
  assert.ok(wait <= 1000, `${wait} ms`);
});

test("who asks once gets an answer from the second server when the first is dead", async (t) => {
  const list = [`ws://127.0.0.1:${await freePort()}/`, server.url];
  const agent = openAgent(t, server, "bob", { server: list });
  assert.equal((await until(agent.fetch(ALICE), "the answer of the other")).subscription.state, "terminated");
  const none = openAgent(t, server, "bob", { server: [list[0], list[0]] });
  await assert.rejects(none.fetch(ALICE), { code: "connection-failed" });
});

test("closing takes a second at most when the server has gone mute", async (t) => {
  let mute = false;
  const relay = await bareServer(t, (page) => {
    const up = new WebSocket(server.url, "sip");
    const waiting = [];
    page.on("message", (data) => { if (up.readyState === WebSocket.OPEN) up.send(String(data)); else waiting.push(String(data)); });
    up.on("open", () => { for (const text of waiting) up.send(text); });
    up.on("message", (data) => { if (!mute) page.send(String(data)); });
    page.on("close", () => up.close());
  });
  const agent = openAgent(t, { ...server, url: relay }, "alice", { register: true });
  const { state } = observe(agent, "sip:bob@example.test");
  await state((s) => s.subscription.state === "active", "is active");
  await agent.publish({ status: "busy" });
  mute = true;
  const begun = performance.now();
  // Timers that are due at once, because the process stood still, come in their order.
  let isLate = false;
  const late = setTimeout(() => { isLate = true; }, 5000);
  await agent.close();
  clearTimeout(late);
  const took = performance.now() - begun;
  assert.ok(took > 900 && !isLate, `${took} ms`);
});

test("a process ends soon after its agent, whether the server answers the closing handshake or not", async (t) => {
  // A server that never answers a closing handshake.
  const { createServer } = await import("node:http");
  const { createHash } = await import("node:crypto");
  const http = createServer();
  http.on("upgrade", (request, socket) => {
    socket.on("error", () => {});
    const accept = createHash("sha1").update(`${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: sip\r\n\r\n`);
    socket.resume();
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  t.after(() => { http.closeAllConnections(); http.close(); });
  const code = `
    import { createAgent } from "sip-presence";
    import { WebSocket } from "ws";
    const agent = createAgent({ server: "ws://127.0.0.1:${http.address().port}/", aor: "${ALICE}", webSocket: WebSocket });
    agent.addEventListener("connection", ({ detail }) => { if (detail.state === "online") void agent.close().then(() => console.log("closed")); });
  `;
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => child.kill());
  const exit = once(child, "exit");
  await event(child.stdout, "data");
  const [status] = await until(exit, "the end of the process", 15_000);
  assert.equal(status, 0);
});

test("a loop can be left while it waits", async (t) => {
  const bob = openAgent(t, server, "bob", { linger: 0 });
  const trace = traceOf(bob);
  const loop = bob.changes(ALICE);
  let state;
  do state = (await loop.next()).value; while (state.subscription.state !== "active");
  const pending = [loop.next(), loop.next()];
  assert.deepEqual(await until(loop.return(), "return()"), { done: true, value: undefined });
  assert.deepEqual(await until(Promise.all(pending), "next()"), [{ done: true, value: undefined }, { done: true, value: undefined }]);
  assert.deepEqual(await loop.next(), { done: true, value: undefined });
  await until(() => trace.some(({ text }) => /^Subscription-State: terminated|^SIP\/2.0 204 /m.test(text)), "the end of the subscription");
});

test("a loop that was never begun asks nobody, also when it is left", async (t) => {
  const bob = openAgent(t, server, "bob");
  const trace = traceOf(bob);
  await bob.changes(ALICE).return();
  await bob.fetch(ALICE);
  assert.ok(!trace.some(({ text }) => /^Expires: 3600\r$/m.test(text)));
});

test("many loops add one listener to a signal", async (t) => {
  const warnings = [];
  const note = (warning) => warnings.push(warning);
  process.on("warning", note);
  t.after(() => process.off("warning", note));
  const bob = openAgent(t, server, "bob");
  const controller = new AbortController();
  const loops = Array.from({ length: 30 }, () => bob.changes(ALICE, { signal: controller.signal }));
  await Promise.all(loops.map((loop) => loop.next()));
  const others = Array.from({ length: 30 }, () => bob.changes(ALICE));
  await Promise.all(others.map((loop) => loop.next()));
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(warnings.map(({ name }) => name), []);
  controller.abort();
  for (const loop of loops) assert.equal((await until(loop.next(), "the end")).done, true);
  await bob.close();
  for (const loop of others) assert.equal((await until(loop.next(), "the end")).done, true);
});

test("options that the core would refuse throw a TypeError that names them", () => {
  const good = { server: server.url, aor: ALICE, webSocket: WebSocket };
  const wrong = [
    [{ aor: "sips:alice@example.test" }, /server: a sips: address needs a wss: server/],
    [{ aor: "sip:alice@exa_mple..test!" }, /aor/], [{ aor: "sip:alice@[::zz]" }, /aor/], [{ aor: "sip:al<ice@example.test" }, /aor/],
    [{ aor: "sip:alice@example.test:port" }, /aor/], [{ displayName: 7 }, /displayName/], [{ credentials: null }, /credentials/],
    [{ credentials: "alice" }, /credentials/], [{ credentials: { username: "a", ha1: { MD5: 7 } } }, /ha1/],
    [{ credentials: { username: "a", ha1: { SHA256: "00" } } }, /SHA-256/], [{ credentials: { username: "a", password: 7 } }, /password/],
  ];
  for (const [change, message] of wrong) {
    assert.throws(() => createAgent({ ...good, ...change }), (error) => error instanceof TypeError && message.test(error.message), JSON.stringify(change));
  }
});

test("an address that a device really has is taken", async () => {
  for (const aor of ["sip:alice@example.test", "SIP:a.b-c_d%20e:pw@127.0.0.1:5060", "sip:+15551234;ext=7@[2001:db8::1]:5061;user=phone", "sip:a@localhost", "sip:a@xn--bcher-kva.example."]) {
    const agent = createAgent({ server: server.url, aor, webSocket: WebSocket });
    assert.equal(agent.connection.state, "connecting");
    const failed = [];
    agent.addEventListener("error", ({ detail }) => failed.push(detail.code));
    await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
    await agent.close();
    assert.deepEqual(failed, []);
  }
});

test("a credentials function that fails is a failure with its reason", async (t) => {
  const agent = openAgent(t, server, "alice", { credentials: async () => { throw new Error("the vault is shut"); } });
  const told = event(agent, "error", { accept: ({ detail }) => detail.code === "no-credentials" && detail.reason !== undefined });
  await assert.rejects(agent.publish({ status: "busy" }), { code: "no-credentials" });
  const { detail } = await told;
  assert.deepEqual([detail.reason, detail.source], ["the vault is shut", "application"]);
  const wrong = openAgent(t, server, "alice", { credentials: () => ({ username: 7 }) });
  const odd = event(wrong, "error", { accept: ({ detail }) => /username/.test(detail.reason ?? "") });
  await assert.rejects(wrong.publish({ status: "busy" }), { code: "no-credentials" });
  await odd;
  // What a form gives that was sent empty.
  const empty = openAgent(t, server, "alice", { credentials: () => ({ username: "alice", password: "" }) });
  const missing = event(empty, "error", { accept: ({ detail }) => /give a password/.test(detail.reason ?? "") });
  await assert.rejects(empty.publish({ status: "busy" }), { code: "no-credentials" });
  await missing;
});

test("what gave a status can be asked after close too", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  await alice.publish({ status: "busy" });
  const { state } = observe(bob, ALICE);
  await state((s) => s.status === "busy", "is busy");
  const before = bob.explain(ALICE);
  assert.equal(before.rule, "busy");
  await bob.close();
  assert.deepEqual(bob.explain(ALICE), before);
  assert.equal(bob.explain("sip:carol@example.test").rule, "no-document");
});

test("a socket of the application's own may say that it is closed while it sends", async (t) => {
  let sockets = 0;
  class Sudden extends WebSocket {
    constructor(...args) {
      super(...args);
      this.breaks = sockets++ === 0;
    }

    send(data) {
      if (!this.breaks) return super.send(data);
      const { onclose } = this;
      this.breaks = false;
      this.terminate();
      onclose({ code: 1006, reason: "at once" });
    }
  }
  const agent = openAgent(t, server, "alice", { webSocket: Sudden });
  await agent.publish({ status: "busy" });
  assert.equal(sockets, 2);
});

test("an exception in the core ends the agent with one failure, and others go on", async (t) => {
  class Poisoned extends WebSocket {}
  let poison;
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob", {
    webSocket: class extends Poisoned {
      constructor(...args) {
        super(...args);
        poison = () => this.onmessage({ get data() { throw new WebAssembly.RuntimeError("unreachable"); } });
      }
    },
  })];
  await alice.publish({ status: "busy" });
  const { state } = observe(bob, ALICE);
  await state((s) => s.status === "busy", "is busy");
  const errors = [];
  bob.addEventListener("error", ({ detail }) => errors.push(detail));
  const loop = bob.changes(ALICE);
  await loop.next();
  const fetching = assert.rejects(bob.fetch(ALICE), { code: "library" });
  poison();
  await fetching;
  assert.deepEqual(errors.map(({ code, source, reason }) => [code, source, reason]), [["library", "library", "unreachable"]]);
  const last = bob.snapshot(ALICE);
  assert.deepEqual([last.status, last.stale, last.subscription.state, last.subscription.reason], ["busy", true, "terminated", "library"]);
  assert.deepEqual([bob.connection.state, bob.connection.reason.code], ["closed", "library"]);
  await assert.rejects(bob.publish({ status: "away" }), { code: "library" });
  await until(bob.close(), "close()");
  await alice.publish({ status: "away" });
});

/** Puts `value` in the place of a global for the time of a test. */
function replace(t, name, value) {
  const before = Object.getOwnPropertyDescriptor(globalThis, name);
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
  t.after(() => (before === undefined ? delete globalThis[name] : Object.defineProperty(globalThis, name, before)));
}

/** A `sessionStorage`; gives what is in it. */
function keep(t) {
  const kept = new Map();
  replace(t, "sessionStorage", { getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) });
  return kept;
}

test("an entity-tag is kept for the next load of the tab, unless the page wants nothing kept", async (t) => {
  const kept = keep(t);
  const none = openAgent(t, server, "alice", { keepSession: false });
  await none.publish({ status: "busy" });
  await sleep(1500);
  assert.equal(kept.size, 0);
  const alice = openAgent(t, server, "alice");
  const sent = traceOf(alice);
  await alice.publish({ status: "busy" });
  await until(() => {
    const tags = sent.map(({ text }) => /^SIP-ETag: (.*)\r$/m.exec(text)?.[1]).filter(Boolean);
    return tags.length > 0 && [...kept.values()].some((text) => text.includes(tags.at(-1)));
  }, "the entity-tag to be kept");
});

test("a host that refuses locks is as one without", async (t) => {
  const kept = keep(t);
  const refuse = () => Promise.reject(new DOMException("denied in this context", "SecurityError"));
  replace(t, "navigator", { locks: { request: refuse } });
  const agent = openAgent(t, server, "alice");
  await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  assert.equal(kept.size, 1);
});
