/** The package in Node against a real Kamailio: watching, publishing, digest, and what happens when the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRelay } from "../common/relay.mjs";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent } from "./agents.mjs";
import { isKnown, testPresence, testPublishing } from "./common.mjs";
import { missing, startKamailio } from "./kamailio.mjs";
import { startSipJs } from "./rivals.mjs";

for (const algorithm of ["MD5", "SHA-256"]) {
  describe(`Kamailio with digest ${algorithm}`, { skip: missing }, () => {
    let server;
    before(async () => { server = await startKamailio({ algorithm }); });
    after(() => server?.stop());

    testPublishing(() => server, algorithm, "unknown");

    test("a wrong password is a failure with a name", async (t) => {
      const alice = openAgent(t, server, "alice", { credentials: { username: "alice", password: "wrong" } });
      const seen = observe(alice, addressOf(server, "bob"));
      await assert.rejects(alice.publish({ status: "available" }), {
        name: "PresenceError", code: "unauthorized", source: "server", status: 407,
      });
      const end = await seen.state((state) => state.subscription.state === "terminated", "to be refused");
      assert.equal(end.subscription.reason, "unauthorized");
      assert.equal(end.status, "unknown");
    });
  });
}

describe("Kamailio", { skip: missing }, () => {
  let server;
  before(async () => { server = await startKamailio(); });
  after(() => server?.stop());

  testPresence(() => server, "unknown");

  test("nobody names another connection for what is sent to them", async (t) => {
    const alice = await startSipJs(server, "alice", { alias: "127.0.0.1~9~1" });
    t.after(() => alice.stop());
    assert.equal(await alice.register(), 403);
  });

  test("a server that dies and comes back finds everything again", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const bob = openAgent(t, server, "bob");
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy", note: "Before the crash" });
    const before = await seen.state((state) => state.status === "busy", "to be busy");

    await server.kill();
    const stale = await seen.state((state) => state.stale, "to be stale");
    assert.equal(stale.status, "busy", "the last known state stays");
    assert.equal(stale.note, "Before the crash");
    assert.equal(stale.asOf, before.asOf);
    assert.equal(stale.cause, "disconnect");
    await until(() => bob.connection.state === "reconnecting", "bob to be reconnecting");

    // Kamailio kept nothing: what it knows next can only come from a publication that was sent again.
    await server.start();
    const again = await seen.state((state) => isKnown(state) && state.status === "busy", "to be busy again");
    assert.equal(again.note, "Before the crash");
    const { cause } = seen.states.slice(seen.states.indexOf(stale)).find(isKnown);
    assert.equal(cause, "resync", "nobody moved");
    const carol = openAgent(t, server, "carol");
    await until(
      async () => (await carol.fetch(addressOf(server, "alice"))).note === "Before the crash",
      "the publication to be there for a new watcher",
    );

    await alice.publish({ status: "available" });
    const moved = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(moved.cause, "change");
    await alice.unpublish();
  });
});

describe("Kamailio that waits two seconds for an answer", { skip: missing }, () => {
  let server, relay;
  before(async () => {
    server = await startKamailio({ more: 'modparam("tm", "fr_timer", 2000)' });
    relay = await startRelay(server.url, { hold: true });
  });
  after(async () => {
    await relay?.close();
    await server?.stop();
  });

  test("a NOTIFY that was lost with its connection does not end the subscription that has moved to another one", async (t) => {
    const alice = openAgent(t, server, "alice");
    const bob = openAgent(t, server, "bob", { server: relay.url });
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy" });
    await seen.state((state) => state.status === "busy", "to be busy");
    // The server takes the connection for alive.
    relay.pages[0].terminate();
    await seen.state((state) => state.stale, "to be stale");
    await alice.publish({ status: "away" });
    await seen.state((state) => state.status === "away" && isKnown(state), "to be away");
    await new Promise((resolve) => { setTimeout(resolve, 3500); });
    await alice.publish({ status: "available" });
    await seen.state((state) => state.status === "available", "to be available");
    await alice.unpublish();
  });
});
