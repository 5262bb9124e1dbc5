/** The file in which the presence server keeps over a restart what was decided. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { chmod, mkdir, mkdtemp, readFile, readdir, readlink, rename, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { StateError, startServer } from "sip-presence/server";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";
import { observe, openAgent } from "../interop/agents.mjs";

const users = { alice: "pw-alice", bob: "pw-bob", carol: "pw-carol" };
const config = { domain: "example.test", users, rules: { default: "confirm" }, notifyInterval: 0 };
const CLI = fileURLToPath(new URL("../../pkg/cli.js", import.meta.url));
const ALICE = "sip:alice@example.test";

async function folder(t) {
  const path = await mkdtemp(join(tmpdir(), "sip-presence-"));
  t.after(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function start(t, more) {
  const running = await startServer({ ...config, ...more });
  t.after(() => running.close());
  return running;
}

const kept = async (file) => JSON.parse(await readFile(file, "utf8"));

test("what was decided counts after a restart, and who watches sees it", async (t) => {
  const state = join(await folder(t), "state.json");
  const port = await freePort();
  const first = await start(t, { state, port });
  await until(async () => (await stat(state).catch(() => undefined))?.size > 0, "the file to be made");
  assert.deepEqual(await kept(state), { version: 1, policies: {}, rules: {} });
  const server = { url: first.url, domain: config.domain, users };
  await openAgent(t, server, "alice").publish({ status: "busy", note: "here" });
  const seen = observe(openAgent(t, server, "bob"), ALICE);
  await seen.state((s) => s.subscription.state === "pending", "waits");
  first.setPolicy("alice", "bob", "allow");
  await seen.state((s) => s.note === "here", "is shown");
  await until(async () => (await kept(state)).policies.alice?.bob === "allow", "the file to say so");
  // What was said last is written before the end.
  first.setPolicy("alice", "carol", "polite-block");
  await first.close();
  assert.deepEqual(await kept(state), { version: 1, policies: { alice: { bob: "allow", carol: "polite-block" } }, rules: {} });
  const before = seen.states.length;
  await start(t, { state, port });
  await seen.state((s) => !s.stale && s.note === "here" && seen.states.indexOf(s) >= before, "is shown again");
  await observe(openAgent(t, server, "carol"), ALICE).state((s) => s.status === "offline", "is offline to Carol");
});

test("many changes are written at once, and a reader finds a whole file at any time", async (t) => {
  const path = await folder(t);
  const state = join(path, "state.json");
  const server = await start(t, { state });
  await until(async () => (await readdir(path)).includes("state.json"), "the file to be made");
  const versions = new Set();
  const begun = performance.now();
  for (let round = 0; round < 30; round++) {
    for (const watcher of ["bob", "carol"]) {
      for (const decision of ["allow", "block", round % 2 ? "polite-block" : "confirm"]) server.setPolicy("alice", watcher, decision);
    }
    const text = await readFile(state, "utf8");
    assert.equal(JSON.parse(text).version, 1);
    versions.add((await stat(state)).ino);
    await new Promise((resolve) => { setTimeout(resolve, 10); });
  }
  // One in a tenth of a second, however slow the machine is.
  const most = 3 + (performance.now() - begun) / 100;
  await server.close();
  assert.ok(versions.size > 1 && versions.size < most, `${versions.size} files for 180 changes, more than ${most}`);
  assert.deepEqual((await kept(state)).policies, { alice: { bob: "polite-block", carol: "polite-block" } });
  assert.deepEqual(await readdir(path), ["state.json"], "nothing is left beside it");
});

test("a file that cannot be used is a StateError, and stays as it is", async (t) => {
  const path = await folder(t);
  const state = join(path, "state.json");
  const whole = JSON.stringify({ version: 1, policies: { alice: { bob: "allow" } } });
  for (const [text, says] of [
    ["", /EOF/], [whole.slice(0, -9), /EOF/], ["{}", /version/], ['{"version":7,"policies":{}}', /version: 7/],
    [whole.replace("allow", "perhaps"), /policies\.alice\.bob/], [Buffer.from([0x7b, 0xff]), /./],
  ]) {
    await writeFile(state, text);
    const error = await startServer({ ...config, state }).then(() => assert.fail("it runs"), (error) => error);
    assert.ok(error instanceof StateError && error instanceof Error, error.stack);
    assert.deepEqual([error.name, error.file], ["StateError", state]);
    assert.match(error.message, says);
    assert.ok(error.message.startsWith(`sip-presence: state: ${state}: `), error.message);
    assert.deepEqual(await readFile(state), Buffer.from(text));
  }
  await assert.rejects(startServer({ ...config, state: path }), { name: "StateError" }, "a folder");
  await assert.rejects(startServer({ ...config, state: join(path, "none", "state.json") }), { name: "StateError", message: /folder/ });
  for (const wrong of ["", 7, null, {}]) await assert.rejects(startServer({ ...config, state: wrong }), { name: "TypeError", message: /state: give/ });
  assert.deepEqual(await readdir(path), ["state.json"]);
});

test("names that are no users any more are told, and stay in the file", async (t) => {
  const state = join(await folder(t), "state.json");
  await writeFile(state, JSON.stringify({ version: 1, policies: { zed: { bob: "allow" }, alice: { yva: "block" } } }));
  const events = [];
  const server = await start(t, { state, onEvent: (event) => events.push(event) });
  assert.deepEqual(events, [{ kind: "ignored", user: "yva" }, { kind: "ignored", user: "zed" }]);
  server.setPolicy("alice", "bob", "allow");
  await server.close();
  assert.deepEqual((await kept(state)).policies, { alice: { bob: "allow", yva: "block" }, zed: { bob: "allow" } });
});

test("what a crash has left is passed over; a link stays one, and the mode of the file too", { skip: process.platform === "win32" }, async (t) => {
  const path = await folder(t);
  await mkdir(join(path, "real"));
  const [real, link] = [join(path, "real", "file.json"), join(path, "link.json")];
  await writeFile(real, JSON.stringify({ version: 1, policies: { alice: { bob: "allow" } } }));
  await chmod(real, 0o640);
  await symlink(real, link);
  // A link in its place must not make the server write elsewhere.
  await symlink(join(path, "elsewhere"), `${real}.tmp`);
  const server = await start(t, { state: link });
  server.setPolicy("alice", "carol", "block");
  await server.close();
  assert.equal(await readlink(link), real);
  assert.deepEqual((await kept(real)).policies, { alice: { bob: "allow", carol: "block" } });
  assert.equal((await stat(real)).mode & 0o777, 0o640 & ~process.umask());
  assert.deepEqual((await readdir(path)).sort(), ["link.json", "real"]);
  const fresh = join(path, "fresh.json");
  await (await start(t, { state: fresh })).close();
  assert.equal((await stat(fresh)).mode & 0o777, 0o600, "who may see whom is nobody else's affair");
});

test("a state that cannot be written is told, and written when it can be", async (t) => {
  const path = await folder(t);
  const [here, away] = [join(path, "here"), join(path, "away")];
  await mkdir(here);
  const state = join(here, "state.json");
  const events = [];
  const server = await start(t, { state, onEvent: (event) => events.push(event) });
  await until(async () => (await readdir(here)).includes("state.json"), "the file to be made");
  await rename(here, away);
  server.setPolicy("alice", "bob", "allow");
  await until(() => events.length > 0, "the event");
  assert.equal(events[0].kind, "unsaved");
  assert.match(events[0].what, /ENOENT/);
  await rename(away, here);
  // The next change does not wait until it is tried again.
  server.setPolicy("alice", "carol", "block");
  await until(async () => (await kept(state)).policies.alice?.carol === "block", "the file to have it", 5000);
  await rename(here, away);
  server.setPolicy("alice", "carol", "allow");
  await until(() => events.length > 1, "the event");
  await rename(away, here);
  await server.close();
  assert.deepEqual((await kept(state)).policies, { alice: { bob: "allow", carol: "allow" } });
  // Who does not listen gets a warning.
  const warned = new Promise((resolve) => { process.once("warning", resolve); });
  const other = await start(t, { state });
  await rename(here, away);
  other.setPolicy("alice", "bob", "block");
  assert.match((await until(warned, "the warning")).message, /state was not written.*ENOENT/);
});

test("the command line has it too", async (t) => {
  const path = await folder(t);
  const [state, file] = [join(path, "state.json"), join(path, "config.json")];
  await writeFile(file, JSON.stringify(config));
  const run = (ready) => new Promise((resolve) => {
    const child = spawn(process.execPath, [CLI, "serve", "--port", "0", "--config", file, "--state", state]);
    t.after(() => child.kill());
    let output = "";
    const take = (chunk) => {
      output += chunk;
      if (ready.test(output)) resolve({ child, output });
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.on("close", (code) => resolve({ child, output, code }));
  });
  const { child } = await run(/WebSocket: \S+/);
  const ended = new Promise((resolve) => { child.on("close", resolve); });
  child.kill("SIGTERM");
  assert.equal(await until(ended, "the end"), 0);
  assert.deepEqual(await kept(state), { version: 1, policies: {}, rules: {} });
  await writeFile(state, JSON.stringify({ version: 1, policies: { zed: {} } }));
  const second = await run(/WebSocket: \S+/);
  assert.match(second.output, /the state has something about "zed", who is no user/);
  second.child.kill();
  await writeFile(state, "{");
  const { code, output } = await run(/never/);
  assert.equal(code, 1);
  assert.match(output, /^sip-presence: state: .*state\.json: EOF/);
  assert.doesNotMatch(output, /^ {4}at /m, "no stack trace");
});
