/** Lists in the JavaScript API; the test is the resource list server. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createAgent } from "sip-presence";
import { WebSocket } from "ws";
import { header, listServer, listState, pidf } from "../common/lists.mjs";
import { event, until } from "../common/wait.mjs";

const FRIENDS = "sip:friends@example.test";
const BOB = "sip:bob@example.test";
const CAROL = "sip:carol@example.test";
const DAVE = "sip:dave@example.test";

function open(t, { url }, options = {}) {
  const agent = createAgent({ server: url, aor: "sip:alice@example.test", webSocket: WebSocket, linger: 0, full: true, ...options });
  t.after(() => agent.close());
  return agent;
}

/** Watches a list, and keeps what it is told as `[address, status, state]`. */
function watchList(agent, uri = FRIENDS) {
  const told = [];
  const unwatch = agent.watchList(uri, (state, member) => {
    assert.ok(Object.isFrozen(state) && state.uri === member);
    told.push([member, state.status, state.subscription.state]);
  });
  return { told, unwatch };
}

test("watchList tells each member, and snapshot has its state", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server);
  const { told, unwatch } = watchList(agent);
  assert.deepEqual(told, []);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  const [subscribe] = server.subscribes;
  assert.match(header(subscribe.text, "Supported"), /\beventlist\b/);
  server.notify(subscribe, listState(FRIENDS, 0, true, [[BOB, "busy"], [CAROL, null]]));
  await until(() => told.length === 2, "both members");
  assert.deepEqual(told, [[BOB, "busy", "active"], [CAROL, "unknown", "active"]]);
  assert.equal(agent.snapshot(BOB).status, "busy");
  assert.equal(agent.snapshot(BOB), agent.snapshot(BOB));
  assert.equal(agent.explain(BOB).status, "busy");
  assert.notEqual(agent.explain(BOB).rule, "no-document");
  assert.equal(agent.snapshot(FRIENDS).subscription.state, "active");
  // Who comes later hears at once what is known.
  const late = watchList(agent);
  assert.deepEqual(late.told, told);
  server.notify(subscribe, listState(FRIENDS, 1, false, [[CAROL, "away"]]));
  await until(() => told.length === 3 && late.told.length === 3, "the change");
  assert.deepEqual(told[2], [CAROL, "away", "active"]);
  // Bob leaves the list: told once, then unknown.
  server.notify(subscribe, listState(FRIENDS, 2, true, [[CAROL, "away"]]));
  await until(() => told.length === 4, "the end of Bob");
  assert.deepEqual(told[3], [BOB, "busy", "terminated"]);
  assert.equal(agent.snapshot(BOB).status, "unknown");
  unwatch();
  late.unwatch();
  await until(() => server.subscribes.length === 2, "the un-SUBSCRIBE");
  assert.equal(header(server.subscribes[1].text, "Expires"), "0");
  assert.equal(agent.snapshot(CAROL).status, "unknown");
});

test("another spelling of a list shares its subscription", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server);
  const first = watchList(agent);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  server.notify(server.subscribes[0], listState(FRIENDS, 0, true, [[BOB, "busy"]]));
  await until(() => first.told.length === 1, "Bob");
  const second = watchList(agent, "sip:friends@EXAMPLE.test");
  assert.deepEqual(second.told, [[BOB, "busy", "active"]]);
  first.unwatch();
  server.notify(server.subscribes[0], listState(FRIENDS, 1, false, [[BOB, "away"]]));
  await until(() => second.told.length === 2, "the change");
  assert.deepEqual([first.told.length, server.subscribes.length], [1, 1]);
});

test("a watch of a member comes before the list", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server);
  const list = watchList(agent);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  server.notify(server.subscribes[0], listState(FRIENDS, 0, true, [[BOB, "busy"]]));
  await until(() => list.told.length === 1, "Bob");
  const states = [];
  const unwatch = agent.watch(BOB, (state) => states.push(state.status));
  assert.deepEqual(states, ["busy"], "what the list knows, at once");
  await until(() => server.subscribes.length === 2, "the SUBSCRIBE to Bob");
  assert.equal(agent.snapshot(BOB).status, "busy");
  server.notify(server.subscribes[1], pidf(BOB, "away"), { type: "application/pidf+xml", list: false });
  await until(() => states.length === 2, "Bob's own state");
  assert.deepEqual([states[1], agent.snapshot(BOB).status, list.told.length], ["away", "away", 1]);
  unwatch();
  assert.equal(agent.snapshot(BOB).status, "busy");
});

test("a list that is not there is told as an error with its address", async (t) => {
  const server = await listServer(t, () => 404);
  const agent = open(t, server);
  const failed = event(agent, "error");
  const { told } = watchList(agent);
  const { detail } = await failed;
  assert.deepEqual([detail.code, detail.status, detail.uri, detail.retryAt], ["not-found", 404, FRIENDS, undefined]);
  const { state, reason, failure } = agent.snapshot(FRIENDS).subscription;
  assert.deepEqual([told, state, reason, failure], [[], "terminated", "not-found", detail]);
});

test("a server that answers with the presence of a person has no list", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server);
  const failed = event(agent, "error");
  watchList(agent);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  server.notify(server.subscribes[0], pidf(FRIENDS, "away"), { type: "application/pidf+xml", list: false });
  assert.equal((await failed).detail.code, "no-list");
  await until(() => server.subscribes.length === 2, "the un-SUBSCRIBE");
});

test("a wrong argument of watchList throws, and a list that only the core can refuse ends", async (t) => {
  const agent = open(t, await listServer(t));
  for (const uri of [undefined, "", "friends", [FRIENDS], 7]) assert.throws(() => agent.watchList(uri, () => {}), TypeError);
  assert.throws(() => agent.watchList(FRIENDS), TypeError);
  assert.throws(() => open(t, { url: "ws://127.0.0.1:1/" }, { full: false }).watchList(FRIENDS, () => {}), { name: "TypeError", message: /full: true/ });
  const failed = event(agent, "error");
  watchList(agent, "sip:friends@[::zz]");
  assert.equal((await failed).detail.code, "bad-address");
});

test("close ends the members of a list", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server);
  const { told } = watchList(agent);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  server.notify(server.subscribes[0], listState(FRIENDS, 0, true, [[BOB, "busy"]]));
  await until(() => told.length === 1, "Bob");
  await agent.close();
  assert.deepEqual(told.at(-1), [BOB, "busy", "terminated"]);
  assert.deepEqual([agent.snapshot(BOB).stale, agent.snapshot(BOB).subscription.reason], [true, "closed"]);
});

test("many addresses go to the list server in one request", async (t) => {
  const server = await listServer(t);
  const agent = open(t, server, { listServer: "sip:rls@example.test", full: undefined });
  const told = [];
  const unwatch = agent.watch([BOB, CAROL, DAVE, BOB], (state, uri) => told.push([uri, state.status]));
  assert.deepEqual(told, [[BOB, "unknown"], [CAROL, "unknown"], [DAVE, "unknown"]]);
  await until(() => server.subscribes.length === 1, "the SUBSCRIBE");
  const [subscribe] = server.subscribes;
  assert.ok(subscribe.text.startsWith("SUBSCRIBE sip:rls@example.test SIP/2.0\r\n"));
  assert.deepEqual([...subscribe.text.matchAll(/entry uri="(.*?)"/g)].map(([, uri]) => uri), [BOB, CAROL, DAVE]);
  server.notify(subscribe, listState("sip:rls@example.test", 0, true, [[BOB, "busy"], [CAROL, null], [DAVE, "away"]]));
  await until(() => agent.snapshot(DAVE).status === "away", "Dave");
  assert.deepEqual([agent.snapshot(BOB).status, agent.explain(DAVE).status, server.subscribes.length], ["busy", "away", 1]);
  unwatch();
  await until(() => server.subscribes.length === 2, "the un-SUBSCRIBE");
  assert.equal(header(server.subscribes[1].text, "Expires"), "0");
});

test("a list server that takes no lists is told once, and each address goes on alone", async (t) => {
  const server = await listServer(t, (text) => (text.includes("recipient-list") ? 420 : 200));
  const agent = open(t, server, { listServer: "sip:rls@example.test" });
  const failures = [];
  agent.addEventListener("error", ({ detail }) => failures.push([detail.code, detail.status, detail.uri]));
  agent.watch([BOB, CAROL], () => {});
  await until(() => server.subscribes.length === 3, "two more SUBSCRIBEs");
  agent.watch([DAVE, "sip:eve@example.test"], () => {});
  await until(() => server.subscribes.length === 5, "two more SUBSCRIBEs");
  const targets = server.subscribes.map(({ text }) => text.split(" ")[1]);
  assert.deepEqual(targets, ["sip:rls@example.test", BOB, CAROL, DAVE, "sip:eve@example.test"]);
  assert.deepEqual(failures, [["no-list", 420, "sip:rls@example.test"]]);
});

test("window is the most SUBSCRIBEs on their way", async (t) => {
  const server = await listServer(t, () => 100);
  const agent = open(t, server, { window: 3 });
  agent.watch(Array.from({ length: 10 }, (_, n) => `sip:u${n}@example.test`), () => {});
  await until(() => server.subscribes.length === 3, "three SUBSCRIBEs");
  const { text, socket } = server.subscribes[1];
  const echo = ["Via", "From", "To", "Call-ID", "CSeq"].map((name) => `${name}: ${header(text, name)}\r\n`).join("");
  socket.send(`SIP/2.0 404 Not Found\r\n${echo}Content-Length: 0\r\n\r\n`);
  await until(() => server.subscribes.length === 4, "one more");
  await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(server.subscribes.length, 4);
  for (const options of [{ window: 0 }, { window: 1.5 }, { listServer: "rls" }, { listServer: 7 }]) {
    assert.throws(() => open(t, server, options), TypeError);
  }
});
