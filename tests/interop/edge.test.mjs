/** Two pages in Chromium that are presence agents, with a real Kamailio between them that only registers and forwards. */

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
<body><p id="seen"></p><ul id="watchers"></ul><script type="module" src="/page.js"></script></body></html>
`;

/** Each who asks to watch stands in a list, with a button that allows it and one that blocks it. */
const SCRIPT = `
import { createAgent } from "/index.js";
const { server, aor, username, password, watch } = Object.fromEntries(new URLSearchParams(location.search));
const agent = createAgent({
  server, aor, credentials: { username, password }, authorize: () => "ask", identities: "asserted",
});
agent.watch(watch, (state) => {
  const { subscription } = state;
  document.querySelector("#seen").textContent = [subscription.state, subscription.reason ?? "", state.status, state.note ?? ""].join(" ");
});
agent.watchers((watchers) => {
  document.querySelector("#watchers").replaceChildren(...watchers.map(({ uri, status }) => {
    const row = document.createElement("li");
    row.textContent = uri + " " + status + " ";
    for (const policy of ["allow", "block"]) {
      const button = document.createElement("button");
      button.textContent = policy;
      button.onclick = () => agent.setPolicy(uri, policy);
      row.append(button);
    }
    return row;
  }));
});
globalThis.agent = agent;
`;

describe("two pages behind a Kamailio without presence", { skip: noChromium || noKamailio }, () => {
  let browser;
  let kamailio;
  let site;

  before(async () => {
    kamailio = await startKamailio({ name: "proxy" });
    const csp = `default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ${kamailio.url}`;
    site = await serveStatic(PACKAGE, { files: { "/page.html": PAGE, "/page.js": SCRIPT }, csp });
    browser = await launch();
  });
  after(async () => {
    await browser?.close();
    await site?.close();
    await kamailio?.stop();
  });

  async function open(context, username, other) {
    const page = await context.newPage();
    const errors = [];
    page.on("pageerror", (error) => errors.push(error.message));
    const password = kamailio.users[username];
    const query = { server: kamailio.url, aor: addressOf(kamailio, username), username, password, watch: addressOf(kamailio, other) };
    await page.goto(`${site.url}/page.html?${new URLSearchParams(query)}`);
    await page.waitForFunction(() => "agent" in globalThis);
    let seen;
    const shows = async (text) => {
      seen = await page.locator("#seen").textContent();
      return seen === text;
    };
    return {
      page,
      errors,
      publish: (state) => until(page.evaluate((state) => agent.publish(state), state), `${username}'s page to publish`),
      sees: (text) => until(() => shows(text), () => `${username}'s page to show ${text}; it shows ${seen}`),
      decides: (word) => until(page.getByRole("button", { name: word }).click({ timeout: 0 }), `${username}'s page to have a button to ${word}`),
    };
  }

  test("they watch each other; one approves the other in its page; a block takes effect at once", async () => {
    const contexts = await Promise.all([browser.newContext(), browser.newContext()]);
    // 3856-6.11.2-b
    const alice = await open(contexts[0], "alice", "bob");
    await alice.publish({ status: "busy", note: "In a meeting" });
    const bob = await open(contexts[1], "bob", "alice");
    await bob.publish({ status: "available" });
    await bob.sees("pending  unknown ");
    await alice.page.reload();
    await alice.page.waitForFunction(() => "agent" in globalThis);
    await alice.publish({ status: "busy", note: "In a meeting" });
    await alice.decides("allow");
    await bob.sees("active  busy In a meeting");
    await bob.decides("allow");
    await alice.sees("active  available ");
    await alice.publish({ status: "away", note: "Lunch" });
    await bob.sees("active  away Lunch");

    // What was said is remembered by the browser.
    await alice.page.reload();
    await alice.page.waitForFunction(() => "agent" in globalThis);
    await alice.publish({ status: "busy", note: "Back" });
    await bob.sees("active  busy Back");

    await alice.decides("block");
    await bob.sees("terminated rejected busy Back");
    await alice.publish({ status: "available", note: "secret" });
    await alice.sees("active  available ");
    await bob.sees("terminated rejected busy Back");
    assert.deepEqual([...alice.errors, ...bob.errors], []);
  });
});
