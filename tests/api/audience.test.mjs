/** A page as presence agent, in Node: agents that reach each other through a proxy without presence. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { createAgent } from "sip-presence";
import { WebSocket } from "ws";
import { startProxy } from "../common/proxy.mjs";
import { event, until } from "../common/wait.mjs";
import { observe, openAgent, traceOf } from "../interop/agents.mjs";

let proxy;
let server;

before(async () => {
  proxy = await startProxy();
  server = { url: proxy.url, domain: "example.test", users: { alice: "a", bob: "b", carol: "c" } };
});

after(() => proxy.close());

const ALICE = "sip:alice@example.test";
const BOB = "sip:bob@example.test";
const CAROL = "sip:carol@example.test";
const EVE = "sip:eve@example.test";

/** Alice, who is watched, and has been reached by then. */
async function alice(t, options) {
  const agent = openAgent(t, server, "alice", { identities: "asserted", ...options });
  await agent.publish({ status: "busy", note: "secret" });
  return agent;
}

const watcher = (t, name) => openAgent(t, server, name, { register: true });

/** An agent that never gets a connection: policies need none. */
function deaf(t, options) {
  const agent = createAgent({
    server: "ws://127.0.0.1:9/", aor: ALICE, webSocket: WebSocket, authorize: () => "ask", identities: "from", register: false, ...options,
  });
  t.after(() => agent.close());
  return agent;
}

/** A store, and what it has. */
function storeOf(kept = []) {
  const store = { kept, load: async () => store.kept, save: async (all) => { store.kept = all; } };
  return store;
}

/** The list of `agent.watchers`, when `accept` takes it. */
async function listOf(agent, accept) {
  let list;
  const end = agent.watchers((watchers) => { list = watchers; });
  await until(() => accept(list), () => `the watchers; they were ${JSON.stringify(list)}`);
  end();
  return list;
}

test("two pages watch each other without a presence server", async (t) => {
  const asked = [];
  const agent = await alice(t, { authorize: (who) => { asked.push(who); return "allow"; } });
  const bob = openAgent(t, server, "bob", { register: true, displayName: "Bob B.", authorize: () => "allow", identities: "asserted" });
  await bob.publish({ status: "away" });
  const seen = observe(bob, ALICE);
  await seen.state((state) => state.note === "secret" && state.subscription.state === "active", "is busy");
  await observe(agent, BOB).state((state) => state.status === "away", "is away");
  await agent.publish({ status: "available", note: "back" });
  await seen.state((state) => state.note === "back" && state.cause === "change", "is back");
  assert.deepEqual(asked, [{ uri: BOB, displayName: "Bob B." }]);
  const [row] = await listOf(agent, (list) => list.length === 1);
  assert.deepEqual([row.uri, row.displayName, row.status, row.event], [BOB, "Bob B.", "active", "subscribe"]);
  assert.ok(Math.abs(row.since - Date.now()) < 60_000 && row.expires > Date.now());
  assert.ok(Object.isFrozen(row));
  // 3856-6.11.2-b
  assert.ok(proxy.messages.some((text) => /^REGISTER[^]*Contact: .*;methods="SUBSCRIBE,NOTIFY,OPTIONS";events="presence"/.test(text)));
});

test("who thinks about it leaves the watcher pending; a policy counts at once and is remembered", async (t) => {
  const kept = [];
  const policies = { load: async () => [[CAROL, "polite-block"]], save: (all) => { kept.push(all); } };
  let decide;
  const agent = await alice(t, { policies, authorize: () => new Promise((resolve) => { decide = resolve; }) });
  const bob = observe(watcher(t, "bob"), ALICE);
  await bob.state((state) => state.subscription.state === "pending", "is pending");
  await listOf(agent, ([row]) => row?.status === "pending");
  decide("allow");
  await bob.state((state) => state.note === "secret", "is shown");
  await listOf(agent, ([row]) => row?.event === "approved");
  const carol = observe(watcher(t, "carol"), ALICE);
  await carol.state((state) => state.status === "offline" && state.subscription.state === "active", "seems offline");

  await agent.setPolicy(BOB, "block");
  await bob.state(({ subscription }) => subscription.state === "terminated" && subscription.reason === "rejected", "is blocked");
  await agent.setPolicy(CAROL, "allow");
  await carol.state((state) => state.note === "secret", "is shown to Carol");
  assert.deepEqual(kept.at(-1), [[CAROL, "allow"], [BOB, "block"]]);
});

test("a promise of another library is waited for too", async (t) => {
  await alice(t, { authorize: () => ({ then: (resolve) => { setTimeout(resolve, 1, "allow"); } }) });
  await observe(watcher(t, "bob"), ALICE).state((state) => state.note === "secret", "is shown");
});

test("an agent that is closed tells nothing of authorize", async (t) => {
  let refuse;
  const agent = await alice(t, { authorize: () => new Promise((_, reject) => { refuse = reject; }) });
  const errors = [];
  agent.addEventListener("error", ({ detail }) => errors.push(detail));
  await observe(watcher(t, "bob"), ALICE).state((state) => state.subscription.state === "pending", "is pending");
  await agent.close();
  refuse(new Error("dismissed"));
  await new Promise((resolve) => { setTimeout(resolve, 10); });
  assert.deepEqual(errors, []);
});

test("what authorize gives is checked, and its exception is told", async (t) => {
  for (const authorize of [() => "perhaps", () => { throw new Error("no list"); }, async () => { throw new Error("no list"); }]) {
    const agent = await alice(t, { authorize });
    const error = event(agent, "error");
    const bob = watcher(t, "bob");
    await observe(bob, ALICE).state((state) => state.subscription.state === "pending", "is pending");
    const { detail } = await error;
    assert.deepEqual([detail.code, detail.source, detail.uri], ["authorize", "application", BOB]);
    await Promise.all([agent.close(), bob.close()]);
  }
});

test("a store that fails is told, and its policies hold all the same", async (t) => {
  let isLocked = true;
  const load = () => {
    if (isLocked) throw new Error("locked");
  };
  const policies = { load, save: async () => { throw new Error("full"); } };
  const agent = openAgent(t, server, "alice", { identities: "asserted", authorize: () => "allow", policies });
  const { detail } = await event(agent, "error");
  assert.deepEqual([detail.code, detail.reason], ["policies", "locked"]);
  await agent.publish({ status: "busy", note: "secret" });
  await assert.rejects(agent.setPolicy(BOB, "polite-block"), { code: "policies", reason: "locked", uri: BOB });
  isLocked = false;
  await assert.rejects(agent.setPolicy(BOB, "polite-block"), { code: "policies", reason: "full", uri: BOB });
  await observe(watcher(t, "bob"), ALICE).state((state) => state.status === "offline", "seems offline");
});

test("a store that could not be loaded is not written over", async (t) => {
  let isLocked = true;
  const policies = storeOf([[EVE, "block"], [CAROL, "polite-block"]]);
  const load = async () => {
    if (isLocked) throw new Error("locked");
    return policies.kept;
  };
  const agent = openAgent(t, server, "alice", { identities: "asserted", authorize: () => "allow", policies: { load, save: policies.save } });
  await event(agent, "error");
  await assert.rejects(agent.setPolicy(EVE, "ask"), { code: "policies", reason: "locked" });
  assert.deepEqual(policies.kept, [[EVE, "block"], [CAROL, "polite-block"]]);
  isLocked = false;
  await agent.setPolicy(BOB, "allow");
  assert.deepEqual(policies.kept, [[EVE, "ask"], [BOB, "allow"], [CAROL, "polite-block"]], "what was set is newer than what was kept");
  await agent.publish({ status: "busy", note: "secret" });
  await observe(watcher(t, "carol"), ALICE).state((state) => state.status === "offline", "seems offline");
});

test("what is no policy in a store is passed over, and hides nothing", async (t) => {
  const policies = storeOf([null, "text", 7, {}, [], [7, "block"], [BOB, "perhaps"], ["bob", "block"], ["sip:b<b@example.test", "block"], [CAROL, "polite-block"]]);
  const errors = [];
  const agent = await alice(t, { policies, authorize: () => "allow" });
  agent.addEventListener("error", ({ detail }) => errors.push(detail));
  await observe(watcher(t, "carol"), ALICE).state((state) => state.status === "offline", "seems offline");
  await observe(watcher(t, "bob"), ALICE).state((state) => state.note === "secret", "is shown");
  assert.deepEqual(errors, []);
  // Nothing is kept yet.
  for (const nothing of [undefined, null, []]) {
    const store = storeOf(nothing);
    await deaf(t, { policies: store }).setPolicy(EVE, "block");
    assert.deepEqual(store.kept, [[EVE, "block"]]);
  }
});

test("two spellings of an address are one policy: the last", async (t) => {
  const policies = storeOf();
  const agent = deaf(t, { policies });
  for (const [uri, policy] of [["sip:eve@EXAMPLE.test", "block"], [EVE, "allow"], ["pres:eve@example.TEST", "block"]]) await agent.setPolicy(uri, policy);
  assert.deepEqual(policies.kept, [[EVE, "block"]]);
  const others = storeOf([["sip:eve@EXAMPLE.test", "allow"], [EVE, "block"]]);
  await deaf(t, { policies: others }).setPolicy(BOB, "ask");
  assert.deepEqual(others.kept, [[EVE, "block"], [BOB, "ask"]]);
});

test("a store that is slow is not overtaken", async (t) => {
  const policies = storeOf();
  const save = (all) => new Promise((resolve) => {
    setTimeout(() => {
      policies.kept = all;
      resolve();
    }, all.length === 1 ? 50 : 1);
  });
  const agent = deaf(t, { policies: { load: policies.load, save } });
  const first = agent.setPolicy(BOB, "block");
  await until(() => agent.connection.attempt > 0, "the core");
  await Promise.all([first, agent.setPolicy(EVE, "block")]);
  assert.deepEqual(policies.kept, [[BOB, "block"], [EVE, "block"]]);
});

test("a store that never answers holds nothing up for ever", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const turn = () => new Promise((resolve) => { setImmediate(resolve); });
  let isAsked = false;
  let answer;
  const policies = storeOf();
  const load = () => new Promise((resolve) => { [isAsked, answer] = [true, resolve]; });
  const agent = deaf(t, { policies: { load, save: policies.save } });
  const error = event(agent, "error");
  while (!isAsked) await turn();
  t.mock.timers.tick(9999);
  await turn();
  const first = agent.setPolicy(BOB, "block").catch((error) => error);
  t.mock.timers.tick(1);
  const { detail } = await error;
  assert.deepEqual([detail.code, detail.reason], ["policies", "no answer within 10 seconds"]);
  for (let turns = 0; turns < 20; turns++) await turn();
  t.mock.timers.tick(10_000);
  assert.deepEqual([(await first).code, policies.kept], ["policies", []]);
  // An answer that comes late counts all the same.
  answer([[EVE, "polite-block"], [BOB, "allow"]]);
  await agent.setPolicy(CAROL, "ask");
  assert.deepEqual(policies.kept, [[BOB, "block"], [EVE, "polite-block"], [CAROL, "ask"]]);
  t.mock.timers.reset();
});

test("a policy that has no effect is not taken for one", async (t) => {
  const policies = storeOf(Array.from({ length: 10_000 }, (_, number) => [`sip:user${number}@example.test`, "block"]));
  const agent = deaf(t, { policies });
  await assert.rejects(agent.setPolicy("sip:b<b@example.test", "block"), { code: "bad-address", uri: "sip:b<b@example.test" });
  await assert.rejects(agent.setPolicy(EVE, "block"), { code: "too-many-policies", source: "application", uri: EVE });
  assert.equal(policies.kept.length, 10_000);
  await agent.setPolicy("sip:user9999@example.test", "allow");
  assert.deepEqual(policies.kept.at(-1), ["sip:user9999@example.test", "allow"]);
  const more = storeOf([...policies.kept, [EVE, "block"]]);
  const { detail } = await event(deaf(t, { policies: more }), "error");
  assert.equal(detail.code, "too-many-policies");
});

test("watchers prove who they are with secrets that both share", async (t) => {
  const asked = [];
  const authorize = ({ uri }) => { asked.push(uri); return "allow"; };
  await alice(t, { authorize, identities: { bob: "b" } });
  await observe(watcher(t, "bob"), ALICE).state((state) => state.note === "secret", "is shown");
  const carol = observe(watcher(t, "carol"), ALICE);
  await carol.state(({ subscription }) => subscription.reason === "unauthorized", "is refused");
  assert.deepEqual(asked, [BOB]);
});

test("a watcher can want proof of who notifies it", async (t) => {
  // 3856-9.4-e 3856-9.4-d
  await alice(t, { authorize: () => "allow", credentials: { username: "alice", password: "shared" } });
  const bob = openAgent(t, server, "bob", { register: true, notifiers: { alice: "shared" } });
  const sent = traceOf(bob);
  await observe(bob, ALICE).state((state) => state.note === "secret", "is shown");
  assert.ok(sent.some(({ text }) => /^SIP\/2\.0 401 [^]*qop="auth-int"/.test(text)), "the NOTIFY was challenged");
  const carol = openAgent(t, server, "carol", { register: true, notifiers: { alice: "another secret" } });
  const refused = traceOf(carol);
  const seen = observe(carol, ALICE);
  const challenges = () => refused.filter(({ direction, text }) => direction === "sent" && text.startsWith("SIP/2.0 401")).length;
  await until(() => challenges() >= 2, "the answer to the challenge to be refused");
  assert.ok(seen.states.every(({ status }) => status === "unknown"), "nothing of it was taken");
});

test("a page that closes says so", async (t) => {
  const agent = await alice(t, { authorize: () => "allow" });
  const bob = observe(watcher(t, "bob"), ALICE);
  await bob.state((state) => state.note === "secret", "is shown");
  await agent.close();
  await bob.state((state) => state.stale, "is stale");
  assert.ok(proxy.messages.some((text) => /^NOTIFY[^]*Subscription-State: terminated;reason=deactivated/.test(text)));
});

test("wrong options and arguments throw a TypeError that names them", async (t) => {
  for (const notifiers of [{}, "alice", null]) assert.throws(() => openAgent(t, server, "bob", { notifiers }), { name: "TypeError", message: /notifiers/ });
  // A secret that cannot be used would be missing, and nobody would be asked for a proof.
  for (const secrets of [
    { "": "a" }, { "sip:pa@example.test": "a" }, { pa: "" }, { pa: undefined }, { pa: null }, { pa: 7 }, { pa: {} },
    { pa: { ha1: {} } }, { pa: { ha1: "00" } }, { pa: { ha1: { SHA256: "00" } } }, { pa: { ha1: { "MD5-sess": "00" } } },
    { pa: { ha1: { MD5: "" } } }, { pa: { ha1: { MD5: 7 } } }, { pa: { ha1: { MD5: "00", "SHA-3": "00" } } }, { alice: "a", pa: undefined },
  ]) {
    const [name] = Object.keys(secrets).slice(-1);
    for (const [option, more] of [["notifiers", {}], ["identities", { authorize: () => "allow" }]]) {
      assert.throws(() => openAgent(t, server, "bob", { ...more, [option]: secrets }), (error) =>
        error instanceof TypeError && error.message.startsWith(`sip-presence: ${option}: "${name}": `), JSON.stringify(secrets));
    }
  }
  const hashes = { MD5: "00", "sha-256": "00", "SHA-512-256": "00" };
  openAgent(t, server, "bob", { authorize: () => "allow", notifiers: { pa: { ha1: hashes } }, identities: { "bob@example.test": { ha1: hashes }, eve: "e" } });
  const options = { server: server.url, aor: ALICE, webSocket: WebSocket };
  for (const [change, message] of [
    [{ authorize: "allow" }, /authorize/], [{ authorize: () => "allow" }, /identities/],
    [{ authorize: () => "allow", identities: "everybody" }, /identities/],
    [{ authorize: () => "allow", identities: "from", policies: {} }, /policies/],
  ]) {
    assert.throws(() => createAgent({ ...options, ...change }), (error) => error instanceof TypeError && message.test(error.message));
  }
  const agent = openAgent(t, server, "alice", { authorize: () => "allow", identities: "from" });
  assert.throws(() => agent.setPolicy("bob", "allow"), /uri/);
  assert.throws(() => agent.setPolicy(BOB, "perhaps"), /policy/);
  assert.throws(() => agent.watchers(), /callback/);
  const plain = openAgent(t, server, "bob");
  assert.throws(() => plain.watchers(() => {}), /authorize/);
  assert.throws(() => plain.setPolicy(BOB, "allow"), /authorize/);
});
