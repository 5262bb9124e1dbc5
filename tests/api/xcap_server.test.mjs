/** Rules that users make at the presence server, over HTTP: from a page's `setPolicy` to who watches, and hostile requests. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createServer, request as ask } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { startServer } from "sip-presence/server";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";
import { observe, openAgent } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob", carol: "pw-carol" };
const config = { domain: "example.test", users, rules: { default: "confirm" }, notifyInterval: 0 };
const [ALICE, BOB] = ["sip:alice@example.test", "sip:bob@example.test"];
const PATH = `/xcap/pres-rules/users/${ALICE}/index`;

async function start(t, more = { xcap: "/xcap" }) {
  const running = await startServer({ ...config, ...more });
  t.after(() => running.close());
  return { url: running.url, domain: config.domain, users, running };
}

const open = (t, server, name, options = {}) => openAgent(t, server, name, { xcapRoot: server.running.xcapRoot, ...options });

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

test("a user sees who waits, and decides from the page", async (t) => {
  const server = await start(t);
  const alice = open(t, server, "alice");
  await alice.publish({ status: "busy", note: "here" });
  let rows = [];
  alice.watchers((list) => { rows = list; });
  const bob = openAgent(t, server, "bob");
  const seen = observe(bob, ALICE);
  await seen.state(({ subscription }) => subscription.state === "pending", "waits");
  const row = (status) => until(() => rows.find((row) => row.uri === BOB && row.status === status), () => `${status}: ${JSON.stringify(rows)}`);
  const { uri } = await row("pending");
  await alice.setPolicy(uri, "allow");
  await seen.state(({ note }) => note === "here", "is shown");
  assert.equal((await row("active")).event, "approved");
  await alice.setPolicy(uri, "polite-block");
  await seen.state(({ status }) => status === "offline", "seems offline");
  await alice.setPolicy(uri, "ask");
  await seen.state(({ subscription }) => subscription.state === "pending", "waits again");
  await alice.setPolicy(uri, "block");
  await seen.state(({ subscription }) => subscription.reason === "rejected", "is refused");
});

test("what a user said counts after a restart", async (t) => {
  const state = join(await folder(t), "state.json");
  const port = await freePort();
  const first = await start(t, { state, port });
  assert.equal(first.running.xcapRoot, `http://127.0.0.1:${port}/xcap`, "with a state there is XCAP");
  const alice = open(t, first, "alice");
  await alice.publish({ status: "busy", note: "here" });
  const seen = observe(openAgent(t, first, "bob"), ALICE);
  await alice.setPolicy(BOB, "allow");
  await seen.state(({ note }) => note === "here", "is shown");
  await until(async () => /sip-presence-allow/.test(await readFile(state, "utf8").catch(() => "")), "the file to have it");
  await first.running.close();
  await seen.state(({ stale }) => stale, "is stale");
  const before = seen.states.length;
  await start(t, { state, port });
  await seen.state((s) => !s.stale && s.note === "here" && seen.states.indexOf(s) >= before, "is shown again");
  // A change goes on from what was kept, with its entity-tag.
  await alice.setPolicy(BOB, "polite-block");
  await seen.state(({ status }) => status === "offline", "seems offline");
});

test("what is not there, wrong or somebody else's is told by its name", async (t) => {
  const server = await start(t);
  const fails = async (options, code, status) => {
    const error = await open(t, server, "alice", options).setPolicy(BOB, "allow").then(() => assert.fail("it was done"), (error) => error);
    assert.deepEqual([error.code, error.status], [code, status], error.message);
  };
  await fails({ credentials: { username: "alice", password: "wrong" } }, "unauthorized", 401);
  await fails({ credentials: { username: "bob", password: users.bob } }, "forbidden", 403);
  await fails({ xcapRoot: `${server.running.xcapRoot}/nowhere` }, "not-found", 404);
  await fails({ xcapRoot: server.running.xcapRoot.replace("/xcap", "/other") }, "not-found", 404);
  const small = await start(t, { xcap: "/xcap", limits: { ruleset: 100 } });
  const error = await open(t, small, "alice").setPolicy(BOB, "allow").catch((error) => error);
  assert.deepEqual([error.code, error.status], ["refused", 413]);
});

/** One request; its answer. */
async function send(server, method, path, { body, headers = {} } = {}) {
  const { hostname, port } = new URL(server.running.xcapRoot);
  const request = ask({ host: hostname, port, method, path, headers, agent: false });
  request.end(body);
  const [response] = await once(request, "response");
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode, headers: response.headers, text };
}

test("pages of other origins may ask", async (t) => {
  const server = await start(t);
  const preflight = await send(server, "OPTIONS", PATH, { headers: { "origin": "https://a.example", "access-control-request-method": "PUT" } });
  assert.deepEqual([preflight.status, preflight.headers["access-control-allow-origin"]], [204, "*"]);
  for (const method of ["GET", "PUT", "DELETE"]) assert.ok(preflight.headers["access-control-allow-methods"].includes(method));
  for (const name of ["Authorization", "Content-Type", "If-Match", "If-None-Match"]) {
    assert.ok(preflight.headers["access-control-allow-headers"].includes(name));
  }
  assert.equal(preflight.headers["access-control-allow-credentials"], undefined);
  const challenged = await send(server, "GET", PATH, { headers: { origin: "https://a.example" } });
  assert.deepEqual([challenged.status, challenged.headers["access-control-allow-origin"]], [401, "*"]);
  assert.match(challenged.headers["www-authenticate"], /^Digest realm="example\.test".*algorithm=SHA-256.*, Digest .*algorithm=MD5/);
  assert.match(challenged.headers["access-control-expose-headers"], /ETag.*WWW-Authenticate/);
  assert.equal(challenged.headers["cache-control"], "no-store");
});

test("requests that lead nowhere lead nowhere", async (t) => {
  const server = await start(t);
  for (const path of [
    "/", "/xcap", "/xcap/", "/xcapx/", "//xcap/", "/xcap/../etc/passwd", `/xcap/pres-rules/users/../${ALICE}/index`,
    `/xcap/pres-rules/users/${ALICE}/../${ALICE}/index`, "/xcap/pres-rules/users/..%2f..%2f/index", `${PATH}?a`, `${PATH}/~~/ruleset`,
    "/xcap/pres-rules/users/%00/index", "/xcap/%ff",
  ]) {
    for (const method of ["GET", "PUT", "DELETE"]) assert.equal((await send(server, method, path)).status, 404, `${method} ${path}`);
  }
  const wrong = await send(server, "PATCH", PATH);
  assert.deepEqual([wrong.status, wrong.headers.allow], [405, "GET, HEAD, PUT, DELETE"]);
  // Whether there is such a user is not for strangers.
  assert.equal((await send(server, "GET", "/xcap/pres-rules/users/sip:zed@example.test/index")).status, 401);
  // A server without XCAP has none of it.
  const without = await start(t, {});
  assert.equal(without.running.xcapRoot, undefined);
  assert.equal((await fetch(without.running.url.replace("ws:", "http:").replace("/ws", PATH))).status, 404);
});

/** A connection of somebody who writes what they like; what comes back, at the end. */
async function raw(t, server, text) {
  const socket = connect({ port: new URL(server.running.xcapRoot).port, host: "127.0.0.1" });
  t.after(() => socket.destroy());
  socket.on("error", () => {});
  let answer = "";
  socket.on("data", (chunk) => { answer += chunk; });
  const closed = new Promise((resolve) => { socket.on("close", () => resolve(answer)); });
  socket.write(text);
  return { socket, closed, answer: () => answer };
}

test("a body that is too large is refused before it has come, and the connection is closed", async (t) => {
  const server = await start(t);
  const head = `PUT ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/auth-policy+xml\r\n`;
  const declared = await raw(t, server, `${head}Content-Length: 100000000\r\n\r\n`);
  assert.match(await until(declared.closed, "the end"), /^HTTP\/1\.1 413 .*\r\nConnection: close\r\n/s);
  const chunked = await raw(t, server, `${head}Transfer-Encoding: chunked\r\n\r\n`);
  const chunk = `8000\r\n${"x".repeat(0x8000)}\r\n`;
  const timer = setInterval(() => chunked.socket.write(chunk), 5);
  assert.match(await until(chunked.closed, "the end"), /^HTTP\/1\.1 413 /);
  clearInterval(timer);
});

test("a body that never comes is given up, and many of them keep nobody out", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const server = await start(t);
  const head = `PUT ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/auth-policy+xml\r\nContent-Length: 10\r\n\r\nx`;
  const turn = () => new Promise((resolve) => { setImmediate(resolve); });
  const slow = await Promise.all(Array.from({ length: 64 }, () => raw(t, server, head)));
  for (const method of ["PUT", "GET", "PUT", "DELETE"]) assert.equal((await send(server, method, PATH, { body: "x" })).status, 401, method);
  // Each newer one takes the place of the oldest.
  for (let round = 0; round < 10; round++) slow.push(await raw(t, server, head));
  const given = () => slow.filter(({ answer }) => /^HTTP\/1\.1 503 .*\r\nRetry-After: 1\r\n/s.test(answer())).length;
  while (given() < 10) await turn();
  t.mock.timers.tick(10_000);
  while (slow.some(({ answer }) => !/^HTTP\/1\.1 (?:408|503) /.test(answer()))) await turn();
  t.mock.timers.tick(1000);
  await Promise.all(slow.map(({ closed }) => closed));
  t.mock.timers.reset();
});

test("who goes away in the middle leaves nothing behind", async (t) => {
  const server = await start(t);
  for (let round = 0; round < 70; round++) {
    const { socket } = await raw(t, server, `PUT ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nx`);
    socket.destroy();
  }
  await until(async () => (await send(server, "PUT", PATH)).status === 401, "room", 5000);
});

test("an application answers with its own HTTP server", async (t) => {
  const http = createServer((request, response) => {
    if (!server.running.handle(request, response)) response.end("mine");
  });
  await new Promise((resolve) => { http.listen(0, "127.0.0.1", resolve); });
  t.after(() => http.close());
  const server = await start(t, { server: http, xcap: "/presence/rules" });
  const root = `http://127.0.0.1:${http.address().port}`;
  assert.equal(server.running.xcapRoot, `${root}/presence/rules`);
  await open(t, server, "alice").setPolicy(BOB, "allow");
  assert.equal(await (await fetch(`${root}/xcap`)).text(), "mine");
  await server.running.close();
  assert.equal((await fetch(`${server.running.xcapRoot}/pres-rules/users/${ALICE}/index`)).status, 503, "it has ended");
});

test("wrong options are a TypeError that names them", async () => {
  for (const xcap of ["", "xcap", "/", "/xcap/", "/a?b", "/ws", 7, null, true]) {
    await assert.rejects(startServer({ ...config, xcap }), { name: "TypeError", message: /xcap: give a path/ }, String(xcap));
  }
  await assert.rejects(startServer({ ...config, xcap: "/xcap", realm: "例" }), { name: "TypeError", message: /realm: .*Latin-1/ });
  await assert.rejects(startServer({ ...config, limits: { ruleset: "many" } }), { name: "TypeError", message: /limits\.ruleset/ });
});
