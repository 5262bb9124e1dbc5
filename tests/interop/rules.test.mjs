/** Rules at a real Kamailio: a page says by XCAP who may watch its user, and SIP.js watches. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, missing as noChromium } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";
import { addressOf, openAgent } from "./agents.mjs";
import { noTables, startKamailio } from "./kamailio.mjs";
import { startSipJs } from "./rivals.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("Kamailio with rules", { skip: noTables }, () => {
  let server, site, rival;
  before(async () => {
    site = await serveStatic(root, { files: { "/page.html": "<!doctype html><title>rules</title>" } });
    server = await startKamailio({ rules: site.url });
    // One for all: Kamailio 5.6 tells nobody of new rules when one subscription of the watcher is of a connection that is gone.
    rival = await startSipJs(server, "bob");
  });
  after(async () => {
    await rival?.stop();
    await server?.stop();
    await site?.close();
  });

  const bob = () => addressOf(server, "bob");
  const open = (t, name, options = {}) => openAgent(t, server, name, { xcapRoot: server.xcapRoot, ...options });

  /** SIP.js watches alice until the test ends: what it is told, which begins with `first`. */
  async function watch(t, first) {
    // Kamailio answers a PUT a moment before the new rules count for who subscribes.
    return await until(async () => {
      const told = [];
      const { end } = await rival.subscribe("alice", (notify) => told.push(notify));
      if (told[0].state !== first) return end();
      t.after(end);
      const last = (accept, label) => until(() => accept(told.at(-1)), () => `${label}: ${JSON.stringify(told.slice(-3))}`);
      return { told, last };
    }, `SIP.js to be ${first}`);
  }

  const tuples = ({ body = "" }) => body.match(/<(?:\w+:)?tuple /g)?.length ?? 0;

  test("one who waits is allowed, sees both devices of the user, and is blocked", async (t) => {
    const [desk, pocket] = [open(t, "alice"), open(t, "alice")];
    await desk.publish({ status: "available", note: "At the desk" });
    await pocket.publish({ status: "busy", note: "In the pocket" });
    const first = await watch(t, "pending");
    assert.equal(first.told[0].body, "", "nobody has decided");
    await desk.setPolicy(bob(), "allow");
    await first.last((notify) => notify.state === "active" && tuples(notify) === 2, "active, with both");
    assert.match(first.told.at(-1).body, /At the desk/);
    assert.match(first.told.at(-1).body, /In the pocket/);
    await pocket.publish({ status: "away", note: "Gone" });
    await first.last(({ body }) => body.includes("Gone"), "the change");
    await pocket.setPolicy(bob(), "block");
    await first.last(({ state, reason }) => state === "terminated" && reason === "rejected", "refused");
    // From the start, too.
    const second = await watch(t, "terminated");
    assert.ok(second.told.every(({ body }) => !body), "and shown nothing");
  });

  test("one who is blocked politely is active and sees nothing of it", async (t) => {
    const alice = open(t, "alice");
    await alice.publish({ status: "available", note: "Secret" });
    await alice.setPolicy(bob(), "polite-block");
    const { told, last } = await watch(t, "active");
    await alice.publish({ status: "busy", note: "Secret too" });
    await new Promise((resolve) => { setTimeout(resolve, 2000); });
    assert.ok(told.every(({ state, body }) => state === "active" && !/Secret|open/.test(body ?? "")), JSON.stringify(told));
    await alice.setPolicy(bob(), "allow");
    await last(({ state, body }) => state === "active" && /Secret too/.test(body ?? ""), "shown now");
    await alice.setPolicy(bob(), "ask");
    const again = await watch(t, "pending");
    assert.equal(again.told[0].body, "", "asked for anew");
  });

  test("who waits is seen, and decided about", async (t) => {
    const carol = open(t, "carol");
    const sees = async (agent, status) => {
      const lists = [];
      agent.watchers((watchers) => lists.push(watchers));
      await until(() => lists.at(-1)?.some((watcher) => watcher.uri === bob() && watcher.status === status),
        () => `${status}: ${JSON.stringify(lists.slice(-3))}`);
    };
    const told = [];
    const { end } = await rival.subscribe("carol", (notify) => told.push(notify));
    t.after(end);
    await sees(carol, "pending");
    await carol.setPolicy(bob(), "allow");
    await until(() => told.at(-1).state === "active", "active");
    // Kamailio tells watchers of watchers nothing of a decision; who begins to look is told what is so.
    await sees(open(t, "carol"), "active");
  });

  test("what cannot be done is told, and nothing is changed", async (t) => {
    const carol = open(t, "carol");
    const fails = (agent, code, status) => assert.rejects(agent.setPolicy(bob(), "block"), (error) => {
      assert.deepEqual([error.name, error.code, error.status, error.uri], ["PresenceError", code, status, bob()], error.message);
      return true;
    });
    await fails(open(t, "carol", { credentials: { username: "carol", password: "wrong" } }), "unauthorized", 401);
    await fails(open(t, "carol", { credentials: undefined }), "no-credentials", 401);
    await fails(open(t, "carol", { aor: addressOf(server, "alice") }), "forbidden", 403);
    await fails(open(t, "carol", { xcapRoot: `${server.xcapRoot}/nowhere` }), "not-found", 404);
    await fails(open(t, "carol", { xcapRoot: "http://127.0.0.1:9/xcap-root" }), "xcap-unreachable", undefined);
    await carol.setPolicy(bob(), "block");
    await carol.setPolicy(bob(), "block");
  });

  test("a page of another site does the same", { skip: noChromium }, async (t) => {
    const browser = await launch();
    t.after(() => browser.close());
    const page = await browser.newPage();
    await page.goto(`${site.url}/page.html`);
    const done = await page.evaluate(async ({ url, aor, xcapRoot, password, watcher }) => {
      const { createAgent } = await import("/pkg/index.js");
      const asked = [];
      const agent = createAgent({
        server: url, aor, xcapRoot,
        credentials: (challenge) => {
          asked.push(challenge);
          return { username: "alice", password };
        },
      });
      await agent.setPolicy(watcher, "block");
      await agent.setPolicy(watcher, "allow");
      await agent.close();
      const closed = await agent.setPolicy(watcher, "allow").catch((error) => error.code);
      return { asked, closed };
    }, { url: server.url, aor: addressOf(server, "alice"), xcapRoot: server.xcapRoot, password: server.users.alice, watcher: bob() });
    assert.ok(done.asked.length > 0 && done.asked.every(({ realm, rejected }) => realm === server.domain && !rejected), JSON.stringify(done.asked));
    assert.equal(done.closed, "closed");
    const alice = open(t, "alice");
    await alice.publish({ status: "available", note: "Seen" });
    const { last } = await watch(t, "active");
    await last(({ body }) => /Seen/.test(body ?? ""), "allowed by the page");
  });
});
