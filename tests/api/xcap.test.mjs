/** Policies at an XCAP server (RFC 4825, RFC 5025), in Node: what is asked and written, and every way it can fail. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgent } from "sip-presence";
import { WebSocket } from "ws";
import { until } from "../common/wait.mjs";
import { startXcap } from "../common/xcap.mjs";

const ALICE = "sip:alice@example.test";
const BOB = "sip:bob@example.test";
const EVE = "sip:eve@example.test";
const PATH = "/root/pres-rules/users/sip:alice@example.test/index";

async function start(t, options = {}) {
  const xcap = await startXcap({ users: { alice: "pw" }, ...options });
  t.after(() => xcap.close());
  return xcap;
}

/** An agent that never gets a connection: rules need none. */
function open(t, xcap, options = {}) {
  const agent = createAgent({
    server: "ws://127.0.0.1:9/", aor: ALICE, credentials: { username: "alice", password: "pw" }, webSocket: WebSocket,
    xcapRoot: xcap.root, ...options,
  });
  t.after(() => agent.close());
  return agent;
}

const ruleset = (rules) => `<?xml version="1.0"?>\n<c:ruleset xmlns:c="urn:ietf:params:xml:ns:common-policy" xmlns:p="urn:ietf:params:xml:ns:pres-rules">${rules}</c:ruleset>`;
const foreign = (id, handling) => `<!-- mine --><c:rule id="${id}"><c:conditions><c:identity><c:one id="${BOB}"/></c:identity></c:conditions>`
  + `<c:actions><p:sub-handling>${handling}</p:sub-handling></c:actions></c:rule>`;
const put = (xcap, text) => xcap.documents.set(PATH, { text, tag: '"given"' });
const sent = (xcap) => xcap.requests.filter(({ headers }) => headers.authorization !== undefined);

/** The handling that each rule of ours gives, with its watchers. */
function ours(text) {
  const rules = [...text.matchAll(/<rule [^>]*id="sip-presence-([\w-]+)">(.*?)<\/rule>/g)];
  return Object.fromEntries(rules.map(([, handling, inside]) => [handling, [...inside.matchAll(/<one id="(.*?)"/g)].map(([, id]) => id)]));
}

async function fails(promise, code, more = {}) {
  const error = await promise.then(() => assert.fail("it was done"), (error) => error);
  assert.deepEqual([error.name, error.code, error.uri], ["PresenceError", code, BOB], error.stack);
  for (const [name, value] of Object.entries(more)) assert.deepEqual(error[name], value, `${name}: ${error[name]}`);
  return error;
}

test("each decision is written, under the condition that nothing has changed", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  await agent.setPolicy(BOB, "allow");
  const [first, get, create] = xcap.requests;
  assert.deepEqual([first.method, get.method, create.method], ["GET", "GET", "PUT"]);
  assert.ok([first, get, create].every(({ path }) => path === PATH));
  assert.deepEqual([get.headers.accept, create.headers["content-type"]], ["application/auth-policy+xml", "application/auth-policy+xml"]);
  assert.deepEqual([create.headers["if-none-match"], create.headers["if-match"]], ["*", undefined]);
  assert.match(create.headers.authorization, /nc=00000002/, "the nonce is used again");
  assert.deepEqual(ours(xcap.documents.get(PATH).text), { allow: [BOB] });
  await agent.setPolicy(EVE, "polite-block");
  const change = xcap.requests.at(-1);
  assert.deepEqual([change.headers["if-match"], change.headers["if-none-match"]], ['"t1"', undefined]);
  await agent.setPolicy(BOB, "ask");
  assert.deepEqual(ours(xcap.documents.get(PATH).text), { confirm: [BOB], "polite-block": [EVE] });
  await agent.setPolicy(EVE, "block");
  assert.deepEqual(ours(xcap.documents.get(PATH).text), { block: [EVE], confirm: [BOB] });
  // What is so already is not written.
  const before = xcap.requests.length;
  await agent.setPolicy(EVE, "block");
  assert.deepEqual(xcap.requests.slice(before).map(({ method }) => method), ["GET"]);
});

test("rules of others are kept, and may not give more", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  const text = ruleset(foreign("friends", "polite-block"));
  put(xcap, text);
  await fails(agent.setPolicy(BOB, "block"), "policy-overruled", { source: "application", reason: "friends" });
  assert.equal(xcap.documents.get(PATH).text, text);
  await agent.setPolicy(BOB, "allow");
  await agent.setPolicy(EVE, "block");
  const stored = xcap.documents.get(PATH).text;
  assert.ok(stored.startsWith(text.slice(0, text.lastIndexOf("</"))) && stored.endsWith("</c:ruleset>"), stored);
  assert.deepEqual(ours(stored), { block: [EVE], allow: [BOB] });
});

test("one who writes at the same time is not written over", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  put(xcap, ruleset(""));
  let races = 1;
  xcap.answer = ({ method }) => {
    if (method === "PUT" && races > 0) {
      races -= 1;
      xcap.documents.set(PATH, { text: ruleset(foreign("new", "confirm")), tag: `"other${races}"` });
    }
    return undefined;
  };
  await agent.setPolicy(BOB, "allow");
  const stored = xcap.documents.get(PATH).text;
  assert.match(stored, /id="new"/);
  assert.deepEqual(ours(stored), { allow: [BOB] });
  // Nor for ever.
  races = 2;
  await fails(agent.setPolicy(BOB, "ask"), "refused", { status: 412 });
  // A document that somebody makes first.
  xcap.documents.clear();
  races = 1;
  await agent.setPolicy(BOB, "allow");
  assert.match(xcap.documents.get(PATH).text, /id="new"/);
});

test("calls at the same time are one after the other", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  const watchers = Array.from({ length: 20 }, (_, number) => `sip:user${number}@example.test`);
  await Promise.all(watchers.map((uri) => agent.setPolicy(uri, "allow")));
  assert.deepEqual(ours(xcap.documents.get(PATH).text).allow, watchers);
  assert.equal(sent(xcap).filter(({ method }) => method === "PUT").length, 20);
});

test("digest: the first algorithm that is known, old nonces, wrong passwords", async (t) => {
  for (const algorithms of [["SHA-256", "MD5"], ["FUTURE-512", "MD5"], ["MD5"]]) {
    const xcap = await start(t, { algorithms });
    await open(t, xcap).setPolicy(BOB, "allow");
    assert.match(sent(xcap)[0].headers.authorization, new RegExp(`algorithm=${algorithms[0] === "SHA-256" ? "SHA-256" : "MD5"}`));
  }
  const xcap = await start(t);
  const agent = open(t, xcap);
  await agent.setPolicy(BOB, "allow");
  xcap.renew();
  await agent.setPolicy(BOB, "block");
  assert.deepEqual(ours(xcap.documents.get(PATH).text), { block: [BOB] });
  const before = xcap.requests.length;
  await fails(open(t, xcap, { credentials: { username: "alice", password: "wrong" } }).setPolicy(BOB, "allow"), "unauthorized", { status: 401, source: "server" });
  assert.equal(xcap.requests.length - before, 2, "a wrong password is sent once");
  await fails(open(t, xcap, { credentials: undefined }).setPolicy(BOB, "allow"), "no-credentials", { source: "application" });
  await fails(open(t, xcap, { credentials: { token: "abc" } }).setPolicy(BOB, "allow"), "algorithm");
  await fails(open(t, xcap, { credentials: { username: "alice", ha1: { "SHA-256": "00" } } }).setPolicy(BOB, "allow"), "algorithm");
  await fails(open(t, await start(t, { algorithms: ["FUTURE-512"] })).setPolicy(BOB, "allow"), "algorithm", { status: 401 });
});

test("a function is asked for the password, and once more when it was wrong", async (t) => {
  const xcap = await start(t, { algorithms: ["SHA-256", "MD5"] });
  const asked = [];
  const agent = open(t, xcap, {
    credentials: (challenge) => {
      asked.push(challenge);
      return { username: "alice", password: challenge.rejected ? "pw" : "guess" };
    },
  });
  await Promise.all([agent.setPolicy(BOB, "allow"), agent.setPolicy(EVE, "allow")]);
  assert.deepEqual(asked, [false, true].map((rejected) =>
    ({ realm: "example.test", scheme: "digest", algorithms: ["SHA-256", "MD5"], rejected })));
  await fails(open(t, xcap, { credentials: () => undefined }).setPolicy(BOB, "allow"), "no-credentials");
});

test("what the server refuses is told by its name", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  const error = (inside) => `<?xml version="1.0"?><xcap-error xmlns="urn:ietf:params:xml:ns:xcap-error">${inside}</xcap-error>`;
  for (const [answer, code, more] of [
    [{ status: 403 }, "forbidden", { status: 403, source: "server", reason: "Forbidden" }],
    [{ status: 409, body: error('<constraint-failure phrase="No such domain"/>') }, "refused", { status: 409, reason: "constraint-failure: No such domain" }],
    [{ status: 409, body: error("<x:schema-validation-error xmlns:x='y'/>") }, "refused", { status: 409, reason: "schema-validation-error" }],
    [{ status: 415 }, "refused", { status: 415 }],
    [{ status: 503, headers: { "retry-after": "60" } }, "unavailable", { status: 503 }],
    [{ status: 500 }, "server-error", { status: 500 }],
    [{ status: 302, headers: { location: "/elsewhere" } }, "xcap-unreachable", { source: "network" }],
  ]) {
    for (const method of ["GET", "PUT"]) {
      xcap.answer = (request) => (request.method === method ? answer : undefined);
      await fails(agent.setPolicy(BOB, "allow"), code, more);
    }
  }
  xcap.answer = ({ method }) => (method === "PUT" ? { status: 404 } : undefined);
  await fails(agent.setPolicy(BOB, "allow"), "not-found", { status: 404 });
  xcap.answer = undefined;
  await agent.setPolicy(BOB, "allow");
});

test("rules that cannot be read are left as they are", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  for (const text of ["<html>", "<ruleset/>", ruleset("&nbsp;"), ruleset("<a></b>")]) {
    put(xcap, text);
    const { reason } = await fails(agent.setPolicy(BOB, "allow"), "bad-rules", { source: "server" });
    assert.ok(reason.length > 10, reason);
    assert.equal(xcap.documents.get(PATH).text, text);
  }
  xcap.answer = () => ({ status: 200, body: Buffer.alloc(50_000_000, " ") });
  await fails(agent.setPolicy(BOB, "allow"), "bad-rules");
});

test("rules in another encoding are not written back in ours", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  const latin = Buffer.from(ruleset("<!-- caf\u00e9 -->"), "latin1");
  xcap.answer = ({ method }) => (method === "GET" ? { status: 200, body: latin } : undefined);
  await fails(agent.setPolicy(BOB, "allow"), "bad-rules", { reason: "the document is not UTF-8" });
  xcap.answer = ({ method }) => (method === "GET" ? { status: 200, body: ruleset("").replace("?>", " encoding='iso-8859-1'?>") } : undefined);
  await fails(agent.setPolicy(BOB, "allow"), "bad-rules", { reason: "the document is not UTF-8" });
  assert.deepEqual(sent(xcap).filter(({ method }) => method === "PUT"), []);
  // What is no ruleset may be in any.
  xcap.answer = () => ({ status: 403, body: latin });
  await fails(agent.setPolicy(BOB, "allow"), "forbidden");
  xcap.answer = ({ method }) => (method === "PUT" ? { status: 200, body: latin } : undefined);
  put(xcap, `\ufeff${ruleset("<!-- caf\u00e9 -->")}`);
  await agent.setPolicy(BOB, "allow");
  assert.ok(sent(xcap).at(-1).body.startsWith(`\ufeff${ruleset("<!-- caf\u00e9 -->").slice(0, -20)}`), sent(xcap).at(-1).body);
});

test("a weak entity-tag is no condition: it would never hold", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  xcap.documents.set(PATH, { text: ruleset(""), tag: 'W/"given"' });
  await agent.setPolicy(BOB, "allow");
  const { headers } = xcap.requests.at(-1);
  assert.deepEqual([headers["if-match"], headers["if-none-match"]], [undefined, undefined]);
  assert.deepEqual(ours(xcap.documents.get(PATH).text), { allow: [BOB] });
});

test("who is never told the password ends with the agent", async (t) => {
  const xcap = await start(t);
  let isAsked = false;
  const agent = open(t, xcap, { credentials: () => { isAsked = true; return new Promise(() => {}); } });
  const ends = Promise.all([BOB, EVE].map((uri) => agent.setPolicy(uri, "block").catch(({ code }) => code)));
  await until(() => isAsked, "the question");
  await agent.close();
  assert.deepEqual(await ends, ["closed", "closed"]);
});

test("a connection that the server is just closing is no failure, but one that it always closes is", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  for (const method of ["GET", "PUT"]) {
    let drops = 1;
    xcap.answer = (request) => (request.method === method && drops-- > 0 ? "drop" : undefined);
    await agent.setPolicy(BOB, method === "GET" ? "allow" : "block");
    assert.ok(drops <= 0);
  }
  xcap.answer = () => "drop";
  await fails(agent.setPolicy(BOB, "allow"), "xcap-unreachable", { source: "network" });
});

test("a server that is not there or never answers holds nothing up", async (t) => {
  const xcap = await start(t);
  await fails(open(t, { root: "http://127.0.0.1:9/root" }).setPolicy(BOB, "allow"), "xcap-unreachable", { source: "network" });
  const agent = open(t, xcap);
  xcap.answer = () => "hang";
  const promises = [agent.setPolicy(BOB, "allow"), agent.setPolicy(EVE, "allow")];
  const ends = Promise.all(promises.map((promise) => promise.catch(({ code }) => code)));
  await until(() => sent(xcap).length > 0, "the request");
  await agent.close();
  assert.deepEqual(await ends, ["closed", "closed"]);
  assert.equal(sent(xcap).length, 1, "and asks no more");
  await assert.rejects(agent.setPolicy(BOB, "allow"), { code: "closed" });
});

test("a server that never answers is given up after 32 seconds", async (t) => {
  const xcap = await start(t);
  xcap.answer = () => "hang";
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const failed = fails(open(t, xcap).setPolicy(BOB, "allow"), "timeout", { source: "network" });
  while (sent(xcap).length === 0) await new Promise((resolve) => { setImmediate(resolve); });
  t.mock.timers.tick(31_999);
  t.mock.timers.tick(1);
  await failed;
  t.mock.timers.reset();
});

test("wrong arguments throw at once", async (t) => {
  const xcap = await start(t);
  const agent = open(t, xcap);
  await assert.rejects(agent.setPolicy("sip:b<b@example.test", "allow"), { code: "bad-address" });
  for (const uri of [undefined, "bob", "*"]) assert.throws(() => agent.setPolicy(uri, "allow"), /^TypeError.*uri/);
  for (const policy of [undefined, "confirm", "Allow", ""]) {
    assert.throws(() => agent.setPolicy(BOB, policy), /^TypeError.*policy/);
  }
  for (const xcapRoot of ["", "xcap.example.com", "ftp://xcap.example.com/", "http://xcap.example.com/", 7, null]) {
    assert.throws(() => open(t, { root: xcapRoot }), /^TypeError.*xcapRoot/, String(xcapRoot));
  }
  open(t, { root: "http://xcap.example.com/" }, { allowInsecure: true });
  assert.throws(() => open(t, { root: undefined }).setPolicy(BOB, "allow"), /^TypeError.*authorize or xcapRoot/);
  assert.equal(xcap.requests.length, 0);
});

test("the path has the address of the user, escaped", async (t) => {
  const xcap = await start(t);
  await open(t, xcap, { aor: "sip:a%20b/c@example.test", xcapRoot: `${xcap.root}/` }).setPolicy(BOB, "allow");
  assert.equal(sent(xcap)[0].path, "/root/pres-rules/users/sip:a%2520b%2Fc@example.test/index");
});

test("a page that is a presence agent too obeys only what the server has taken", async (t) => {
  const xcap = await start(t);
  const kept = [];
  const agent = open(t, xcap, {
    authorize: () => "ask", identities: "from", register: false,
    policies: { load: () => [], save: (policies) => { kept.push(...policies); } },
  });
  await agent.setPolicy(BOB, "polite-block");
  assert.deepEqual(kept, [[BOB, "polite-block"]]);
  xcap.answer = () => ({ status: 500 });
  await fails(agent.setPolicy(BOB, "allow"), "server-error");
  assert.equal(kept.length, 1);
});
