/** The connection as the API in Node shows it: keep-alives, frames, servers in order, credentials. */

import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { after, before, test } from "node:test";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket, WebSocketServer } from "ws";
import { event, until } from "../common/wait.mjs";
import { observe, openAgent, traceOf } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob" };
const ALICE = "sip:alice@example.test";
const BOB = "sip:bob@example.test";
let server;

before(async () => {
  const running = await startServer({ domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 });
  server = { url: running.url, domain: "example.test", users, close: () => running.close() };
});

after(() => server.close());

/** A WebSocket server on loopback that hands each message, as text, to `answer(text, send, request)`. */
async function bareServer(t, answer) {
  const bare = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols: () => "sip" });
  await event(bare, "listening");
  const urls = [];
  bare.on("connection", (socket, request) => {
    urls.push(request.url);
    socket.on("message", (data) => answer(String(data), (text, options) => socket.send(text, options), socket));
  });
  t.after(() => {
    for (const client of bare.clients) client.terminate();
    bare.close();
  });
  return { url: `ws://127.0.0.1:${bare.address().port}/`, urls };
}

/** The header rows of `request` that every response repeats. */
function copied(request) {
  return request.split("\r\n").filter((row) => /^(?:Via|From|To|Call-ID|CSeq):/.test(row))
    .map((row) => (/^To:(?!.*;tag=)/.test(row) ? `${row};tag=server` : row));
}

/** A response to `request` as text. */
function respond(request, status, ...rows) {
  return [`SIP/2.0 ${status} Reason`, ...copied(request), ...rows, "Content-Length: 0", "", ""].join("\r\n");
}

function openAt(t, url, options = {}) {
  const agent = createAgent({ server: url, aor: ALICE, webSocket: WebSocket, ...options });
  t.after(() => agent.close());
  return agent;
}

test("keepAlive must be a whole number of seconds", () => {
  for (const keepAlive of [-1, 1.5, "30", null]) {
    assert.throws(() => createAgent({ server: "wss://example.test", aor: ALICE, webSocket: WebSocket, keepAlive }), /keepAlive/);
  }
});

// 7118-6-b
test("keep-alives are line ends alone in a message, and their answer keeps the connection", async (t) => {
  const seen = [];
  const { url } = await bareServer(t, (text, send) => {
    seen.push(text);
    if (text === "\r\n\r\n") send("\r\n");
  });
  const agent = openAt(t, url, { keepAlive: 1 });
  await until(() => seen.length >= 3, "three pings");
  assert.deepEqual(new Set(seen), new Set(["\r\n\r\n"]));
  assert.equal(agent.connection.state, "online");
});

// 5626-4.4.1-c
test("a page that hears that the network is back asks the server", async (t) => {
  const target = globalThis.addEventListener === undefined ? new EventTarget() : globalThis;
  if (target !== globalThis) {
    globalThis.addEventListener = target.addEventListener.bind(target);
    t.after(() => { delete globalThis.addEventListener; });
  }
  const agent = openAgent(t, server, "alice");
  const trace = traceOf(agent);
  await until(() => agent.connection.state === "online", "online");
  target.dispatchEvent(new Event("online"));
  await until(() => trace.some(({ text }) => text.startsWith("SIP/2.0 200")), "the answer");
  assert.match(trace[0].text, /^OPTIONS sip:example\.test SIP\/2\.0\r\n/);
  assert.equal(agent.connection.state, "online");
});

/** A wire to `url`; `last.data` is what the server sent last. It can go dead without a word: `cut()` drops what comes, on the connections that are there. */
async function wire(t, url) {
  const { port } = new URL(url);
  const pairs = new Set();
  const last = {};
  const proxy = createServer((near) => {
    const pair = { near, far: connect(Number(port), "127.0.0.1"), dead: false };
    pairs.add(pair);
    pair.far.on("data", (data) => { last.data = data; });
    for (const [from, to] of [[near, pair.far], [pair.far, near]]) {
      from.on("data", (data) => { if (!pair.dead) to.write(data); });
      from.on("error", () => {});
      from.on("close", () => { if (!pair.dead) to.destroy(); });
    }
  });
  proxy.listen(0, "127.0.0.1");
  await event(proxy, "listening");
  t.after(() => {
    for (const { near, far } of pairs) {
      near.destroy();
      far.destroy();
    }
    proxy.close();
  });
  const there = new URL(url);
  there.port = proxy.address().port;
  return { url: there.href, last, cut: () => { for (const pair of pairs) pair.dead = true; } };
}

// 5626-4.4.1-a
test("a connection that is dead without a word is given up, and all is right again over the next one", async (t) => {
  const { url, last, cut } = await wire(t, server.url);
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
  const bob = openAgent(t, server, "bob", { server: url, keepAlive: 1 });
  const { state } = observe(bob, ALICE);
  await state((s) => s.status === "busy", "is busy");
  // A text frame of two bytes, CR LF.
  const pong = Buffer.from([0x81, 2, 13, 10]);
  await until(() => last.data?.equals(pong), "a pong");
  cut();
  const stale = await until(() => bob.snapshot(ALICE).stale && bob.snapshot(ALICE), "the end");
  assert.equal(stale.cause, "disconnect");
  await alice.publish({ status: "away" });
  assert.equal((await state((s) => !s.stale && s.status === "away", "is away")).cause, "resync");
});

// 7118-5-e
test("a message that comes in several frames is one message", async (t) => {
  const { url } = await bareServer(t, (request, send) => {
    if (!request.startsWith("SUBSCRIBE")) return;
    send(respond(request, 200, "Expires: 600", "Contact: <sip:server.test;transport=ws>"));
    const header = (name) => request.match(new RegExp(`^${name}: (.*)\r$`, "m"))[1];
    const body = `<presence xmlns="urn:ietf:params:xml:ns:pidf" entity="${BOB}"><tuple id="t"><status><basic>open</basic></status><note>one piece</note></tuple></presence>`;
    const notify = [
      `NOTIFY ${header("Contact").match(/<(.*)>/)[1]} SIP/2.0`, "Via: SIP/2.0/WS server.test;branch=z9hG4bK1", "Max-Forwards: 70",
      `From: ${header("To")};tag=server`, `To: ${header("From")}`, `Call-ID: ${header("Call-ID")}`, "CSeq: 1 NOTIFY",
      "Contact: <sip:server.test;transport=ws>", "Event: presence", "Subscription-State: active;expires=600",
      "Content-Type: application/pidf+xml", `Content-Length: ${Buffer.byteLength(body)}`, "", body,
    ].join("\r\n");
    for (let at = 0; at < notify.length; at += 100) send(notify.slice(at, at + 100), { fin: at + 100 >= notify.length });
  });
  const { state } = observe(openAt(t, url), BOB);
  assert.equal((await state((s) => s.note !== undefined, "has a note")).note, "one piece");
});

// 7118-7-e
test("a token in the query of the URL reaches the server as it is", async (t) => {
  const { url, urls } = await bareServer(t, () => {});
  const query = "?access_token=eyJhbGciOiJIUzI1NiJ9.e30.Zm9v-_==&x=%2Fa%20b";
  openAt(t, `${url}ws${query}`);
  await until(() => urls.length > 0, "a connection");
  assert.equal(urls[0], `/ws${query}`);
});

// 7118-9.1-a
test("a server is reached over TLS, or on this machine, or because the page insists", () => {
  const make = (url, more) => createAgent({ server: url, aor: ALICE, webSocket: WebSocket, ...more });
  assert.throws(() => make("ws://sip.example.test/"), /use wss:/);
  assert.throws(() => make(["wss://sip.example.test/", "ws://sip.example.test/"]), /use wss:/);
  assert.throws(() => make("ws://127.0.0.1.example.test/"), /use wss:/);
});

test("a server that puts the registration off gives way to the next one", async (t) => {
  const busy = await bareServer(t, (text, send) => {
    if (text.startsWith("REGISTER")) send(respond(text, 503, "Retry-After: 300"));
  });
  const agent = openAgent(t, server, "alice", { server: [busy.url, server.url], register: true });
  const told = event(agent, "error");
  const trace = traceOf(agent);
  const { detail } = await told;
  assert.deepEqual([detail.code, detail.status], ["unavailable", 503]);
  await until(() => trace.some(({ text }) => /^SIP\/2\.0 200/.test(text) && / REGISTER\r$/m.test(text)), "registered");
  assert.equal(busy.urls.length, 1);
});

// 7118-7-d
test("a page proves who its user is over the connection", async (t) => {
  const agent = openAgent(t, server, "alice", { register: true });
  const trace = traceOf(agent);
  await until(() => trace.some(({ text }) => /^SIP\/2\.0 200/.test(text) && / REGISTER\r$/m.test(text)), "registered");
  assert.ok(trace.some(({ text }) => /^SIP\/2\.0 401/.test(text)));
  assert.ok(trace.some(({ text }) => /^Authorization: Digest /m.test(text)));
});

const BEARER = 'Bearer realm="here", scope="presence", authz_server="https://as.example.test/"';

/** A server that wants one of `tokens` for SUBSCRIBE; what it got is in `seen`. */
async function tokenServer(t, tokens) {
  const seen = [];
  const { url } = await bareServer(t, (text, send) => {
    if (!text.startsWith("SUBSCRIBE")) return;
    const token = text.match(/^Authorization: (.*)\r$/m)?.[1];
    seen.push(token);
    if (tokens.includes(token)) send(respond(text, 200, "Expires: 600", "Contact: <sip:server.test;transport=ws>"));
    else send(respond(text, 401, `WWW-Authenticate: ${BEARER}${token === undefined ? "" : ', error="invalid_token"'}`));
  });
  return { url, seen };
}

const authorizationServers = ["https://as.example.test"];

// 8898-2.1.1-b 8898-2.1.3-b dig-22.1-e
test("a token comes from a function that is told what the server wants", async (t) => {
  const { url, seen } = await tokenServer(t, ["Bearer second"]);
  const asked = [];
  const credentials = async (challenge) => {
    asked.push(challenge);
    return { token: challenge.error === "invalid_token" ? "second" : "first" };
  };
  observe(openAt(t, url, { credentials, authorizationServers }), BOB);
  await until(() => seen.length >= 3, "three requests");
  assert.deepEqual(seen, [undefined, "Bearer first", "Bearer second"]);
  const info = { realm: "here", scheme: "bearer", algorithms: [], scope: "presence", authzServer: "https://as.example.test/" };
  assert.deepEqual(asked, [{ ...info, rejected: false }, { ...info, rejected: true, error: "invalid_token" }]);
});

// 8898-2.1.3-b
test("a function that has only tokens that are refused is not asked for ever", async (t) => {
  const { url, seen } = await tokenServer(t, []);
  let asked = 0;
  const agent = openAt(t, url, { credentials: () => ({ token: `t${asked++}` }), authorizationServers });
  const { state } = observe(agent, BOB);
  assert.equal((await state((s) => s.subscription.state === "terminated", "ends")).subscription.reason, "unauthorized");
  assert.deepEqual([asked, seen], [2, [undefined, "Bearer t0", "Bearer t1"]]);
});

// 8898-2.1.1-a
test("a token that is there from the start goes to trusted servers only", async (t) => {
  const { url, seen } = await tokenServer(t, ["Bearer a.b-c_d~e+f/g=="]);
  const credentials = { token: "a.b-c_d~e+f/g==" };
  observe(openAt(t, url, { credentials, authorizationServers }), BOB);
  await until(() => seen.length >= 2, "two requests");
  assert.deepEqual(seen, [undefined, "Bearer a.b-c_d~e+f/g=="]);
  const { state } = observe(openAt(t, url, { credentials }), BOB);
  assert.equal((await state((s) => s.subscription.state === "terminated", "ends")).subscription.reason, "untrusted");
  assert.equal(seen.length, 3);
  for (const wrong of [
    { credentials: { token: "a\r\nX: y" } }, { credentials: { token: "" } }, { credentials: { token: 7 } },
    { authorizationServers: "https://as.example.test" }, { authorizationServers: ["http://as.example.test"] },
    { credentials: { username: "a:b", password: "x" } },
  ]) {
    assert.throws(() => createAgent({ server: url, aor: ALICE, webSocket: WebSocket, ...wrong }), TypeError);
  }
});

// dig-7616-k
test("a password is composed before it is hashed", async (t) => {
  const composed = { domain: "example.test", users: { alice: "J\u00E4s\u00F8n" }, rules: { default: "allow" } };
  const running = await startServer(composed);
  t.after(() => running.close());
  const there = { url: running.url, domain: "example.test", users: { alice: "Ja\u0308s\u00F8n" } };
  await openAgent(t, there, "alice").publish({ status: "busy" });
});

test("when the host says that the network is gone, the server is asked", async (t) => {
  const target = new EventTarget();
  globalThis.addEventListener = target.addEventListener.bind(target);
  const { now } = Date;
  t.after(() => {
    delete globalThis.addEventListener;
    Date.now = now;
  });
  const agent = openAgent(t, server, "alice");
  const trace = traceOf(agent);
  await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  target.dispatchEvent(new Event("offline"));
  // Somebody who has just spoken is not asked.
  Date.now = () => now() + 11_000;
  target.dispatchEvent(new Event("offline"));
  const asked = () => trace.filter(({ direction, text }) => direction === "sent" && text.startsWith("OPTIONS"));
  await until(() => asked().length === 1, "the server is asked");
  assert.equal(agent.connection.state, "online");
});

/** A proxy on loopback that ends a connection on which a client says nothing for `idle` milliseconds. What has come while this process stood still counts. */
async function impatientProxy(t, idle) {
  const { port } = new URL(server.url);
  let dropped = 0;
  let heard = 0;
  const proxy = createServer((near) => {
    const far = connect(Number(port), "127.0.0.1");
    near.pipe(far);
    far.pipe(near);
    for (const [socket, other] of [[near, far], [far, near]]) socket.on("error", () => {}).on("close", () => other.destroy());
    let timer;
    const wait = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        const before = heard;
        // Timers come before what has arrived: the agent's own too, whose ping then needs a turn to arrive.
        timer = setTimeout(() => {
          if (heard !== before) return;
          dropped++;
          near.destroy();
        }, 100);
      }, idle);
    };
    near.on("data", () => { heard++; wait(); }).on("close", () => clearTimeout(timer));
    wait();
  });
  proxy.listen(0, "127.0.0.1");
  await event(proxy, "listening");
  t.after(() => proxy.close());
  return { url: server.url.replace(port, String(proxy.address().port)), dropped: () => dropped, heard: () => heard };
}

test("a proxy that drops idle connections costs a reconnect, and with keepAlive nothing", async (t) => {
  const proxy = await impatientProxy(t, 3000);
  const options = { credentials: { username: "alice", password: "pw-alice" } };
  const idle = openAt(t, proxy.url, options);
  const { state } = observe(idle, BOB);
  await state((s) => s.subscription.state === "active", "is active");
  await state((s) => s.stale && s.cause === "disconnect", "says that it does not know");
  await state((s) => !s.stale && s.subscription.state === "active" && s.cause === "resync", "is right again");
  assert.ok(proxy.dropped() >= 1);
  await idle.close();
  const before = proxy.dropped();
  const kept = openAt(t, proxy.url, { ...options, keepAlive: 1 });
  const { states, state: keptState } = observe(kept, BOB);
  await keptState((s) => s.subscription.state === "active", "is active");
  const then = proxy.heard();
  await until(() => proxy.heard() >= then + 5, "it was heard longer than the proxy waits");
  assert.equal(proxy.dropped(), before);
  assert.ok(states.every((s) => !s.stale));
});
