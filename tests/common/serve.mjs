/** The command line's server with the playground. */

import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { until } from "./wait.mjs";

const CLI = fileURLToPath(new URL("../../pkg/cli.js", import.meta.url));

/** Starts `sip-presence serve` on a free port; resolves to the process and the playground's URL. */
export async function serve(...args) {
  const child = spawn(process.execPath, [CLI, "serve", "--port", "0", ...args]);
  let output = "";
  child.stdout.on("data", (text) => { output += text; });
  child.stderr.on("data", (text) => { output += text; });
  const url = await until(() => /Playground: (http:\S+)/.exec(output)?.[1], () => `the server: ${output}`);
  return { child, url, port: new URL(url).port };
}
