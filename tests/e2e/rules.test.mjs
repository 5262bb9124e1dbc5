/** Rules at an XCAP server of another origin, from a page in Chromium: what the server has to allow, and what is told if it does not. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { launch, missing } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { startXcap } from "../common/xcap.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

describe("rules at a server of another origin", { skip: missing }, () => {
  let browser, site;
  before(async () => {
    browser = await launch();
    site = await serveStatic(root, { files: { "/page.html": "<!doctype html><title>rules</title>" } });
  });
  after(async () => {
    await browser?.close();
    await site?.close();
  });

  /** What a page gets that sets two policies: "done", or the failures. */
  async function set(t, cors, password = "pw") {
    const xcap = await startXcap({ users: { alice: "pw" }, algorithms: ["SHA-256"], cors: cors && { origin: site.url, ...cors } });
    t.after(() => xcap.close());
    const page = await browser.newPage();
    t.after(() => page.close());
    const dialogs = [];
    page.on("dialog", (dialog) => dialogs.push(dialog.type()));
    await page.goto(`${site.url}/page.html`);
    const said = await page.evaluate(async ({ xcapRoot, password }) => {
      const { createAgent } = await import("/pkg/index.js");
      // Rules need no SIP server.
      const agent = createAgent({ server: "ws://127.0.0.1:9/", aor: "sip:alice@example.test", credentials: { username: "alice", password }, xcapRoot });
      const said = [];
      for (const policy of ["allow", "block"]) {
        said.push(await agent.setPolicy("sip:bob@example.test", policy).then(() => "done", ({ code }) => code));
      }
      await agent.close();
      return said;
    }, { xcapRoot: xcap.root, password });
    assert.deepEqual(dialogs, []);
    const puts = xcap.requests.filter(({ method }) => method === "PUT").map(({ headers }) => headers["if-none-match"] ?? headers["if-match"]);
    return { said, puts };
  }

  test("with all that is wanted, rules are written under their condition", async (t) => {
    assert.deepEqual(await set(t, { expose: "ETag, WWW-Authenticate" }), { said: ["done", "done"], puts: ["*", '"t1"'] });
  });

  test("where the entity-tag cannot be seen, the last one who writes wins", async (t) => {
    assert.deepEqual(await set(t, { expose: "WWW-Authenticate" }), { said: ["done", "done"], puts: ["*", undefined] });
  });

  test("what the server does not allow is told", async (t) => {
    assert.deepEqual((await set(t, { expose: "ETag" })).said, ["algorithm", "algorithm"], "no challenge to be seen");
    assert.deepEqual((await set(t, undefined)).said, ["xcap-unreachable", "xcap-unreachable"]);
    assert.deepEqual((await set(t, { expose: "ETag, WWW-Authenticate" }, "wrong")).said, ["unauthorized", "unauthorized"]);
  });
});
