/** The package as its users get it: packed, installed into an empty project, used in Node, in a page, and by tsc. */

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join, posix } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { startServer } from "sip-presence/server";
import { launch, missing } from "../common/chromium.mjs";
import { serveStatic } from "../common/static.mjs";
import { until } from "../common/wait.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const project = mkdtempSync(join(tmpdir(), "sip-presence-package-"));
const run = (program, args, cwd = project) => execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
const bin = (name) => join(root, "node_modules", ".bin", name);

let packed;
let server;

before(async () => {
  const pack = (folder) => {
    const text = run("npm", ["pack", folder, "--ignore-scripts", "--json", "--pack-destination", project], root);
    const [entry] = Object.values(JSON.parse(text));
    return entry;
  };
  packed = pack(".");
  // Its one dependency comes from here too: tests use no network.
  const ws = pack("./node_modules/ws");
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "consumer", private: true, type: "module" }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", `./${ws.filename}`, `./${packed.filename}`]);
  const users = { alice: "pw-alice", bob: "pw-bob", carol: "pw-carol" };
  server = await startServer({ domain: "example.test", users, rules: { default: "allow" }, notifyInterval: 0 });
});

after(async () => {
  await server.close();
  rmSync(project, { recursive: true, force: true });
});

/** The main job, as the text of a module; `done` gets what Bob sees. */
const mainJob = (from, more, done) => `
  import { createAgent } from "${from}";
  const agent = (name) => createAgent({
    server: "${server.url}", aor: \`sip:\${name}@example.test\`, credentials: { username: name, password: \`pw-\${name}\` }, ${more}
  });
  const [alice, bob] = [agent("alice"), agent("bob")];
  await alice.publish({ status: "busy", note: "packed" });
  for await (const state of bob.changes("sip:alice@example.test")) if (state.note === "packed") {
    await Promise.all([alice.close(), bob.close()]);
    ${done}
    break;
  }
`;

test("the tarball has what it needs and nothing else", () => {
  const names = packed.files.map(({ path }) => path);
  for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE-MIT", "LICENSE-APACHE", "pkg/index.js", "pkg/index.d.ts",
    "pkg/types.d.ts", "pkg/inline.js", "pkg/sip-presence.wasm", "pkg/full.js", "pkg/sip-presence-full.wasm", "pkg/element-react.d.ts", "pkg/react.js", "docs/api.md", "pkg/element.js", "pkg/define.js", "pkg/server.js", "pkg/server.d.ts",
    "pkg/sip-presence-server.wasm", "pkg/cli.js", "pkg/www/index.html"]) {
    assert.ok(names.includes(name), `${name} is missing`);
  }
  assert.deepEqual(names.filter((name) => !/^(?:(?:pkg|docs|deploy\/\w+)\/|package\.json$|[A-Z-]+(?:\.md)?$)/.test(name)), []);
  assert.deepEqual(names.filter((name) => /^pkg\/(?:wasm|stamps)\//.test(name)), []);
});

test("no document in the tarball has a link that leads out of it", () => {
  const names = packed.files.map(({ path }) => path);
  let count = 0;
  for (const name of names.filter((name) => name.endsWith(".md"))) {
    const text = readFileSync(join(project, "node_modules/sip-presence", name), "utf8");
    for (const [, target] of text.matchAll(/\]\(([^()\s]+)\)/g)) {
      if (/^(?:[a-z]+:|#)/.test(target)) continue;
      count += 1;
      const linked = posix.join(posix.dirname(name), target.split("#")[0]);
      assert.ok(names.some((name) => name === linked || name.startsWith(`${linked}/`)), `${name}: ${target} is not in the tarball`);
    }
  }
  assert.ok(count > 30, `${count} links`);
});

test("every entry of exports is there, with its types", () => {
  const { exports } = JSON.parse(readFileSync(join(project, "node_modules/sip-presence/package.json"), "utf8"));
  const files = Object.values(exports).flatMap((entry) => (typeof entry === "string" ? [entry] : Object.values(entry)));
  for (const file of files) readFileSync(join(project, "node_modules/sip-presence", file));
});

test("it works in Node", async () => {
  writeFileSync(join(project, "main.mjs"), `
    import { WebSocket } from "ws";
    import { startServer } from "sip-presence/server";
    import "sip-presence/element";
    import "sip-presence/element/define";
    import "sip-presence/element/react";
    ${mainJob("sip-presence", "webSocket: WebSocket", "console.log(state.status);")}
    const server = await startServer({ domain: "a.test", users: { alice: "pw" } });
    await server.close();
  `);
  // Not `run`: this process is its server.
  const { stdout } = await promisify(execFile)(process.execPath, ["main.mjs"], { cwd: project });
  assert.equal(stdout.trim(), "busy");
  assert.match(run(join(project, "node_modules/.bin/sip-presence"), ["--version"]), /^\d+\.\d+\.\d+\n$/);
});

const CONSUMER = `
  import { createAgent, PresenceError, type Agent, type AgentOptions, type Presence, type PresenceState, type Status } from "sip-presence";
  import { SipPresenceElement } from "sip-presence/element/define";
  const agent: Agent = createAgent({
    server: ["wss://a.example/ws", "wss://b.example/ws"], aor: "sip:alice@example.com",
    credentials: async ({ realm, rejected }) => (rejected ? undefined : { username: "alice", password: realm }),
  });
  const unwatch: () => void = agent.watch("sip:bob@example.com", (state: PresenceState, uri: string) => {
    const status: Status = state.status;
    const presence: Presence | undefined = state.presence;
    console.log(uri, status, presence?.tuples[0]?.contact?.priority, state.subscription.retryAt);
  });
  agent.addEventListener("connection", ({ detail }) => console.log(detail.state, detail.reason?.code));
  agent.addEventListener("trace", ({ detail }) => console.log(detail.direction, detail.text));
  for await (const { note } of agent.changes("sip:bob@example.com", { signal: AbortSignal.timeout(1) })) console.log(note);
  try {
    await agent.publish({ status: "busy", until: new Date() });
  } catch (error) {
    if (error instanceof PresenceError) console.log(error.code, error.retryAt);
  }
  SipPresenceElement.agent = agent;
  document.querySelector("sip-presence")?.addEventListener("change", ({ detail }) => console.log(detail.status));
  const listener = (event: CustomEvent<PresenceState>): void => console.log(event.detail.note);
  document.querySelector("sip-presence")?.addEventListener("change", listener);
  document.querySelector("sip-presence")?.removeEventListener("change", listener);
  document.querySelector("sip-presence")?.addEventListener("click", ({ clientX }) => console.log(clientX));
  unwatch();
  // @ts-expect-error a status that does not exist
  void agent.publish({ status: "asleep" });
  // @ts-expect-error states are read-only
  agent.snapshot("sip:bob@example.com").status = "busy";
  const common = { server: "wss://a.example/ws", aor: "sip:alice@example.com" };
  createAgent({ ...common, authorize: () => "allow", identities: "asserted" });
  createAgent({ ...common, authorize: async ({ uri }) => (uri === "" ? "block" : "ask"), identities: { bob: "secret" } });
  createAgent({ ...common, authorize: Math.random() > 2 ? () => "allow" : undefined, identities: "from" });
  createAgent({ ...common, identities: "from" });
  const watched: AgentOptions = { ...common, authorize: (watcher) => (watcher.uri === "" ? "block" : "ask"), identities: "from" };
  createAgent({ ...watched, expires: 60 });
  // @ts-expect-error who may be asked about has to be known
  createAgent({ ...common, authorize: () => "allow" });
  // @ts-expect-error the address is missing
  createAgent({ server: "wss://a.example/ws" });
`;

for (const [module, moduleResolution] of [["ESNext", "Bundler"], ["NodeNext", "NodeNext"], ["Node16", "Node16"]]) {
  test(`tsc accepts its types with module resolution ${moduleResolution}`, () => {
    writeFileSync(join(project, "consumer.ts"), CONSUMER);
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({
      compilerOptions: {
        module, moduleResolution, target: "ES2022", lib: ["ES2022", "DOM"], types: [], verbatimModuleSyntax: true,
        strict: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true, noEmit: true, skipLibCheck: false,
      },
      files: ["consumer.ts"],
    }));
    try {
      run(bin("tsc"), ["--project", "tsconfig.json"]);
    } catch (error) {
      assert.fail(error.stdout);
    }
  });
}

test("tsc knows the element in JSX of React and the hook, and checks what they are given", () => {
  const folder = join(project, "react-types");
  for (const name of ["@types/react", "csstype"]) {
    cpSync(join(root, "node_modules", name), join(folder, "node_modules", name), { recursive: true });
  }
  cpSync(join(project, "node_modules/sip-presence"), join(folder, "node_modules/sip-presence"), { recursive: true });
  writeFileSync(join(folder, "app.tsx"), `
    import type { Agent } from "sip-presence";
    import { SipPresenceElement } from "sip-presence/element/react";
    import { usePresence } from "sip-presence/react";
    console.log(SipPresenceElement.words.busy, document.querySelector("sip-presence")?.state?.status);
    export const dot = <sip-presence uri="sip:bob@example.com" label="Bob" note compact={false} package="dialog" className="dot"
      ref={(element) => console.log(element?.state)} onClick={({ currentTarget }) => console.log(currentTarget.agent)}
      onchange={({ detail }) => console.log(detail.status)} />;
    // @ts-expect-error no such package
    export const wrong = <sip-presence uri="sip:bob@example.com" package="calls" />;
    // @ts-expect-error no such attribute
    export const misspelt = <sip-presence url="sip:bob@example.com" />;
    export function Colleague({ agent, uri }: { agent: Agent | undefined; uri: string }) {
      const { status, note } = usePresence(agent, uri, { package: "dialog" });
      // @ts-expect-error an address is a text
      usePresence(agent, undefined);
      // @ts-expect-error no such status
      return <span title={note}>{status === "free" ? "" : status}</span>;
    }
  `);
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({
    compilerOptions: {
      module: "ESNext", moduleResolution: "Bundler", target: "ES2022", lib: ["ES2022", "DOM"], types: [],
      jsx: "react-jsx", strict: true, exactOptionalPropertyTypes: true, noEmit: true, skipLibCheck: false,
    },
    files: ["app.tsx"],
  }));
  try {
    run(bin("tsc"), ["--project", "react-types/tsconfig.json"]);
  } catch (error) {
    assert.fail(error.stdout);
  }
});

test("tsc accepts the types of the server and of the agent in a program for Node", () => {
  mkdirSync(join(project, "node-types"), { recursive: true });
  writeFileSync(join(project, "node-types/server.ts"), `
    import { createAgent } from "sip-presence";
    import { startServer, type PresenceServer } from "sip-presence/server";
    const server: PresenceServer = await startServer({ domain: "a.test", users: { alice: "pw" }, rules: { default: "allow" } });
    await server.close();
    // @ts-expect-error no such rule
    void startServer({ domain: "a.test", users: { alice: "pw" }, rules: { default: "maybe" } });
    await using agent = createAgent({ server: "wss://a.example/ws", aor: "sip:alice@example.com" });
    const controller = new AbortController();
    agent.addEventListener("error", ({ detail }) => console.log(detail.code), { once: true });
    agent.addEventListener("trace", { handleEvent: (event) => console.log(event.type) });
    for await (const { status } of agent.changes("sip:bob@example.com", { signal: controller.signal })) console.log(status);
  `);
  writeFileSync(join(project, "node-types/tsconfig.json"), JSON.stringify({
    compilerOptions: {
      module: "NodeNext", moduleResolution: "NodeNext", target: "ES2022", lib: ["ES2022"], strict: true, noEmit: true, skipLibCheck: false,
      typeRoots: [join(root, "node_modules/@types")], types: ["node"],
    },
    files: ["server.ts"],
  }));
  try {
    run(bin("tsc"), ["--project", "node-types/tsconfig.json"]);
  } catch (error) {
    assert.fail(error.stdout);
  }
});

const CSP = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self' ws:; style-src 'self'; img-src data:";

/** Opens a page of the project in Chromium; resolves to it, with its errors collected. */
async function open(t, files, path = "/page.html") {
  const site = await serveStatic(project, { files, csp: CSP });
  t.after(() => site.close());
  const browser = await launch();
  t.after(() => browser.close());
  const page = await browser.newPage();
  page.problems = [];
  page.requested = [];
  page.on("request", (request) => page.requested.push(new URL(request.url()).pathname.replace(/.*\//, "")));
  page.on("pageerror", (error) => page.problems.push(error.message));
  page.on("console", (message) => message.type() === "error" && page.problems.push(message.text()));
  await page.goto(site.url + path);
  return page;
}

const PAGE = `<!doctype html><meta charset="utf-8"><title>consumer</title><link rel="icon" href="data:,">
  <sip-presence uri="sip:carol@example.test"></sip-presence><p id="seen"></p><script type="module" src="main.js"></script>`;

test("it works in a plain HTML page under a strict policy", { skip: missing }, async (t) => {
  const page = await open(t, {
    "/page.html": PAGE,
    "/main.js": `
      import { createAgent } from "/node_modules/sip-presence/pkg/index.js";
      import { SipPresenceElement } from "/node_modules/sip-presence/pkg/define.js";
      const agent = (name) => createAgent({
        server: "${server.url}", aor: \`sip:\${name}@example.test\`, credentials: { username: name, password: \`pw-\${name}\` },
      });
      SipPresenceElement.agent = agent("bob");
      await agent("carol").publish({ status: "on-the-phone" });
      document.getElementById("seen").textContent = "published";
    `,
  });
  const name = () => page.getByRole("img").getAttribute("aria-label");
  await until(async () => /on the phone/i.test(await name()), async () => `the dot; problems: ${page.problems}`);
  assert.deepEqual(page.problems, []);
  assert.deepEqual(page.requested.filter((name) => /full|\.wasm$/.test(name)), ["sip-presence.wasm"]);
});

test("a page that lets others watch it downloads the full module instead", { skip: missing }, async (t) => {
  const page = await open(t, {
    "/page.html": PAGE,
    "/main.js": `
      import { createAgent } from "/node_modules/sip-presence/pkg/index.js";
      const agent = createAgent({
        server: "${server.url}", aor: "sip:bob@example.test", credentials: { username: "bob", password: "pw-bob" }, authorize: () => "allow", identities: "asserted",
      });
      await agent.publish({ status: "busy" });
      document.getElementById("seen").textContent = "published";
    `,
  });
  await until(async () => await page.locator("#seen").textContent() === "published", () => `problems: ${page.problems}`);
  assert.deepEqual(page.problems, []);
  assert.deepEqual(page.requested.filter((name) => /full|\.wasm$/.test(name)), ["full.js", "sip-presence-full.wasm"]);
});

test("it works in a bundle of esbuild with the module inside", { skip: missing }, async (t) => {
  writeFileSync(join(project, "app.js"), mainJob("sip-presence/inline", "", `document.getElementById("seen").textContent = state.status;`));
  const { build } = createRequire(import.meta.url)("esbuild");
  await build({ entryPoints: [join(project, "app.js")], bundle: true, format: "esm", outfile: join(project, "main.js"), logLevel: "silent" });
  const page = await open(t, { "/page.html": PAGE });
  await until(async () => await page.locator("#seen").textContent() === "busy", () => `the status; problems: ${page.problems}`);
  assert.deepEqual(page.problems, []);
});

/** Production builds as a user makes them, without any setting that the package would need: from `folder` to `out`. Gives what they warn of. */
const BUNDLERS = {
  async vite(folder, out) {
    const { build, createLogger } = await import("vite");
    const warnings = [];
    const customLogger = createLogger("silent");
    for (const say of ["warn", "warnOnce", "error"]) customLogger[say] = (text) => warnings.push(text);
    await build({ root: folder, base: "./", configFile: false, customLogger, build: { outDir: out } });
    return warnings;
  },
  async webpack(folder, out) {
    const { default: webpack } = await import("webpack");
    const { compilation } = await promisify(webpack)({
      mode: "production", context: folder, entry: "./main.js", output: { path: out, filename: "main.js" }, performance: { hints: false },
    });
    cpSync(join(folder, "index.html"), join(out, "index.html"));
    return [...compilation.errors, ...compilation.warnings].map(String);
  },
};

for (const [name, bundle] of Object.entries(BUNDLERS)) {
  test(`${name} makes a bundle with each module in a file of its own, and a page loads the one it needs`, { skip: missing }, async (t) => {
    const folder = join(project, name);
    const out = join(folder, "out");
    mkdirSync(folder);
    writeFileSync(join(folder, "index.html"), PAGE);
    writeFileSync(join(folder, "main.js"), `
      import "sip-presence/element/define";
      ${mainJob("sip-presence", `full: location.search === "?full"`, `document.getElementById("seen").textContent = state.status;`)}
    `);
    assert.deepEqual(await bundle(folder, out), []);
    for (const [query, module] of [["", "sip-presence.wasm"], ["?full", "sip-presence-full.wasm"]]) {
      const page = await open(t, {}, `/${name}/out/index.html${query}`);
      await until(async () => await page.locator("#seen").textContent() === "busy", () => `the status; problems: ${page.problems}`);
      assert.deepEqual(page.problems, []);
      assert.ok(await page.evaluate(() => customElements.get("sip-presence") !== undefined));
      const [wasm, ...others] = page.requested.filter((file) => file.endsWith(".wasm"));
      assert.deepEqual(others, []);
      const file = readdirSync(out, { recursive: true }).find((path) => path.endsWith(wasm));
      assert.ok(readFileSync(join(out, file)).equals(readFileSync(join(root, "pkg", module))), `${wasm} is ${module}`);
    }
  });
}
