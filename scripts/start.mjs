// `npm start`: sets up what is missing, builds what has changed, serves the playground and prints its address.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./tools.mjs";

await import("./build.mjs");
const args = process.argv.slice(2);
const server = spawn(process.execPath, [join(root, "pkg", "cli.js"), "serve", ...args], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill(signal));
server.on("exit", (code) => process.exit(code ?? 1));
