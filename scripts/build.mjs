// Builds pkg/: three wasm modules (wasm-pack), their JavaScript (esbuild), its types (tsc) and the playground.
// What is up to date is not built again.
import { createHash } from "node:crypto";
import {
  chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { homedir } from "node:os";
import { dirname, join, relative } from "node:path";
import {
  PANIC_FLAGS, canLeaveOutPanicTexts, ensureBuildTools, ensurePackages, environment, output, root, run, say,
} from "./tools.mjs";

const pkg = join(root, "pkg");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** The files below these paths, sorted. */
function files(...paths) {
  const found = [];
  for (const path of paths.map((path) => join(root, path)).filter(existsSync)) {
    if (readdirSync(dirname(path), { withFileTypes: true }).some((e) => e.isFile() && join(dirname(path), e.name) === path)) {
      found.push(path);
    } else {
      for (const entry of readdirSync(path, { withFileTypes: true, recursive: true })) {
        if (entry.isFile()) found.push(join(entry.parentPath ?? entry.path, entry.name));
      }
    }
  }
  return found.sort();
}

/** Builds `name` unless the inputs are those of the last build. */
async function build(name, inputs, action) {
  const hash = createHash("sha256");
  for (const file of inputs) hash.update(relative(root, file)).update(readFileSync(file));
  const digest = hash.digest("hex");
  const stamp = join(pkg, "stamps", name);
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === digest) return false;
  say(`building ${name}`);
  rmSync(stamp, { force: true });
  await action();
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, digest);
  return true;
}

/**
 * A manifest like the project's but for the crate type: rustc optimises across crates for a cdylib alone, and the
 * module is a third smaller for it. Nobody downloads the server's: it is made for speed instead of size.
 */
function manifest(name) {
  const folder = join(root, "target", "wasm", name);
  mkdirSync(folder, { recursive: true });
  let text = readFileSync(join(root, "Cargo.toml"), "utf8")
    .replace('crate-type = ["cdylib", "rlib"]', 'crate-type = ["cdylib"]\npath = "../../../src/lib.rs"')
    .replace('readme = "README.md"\n', "").replace(/\[\[bench\]\][^[]*/g, "");
  if (name === "server") text = text.replace('opt-level = "z"', "opt-level = 3").replace('"-Oz", "-Oz"', '"-O3"');
  writeFileSync(join(folder, "Cargo.toml"), text);
  copyFileSync(join(root, "Cargo.lock"), join(folder, "Cargo.lock"));
  return folder;
}

/** Gives the imports and exports of a module short names: the long ones, with their hashes, do not compress. */
function shorten(module, glue) {
  const printed = output("wasm-opt", [
    "--enable-bulk-memory", "--enable-nontrapping-float-to-int", "--enable-sign-ext", "--enable-mutable-globals",
    "--enable-reference-types", "--enable-multivalue", "--minify-imports-and-exports-and-modules", module, "-o", module,
  ]);
  const { imports, exports } = JSON.parse(printed);
  let text = readFileSync(glue, "utf8").replace('"./sip_presence_bg.js": import0', "a: import0");
  for (const [, name, short] of imports) {
    text = text.replace(`\n        ${name}: `, `\n        ${short}: `)
      .replace(`\nexport function ${name}(`, `\nexport function ${short}(`);
  }
  for (const [name, short] of exports) text = text.replace(new RegExp(`\\bwasm\\.${name}\\b`, "g"), () => `wasm.${short}`);
  writeFileSync(glue, text);
}

/**
 * The glue of a page starts what `src/js/load.ts` has loaded: the loader of wasm-bindgen takes more than ours. What it
 * makes of the host's classes is made then too: a host that lacks one, such as jsdom under Jest, can import us.
 */
function addStart(folder) {
  const glue = join(folder, "sip_presence_bg.js");
  let made = "";
  const text = readFileSync(glue, "utf8").replace(/^(?:let|const) (cachedText\w+) = (new .*);$/gm, (_, name, value) => {
    made += `    ${name} = ${value};\n`;
    return `let ${name};`;
  }).replace(/^cachedTextDecoder\.decode\(\);\n/gm, "").replace(/^if \(!\('encodeInto' in cachedTextEncoder\)\) \{\n[^]*?^\}\n/gm, "");
  writeFileSync(glue, `${text}export function start(exports) {\n${made}    __wbg_set_wasm(exports);\n    wasm.__wbindgen_start();\n}\n`);
  const types = 'export * from "./sip_presence.js";\nexport function start(exports: WebAssembly.Exports): void;\n';
  writeFileSync(join(folder, "sip_presence_bg.d.ts"), types);
}

/**
 * What `.cargo/config.toml` says for wasm, and no path of this machine in the texts of panics: the module is the same
 * wherever it is built.
 */
function rustflags() {
  const cargo = process.env.CARGO_HOME ?? join(homedir(), ".cargo");
  const sources = join(cargo, "registry", "src");
  const registries = existsSync(sources) ? readdirSync(sources).map((name) => join(sources, name)) : [];
  const prefixes = [[root.replace(/\/$/, ""), ""], [output("rustc", ["--print", "sysroot"]).trim(), "rust"]];
  const remaps = [...prefixes, ...registries.map((folder) => [folder, ""])];
  return ["--cfg", 'sha2_backend_soft="compact"', ...remaps.map(([from, to]) => `--remap-path-prefix=${from}=${to}`)];
}

/**
 * The modules of pages are built with a standard library of their own, in which a panic is a trap without a text: that
 * saves a page 8 KB, and nobody reads the text. The compiler calls these flags unstable, hence the variable.
 */
function withoutPanicTexts() {
  if (canLeaveOutPanicTexts()) {
    return {
      env: { RUSTC_BOOTSTRAP: "1" }, flags: PANIC_FLAGS,
      args: ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features=optimize_for_size"],
    };
  }
  say("this Rust cannot leave out the texts of panics (rustup component add rust-src, and a newer version): the modules get larger");
  return { env: {}, flags: [], args: [] };
}

async function wasm(name, target, kind, features, { env, flags, args } = { env: {}, flags: [], args: [] }) {
  const inputs = files("Cargo.toml", "Cargo.lock", ".cargo", "scripts/build.mjs", "src")
    .filter((file) => !file.includes(join("src", "js")));
  await build(name, inputs, () => {
    const folder = manifest(name);
    const out = join(pkg, "wasm", name);
    run("wasm-pack", [
      "build", "--release", "--target", kind, "--no-pack", "--no-gitignore", "--mode", "no-install",
      "--out-dir", out, "--out-name", "sip_presence", folder, "--locked", ...args, ...features,
    ], { env: { ...env, CARGO_TARGET_DIR: join(root, "target"), CARGO_ENCODED_RUSTFLAGS: [...rustflags(), ...flags].join("\x1f") } });
    if (kind === "bundler") addStart(out);
    shorten(join(out, "sip_presence_bg.wasm"), join(out, kind === "bundler" ? "sip_presence_bg.js" : "sip_presence.js"));
  });
  copyFileSync(join(pkg, "wasm", name, "sip_presence_bg.wasm"), join(pkg, target));
  writeFileSync(join(pkg, `${target}.d.ts`), "declare const module: Uint8Array;\nexport default module;\n");
}

async function javascript() {
  const { build: bundle } = createRequire(import.meta.url)("esbuild");
  const common = {
    bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, outdir: pkg, logLevel: "warning",
    legalComments: "none", define: { VERSION: JSON.stringify(version) }, absWorkingDir: root,
  };
  const entry = (...names) => names.map((name) => join("src", "js", `${name}.ts`));
  // The full module has a file of its own, which only those pages load that need it.
  await bundle({ ...common, entryPoints: entry("index"), platform: "browser", external: ["./full.js"] });
  await bundle({ ...common, entryPoints: entry("full"), platform: "browser" });
  // Node prints the line of an error: the code must not stand in one line with the module.
  await bundle({ ...common, entryPoints: entry("inline"), platform: "neutral", loader: { ".wasm": "binary" }, lineLimit: 120 });
  // Registering imports the class by its file, so that both entries share one.
  await bundle({ ...common, entryPoints: entry("element"), platform: "browser" });
  await bundle({ ...common, entryPoints: entry("define"), platform: "browser", external: ["./element.js"] });
  await bundle({ ...common, entryPoints: entry("react"), platform: "neutral", external: ["react"] });
  await bundle({ ...common, entryPoints: entry("server"), platform: "node", packages: "external" });
  await bundle({
    ...common, entryPoints: entry("cli"), platform: "node", external: ["./server.js"], packages: "external",
    banner: { js: "#!/usr/bin/env node" },
  });
  chmodSync(join(pkg, "cli.js"), 0o755);
}

/** Removes the declarations of what is not public: those that no entry's declarations lead to. */
function prune() {
  const { exports } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  const wanted = new Set();
  const visit = (file) => {
    if (wanted.has(file) || !existsSync(file)) return;
    wanted.add(file);
    for (const [, path] of readFileSync(file, "utf8").matchAll(/from "(\.\/[^"]+)\.js"/g)) {
      visit(join(dirname(file), `${path}.d.ts`));
    }
  };
  for (const entry of Object.values(exports)) if (entry.types !== undefined) visit(join(root, entry.types));
  for (const name of readdirSync(pkg)) {
    if (name.endsWith(".d.ts") && !wanted.has(join(pkg, name))) rmSync(join(pkg, name));
  }
}

async function playground() {
  const { build: bundle } = createRequire(import.meta.url)("esbuild");
  const www = join(pkg, "www");
  rmSync(www, { recursive: true, force: true });
  await bundle({
    bundle: true, format: "esm", target: "es2022", minify: true, sourcemap: true, logLevel: "warning", outdir: www,
    absWorkingDir: root, entryPoints: [join("www", "playground.ts")], external: ["/lib/*"],
    alias: {
      "sip-presence/element/define": "/lib/define.js", "sip-presence/element": "/lib/element.js",
      "sip-presence": "/lib/index.js",
    },
  });
  for (const file of files("www")) {
    if (!/\.(ts|json)$/.test(file)) copyFileSync(file, join(www, relative(join(root, "www"), file)));
  }
}

ensurePackages();
ensureBuildTools();
mkdirSync(pkg, { recursive: true });
const lean = withoutPanicTexts();
await wasm("page", "sip-presence.wasm", "bundler", [], lean);
await wasm("full", "sip-presence-full.wasm", "bundler", ["--features", "full"], lean);
await wasm("server", "sip-presence-server.wasm", "web", ["--no-default-features", "--features", "server"]);
const modules = files("pkg/wasm").filter((file) => /\.(js|wasm)$/.test(file));
const scripts = files("package.json", "tsconfig.json", "scripts/build.mjs", "src/js");
await build("javascript", [...modules, ...scripts], async () => {
  await javascript();
  run(join(root, "node_modules", ".bin", "tsc"), ["--project", "tsconfig.json"], { env: environment });
  copyFileSync(join(root, "src", "js", "element-react.d.ts"), join(pkg, "element-react.d.ts"));
  prune();
});
await build("playground", files("package.json", "scripts/build.mjs", "www"), playground);
