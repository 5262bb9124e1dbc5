/** Starts the FreeSWITCH of deploy/freeswitch/ on loopback, for a test. */

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { freePort } from "../common/port.mjs";
import { runs, startDaemon } from "./daemon.mjs";

const CONFIG = fileURLToPath(new URL("../../deploy/freeswitch/freeswitch.xml", import.meta.url));

const executable = process.env.FREESWITCH ?? "freeswitch";

/** Why a test that needs FreeSWITCH is to be skipped; false when it is there. */
export const missing = !runs(executable) && `no ${executable}; it is not in Debian: set FREESWITCH to one of 1.11 that was built`;

/**
 * A running FreeSWITCH.
 *
 * @typedef {import("./daemon.mjs").Daemon & { domain: string, users: Record<string, string> }} FreeSwitch
 */

/** @returns {Promise<FreeSwitch>} */
export async function startFreeSwitch() {
  async function prepare({ folder, port }) {
    const [sip, events] = [await freePort(), await freePort()];
    const text = (await readFile(CONFIG, "utf8")).replace("ws_port=5066", `ws_port=${port}`)
      .replace('"sip-port" value="5060"', `"sip-port" value="${sip}"`).replace('value="8021"', `value="${events}"`);
    await writeFile(join(folder, "freeswitch.xml"), text);
    return ["-nonat", "-nf", "-nc", ...["conf", "log", "run", "db", "temp"].flatMap((name) => [`-${name}`, folder])];
  }
  const daemon = await startDaemon({ name: "FreeSWITCH", executable, prepare, trouble: /\[CRIT\]/ });
  return { ...daemon, domain: "example.com", users: { alice: "first-secret", bob: "second-secret", carol: "third-secret" } };
}
