// `npm start`: sets up what is missing, builds what has changed, serves the playground and prints its address.
import { spawn } from "node:child_process";
import { join } from "node:path";
import { root } from "./tools.mjs";

await import("./build.mjs");
const args = process.argv.slice(2);
const server = spawn(process.execPath, [join(root, "pkg", "cli.js"), "serve", ...args], { stdio: "inherit" });
// The terminal sends its own SIGINT to the server too; a second one would be taken for "at once".
process.on("SIGINT", () => {});
process.on("SIGTERM", () => server.kill("SIGTERM"));
server.on("exit", (code) => process.exit(code ?? 1));
