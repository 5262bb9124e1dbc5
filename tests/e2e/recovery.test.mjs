/** A page with two hundred watches, whose server is killed and comes back. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { createAgent } from "sip-presence";
import { WebSocket } from "ws";
import { launch, missing } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const WATCHES = 200;
/** How long the server is away, in milliseconds. */
const OUTAGE = 30_000;
/** How many SUBSCRIBEs may be open at once. */
const WINDOW = 16;

const PAGE = `<!doctype html><meta charset="utf-8"><title>recovery</title><link rel="icon" href="data:,">`;

/** Runs in the page: watches everybody, and keeps what there is to know. */
async function watchAll({ url, count }) {
  const { createAgent } = await import("/pkg/index.js");
  const agent = createAgent({ server: url, aor: "sip:watcher@example.test", credentials: { username: "watcher", password: "pw" } });
  const seen = { open: 0, most: 0, stale: new Set(), onlineAt: 0, rightAt: 0, states: new Map() };
  const subscribes = new Set();
  agent.addEventListener("trace", ({ detail: { direction, text } }) => {
    const [, number, method] = /^CSeq: *(\d+) (\w+)/m.exec(text) ?? [];
    const key = `${/^Call-ID: *(\S+)/m.exec(text)?.[1]} ${number}`;
    if (method !== "SUBSCRIBE") return;
    if (direction === "sent") subscribes.add(key);
    else if (!/^SIP\/2\.0 1/.test(text)) subscribes.delete(key);
    seen.most = Math.max(seen.most, subscribes.size);
  });
  agent.addEventListener("connection", ({ detail }) => {
    if (detail.state === "online") seen.onlineAt = performance.now();
    else subscribes.clear();
  });
  const uris = Array.from({ length: count }, (_, number) => `sip:user${number}@example.test`);
  agent.watch(uris, (state, uri) => {
    seen.states.set(uri, state);
    if (state.stale) seen.stale.add(uri);
    seen.rightAt = performance.now();
  });
  globalThis.seen = seen;
}

test("two hundred watches are right again soon after the server is back", { skip: missing }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const names = Array.from({ length: WATCHES }, (_, number) => `user${number}`);
  const users = Object.fromEntries(["watcher", ...names].map((name) => [name, "pw"]));
  const config = join(folder, "config.json");
  await writeFile(config, JSON.stringify({ domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 }));

  const serve = async (port) => {
    const child = spawn(process.execPath, [join(root, "pkg", "cli.js"), "serve", "--config", config, "--port", String(port)]);
    let output = "";
    child.stdout.on("data", (text) => { output += text; });
    child.stderr.on("data", (text) => { output += text; });
    const url = await until(() => /WebSocket: (ws:\S+)/.exec(output)?.[1], () => `the server: ${output}`);
    return { child, url };
  };
  let server = await serve(0);
  const { url } = server;
  t.after(() => server.child.kill());

  const publisher = (name) => {
    const agent = createAgent({ server: url, aor: `sip:${name}@example.test`, credentials: { username: name, password: "pw" }, webSocket: WebSocket });
    t.after(() => agent.close());
    return agent;
  };
  const [first, last] = [publisher(names[0]), publisher(names.at(-1))];
  await Promise.all([first.publish({ status: "busy" }), last.publish({ status: "away" })]);

  const browser = await launch();
  t.after(() => browser.close());
  const site = await serveStatic(root, { files: { "/page.html": PAGE } });
  t.after(() => site.close());
  const page = await browser.newPage();
  await page.goto(`${site.url}/page.html`);
  await page.evaluate(watchAll, { url, count: WATCHES });
  const summary = () => page.evaluate(() => {
    const states = [...globalThis.seen.states.values()];
    const count = (test) => states.filter(test).length;
    const { most, stale, onlineAt, rightAt } = globalThis.seen;
    return {
      fresh: count((s) => s.subscription.state === "active" && !s.stale), offline: count((s) => s.status === "offline"),
      busy: count((s) => s.status === "busy"), away: count((s) => s.status === "away"), most, stale: stale.size, took: rightAt - onlineAt,
    };
  });
  const isRight = ({ fresh, offline, busy, away }) => fresh === WATCHES && offline === WATCHES - 2 && busy === 1 && away === 1;
  let seen;
  await until(async () => isRight(seen = await summary()), () => `the first states: ${JSON.stringify(seen)}`);
  assert.ok(seen.most <= WINDOW, `${seen.most} SUBSCRIBEs at once`);

  const ended = new Promise((resolve) => server.child.on("close", resolve));
  server.child.kill("SIGKILL");
  await ended;
  await until(async () => (seen = await summary()).stale === WATCHES, () => `all stale: ${JSON.stringify(seen)}`);
  await sleep(OUTAGE);
  server = await serve(new URL(url).port);
  await until(async () => isRight(seen = await summary()), () => `right again: ${JSON.stringify(seen)}`, 90_000);
  assert.ok(seen.most <= WINDOW, `${seen.most} SUBSCRIBEs at once`);
  t.diagnostic(`right ${Math.round(seen.took)} ms after the connection was back`);
});
