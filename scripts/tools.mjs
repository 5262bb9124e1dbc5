// The tools that building and testing need, installed once and kept. Nothing here needs an installed npm package.
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The project's folder. */
export const root = fileURLToPath(new URL("..", import.meta.url));

const WASM_BINDGEN = "0.2.130";
const WASM_PACK = "0.15.1";
const RUST_TARGET = "wasm32-unknown-unknown";

/** What survives a fresh clone: the cargo tools take minutes to compile. */
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "sip-presence");
const tools = join(cache, "tools");

/** The environment in which our tools are found first. */
export const environment = {
  ...process.env,
  PATH: [join(tools, "bin"), join(root, "node_modules", ".bin"), join(homedir(), ".cargo", "bin"), process.env.PATH]
    .join(delimiter),
};

/** On Windows npm and what it installs are scripts, which only a shell runs. */
export const shell = process.platform === "win32";

/** Says what is being done. */
export function say(text) {
  console.log(`\n== ${text}`);
}

/** Runs a program to its end with its output shown; throws if it fails. */
export function run(program, args, options = {}) {
  const { env, ...others } = options;
  const result = spawnSync(program, args, {
    cwd: root, stdio: ["ignore", "inherit", "inherit"], env: { ...environment, ...env }, shell, ...others,
  });
  if (result.error) throw new Error(`${program} cannot be run: ${result.error.message}`);
  if (result.status !== 0) throw new Error(`${program} ${args.join(" ")} failed (${result.status ?? result.signal})`);
}

/** What a program prints, or undefined if it cannot be run. */
export function output(program, args, { env } = {}) {
  try {
    return execFileSync(program, args, {
      cwd: root, env: { ...environment, ...env }, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], shell,
    });
  } catch {
    return undefined;
  }
}

function ensureNode() {
  if (Number(process.versions.node.split(".")[0]) < 20) {
    throw new Error(`Node 20 or newer is needed; this is ${process.versions.node}`);
  }
}

/** The npm packages of package-lock.json. */
export function ensurePackages() {
  ensureNode();
  if (existsSync(join(root, "node_modules", ".package-lock.json")) && output("npm", ["ls", "--all"]) !== undefined) return;
  say("npm packages");
  run("npm", ["ci", "--no-audit", "--no-fund"]);
}

/** Compiles a cargo tool of this version, unless it is there. A dev build: twice as fast to make, fast enough to use. */
function ensureCargoTool(crate, binary, version, flags) {
  if (output(join(tools, "bin", binary), ["--version"])?.includes(version)) return;
  say(`${crate} ${version}: compiled once, takes some minutes`);
  mkdirSync(cache, { recursive: true });
  run("cargo", ["install", "--debug", ...flags, "--root", tools, `${crate}@${version}`], {
    cwd: cache,
    env: { CARGO_TARGET_DIR: join(cache, "build"), CARGO_PROFILE_DEV_DEBUG: "0" },
  });
}

/** The wasm target and wasm-pack with its companions, all of pinned versions. */
export function ensureBuildTools() {
  if (output("cargo", ["--version"]) === undefined) {
    throw new Error("cargo is needed: install Rust from https://rustup.rs and try again");
  }
  const targets = output("rustup", ["target", "list", "--installed"]);
  if (targets !== undefined && !targets.includes(RUST_TARGET)) {
    say(`Rust target ${RUST_TARGET}`);
    run("rustup", ["target", "add", RUST_TARGET]);
  }
  if (output("rustup", ["component", "list", "--installed"])?.includes("rust-src") === false) {
    say("source of Rust's standard library");
    try {
      run("rustup", ["component", "add", "rust-src"]);
    } catch (error) {
      console.log(`${error.message}: the page's module gets larger`);
    }
  }
  // Without its default features it has no TLS, which only remote drivers need. Its lock file names a crate version
  // that is not to be had everywhere.
  ensureCargoTool("wasm-bindgen-cli", "wasm-bindgen", WASM_BINDGEN, ["--no-default-features"]);
  ensureCargoTool("wasm-pack", "wasm-pack", WASM_PACK, ["--locked"]);
}

/** A panic is a trap without a text. */
export const PANIC_FLAGS = ["-Zunstable-options", "-Cpanic=immediate-abort"];

/** Whether this Rust has the flags for it, and the source of its standard library. */
export function canLeaveOutPanicTexts() {
  const source = join(output("rustc", ["--print", "sysroot"]).trim(), "lib", "rustlib", "src", "rust", "library", "std");
  const env = { RUSTC_BOOTSTRAP: "1" };
  return existsSync(source) && output("rustc", [...PANIC_FLAGS, "--print", "cfg"], { env }) !== undefined;
}

/** What Chromium is called, by who packed it. */
export const CHROMIUMS = ["chromium", "chromium-browser", "google-chrome"];

/** Whether one of these programs is installed. */
export function isThere(...programs) {
  return programs.some((program) => output("sh", ["-c", `command -v ${program}`]) !== undefined);
}

/** What Firefox is called, by who packed it. */
export const FIREFOXES = ["firefox", "firefox-esr"];

/** Whether there is a PostgreSQL server: Debian keeps its programs out of PATH. */
export const hasPostgres = () => output("sh", ["-c", "ls /usr/lib/postgresql/*/bin/initdb"]) !== undefined;

/**
 * Browsers, their drivers, and the peers: Kamailio and PostgreSQL (50 MB on a bare machine). From Debian packages where apt is
 * there and may be used.
 */
export function ensureTestTools() {
  const wanted = [
    [isThere(...CHROMIUMS), ["chromium"]],
    [isThere("chromedriver"), ["chromium-driver"]],
    [isThere(...FIREFOXES), ["firefox-esr"]],
    [isThere("WebKitWebDriver"), ["webkit2gtk-driver"]],
    [isThere("Xvfb"), ["xvfb"]],
    [isThere("kamailio"), ["kamailio", "kamailio-presence-modules", "kamailio-websocket-modules"]],
    [hasPostgres(), ["postgresql"]],
    [existsSync("/usr/share/kamailio/postgres"), ["kamailio-postgres-modules"]],
  ];
  const missing = wanted.filter(([there]) => !there).map(([, packages]) => packages);
  if (missing.length === 0) return;
  const sudo = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  if (!isThere("apt-get") || (sudo.length > 0 && output("sudo", ["-n", "true"]) === undefined)) {
    console.log(`Not installed, and apt-get cannot be used here: ${missing.flat().join(", ")}`);
    return;
  }
  say(`Debian packages: ${missing.flat().join(" ")}`);
  const apt = (...args) => {
    const [program, ...rest] = [...sudo, "apt-get", "-o", "DPkg::Lock::Timeout=900", "-o", "Acquire::http::Timeout=30", "-q", ...args];
    run(program, rest, { env: { DEBIAN_FRONTEND: "noninteractive" } });
  };
  // Each by itself: not every system has all of them.
  for (const args of [["update"], ...missing.map((packages) => ["install", "-y", "--no-install-recommends", ...packages, "fonts-dejavu-core"])]) {
    try {
      apt(...args);
    } catch (error) {
      console.log(`${error.message}: the tests that need it are skipped`);
    }
  }
}
