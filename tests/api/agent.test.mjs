/** The JavaScript API in Node, against the embedded presence server. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { createAgent, PresenceError } from "sip-presence";
import { startServer } from "sip-presence/server";
import { WebSocket, WebSocketServer } from "ws";
import { event, until } from "../common/wait.mjs";
import { addressOf, observe, openAgent, traceOf } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob", carol: "pw-carol" };
let server;

before(async () => {
  const config = { domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 };
  const running = await startServer(config);
  server = { url: running.url, domain: config.domain, users, close: () => running.close() };
});

after(() => server.close());

const ALICE = "sip:alice@example.test";
const options = (more) => ({ server: server.url, aor: ALICE, webSocket: WebSocket, ...more });

/** Opens a bare WebSocket server on loopback that answers as `answer` says. */
async function bareServer(t, answer, handleProtocols = () => "sip") {
  const bare = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols });
  await event(bare, "listening");
  bare.on("connection", answer);
  t.after(() => {
    for (const client of bare.clients) client.terminate();
    bare.close();
  });
  return `ws://127.0.0.1:${bare.address().port}/`;
}

test("a wrong option throws a TypeError that names it", () => {
  const wrong = [
    [{ server: undefined }, /server/], [{ server: "https://example.test" }, /server/], [{ server: [] }, /server/],
    [{ server: "ws://sip.example.test/" }, /allowInsecure/], [{ aor: "alice" }, /aor/], [{ aor: "tel:+1" }, /aor/],
    [{ credentials: { password: "x" } }, /username/], [{ credentials: { username: "a" } }, /ha1/],
    [{ credentials: { username: "a", ha1: {} } }, /ha1/], [{ credentials: { username: "a", password: "" } }, /password/], [{ expires: 0 }, /expires/], [{ linger: -1 }, /linger/],
    [{ expires: 1.5 }, /expires/], ...["WebSocket", () => 1, { prototype: {} }, null].map((webSocket) => [{ webSocket }, /webSocket: give a constructor/]),
    ...[5, true, () => "x.wasm"].map((wasm) => [{ wasm }, /wasm: give/]),
    [{ route: "sip:proxy.example.test" }, /route/], [{ route: ["sip:a;lr", "proxy;lr"] }, /route/],
    ...["digium\r\nX: y", "Größe"].map((userAgent) => [{ userAgent }, /userAgent/]), [{ route: "<sip:a;lr>" }, /route/], [{ route: "sip:a;lrx" }, /route/],
    // 6446-5.1-a 6446-8-c
    ...[{ minInterval: 0 }, { minInterval: 0.01 }, { maxInterval: -1 }, { maxInterval: 1e11 }, { adaptiveMinRate: "often" },
      { minInterval: 5, maxInterval: 5 }, { minInterval: 5, adaptiveMinRate: 0.2 }, { maxInterval: 5, adaptiveMinRate: 0.2 },
    ].map((rates) => [{ rates }, /rates/]),
  ];
  for (const [change, message] of wrong) {
    assert.throws(() => createAgent(options(change)), (error) => error instanceof TypeError && message.test(error.message));
  }
  for (const none of [undefined, null, "wss://a.example"]) assert.throws(() => createAgent(none), /^TypeError.*createAgent: give an object/);
});

// 6446-4.1-a 6446-5.1-a 3261-8.1.1.1-b
test("a misspelt option is a TypeError, and each option that has a type is none", async (t) => {
  const agent = openAgent(t, server, "alice");
  assert.throws(() => createAgent(options({ expire: 60 })), { name: "TypeError", message: /expire: there is no such option; give .*expires/ });
  assert.throws(() => createAgent(options({ rates: { minIntervall: 5 } })), { name: "TypeError", message: /minIntervall/ });
  for (const [wrong, name] of [[{ rates: 5 }, /rates/], [{ rates: { minInterval: "5" } }, /rates/], [{ full: "yes" }, /full/], [{ register: 1 }, /register/]]) {
    assert.throws(() => createAgent(options(wrong)), { name: "TypeError", message: name });
  }
  assert.throws(() => createAgent(options({ xcapRoot: "https://xcap.example.test/root?x=1" })), { name: "TypeError", message: /xcapRoot: .*"\?"/ });
  assert.throws(() => agent.publish({ status: "busy", activity: "meeting" }), { name: "TypeError", message: /activity: .*activities/ });
  const types = await readFile(new URL("../../src/js/types.ts", import.meta.url), "utf8");
  const declared = (name) => [.../readonly (\w+)\??:/g[Symbol.matchAll](new RegExp(`interface ${name} \\{\n(.*?)\n\\}`, "s").exec(types)[1])].map(([, word]) => word);
  const all = [...declared("GeneralOptions"), ...declared("WatchedOptions")];
  assert.ok(all.length > 15 && all.includes("authorize"));
  for (const name of all) createAgent(options({ [name]: options()[name] })).close();
  for (const name of declared("PublishOptions")) await agent.publish({ status: "busy", [name]: { status: "busy" }[name] });
});

test("the User-Agent header says what it is, and what servers look for besides", async (t) => {
  for (const [userAgent, header] of [[undefined, /^sip-presence\/[\d.]+$/], ["digium", /^sip-presence\/[\d.]+ digium$/]]) {
    const agent = openAgent(t, server, "alice", { userAgent });
    const sent = event(agent, "trace", { accept: ({ detail }) => detail.text.startsWith("SUBSCRIBE") });
    agent.watch(addressOf(server, "bob"), () => {});
    assert.match(/\r\nUser-Agent: (.*)\r\n/.exec((await sent).detail.text)[1], header);
  }
});

test("rates and a route are on the wire as their standards write them", async (t) => {
  for (const [rates, header] of [
    [undefined, "presence"],
    [{ minInterval: 20 }, "presence;max-rate=0.05"],
    [{ maxInterval: 3e9 }, "presence;min-rate=0.0000000003"],
    [{ minInterval: 0.1, maxInterval: 3, adaptiveMinRate: 1.25 }, "presence;min-rate=0.3333333333;adaptive-min-rate=1.25;max-rate=10"],
  ]) {
    const agent = openAgent(t, server, "alice", { rates, route: ["sip:a.example.test;lr", "sip:b.example.test;transport=ws;lr"] });
    const sent = event(agent, "trace", { accept: ({ detail }) => detail.text.startsWith("SUBSCRIBE") });
    agent.watch(addressOf(server, "bob"), () => {});
    const { text } = (await sent).detail;
    assert.match(text, /\r\nRoute: <sip:a\.example\.test;lr>, <sip:b\.example\.test;transport=ws;lr>\r\n/);
    assert.equal(/\r\nEvent: (.*)\r\n/.exec(text)[1], header);
  }
});

test("a wrong argument of a verb throws a TypeError at once", async (t) => {
  const agent = openAgent(t, server, "alice");
  for (const uri of [undefined, "", "bob", "bob@example.test", "tel:+15551234", "sip:@x", 7]) {
    assert.throws(() => agent.watch(uri, () => {}), TypeError);
    assert.throws(() => agent.fetch(uri), TypeError);
    assert.throws(() => agent.changes(uri), TypeError);
    assert.throws(() => agent.snapshot(uri), TypeError);
  }
  assert.throws(() => agent.watch(ALICE), TypeError);
  for (const signal of [5, { aborted: false }, null]) assert.throws(() => agent.changes(ALICE, { signal }), /AbortSignal/);
  for (const state of [undefined, {}, { status: "unknown" }, { status: "Busy" }, { status: "busy", note: 7 },
    { status: "busy", activities: "meeting" }, { status: "busy", until: "soon" }, { status: "busy", until: 1_767_225_600 }, { status: "busy", until: new Date(NaN) }]) {
    assert.throws(() => agent.publish(state), TypeError);
  }
  for (const none of [null, "busy"]) assert.throws(() => agent.publish(none), /^TypeError.*publish: give an object with status/);
  assert.throws(() => agent.autoAway(), /^TypeError.*no document/);
});

test("an address that only the core can refuse is told, and ends", async (t) => {
  const agent = openAgent(t, server, "alice");
  const told = event(agent, "error", { accept: ({ detail }) => detail.code === "bad-address" });
  const { state } = observe(agent, "sip:bob@[::zz]");
  const { subscription } = await state((s) => s.subscription.state === "terminated", "ends");
  assert.deepEqual([subscription.reason, subscription.failure.code], ["bad-address", "bad-address"]);
  assert.equal((await told).detail.uri, "sip:bob@[::zz]");
  await assert.rejects(agent.fetch("sip:bob@[::zz]"), { name: "PresenceError", code: "bad-address" });
});

test("watch calls back at once, then on every change, and snapshot is the same object", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  const states = [];
  const before = bob.snapshot(ALICE);
  bob.watch(ALICE, (state, uri) => states.push([state, uri]));
  assert.equal(states.length, 1);
  assert.deepEqual([states[0][0].status, states[0][0].subscription.state, states[0][1]], ["unknown", "trying", ALICE]);
  assert.equal(states[0][0], before);
  assert.equal(bob.snapshot(ALICE), before);
  await until(() => states.length > 1, "the first state");
  assert.equal(states[1][0].cause, "initial");
  await alice.publish({ status: "busy", note: "one" });
  await until(() => states.at(-1)[0].note === "one", "the note");
  assert.equal(states.at(-1)[0].cause, "change");
  assert.equal(bob.snapshot(ALICE), states.at(-1)[0]);
  const count = states.length;
  await alice.publish({ status: "away", note: "two" });
  await until(() => states.at(-1)[0].note === "two", "the second note");
  assert.equal(states.length, count + 1, "one change, one call");
});

test("watches of one presentity share one subscription, and it ends after the last", async (t) => {
  const bob = openAgent(t, server, "bob", { linger: 0 });
  const trace = traceOf(bob);
  const subscribes = () => trace.filter(({ direction, text }) => direction === "sent" && text.startsWith("SUBSCRIBE"));
  const ends = [observe(bob, ALICE), observe(bob, ALICE), observe(bob, "sip:alice@EXAMPLE.test")];
  await Promise.all(ends.map(({ state }) => state((s) => s.subscription.state === "active", "is active")));
  assert.equal(subscribes().length, 2, "one, and again with credentials");
  ends[0].unwatch();
  ends[1].unwatch();
  ends[1].unwatch();
  await sleep(50);
  assert.equal(subscribes().length, 2);
  ends[2].unwatch();
  await until(() => subscribes().length === 3, "the un-SUBSCRIBE");
  assert.match(subscribes()[2].text, /^Expires: 0\r$/m);
  await until(() => trace.some(({ text }) => /^Subscription-State: terminated|^SIP\/2.0 204 /m.test(text)), "the last NOTIFY");
  assert.equal(bob.snapshot(ALICE).status, "unknown", "what nobody watches is not known");
});

test("a watch that comes back while it lingers has its state at once", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob", { linger: 60_000 })];
  await alice.publish({ status: "busy" });
  const first = observe(bob, ALICE);
  await first.state((s) => s.status === "busy", "is busy");
  first.unwatch();
  const states = [];
  bob.watch(ALICE, (state) => states.push(state.status));
  assert.deepEqual(states, ["unknown", "busy"]);
});

test("many presentities by one call", async (t) => {
  const bob = openAgent(t, server, "bob");
  const seen = new Map();
  const uris = ["sip:alice@example.test", "sip:carol@example.test", "sip:nobody@example.test"];
  const unwatch = bob.watch(uris, (state, uri) => seen.set(uri, state));
  await until(() => uris.every((uri) => ["active", "terminated"].includes(seen.get(uri).subscription.state)), "all known");
  const { subscription } = seen.get(uris[2]);
  assert.equal(subscription.reason, "not-found");
  const { message, ...failure } = subscription.failure;
  assert.deepEqual(failure, { code: "not-found", source: "server", status: 404, reason: "Not Found", uri: uris[2] });
  assert.ok(Object.isFrozen(subscription.failure) && message.endsWith("."));
  assert.equal(seen.get(uris[1]).status, "offline");
  unwatch();
});

test("a watch that ended for good begins again when somebody asks again", async (t) => {
  const bob = openAgent(t, server, "bob", { linger: 0 });
  const trace = traceOf(bob);
  const refusals = () => trace.filter(({ text }) => text.startsWith("SIP/2.0 404"));
  const first = observe(bob, "sip:nobody@example.test");
  await first.state((s) => s.subscription.reason === "not-found", "ends");
  const second = observe(bob, "sip:nobody@example.test");
  await until(() => refusals().length === 2, "the second refusal");
  await second.state((s) => s.subscription.reason === "not-found", "ends again");
  assert.deepEqual(first.states.map((s) => s.subscription.state), ["trying", "terminated", "trying", "terminated"]);
  first.unwatch();
  second.unwatch();
  assert.equal(bob.snapshot("sip:nobody@example.test").subscription.state, "trying");
});

test("a callback that throws does not stop the others", async (t) => {
  const reported = [];
  const bob = openAgent(t, server, "bob");
  globalThis.reportError = (error) => reported.push(error.message);
  t.after(() => delete globalThis.reportError);
  bob.watch(ALICE, () => { throw new Error("mine"); });
  const { state } = observe(bob, ALICE);
  await state((s) => s.subscription.state === "active", "is active");
  assert.ok(reported.length >= 2 && reported.every((text) => text === "mine"));
});

test("a callback may end its own watch, and start others", async (t) => {
  const bob = openAgent(t, server, "bob");
  let calls = 0;
  const other = [];
  const unwatch = bob.watch(ALICE, (state) => {
    calls++;
    if (state.subscription.state === "active") {
      unwatch();
      bob.watch("sip:carol@example.test", (state) => other.push(state.status));
    }
  });
  await until(() => other.at(-1) === "offline", "carol's state");
  assert.equal(calls, 2);
});

test("changes() yields what is known, then changes, and ends with its signal", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  await alice.publish({ status: "available", note: "start" });
  const controller = new AbortController();
  const seen = [];
  const loop = (async () => {
    for await (const state of bob.changes(ALICE, { signal: controller.signal })) seen.push(state.note);
  })();
  await until(() => seen.includes("start"), "the first note");
  await alice.publish({ status: "busy", note: "next" });
  await until(() => seen.includes("next"), "the next note");
  controller.abort();
  await until(loop, "the end of the loop");
});

test("changes() with a signal that has aborted asks nobody", async (t) => {
  const bob = openAgent(t, server, "bob");
  const trace = traceOf(bob);
  for await (const _ of bob.changes(ALICE, { signal: AbortSignal.abort() })) assert.fail("a state");
  await bob.fetch(ALICE);
  assert.ok(!trace.some(({ text }) => /^Expires: 3600\r$/m.test(text)));
});

test("changes() is ended by leaving the loop, and by closing", async (t) => {
  const bob = openAgent(t, server, "bob", { linger: 0 });
  const trace = traceOf(bob);
  for await (const state of bob.changes(ALICE)) if (state.subscription.state === "active") break;
  await until(() => trace.some(({ text }) => /^Subscription-State: terminated|^SIP\/2.0 204 /m.test(text)), "the end of the subscription");
  const iterator = bob.changes(ALICE);
  await iterator.next();
  const pending = (async () => { for await (const _ of iterator); })();
  await bob.close();
  await until(pending, "the end of the loop");
});

test("fetch asks once", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  await alice.publish({ status: "on-the-phone", note: "call" });
  const state = await bob.fetch(ALICE);
  assert.deepEqual([state.status, state.note, state.subscription.state], ["on-the-phone", "call", "terminated"]);
  await assert.rejects(bob.fetch("sip:nobody@example.test"), (error) => {
    assert.ok(error instanceof PresenceError && error instanceof Error);
    assert.deepEqual([error.code, error.source, error.status, error.uri], ["not-found", "server", 404, "sip:nobody@example.test"]);
    assert.match(error.message, /address/);
    return true;
  });
});

test("what is published arrives, with activities, note and end", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  const { state } = observe(bob, ALICE);
  const until = new Date(Date.now() + 3_600_000);
  const note = "Grüße 🎉 <b>&amp;</b> \"__proto__\" ]]>";
  await alice.publish({ status: "busy", note, activities: ["meeting", "reading the paper"], until });
  const seen = await state((s) => s.note === note, "has the note");
  assert.deepEqual(seen.activities, ["busy", "meeting", "reading the paper"]);
  assert.equal(seen.until, until.getTime());
  assert.ok(seen.asOf <= Date.now() && seen.subscription.expires > Date.now());
  const { presence } = seen;
  assert.equal(presence.entity, ALICE);
  assert.equal(presence.tuples[0].basic, "open");
  assert.deepEqual(presence.persons[0].activities[2], { name: "other", text: "reading the paper", until: until.getTime() });
  assert.deepEqual(bob.explain(ALICE), { status: "busy", rule: "busy", element: presence.persons[0].id, warnings: [] });
  await alice.unpublish();
  await state((s) => s.status === "offline", "is offline");
  await alice.unpublish();
});

test("states are frozen plain data", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob")];
  await alice.publish({ status: "busy", note: "x", activities: ["meeting"] });
  const state = await bob.fetch(ALICE);
  const visit = (value) => {
    if (typeof value !== "object") return;
    assert.ok(Object.isFrozen(value));
    assert.ok([Object.prototype, Array.prototype].includes(Object.getPrototypeOf(value)));
    for (const inner of Object.values(value)) visit(inner);
  };
  visit(state);
  assert.deepEqual(structuredClone(state), state);
  assert.deepEqual(JSON.parse(JSON.stringify(state)), state);
});

test("a wrong password is one clear failure", async (t) => {
  const agent = openAgent(t, server, "alice", { credentials: { username: "alice", password: "wrong" } });
  const trace = traceOf(agent);
  const { state } = observe(agent, "sip:bob@example.test");
  await assert.rejects(agent.publish({ status: "busy" }), { code: "unauthorized", source: "server", status: 401 });
  assert.equal((await state((s) => s.subscription.state === "terminated", "ends")).subscription.reason, "unauthorized");
  assert.ok(trace.length < 12, `${trace.length} messages`);
});

test("no credentials, and credentials from a function", async (t) => {
  const none = openAgent(t, server, "alice", { credentials: undefined });
  await assert.rejects(none.publish({ status: "busy" }), { code: "no-credentials", source: "application" });
  const asked = [];
  const agent = openAgent(t, server, "alice", {
    credentials: async (challenge) => {
      asked.push(challenge);
      await sleep(10);
      return { username: "alice", password: challenge.rejected ? users.alice : "wrong" };
    },
  });
  await agent.publish({ status: "busy" });
  assert.deepEqual(asked.map(({ realm, scheme, rejected }) => [realm, scheme, rejected]),
    [["example.test", "digest", false], ["example.test", "digest", true]]);
  assert.deepEqual(asked[0].algorithms, ["SHA-256", "MD5"]);
  const refuses = openAgent(t, server, "alice", { credentials: () => undefined });
  await assert.rejects(refuses.publish({ status: "busy" }), { code: "no-credentials" });
});

test("a function that gives the same wrong credentials, or ones that do not fit, is not asked for ever", async (t) => {
  let asked = 0;
  const wrong = openAgent(t, server, "alice", { credentials: () => (asked++, { username: "alice", password: "wrong" }) });
  await assert.rejects(wrong.publish({ status: "busy" }), { code: "unauthorized", status: 401 });
  assert.equal(asked, 2);
  asked = 0;
  const unfit = openAgent(t, server, "alice", { credentials: () => (asked++, { username: "alice", ha1: { "SHA-512-256": "00" } }) });
  await assert.rejects(unfit.publish({ status: "busy" }), { code: "algorithm" });
  assert.equal(asked, 1);
});

test("a trace has every message and no secret", async (t) => {
  const agent = openAgent(t, server, "alice");
  const trace = traceOf(agent);
  await agent.publish({ status: "busy" });
  assert.deepEqual(trace.map(({ direction, text }) => [direction, text.split(" ")[0]]),
    [["sent", "PUBLISH"], ["received", "SIP/2.0"], ["sent", "PUBLISH"], ["received", "SIP/2.0"]]);
  const all = trace.map(({ text }) => text).join("");
  assert.match(all, /^Authorization: Digest /m);
  assert.doesNotMatch(all, /response="[0-9a-f]/);
  assert.ok(!all.includes(users.alice));
  assert.ok(trace.every(({ at }) => Math.abs(at - Date.now()) < 60_000));
});

test("two agents of one user are two devices", async (t) => {
  const [desk, phone, bob] = [openAgent(t, server, "carol"), openAgent(t, server, "carol"), openAgent(t, server, "bob")];
  const { state } = observe(bob, addressOf(server, "carol"));
  await desk.publish({ status: "available" });
  await phone.publish({ status: "on-the-phone" });
  const seen = await state((s) => s.status === "on-the-phone", "is on the phone");
  assert.equal(new Set(seen.presence.tuples.map(({ id }) => id)).size, 2);
  await phone.close();
  await state((s) => s.status === "available", "is available");
});

test("a lost connection is stale, then right again", async (t) => {
  const [alice, bob] = [openAgent(t, server, "alice"), openAgent(t, server, "bob", { webSocket: Cuttable })];
  const { state, states } = observe(bob, ALICE);
  await alice.publish({ status: "busy", note: "before" });
  await state((s) => s.note === "before", "has the note");
  const lost = event(bob, "connection", { accept: ({ detail }) => detail.state === "reconnecting" });
  const cutAt = Date.now();
  Cuttable.cut();
  const { detail } = await lost;
  assert.deepEqual([detail.attempt, detail.reason.code], [1, "connection-lost"]);
  assert.ok(detail.retryAt > cutAt);
  const stale = states.at(-1);
  assert.deepEqual([stale.stale, stale.status, stale.cause], [true, "busy", "disconnect"]);
  await alice.publish({ status: "away", note: "after" });
  const right = await state((s) => s.note === "after", "is right again");
  assert.deepEqual([right.stale, right.cause, bob.connection.state], [false, "resync", "online"]);
});

test("a clock that is set back does not stop the agent", async (t) => {
  const agent = openAgent(t, server, "bob", { webSocket: Cuttable });
  await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  const real = Date.now;
  Date.now = () => real() - 600_000;
  t.after(() => { Date.now = real; });
  const back = event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  Cuttable.cut();
  await back;
  Date.now = real;
});

class Cuttable extends WebSocket {
  static open = new Set();
  constructor(...args) {
    super(...args);
    Cuttable.open.add(this);
  }
  static cut() {
    for (const socket of Cuttable.open) socket.terminate();
    Cuttable.open.clear();
  }
}

test("a server that cannot be reached is told and tried again", async (t) => {
  const agent = openAgent(t, { ...server, url: "ws://127.0.0.1:1/" }, "alice");
  const states = [];
  agent.addEventListener("connection", ({ detail }) => states.push(detail));
  const failed = event(agent, "error");
  await assert.rejects(agent.publish({ status: "busy" }), { code: "connection-failed", source: "network" });
  assert.equal((await failed).detail.code, "connection-failed");
  await until(() => states.filter(({ state }) => state === "connecting").length === 2, "the second attempt");
});

test("several servers are tried in order", async (t) => {
  const agent = openAgent(t, { ...server, url: ["ws://127.0.0.1:1/", server.url] }, "alice");
  await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  await agent.publish({ status: "busy" });
});

test("a server of another protocol is told", async (t) => {
  const url = await bareServer(t, () => {}, () => false);
  const agent = openAgent(t, { ...server, url }, "alice");
  // The `ws` package refuses such an answer by itself; a browser's WebSocket fails likewise.
  const { detail } = await event(agent, "error");
  assert.ok(["sub-protocol", "connection-failed"].includes(detail.code), detail.code);
});

test("frames that are not SIP are told, and harm nothing", async (t) => {
  const garbage = ["hello", "\r\n\r\n", "SIP/2.0 200", "NOTIFY sip:a@b SIP/2.0\r\nVia: x", "x".repeat(300_000), Buffer.from([0, 255, 1, 2])];
  const url = await bareServer(t, (socket) => {
    for (const frame of garbage) socket.send(frame);
  });
  const agent = openAgent(t, { ...server, url }, "alice");
  const failures = [];
  agent.addEventListener("error", ({ detail }) => failures.push(detail.code));
  await until(() => failures.length >= 5, () => `five failures: ${failures}`);
  assert.deepEqual(new Set(failures), new Set(["bad-message", "too-large"]));
  assert.equal(agent.connection.state, "online");
});

test("a server that never answers does not hold up closing", async (t) => {
  const url = await bareServer(t, () => {});
  const agent = openAgent(t, { ...server, url }, "alice");
  const { state, states } = observe(agent, "sip:bob@example.test");
  const publishing = assert.rejects(agent.publish({ status: "busy" }), { code: "closed" });
  const fetching = assert.rejects(agent.fetch("sip:bob@example.test"), { code: "closed" });
  await event(agent, "connection", { accept: ({ detail }) => detail.state === "online" });
  await until(agent.close(), "the end of close()", 10_000);
  await Promise.all([publishing, fetching]);
  assert.equal((await state((s) => s.subscription.state === "terminated", "ends")).subscription.reason, "closed");
  assert.equal(states.at(-1).status, "unknown");
});

test("after close nothing works, and says so", async (t) => {
  const agent = openAgent(t, server, "alice");
  await agent.publish({ status: "busy" });
  const closed = event(agent, "connection", { accept: ({ detail }) => detail.state === "closed" });
  await agent.close();
  await closed;
  await agent.close();
  assert.equal(agent.connection.state, "closed");
  await assert.rejects(agent.publish({ status: "busy" }), { code: "closed", source: "application" });
  await assert.rejects(agent.fetch(ALICE), { code: "closed" });
  const { states } = observe(agent, ALICE);
  assert.equal(states.at(-1).subscription.reason, "closed");
  const early = createAgent(options({}));
  await early.close();
  assert.equal(early.connection.state, "closed");
});

test("a module that cannot be loaded is a failure, and another agent can be made", async (t) => {
  const { createAgent: create } = await import("../../pkg/index.js");
  const broken = create({ ...options({}), wasm: new Uint8Array([0, 1, 2, 3]) });
  const states = [];
  broken.watch(ALICE, (state) => states.push(state));
  const { detail } = await event(broken, "error");
  assert.deepEqual([detail.code, detail.source], ["module", "library"]);
  assert.equal(states.at(-1).subscription.reason, "module");
  assert.equal(broken.connection.state, "closed");
  await assert.rejects(broken.fetch(ALICE), { code: "module" });
  const { readFile } = await import("node:fs/promises");
  const bytes = await readFile(new URL("../../pkg/sip-presence.wasm", import.meta.url));
  const more = { credentials: { username: "alice", password: users.alice } };
  const agent = create({ ...options({}), ...more, wasm: bytes });
  t.after(() => agent.close());
  await agent.publish({ status: "busy" });
  // An option that needs the full module is served by that one, and a page may have both.
  const full = await readFile(new URL("../../pkg/sip-presence-full.wasm", import.meta.url));
  const other = create({ ...options({}), ...more, wasm: full, authorize: () => "allow", identities: "from" });
  t.after(() => other.close());
  await other.publish({ status: "away" });
});

test("await using closes the agent", { skip: Symbol.asyncDispose === undefined }, async () => {
  const agent = createAgent(options({}));
  await agent[Symbol.asyncDispose]();
  assert.equal(agent.connection.state, "closed");
});
