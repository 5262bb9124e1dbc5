/** Lists of a real Kamailio, by its module rls. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { event, until } from "../common/wait.mjs";
import { addressOf, openAgent, traceOf } from "./agents.mjs";
import { noTables, startKamailio } from "./kamailio.mjs";

const FRIENDS = "sip:friends@kamailio.test";

describe("Kamailio with lists", { skip: noTables }, () => {
  let server;
  before(async () => {
    const members = ["sip:alice@kamailio.test", "sip:carol@kamailio.test"];
    server = await startKamailio({ lists: { bob: { [FRIENDS]: members } } });
  });
  after(() => server?.stop());

  test("the members of a list are told by one subscription, through a crash of the server too", async (t) => {
    const [alice, carol, bob] = ["alice", "carol", "bob"].map((name) => openAgent(t, server, name, { full: true }));
    const trace = traceOf(bob);
    const states = new Map();
    const told = [];
    bob.watchList(FRIENDS, (state, uri) => {
      told.push(uri);
      states.set(uri, state);
    });
    const [a, c] = ["alice", "carol"].map((name) => addressOf(server, name));
    const shows = (uri, status) => () => states.get(uri)?.status === status && !states.get(uri).stale;
    const seen = () => JSON.stringify([...states.values()].map(({ uri, status, stale, cause }) => [uri, status, stale, cause]));
    await until(() => states.size === 2, "both members");
    assert.deepEqual([states.get(a).status, states.get(a).subscription.state], ["unknown", "active"]);

    await alice.publish({ status: "busy", note: "In a meeting" });
    await until(shows(a, "busy"), seen);
    assert.equal(states.get(a).note, "In a meeting");
    assert.equal(bob.snapshot(a), states.get(a));
    assert.equal(states.get(c).status, "unknown");
    await carol.publish({ status: "away" });
    await until(shows(c, "away"), seen);
    await alice.publish({ status: "available" });
    await until(shows(a, "available"), seen);
    const subscribes = trace.filter(({ direction, text }) => direction === "sent" && text.startsWith("SUBSCRIBE"));
    assert.equal(subscribes.length, 2, "one, and again with credentials");

    await server.kill();
    await until(() => states.get(a).stale && states.get(c).stale, seen);
    await server.start();
    await until(() => shows(a, "available")() && shows(c, "away")(), seen);
    assert.equal(states.get(a).cause === "change", false, "nobody moved");
    assert.deepEqual([...new Set(told)].sort(), [a, c].sort());
  });

  test("an address that is no list is told as such", async (t) => {
    const bob = openAgent(t, server, "bob", { full: true });
    const failed = event(bob, "error");
    bob.watchList("sip:nobody@kamailio.test", () => assert.fail("nobody is in it"));
    const { detail } = await failed;
    assert.deepEqual([detail.code, detail.uri], ["no-list", "sip:nobody@kamailio.test"]);
  });

  test("a watch of an address that is a list needs no list", async (t) => {
    const bob = openAgent(t, server, "bob");
    const states = [];
    bob.watch(FRIENDS, (state) => states.push(state));
    await until(() => states.at(-1).subscription.state === "active", "to be subscribed");
    assert.equal(states.at(-1).status, "unknown");
  });
});
