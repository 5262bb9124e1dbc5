/** The package in Node against a real OpenSIPS: watching, publishing, digest, lists, rules, and what happens when the link or the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { addressOf, cuttable, observe, openAgent, traceOf } from "./agents.mjs";
import { isKnown, testPresence, testPublishing } from "./common.mjs";
import { missing, startOpenSips } from "./opensips.mjs";

for (const algorithm of ["MD5", "SHA-256", "MD5,SHA-256"]) {
  describe(`OpenSIPS with digest ${algorithm}`, { skip: missing }, () => {
    let server;
    before(async () => { server = await startOpenSips({ algorithm }); });
    after(() => server?.stop());

    testPublishing(() => server, algorithm.split(",").at(-1), "offline");

    test("a wrong password and an unknown user are failures with a name", async (t) => {
      for (const credentials of [{ username: "alice", password: "wrong" }, { username: "nobody", password: "wrong" }]) {
        const alice = openAgent(t, server, "alice", { credentials });
        const seen = observe(alice, addressOf(server, "bob"));
        await assert.rejects(alice.publish({ status: "available" }), {
          name: "PresenceError", code: "unauthorized", source: "server", status: 407,
        });
        const end = await seen.state((state) => state.subscription.state === "terminated", "to be refused");
        assert.equal(end.subscription.reason, "unauthorized");
        assert.equal(end.status, "unknown");
      }
    });
  });
}

describe("OpenSIPS", { skip: missing }, () => {
  let server;
  before(async () => { server = await startOpenSips(); });
  after(() => server?.stop());

  testPresence(() => server, "offline");

  test("a link that is cut comes back, in the dialog and with the publication that were", async (t) => {
    const cuts = cuttable();
    const alice = openAgent(t, server, "alice");
    const bob = openAgent(t, server, "bob", { webSocket: cuts.WebSocket, register: true });
    const trace = traceOf(bob);
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy", note: "Before" });
    await bob.publish({ status: "available" });
    await seen.state((state) => state.status === "busy", "to be busy");
    trace.length = 0;
    cuts.cut();
    await seen.state((state) => state.stale, "to be stale");
    // What is told to a connection that is gone is lost.
    await alice.publish({ status: "away", note: "Meanwhile" });
    const again = await seen.state(isKnown, "to be known again");
    assert.deepEqual([again.status, again.note, again.cause], ["away", "Meanwhile", "resync"]);
    assert.deepEqual(trace.filter(({ text }) => /^SIP\/2\.0 (?:412|481)/.test(text)), [], "nothing was forgotten");
    await alice.publish({ status: "available" });
    await seen.state((state) => state.status === "available", "to be told by the new connection");
  });

  test("a server that dies and comes back finds everything again", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const trace = traceOf(alice);
    const bob = openAgent(t, server, "bob");
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy", note: "Before the crash" });
    await seen.state((state) => state.status === "busy", "to be busy");

    await server.kill();
    const stale = await seen.state((state) => state.stale, "to be stale");
    assert.equal(stale.status, "busy", "the last known state stays");
    await server.start();
    const again = await seen.state((state) => isKnown(state) && state.status === "busy", "to be busy again");
    assert.equal(again.note, "Before the crash");
    assert.ok(trace.some(({ direction, text }) => direction === "received" && text.startsWith("SIP/2.0 412 ")), "the entity-tag was refused");
    await alice.publish({ status: "available" });
    await seen.state((state) => state.status === "available", "to be available");
    await alice.unpublish();
  });
});
