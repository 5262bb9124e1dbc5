/** What Kamailio and OpenSIPS have in common: the same tests for both, with `its` giving the server once it runs. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent, traceOf } from "./agents.mjs";
import { pidf, startSipJs } from "./rivals.mjs";

/** Whether a state is what the server says now. */
export const isKnown = (state) => state.subscription.state === "active" && !state.stale;

/** @param {string} algorithm what is answered with, @param {string} nothing the status of who has published nothing */
export function testPublishing(its, algorithm, nothing) {
  test("what one page publishes, another one sees", async (t) => {
    const server = its();
    const alice = openAgent(t, server, "alice", { register: true });
    const bob = openAgent(t, server, "bob", { register: true });
    const sent = traceOf(alice);
    const seen = observe(bob, addressOf(server, "alice"));
    const first = await seen.state(isKnown, "to be subscribed");
    assert.equal(first.status, nothing, "nothing is published");

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
}

/** @param {string} nothing the status of who has published nothing */
export function testPresence(its, nothing) {
  test("a busy lamp follows what a telephone system publishes of the calls", async (t) => {
    const server = its();
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
    const server = its();
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
    const server = its();
    const alice = openAgent(t, server, "alice");
    const bob = openAgent(t, server, "bob");
    await alice.publish({ status: "do-not-disturb", note: "Recording" });
    const answer = await bob.fetch(addressOf(server, "alice"));
    assert.equal(answer.status, "do-not-disturb");
    assert.equal(answer.note, "Recording");
    assert.equal((await bob.fetch(addressOf(server, "carol"))).status, nothing, "nobody published for carol");
    await alice.unpublish();
  });

  test("a publication that nobody refreshes is over", async (t) => {
    const server = its();
    const alice = await startSipJs(server, "alice");
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await seen.state(isKnown, "to be subscribed");
    await alice.publish(pidf(addressOf(server, "alice"), "open", "Written by SIP.js"), { expires: 6 });
    const open = await seen.state((state) => state.status === "available", "to be available");
    assert.equal(open.note, "Written by SIP.js");
    await alice.stop();
    await seen.state((state) => state.status === nothing && isKnown(state), "to be over");
  });

  test("a registered page can be reached", async (t) => {
    const server = its();
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
}
