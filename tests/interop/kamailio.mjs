/** Starts the Kamailio of deploy/kamailio/ on loopback, for a test. */

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { appendFile, cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runs, startDaemon } from "./daemon.mjs";

const config = (name) => fileURLToPath(new URL(`../../deploy/kamailio/${name}.cfg`, import.meta.url));

/** Empty tables for the text database, from Debian's package. */
const TABLES = "/usr/share/kamailio/dbtext/kamailio";

const executable = process.env.KAMAILIO ?? "kamailio";

/** Why a test that needs Kamailio is to be skipped; false when it is there. In CI it is never skipped. */
export const missing =
  !process.env.CI &&
  !runs(executable) &&
  `no ${executable} (Debian: kamailio kamailio-presence-modules kamailio-websocket-modules; or set KAMAILIO)`;

/** Why a test that needs lists or rules is to be skipped. */
export const noTables = missing || (!process.env.CI && !existsSync(TABLES) && `no tables in ${TABLES}`);

/**
 * A running Kamailio.
 *
 * @typedef {import("./daemon.mjs").Daemon & {
 *   domain: string, users: Record<string, string>, xcapRoot: string
 * }} Kamailio with the domain of its users, their passwords by user name, and where the rules are, if it has rules
 */

/**
 * @param {object} [options]
 * @param {string} [options.domain]
 * @param {Record<string, string>} [options.users]
 * @param {"MD5" | "SHA-256"} [options.algorithm] of the digest challenge
 * @param {"kamailio" | "proxy"} [options.name] of the configuration
 * @param {Record<string, Record<string, string[]>>} [options.lists] by user and address of the list, the members
 * @param {string} [options.rules] everybody writes by XCAP who may watch them; the pages of this origin may do so
 * @param {string} [options.more] lines of configuration that follow
 * @param {{ url: string, query: (sql: string) => string }} [options.postgres] in place of the text database; the users are in it, too
 * @param {number} [options.port] any that is free unless told otherwise
 * @param {boolean} [options.udp] listens for telephones, too
 * @param {number[]} [options.nodes] the ports of all nodes over one database
 * @returns {Promise<Kamailio>}
 */
export async function startKamailio({
  domain = "kamailio.test",
  users = { alice: "alice-pw", bob: "bob-pw", carol: "carol-pw" },
  algorithm = "MD5",
  name = "kamailio",
  lists,
  rules,
  more = "",
  postgres,
  port: wanted,
  udp = false,
  nodes,
} = {}) {
  const daemon = await startDaemon({ name: "Kamailio", executable, port: wanted, prepare, trouble: /CRITICAL: / });

  async function prepare({ folder, port }) {
    // A file of a site includes ours, as README.md says.
    await writeFile(join(folder, "kamailio.cfg"), `#!KAMAILIO\ninclude_file "${config(name)}"\n${more}\n`);
    const args = ["-f", join(folder, "kamailio.cfg"), "-l", `tcp:127.0.0.1:${port}`, "-DD", "-E", "-m", "64", "-M", "8"];
    args.push("-w", folder, "-Y", folder, "-P", join(folder, "pid"));
    args.push("-A", `DOMAIN="${domain}"`, "-A", `DIGEST="${algorithm}"`);
    if (udp || nodes !== undefined || lists !== undefined) args.push("-l", `udp:127.0.0.1:${port}`);
    if (nodes !== undefined || lists !== undefined) args.push("-A", `NODE="sip:127.0.0.1:${port}"`);
    if (nodes !== undefined) args.push("-A", `NODES="${nodes.map((each) => `sip:127.0.0.1:${each}`).join(",")}"`);
    if (postgres === undefined) {
      args.push("-A", `USERS="${Object.entries(users).map(([user, password]) => `${user}=${password}`).join(";")}"`);
    } else {
      args.push("-A", `POSTGRES="${postgres.url}"`);
      for (const [user, password] of Object.entries(users)) {
        const ha1 = createHash(algorithm.replace("-", "")).update(`${user}:${domain}:${password}`).digest("hex");
        postgres.query(`INSERT INTO subscriber (username, domain, ha1) VALUES ('${user}', '${domain}', '${ha1}') ON CONFLICT DO NOTHING`);
      }
    }
    if (lists !== undefined) {
      await writeLists(join(folder, "lists"), domain, lists);
      args.push("-A", `LISTS="text://${folder}/lists"`);
    }
    if (rules !== undefined) {
      args.push("-A", "RULES", "-A", `ORIGIN="${rules}"`);
      if (postgres === undefined) {
        await cp(TABLES, join(folder, "rules"), { recursive: true });
        args.push("-A", `TEXT="text://${folder}/rules"`);
      }
    }
    return args;
  }

  return { ...daemon, domain, users, xcapRoot: `http://127.0.0.1:${daemon.port}/xcap-root` };
}

/** Writes the lists as rows of the table xcap. */
async function writeLists(tables, domain, lists) {
  await cp(TABLES, tables, { recursive: true });
  let id = 0;
  for (const [user, services] of Object.entries(lists)) {
    const document = rlsServices(services);
    const path = `/xcap-root/rls-services/users/sip:${user}@${domain}/index`;
    id += 1;
    const row = [id, user, domain, document, 8, "etag", 0, path, 0].map((cell) => String(cell).replaceAll(":", "\\:"));
    await appendFile(join(tables, "xcap"), `${row.join(":")}\n`);
  }
}

/** The document of somebody's lists (RFC 4826 §4), from their members by address. */
export function rlsServices(lists) {
  const service = ([uri, members]) => `<service uri="${uri}"><list>${members.map((member) => `<rl:entry uri="${member}"/>`).join("")}</list>` +
    "<packages><package>presence</package></packages></service>";
  return '<rls-services xmlns="urn:ietf:params:xml:ns:rls-services" xmlns:rl="urn:ietf:params:xml:ns:resource-lists">' +
    `${Object.entries(lists).map(service).join("")}</rls-services>`;
}
