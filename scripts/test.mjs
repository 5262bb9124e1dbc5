// `npm test`: sets up what is missing, then runs every check, and ends with the sizes and the summary.
// `npm test -- NAME ...` runs only the steps whose names contain one of the words.
import { spawn } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { checkSizes } from "./size.mjs";
import { CHROMIUMS, ensureBuildTools, ensurePackages, ensureTestTools, environment, FIREFOXES, hasPostgres, isThere, output, root, say, shell } from "./tools.mjs";

ensurePackages();
ensureBuildTools();
ensureTestTools();

const chromium = CHROMIUMS.map((name) => output("sh", ["-c", `command -v ${name}`])?.trim()).find((path) => path);
const chromedriver = output("sh", ["-c", "command -v chromedriver"])?.trim();
const env = {
  ...environment,
  ...(chromium === undefined ? {} : { CHROMIUM: process.env.CHROMIUM ?? chromium }),
  WASM_BINDGEN_TEST_WEBDRIVER_JSON: join(root, "tests", "webdriver.json"),
  WASM_BINDGEN_TEST_TIMEOUT: "120",
  // How long chromedriver may take to start: the default is too short for a busy machine.
  WASM_BINDGEN_TEST_DRIVER_TIMEOUT: "60",
};

/** What runners say of their counts: cargo and wasm-bindgen, then Node. */
const COUNTS = [/^test result: .*? (\d+) passed; (\d+) failed/, /^[#ℹ] pass (\d+)$/, /^[#ℹ] fail (\d+)$/];

const totals = { passed: 0, failed: 0 };

function count(line) {
  const [cargo, pass, fail] = COUNTS.map((pattern) => pattern.exec(line));
  if (cargo !== null) {
    totals.passed += Number(cargo[1]);
    totals.failed += Number(cargo[2]);
  } else if (pass !== null) {
    totals.passed += Number(pass[1]);
  } else if (fail !== null) {
    totals.failed += Number(fail[1]);
  }
}

/** Runs a program with its output shown and counted; resolves to whether it succeeded. */
function show(program, args) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { cwd: root, env, shell, stdio: ["ignore", "pipe", "pipe"] });
    for (const [from, to] of [[child.stdout, process.stdout], [child.stderr, process.stderr]]) {
      let rest = "";
      from.setEncoding("utf8");
      from.on("data", (text) => {
        to.write(text);
        const lines = (rest + text).split("\n");
        rest = lines.pop();
        lines.forEach((line) => count(line.trim()));
      });
      from.on("end", () => count(rest.trim()));
    }
    child.on("error", () => resolve(false));
    child.on("close", (code) => resolve(code === 0));
  });
}

const cargo = (...args) => () => show("cargo", args);
/** A folder stands for its test files: not every version of Node takes a folder. */
const expand = (path) => (path.endsWith("/")
  ? readdirSync(join(root, path)).filter((name) => name.endsWith(".test.mjs")).map((name) => path + name) : [path]);
const node = (...paths) => () =>
  show(process.execPath, ["--test", "--test-reporter=spec", "--test-concurrency=1", ...paths.flatMap(expand)]);
const browser = (step) => (chromium !== undefined && chromedriver !== undefined ? step : undefined);
const peers = [["Kamailio", isThere("kamailio")], ["PostgreSQL", hasPostgres()]];

const steps = [
  ["format", cargo("fmt", "--check")],
  ["lint native", cargo("clippy", "--all-targets", "--features", "server", "--locked", "--", "-D", "warnings")],
  ["lint wasm", cargo(
    "clippy", "--target", "wasm32-unknown-unknown", "--features", "server", "--locked", "--", "-D", "warnings")],
  ["native tests", cargo("test", "--features", "server", "--locked")],
  ["build", () => show(process.execPath, ["scripts/build.mjs"])],
  ["types of the playground", () => show(join(root, "node_modules", ".bin", "tsc"), ["--project", "www"])],
  ["wasm tests in Node", cargo(
    "test", "--target", "wasm32-unknown-unknown", "--features", "server", "--locked",
    "--test", "presence", "--test", "subscriber", "--test", "subscriber_states", "--test", "conditional", "--test", "failures",
    "--test", "torture", "--test", "agent", "--test", "requests", "--test", "session", "--test", "hostile", "--test", "hostile_server")],
  ["wasm tests in Chromium", browser(() => show("wasm-pack", [
    "test", "--headless", "--chrome", "--mode", "no-install", ...(chromedriver ? ["--chromedriver", chromedriver] : []),
    "--", "--test", "browser", "--locked",
  ]))],
  ["documents", node("tests/docs.test.mjs", "tests/contract.test.mjs")],
  ["API tests in Node", node("tests/api/")],
  ["package", browser(node("tests/package/"))],
  ["pages in Chromium", browser(node("tests/e2e/"))],
  ["pages in Firefox", isThere(...FIREFOXES) ? node("tests/browsers/firefox.test.mjs") : undefined],
  ["pages in WebKit", isThere("WebKitWebDriver") && isThere("Xvfb") ? node("tests/browsers/webkit.test.mjs") : undefined],
  ["peers", node("tests/interop/")],
  ["sizes", () => {
    const over = checkSizes();
    for (const line of over) console.error(line);
    return over.length === 0;
  }],
];

const optional = new Set(["pages in Firefox", "pages in WebKit"]);
const words = process.argv.slice(2);
const report = [];
const begun = Date.now();
for (const [name, step] of steps) {
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  say(name);
  const start = Date.now();
  const before = totals.failed;
  let outcome = "skipped";
  if (step !== undefined) outcome = await step() ? "ok" : "failed";
  // In CI nothing may be missing but what not every machine can install.
  if (outcome === "skipped" && process.env.CI && !optional.has(name)) outcome = "failed";
  // A step that fails without a failed test, such as a lint, counts as one.
  if (outcome === "failed" && totals.failed === before) totals.failed += 1;
  report.push([name, outcome, Math.round((Date.now() - start) / 1000)]);
}

if (report.length === 0) throw new Error(`no step is named so: ${words.join(", ")}`);

say(`summary, ${Math.round((Date.now() - begun) / 1000)} s`);
for (const [name, outcome, seconds] of report) console.log(`${outcome.padEnd(8)}${name} (${seconds} s)`);
for (const [name, there] of peers) if (!there) console.log(`${name} is not installed: the tests with it were skipped`);
if (existsSync(join(root, "pkg", "sip-presence.wasm"))) {
  console.log("");
  checkSizes();
}
console.log(`\n${totals.passed} passed, ${totals.failed} failed`);
process.exit(totals.failed === 0 && report.every(([, outcome]) => outcome !== "failed") ? 0 : 1);
