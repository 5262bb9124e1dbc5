/** Lists, rules and watcher information of a real OpenSIPS. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { event, until } from "../common/wait.mjs";
import { addressOf, observe, openAgent, traceOf } from "./agents.mjs";
import { missing, startOpenSips } from "./opensips.mjs";

const FRIENDS = "sip:friends@opensips.test";

describe("OpenSIPS with lists", { skip: missing }, () => {
  let server;
  before(async () => {
    server = await startOpenSips({ lists: { bob: { [FRIENDS]: ["sip:alice@opensips.test", "sip:carol@opensips.test"] } } });
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
    const seen = () => JSON.stringify([...states.values()].map(({ uri, status, stale, cause, subscription }) => [uri, status, stale, cause, subscription]));
    await until(() => states.size === 2, "both members");

    await alice.publish({ status: "busy", note: "In a meeting" });
    await until(shows(a, "busy"), seen);
    assert.equal(states.get(a).note, "In a meeting");
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
    assert.deepEqual([...new Set(told)].sort(), [a, c].sort());
  });

  test("an address that is no list is told as such", async (t) => {
    const bob = openAgent(t, server, "bob", { full: true });
    const failed = event(bob, "error");
    bob.watchList("sip:nobody@opensips.test", () => assert.fail("nobody is in it"));
    const { detail } = await failed;
    assert.deepEqual([detail.code, detail.uri], ["no-list", "sip:nobody@opensips.test"]);
  });
});

/** Pres-rules (RFC 5025) that allow or block one watcher each. */
const pdr = (rules) => `<?xml version="1.0"?><ruleset xmlns="urn:ietf:params:xml:ns:common-policy" xmlns:pr="urn:ietf:params:xml:ns:pres-rules">${
  Object.entries(rules).map(([uri, handling], index) => `<rule id="r${index}"><conditions><identity><one id="${uri}"/></identity></conditions><actions><pr:sub-handling>${
    handling}</pr:sub-handling></actions><transformations><pr:provide-persons><pr:all-persons/></pr:provide-persons><pr:provide-services><pr:all-services/></pr:provide-services><pr:provide-all-attributes/></transformations></rule>`).join("")}</ruleset>`;

describe("OpenSIPS with rules", { skip: missing }, () => {
  let server;
  before(async () => {
    server = await startOpenSips({ rules: { alice: pdr({ "sip:bob@opensips.test": "allow", "sip:carol@opensips.test": "block" }) } });
  });
  after(() => server?.stop());

  test("who is allowed sees, who is blocked is refused, about whom nothing is said waits and is seen waiting", async (t) => {
    const [alice, bob, carol] = ["alice", "bob", "carol"].map((name) => openAgent(t, server, name, { full: true }));
    if (process.env.TRACE) for (const a of [alice, bob, carol]) a.addEventListener("trace", ({ detail }) => console.log(detail.direction, detail.text));
    const allowed = observe(bob, addressOf(server, "alice"));
    const blocked = observe(carol, addressOf(server, "alice"));
    const waiting = observe(carol, addressOf(server, "bob"));
    await alice.publish({ status: "busy" });
    await allowed.state((state) => state.status === "busy", "to be busy");
    const end = await blocked.state((state) => state.subscription.state === "terminated", "to be refused");
    assert.deepEqual([end.subscription.reason, end.status], ["rejected", "unknown"]);
    await waiting.state((state) => state.subscription.state === "pending", "to be pending");
    const lists = [];
    bob.watchers((watchers) => lists.push(watchers));
    await until(() => lists.at(-1)?.some(({ uri, status }) => uri === addressOf(server, "carol") && status === "pending"), () => JSON.stringify(lists));
  });
});
