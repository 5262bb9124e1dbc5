/** Kamailio on PostgreSQL, alone and as two nodes over one database: what survives a restart, and the loss of a node. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";
import { addressOf, observe, openAgent, traceOf } from "./agents.mjs";
import { startKamailio } from "./kamailio.mjs";
import { noPostgres, startPostgres } from "./postgres.mjs";
import { startSipJs } from "./rivals.mjs";

const FRIENDS = "sip:friends@kamailio.test";

const isKnown = (state) => state.subscription.state === "active" && !state.stale;

/** Waits until the watch is right again after a loss: `status`, and nobody is taken to have moved. */
async function rightAgain(seen, status) {
  const lost = await seen.state((state) => state.stale, "to be stale");
  assert.equal(lost.status, status, "the last known state stays");
  const again = await seen.state(isKnown, "to be right again");
  assert.deepEqual([again.status, again.cause], [status, "resync"]);
}

/** The first request with this method in a trace, and how requests with its Call-ID were answered but for challenges. */
function requests(trace, method) {
  const rows = trace.filter(({ text }) => new RegExp(`^CSeq: \\d+ ${method}\r$`, "m").test(text));
  const sent = rows.find(({ direction, text }) => direction === "sent" && text.startsWith(method))?.text;
  const id = /^Call-ID: .*$/m.exec(sent)?.[0];
  const answers = rows.filter(({ direction, text }) => direction === "received" && text.startsWith("SIP/2.0") && text.includes(id))
    .map(({ text }) => Number(text.slice(8, 11))).filter((status) => status !== 401 && status !== 407);
  return { sent, answers };
}

/**
 * Whether a dialog and a publication went on, once both are back: the server knew them. A request may have been lost where
 * a node died in the middle of it; another one follows then.
 */
async function wentOn(watcher, publisher) {
  await until(() => requests(publisher, "PUBLISH").answers.length > 0, "an answer to PUBLISH");
  const subscribe = requests(watcher, "SUBSCRIBE");
  assert.match(subscribe.sent, /^To: .*;tag=/m, "in its dialog");
  assert.ok(subscribe.answers.every((status) => status === 200), `answered with ${subscribe.answers}`);
  const publish = requests(publisher, "PUBLISH");
  assert.match(publish.sent, /^SIP-If-Match: /m, "with its tag");
  assert.equal(publish.answers[0], 200);
}

describe("Kamailio on PostgreSQL", { skip: noPostgres }, () => {
  let postgres, server;
  before(async () => {
    postgres = await startPostgres();
    const port = await freePort();
    server = await startKamailio({ postgres, port, nodes: [port], algorithm: "SHA-256" });
  });
  after(async () => {
    await server?.stop();
    await postgres?.stop();
  });

  test("publications, subscriptions and registrations survive a restart", async (t) => {
    const alice = openAgent(t, server, "alice", { register: true });
    const bob = openAgent(t, server, "bob");
    const seen = observe(bob, addressOf(server, "alice"));
    await alice.publish({ status: "busy", note: "Kept – späť" });
    await seen.state((state) => state.status === "busy", "to be busy");
    await until(() => postgres.query("SELECT username FROM location") === "alice", "alice to be registered");

    const [watcher, publisher] = [traceOf(bob), traceOf(alice)];
    await server.kill();
    assert.equal(postgres.query("SELECT count(*) FROM location, presentity, active_watchers"), "1", "one of each");
    await server.start();
    await rightAgain(seen, "busy");
    await wentOn(watcher, publisher);

    await alice.publish({ status: "away" });
    const away = await seen.state((state) => state.status === "away", "to be away");
    assert.equal(away.cause, "change");
    await alice.unpublish();
    await seen.state((state) => state.status === "offline", "to be offline");
    assert.equal((await bob.fetch(addressOf(server, "carol"))).status, "unknown", "nobody published for carol");
    await assert.rejects(openAgent(t, server, "carol", { credentials: { username: "carol", password: "wrong" } })
      .publish({ status: "busy" }), { code: "unauthorized" });
  });

  test("a database that is away for a moment ends nothing", async (t) => {
    const alice = openAgent(t, server, "alice");
    const seen = observe(openAgent(t, server, "bob"), addressOf(server, "alice"));
    await alice.publish({ status: "busy" });
    await seen.state((state) => state.status === "busy", "to be busy");
    await postgres.kill();
    await postgres.start();
    await until(() => alice.publish({ status: "away" }).then(() => true, () => false), "the publication to be taken");
    await seen.state((state) => state.status === "away", "to be away");
    await alice.unpublish();
  });
});

describe("two nodes of Kamailio over one database", { skip: noPostgres }, () => {
  let postgres, first, second;
  before(async () => {
    postgres = await startPostgres();
    const nodes = [await freePort(), await freePort()];
    const options = { postgres, nodes, rules: "https://app.kamailio.test" };
    const lists = { bob: { [FRIENDS]: ["alice", "carol"].map((name) => `sip:${name}@kamailio.test`) } };
    first = await startKamailio({ ...options, port: nodes[0], lists });
    second = await startKamailio({ ...options, port: nodes[1], lists });
    const alice = openAgent({ after }, first, "alice", { xcapRoot: first.xcapRoot });
    for (const name of ["bob", "carol"]) await alice.setPolicy(addressOf(first, name), "allow");
  });
  after(async () => {
    await second?.stop();
    await first?.stop();
    await postgres?.stop();
  });

  const alice = () => addressOf(first, "alice");
  /** A page of the first node that goes on at the second one. */
  const open = (t, name, options = {}) =>
    openAgent(t, first, name, { server: [first.url, second.url], register: true, ...options });

  test("a page at one node sees what is published at the other one, and is reached from there", async (t) => {
    const bob = openAgent(t, second, "bob", { register: true });
    const trace = traceOf(bob);
    const seen = observe(bob, alice());
    const [desk, pocket] = [openAgent(t, first, "alice"), openAgent(t, second, "alice")];
    await Promise.all([desk.publish({ status: "available", note: "desk" }), pocket.publish({ status: "busy", note: "pocket" })]);
    await seen.state((state) => state.presence?.tuples.length === 2, "to have two devices");
    // Both nodes tell one watcher at once: nothing is lost, and nothing comes in the wrong order.
    for (const round of [1, 2, 3]) {
      await Promise.all([desk.publish({ status: "available", note: `desk ${round}` }), pocket.publish({ status: "busy", note: `pocket ${round}` })]);
    }
    const notes = (state) => state.presence?.tuples.flatMap((tuple) => tuple.notes.map(({ text }) => text)).sort().join() ?? "";
    await seen.state((state) => notes(state) === "desk 3,pocket 3", "to have the last state of both");
    await Promise.all([desk.unpublish(), pocket.unpublish()]);
    await seen.state((state) => state.status === "offline", "to be offline");
    const notifies = trace.filter(({ direction, text }) => direction === "sent" && /^CSeq: \d+ NOTIFY\r$/m.test(text));
    assert.ok(notifies.every(({ text }) => text.startsWith("SIP/2.0 200 ")), "every NOTIFY was taken");

    const rival = await startSipJs(first, "carol");
    assert.equal(await rival.message("bob", "Are you there?"), 405, "the page itself says that it has no use for it");
    await rival.stop();
  });

  test("the pages of a node that dies go on at the other one, and come back", async (t) => {
    const [publisher, bob, carol] = [open(t, "alice"), open(t, "bob"), openAgent(t, second, "carol")];
    const [seen, other] = [observe(bob, alice()), observe(carol, alice())];
    await publisher.publish({ status: "busy", note: "Before the crash" });
    for (const each of [seen, other]) await each.state((state) => state.status === "busy", "to be busy");

    const traces = [traceOf(bob), traceOf(publisher)];
    await first.kill();
    await rightAgain(seen, "busy");
    await until(() => publisher.connection.state === "online", "alice to be online");
    await publisher.publish({ status: "away" });
    for (const each of [seen, other]) await each.state((state) => state.status === "away", "to be away");
    await wentOn(...traces);
    assert.ok(other.states.every(({ stale }) => !stale), "who was at the other node noticed nothing");

    await first.start();
    await second.kill();
    await rightAgain(seen, "away");
    await until(() => publisher.connection.state === "online", "alice to be online");
    await publisher.publish({ status: "available" });
    await seen.state((state) => state.status === "available", "to be available");
    await second.start();
    await other.state((state) => state.status === "available" && isKnown(state), "to be available at the second node");
    await publisher.unpublish();
  });

  test("rules survive a restart of all nodes", async (t) => {
    const publisher = open(t, "alice");
    const seen = observe(open(t, "bob"), alice());
    await publisher.publish({ status: "busy" });
    await seen.state((state) => state.status === "busy", "to be busy");
    await Promise.all([first.kill(), second.kill()]);
    await Promise.all([first.start(), second.start()]);
    await rightAgain(seen, "busy");
    // A watcher without a rule still waits, and is decided about at the other node.
    const page = openAgent(t, second, "alice", { xcapRoot: second.xcapRoot });
    await page.setPolicy(addressOf(first, "carol"), "block");
    const refused = observe(openAgent(t, first, "carol"), alice());
    await refused.state((state) => state.subscription.state === "terminated", "to be refused");
    await page.setPolicy(addressOf(first, "carol"), "allow");
    await publisher.unpublish();
  });

  test("a list is told across the nodes, and after the loss of one", async (t) => {
    const [publisher, carol] = [openAgent(t, second, "alice"), openAgent(t, second, "carol", { xcapRoot: second.xcapRoot })];
    await carol.setPolicy(addressOf(first, "bob"), "allow");
    const states = new Map();
    open(t, "bob", { full: true }).watchList(FRIENDS, (state, uri) => states.set(uri, state));
    const shows = (name, status) => () => {
      const state = states.get(addressOf(first, name));
      return state?.status === status && !state.stale;
    };
    const seen = () => JSON.stringify([...states.values()].map(({ uri, status, stale, cause }) => [uri, status, stale, cause]));
    // One after the other: the list server of 5.6 may lose a change while it tells another one.
    await until(() => states.size === 2, seen);
    await publisher.publish({ status: "busy" });
    await until(shows("alice", "busy"), seen);
    await carol.publish({ status: "away" });
    await until(shows("carol", "away"), seen);
    await first.kill();
    await until(() => states.get(alice()).stale, seen);
    await publisher.publish({ status: "available" });
    await until(() => shows("alice", "available")() && shows("carol", "away")(), seen);
    await first.start();
  });
});
