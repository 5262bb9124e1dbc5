/** A page registers as the same device after a reload; another tab is another device. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { startServer } from "sip-presence/server";
import { launch, missing } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = `<!doctype html><meta charset="utf-8"><title>device</title><link rel="icon" href="data:,">`;

/** Runs in the page: registers, and gives the Contact that the server confirms. */
async function register(url) {
  const { createAgent } = await import("/pkg/index.js");
  const agent = createAgent({
    server: url, aor: "sip:alice@example.test", credentials: { username: "alice", password: "pw" }, register: true,
  });
  return new Promise((resolve) => {
    let contact;
    agent.addEventListener("trace", ({ detail: { direction, text } }) => {
      if (!/^CSeq: *\d+ REGISTER/m.test(text)) return;
      if (direction === "sent") contact = /^Contact: (.*)\r$/m.exec(text)[1];
      else if (/^SIP\/2\.0 200/.test(text)) resolve(contact);
    });
  });
}

// 5626-4.1-a 7118-B.1-c
test("a tab is one device, also after a reload", { skip: missing }, async (t) => {
  const server = await startServer({ domain: "example.test", users: { alice: "pw" }, rules: { default: "allow" } });
  t.after(() => server.close());
  const site = await serveStatic(root, { files: { "/device.html": PAGE } });
  t.after(() => site.close());
  const browser = await launch();
  t.after(() => browser.close());
  const context = await browser.newContext();
  const open = async () => {
    const page = await context.newPage();
    await page.goto(`${site.url}/device.html`);
    return page;
  };
  const device = async (page) => /;\+sip\.instance="<(.*?)>";reg-id=1/.exec(await page.evaluate(register, server.url))?.[1];
  const page = await open();
  const first = await device(page);
  assert.match(first, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  for (let load = 0; load < 2; load++) {
    await page.reload();
    assert.equal(await device(page), first);
  }
  assert.notEqual(await device(await open()), first, "two tabs do not replace each other at the server");
});
