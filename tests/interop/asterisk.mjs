/** Starts the Asterisk of deploy/asterisk/ on loopback, for a test. */

import { spawnSync } from "node:child_process";
import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runs, startDaemon } from "./daemon.mjs";

const CONFIG = fileURLToPath(new URL("../../deploy/asterisk/", import.meta.url));

const executable = process.env.ASTERISK ?? "asterisk";

/** Why a test that needs Asterisk is to be skipped; false when it is there. */
export const missing = !runs(executable) && `no ${executable}; it is not in Debian 12: set ASTERISK to one of 22 that was built`;

/**
 * A running Asterisk.
 *
 * @typedef {import("./daemon.mjs").Daemon & {
 *   domain: string, users: Record<string, string>, command: (line: string) => string
 * }} Asterisk with a function that gives it a command, as on its console
 */

/**
 * @param {object} [options]
 * @param {Record<string, (text: string) => string>} [options.edit] what is different in a file of the configuration
 * @returns {Promise<Asterisk>}
 */
export async function startAsterisk({ edit = {} } = {}) {
  const changes = { "http.conf": (text) => text, ...edit };

  async function prepare({ folder, port }) {
    await cp(CONFIG, folder, { recursive: true });
    const directories = ["astetcdir", "astrundir", "astdbdir", "astlogdir", "astspooldir"].map((name) => `${name} => ${folder}\n`);
    await writeFile(join(folder, "asterisk.conf"), `[directories]\n${directories.join("")}[options]\nnocolor=yes\n`);
    for (const [name, change] of Object.entries(changes)) {
      const file = join(folder, name);
      await writeFile(file, change(await readFile(file, "utf8")).replace("bindport=8088", `bindport=${port}`));
    }
    return ["-f", "-C", join(folder, "asterisk.conf")];
  }

  // A stranger's OPTIONS is answered, with a challenge.
  const daemon = await startDaemon({ name: "Asterisk", executable, prepare, trouble: /Error loading module/, ready: /^SIP\/2\.0 401 / });

  function command(line) {
    const { stdout, stderr, status } = spawnSync(executable, ["-C", join(daemon.folder, "asterisk.conf"), "-rx", line], { encoding: "utf8" });
    if (status !== 0) throw new Error(`asterisk -rx "${line}": ${stdout}${stderr}`);
    return stdout;
  }

  const users = { alice: "first-secret", bob: "second-secret", carol: "third-secret" };
  return { ...daemon, domain: "example.com", users, command };
}
