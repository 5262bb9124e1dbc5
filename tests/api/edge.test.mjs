/** Pages with `authorize` at the presence server: it leaves watchers to the page, as long as that is there. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "sip-presence/server";
import { WebSocket } from "ws";
import { until } from "../common/wait.mjs";
import { observe, openAgent } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob", carol: "pw-carol" };
const config = { domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 };
const [ALICE, BOB] = ["sip:alice@example.test", "sip:bob@example.test"];

async function start(t, more = {}) {
  const running = await startServer({ ...config, ...more });
  t.after(() => running.close());
  return { url: running.url, domain: config.domain, users, running };
}

/** Alice's page; `errors` has what it is told. */
async function page(t, server, options) {
  const agent = openAgent(t, server, "alice", { identities: "from", ...options });
  const errors = [];
  agent.addEventListener("error", ({ detail }) => errors.push(detail.code));
  await agent.publish({ status: "busy", note: "here" });
  return Object.assign(agent, { errors });
}

test("authorize is asked at this server too, and decides", async (t) => {
  const events = [];
  const server = await start(t, { onEvent: (event) => events.push(event) });
  const asked = [];
  let decide;
  const alice = await page(t, server, {
    authorize: (who) => {
      asked.push(who.uri);
      return who.uri === BOB ? "allow" : new Promise((resolve) => { decide = resolve; });
    },
  });
  const seen = observe(openAgent(t, server, "bob"), ALICE);
  await seen.state(({ note, subscription }) => note === "here" && subscription.state === "active", "is shown");
  const other = observe(openAgent(t, server, "carol"), ALICE);
  await other.state(({ subscription }) => subscription.state === "pending", "waits");
  decide("polite-block");
  await other.state(({ status, subscription }) => status === "offline" && subscription.state === "active", "seems offline");
  await alice.setPolicy(BOB, "block");
  await seen.state(({ subscription }) => subscription.reason === "rejected", "is refused");
  assert.deepEqual(asked, [BOB, "sip:carol@example.test"]);
  assert.deepEqual(alice.errors, []);
  assert.ok(events.some(({ kind, watcher, presentity }) => kind === "subscribed" && watcher === "bob" && presentity === "alice"));
});

test("watchers go to the page when it comes, and back to the server when it leaves or dies", async (t) => {
  const server = await start(t, { rules: { default: "confirm" } });
  const seen = observe(openAgent(t, server, "bob"), ALICE);
  await seen.state(({ subscription }) => subscription.state === "pending", "waits");
  const alice = await page(t, server, { authorize: () => "allow" });
  await seen.state(({ note }) => note === "here", "is shown");
  await alice.close();
  await seen.state(({ subscription }) => subscription.state === "pending", "waits again");
  // One that is lost without a word.
  const sockets = [];
  class Lost extends WebSocket {
    constructor(url, protocols) {
      super(sockets.length === 0 ? url : "ws://127.0.0.1:9/", protocols);
      this.on("error", () => {});
      sockets.push(this);
    }
  }
  const again = await page(t, server, { authorize: () => "allow", webSocket: Lost });
  await seen.state(({ note }) => note === "here", "is shown again");
  sockets[0].terminate();
  await until(() => sockets.length > 1, "the page to look for the server");
  await seen.state(({ subscription }) => subscription.state === "pending", "waits once more");
  await again.close();
});

test("both pages may be such pages, and a user may watch the own one", async (t) => {
  const server = await start(t);
  const alice = await page(t, server, { authorize: () => "allow" });
  const bob = openAgent(t, server, "bob", { identities: "asserted", authorize: () => "allow" });
  await bob.publish({ status: "away" });
  await observe(alice, BOB).state(({ status }) => status === "away", "is away");
  await observe(bob, ALICE).state(({ note }) => note === "here", "is shown");
  await observe(alice, ALICE).state(({ note }) => note === "here", "sees herself");
  await observe(openAgent(t, server, "alice"), ALICE).state(({ note }) => note === "here", "sees her page");
});

test("what the program forbids is not left to the page", async (t) => {
  const server = await start(t);
  const asked = [];
  await page(t, server, { authorize: (who) => { asked.push(who.uri); return "allow"; } });
  const seen = observe(openAgent(t, server, "bob"), ALICE);
  await seen.state(({ note }) => note === "here", "is shown");
  server.running.setPolicy("alice", "bob", "polite-block");
  await seen.state(({ status }) => status === "offline", "seems offline");
  server.running.setPolicy("alice", "carol", "block");
  await observe(openAgent(t, server, "carol"), ALICE).state(({ subscription }) => subscription.state === "terminated", "is refused");
  assert.deepEqual(asked, [BOB]);
});
