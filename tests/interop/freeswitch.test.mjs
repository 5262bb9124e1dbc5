/** The package in Node against a real FreeSWITCH: who is registered, what pages publish, calls, and what happens when the link or the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "../common/wait.mjs";
import { addressOf, cuttable, observe, openAgent, traceOf } from "./agents.mjs";
import { missing, startFreeSwitch } from "./freeswitch.mjs";

const isKnown = (state) => state.subscription.state === "active" && !state.stale;
const received = (trace, start) => trace.filter(({ direction, text }) => direction === "received" && text.startsWith(start));

describe("FreeSWITCH", { skip: missing }, () => {
  let server;
  before(async () => { server = await startFreeSwitch(); });
  after(() => server?.stop());

  test("a user is available as long as a page is registered, and has no calls", async (t) => {
    const bob = openAgent(t, server, "bob", { full: true });
    const seen = observe(bob, addressOf(server, "alice"));
    const lamp = observe(bob, addressOf(server, "alice"), { package: "dialog" });
    const first = await seen.state(isKnown, "to be subscribed");
    assert.deepEqual([first.status, first.note], ["offline", "Unregistered"]);
    const alice = openAgent(t, server, "alice", { register: true });
    await seen.state((state) => state.status === "available", "to be available");
    const calls = await lamp.state(isKnown, "to be subscribed to calls");
    assert.deepEqual([calls.status, calls.dialogs], ["available", []]);
    await alice.close();
    await seen.state((state) => state.status === "offline", "to be offline");
  });

  test("what one page publishes with a note, another one sees", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await seen.state((state) => state.status === "available", "to be available");
    await alice.publish({ status: "busy", note: "In a meeting – until späť" });
    const busy = await seen.state((state) => state.status === "busy", "to be busy");
    assert.deepEqual([busy.note, busy.cause], ["In a meeting – until späť", "change"]);
    await alice.publish({ status: "on-the-phone", note: "Calling" });
    await seen.state((state) => state.status === "on-the-phone", "to be on the phone");
    await alice.publish({ status: "do-not-disturb", note: "Do not disturb" });
    await seen.state((state) => state.status === "do-not-disturb", "not to be disturbed");
    await alice.publish({ status: "away", note: "Lunch" });
    await seen.state((state) => state.status === "away" && state.note === "Lunch", "to be away");
    // FreeSWITCH does not look at activities where there is no note.
    await alice.publish({ status: "away" });
    await seen.state((state) => state.status === "available" && state.note === "Available", "to be available for want of a note");
    // There is one presence of a user: the last of all devices.
    const pocket = openAgent(t, server, "alice");
    await pocket.publish({ status: "busy", note: "In the pocket" });
    await seen.state((state) => state.note === "In the pocket", "to be as the pocket says");
    await pocket.publish({ status: "offline" });
    await seen.state((state) => state.status === "offline", "to be offline");
  });

  test("one question gets one answer, though FreeSWITCH knows only subscriptions", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    await alice.publish({ status: "busy", note: "Recording" });
    const bob = openAgent(t, server, "bob");
    const trace = traceOf(bob);
    const answer = await bob.fetch(addressOf(server, "alice"));
    assert.deepEqual([answer.status, answer.note], ["busy", "Recording"]);
    await until(() => received(trace, "NOTIFY ").filter(({ text }) => text.includes("Subscription-State: terminated")).length === 2, "the subscription to end");
    assert.equal((await bob.fetch("sip:nobody@example.com")).status, "offline");
    await alice.publish({ status: "offline" });
  });

  test("a wrong password and an unknown user are failures with a name", async (t) => {
    for (const credentials of [{ username: "carol", password: "wrong" }, { username: "nobody", password: "wrong" }]) {
      const carol = openAgent(t, server, "carol", { credentials });
      const end = await observe(carol, addressOf(server, "bob")).state((state) => state.subscription.state === "terminated", "to be refused");
      assert.equal(end.subscription.reason, "unauthorized");
      assert.equal(end.status, "unknown");
    }
  });

  test("a link that is cut, and a server that dies, are made good for", async (t) => {
    const cuts = cuttable();
    const bob = openAgent(t, server, "bob", { webSocket: cuts.WebSocket });
    const alice = openAgent(t, server, "alice");
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy", note: "Before" });
    await seen.state((state) => state.note === "Before", "to be busy");
    cuts.cut();
    await seen.state((state) => state.stale, "to be stale");
    await alice.publish({ status: "away", note: "Meanwhile" });
    const again = await seen.state(isKnown, "to be known again");
    assert.deepEqual([again.status, again.note, again.cause], ["away", "Meanwhile", "resync"]);

    const failures = [];
    bob.addEventListener("error", ({ detail }) => failures.push(detail.code));
    await server.kill();
    await seen.state((state) => state.stale, "to be stale again");
    await server.start();
    await until(() => alice.connection.state === "online" && bob.connection.state === "online", "both to be back");
    // What was published before is told to nobody now: FreeSWITCH has it, and looks for who is registered.
    await alice.publish({ status: "busy", note: "After" });
    await seen.state((state) => isKnown(state) && state.note === "After", "to be told by the new server");
    // Its old nonce was refused without a challenge, which is no failure.
    assert.deepEqual(failures.filter((code) => code !== "no-notify"), []);
  });
});
