/** The package in Node against a real OpenSIPS: watching, publishing, digest, lists, rules, and what happens when the link or the server is lost. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { event, until } from "../common/wait.mjs";
import { addressOf, cuttable, observe, openAgent, traceOf } from "./agents.mjs";
import { missing, startOpenSips } from "./opensips.mjs";
import { pidf, startSipJs } from "./rivals.mjs";

const isKnown = (state) => state.subscription.state === "active" && !state.stale;

for (const algorithm of ["MD5", "SHA-256", "MD5,SHA-256"]) {
  describe(`OpenSIPS with digest ${algorithm}`, { skip: missing }, () => {
    let server;
    before(async () => { server = await startOpenSips({ algorithm }); });
    after(() => server?.stop());

    test("what one page publishes, another one sees", async (t) => {
      const alice = openAgent(t, server, "alice", { register: true });
      const bob = openAgent(t, server, "bob", { register: true });
      const sent = traceOf(alice);
      const seen = observe(bob, addressOf(server, "alice"));
      const first = await seen.state(isKnown, "to be subscribed");
      assert.equal(first.status, "offline", "it makes up a document when nothing is published");

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

      const best = algorithm.split(",").at(-1);
      for (const method of ["REGISTER", "PUBLISH"]) {
        assert.ok(
          sent.some(({ direction, text }) => direction === "sent" && text.startsWith(method) && text.includes(`algorithm=${best},`)),
          `${method} was answered for with ${best}`,
        );
      }
    });

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
    assert.equal((await bob.fetch(addressOf(server, "carol"))).status, "offline", "nobody published for carol");
    await alice.unpublish();
  });

  test("a publication that nobody refreshes is over", async (t) => {
    const alice = await startSipJs(server, "alice");
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await seen.state(isKnown, "to be subscribed");
    await alice.publish(pidf(addressOf(server, "alice"), "open", "Written by SIP.js"), { expires: 6 });
    const open = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(open.note, "Written by SIP.js");
    await alice.stop();
    await seen.state((state) => state.status === "offline" && isKnown(state), "to be offline");
  });

  test("a busy lamp follows what a telephone system publishes of the calls", async (t) => {
    const phone = await startSipJs(server, "alice");
    t.after(() => phone.stop());
    const alice = addressOf(server, "alice");
    const calls = (version, state) => `<?xml version="1.0"?>
<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="${version}" state="full" entity="${alice}">
  <dialog id="c1" call-id="c1" direction="recipient"><state>${state}</state><remote><identity>sip:carol@${server.domain}</identity></remote></dialog>
</dialog-info>
`;
    const publish = (version, state) =>
      phone.publish(calls(version, state), { event: "dialog", contentType: "application/dialog-info+xml" });
    const seen = observe(openAgent(t, server, "bob", { full: true }), alice, { package: "dialog" });
    await publish(0, "early");
    await seen.state((state) => state.activities.includes("ringing"), "to ring");
    await publish(1, "confirmed");
    await seen.state((state) => state.status === "on-the-phone", "to be on the phone");
    await publish(2, "terminated");
    await seen.state((state) => state.status === "available", "to have hung up");
    await phone.unpublish();
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
