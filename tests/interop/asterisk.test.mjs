/** The package in Node against a real Asterisk: telephones as presence, calls, lists, and what happens when the link or the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { event, until } from "../common/wait.mjs";
import { addressOf, cuttable, observe, openAgent, traceOf } from "./agents.mjs";
import { missing, startAsterisk } from "./asterisk.mjs";

const DESK = "sip:desk@example.com";
const isKnown = (state) => state.subscription.state === "active" && !state.stale;
const received = (trace, start) => trace.filter(({ direction, text }) => direction === "received" && text.startsWith(start));

describe("Asterisk", { skip: missing }, () => {
  let server;
  before(async () => { server = await startAsterisk(); });
  after(() => server?.stop());
  const device = (state) => server.command(`devstate change Custom:desk ${state}`);

  test("a user is available as long as a page is registered", async (t) => {
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    const first = await seen.state(isKnown, "to be subscribed");
    assert.deepEqual([first.status, first.note], ["offline", "Unavailable"]);
    const alice = openAgent(t, server, "alice", { register: true });
    const trace = traceOf(alice);
    const here = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(here.note, "Ready");
    assert.ok(trace.some(({ text }) => text.startsWith("REGISTER") && text.includes("algorithm=SHA-256,")), "the stronger of two challenges");
    await until(() => received(trace, "OPTIONS ").length > 0, "Asterisk to ask whether the page is there");
    await alice.close();
    await seen.state((state) => state.status === "offline", "to be offline");
  });

  test("the states of a telephone are told as presence and as calls", async (t) => {
    const bob = openAgent(t, server, "bob", { full: true });
    device("NOT_INUSE");
    const seen = observe(bob, DESK);
    const lamp = observe(bob, DESK, { package: "dialog" });
    await seen.state((state) => isKnown(state) && state.note === "Ready", "to be ready");
    await lamp.state(isKnown, "to be subscribed");
    for (const [state, status, note, calls, activity] of [
      // In presence Asterisk makes no difference between who is called and who speaks, but in the note.
      ["RINGING", "on-the-phone", "Ringing", "available", "ringing"],
      ["INUSE", "on-the-phone", "On the phone", "on-the-phone", "on-the-phone"],
      ["ONHOLD", "on-the-phone", "On hold", "on-the-phone", "on-the-phone"],
      ["BUSY", "on-the-phone", "On the phone", "on-the-phone", "on-the-phone"],
      ["NOT_INUSE", "available", "Ready", "available", undefined],
    ]) {
      device(state);
      const told = await seen.state((view) => view.note === note, `to be told of ${state}`);
      assert.equal(told.status, status, state);
      await lamp.state((view) => view.status === calls && view.activities[0] === activity, `calls to be told of ${state}`);
    }
    device("UNAVAILABLE");
    await seen.state((state) => state.status === "offline", "to be offline");
  });

  test("what a user says is told to who names Digium", async (t) => {
    openAgent(t, server, "carol", { register: true });
    const plain = observe(openAgent(t, server, "alice"), addressOf(server, "carol"));
    const seen = observe(openAgent(t, server, "bob", { userAgent: "digium" }), addressOf(server, "carol"));
    await seen.state((state) => state.status === "available", "to be available");
    for (const [given, status, note] of [
      ["away,lunch,Für <später> & so", "away", "Für <später> & so"],
      ["dnd", "do-not-disturb", "Ready"],
      ["available,,Here", "available", "Here"],
    ]) {
      server.command(`presencestate change CustomPresence:carol "${given}"`);
      const state = await seen.state((view) => view.status === status && view.note === note, `to be ${status}, ${note}`);
      assert.equal(state.cause, "change");
    }
    const told = await plain.state((state) => state.status === "available", "to be available");
    assert.equal(told.note, "Ready");
    assert.ok(plain.states.every(({ status }) => status !== "away"), "others hear nothing of it");
  });

  test("one question gets one answer, though Asterisk knows only subscriptions", async (t) => {
    const bob = openAgent(t, server, "bob");
    const trace = traceOf(bob);
    device("INUSE");
    const answer = await bob.fetch(DESK);
    assert.deepEqual([answer.status, answer.note], ["on-the-phone", "On the phone"]);
    assert.equal(received(trace, "SIP/2.0 400 ").length, 1);
    await until(() => received(trace, "NOTIFY ").some(({ text }) => text.includes("Subscription-State: terminated")), "the subscription to end");
    await assert.rejects(bob.fetch("sip:nobody@example.com"), { name: "PresenceError", code: "not-found", status: 404 });
  });

  test("the members of a list are told by one subscription", async (t) => {
    const bob = openAgent(t, server, "bob", { full: true, linger: 0 });
    const trace = traceOf(bob);
    const states = new Map();
    device("NOT_INUSE");
    const unwatch = bob.watchList("sip:friends@example.com", (state, uri) => states.set(uri, state));
    const seen = () => JSON.stringify([...states.values()].map(({ uri, status, note }) => [uri, status, note]));
    await until(() => states.get(DESK)?.status === "available" && states.get(addressOf(server, "alice"))?.status === "offline", seen);
    device("INUSE");
    await until(() => states.get(DESK).status === "on-the-phone", seen);
    openAgent(t, server, "alice", { register: true });
    await until(() => states.get(addressOf(server, "alice")).status === "available", seen);
    assert.equal(trace.filter(({ direction, text }) => direction === "sent" && text.startsWith("SUBSCRIBE ")).length, 2, "one, and again with credentials");
    unwatch();
    await until(() => received(trace, "NOTIFY ").at(-1).text.includes("Subscription-State: terminated"), "the list to end");
    await until(() => trace.at(-1).text.startsWith("SIP/2.0 ") && trace.at(-1).direction === "sent", "the answer to it");
    assert.match(trace.at(-1).text, /^SIP\/2\.0 200 /);
  });

  test("what cannot be is told by name", async (t) => {
    for (const credentials of [{ username: "alice", password: "wrong" }, { username: "nobody", password: "wrong" }]) {
      const alice = openAgent(t, server, "alice", { credentials });
      const end = await observe(alice, DESK).state((state) => state.subscription.state === "terminated", "to be refused");
      assert.equal(end.subscription.reason, "unauthorized");
    }
    const bob = openAgent(t, server, "bob", { full: true });
    const nobody = await observe(bob, "sip:nobody@example.com").state((state) => state.subscription.state === "terminated", "to be refused");
    assert.equal(nobody.subscription.reason, "not-found");
    await assert.rejects(bob.publish({ status: "busy" }), { name: "PresenceError", code: "unsupported-event", status: 489 });
    const failed = event(bob, "error", { accept: ({ detail }) => detail.uri === addressOf(server, "bob") });
    bob.watchers(() => {});
    assert.equal((await failed).detail.code, "unsupported-event");
  });

  test("a link that is cut, and a server that dies, are made good for", async (t) => {
    const cuts = cuttable();
    const bob = openAgent(t, server, "bob", { webSocket: cuts.WebSocket, register: true });
    const alice = openAgent(t, server, "alice", { register: true });
    const seen = observe(bob, DESK);
    const other = observe(bob, addressOf(server, "alice"));
    device("INUSE");
    await seen.state((state) => state.status === "on-the-phone", "to be on the phone");
    await other.state((state) => state.status === "available", "to be available");
    cuts.cut();
    await seen.state((state) => state.stale, "to be stale");
    device("NOT_INUSE");
    const again = await seen.state(isKnown, "to be known again");
    assert.deepEqual([again.status, again.cause], ["available", "resync"]);

    await server.kill();
    const stale = await seen.state((state) => state.stale, "to be stale again");
    assert.equal(stale.status, "available", "the last known state stays");
    await server.start();
    await seen.state(isKnown, "to be known after the crash");
    await until(() => alice.connection.state === "online", "alice to be back");
    await other.state((state) => isKnown(state) && state.status === "available", "to be registered again");
    device("INUSE");
    await seen.state((state) => state.status === "on-the-phone", "to be told by the new server");
  });
});

describe("Asterisk with short times", { skip: missing }, () => {
  let server;
  before(async () => {
    const short = (text) => text.replace("maximum_expiration=600", "maximum_expiration=4\nminimum_expiration=2\ndefault_expiration=4")
      .replace("allow_subscribe=yes", "allow_subscribe=yes\nsub_min_expiry=120");
    server = await startAsterisk({ edit: { "pjsip.conf": short } });
  });
  after(() => server?.stop());

  test("a registration is renewed in time, and a subscription that is too brief is made longer", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const bob = openAgent(t, server, "bob", { expires: 60 });
    const trace = traceOf(bob);
    const seen = observe(bob, addressOf(server, "alice"));
    const first = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(received(trace, "SIP/2.0 423 ").length, 1);
    const renewed = traceOf(alice);
    await until(() => received(renewed, "SIP/2.0 200 ").filter(({ text }) => text.includes(" REGISTER\r\n")).length >= 3, "three renewals");
    assert.ok(seen.states.slice(seen.states.indexOf(first)).every(({ status }) => status === "available"), "never offline in between");
  });
});
