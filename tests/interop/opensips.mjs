/** Starts the OpenSIPS of deploy/opensips/ on loopback, for a test. */

import { appendFile, cp } from "node:fs/promises";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runs, startDaemon } from "./daemon.mjs";
import { rlsServices } from "./kamailio.mjs";

const CONFIG = fileURLToPath(new URL("../../deploy/opensips/opensips.cfg", import.meta.url));

const executable = process.env.OPENSIPS ?? "opensips";

/** Where its modules are, and the empty tables of its text database: as its packages have them, or as its sources do. */
const MODULES = process.env.OPENSIPS_MODULES ?? "/usr/lib/x86_64-linux-gnu/opensips/modules";
const TABLES = process.env.OPENSIPS_TABLES ?? "/usr/share/opensips/dbtext/opensips";

/** Why a test that needs OpenSIPS is to be skipped; false when it is there. */
export const missing = !runs(executable)
  ? `no ${executable}; it is not in Debian: set OPENSIPS, OPENSIPS_MODULES and OPENSIPS_TABLES to where one of 3.6 was built`
  : !existsSync(TABLES) && `no tables in ${TABLES}; set OPENSIPS_TABLES to scripts/dbtext/opensips of its sources`;

/** The numbers of documents in the column `doc_type` of the table xcap. */
const PRES_RULES = 2;
const RLS_SERVICES = 8;

/**
 * A running OpenSIPS.
 *
 * @typedef {import("./daemon.mjs").Daemon & { domain: string, users: Record<string, string> }} OpenSips
 */

/**
 * @param {object} [options]
 * @param {string} [options.domain]
 * @param {Record<string, string>} [options.users]
 * @param {string} [options.algorithm] of the digest challenge, or several with commas
 * @param {Record<string, Record<string, string[]>>} [options.lists] by user and address of the list, the members
 * @param {Record<string, string>} [options.rules] by user, the pres-rules
 * @returns {Promise<OpenSips>}
 */
export async function startOpenSips({
  domain = "opensips.test",
  users = { alice: "alice-pw", bob: "bob-pw", carol: "carol-pw" },
  algorithm = "MD5",
  lists = {},
  rules,
} = {}) {
  const env = { DOMAIN: domain, USERS: Object.entries(users).map(([name, password]) => `${name}=${password}`).join(";"), DIGEST: algorithm };
  if (rules !== undefined) env.RULES = "yes";

  async function prepare({ folder, port }) {
    const tables = join(folder, "tables");
    await cp(TABLES, tables, { recursive: true });
    await writeDocuments(tables, domain, RLS_SERVICES, Object.entries(lists).map(([user, services]) => [user, rlsServices(services)]));
    await writeDocuments(tables, domain, PRES_RULES, Object.entries(rules ?? {}));
    return ["-F", "-f", CONFIG, "-l", `ws:127.0.0.1:${port}`, "-l", `udp:127.0.0.1:${port}`, "-m", "64", "-M", "8",
      "-P", join(folder, "pid"),
      "-p", `/bin/sed -e s,/var/lib/opensips,${tables}, -e s,/usr/lib/x86_64-linux-gnu/opensips/modules/,${MODULES}/, -e s,127.0.0.1:5060,127.0.0.1:${port},`];
  }

  return { ...await startDaemon({ name: "OpenSIPS", executable, prepare, env, trouble: /CRITICAL:/ }), domain, users };
}

/** Writes documents of users as rows of the table xcap. */
async function writeDocuments(tables, domain, type, documents) {
  for (const [user, document] of documents) {
    const row = [type * 1000 + user.charCodeAt(0), user, domain, document, type, "etag", 0, "index", 0].map((cell) => String(cell).replaceAll(":", "\\:"));
    await appendFile(join(tables, "xcap"), `${row.join(":")}\n`);
  }
}
