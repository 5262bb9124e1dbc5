/** Starts a PostgreSQL on loopback, with the tables of Kamailio, for a test. */

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { chown, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../common/port.mjs";
import { until } from "../common/wait.mjs";
import { missing as noKamailio } from "./kamailio.mjs";

/** Debian's packages, each of which has a folder for its version. */
const VERSIONS = "/usr/lib/postgresql";
const TABLES = "/usr/share/kamailio/postgres";

const programs = (existsSync(VERSIONS) ? readdirSync(VERSIONS) : [])
  .map((version) => join(VERSIONS, version, "bin")).find((folder) => existsSync(join(folder, "initdb")));

/** The user of the server, which refuses root. */
const user = process.getuid?.() === 0 ? account("postgres") : {};

const absent = (programs === undefined && `no PostgreSQL in ${VERSIONS} (Debian: postgresql)`)
  || (!existsSync(TABLES) && `no tables in ${TABLES} (Debian: kamailio-postgres-modules)`)
  || (user === undefined && "root cannot run PostgreSQL, and there is no user postgres");

/** Why a test that needs Kamailio with PostgreSQL is to be skipped. */
export const noPostgres = noKamailio || absent;

/**
 * A running PostgreSQL with an empty database for Kamailio.
 *
 * @returns {Promise<{ url: string, query: (sql: string) => string, kill: () => Promise<void>, start: () => Promise<void>,
 *   stop: () => Promise<void> }>} `query` gives rows, one a line, columns parted by `|`; `kill` ends it at once, as a crash
 *   would, and `start` starts it again
 */
export async function startPostgres() {
  if (absent) throw new Error(absent);
  const folder = await mkdtemp(join(tmpdir(), "sip-presence-postgres-"));
  if (user.uid !== undefined) await chown(folder, user.uid, user.gid);
  const port = await freePort();
  const options = { ...user, cwd: folder, env: { PATH: process.env.PATH, LC_ALL: "C" }, encoding: "utf8" };
  const run = (name, args, input = "") => execFileSync(join(programs, name), args, { ...options, input, stdio: "pipe" });
  const client = ["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", String(port), "-U", "kamailio", "-v", "ON_ERROR_STOP=1"];
  const query = (sql, database = "kamailio") => run("psql", [...client, "-d", database, "-c", sql]).trim();
  const settings = { listen_addresses: "127.0.0.1", port, unix_socket_directories: folder, fsync: "off", max_connections: 200 };
  let child;
  const running = () => child?.pid !== undefined && child.exitCode === null && child.signalCode === null;

  async function start() {
    const log = openSync(join(folder, "log"), "a");
    const args = ["-D", "data", ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
    child = spawn(join(programs, "postgres"), args, { ...options, stdio: ["ignore", log, log] });
    closeSync(log);
    await once(child, "spawn");
    const ready = () => {
      if (!running()) throw new Error(`PostgreSQL ended; its log:\n${readFileSync(join(folder, "log"), "utf8")}`);
      try {
        return query("SELECT 1", "postgres") === "1";
      } catch {
        return false;
      }
    };
    await until(ready, "PostgreSQL to answer");
  }

  async function kill() {
    if (!running()) return;
    const exited = once(child, "exit");
    child.kill("SIGQUIT");
    await until(exited, "PostgreSQL to end");
  }

  async function stop() {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  }

  // A test that ends in the middle leaves nothing behind.
  process.once("exit", () => {
    if (running()) child.kill("SIGQUIT");
    rmSync(folder, { recursive: true, force: true });
  });
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
  try {
    run("initdb", ["-D", "data", "-A", "trust", "-U", "kamailio", "--no-sync", "-E", "UTF8", "--locale=C"]);
    await start();
    query("CREATE DATABASE kamailio", "postgres");
    // The user of the server need not be able to read the project's folder.
    run("psql", [...client, "-d", "kamailio"], readFileSync(new URL("../../deploy/kamailio/postgres.sql", import.meta.url)));
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `postgres://kamailio@127.0.0.1:${port}/kamailio`, query, kill, start, stop };
}

/** The numbers of a user of this machine. */
function account(name) {
  const line = readFileSync("/etc/passwd", "utf8").split("\n").find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(":").map(Number) ?? [];
  return uid === undefined ? undefined : { uid, gid };
}
