/** The command line: `sip-presence serve`. */
import { readFileSync } from "node:fs";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { parseArgs } from "node:util";
import { type Demo, playground } from "./files.js";
import { type ServerConfig, type ServerEvent, startServer } from "./server.js";

declare const VERSION: string;

const HELP = `sip-presence ${VERSION}

  sip-presence serve [options]    start the presence server

  --config FILE     JSON: domain, users, rules, limits (docs/server.md)
                    without it: demo users, on loopback only, with the playground page
  --host ADDRESS    where to listen (127.0.0.1)
  --port PORT       0 for any that is free (8080)
  --state FILE      keep there what was decided, and users' own rules (XCAP at /xcap);
                    it is made if it is not there
  --playground      serve the playground page too, with a sign-in form
  --verbose         print who registers, publishes and subscribes
  --help (-h), --version
`;

/** Whose passwords everybody knows: never for another address than loopback. */
const DEMO: Demo = {
  domain: "example.test",
  users: ["alice", "bob", "carol", "dave"].map((name) => ({ name, password: `${name}-demo` })),
};

/** Options of `startServer` that the command line has others for; the core knows the rest. */
const OWN_OPTIONS = ["host", "port", "path", "server", "state", "xcap", "onEvent"];

function fail(text: string): never {
  console.error(`sip-presence: ${text.replace(/^sip-presence: /, "")}`);
  process.exit(1);
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

function readConfig(file: string): ServerConfig {
  let config: ServerConfig;
  try {
    config = JSON.parse(readFileSync(file, "utf8")) as ServerConfig;
  } catch (error) {
    fail(`${file}: ${(error as Error).message}`);
  }
  for (const name of OWN_OPTIONS) {
    if (name in Object(config)) fail(`${file}: ${name} does not belong in the configuration`);
  }
  return config;
}

function print(event: ServerEvent): void {
  switch (event.kind) {
    case "subscribed": return console.log(`${event.watcher} watches ${event.presentity}`);
    case "refused": return console.log(`${event.method} refused: ${event.status}${event.user === undefined ? "" : `, wrong credentials of ${JSON.stringify(event.user)}`}`);
    case "conflict": return console.log(`${event.user}: ${event.what}`);
    case "registered": return console.log(`${event.user} registered`);
    case "published": return console.log(`${event.user} published`);
    case "ruled": return console.log(`${event.user} changed the rules`);
    case "ignored": return console.error(`sip-presence: the state has something about ${JSON.stringify(event.user)}, who is no user`);
    case "unsaved": return console.error(`sip-presence: the state was not written: ${event.what}`);
  }
}

async function serve(options: {
  config?: string | undefined; state?: string | undefined; host: string; port: string; playground: boolean; verbose: boolean;
}): Promise<void> {
  const { host } = options;
  const port = Number(options.port);
  if (!/^\d+$/.test(options.port) || port > 65_535) fail(`--port ${options.port}: give a number up to 65535`);
  const demo = options.config === undefined ? DEMO : undefined;
  if (demo !== undefined && !isLoopback(host)) {
    fail(`--host ${host}: the demo users' passwords are known to everybody; give your own users with --config`);
  }
  const config: ServerConfig = options.config !== undefined ? readConfig(options.config) : {
    domain: DEMO.domain,
    users: Object.fromEntries(DEMO.users.map(({ name, password }) => [name, password])),
    rules: { default: "allow" },
    notifyInterval: 0,
  };
  const page = demo !== undefined || options.playground;
  const others = page ? playground(demo) : (_: unknown, response: ServerResponse) => void response.writeHead(404).end();
  const http = createServer((request, response) => void (server.handle(request, response) || others(request, response)));
  const onEvent = (event: ServerEvent): void => {
    if (options.verbose || event.kind === "ignored" || event.kind === "unsaved") print(event);
  };
  // Demo users may try it, and lose it at the end.
  const server = await startServer({ ...config, server: http, onEvent, ...(demo === undefined ? {} : { xcap: "/xcap" }), ...(options.state === undefined ? {} : { state: options.state }) });
  http.once("error", (error: NodeJS.ErrnoException) => fail(error.code === "EADDRINUSE"
    ? `port ${port} is in use: give another one with --port, or 0 for any that is free` : error.message));
  http.listen(port, host, () => {
    const name = host.includes(":") ? `[${host}]` : host;
    if (page) console.log(`Playground: http://${name}:${(http.address() as AddressInfo).port}/`);
    console.log(`SIP over WebSocket: ${server.url} for ${config.domain}`);
    if (server.xcapRoot !== undefined) console.log(`XCAP root: ${server.xcapRoot}`);
    if (demo !== undefined) {
      console.log(`Demo users: ${demo.users.map(({ name, password }) => `${name} (password ${password})`).join(", ")}`);
    }
  });
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1);
    stopping = true;
    void server.close().then(() => {
      http.closeAllConnections();
      http.close(() => process.exit(0));
    });
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      config: { type: "string" },
      state: { type: "string" },
      host: { type: "string", default: "127.0.0.1" },
      port: { type: "string", default: "8080" },
      playground: { type: "boolean", default: false },
      verbose: { type: "boolean", default: false },
      help: { type: "boolean", short: "h", default: false },
      version: { type: "boolean", default: false },
    },
  });
  if (values.version) console.log(VERSION);
  else if (values.help) console.log(HELP);
  else if (positionals.length === 1 && positionals[0] === "serve") await serve(values);
  else if (positionals.length === 0) fail(`what shall I do?\n\n${HELP}`);
  else fail(`${positionals.join(" ")}: the only command is serve; --help says more`);
}

main().catch((error: unknown) => {
  // Fields that a file of configuration cannot have.
  fail((error as Error).message.replace(OWN_OPTIONS.map((name) => `\`${name}\`, `).join(""), ""));
});
