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
import { freePort } from "../common/port.mjs";
import { serveStatic } from "../common/static.mjs";
import { missing as noKamailio, startKamailio } from "../interop/kamailio.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const WATCHES = 200;
/** How long the server is away, in milliseconds. */
const OUTAGE = 30_000;
/** How many SUBSCRIBEs may be open at once. */
const WINDOW = 16;

const PAGE = `<!doctype html><meta charset="utf-8"><title>recovery</title><link rel="icon" href="data:,">`;

/** Runs in the page: watches everybody, and keeps what there is to know. */
async function watchAll({ url, domain, count }) {
  const { createAgent } = await import("/pkg/index.js");
  const agent = createAgent({ server: url, aor: `sip:watcher@${domain}`, credentials: { username: "watcher", password: "pw" } });
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
  const uris = Array.from({ length: count }, (_, number) => `sip:user${number}@${domain}`);
  agent.watch(uris, (state, uri) => {
    seen.states.set(uri, state);
    if (state.stale) seen.stale.add(uri);
    seen.rightAt = performance.now();
  });
  globalThis.seen = seen;
}

const names = Array.from({ length: WATCHES }, (_, number) => `user${number}`);
const users = Object.fromEntries(["watcher", ...names].map((name) => [name, "pw"]));

/** Our own server, as a process that can be killed. */
async function startOwn(t) {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(folder, { recursive: true }));
  const domain = "example.test";
  const config = join(folder, "config.json");
  await writeFile(config, JSON.stringify({ domain, users, rules: { default: "allow" }, notifyInterval: 0 }));
  let child;
  const port = await freePort();
  const serve = async () => {
    child = spawn(process.execPath, [join(root, "pkg", "cli.js"), "serve", "--config", config, "--port", String(port)]);
    let output = "";
    child.stdout.on("data", (text) => { output += text; });
    child.stderr.on("data", (text) => { output += text; });
    return until(() => /WebSocket: (ws:\S+)/.exec(output)?.[1], () => `the server: ${output}`);
  };
  t.after(() => child.kill());
  const url = await serve();
  return {
    url, domain,
    kill: async () => {
      const ended = new Promise((resolve) => child.on("close", resolve));
      child.kill("SIGKILL");
      await ended;
    },
    start: serve,
  };
}

async function startTheirs(t) {
  // It takes a short list of users; who only is watched need not be one.
  const server = await startKamailio({ users: { watcher: "pw", [names[0]]: "pw", [names.at(-1)]: "pw" } });
  t.after(() => server.stop());
  return server;
}

for (const [name, start, skip] of [["our server", startOwn, missing], ["Kamailio", startTheirs, missing || noKamailio]]) {
  test(`two hundred watches are right again soon after ${name} is back`, { skip }, (t) => recover(t, start));
}

async function recover(t, start) {
  const server = await start(t);
  const { url, domain } = server;
  const publisher = (name) => {
    const agent = createAgent({ server: url, aor: `sip:${name}@${domain}`, credentials: { username: name, password: "pw" }, webSocket: WebSocket });
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
  await page.evaluate(watchAll, { url, domain, count: WATCHES });
  const summary = () => page.evaluate(() => {
    const states = [...globalThis.seen.states.values()];
    const count = (test) => states.filter(test).length;
    const { most, stale, onlineAt, rightAt } = globalThis.seen;
    return {
      fresh: count((s) => s.subscription.state === "active" && !s.stale), quiet: count((s) => s.status === "offline" || s.status === "unknown"),
      busy: count((s) => s.status === "busy"), away: count((s) => s.status === "away"), most, stale: stale.size, took: rightAt - onlineAt,
    };
  });
  // Of whom nothing was published some servers say that they are offline, some say nothing.
  const isRight = ({ fresh, quiet, busy, away }) => fresh === WATCHES && quiet === WATCHES - 2 && busy === 1 && away === 1;
  let seen;
  await until(async () => isRight(seen = await summary()), () => `the first states: ${JSON.stringify(seen)}`);
  assert.ok(seen.most <= WINDOW, `${seen.most} SUBSCRIBEs at once`);

  await server.kill();
  await until(async () => (seen = await summary()).stale === WATCHES, () => `all stale: ${JSON.stringify(seen)}`);
  await sleep(OUTAGE);
  await server.start();
  await until(async () => isRight(seen = await summary()), () => `right again: ${JSON.stringify(seen)}`, 180_000);
  assert.ok(seen.most <= WINDOW, `${seen.most} SUBSCRIBEs at once`);
  t.diagnostic(`right ${Math.round(seen.took)} ms after the connection was back`);
}
