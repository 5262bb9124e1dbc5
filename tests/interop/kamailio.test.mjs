/** The package in Node against a real Kamailio: watching, publishing, digest, and what happens when the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { startRelay } from "../common/relay.mjs";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent, traceOf } from "./agents.mjs";
import { missing, startKamailio } from "./kamailio.mjs";
import { pidf, startSipJs } from "./rivals.mjs";

const isKnown = (state) => state.subscription.state === "active" && !state.stale;

for (const algorithm of ["MD5", "SHA-256"]) {
  describe(`Kamailio with digest ${algorithm}`, { skip: missing }, () => {
    let server;
    before(async () => { server = await startKamailio({ algorithm }); });
    after(() => server?.stop());

    test("what one page publishes, another one sees", async (t) => {
      const alice = openAgent(t, server, "alice", { register: true });
      const bob = openAgent(t, server, "bob", { register: true });
      const sent = traceOf(alice);
      const seen = observe(bob, addressOf(server, "alice"));
      const first = await seen.state(isKnown, "to be subscribed");
      assert.equal(first.status, "unknown", "Kamailio's first NOTIFY has no body when nothing is published");

      await alice.publish({ status: "busy", note: "In a meeting – until späť", activities: ["meeting"] });
      const busy = await seen.state((state) => state.status === "busy", "to be busy");
      assert.equal(busy.note, "In a meeting – until späť");
      assert.ok(busy.activities.includes("meeting"), `activities: ${busy.activities}`);
      assert.equal(busy.cause, "change");

      await alice.publish({ status: "away" });
      const away = await seen.state((state) => state.status === "away", "to be away");
      assert.equal(away.note, undefined);

      await alice.unpublish();
      await seen.state((state) => state.status === "offline", "to be offline");

      for (const method of ["REGISTER", "PUBLISH"]) {
        assert.ok(
          sent.some(({ direction, text }) =>
            direction === "sent" && text.startsWith(method) && text.includes(`algorithm=${algorithm},`)),
          `${method} was answered for with ${algorithm}`,
        );
      }
    });

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

  test("a busy lamp follows what a telephone system publishes of the calls", async (t) => {
    const phone = await startSipJs(server, "alice");
    t.after(() => phone.stop());
    const bob = openAgent(t, server, "bob", { full: true });
    const alice = addressOf(server, "alice");
    const calls = (version, state) => `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="${version}" state="full" entity="${alice}">
  <dialog id="c1" call-id="c1" direction="recipient"><state>${state}</state><remote><identity>sip:carol@${server.domain}</identity></remote></dialog>
</dialog-info>
`;
    const publish = (version, state) =>
      phone.publish(calls(version, state), { event: "dialog", contentType: "application/dialog-info+xml" });
    const seen = observe(bob, alice, { package: "dialog" });
    await publish(0, "early");
    const ringing = await seen.state((state) => state.activities.includes("ringing"), "to ring");
    assert.equal(ringing.status, "available");
    assert.deepEqual(ringing.dialogs.map(({ state, direction, remote }) => [state, direction, remote.identities[0].uri]),
      [["early", "recipient", `sip:carol@${server.domain}`]]);
    await publish(1, "confirmed");
    await seen.state((state) => state.status === "on-the-phone", "to be on the phone");
    assert.equal(bob.snapshot(alice).status, "unknown", "the presence is not watched");
    await publish(2, "terminated");
    const over = await seen.state((state) => state.status === "available", "to have hung up");
    assert.deepEqual(over.dialogs, []);
    // SIP.js would go on to renew it.
    await phone.unpublish();
  });

  test("two devices of one user are one presentity", async (t) => {
    const desk = openAgent(t, server, "alice");
    const pocket = openAgent(t, server, "alice");
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await desk.publish({ status: "available", note: "At the desk" });
    await seen.state((state) => state.status === "available", "to be available at the desk");
    await pocket.publish({ status: "on-the-phone", note: "On the road" });
    const both = await seen.state((state) => state.status === "on-the-phone", "to be on the phone in the pocket");
    assert.equal(both.presence.tuples.length, 2);
    await pocket.unpublish();
    const left = await seen.state((state) => state.status !== "on-the-phone", "to be as on the desk again");
    assert.equal(left.status, "available");
    assert.equal(left.note, "At the desk");
    await desk.unpublish();
    await seen.state((state) => state.status === "offline", "to be offline");
  });

  test("one question gets one answer", async (t) => {
    const alice = openAgent(t, server, "alice");
    const bob = openAgent(t, server, "bob");
    await alice.publish({ status: "do-not-disturb", note: "Recording" });
    const answer = await bob.fetch(addressOf(server, "alice"));
    assert.equal(answer.status, "do-not-disturb");
    assert.equal(answer.note, "Recording");
    assert.equal((await bob.fetch(addressOf(server, "carol"))).status, "unknown", "nobody published for carol");
    await alice.unpublish();
  });

  test("a publication that nobody refreshes leaves nothing known", async (t) => {
    const alice = await startSipJs(server, "alice");
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await seen.state(isKnown, "to be subscribed");
    await alice.publish(pidf(addressOf(server, "alice"), "open", "Written by SIP.js"), { expires: 6 });
    const open = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(open.note, "Written by SIP.js");
    await alice.stop();
    await seen.state((state) => state.status === "unknown" && isKnown(state), "to be unknown");
  });

  test("a registered page can be reached", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const received = traceOf(alice);
    await until(
      () => received.some(({ direction, text }) => direction === "received" && /^SIP\/2.0 200 .*\r\n(.+\r\n)*CSeq: \d+ REGISTER\r\n/.test(text)),
      "the REGISTER to be accepted",
    );
    const bob = await startSipJs(server, "bob");
    const status = await bob.message("alice", "Are you there?");
    await bob.stop();
    assert.ok(received.some(({ direction, text }) => direction === "received" && text.startsWith("MESSAGE ")));
    assert.equal(status, 405, "a page with no use for MESSAGE says so itself");
  });

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
