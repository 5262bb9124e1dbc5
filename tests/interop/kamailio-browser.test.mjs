/** The browser entry in two pages of a real Chromium, with a real Kamailio between them. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, missing as noChromium } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";
import { addressOf } from "./agents.mjs";
import { missing as noKamailio, startKamailio } from "./kamailio.mjs";

const PACKAGE = fileURLToPath(new URL("../../pkg", import.meta.url));

const PAGE = `<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Presence</title></head>
<body><p id="status"></p><p id="note"></p><script type="module" src="/page.js"></script></body></html>
`;

/** An agent for the account of the query string. It shows what it watches, and does what the test tells it. */
const SCRIPT = `
import { createAgent } from "/index.js";
const { server, aor, username, password, watch } = Object.fromEntries(new URLSearchParams(location.search));
const agent = createAgent({ server, aor, credentials: { username, password }, register: true });
if (watch) {
  agent.watch(watch, (state) => {
    document.querySelector("#status").textContent = state.stale ? state.status + " (stale)" : state.status;
    document.querySelector("#note").textContent = state.note ?? "";
  });
}
globalThis.agent = agent;
`;

describe("Chromium and Kamailio", { skip: noChromium || noKamailio }, () => {
  let browser;
  let kamailio;
  let site;

  before(async () => {
    kamailio = await startKamailio();
    // As strict as a policy can be that allows WebAssembly and the one connection.
    const csp = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${kamailio.url}`;
    site = await serveStatic(PACKAGE, { files: { "/page.html": PAGE, "/page.js": SCRIPT }, csp });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    await kamailio?.stop();
  });

  async function open(username, watch = "") {
    const page = await browser.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    const password = kamailio.users[username];
    const query = { server: kamailio.url, aor: addressOf(kamailio, username), username, password, watch };
    await page.goto(`${site.url}/page.html?${new URLSearchParams(query)}`);
    await page.waitForFunction(() => "agent" in globalThis);
    const text = (id) => page.locator(id).textContent();
    return {
      errors,
      /** Calls the agent of the page. */
      tell: (verb, ...args) =>
        until(
          page.evaluate(([verb, args]) => agent[verb](...args), [verb, args]),
          `${username}'s page to ${verb}`,
        ),
      shows: (status, note = "") =>
        until(
          async () => (await text("#status")) === status && (await text("#note")) === note,
          `${username}'s page to show ${status} ${note}`,
        ),
    };
  }

  test("one page publishes, the other page shows it", async () => {
    const bob = await open("bob", addressOf(kamailio, "alice"));
    const alice = await open("alice");
    await alice.tell("publish", { status: "busy", note: "In a meeting", activities: ["meeting"] });
    await bob.shows("busy", "In a meeting");
    await alice.tell("publish", { status: "available" });
    await bob.shows("available");

    await kamailio.kill();
    await bob.shows("available (stale)");
    await kamailio.start();
    await bob.shows("available");
    await alice.tell("publish", { status: "away", note: "Back at three" });
    await bob.shows("away", "Back at three");

    await alice.tell("unpublish");
    await bob.shows("offline");
    assert.deepEqual([...alice.errors, ...bob.errors], []);
  });
});
