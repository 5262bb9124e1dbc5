/** Starts Chromium for a test. */

import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

/** The executable: `CHROMIUM`, or where Debian puts it. */
export const executable = process.env.CHROMIUM ?? "/usr/bin/chromium";

/** Why a test that needs Chromium is to be skipped; false when it is there. In CI it is never skipped. */
export const missing = !process.env.CI && !existsSync(executable) && `no Chromium at ${executable} (set CHROMIUM)`;

/** No sandbox, because tests may run as root; the rest keeps the browser from using the network on its own account. */
const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/**
 * A running headless Chromium; end it with `close()`.
 *
 * @param {import("playwright-core").LaunchOptions} [options]
 * @returns {Promise<import("playwright-core").Browser>}
 */
export function launch(options = {}) {
  return chromium.launch({ executablePath: executable, ...options, args: [...FLAGS, ...(options.args ?? [])] });
}
