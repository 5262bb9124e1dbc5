/** The presence server for Node, and the command line that starts it. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { freePort } from "../common/port.mjs";
import { event, until } from "../common/wait.mjs";
import { observe, openAgent, traceOf } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob" };
const config = { domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 };
const CLI = fileURLToPath(new URL("../../pkg/cli.js", import.meta.url));

async function start(t, more = {}) {
  const running = await startServer({ ...config, ...more });
  t.after(() => running.close());
  return { url: running.url, domain: config.domain, users, running };
}

async function open(t, url) {
  const socket = new WebSocket(url, "sip");
  t.after(() => socket.terminate());
  await event(socket, "open");
  return socket;
}

test("a wrong configuration is a TypeError that names the field", async () => {
  const wrong = [
    [{ domain: "" }, /domain/], [{ algorithms: [] }, /algorithms/], [{ minExpires: 9000 }, /minExpires/],
    [{ rules: { default: "maybe" } }, /maybe/], [{ colour: "red" }, /colour/], [{ users: 7 }, /^(?:sip-presence: )?users: /], [{ limits: { contacts: "many" } }, /limits\.contacts: /],
    [{ domain: "sip:example.test" }, /domain/], [{ domain: "example.test:5060" }, /domain/], [{ domain: "my domain" }, /domain/],
    [{ users: { alice: { ha1: { "SHA-3": "00" } } } }, /users\.alice\.ha1: no algorithm is called "SHA-3"/],
    [{ users: { alice: { ha1: { MD5: "secret" } } } }, /users\.alice\.ha1: this is no hash of MD5/],
    [{ users: { alice: { ha1: { MD5: "0".repeat(32) } } }, algorithms: ["SHA-256"] }, /users\.alice\.ha1: give a hash for one of/],
    [{ rules: { watchers: [{ watcher: "nobody", decision: "allow" }] } }, /rules: there is no user "nobody"/],
    [{ nonceLifetime: 0 }, /nonceLifetime/], [{ users: {} }, /users: give at least one/], [{ users: { "sip:a@b": "x" } }, /no user name/],
    [{ users: { alice: "pw", bob: "" } }, /users\.bob: the password must not be empty/],
    [{ path: "ws" }, /path/], [{ onEvent: 5 }, /onEvent/], [{ minExpires: "many" }, /minExpires: (?!.*line)/],
  ];
  for (const [change, message] of wrong) {
    await assert.rejects(startServer({ ...config, ...change }), (error) => error instanceof TypeError && message.test(error.message), JSON.stringify(change));
  }
});

test("an unknown field is answered with all that there are", async () => {
  const types = await readFile(new URL("../../src/js/server.ts", import.meta.url), "utf8");
  const declared = ["ServerOptions extends ServerConfig", "ServerConfig"].flatMap((name) => {
    const [, body] = new RegExp(`interface ${name} \\{\n(.*?)\n\\}`, "s").exec(types);
    return [...body.matchAll(/^ {2}readonly (\w+)/gm)].map(([, word]) => word);
  });
  assert.ok(declared.length > 12);
  await assert.rejects(startServer({ ...config, colour: "red" }), (error) => {
    assert.deepEqual(error.message.match(/(?<=`)\w+(?=`)/g).slice(1).sort(), declared.sort());
    return true;
  });
  // A limit has no host.
  await assert.rejects(startServer({ ...config, limits: { colour: 1 } }), (error) => !error.message.includes("`host`"));
});

test("a page is told which limit of the server it has reached, and when it may come again", async (t) => {
  const server = await start(t, { limits: { publications: 1 } });
  await openAgent(t, server, "alice").publish({ status: "busy" });
  await assert.rejects(openAgent(t, server, "alice").publish({ status: "away" }), ({ code, status, reason, retryAt }) => {
    assert.deepEqual({ code, status, reason }, { code: "unavailable", status: 503, reason: "Too many publications of this user" });
    return retryAt > Date.now() + 50_000 && retryAt < Date.now() + 130_000;
  });
});

test("an operator hears who gives wrong credentials, and not of first requests without any", async (t) => {
  const events = [];
  const server = await startServer({ ...config, onEvent: (event) => events.push(event) });
  t.after(() => server.close());
  const [alice] = Object.keys(config.users);
  const agent = createAgent({
    server: server.url, aor: `sip:${alice}@${config.domain}`, credentials: { username: alice, password: "wrong" }, webSocket: WebSocket,
  });
  t.after(() => agent.close());
  await assert.rejects(agent.publish({ status: "busy" }), { code: "unauthorized" });
  assert.deepEqual(events, [{ kind: "refused", method: "PUBLISH", status: 401, user: alice }]);
});

test("only SIP over WebSocket at its path is let in", async (t) => {
  const server = await start(t);
  const refused = async (url, protocol) => {
    const socket = new WebSocket(url, protocol);
    socket.on("error", () => {});
    const [, response] = await new Promise((resolve) => socket.once("unexpected-response", (...args) => resolve(args)));
    return response.statusCode;
  };
  assert.equal(await refused(server.url, []), 400);
  assert.equal(await refused(server.url, ["chat"]), 400);
  assert.equal(await refused(server.url.replace("/ws", "/other"), ["sip"]), 404);
  assert.equal((await open(t, server.url)).protocol, "sip");
});

test("a request line that is no URL harms nobody, and a refused upgrade does not hold up closing", async (t) => {
  const { connect } = await import("node:net");
  const { output } = await run(t, ["serve", "--port", "0"], /Demo users/);
  const playground = new URL(/Playground: (http:\S+)/.exec(output)[1]);
  const server = await startServer(config);
  const upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";
  const ask = async (port, path, more) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    t.after(() => socket.destroy());
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n${more}\r\n`);
    const [data] = await new Promise((resolve) => socket.once("data", (...args) => resolve(args)));
    return Number(/^HTTP\/1\.1 (\d+)/.exec(data.toString())[1]);
  };
  assert.equal(await ask(playground.port, "//", ""), 404);
  assert.equal(await ask(playground.port, "//", upgrade), 404);
  assert.equal(await ask(playground.port, "/", ""), 200);
  assert.equal(await ask(new URL(server.url).port, "//", upgrade), 404);
  await until(server.close(), "the end of close()", 10_000);
});

test("garbage is survived, counted, and ends with 1002", async (t) => {
  const server = await start(t, { limits: { malformed: 3 } });
  const socket = await open(t, server.url);
  socket.send("\r\n\r\n");
  const [pong] = await new Promise((resolve) => socket.once("message", (...args) => resolve(args)));
  assert.equal(pong.toString(), "\r\n");
  const closed = event(socket, "close");
  for (let n = 0; n < 4; n++) socket.send(Buffer.from([n, 0, 255]));
  assert.equal((await closed).code, 1002);
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
});

test("a frame beyond the limit ends its connection only", async (t) => {
  const server = await start(t);
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
  const socket = await open(t, server.url);
  socket.on("error", () => {});
  const closed = event(socket, "close");
  socket.send("x".repeat(10 * 1024 * 1024));
  assert.equal((await closed).code, 1009);
  await alice.publish({ status: "away" });
});

test("events tell an operator what happens", async (t) => {
  const events = [];
  const server = await start(t, { onEvent: (event) => events.push(event) });
  const alice = openAgent(t, server, "alice", { register: true });
  await alice.publish({ status: "busy" });
  await observe(alice, "sip:bob@example.test").state((s) => s.subscription.state === "active", "is active");
  await observe(alice, "sip:eve@example.test").state((s) => s.subscription.state === "terminated", "ends");
  for (const wanted of [{ kind: "registered", user: "alice" }, { kind: "published", user: "alice" },
    { kind: "subscribed", watcher: "alice", presentity: "bob" }, { kind: "refused", method: "SUBSCRIBE", status: 404 }]) {
    await until(() => events.some((event) => JSON.stringify(event) === JSON.stringify(wanted)), `event ${JSON.stringify(wanted)}`);
  }
});

test("users by hash, and every algorithm", async (t) => {
  const { createHash } = await import("node:crypto");
  const hash = (name) => createHash(name).update("alice:example.test:pw-alice").digest("hex");
  const ha1 = { MD5: hash("md5"), "SHA-256": hash("sha256"), "SHA-512-256": hash("sha512-256") };
  for (const algorithm of Object.keys(ha1)) {
    const server = await start(t, { algorithms: [algorithm], users: { alice: { ha1 } } });
    const byPassword = openAgent(t, server, "alice");
    await byPassword.publish({ status: "busy" });
    const byHash = openAgent(t, server, "alice", { credentials: { username: "alice", ha1: { [algorithm]: ha1[algorithm] } } });
    await byHash.publish({ status: "busy" });
  }
});

test("closing tells the watchers, and they come back to the next server", async (t) => {
  const port = await freePort();
  const first = await startServer({ ...config, port });
  const server = { url: first.url, domain: config.domain, users };
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  const trace = traceOf(bob);
  const { state, states } = observe(bob, "sip:alice@example.test");
  await alice.publish({ status: "busy" });
  await state((s) => s.status === "busy", "is busy");
  const gone = event(bob, "connection", { accept: ({ detail }) => detail.state === "reconnecting" });
  await first.close();
  assert.equal((await gone).detail.reason.status, 1001);
  assert.ok(trace.some(({ text }) => /^Subscription-State: terminated;reason=deactivated/m.test(text)), "the watchers are told");
  await state((s) => s.stale, "is stale");
  const second = await startServer({ ...config, port });
  t.after(() => second.close());
  const stale = states.length;
  await state((s) => !s.stale && s.status === "busy", "is busy again");
  assert.equal(states.slice(stale).find((s) => !s.stale).cause, "resync");
});

test("it attaches to an HTTP server of the application", async (t) => {
  const http = createServer((_, response) => response.end("mine"));
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.after(() => http.close());
  const server = await start(t, { server: http, path: "/presence" });
  assert.equal(server.url, `ws://127.0.0.1:${http.address().port}/presence`);
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
  await alice.close();
  await server.running.close();
  assert.equal(await (await fetch(`http://127.0.0.1:${http.address().port}/`)).text(), "mine");
});

/** Runs the command line to its end, or until `ready` matches what it printed. */
function run(t, args, ready) {
  const child = spawn(process.execPath, [CLI, ...args]);
  t.after(() => child.kill());
  return new Promise((resolve) => {
    let output = "";
    const take = (chunk) => {
      output += chunk;
      if (ready?.test(output)) resolve({ child, output });
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (code) => resolve({ child, output, code }));
  });
}

test("the command line serves demo users and the playground on loopback", async (t) => {
  const { child, output } = await run(t, ["serve", "--port", "0"], /Demo users/);
  const url = /Playground: (http:\S+)/.exec(output)[1];
  const page = await fetch(url);
  assert.equal(page.status, 200);
  assert.match(page.headers.get("content-security-policy"), /default-src 'none'; script-src 'self' 'wasm-unsafe-eval'/);
  const wasm = await fetch(new URL("/lib/sip-presence.wasm", url));
  assert.equal(wasm.headers.get("content-type"), "application/wasm");
  const demo = await (await fetch(new URL("/demo.json", url))).json();
  assert.equal((await fetch(new URL("/../package.json", url))).status, 404);
  assert.equal((await fetch(url, { method: "POST" })).status, 405);
  const server = {
    url: /SIP over WebSocket: (ws:\S+)/.exec(output)[1], domain: demo.domain,
    users: Object.fromEntries(demo.users.map(({ name, password }) => [name, password])),
  };
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
  const ended = new Promise((resolve) => child.on("close", resolve));
  child.kill("SIGTERM");
  assert.equal(await until(ended, "the end of the server"), 0);
});

test("the command line says what is wrong", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const file = async (text) => {
    const path = join(folder, "config.json");
    await writeFile(path, text);
    return path;
  };
  const cases = [
    [[], /what shall I do/], [["serve", "--port", "abc"], /--port abc/], [["serve", "--host", "0.0.0.0"], /demo users/],
    [["serve", "--config", join(folder, "none.json")], /none\.json/], [["serve", "--nonsense"], /nonsense/],
    [["serve", "--config", await file("{")], /config\.json/], [["start"], /start: the only command is serve/],
  ];
  for (const [args, message] of cases) {
    const { code, output } = await run(t, args);
    assert.equal(code, 1, args.join(" "));
    assert.match(output, message);
    assert.doesNotMatch(output, /^ {4}at /m, "no stack trace");
  }
  const wrong = await run(t, ["serve", "--port", "0", "--config", await file(JSON.stringify({ domain: "", users: {} }))]);
  assert.match(wrong.output, /domain/);
  const busy = createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  assert.match((await run(t, ["serve", "--port", String(busy.address().port)])).output, /is in use: give another one with --port/);
  for (const help of ["--help", "-h"]) assert.match((await run(t, [help])).output, /--config FILE/);
  assert.match((await run(t, ["--version"])).output, /^\d+\.\d+\.\d+/);
});

test("the command line serves the users of a file", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "config.json");
  await writeFile(path, JSON.stringify(config));
  const { output } = await run(t, ["serve", "--port", "0", "--config", path, "--verbose"], /WebSocket: \S+/);
  assert.doesNotMatch(output, /Demo users|Playground/);
  const server = { url: /WebSocket: (ws:\S+)/.exec(output)[1], domain: config.domain, users };
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
});

test("a server that cannot listen leaves nothing running", async (t) => {
  const timers = new Set();
  const { setInterval: set, clearInterval: clear } = globalThis;
  t.after(() => Object.assign(globalThis, { setInterval: set, clearInterval: clear }));
  let count = 0;
  globalThis.setInterval = (...args) => {
    count++;
    const timer = set(...args);
    timers.add(timer);
    return timer;
  };
  globalThis.clearInterval = (timer) => {
    timers.delete(timer);
    clear(timer);
  };
  const busy = createServer();
  await new Promise((resolve) => busy.listen(0, "127.0.0.1", resolve));
  t.after(() => busy.close());
  await assert.rejects(startServer({ ...config, port: busy.address().port }), { code: "EADDRINUSE" });
  assert.deepEqual([count, timers.size], [1, 0]);
});

test("a connection that gives no sign of life between two looks is ended, others are not", async (t) => {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const server = await start(t);
  const [lively, dead] = [await open(t, server.url), new WebSocket(server.url, "sip", { autoPong: false })];
  t.after(() => dead.terminate());
  await event(dead, "open");
  const pinged = [once(lively, "ping"), once(dead, "ping")];
  const closed = event(dead, "close");
  // Messages count as life, so nothing is ended at the first look.
  t.mock.timers.tick(30_000);
  await Promise.all(pinged);
  // The answer of the lively one is on its way: a later message of it arrives after.
  const answered = event(lively, "message");
  lively.send("\r\n\r\n");
  await answered;
  t.mock.timers.tick(30_000);
  assert.equal((await closed).code, 1006);
  const again = event(lively, "message");
  lively.send("\r\n\r\n");
  await again;
});

test("a connection that does not read what piles up for it is ended", async (t) => {
  const server = await start(t, { limits: { publication: 200_000 } });
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy" });
  let sockets = 0;
  let slow;
  class Slow extends WebSocket {
    constructor(...args) {
      super(...args);
      sockets++;
      slow ??= this;
    }

    // A watcher of whole documents: one that takes changes is told the next when it has answered the last.
    send(data) {
      super.send(typeof data === "string" ? data.replace(", application/pidf-diff+xml", "") : data);
    }
  }
  const bob = openAgent(t, server, "bob", { webSocket: Slow });
  const { state, states } = observe(bob, "sip:alice@example.test");
  await state((s) => s.status === "busy", "is busy");
  slow.pause();
  // More than the limit and what the system takes in between.
  const note = "x".repeat(90_000);
  for (let n = 0; n < 120; n++) await alice.publish({ status: n % 2 ? "busy" : "away", note });
  const stale = states.length;
  slow.resume();
  await until(() => sockets === 2, "a new connection");
  await until(() => states.slice(stale).some((s) => s.stale), "stale");
  await state((s) => !s.stale && s.note === note && s.status === "busy", "is right again");
});

test("what a watcher gets can be changed while it watches", async (t) => {
  const server = await start(t, { rules: { default: "confirm" } });
  const alice = openAgent(t, server, "alice");
  await alice.publish({ status: "busy", note: "here" });
  const { state } = observe(openAgent(t, server, "bob"), "sip:alice@example.test");
  await state(({ subscription }) => subscription.state === "pending", "waits");
  server.running.setPolicy("alice", "bob", "allow");
  await state(({ note }) => note === "here", "is shown");
  server.running.setPolicy("alice", "bob", "block");
  await state(({ subscription }) => subscription.reason === "rejected", "is refused");
  assert.throws(() => server.running.setPolicy("alice", "bob", "ask"), TypeError);
  for (const [presentity, watcher] of [["sip:alice@example.test", "sip:bob@example.test"], ["Alice", "bob"], ["alice", "zed"]]) {
    assert.throws(() => server.running.setPolicy(presentity, watcher, "allow"), { name: "TypeError", message: /names of two users/ });
  }
  await server.running.close();
  assert.throws(() => server.running.setPolicy("alice", "bob", "allow"), /the server is closed/);
});

test("a page with authorize that cannot be reached is told once that this server answers watchers itself", async (t) => {
  const server = await start(t);
  for (const [xcapRoot, codes] of [[undefined, ["not-asked"]], ["http://127.0.0.1:9/xcap", []]]) {
    const agent = openAgent(t, server, "alice", { authorize: () => "block", identities: "from", register: false, xcapRoot });
    const told = [];
    agent.addEventListener("error", ({ detail }) => told.push(detail.code));
    await agent.publish({ status: "busy" });
    await agent.publish({ status: "away" });
    assert.deepEqual(told.filter((code) => code === "not-asked"), codes);
    await agent.close();
  }
});

// 3857-4.6-b
test("a user is told by the server who watches", async (t) => {
  const server = await start(t, { rules: { default: "confirm" }, notifyInterval: 0 });
  const lists = [];
  openAgent(t, server, "alice", { full: true }).watchers((watchers) => lists.push(watchers));
  const bob = openAgent(t, server, "bob");
  const unwatch = bob.watch("sip:alice@example.test", () => {});
  const row = (status, event) => until(
    () => lists.at(-1).some((row) => row.uri === "sip:bob@example.test" && row.status === status && row.event === event),
    () => `${status} ${event}; the last list is ${JSON.stringify(lists.at(-1))}`);
  await row("pending", "subscribe");
  server.running.setPolicy("alice", "bob", "allow");
  await row("active", "approved");
  unwatch();
  await until(() => lists.at(-1).length === 0, "nobody to be left");
});

test("the command line tells a mistake once, and takes no options from the file", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const path = join(folder, "config.json");
  const serve = async (more) => {
    await writeFile(path, JSON.stringify({ ...config, ...more }));
    return run(t, ["serve", "--port", "0", "--config", path]);
  };
  for (const name of ["host", "port", "path", "server", "onEvent"]) {
    const { code, output } = await serve({ [name]: "x" });
    assert.equal(code, 1);
    assert.match(output, new RegExp(`config\\.json: ${name} does not belong`));
  }
  const { code, output } = await serve({ domain: "" });
  assert.equal(code, 1);
  assert.match(output, /^sip-presence: (?!sip-presence).*domain/);
  const empty = await run(t, ["serve", "--port", ""]);
  assert.equal(empty.code, 1);
  assert.match(empty.output, /--port/);
});
