/** Starts the Kamailio of deploy/kamailio/ on loopback, for a test. */

import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, rmSync } from "node:fs";
import { appendFile, cp, mkdtemp, readFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { WebSocket } from "ws";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";

const config = (name) => fileURLToPath(new URL(`../../deploy/kamailio/${name}.cfg`, import.meta.url));

/** Empty tables for the text database, from Debian's package. */
const TABLES = "/usr/share/kamailio/dbtext/kamailio";

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

const executable = process.env.KAMAILIO ?? "kamailio";

/** Why a test that needs Kamailio is to be skipped; false when it is there. In CI it is never skipped. */
export const missing =
  !process.env.CI &&
  spawnSync(executable, ["-v"]).error !== undefined &&
  `no ${executable} (Debian: kamailio kamailio-presence-modules kamailio-websocket-modules; or set KAMAILIO)`;

/** Why a test that needs lists or rules is to be skipped. */
export const noTables = missing || (!process.env.CI && !existsSync(TABLES) && `no tables in ${TABLES}`);

/**
 * A running Kamailio.
 *
 * @typedef {object} Kamailio
 * @property {string} url the WebSocket URL
 * @property {string} domain the domain of the users
 * @property {Record<string, string>} users passwords by user name
 * @property {string} xcapRoot where the rules are, if it has rules
 * @property {() => Promise<string>} log what it wrote so far
 * @property {() => Promise<void>} kill ends it at once, as a crash would: no connection is closed in order
 * @property {() => Promise<void>} start starts it again, on the same port, after `kill`
 * @property {() => Promise<void>} stop ends it for good
 */

/**
 * @param {object} [options]
 * @param {string} [options.domain]
 * @param {Record<string, string>} [options.users]
 * @param {"MD5" | "SHA-256"} [options.algorithm] of the digest challenge
 * @param {"kamailio" | "proxy"} [options.name] of the configuration
 * @param {Record<string, Record<string, string[]>>} [options.lists] by user and address of the list, the members
 * @param {string} [options.rules] everybody writes by XCAP who may watch them; the pages of this origin may do so
 * @returns {Promise<Kamailio>}
 */
export async function startKamailio({
  domain = "kamailio.test",
  users = { alice: "alice-pw", bob: "bob-pw", carol: "carol-pw" },
  algorithm = "MD5",
  name = "kamailio",
  lists,
  rules,
} = {}) {
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-kamailio-"));
  const logFile = join(folder, "log");
  const log = () => readFile(logFile, "utf8");
  const port = await freePort();
  const url = `ws://127.0.0.1:${port}/ws`;
  const list = Object.entries(users).map(([name, password]) => `${name}=${password}`).join(";");
  const args = ["-f", config(name), "-l", `tcp:127.0.0.1:${port}`, "-DD", "-E", "-m", "64", "-M", "8"];
  args.push("-w", folder, "-Y", folder, "-P", join(folder, "pid"));
  args.push("-A", `DOMAIN="${domain}"`, "-A", `USERS="${list}"`, "-A", `DIGEST="${algorithm}"`);
  if (lists !== undefined) {
    await writeLists(join(folder, "tables"), domain, lists);
    args.push("-l", `udp:127.0.0.1:${port}`);
    args.push("-A", `LISTS="text://${folder}/tables"`, "-A", `RLS="sip:rls@127.0.0.1:${port}"`);
  }
  if (rules !== undefined) {
    await cp(TABLES, join(folder, "tables"), { recursive: true });
    args.push("-A", `RULES="text://${folder}/tables"`, "-A", `ORIGIN="${rules}"`);
  }
  let child;

  async function start() {
    const output = openSync(logFile, "a");
    // A process group of its own, so that `kill` reaches the workers as well.
    child = spawn(executable, args, { detached: true, stdio: ["ignore", output, output] });
    closeSync(output);
    await once(child, "spawn");
    try {
      await until(() => running() ? answers(url) : Promise.reject(new Error("Kamailio ended")), "Kamailio to answer");
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
    await until(exited, "Kamailio to end");
    // Its workers hold the port a moment longer.
    await until(async () => !(await listens(port)), `port ${port} to be free`);
  }

  async function stop() {
    // Next to a test that failed it may say why: the server itself was in trouble.
    const trouble = (await log()).split("\n").filter((line) => line.includes("CRITICAL: "));
    if (trouble.length > 0) console.error(`Kamailio:\n${trouble.join("\n")}`);
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
  const xcapRoot = `http://127.0.0.1:${port}/xcap-root`;
  return { url, domain, users, xcapRoot, log, kill, start, stop };
}

/** Writes the lists as rows of the table xcap. */
async function writeLists(tables, domain, lists) {
  await cp(TABLES, tables, { recursive: true });
  let id = 0;
  for (const [user, services] of Object.entries(lists)) {
    const service = ([uri, members]) => `<service uri="${uri}"><list>${members.map((member) => `<rl:entry uri="${member}"/>`).join("")}</list>` +
      "<packages><package>presence</package></packages></service>";
    const document = '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">' +
      `${Object.entries(services).map(service).join("")}</rls-services>`;
    const path = `/xcap-root/rls-services/users/sip:${user}@${domain}/index`;
    id += 1;
    const row = [id, user, domain, document, 8, "etag", 0, path, 0].map((cell) => String(cell).replaceAll(":", "\\:"));
    await appendFile(join(tables, "xcap"), `${row.join(":")}\n`);
  }
}

/** Whether the server takes a WebSocket connection and answers a request on it. */
function answers(url) {
  return new Promise((resolve) => {
    const socket = new WebSocket(url, "sip", { handshakeTimeout: 5000 });
    // One that has only just begun may lose the request.
    const timer = setTimeout(() => done(false), 10_000);
    const done = (answer) => {
      clearTimeout(timer);
      resolve(answer);
      socket.terminate();
    };
    socket.on("error", () => done(false));
    socket.on("close", () => done(false));
    socket.on("open", () => socket.send(OPTIONS));
    socket.on("message", (data) => done(data.toString().startsWith("SIP/2.0 200 ")));
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
