/** Runs a SIP server of somebody else on loopback, for a test. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, rmSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { WebSocket } from "ws";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";

/** Asks whether the server is there. */
const OPTIONS = [
  "OPTIONS sip:127.0.0.1 SIP/2.0",
  "Via: SIP/2.0/WS ready.invalid;branch=z9hG4bK-ready",
  "Max-Forwards: 70",
  "From: <sip:ready@ready.invalid>;tag=ready",
  "To: <sip:127.0.0.1>",
  "Call-ID: ready@ready.invalid",
  "CSeq: 1 OPTIONS",
  "Content-Length: 0",
  "\r\n",
].join("\r\n");

/** Whether a program can be run. */
export const runs = (executable) => spawnSync(executable, ["-V"]).error === undefined;

/**
 * A running server.
 *
 * @typedef {object} Daemon
 * @property {string} folder of its own; it goes when the server is stopped
 * @property {number} port of its WebSocket, on 127.0.0.1
 * @property {string} url the WebSocket URL
 * @property {() => Promise<string>} log what it wrote so far
 * @property {() => Promise<void>} kill ends it at once, as a crash would: no connection is closed in order
 * @property {() => Promise<void>} start starts it again, on the same port, after `kill`
 * @property {() => Promise<void>} stop ends it for good
 */

/**
 * @param {object} options
 * @param {string} options.name for people
 * @param {string} options.executable
 * @param {number} [options.port] any that is free unless told otherwise
 * @param {(place: { folder: string, port: number }) => Promise<string[]>} options.prepare writes what it needs and gives its arguments
 * @param {NodeJS.ProcessEnv} [options.env] its environment, beside ours
 * @param {RegExp} [options.trouble] lines of its log that a failed test should show
 * @param {RegExp} [options.ready] how its answer to OPTIONS begins
 * @param {string} [options.path] of the URL
 * @returns {Promise<Daemon>}
 */
export async function startDaemon({ name, executable, port: wanted, prepare, env = {}, trouble, ready = /^SIP\/2\.0 200 /, path = "/ws" }) {
  const folder = await mkdtemp(join(tmpdir(), `sip-presence-${name.toLowerCase()}-`));
  const logFile = join(folder, "log");
  const log = () => readFile(logFile, "utf8");
  const port = wanted ?? await freePort();
  const url = `ws://127.0.0.1:${port}${path}`;
  const args = await prepare({ folder, port });
  let child;

  async function start() {
    const output = openSync(logFile, "a");
    // A process group of its own, so that `kill` reaches the workers as well.
    child = spawn(executable, args, { detached: true, cwd: folder, env: { ...process.env, ...env }, stdio: ["ignore", output, output] });
    closeSync(output);
    await once(child, "spawn");
    try {
      await until(() => running() ? answers(url, ready) : Promise.reject(new Error(`${name} ended`)), `${name} to answer`);
    } catch (error) {
      const text = await log();
      await kill();
      throw new Error(`${error.message}; its log:\n${text}`);
    }
  }

  const running = () => child?.pid !== undefined && child.exitCode === null && child.signalCode === null;

  /** At once and with all its workers: after SIGTERM it may wait for one of them for a minute. */
  async function kill() {
    if (!running()) return;
    const exited = once(child, "exit");
    process.kill(-child.pid, "SIGKILL");
    await until(exited, `${name} to end`);
    // Its workers hold the port a moment longer.
    await until(async () => !(await listens(port)), `port ${port} to be free`);
  }

  async function stop() {
    // Next to a test that failed it may say why: the server itself was in trouble.
    const lines = (await log()).split("\n").filter((line) => trouble?.test(line));
    if (lines.length > 0) console.error(`${name}:\n${lines.join("\n")}`);
    await kill();
    rmSync(folder, { recursive: true, force: true });
  }

  // A test that ends in the middle leaves nothing behind.
  process.once("exit", () => {
    if (running()) process.kill(-child.pid, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  await start();
  return { folder, port, url, log, kill, start, stop };
}

/** Whether the server takes a WebSocket connection and answers a request on it. */
function answers(url, ready) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, "sip", { handshakeTimeout: 5000 });
    // One that has only just begun may lose the request.
    const timer = setTimeout(() => done(false), 3000);
    const done = (answer) => {
      clearTimeout(timer);
      resolve(answer);
      socket.terminate();
    };
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("open", () => socket.send(OPTIONS));
    socket.on("message", (data) => done(ready.test(data.toString())));
  });
}

/** Whether something listens on the port. */
function listens(port) {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (answer) => {
      resolve(answer);
      socket.destroy();
    };
    socket.on("connect", () => done(true));
    socket.on("error", () => done(false));
  });
}
